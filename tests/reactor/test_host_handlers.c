/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: what handlers do to it. They remove the graft or make one, in on_end
 * too; and they run the host's own loop.
 */
#include <rota/graft.h>

#include <errno.h>

#include <rota/context.h>
#include <rota/timer.h>

#include "fixture.h"
#include "host_scene.h"
#include "trace.h"

/* In a handler the graft is removed, or made. */

static int
remove_and_stop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_graft_remove(scene.host.graft);
	rota_context_stop(ctx);
	return 0;
}

static void
remove__in_a_handler_that_stops__finishes_the_turn_and_is_all(void **state)
{
	host_scene_open(state);
	scene.vars.before_dispatch = host_scene_before;
	scene.vars.after_dispatch = host_scene_after;
	scene.vars.count = 5;
	scene.peer.then = remove_and_stop;
	host_scene_attach();
	write_byte(scene.peer.pair[1]);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_trace("before:5 io:1 after:4");
	write_byte(scene.peer.pair[1]);
	host_settle();
	assert_trace("");
	assert_int_equal(scene.host.ends, 0);
	host_scene_close();
}

static int
remove_only(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	rota_graft_remove(scene.host.graft);
	return 0;
}

static void
remove__in_a_handler__begins_no_turn(void **state)
{
	host_scene_open(state);
	scene.vars.before_dispatch = host_scene_before;
	scene.vars.after_dispatch = host_scene_after;
	scene.vars.count = 5;
	scene.peer.then = remove_only;
	host_scene_attach();
	write_byte(scene.peer.pair[1]);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_trace("before:5 io:1 after:4");
	assert_int_equal(scene.vars.count, 4);
	host_scene_close();
}

static int
attach_here(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	scene.peer.then = NULL;
	host_scene_attach();
	return 0;
}

/* There is nothing else that would wake the host. */
static void
attach__in_a_handler__begins_when_the_host_runs(void **state)
{
	host_scene_open(state);
	if (host_chosen()->is_eager)
		scene.vars.count = 0;
	scene.vars.timeout = ROTA_NEVER;
	scene.vars.before_dispatch = host_scene_before;
	scene.peer.then = attach_here;
	write_byte(scene.peer.pair[1]);
	assert_int_equal(rota_dispatch_once(scene.ctx, 0, NULL), 1);
	assert_trace("io:1");
	for (int i = 0; i < 5; i++)
		host_chosen()->run(ROTA_MILLISECOND);
	assert_trace(host_chosen()->is_eager ? "before:0" : "before:-1");
	host_scene_close();
}

/* The graft is removed already: there it need not be asked to. */
static void
on_end_attach(struct rota_graft *graft, int r, void *userdata)
{
	(void)graft;
	(void)userdata;
	trace("end:%d", r == ROTA_ENDED_COUNT);
	scene.vars.count = -1;
	host_scene_attach();
}

static void
on_end__attaches_without_a_removal__goes_on(void **state)
{
	struct rota_graft *graft;

	host_scene_open(state);
	scene.vars.count = 0;
	assert_int_equal(host_chosen()->graft(scene.ctx, &scene.vars, on_end_attach, NULL, &graft),
		0);
	assert_trace("");
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_trace("end:1");
	write_byte(scene.peer.pair[1]);
	assert_int_equal(host_wait(&scene.host, ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("io:1");
	host_scene_close();
}

/*
 * A handler runs the host's loop: the context rests, and however much there is to do in it, the
 * loop sleeps.
 */

#define NESTED (100 * ROTA_MILLISECOND)

static struct {
	struct peer ready;
	unsigned iterations;
	bool is_attached; /* before, and not in the handler */
	bool removes;     /* in the handler, before all */
} nested;

static void
nest_deeper(void *unused)
{
	(void)unused;
	scene.result = rota_dispatch_once(scene.ctx, 0, NULL);
}

static int
nest(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	rota_time until = real_time() + NESTED;

	(void)vars;
	scene.peer.then = NULL;
	if (nested.removes)
		rota_graft_remove(scene.host.graft);
	if (nested.removes || !nested.is_attached)
		host_scene_attach();
	write_byte(nested.ready.pair[1]);
	assert_int_equal(rota_timer_start(ctx, &scene.timer, 0), 0);
	host_chosen()->arrange(HOST_TIMER, ROTA_MILLISECOND, nest_deeper, NULL);
	for (nested.iterations = 0; real_time() < until; nested.iterations++)
		host_chosen()->run(until - real_time());
	assert_int_equal(nested.ready.calls, 0);
	return 0;
}

static void
loop__run_in_a_handler__sleeps_and_all_is_delivered_later(void **state)
{
	if (!host_chosen()->nests)
		skip();
	host_scene_open(state);
	peer_open(scene.ctx, &nested.ready, "ready");
	for (int i = 0; i < 6; i++) {
		nested.is_attached = i % 3 > 0;
		nested.removes = i % 3 > 1;
		if (nested.is_attached)
			host_scene_attach();
		scene.result = 0;
		scene.peer.then = nest;
		nested.ready.calls = 0;
		write_byte(scene.peer.pair[1]);
		if (nested.is_attached)
			assert_int_equal(host_wait(&scene.host, ROTA_SECOND), ROTA_CONTINUE);
		else
			assert_int_equal(rota_dispatch_once(scene.ctx, 0, NULL), 1);
		assert_int_equal(scene.result, -EDEADLK);
		assert_in_range(nested.iterations, 1, 20);
		host_scene_settle();
		assert_int_equal(scene.peer.calls, i + 1);
		assert_int_equal(nested.ready.calls, 1);
		write_byte(nested.ready.pair[1]);
		assert_int_equal(host_wait(&scene.host, ROTA_SECOND), ROTA_CONTINUE);
		assert_int_equal(nested.ready.calls, 2);
		assert_int_equal(scene.alarms, i + 1);
		assert_int_equal(scene.host.empty, 0);
		host_detach(&scene.host);
	}
	peer_close(scene.ctx, &nested.ready);
	host_scene_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(remove__in_a_handler_that_stops__finishes_the_turn_and_is_all),
		fixture_test(remove__in_a_handler__begins_no_turn),
		fixture_test(attach__in_a_handler__begins_when_the_host_runs),
		fixture_test(on_end__attaches_without_a_removal__goes_on),
		fixture_test(loop__run_in_a_handler__sleeps_and_all_is_delivered_later),
	};

	return host_run_tests(tests);
}
