/* SPDX-License-Identifier: MIT */
/*
 * glib_events.c - events from a child process in a GLib program, in both ways: its loop is the host
 * of a Rota context; or there is no context, and one thread waits for events and arranges by
 * g_idle_add that they are handled in the program's own.
 *
 *   glib_events           by a graft
 *   glib_events thread    by the thread
 *
 * The child fires, and ends; so does the program, which is the same either way. Prints:
 *
 *   user Newman, 41 years
 *   user Kramer, 43 years
 *   nobody fires any more
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib.h>
#include <rota/graft_glib.h>
#include <rota/rota.h>
#include <rota/servicemodel.h>

static int
on_new_user(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct rota_text name;
	int age = 0;
	ssize_t r = rota_event_unpack(event, NULL, "t {age: i?}", &name, &age);

	(void)receiver;
	(void)userdata;
	if (r < 0)
		return (int)r;
	printf("user %.*s, %d years\n", (int)name.len, name.bytes, age);
	return 0;
}

static void
on_close(struct rota_receiver *receiver, void *loop)
{
	(void)receiver;
	printf("nobody fires any more\n");
	g_main_loop_quit(loop);
}

static const struct rota_receiver_handlers handlers = { .on_close = on_close };

/* Called in the thread that waits. What g_idle_add is given here is run in the main loop. */
static void
call_soon(rota_run_fn *run, void *argument, void *userdata)
{
	(void)userdata;
	g_idle_add(run, argument);
}

static int
child(struct rota_sender *sender)
{
	int r = rota_sender_fire(sender, "on_new_user", "s {age: i}", "Newman", 41);

	if (r >= 0)
		r = rota_sender_fire(sender, "on_new_user", "s {age: i}", "Kramer", 43);
	rota_sender_close(sender);
	return r < 0;
}

/* Runs the loop until there are no more events. */
static int
run(struct rota_receiver *receiver, bool by_thread)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	struct rota_context *ctx = NULL;
	struct rota_graft *graft;
	int r = rota_receiver_connect(receiver, "on_new_user", on_new_user, NULL);

	rota_receiver_set_handlers(receiver, &handlers, loop);
	if (r >= 0 && by_thread) {
		r = rota_receiver_handle_in_thread(receiver, call_soon, NULL);
	} else if (r >= 0) {
		r = rota_context_new(&ctx);
		if (r >= 0)
			r = rota_graft_glib(ctx, NULL, NULL, NULL, NULL, &graft);
		if (r >= 0)
			r = rota_receiver_attach(receiver, ctx);
	}
	if (r >= 0)
		g_main_loop_run(loop);
	rota_receiver_close(receiver);
	rota_context_free(ctx);
	g_main_loop_unref(loop);
	return r;
}

int
main(int argc, char **argv)
{
	struct rota_channel *channel;
	struct rota_receiver *receiver = NULL;
	struct rota_sender *sender;
	char reason[128];
	pid_t pid;
	int r = rota_channel_new(NULL, &channel);

	if (r < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		r = rota_channel_sender(channel, &sender);
		rota_channel_free(channel);
		return r < 0 ? 1 : child(sender);
	}
	r = pid < 0 ? -errno : rota_channel_receiver(channel, &receiver);
	rota_channel_free(channel);
	if (r >= 0)
		r = run(receiver, argc == 2 && strcmp(argv[1], "thread") == 0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (r < 0)
		fprintf(stderr, "glib_events: %s\n", rota_strerror(r, reason, sizeof(reason)));
	return r < 0;
}
