/* SPDX-License-Identifier: MIT */
/*
 * Running scenarios. A run is: listen, connect, play until both are over, lift the fault; then
 *
 *   I1  it got here, in a bounded number of turns;
 *   I2  nothing is left of it: descriptors, blocks of memory, streams;
 *   I3  each had one on_close, the last of its handlers (the sides see to that);
 *   I4  what was received is a prefix of what was sent, and all of it if it ended clean;
 *   I6  an idle context has nothing to do;
 *   I7  a new connection on the same context echoes within a second;
 *   I8  the accounts are those of the kernel, and an errno that matters is told to somebody.
 *
 * A fault that changes nothing (EINTR, EAGAIN, a connection that was aborted before it was accepted
 * …) must leave the outcome as it was without.
 */
#include "scenario.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "faulty_allocator.h"
#include "scenario_run.h"

#define CUT_SAYS ((size_t)24)
#define CUT_MESSAGE ((size_t)7)

struct outcome {
	enum rota_reason reasons[2];
	size_t received[2];
};

static uint64_t runs;

uint64_t
scenario_runs(void)
{
	return runs;
}

/* Whether somebody must be told of it. */
static bool
must_surface(const struct run *run)
{
	switch (run->fault.call) {
	case FAULTY_RECV:
	case FAULTY_SEND:
	case FAULTY_SENDMSG:
		return run->scenario->is_exact;
	case FAULTY_SOCKET:
	case FAULTY_BIND:
	case FAULTY_LISTEN:
	case FAULTY_ACCEPT4:
		return true;
	case FAULTY_CONNECT:
		/* What a full backlog of a unix socket says: it is tried again. */
		return run->fault.error != EAGAIN;
	default:
		return false;
	}
}

/* Checking */

static void
check_reason(const struct run *run, const struct player *player, enum rota_reason usual)
{
	const struct rota_close_info *why = &player->side.why;
	int error = run->fault.is_of_memory ? ENOMEM : run->fault.error;

	if (player->side.closes == 0 || why->reason == usual)
		return;
	if (usual == ROTA_REASON_RESET && run->setting->transport->cannot_reset &&
		why->reason == ROTA_REASON_CLEAN)
		return;
	check_run(run, run->was_hit, "the reason is not the right one");
	switch (why->reason) {
	case ROTA_REASON_CLEAN:
	case ROTA_REASON_RESET:
	case ROTA_REASON_TIMEOUT_IDLE:
	case ROTA_REASON_TIMEOUT_WRITE_STALL:
	case ROTA_REASON_TIMEOUT_HALF_CLOSED:
	case ROTA_REASON_TIMEOUT_CLOSE:
	case ROTA_REASON_TIMEOUT_CONNECT:
		return;
	case ROTA_REASON_REFUSED:
		check_run(run, run->fault.call == FAULTY_CONNECT, "nobody refused");
		return;
	case ROTA_REASON_SYSTEM:
		check_run(run, why->error == -error, "it tells another errno");
		return;
	case ROTA_REASON_LOCAL:
	case ROTA_REASON_CANCELLED:
		check_run(run, player->has_given_up, "it did not end itself");
		return;
	default:
		check_run(run, false, "it tells a reason that cannot be");
	}
}

static void
check_surfaced(const struct run *run)
{
	int error = -run->fault.error;

	if (!run->was_hit || scenario_is_transparent(&run->fault) || run->fault.is_of_memory ||
		!must_surface(run) || run->fault.for_ever)
		return;
	check_run(run,
		run->listen_error == error || run->listener_error == error ||
			run->client.side.why.error == error || run->server.side.why.error == error,
		"nobody was told of the error");
}

static void
check_same(const struct run *run, const struct outcome *usual)
{
	if (usual == NULL || !run->scenario->is_exact || !scenario_is_transparent(&run->fault))
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

static void
check_players(const struct run *run)
{
	const char *wrong = player_check(&run->client, &run->server);

	if (wrong == NULL)
		wrong = player_check(&run->server, &run->client);
	check_run(run, wrong == NULL, wrong);
	check_run(run, run->listener_closes <= 1, "the listener closed twice");
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

/* The context is as good as new: an echo within a second, then nothing to do. */
static void
check_canary(struct run *run)
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
	scenario_play(&after);
	check_run(&after, after.client.side.received_len == 100, "new work does not succeed");
	check_usual(&after);
	check_players(&after);
	check_run(run, rota_context_now(run->ctx) - since <= ROTA_SECOND,
		"new work takes too long");
	check_run(run, rota_dispatch_once(run->ctx, 0, NULL) == 0, "the context is not idle");
	player_fini(&after.client, run->ctx);
	player_fini(&after.server, run->ctx);
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

static void
run_once(struct run *run, const struct outcome *usual, struct outcome *ret_outcome)
{
	struct script client = run->scenario->client;
	struct script server = run->scenario->server;

	runs++;
	if (run->setting->is_cut) {
		shrink(&client);
		shrink(&server);
	}
	fixture_open(&run->fixture, run->setting->host->kind);
	run->ctx = run->fixture.ctx;
	run->ctx->sys = tally_sys();
	tally_reset();
	side_reset();
	player_init(&run->client, "client", &client);
	player_init(&run->server, "server", &server);
	scenario_plan(run);
	scenario_play(run);
	check_players(run);
	check_surfaced(run);
	check_same(run, usual);
	if (run->fault.at == 0)
		check_usual(run);
	if (ret_outcome != NULL)
		*ret_outcome = (struct outcome){
			{ run->client.side.why.reason, run->server.side.why.reason },
			{ run->client.side.received_len, run->server.side.received_len },
		};
	check_canary(run);
	player_fini(&run->client, run->ctx);
	player_fini(&run->server, run->ctx);
	check_run(run, fixture_close(&run->fixture) == 0, "something is left");
}

static void
run_with(const struct scenario_case *of, struct fault fault, const struct outcome *usual)
{
	struct run run = { .scenario = of->scenario, .setting = &of->setting, .fault = fault };

	run_once(&run, usual, NULL);
}

/* What a run without faults comes to, and how often it calls and allocates. */
struct usual {
	struct outcome outcome;
	uint64_t calls[FAULTY_ANY];
	uint64_t allocations;
};

static void
run_usual(const struct scenario_case *of, struct usual *ret_usual)
{
	struct run run = { .scenario = of->scenario, .setting = &of->setting };

	run_once(&run, NULL, &ret_usual->outcome);
	memcpy(ret_usual->calls, run.calls, sizeof ret_usual->calls);
	ret_usual->allocations = run.allocations;
}

void
scenario_runs_without_faults(void **state)
{
	struct usual usual;

	run_usual(*state, &usual);
}

/* Each time that this call is made, it fails with this errno; the first time, also for ever. */
static void
run_with_errno(const struct scenario_case *of, const struct usual *usual, enum faulty_call call,
	int error)
{
	struct fault fault = { .call = call, .error = error };
	uint64_t calls = usual->calls[call];

	for (fault.at = 1; fault.at <= calls; fault.at++)
		run_with(of, fault, &usual->outcome);
	/* Interrupted for ever, or never ready though the kernel says so: no kernel does that. */
	if (calls == 0 || scenario_is_transparent(&fault))
		return;
	fault.at = 1;
	fault.for_ever = true;
	run_with(of, fault, &usual->outcome);
}

void
scenario_survives_the_system(void **state)
{
	struct usual usual;

	run_usual(*state, &usual);
	for (int call = 0; call < FAULTY_ANY; call++) {
		const int *errors = faulty_sys_errors((enum faulty_call)call);

		for (; *errors != 0; errors++)
			run_with_errno(*state, &usual, (enum faulty_call)call, *errors);
	}
}

void
scenario_survives_want_of_memory(void **state)
{
	struct fault fault = { .is_of_memory = true };
	struct usual usual;

	run_usual(*state, &usual);
	for (fault.at = 1; fault.at <= usual.allocations; fault.at++) {
		fault.for_ever = false;
		run_with(*state, fault, &usual.outcome);
		fault.for_ever = true;
		run_with(*state, fault, &usual.outcome);
	}
}
