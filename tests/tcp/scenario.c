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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>
#include <rota/listener.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "stream.h"

#define MOST_TURNS 4000
#define CUT_SAYS ((size_t)24)
#define CUT_MESSAGE ((size_t)7)

struct fault {
	enum faulty_call call;
	uint64_t at; /* 0: none */
	bool for_ever;
	int error;
	bool is_of_memory;
};

struct outcome {
	enum rota_reason reasons[2];
	size_t received[2];
};

struct run {
	const struct scenario *scenario;
	const struct setting *setting;
	struct fault fault;
	bool was_hit;
	struct fixture fixture;
	struct rota_context *ctx;
	struct player client;
	struct player server;
	struct rota_listener *listener;
	bool is_accepted;
	unsigned listener_closes;
	int listener_error;
	int listen_error;
	unsigned turns;
	uint64_t calls[FAULTY_ANY];
	uint64_t allocations;
};

static uint64_t runs;

uint64_t
scenario_runs(void)
{
	return runs;
}

static void
tell(const struct run *run)
{
	const struct fault *fault = &run->fault;

	print_error("scenario %s, %s, %s, %s: ", run->scenario->name, run->setting->transport->name,
		run->setting->host->name, run->setting->is_cut ? "byte by byte" : "whole");
	if (fault->at == 0)
		print_error("no fault\n");
	else
		print_error("%s %llu fails%s: %s\n",
			fault->is_of_memory ? "allocation" : faulty_sys_name(fault->call),
			(unsigned long long)fault->at, fault->for_ever ? " for ever" : "",
			fault->is_of_memory ? "no memory" : strerror(fault->error));
}

#define check(run, condition, what) \
	do { \
		if (!(condition)) \
			fail_run((run), (what), __FILE__, __LINE__); \
	} while (0)

static void
tell_player(const struct player *player)
{
	const struct rota_close_info *why = &player->side.why;

	if (player->side.closes > 0)
		print_error("    %s: %s, error %d, while %s; took %llu, received %zu, unsent %llu, "
			    "unread %llu\n",
			player->side.name, rota_reason_name(why->reason), why->error,
			rota_phase_name(why->phase), (unsigned long long)player->accepted,
			player->side.received_len, (unsigned long long)why->unsent,
			(unsigned long long)why->unread);
	else
		print_error("    %s: not closed\n", player->side.name);
}

static void
fail_run(const struct run *run, const char *what, const char *file, int line)
{
	tell(run);
	print_error("    %s (listen: %d, listener: %d, %u turns)\n", what, run->listen_error,
		run->listener_error, run->turns);
	tell_player(&run->client);
	tell_player(&run->server);
	_fail(file, line);
}

/* Faults */

static void
plan(const struct run *run)
{
	const struct fault *fault = &run->fault;

	faulty_sys_reset();
	faulty_allocator_reset();
	faulty_sys_cut(run->setting->is_cut ? 1 : 0);
	if (fault->at > 0 && fault->is_of_memory)
		faulty_allocator_fail(fault->at, fault->for_ever);
	else if (fault->at > 0)
		faulty_sys_fail(fault->call, fault->at, fault->for_ever, fault->error);
}

static void
lift(struct run *run)
{
	for (int call = 0; call < FAULTY_ANY; call++)
		run->calls[call] = faulty_sys_calls((enum faulty_call)call);
	run->allocations = faulty_allocator_calls();
	run->was_hit = faulty_sys_failed() + faulty_allocator_failed() > 0;
	faulty_sys_reset();
	faulty_allocator_reset();
}

/* Whether a fault must leave the outcome as it is. */
static bool
is_transparent(const struct fault *fault)
{
	if (fault->is_of_memory || fault->for_ever)
		return false;
	switch (fault->call) {
	case FAULTY_RECV:
	case FAULTY_SEND:
	case FAULTY_SENDMSG:
		return fault->error == EINTR || fault->error == EAGAIN;
	case FAULTY_ACCEPT4:
		return fault->error != EBADF && fault->error != EINVAL && fault->error != ENOTSOCK;
	case FAULTY_CONNECT:
		return fault->error == EINTR;
	case FAULTY_GETPEERNAME:
		return fault->error == ENOTCONN;
	case FAULTY_CLOSE:
		return true;
	default:
		return false;
	}
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

/* Playing */

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct run *run = userdata;

	(void)listener;
	if (run->is_accepted ||
		(run->client.side.stream != NULL &&
			!are_connected(stream->target.fd, run->client.side.stream->target.fd))) {
		dismiss(stream);
		return;
	}
	run->is_accepted = true;
	rota_stream_set_userdata(stream, &run->server.side);
	player_begin(&run->server, stream);
}

static void
on_listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct run *run = userdata;

	(void)listener;
	run->listener = NULL;
	run->listener_closes++;
	run->listener_error = why->error;
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = on_accept,
	.on_close = on_listener_close,
};

static struct rota_stream_options
options_for(const struct run *run, bool is_server)
{
	const struct scenario *scenario = run->scenario;
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;

	options.handlers = player_handlers(is_server ? &run->server : &run->client);
	if (run->fault.at > 0 && !is_transparent(&run->fault)) {
		options.connect_timeout = options.idle_timeout = run->setting->host->timeout;
		options.write_stall_timeout = options.half_closed_timeout = options.idle_timeout;
		options.close_timeout = options.idle_timeout;
	}
	if (scenario->input_limit > 0)
		options.input_limit = scenario->input_limit;
	if (scenario->output_high > 0) {
		options.output_high = scenario->output_high;
		options.output_low = scenario->output_low;
	}
	if (run->setting->transport->prepare != NULL)
		run->setting->transport->prepare(&options, is_server);
	return options;
}

/* A listener, and its address. What failed, or 0. */
static int
open_listener(struct run *run, struct rota_address *ret_address)
{
	static unsigned count;
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	char text[64];
	int r;

	options.stream = options_for(run, true);
	/* The format is one of the transports' own, not somebody else's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, run->setting->transport->address, (int)getpid(), count++);
#pragma GCC diagnostic pop
	r = rota_listen(run->ctx, text, &options, &listener_handlers, run, &run->listener);
	if (r < 0)
		return r;
	r = rota_listener_address(run->listener, ret_address);
	return r < 0 ? rota_listener_address(run->listener, ret_address) : 0;
}

/* What failed before there was a stream, or 0. */
static int
begin(struct run *run)
{
	struct rota_stream_options options = options_for(run, false);
	struct rota_address address;
	struct rota_stream *stream;
	int r = open_listener(run, &address);

	if (r < 0)
		return r;
	r = rota_connect_address(run->ctx, &address, &options, &run->client.side, &stream);
	if (r >= 0)
		player_begin(&run->client, stream);
	return r;
}

static void
turn(struct run *run, rota_time timeout)
{
	run->turns++;
	check(run, run->turns < MOST_TURNS, "it does not come to an end");
	check(run, rota_dispatch_once(run->ctx, timeout, NULL) >= 0, "a dispatch failed");
}

static bool
is_over(const struct player *player)
{
	return player->side.stream == NULL || player->side.closes > 0;
}

static void
close_listener(struct run *run)
{
	if (run->listener != NULL)
		rota_listener_close(run->listener);
	while (run->listener != NULL)
		turn(run, 0);
}

static void
play(struct run *run)
{
	run->listen_error = begin(run);
	while (!is_over(&run->client))
		turn(run, ROTA_MINUTE);
	/* Nobody is accepted any more; who was, plays on to his end. */
	close_listener(run);
	while (!is_over(&run->server))
		turn(run, ROTA_MINUTE);
	lift(run);
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
	check(run, run->was_hit, "the reason is not the right one");
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
		check(run, run->fault.call == FAULTY_CONNECT, "nobody refused");
		return;
	case ROTA_REASON_SYSTEM:
		check(run, why->error == -error, "it tells another errno");
		return;
	case ROTA_REASON_LOCAL:
	case ROTA_REASON_CANCELLED:
		check(run, player->has_given_up, "it did not end itself");
		return;
	default:
		check(run, false, "it tells a reason that cannot be");
	}
}

static void
check_surfaced(const struct run *run)
{
	int error = -run->fault.error;

	if (!run->was_hit || is_transparent(&run->fault) || run->fault.is_of_memory ||
		!must_surface(run) || run->fault.for_ever)
		return;
	check(run,
		run->listen_error == error || run->listener_error == error ||
			run->client.side.why.error == error || run->server.side.why.error == error,
		"nobody was told of the error");
}

static void
check_same(const struct run *run, const struct outcome *usual)
{
	if (usual == NULL || !run->scenario->is_exact || !is_transparent(&run->fault))
		return;
	check(run,
		run->client.side.why.reason == usual->reasons[0] &&
			run->server.side.why.reason == usual->reasons[1],
		"a fault that should not be seen changed a reason");
	check(run,
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
	check(run, wrong == NULL, wrong);
	check_reason(run, &run->client, run->scenario->client_reason);
	check_reason(run, &run->server, run->scenario->server_reason);
}

/* Without a fault, both are as the table says. */
static void
check_usual(const struct run *run)
{
	check(run, run->client.side.closes == 1 && run->server.side.closes == 1,
		"not both are over");
	if (!run->scenario->is_exact)
		return;
	check(run,
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
	struct run after = { .scenario = &canary, .setting = &setting, .ctx = run->ctx };
	rota_time since = rota_context_now(run->ctx);

	setting.is_cut = false;
	tally_reset();
	check(run, rota_context_streams(run->ctx) == 0, "streams are left");
	player_init(&after.client, "canary's client", &canary.client);
	player_init(&after.server, "canary's server", &canary.server);
	play(&after);
	check(run, after.client.side.received_len == 100, "new work does not succeed");
	check_usual(&after);
	check_players(&after);
	check(run, rota_context_now(run->ctx) - since <= ROTA_SECOND, "new work takes too long");
	check(run, rota_dispatch_once(run->ctx, 0, NULL) == 0, "the context is not idle");
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
	plan(run);
	play(run);
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
	check(run, fixture_close(&run->fixture) == 0, "something is left");
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
	if (calls == 0 || is_transparent(&fault))
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
