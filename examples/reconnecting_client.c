/* SPDX-License-Identifier: MIT */
/*
 * reconnecting_client.c - a client whose servers may go away and come back.
 *
 * Twice a second it sends a number as a line, to one server after the other, and wants it back. It
 * has no code for connecting, for trying again, or for what was under way when a connection was
 * lost: that is all the client's. Only what happens is printed.
 *
 *   smallest 127.0.0.1:7000            in another terminal; end it, and start it again
 *   smallest 127.0.0.1:7001            and perhaps a second one
 *   reconnecting_client [ADDRESS...]   127.0.0.1:7000 unless given
 *
 * Prints, until Ctrl-C, lines like these:
 *
 *   127.0.0.1:7000: connected
 *   1: replied
 *   2: replied
 *   127.0.0.1:7000: lost (reset while open: Connection reset by peer)
 *   127.0.0.1:7000: no connection (refused while connect: Connection refused), again in 96 ms
 *   127.0.0.1:7000: no connection (refused while connect: Connection refused), again in 174 ms
 *   127.0.0.1:7000: connected
 *   3: replied
 *   3 calls: 3 replied, 0 timed out, 0 lost; 1 sent again
 *
 * A number is safe to be sent twice, so one that was lost with its connection goes out again, and
 * those that find no connection wait for one; after 5 s they time out.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/servicemodel.h>

#define PERIOD (500 * ROTA_MILLISECOND)

/* A number that is on its way: as many of them as there may be, each used again and again. */
struct number {
	struct rota_call call;
	char text[24];
	size_t len;
};

struct asker {
	struct rota_timer timer;
	struct rota_client *client;
	unsigned long last;
	struct number numbers[32];
};

static void
on_done(struct rota_call *call, const struct rota_answer *answer)
{
	struct number *number = rota_container_of(call, struct number, call);
	const char *outcome = rota_outcome_name(answer->outcome);

	if (answer->outcome == ROTA_CALL_REPLIED &&
		(answer->len != number->len ||
			memcmp(answer->bytes, number->text, number->len) != 0))
		outcome = "another reply";
	if (answer->outcome != ROTA_CALL_CANCELLED)
		printf("%s: %s\n", number->text, outcome);
}

static struct number *
free_number(struct asker *asker)
{
	for (size_t i = 0; i < sizeof asker->numbers / sizeof asker->numbers[0]; i++) {
		if (!rota_call_is_running(&asker->numbers[i].call))
			return &asker->numbers[i];
	}
	return NULL;
}

static int
ask(struct rota_context *ctx, struct rota_timer *timer)
{
	struct asker *asker = rota_container_of(timer, struct asker, timer);
	struct number *number = free_number(asker);
	int r;

	if (number != NULL) {
		rota_call_init(&number->call, on_done);
		number->call.is_safe = true;
		number->len =
			(size_t)snprintf(number->text, sizeof number->text, "%lu", ++asker->last);
		r = rota_call(asker->client, &number->call, number->text, number->len);
		if (r < 0)
			return r;
	}
	return rota_timer_start(ctx, timer, PERIOD);
}

/* A connection was opened, was lost, or could not be made. */
static void
on_state(struct rota_client *client, size_t index, const struct rota_close_info *why,
	void *userdata)
{
	struct rota_client_target target;
	rota_time rest;

	(void)userdata;
	if (rota_client_target(client, index, &target) < 0)
		return;
	if (why == NULL) {
		printf("%s: connected\n", target.text);
		return;
	}
	printf("%s: %s (%s)", target.text, why->phase >= ROTA_PHASE_OPEN ? "lost" : "no connection",
		why->text);
	rest = target.next - rota_context_now(rota_client_context(client));
	if (target.next != 0 && rest > 0)
		printf(", again in %lld ms", (long long)(rest / ROTA_MILLISECOND));
	putchar('\n');
}

static int
stop(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)interrupt;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

static void
print_counts(const struct rota_client_meter *meter)
{
	printf("%llu calls: %llu replied, %llu timed out, %llu lost; %llu sent again\n",
		(unsigned long long)meter->calls,
		(unsigned long long)meter->outcomes[ROTA_CALL_REPLIED],
		(unsigned long long)meter->outcomes[ROTA_CALL_TIMED_OUT],
		(unsigned long long)meter->outcomes[ROTA_CALL_LOST],
		(unsigned long long)meter->retries + meter->moved);
}

static int
ask_for_ever(struct rota_context *ctx, const char *const *targets)
{
	static const struct rota_client_handlers handlers = { .on_state = on_state };
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	static struct asker asker;
	int r;

	options.targets = targets;
	options.framing = (struct rota_framing){ .ops = &rota_framing_line, .limit = 100 };
	options.keep_warm = true;
	options.timeout = 5 * ROTA_SECOND;
	options.backoff_most = 2 * ROTA_SECOND;
	options.handlers = &handlers;
	r = rota_client_new(ctx, &options, &asker.client);
	if (r < 0)
		return r;
	rota_timer_init(&asker.timer, ask);
	r = rota_timer_start(ctx, &asker.timer, 0);
	if (r >= 0)
		r = rota_signal_start(ctx, &interrupt, SIGINT, stop, NULL);
	if (r >= 0)
		r = rota_iterate(ctx, NULL);
	print_counts(rota_client_meter(asker.client));
	rota_client_free(asker.client);
	rota_signal_stop(ctx, &interrupt);
	return r;
}

int
main(int argc, char **argv)
{
	static const char *const usual[] = { "127.0.0.1:7000", NULL };
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = ask_for_ever(ctx, argc > 1 ? (const char *const *)argv + 1 : usual);
	rota_context_free(ctx);
	if (r >= 0)
		return 0;
	fprintf(stderr, "reconnecting_client: %s\n", rota_strerror(r, reason, sizeof(reason)));
	return 1;
}
