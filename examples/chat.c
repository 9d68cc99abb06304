/* SPDX-License-Identifier: MIT */
/*
 * chat.c - a service in which everybody hears what each says.
 *
 * A line is what somebody says; the first one is their name. Each session has its name in bytes of
 * its own, and what is said goes to every session of the service. Nobody waits for those who do not
 * read: when a send is refused, as a session's output is full, it is cut off, and the others hear
 * why.
 *
 *   chat [ADDRESS]              ADDRESS is 127.0.0.1:7000 unless given
 *   socat - TCP:127.0.0.1:7000  in several other terminals: type a name, then what you have to say
 *
 * Prints `chatting on ADDRESS` once it is ready, and `NAME left: WHY` for each who leaves. What a
 * peer sees, who calls itself ann:
 *
 *   * your name?
 *   * ann is here
 *   bob: hello
 *   * bob left: clean
 *
 * At Ctrl-C everybody is told `* the chat is over`, and who is still there after 5 s is cut off.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rota/servicemodel.h>

#define LONGEST_NAME 20
/* Of what is said, and of what is heard: a framing's limit holds both ways. */
#define LONGEST_LINE 500

struct guest {
	char name[LONGEST_NAME + 1]; /* empty until it was told */
	bool is_slow;
};

static void
hear(struct rota_session *session, void *text)
{
	struct guest *guest = rota_session_data(session);

	if (guest->name[0] == '\0')
		return;
	if (rota_session_send(session, text, strlen(text)) == -ROTA_EFULL) {
		/* The others are told in on_close, which never comes inside a call. */
		guest->is_slow = true;
		rota_session_abort(session);
	}
}

static void
tell_all(struct rota_session *session, char *text)
{
	rota_service_each(rota_session_service(session), hear, text);
}

static int
tell(struct rota_session *session, const char *text)
{
	return rota_session_send(session, text, strlen(text));
}

static void
on_open(struct rota_session *session, void *userdata)
{
	(void)userdata;
	(void)tell(session, "* your name?");
}

static int
take_name(struct rota_session *session, const char *name, size_t len)
{
	struct guest *guest = rota_session_data(session);
	char text[LONGEST_LINE + 1];

	if (len == 0 || len > LONGEST_NAME)
		return tell(session, "* a name of 1 to 20 letters, please");
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]))
			return tell(session, "* letters and digits only, please");
	}
	memcpy(guest->name, name, len);
	snprintf(text, sizeof text, "* %s is here", guest->name);
	tell_all(session, text);
	return 0;
}

/* A line is not ended by a NUL, and may have any bytes in it. */
static int
on_line(struct rota_session *session, const void *line, size_t len, void *userdata)
{
	struct guest *guest = rota_session_data(session);
	char text[LONGEST_LINE + 1];

	(void)userdata;
	if (guest->name[0] == '\0')
		return take_name(session, line, len);
	snprintf(text, sizeof text, "%s: %.*s", guest->name, (int)len, (const char *)line);
	/* A terminal would obey what is not text. */
	for (char *at = text; *at != '\0'; at++) {
		if (iscntrl((unsigned char)*at))
			*at = '?';
	}
	tell_all(session, text);
	return 0;
}

static void
on_bad_frame(struct rota_session *session, int error, const char *text, void *userdata)
{
	(void)error;
	(void)userdata;
	(void)tell(session, text);
}

static void
on_leave(struct rota_session *session, void *userdata)
{
	(void)userdata;
	(void)tell(session, "* the chat is over");
	rota_session_close(session);
}

static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	struct guest *guest = rota_session_data(session);
	char text[LONGEST_LINE + 1];

	(void)userdata;
	if (guest->name[0] == '\0')
		return;
	snprintf(text, sizeof text, "* %s left: %s", guest->name,
		guest->is_slow ? "too slow" : rota_reason_name(why->reason));
	printf("%s\n", text + 2);
	tell_all(session, text);
}

static const struct rota_protocol chat = {
	.name = "chat",
	.session_size = sizeof(struct guest),
	.framing = { .ops = &rota_framing_line, .limit = LONGEST_LINE },
	.on_open = on_open,
	.on_frame = on_line,
	.on_bad_frame = on_bad_frame,
	.on_leave = on_leave,
	.on_close = on_close,
};

static void
on_drained(struct rota_service *service, const struct rota_service_report *report, void *userdata)
{
	(void)report;
	(void)userdata;
	rota_context_stop(rota_service_context(service));
}

static int
on_interrupt(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)interrupt;
	if (rota_service_drain(userdata, 5 * ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(ctx);
	return 0;
}

static int
chat_on(struct rota_context *ctx, const char *address)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	const char *const addresses[] = { address, NULL };
	struct rota_service *service;
	int r;

	options.listen = addresses;
	options.max_sessions = 1000;
	options.listener.stream.output_high = (size_t)64 * 1024;
	options.listener.stream.output_low = (size_t)16 * 1024;
	r = rota_serve(ctx, &options, &chat, NULL, &service);
	if (r < 0)
		return r;
	r = rota_signal_start(ctx, &interrupt, SIGINT, on_interrupt, service);
	if (r >= 0) {
		fprintf(stderr, "chatting on %s\n", address);
		r = rota_iterate(ctx, NULL);
		rota_signal_stop(ctx, &interrupt);
	}
	rota_service_free(service);
	return r;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = chat_on(ctx, address);
	rota_context_free(ctx);
	if (r >= 0)
		return 0;
	fprintf(stderr, "%s: %s\n", address, rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
