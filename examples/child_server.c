/* SPDX-License-Identifier: MIT */
/*
 * child_server.c - events into a child process that serves TCP at the same time: the parent fires
 * what changes, the child greets whoever connects with what it was told last.
 *
 *   child_server
 *
 * Says `greeting on ADDRESS`, which the child has told it by an event of its own, and then does
 * itself what a peer would: connects, reads a line, fires, and connects again. When the parent ends
 * the channel, or dies, the child drains and ends. Prints:
 *
 *   child: the greeting is now "good morning"
 *   peer:  good morning
 *   child: the greeting is now "good night"
 *   peer:  good night
 *   child: nobody fires any more
 *   parent: the child has ended with 0
 */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/rota.h>
#include <rota/servicemodel.h>

static int
fail(const char *what, int error)
{
	char reason[128];

	fprintf(stderr, "child_server: %s: %s\n", what,
		rota_strerror(error, reason, sizeof(reason)));
	return 1;
}

/* The child: a server in whose loop events arrive */

struct server {
	struct rota_context *ctx;
	struct rota_receiver *orders;
	struct rota_sender *answers;
	char greeting[64];
};

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *server)
{
	(void)listener;
	rota_stream_set_userdata(stream, server);
}

static const struct rota_listener_handlers accepting = { .on_accept = on_accept };

static void
on_open(struct rota_stream *stream, void *userdata)
{
	struct server *server = userdata;
	char line[sizeof(server->greeting) + 1];
	int len = snprintf(line, sizeof(line), "%s\n", server->greeting);

	rota_stream_send(stream, line, (size_t)len);
	rota_stream_close(stream);
}

static const struct rota_stream_handlers greeter = { .on_open = on_open };

static int
on_greet(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct server *server = userdata;
	struct rota_text greeting;
	ssize_t r = rota_event_unpack(event, NULL, "t", &greeting);

	(void)receiver;
	if (r >= 0)
		r = rota_text_copy(&greeting, server->greeting, sizeof(server->greeting));
	if (r < 0)
		return (int)r;
	printf("child: the greeting is now \"%s\"\n", server->greeting);
	fflush(stdout);
	return rota_sender_fire(server->answers, "changed", "");
}

static void
on_drained(struct rota_context *ctx, size_t cut, void *userdata)
{
	(void)cut;
	(void)userdata;
	rota_context_stop(ctx);
}

static void
on_orders_close(struct rota_receiver *receiver, void *userdata)
{
	struct server *server = userdata;

	(void)receiver;
	printf("child: nobody fires any more\n");
	if (rota_drain(server->ctx, ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(server->ctx);
}

static const struct rota_receiver_handlers orders = { .on_close = on_orders_close };

/* Listens, and tells the parent where. */
static int
listen_and_tell(struct server *server)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	int r;

	options.stream.handlers = &greeter;
	r = rota_listen(server->ctx, "127.0.0.1:0", &options, &accepting, server, &listener);
	if (r >= 0)
		r = rota_listener_address(listener, &address);
	if (r < 0)
		return r;
	return rota_sender_fire(server->answers, "listening", "s",
		rota_address_format(&address, text, sizeof(text)));
}

static int
serve(struct rota_receiver *receiver, struct rota_sender *answers)
{
	struct server server = { .orders = receiver, .answers = answers };
	int r = rota_context_new(&server.ctx);

	if (r >= 0)
		r = rota_receiver_connect(receiver, "greet", on_greet, &server);
	rota_receiver_set_handlers(receiver, &orders, &server);
	if (r >= 0)
		r = rota_receiver_attach(receiver, server.ctx);
	if (r >= 0)
		r = listen_and_tell(&server);
	if (r >= 0)
		r = rota_iterate(server.ctx, NULL);
	rota_context_free(server.ctx);
	return r < 0 ? fail("serving", r) : 0;
}

/* The parent: it waits for events by blocking, and needs no loop */

static int
on_listening(struct rota_receiver *receiver, const struct rota_event *event, void *address)
{
	struct rota_text text;
	ssize_t r = rota_event_unpack(event, NULL, "t", &text);

	(void)receiver;
	return r < 0 ? (int)r : rota_text_copy(&text, address, ROTA_ADDRESS_TEXT);
}

struct peer {
	char line[64];
	bool is_over;
};

static ssize_t
peer_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct peer *peer = userdata;

	(void)stream;
	snprintf(peer->line, sizeof(peer->line), "%.*s", (int)len, (const char *)bytes);
	return (ssize_t)len;
}

static void
peer_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	(void)stream;
	(void)why;
	((struct peer *)userdata)->is_over = true;
}

static bool
is_over(struct rota_context *ctx, void *peer)
{
	(void)ctx;
	return ((struct peer *)peer)->is_over;
}

/* Prints the line that the server says. */
static int
visit(const char *address)
{
	static const struct rota_stream_handlers handlers = {
		.on_data = peer_data,
		.on_close = peer_close,
	};
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct peer peer = { .line = "" };
	struct rota_context *ctx;
	struct rota_stream *stream;
	int r = rota_context_new(&ctx);

	if (r < 0)
		return r;
	options.handlers = &handlers;
	r = rota_connect(ctx, address, &options, &peer, &stream);
	if (r >= 0)
		r = rota_wait(ctx, is_over, &peer, 10 * ROTA_SECOND);
	rota_context_free(ctx);
	if (r >= 0 && peer.line[0] == '\0')
		r = -ECONNRESET;
	if (r >= 0)
		printf("peer:  %s", peer.line);
	fflush(stdout);
	return r;
}

/* Fires, waits until the child has heard it, and looks whether it is so. */
static int
change(struct rota_sender *sender, struct rota_receiver *answers, const char *address,
	const char *greeting)
{
	int r = rota_sender_fire(sender, "greet", "s", greeting);

	if (r >= 0)
		r = rota_receiver_handle_next(answers, 10 * ROTA_SECOND);
	if (r == 0)
		r = -ETIMEDOUT;
	return r < 0 ? r : visit(address);
}

static int
command(struct rota_sender *sender, struct rota_receiver *answers)
{
	char address[ROTA_ADDRESS_TEXT] = "";
	int r = rota_receiver_connect(answers, "listening", on_listening, address);

	if (r >= 0)
		r = rota_receiver_handle_next(answers, 10 * ROTA_SECOND);
	if (r == 0)
		r = -ETIMEDOUT;
	if (r < 0)
		return fail("the child", r);
	fprintf(stderr, "greeting on %s\n", address);
	r = change(sender, answers, address, "good morning");
	if (r >= 0)
		r = change(sender, answers, address, "good night");
	return r < 0 ? fail("a greeting", r) : 0;
}

/* Takes the one end of each; what is not taken is let go of. */
static int
take(struct rota_channel *out, struct rota_channel *in, struct rota_sender **ret_sender,
	struct rota_receiver **ret_receiver)
{
	int r = rota_channel_sender(out, ret_sender);

	if (r >= 0)
		r = rota_channel_receiver(in, ret_receiver);
	rota_channel_free(out);
	rota_channel_free(in);
	return r;
}

int
main(void)
{
	struct rota_channel *down = NULL;
	struct rota_channel *up = NULL;
	struct rota_sender *sender = NULL;
	struct rota_receiver *receiver = NULL;
	bool is_child;
	int status = 0;
	pid_t pid;
	int r;

	if (rota_channel_new(NULL, &down) < 0 || rota_channel_new(NULL, &up) < 0)
		return fail("rota_channel_new", -errno);
	pid = fork();
	if (pid < 0)
		return fail("fork", -errno);
	is_child = pid == 0;
	r = is_child ? take(up, down, &sender, &receiver) : take(down, up, &sender, &receiver);
	if (r < 0)
		return fail("the ends", r);
	r = is_child ? serve(receiver, sender) : command(sender, receiver);
	rota_sender_close(sender);
	rota_receiver_close(receiver);
	if (is_child)
		return r;
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status)) {
		printf("parent: the child has ended by a signal\n");
		return 1;
	}
	printf("parent: the child has ended with %d\n", WEXITSTATUS(status));
	return r != 0 || WEXITSTATUS(status) != 0;
}
