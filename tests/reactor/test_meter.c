/* SPDX-License-Identifier: MIT */
/*
 * The meter, on virtual time: what it counts, its buckets, the slowest handler and who is told of
 * slow ones; and the lines of the context's log.
 */
#include <rota/meter.h>

#include <signal.h>
#include <string.h>
#include <syslog.h>

#include <rota/signals.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "context.h"
#include "fixture.h"
#include "peer.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_meter meter;

/* What the handlers below cost. */
static rota_time cost;

static struct rota_context *
metered(void **state)
{
	struct fixture *fixture = *state;

	meter = (struct rota_meter)ROTA_METER_INIT;
	cost = 0;
	rota_context_set_meter(fixture->ctx, &meter);
	return fixture->ctx;
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)task;
	sim_advance(ctx, cost);
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)post;
	sim_advance(ctx, cost);
	return 0;
}

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)timer;
	sim_advance(ctx, cost);
	return 0;
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	sim_advance(ctx, cost);
	return 0;
}

static int
take_time(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	sim_advance(ctx, cost);
	return 0;
}

static void
run_task(struct rota_context *ctx, rota_time duration)
{
	struct rota_task task;

	cost = duration;
	rota_task_init(&task, on_task);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
}

static void
meter__initial__is_zero_and_has_no_limit(void **state)
{
	struct rota_context *ctx = metered(state);

	assert_int_equal(meter.turns, 0);
	assert_int_equal(meter.handlers, 0);
	assert_null(meter.slowest_name);
	assert_int_equal(meter.limit, ROTA_NEVER);
	assert_null(meter.on_slow);
	(void)ctx;
}

static void
meter__turns_and_handlers__are_counted(void **state)
{
	struct rota_context *ctx = metered(state);
	struct rota_task tasks[3];

	for (int n = 0; n <= 3; n++) {
		for (int i = 0; i < n; i++) {
			rota_task_init(&tasks[i], on_task);
			assert_int_equal(rota_task_add(ctx, &tasks[i]), 0);
		}
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), n);
		assert_int_equal(meter.turns, n + 1);
		assert_int_equal(meter.handlers, n * (n + 1) / 2);
		assert_int_equal(meter.most_handlers, n);
	}
	run_task(ctx, 0);
	assert_int_equal(meter.most_handlers, 3);
}

static void
meter__waits_and_handlers__are_timed(void **state)
{
	struct rota_context *ctx = metered(state);

	assert_int_equal(rota_dispatch_once(ctx, 7 * ROTA_SECOND, NULL), 0);
	assert_int_equal(meter.waiting, 7 * ROTA_SECOND);
	assert_int_equal(meter.busy, 0);
	run_task(ctx, 3 * ROTA_SECOND);
	run_task(ctx, 2 * ROTA_SECOND);
	assert_int_equal(meter.waiting, 7 * ROTA_SECOND);
	assert_int_equal(meter.busy, 5 * ROTA_SECOND);
	/* What passes between turns is neither. */
	sim_advance(ctx, ROTA_MINUTE);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(meter.waiting, 7 * ROTA_SECOND);
	assert_int_equal(meter.busy, 5 * ROTA_SECOND);
}

static void
meter__durations__are_in_their_bucket(void **state)
{
	static const struct {
		rota_time duration;
		int bucket;
	} cases[] = { { 0, 0 }, { 1, 0 }, { 2, 1 }, { 3, 1 }, { 4, 2 }, { 7, 2 }, { 8, 3 },
		{ 1023, 9 }, { 1024, 10 }, { ROTA_SECOND, 29 },
		{ ((rota_time)1 << 39) - 1, ROTA_METER_BUCKETS - 2 },
		{ (rota_time)1 << 39, ROTA_METER_BUCKETS - 1 },
		{ (rota_time)1 << 40, ROTA_METER_BUCKETS - 1 },
		{ (rota_time)1 << 60, ROTA_METER_BUCKETS - 1 } };
	struct rota_context *ctx = metered(state);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		memset(meter.durations, 0, sizeof meter.durations);
		run_task(ctx, cases[i].duration);
		for (int bucket = 0; bucket < ROTA_METER_BUCKETS; bucket++)
			assert_int_equal(meter.durations[bucket], bucket == cases[i].bucket);
	}
}

static void
meter__clock_goes_back__counts_it_as_nothing(void **state)
{
	struct rota_context *ctx = metered(state);

	sim_advance(ctx, ROTA_MINUTE);
	run_task(ctx, -ROTA_SECOND);
	assert_int_equal(meter.handlers, 1);
	assert_int_equal(meter.durations[0], 1);
}

static void
meter__slowest_handler__is_kept_by_its_name(void **state)
{
	struct rota_context *ctx = metered(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct rota_timer timer;
	struct rota_post post;
	struct peer peer;

	rota_timer_init(&timer, on_timer);
	rota_post_init(&post, on_post);
	peer_open(ctx, &peer, "io");
	peer.then = take_time;
	run_task(ctx, 0);
	assert_string_equal(meter.slowest_name, "task");
	cost = 10;
	assert_int_equal(rota_post(ctx, &post), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_string_equal(meter.slowest_name, "post");
	assert_int_equal(meter.slowest, 10);
	run_task(ctx, 9);
	assert_string_equal(meter.slowest_name, "post");
	cost = 20;
	assert_int_equal(rota_timer_start(ctx, &timer, 0), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_string_equal(meter.slowest_name, "timer");
	cost = 30;
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, NULL), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_string_equal(meter.slowest_name, "signal");
	rota_signal_stop(ctx, &signal);
	cost = 40;
	write_byte(peer.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_string_equal(meter.slowest_name, "peer");
	assert_int_equal(meter.slowest, 40);
	trace_clear();
	peer_close(ctx, &peer);
}

static void
on_slow(struct rota_context *ctx, const char *name, rota_time duration, struct rota_meter *of)
{
	(void)ctx;
	assert_ptr_equal(of, &meter);
	trace("%s:%d", name, (int)duration);
}

static void
meter__handlers_over_the_limit__are_reported_when_they_return(void **state)
{
	struct rota_context *ctx = metered(state);

	meter.on_slow = on_slow;
	run_task(ctx, ROTA_MINUTE);
	assert_trace("");
	meter.limit = 100;
	run_task(ctx, 99);
	assert_trace("");
	run_task(ctx, 100);
	assert_trace("task:100");
	run_task(ctx, 101);
	assert_trace("task:101");
	meter.on_slow = NULL;
	run_task(ctx, 101);
	assert_trace("");
}

static void
meter__changed_and_removed__counts_only_while_set(void **state)
{
	struct rota_context *ctx = metered(state);
	struct rota_meter other = ROTA_METER_INIT;

	run_task(ctx, 1);
	rota_context_set_meter(ctx, &other);
	run_task(ctx, 1);
	rota_context_set_meter(ctx, NULL);
	run_task(ctx, 1);
	assert_int_equal(meter.handlers, 1);
	assert_int_equal(other.handlers, 1);
	assert_int_equal(other.turns, 1);
}

static int
set_meter(struct rota_context *ctx, struct rota_task *task)
{
	(void)task;
	rota_context_set_meter(ctx, ctx->meter == NULL ? &meter : NULL);
	return 0;
}

static void
meter__set_and_removed_in_a_handler__is_harmless(void **state)
{
	struct rota_context *ctx = metered(state);
	struct rota_task task;

	rota_task_init(&task, set_meter);
	for (int i = 0; i < 4; i++) {
		sim_advance(ctx, ROTA_MINUTE);
		assert_int_equal(rota_task_add(ctx, &task), 0);
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
		run_task(ctx, 5);
	}
	assert_in_range(meter.busy, 0, ROTA_SECOND);
	assert_in_range(meter.waiting, 0, ROTA_SECOND);
}

/* Whatever vars a turn has, or none. */
static void
meter__hooks_and_facades__are_metered_alike(void **state)
{
	struct rota_context *ctx = metered(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = 3;
	vars.timeout = ROTA_SECOND;
	vars.before_dispatch = take_time;
	vars.after_dispatch = take_time;
	cost = ROTA_MINUTE;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_ENDED_COUNT);
	assert_int_equal(meter.turns, 3);
	assert_int_equal(meter.waiting, 3 * ROTA_SECOND);
	assert_int_equal(meter.busy, 0);
	assert_int_equal(meter.handlers, 0);
}

static void
meter__added_to_another__counts_for_both(void **state)
{
	struct rota_meter sum = ROTA_METER_INIT;
	struct rota_meter part = { 1, 2, 3, 4, 5, { 6 }, 7, "a", 8, 9, NULL, 10 };

	(void)state;
	part.durations[ROTA_METER_BUCKETS - 1] = 11;
	rota_meter_add(&sum, &part);
	assert_string_equal(sum.slowest_name, "a");
	part.slowest--;
	part.slowest_name = "b";
	part.most_handlers--;
	rota_meter_add(&sum, &part);
	assert_int_equal(sum.turns, 2);
	assert_int_equal(sum.handlers, 4);
	assert_int_equal(sum.most_handlers, 3);
	assert_int_equal(sum.waiting, 8);
	assert_int_equal(sum.busy, 10);
	assert_int_equal(sum.durations[0], 12);
	assert_int_equal(sum.durations[ROTA_METER_BUCKETS - 1], 22);
	assert_int_equal(sum.slowest, 7);
	assert_string_equal(sum.slowest_name, "a");
	assert_int_equal(sum.accept_pauses, 16);
	assert_int_equal(sum.drops, 18);
	assert_int_equal(sum.limit, ROTA_NEVER);
	part.slowest = 8;
	rota_meter_add(&sum, &part);
	assert_string_equal(sum.slowest_name, "b");
}

/* The log */

/* What handlers are given, and write. */
static char word_a[] = "a";
static char word_b[] = "b";

static void
on_log(struct rota_context *ctx, int level, const char *line, void *userdata)
{
	(void)ctx;
	assert_null(strchr(line, '\n'));
	trace("%s:%d:%d:%.8s", (const char *)userdata, level, (int)strlen(line), line);
}

static void
log__set__gets_the_lines(void **state)
{
	struct rota_context *ctx = metered(state);
	char longer[1000];

	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	rota__notice(ctx, LOG_WARNING, "nobody");
	rota_context_on_log(ctx, on_log, word_a);
	rota__notice(ctx, LOG_WARNING, "line %d", 1);
	assert_trace("a:4:6:line 1");
	rota__notice(ctx, LOG_ERR, "%s", longer);
	assert_trace("a:3:255:xxxxxxxx");
	rota_context_on_log(ctx, on_log, word_b);
	rota__notice(ctx, LOG_DEBUG, "%s", "");
	assert_trace("b:7:0:");
	rota_context_on_log(ctx, NULL, NULL);
	rota__notice(ctx, LOG_ERR, "nobody");
	assert_trace("");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test_simulated(meter__initial__is_zero_and_has_no_limit),
		fixture_test_simulated(meter__turns_and_handlers__are_counted),
		fixture_test_simulated(meter__waits_and_handlers__are_timed),
		fixture_test_simulated(meter__durations__are_in_their_bucket),
		fixture_test_simulated(meter__clock_goes_back__counts_it_as_nothing),
		fixture_test_simulated(meter__slowest_handler__is_kept_by_its_name),
		fixture_test_simulated(
			meter__handlers_over_the_limit__are_reported_when_they_return),
		fixture_test_simulated(meter__changed_and_removed__counts_only_while_set),
		fixture_test_simulated(meter__set_and_removed_in_a_handler__is_harmless),
		fixture_test_simulated(meter__hooks_and_facades__are_metered_alike),
		cmocka_unit_test(meter__added_to_another__counts_for_both),
		fixture_test_simulated(log__set__gets_the_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
