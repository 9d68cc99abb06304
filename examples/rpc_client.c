/* SPDX-License-Identifier: MIT */
/*
 * rpc_client.c - calls that come to all kinds of outcomes, over one connection at once.
 *
 * A call is embedded in what it belongs to, here a question. Each has exactly one outcome, in a
 * turn, and none waits for another: replies come in the order in which they are given.
 *
 *   rpc_server              in another terminal
 *   rpc_client [ADDRESS]    ADDRESS is 127.0.0.1:7000 unless given
 *
 * Prints:
 *
 *   echo hello: replied, hello
 *   sing: refused, want: echo TEXT, or later MS TEXT
 *   later 60000 too late: timed out
 *   later 60000 unwanted: cancelled
 *   later 600 patience: replied, patience
 *
 * Exits 0 when the last call was replied to.
 */
#include <stdio.h>
#include <string.h>

#include <rota/servicemodel.h>

struct question {
	const char *text;
	rota_time timeout; /* 0: the client's, which is 10 s */
	struct rota_call call;
	enum rota_outcome outcome;
};

static struct question questions[] = {
	{ .text = "echo hello" },
	{ .text = "sing" },
	{ .text = "later 60000 too late", .timeout = 300 * ROTA_MILLISECOND },
	{ .text = "later 60000 unwanted" },
	{ .text = "later 600 patience" },
};

#define COUNT (sizeof questions / sizeof questions[0])

static struct question *const unwanted = &questions[3];
static struct question *const last = &questions[4];

static void
on_drained(struct rota_client *client, void *userdata)
{
	(void)userdata;
	rota_context_stop(rota_client_context(client));
}

static void
on_done(struct rota_call *call, const struct rota_answer *answer)
{
	struct question *question = rota_container_of(call, struct question, call);
	struct rota_client *client = call->userdata;

	printf("%s: %s", question->text, rota_outcome_name(answer->outcome));
	if (answer->outcome == ROTA_CALL_REPLIED)
		printf(", %.*s", (int)answer->len, (const char *)answer->bytes);
	else if (answer->outcome == ROTA_CALL_REFUSED || answer->outcome == ROTA_CALL_LOST)
		printf(", %s", answer->text);
	putchar('\n');

	/* Its outcome follows, but not inside this. */
	if (answer->outcome == ROTA_CALL_TIMED_OUT)
		(void)rota_call_cancel(&unwanted->call);
	question->outcome = answer->outcome;
	if (rota_client_running(client) == 0)
		(void)rota_client_drain(client, on_drained, NULL);
}

static int
ask_all(struct rota_client *client)
{
	int r = 0;

	for (size_t i = 0; i < COUNT && r >= 0; i++) {
		struct question *question = &questions[i];

		rota_call_init(&question->call, on_done);
		question->call.timeout = question->timeout;
		question->call.userdata = client;
		/* The text is not copied: it stays until on_done. */
		r = rota_call(client, &question->call, question->text, strlen(question->text));
	}
	return r;
}

static int
ask_at(struct rota_context *ctx, const char *address)
{
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;
	const char *const targets[] = { address, NULL };
	struct rota_client *client;
	int r;

	options.targets = targets;
	options.framing = (struct rota_framing){ .ops = &rota_framing_length32, .limit = 4096 };
	options.order = ROTA_DIALOG_BY_ID;
	r = rota_client_new(ctx, &options, &client);
	if (r < 0)
		return r;
	r = ask_all(client);
	if (r >= 0)
		r = rota_iterate(ctx, NULL);
	rota_client_free(client);
	return r;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	r = rota_context_new(&ctx);
	if (r >= 0)
		r = ask_at(ctx, address);
	rota_context_free(ctx);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", address, rota_strerror(r, reason, sizeof(reason)));
	return r < 0 || last->outcome != ROTA_CALL_REPLIED;
}
