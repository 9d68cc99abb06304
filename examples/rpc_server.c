/* SPDX-License-Identifier: MIT */
/*
 * rpc_server.c - requests that are replied to at once, later, or not at all.
 *
 * A request is a line of text, each on its own way by its id: `echo TEXT` is replied to at once,
 * `later MS TEXT` after that many milliseconds, and all else is refused. What is to be replied
 * later is kept with a timer, until that is due or nobody waits for it any more.
 *
 *   rpc_server [ADDRESS]    ADDRESS is 127.0.0.1:7000 unless given
 *   rpc_client              in another terminal
 *
 * Prints `answering on ADDRESS` once it is ready, and `given up: TEXT (WHY)` for requests that are
 * cancelled; WHY is `the caller did`, `its time is over` or `the caller has gone`. At Ctrl-C it
 * takes no further request, replies to those that it has, and ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/servicemodel.h>

#define LONGEST 4096

/* Latest reply, in milliseconds. */
#define LATEST 99999

/* A reply that is not due yet. */
struct later {
	struct rota_timer timer;
	struct rota_request *request;
	size_t len;
	char text[];
};

static void
reply(struct rota_request *request, const void *text, size_t len)
{
	/* Out of memory, say: then the caller is told at least that. */
	if (rota_request_reply(request, text, len) < 0)
		rota_request_refuse(request, ROTA_REFUSAL_MEMORY, "no reply could be made");
}

static int
is_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct later *later = rota_container_of(timer, struct later, timer);

	(void)ctx;
	reply(later->request, later->text, later->len);
	free(later);
	return 0;
}

static struct rota_context *
context_of(struct rota_request *request)
{
	return rota_stream_context(rota_session_stream(rota_request_session(request)));
}

static int
reply_later(struct rota_request *request, unsigned long ms, const char *text)
{
	size_t len = strlen(text);
	struct later *later = malloc(sizeof *later + len + 1);
	int r;

	if (later == NULL)
		return -1;
	later->request = request;
	later->len = len;
	memcpy(later->text, text, len + 1);
	rota_timer_init(&later->timer, is_due);
	r = rota_timer_start(context_of(request), &later->timer, (rota_time)ms * ROTA_MILLISECOND);
	if (r < 0) {
		free(later);
		return r;
	}
	rota_request_set_data(request, later);
	return 0;
}

static int
on_request(struct rota_request *request, const void *bytes, size_t len, void *userdata)
{
	char text[LONGEST + 1] = "";
	char *rest = text;
	unsigned long ms = 0;

	(void)userdata;
	/* They are good until this returns, and not ended by a NUL. */
	memcpy(text, bytes, len);
	if (strncmp(text, "later ", 6) == 0)
		ms = strtoul(text + 6, &rest, 10);
	if (strncmp(text, "echo ", 5) == 0) {
		reply(request, text + 5, strlen(text + 5));
	} else if (rest > text + 6 && *rest == ' ' && ms <= LATEST) {
		if (reply_later(request, ms, rest + 1) < 0)
			rota_request_refuse(request, ROTA_REFUSAL_MEMORY, "no memory");
	} else {
		rota_request_refuse(request, ROTA_REFUSAL_OWN, "want: echo TEXT, or later MS TEXT");
	}
	return 0;
}

/* Nobody waits any more, so nothing is to be done any more either. */
static void
on_cancel(struct rota_request *request, enum rota_cancel why, void *userdata)
{
	static const char *const names[] = {
		[ROTA_CANCEL_PEER] = "the caller did",
		[ROTA_CANCEL_DEADLINE] = "its time is over",
		[ROTA_CANCEL_CLOSED] = "the caller has gone",
	};
	struct later *later = rota_request_data(request);

	(void)userdata;
	printf("given up: %s (%s)\n", later->text, names[why]);
	rota_timer_stop(context_of(request), &later->timer);
	free(later);
}

static const struct rota_dialog answering = {
	.name = "answering",
	.framing = { .ops = &rota_framing_length32, .limit = LONGEST },
	.order = ROTA_DIALOG_BY_ID,
	.max_in_flight = 100,
	.on_request = on_request,
	.on_cancel = on_cancel,
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
	if (rota_service_drain(userdata, 30 * ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(ctx);
	return 0;
}

static int
answer_on(struct rota_context *ctx, const char *address, struct rota_service **ret_service)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	const char *const addresses[] = { address, NULL };
	int r;

	options.listen = addresses;
	r = rota_dialog_serve(ctx, &options, &answering, NULL, ret_service);
	if (r < 0)
		return r;
	r = rota_signal_start(ctx, &interrupt, SIGINT, on_interrupt, *ret_service);
	if (r < 0)
		return r;
	fprintf(stderr, "answering on %s\n", address);
	r = rota_iterate(ctx, NULL);
	rota_signal_stop(ctx, &interrupt);
	return r;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct rota_service *service = NULL;
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = answer_on(ctx, address, &service);
	/* Requests that are left are cancelled in the latter, and so is what is kept for them. */
	rota_service_free(service);
	rota_context_free(ctx);
	if (r >= 0)
		return 0;
	fprintf(stderr, "%s: %s\n", address, rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
