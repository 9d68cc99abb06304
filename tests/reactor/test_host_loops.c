/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: what a program with a main loop of its own counts on. Several contexts,
 * contexts that move, a loop that pauses, forks, blocking calls in the loop's callbacks, and an
 * idle process that sleeps.
 */
#include <rota/graft.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/timer.h>

#include "fixture.h"
#include "host.h"
#include "peer.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	return fixture->ctx;
}

/* Contexts and hosts */

static void
contexts__two_on_one_host__are_served_both(void **state)
{
	struct rota_context *a = context_of(state);
	struct rota_dispatchvars vars[2] = { ROTA_DISPATCHVARS_INIT, ROTA_DISPATCHVARS_INIT };
	struct rota_context *b;
	struct host hosts[2];
	struct peer peers[2];

	assert_int_equal(rota_context_new(&b), 0);
	assert_int_equal(host_attach(&hosts[0], a, &vars[0]), 0);
	assert_int_equal(host_attach(&hosts[1], b, &vars[1]), 0);
	peer_open(a, &peers[0], "a");
	peer_open(b, &peers[1], "b");
	for (int i = 0; i < 100; i++) {
		write_byte(peers[i % 2].pair[1]);
		assert_int_equal(host_wait(&hosts[i % 2], ROTA_SECOND), ROTA_CONTINUE);
		assert_trace(i % 2 == 0 ? "a:1" : "b:1");
	}
	rota_context_stop(a);
	assert_int_equal(host_wait(&hosts[0], ROTA_SECOND), ROTA_STOP);
	write_byte(peers[1].pair[1]);
	assert_int_equal(host_wait(&hosts[1], ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("b:1");
	assert_int_equal(hosts[0].empty + hosts[1].empty, 0);
	peer_close(a, &peers[0]);
	peer_close(b, &peers[1]);
	host_detach(&hosts[0]);
	host_detach(&hosts[1]);
	assert_int_equal(rota_context_free(b), 0);
}

/* One context's handler removes the other's graft, whose event the host has seen already. */

static struct {
	struct host hosts[2];
	unsigned calls;
} rivals;

static int
remove_other(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rivals.calls++;
	rota_graft_remove(rivals.hosts[ctx == rivals.hosts[0].ctx ? 1 : 0].graft);
	return 0;
}

static void
contexts__one_removes_the_others_graft__is_the_only_one_served(void **state)
{
	struct rota_context *contexts[2] = { context_of(state) };
	struct rota_dispatchvars vars[2] = { ROTA_DISPATCHVARS_INIT, ROTA_DISPATCHVARS_INIT };
	struct peer peers[2];

	rivals.calls = 0;
	assert_int_equal(rota_context_new(&contexts[1]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(host_attach(&rivals.hosts[i], contexts[i], &vars[i]), 0);
		peer_open(contexts[i], &peers[i], "io");
		peers[i].then = remove_other;
		write_byte(peers[i].pair[1]);
	}
	for (int i = 0; i < 5; i++)
		host_chosen()->run(0);
	assert_int_equal(rivals.calls, 1);
	for (int i = 0; i < 2; i++) {
		peer_close(contexts[i], &peers[i]);
		host_detach(&rivals.hosts[i]);
	}
	assert_int_equal(rota_context_free(contexts[1]), 0);
	trace_clear();
}

/* From each host to each, and to rota_iterate between; what has come meanwhile is not lost. */
static void
context__moved_between_hosts__loses_nothing(void **state)
{
	const struct host_kind *own = host_chosen();
	struct rota_context *ctx = context_of(state);
	struct peer peer;

	peer_open(ctx, &peer, "io");
	for (size_t i = 0; host_kinds[i] != NULL; i++) {
		const struct host_kind *kinds[] = { own, host_kinds[i] };

		for (int k = 0; k < 2; k++) {
			struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
			struct host host;

			host_choose(kinds[k]);
			write_byte(peer.pair[1]);
			assert_int_equal(host_attach(&host, ctx, &vars), 0);
			assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
			assert_trace("io:1");
			write_byte(peer.pair[1]);
			host_detach(&host);
			trace_clear();
			write_byte(peer.pair[1]);
			vars.count = 1;
			assert_int_equal(rota_iterate(ctx, &vars), ROTA_ENDED_COUNT);
			trace_clear();
		}
	}
	host_choose(own);
	peer_close(ctx, &peer);
}

/* Between two runs of the loop things happen; they are waiting when it runs again. */
static void
loop__quits_and_runs_again__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;
	struct peer early;
	struct peer late;

	peer_open(ctx, &early, "early");
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	write_byte(early.pair[1]);
	assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("early:1");
	write_byte(early.pair[1]);
	peer_open(ctx, &late, "late");
	write_byte(late.pair[1]);
	rota_target_stop(ctx, &early.target);
	while (host_is_woken(&host))
		assert_int_equal(host_wait(&host, 0), ROTA_CONTINUE);
	assert_trace("late:1");
	assert_int_equal(host.empty, 0);
	host_detach(&host);
	peer_close(ctx, &early);
	peer_close(ctx, &late);
}

/* Blocking calls */

static struct {
	struct rota_context *ctx;
	struct peer *peer;
	int in_host;    /* what rota_wait said there */
	int in_handler; /* and here */
} blocking;

static bool
is_never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

static int
wait_in_handler(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	blocking.in_handler = rota_wait(ctx, is_never, NULL, ROTA_SECOND);
	return 0;
}

static void
wait_in_host(void *argument)
{
	(void)argument;
	write_byte(blocking.peer->pair[1]);
	blocking.peer->calls = 0;
	blocking.in_host = rota_wait(blocking.ctx, peer_is_called, blocking.peer, 10 * ROTA_SECOND);
	blocking.peer->then = wait_in_handler;
}

static void
facade__in_each_of_the_hosts_callbacks__works_and_is_refused_in_handlers(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (unsigned callback = 0; callback < host_chosen()->callbacks; callback++) {
		struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
		struct host host;
		struct peer peer;

		blocking.ctx = ctx;
		blocking.peer = &peer;
		blocking.in_host = blocking.in_handler = 1;
		peer_open(ctx, &peer, "io");
		assert_int_equal(host_attach(&host, ctx, &vars), 0);
		host_chosen()->arrange(callback, 0, wait_in_host, NULL);
		for (int i = 0; i < 100 && blocking.in_host == 1; i++)
			host_chosen()->run(ROTA_MILLISECOND);
		assert_int_equal(blocking.in_host, 0);
		assert_trace("io:1");
		assert_false(host_is_woken(&host));
		write_byte(peer.pair[1]);
		assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
		assert_int_equal(blocking.in_handler, -EDEADLK);
		assert_trace("io:1");
		host_detach(&host);
		peer_close(ctx, &peer);
	}
}

/*
 * The host has seen that there is something, but before it says so a callback of its own has taken
 * or undone it: no turn is taken for nothing.
 */

static void
take_event(void *argument)
{
	struct peer *peer = argument;

	blocking.in_host = rota_dispatch_once(blocking.ctx, 0, NULL);
	rota_target_stop(blocking.ctx, &peer->target);
}

static void
wake__what_it_was_for_was_taken__takes_no_turn(void **state)
{
	struct rota_context *ctx = context_of(state);

	if (host_chosen()->is_eager)
		skip();
	for (unsigned callback = 0; callback < host_chosen()->callbacks; callback++) {
		struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
		struct host host;
		struct peer peer;

		blocking.ctx = ctx;
		blocking.in_host = -1;
		peer_open(ctx, &peer, "io");
		assert_int_equal(host_attach(&host, ctx, &vars), 0);
		host_chosen()->arrange(callback, 0, take_event, &peer);
		write_byte(peer.pair[1]);
		for (int i = 0; i < 10 || blocking.in_host < 0; i++)
			host_chosen()->run(ROTA_MILLISECOND);
		/* Either the callback's turn had it, or the graft's before that. */
		assert_trace("io:1");
		assert_in_range(blocking.in_host, 0, 1);
		assert_int_equal(host.meter.turns, 2 - blocking.in_host);
		host_detach(&host);
		peer_close(ctx, &peer);
	}
}

/* Rota's timers in a host: never early, each once. */

static struct {
	rota_time due;
	int calls;
} alarms;

static int
on_alarm(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)timer;
	assert_true(rota_context_now(ctx) >= alarms.due);
	alarms.calls++;
	return 0;
}

static void
timers__of_the_context__wake_the_host_for_themselves_alone(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_timer timer;
	struct host host;

	rota_timer_init(&timer, on_alarm);
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	for (int i = 0; i < 20; i++) {
		rota_time delay = i * 700 * ROTA_MICROSECOND;

		alarms.calls = 0;
		alarms.due = rota_context_now(ctx) + delay;
		assert_int_equal(rota_timer_start(ctx, &timer, delay), 0);
		assert_int_equal(host_wait(&host, 10 * ROTA_SECOND), ROTA_CONTINUE);
		assert_int_equal(alarms.calls, 1);
	}
	assert_int_equal(host.empty, 0);
	if (!host_chosen()->is_eager)
		assert_int_equal(host.meter.turns, 20);
	host_detach(&host);
}

/*
 * An idle process sleeps: one iteration of the loop lasts as long as it may, and no turn is taken.
 * Rota's timers that were stopped, and the timeouts of the turns before, leave no trace.
 */
static void
idle__with_much_in_the_past__sleeps(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_timer timer;
	struct host host;
	struct peer peer;
	uint64_t turns;
	rota_time since;

	if (host_chosen()->is_eager)
		skip();
	peer_open(ctx, &peer, "io");
	rota_timer_init(&timer, on_alarm);
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	for (int i = 0; i < 10; i++) {
		write_byte(peer.pair[1]);
		assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
	}
	alarms.due = 0;
	assert_int_equal(rota_timer_start(ctx, &timer, ROTA_MILLISECOND), 0);
	assert_int_equal(host_wait(&host, 10 * ROTA_SECOND), ROTA_CONTINUE);
	host_settle();
	turns = host.meter.turns;
	since = real_time();
	host_chosen()->run(300 * ROTA_MILLISECOND);
	assert_true(real_time() - since >= 300 * ROTA_MILLISECOND - host_chosen()->grain);
	assert_int_equal(host.meter.turns, turns);
	host_detach(&host);
	peer_close(ctx, &peer);
	trace_clear();
}

/* Forks */

static void
expect_byte(struct host *host, struct peer *peer)
{
	unsigned calls = peer->calls;

	write_byte(peer->pair[1]);
	if (host_wait(host, 10 * ROTA_SECOND) != ROTA_CONTINUE || peer->calls != calls + 1)
		exit_child(1);
}

/* In a child: the same graft, on a backend of its own. */
static void
use_in_child(struct host *host, struct peer *peer)
{
	if (rota_context_forked(host->ctx, 0) < 0)
		exit_child(2);
	host_chosen()->forked();
	rota_target_stop(host->ctx, &peer->target);
	peer_reopen(peer);
	if (rota_target_start(host->ctx, &peer->target, ROTA_READABLE) < 0)
		exit_child(3);
	for (int i = 0; i < 3; i++)
		expect_byte(host, peer);
	if (host->empty > 1)
		exit_child(4);
	exit_child(0);
}

static void
free_in_child(struct host *host, struct peer *peer)
{
	(void)peer;
	exit_child(rota_context_free(host->ctx) == 0 ? 0 : 5);
}

static void
leave_child(struct host *host, struct peer *peer)
{
	(void)host;
	(void)peer;
	exit_child(0);
}

static void
fork__context_and_host_in_the_child__both_go_on(void **state)
{
	static void (*const lives[])(struct host * host, struct peer * peer) = { use_in_child,
		free_in_child, leave_child };
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;
	struct peer peer;

	peer_open(ctx, &peer, "io");
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	for (size_t i = 0; i < sizeof lives / sizeof lives[0]; i++) {
		int status;
		pid_t pid = fork();

		assert_int_not_equal(pid, -1);
		if (pid == 0)
			lives[i](&host, &peer);
		for (int k = 0; k < 3; k++) {
			write_byte(peer.pair[1]);
			assert_int_equal(host_wait(&host, 10 * ROTA_SECOND), ROTA_CONTINUE);
			assert_trace("io:1");
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		write_byte(peer.pair[1]);
		assert_int_equal(host_wait(&host, 10 * ROTA_SECOND), ROTA_CONTINUE);
		assert_trace("io:1");
		assert_false(host_is_woken(&host));
	}
	assert_int_equal(host.empty, 0);
	host_detach(&host);
	peer_close(ctx, &peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(contexts__two_on_one_host__are_served_both),
		fixture_test(contexts__one_removes_the_others_graft__is_the_only_one_served),
		fixture_test(context__moved_between_hosts__loses_nothing),
		fixture_test(loop__quits_and_runs_again__goes_on),
		fixture_test(
			facade__in_each_of_the_hosts_callbacks__works_and_is_refused_in_handlers),
		fixture_test(wake__what_it_was_for_was_taken__takes_no_turn),
		fixture_test(timers__of_the_context__wake_the_host_for_themselves_alone),
		fixture_test(idle__with_much_in_the_past__sleeps),
		fixture_test(fork__context_and_host_in_the_child__both_go_on),
	};

	return host_run_tests(tests);
}
