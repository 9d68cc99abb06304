/* SPDX-License-Identifier: MIT */
/*
 * What has to hold of a run. It is: listen, connect, play until all is over, lift the faults; then
 *
 *   I1  it got here, in a bounded number of turns;
 *   I2  nothing is left of it: descriptors, blocks of memory, streams;
 *   I3  each had one on_close, the last of its handlers (the sides see to that), a relay one end;
 *   I4  what was received is a prefix of what was sent, and all of it if it ended clean;
 *   I6  an idle context has nothing to do;
 *   I7  a new connection on the same context echoes within a second;
 *   I8  the accounts are those of the kernel, and an errno that matters is told to somebody.
 *
 * A fault that changes nothing (EINTR, EAGAIN, a connection that was aborted before it was accepted
 * …) must leave the outcome as it was without.
 */
#include "scenario_run.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "faulty_allocator.h"
#include "sim_context.h"

#define CUT_SAYS ((size_t)24)
#define CUT_MESSAGE ((size_t)7)

/* How many percent of the idle targets are told to be ready, with an order. */
#define SPURIOUS 3

static bool
has_faults(const struct run *run)
{
	return run->faults[0].at + run->faults[1].at > 0;
}

/* The error that a fault gives, negative. */
static int
error_of(const struct fault *fault)
{
	return fault->is_of_memory ? -ENOMEM : -fault->error;
}

static bool
gives(const struct run *run, int error)
{
	for (size_t i = 0; i < RUN_FAULTS; i++) {
		if (run->faults[i].at > 0 && error_of(&run->faults[i]) == error)
			return true;
	}
	return false;
}

static bool
has_fault_of(const struct run *run, enum faulty_call call)
{
	return (run->faults[0].at > 0 && run->faults[0].call == call) ||
		(run->faults[1].at > 0 && run->faults[1].call == call);
}

/* Whether somebody must be told of it. */
static bool
must_surface(const struct run *run, const struct fault *fault)
{
	if (fault->is_of_memory || fault->for_ever)
		return false;
	switch (fault->call) {
	case FAULTY_RECV:
	case FAULTY_SEND:
	case FAULTY_SENDMSG:
		/* Of what TLS sends besides, a ticket may be lost without harm. */
		return run->scenario->is_exact && !run->setting->transport->is_sealed;
	case FAULTY_SOCKET:
	case FAULTY_BIND:
	case FAULTY_LISTEN:
	case FAULTY_ACCEPT4:
		return true;
	case FAULTY_CONNECT:
		/* What a full backlog of a unix socket says: it is tried again. */
		return fault->error != EAGAIN;
	default:
		return false;
	}
}

static bool
was_told(const struct run *run, int error)
{
	return run->listen_error == error || run->door.error == error ||
		run->relay_door.error == error || run->relay_error == error ||
		run->client.side.why.error == error || run->server.side.why.error == error ||
		run->relayed.a.error == error || run->relayed.b.error == error;
}

/* Checking */

/* In real time, on a busy machine, the short timeouts of a run with faults may come first. */
static bool
may_be_late(const struct run *run)
{
	return run->setting->host->kind != FIXTURE_SIMULATED && !scenario_is_undisturbed(run);
}

static void
check_reason(const struct run *run, const struct player *player, enum rota_reason usual)
{
	const struct rota_close_info *why = &player->side.why;

	if (player->side.closes == 0 || why->reason == usual)
		return;
	if (usual == ROTA_REASON_RESET && run->setting->transport->cannot_reset &&
		why->reason ==
			(run->setting->transport->is_sealed ? ROTA_REASON_TRUNCATED
							    : ROTA_REASON_CLEAN))
		return;
	check_run(run, run->hits > 0 || may_be_late(run), "the reason is not the right one");
	switch (why->reason) {
	case ROTA_REASON_CLEAN:
	case ROTA_REASON_RESET:
	case ROTA_REASON_TIMEOUT_IDLE:
	case ROTA_REASON_TIMEOUT_WRITE_STALL:
	case ROTA_REASON_TIMEOUT_HALF_CLOSED:
	case ROTA_REASON_TIMEOUT_CLOSE:
	case ROTA_REASON_TIMEOUT_CONNECT:
		return;
	case ROTA_REASON_TRUNCATED:
	case ROTA_REASON_TIMEOUT_HANDSHAKE:
		check_run(run, run->setting->transport->is_sealed, "that is for TLS");
		return;
	case ROTA_REASON_TLS:
		/*
		 * OpenSSL forgives the loss of a ticket, behind which no socket works any more:
		 * this one does, and what it carries makes no sense to the peer.
		 */
		check_run(run, run->setting->transport->is_sealed && has_fault_of(run, FAULTY_SEND),
			"that is for TLS");
		return;
	case ROTA_REASON_REFUSED:
		check_run(run, has_fault_of(run, FAULTY_CONNECT), "nobody refused");
		return;
	case ROTA_REASON_SYSTEM:
		check_run(run, gives(run, why->error), "it tells another errno");
		return;
	case ROTA_REASON_LOCAL:
	case ROTA_REASON_CANCELLED:
		check_run(run, player->has_given_up, "it did not end itself");
		return;
	default:
		check_run(run, false, "it tells a reason that cannot be");
	}
}

/*
 * Of two faults that both must be told, the first to happen may hide the other; one that need not
 * be told may hide it as well.
 */
static void
check_surfaced(const struct run *run)
{
	bool must_any_be_told = false;
	bool was_any_told = false;
	uint64_t planned = 0;

	for (size_t i = 0; i < RUN_FAULTS; i++) {
		const struct fault *fault = &run->faults[i];

		planned += fault->at > 0;
		if (fault->at == 0 || scenario_is_transparent(fault))
			continue;
		if (!must_surface(run, fault))
			return;
		must_any_be_told = true;
		was_any_told |= was_told(run, -fault->error);
	}
	if (must_any_be_told && run->hits >= planned)
		check_run(run, was_any_told, "nobody was told of the error");
}

static void
check_same(const struct run *run, const struct usual *usual)
{
	if (usual == NULL || !run->scenario->is_exact || !scenario_is_undisturbed(run))
		return;
	check_run(run,
		run->client.side.why.reason == usual->reasons[0] &&
			run->server.side.why.reason == usual->reasons[1],
		"a fault that should not be seen changed a reason");
	check_run(run,
		run->client.side.received_len == usual->received[0] &&
			run->server.side.received_len == usual->received[1],
		"a fault that should not be seen lost bytes");
}

/* What a relay says that it got is there, and what it sent comes from there. */
static void
check_relay(const struct run *run)
{
	const struct rota_relay_result *result = &run->relayed;

	if (!run->was_relayed)
		return;
	check_run(run,
		player_received(&run->server) <= result->b.sent &&
			result->b.sent <= result->a.received &&
			result->a.received <= player_sent(&run->client),
		"the relay's account of what went to the server is wrong");
	check_run(run,
		player_received(&run->client) <= result->a.sent &&
			result->a.sent <= result->b.received &&
			result->b.received <= player_sent(&run->server),
		"the relay's account of what went to the client is wrong");
}

/* A relay's reset that shows as an end: the transport has no other, or SO_LINGER failed. */
static bool
can_be_cut(const struct run *run, const struct rota_relay_side *relayed)
{
	bool cannot_reset = run->setting->transport->cannot_reset ||
		(run->hits > 0 && has_fault_of(run, FAULTY_SETSOCKOPT));

	return run->setting->passage != PASSAGE_DIRECT && cannot_reset &&
		(!run->was_relayed || relayed->reason != ROTA_REASON_CLEAN);
}

static void
check_players(const struct run *run)
{
	const struct rota_relay_result *relayed = &run->relayed;
	const char *wrong = player_check(&run->client, &run->server, can_be_cut(run, &relayed->a));

	if (wrong == NULL)
		wrong = player_check(&run->server, &run->client, can_be_cut(run, &relayed->b));
	check_run(run, wrong == NULL, wrong);
	check_run(run, run->door.closes <= 1 && run->relay_door.closes <= 1,
		"a listener closed twice");
	check_relay(run);
	check_reason(run, &run->client, run->scenario->client_reason);
	check_reason(run, &run->server, run->scenario->server_reason);
}

/* Without a fault, both are as the table says. */
static void
check_usual(const struct run *run)
{
	check_run(run, run->client.side.closes == 1 && run->server.side.closes == 1,
		"not both are over");
	if (!run->scenario->is_exact)
		return;
	check_run(run,
		run->server.side.received_len == run->client.accepted &&
			run->client.side.received_len == run->server.accepted,
		"not everything arrived");
}

/* The context is as good as new: an echo, then nothing to do. How long that took. */
static rota_time
run_canary(struct run *run)
{
	static const struct scenario canary = {
		.name = "canary",
		.client = { .says = 100, .ending = ENDS_WHEN_SAID },
		.server = { .echoes = true, .ending = ENDS_AT_END },
		.is_exact = true,
	};
	struct setting setting = *run->setting;
	struct run after = {
		.scenario = &canary,
		.setting = &setting,
		.ctx = run->ctx,
		.canary_of = run,
	};
	rota_time since = rota_context_now(run->ctx);

	setting.is_cut = false;
	tally_reset();
	check_run(run, rota_context_streams(run->ctx) == 0, "streams are left");
	player_init(&after.client, "canary's client", &canary.client);
	player_init(&after.server, "canary's server", &canary.server);
	after.client.is_sealed = after.server.is_sealed = setting.transport->is_sealed;
	scenario_play(&after);
	check_run(&after, after.client.side.received_len == 100, "new work does not succeed");
	check_usual(&after);
	check_players(&after);
	since = rota_context_now(run->ctx) - since;
	check_run(run, rota_dispatch_once(run->ctx, 0, NULL) == 0, "the context is not idle");
	player_fini(&after.client, run->ctx);
	player_fini(&after.server, run->ctx);
	return since;
}

/* Within a second. In real time the second may be somebody else's: then one of three does. */
static void
check_canary(struct run *run)
{
	int left = run->setting->host->kind != FIXTURE_SIMULATED ? 3 : 1;
	rota_time took;

	do
		took = run_canary(run);
	while (took > ROTA_SECOND && --left > 0);
	check_run(run, took <= ROTA_SECOND, "new work takes too long");
}

static void
shrink(struct script *script)
{
	if (script->says > CUT_SAYS)
		script->says = CUT_SAYS;
	if (script->message == 0 || script->message > CUT_MESSAGE)
		script->message = CUT_MESSAGE;
	if (script->hears > CUT_SAYS / 2)
		script->hears = CUT_SAYS / 2;
	if (script->pauses > CUT_SAYS / 2)
		script->pauses = CUT_SAYS / 2;
}

/* Sets up all but the faults. */
static void
open_run(struct run *run, struct script *client, struct script *server)
{
	if (run->setting->is_cut) {
		shrink(client);
		shrink(server);
	}
	fixture_open(&run->fixture, run->setting->host->kind);
	run->ctx = run->fixture.ctx;
	run->ctx->sys = tally_sys();
	if (run->setting->order != 0) {
		sim_of(run->ctx)->random = run->setting->order;
		sim_of(run->ctx)->spurious = SPURIOUS;
	}
	if (run->setting->transport->open != NULL)
		run->setting->transport->open();
	tally_reset();
	side_reset();
	player_init(&run->client, "client", client);
	player_init(&run->server, "server", server);
	run->client.is_sealed = run->server.is_sealed = run->setting->transport->is_sealed;
}

static void
keep_usual(const struct run *run, struct usual *ret_usual)
{
	const struct side *client = &run->client.side;
	const struct side *server = &run->server.side;

	*ret_usual = (struct usual){
		.reasons = { client->why.reason, server->why.reason },
		.received = { client->received_len, server->received_len },
		.allocations = run->allocations,
	};
	memcpy(ret_usual->calls, run->calls, sizeof ret_usual->calls);
}

uint64_t
scenario_run(const struct scenario_case *of, const struct fault faults[RUN_FAULTS],
	const struct usual *usual, struct usual *ret_usual)
{
	struct run run = {
		.scenario = of->scenario,
		.setting = &of->setting,
		.faults = { faults[0], faults[1] },
	};
	struct script client = of->scenario->client;
	struct script server = of->scenario->server;

	scenario_counts.runs++;
	open_run(&run, &client, &server);
	scenario_plan(&run);
	scenario_play(&run);
	check_players(&run);
	check_surfaced(&run);
	check_same(&run, usual);
	if (!has_faults(&run))
		check_usual(&run);
	if (ret_usual != NULL)
		keep_usual(&run, ret_usual);
	check_canary(&run);
	player_fini(&run.client, run.ctx);
	player_fini(&run.server, run.ctx);
	if (of->setting.transport->close != NULL)
		of->setting.transport->close();
	check_run(&run, fixture_close(&run.fixture) == 0, "something is left");
	return run.hits;
}
