/* SPDX-License-Identifier: MIT */
/*
 * Programs that are run natively, by rota_iterate, and then by a host over poll(2): hooks and
 * handlers must be called in the same order, and the loop must end in the same way.
 */
#include <rota/context.h>

#include <errno.h>

#include <rota/task.h>
#include <rota/timer.h>

#include "fixture.h"
#include "peer.h"
#include "host.h"
#include "trace.h"

static struct program {
	struct peer a;
	struct peer b;
	struct rota_timer timer;
	struct rota_task task;
	struct rota_post post;
} program;

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("before:%d", (int)vars->count);
	/* The last wait of all is for nothing, so it is to be short. */
	if (vars->count == 1)
		vars->timeout = 2 * ROTA_MILLISECOND;
	return ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("after:%d", (int)vars->count);
	return ROTA_CONTINUE;
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	(void)task;
	trace("task");
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	trace("post");
	return 0;
}

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	write_byte(program.b.pair[1]);
	return 0;
}

static int
fan_out(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	assert_int_equal(rota_task_add(ctx, &program.task), 0);
	assert_int_equal(rota_timer_start(ctx, &program.timer, 0), 0);
	return 0;
}

static int
stop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)vars;
	rota_context_stop(ctx);
	return 0;
}

static int
fail_here(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	return -EPROTO;
}

static int
on_error_stop(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("error:%d:%d", target != NULL, error == -EPROTO);
	return ROTA_STOP;
}

static int
before_ends(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	before(ctx, vars);
	return vars->count < 3 ? -EIO : ROTA_CONTINUE;
}

static int
before_changes(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("change");
	vars->count = 2;
	vars->before_dispatch = before;
	vars->after_dispatch = after;
	return ROTA_CONTINUE;
}

enum setting { PLAIN, STOPS, ERROR_STOPS, HOOK_FAILS, HOOK_CHANGES, DEADLINE, BUDGET };

static void
prepare(struct rota_context *ctx, struct rota_dispatchvars *vars, enum setting setting)
{
	*vars = (struct rota_dispatchvars)ROTA_DISPATCHVARS_INIT;
	vars->before_dispatch = setting == HOOK_FAILS ? before_ends : before;
	vars->after_dispatch = after;
	vars->error_in_handler = on_error_stop;
	vars->count = 4;
	peer_open(ctx, &program.a, "a");
	peer_open(ctx, &program.b, "b");
	rota_timer_init(&program.timer, on_timer);
	rota_task_init(&program.task, on_task);
	rota_post_init(&program.post, on_post);
	if (setting != DEADLINE)
		write_byte(program.a.pair[1]);
	program.a.then = fan_out;
	if (setting == STOPS)
		program.b.then = stop;
	if (setting == ERROR_STOPS)
		program.b.then = fail_here;
	if (setting == HOOK_CHANGES)
		vars->before_dispatch = before_changes;
	if (setting == BUDGET) {
		vars->budget = 1;
		write_byte(program.b.pair[1]);
		assert_int_equal(rota_post(ctx, &program.post), 0);
	}
	if (setting == DEADLINE)
		vars->deadline = rota_context_now(ctx) + 2 * ROTA_MILLISECOND;
}

static int
run(struct rota_context *ctx, enum setting setting,
	int (*iterate)(struct rota_context *, struct rota_dispatchvars *))
{
	struct rota_dispatchvars vars;
	int r;

	prepare(ctx, &vars, setting);
	r = iterate(ctx, &vars);
	rota_timer_stop(ctx, &program.timer);
	rota_task_remove(ctx, &program.task);
	peer_close(ctx, &program.a);
	peer_close(ctx, &program.b);
	return r;
}

static void
program__run_natively_and_by_host__has_one_trace(void **state)
{
	static const struct {
		int result;
		const char *trace;
	} golden[] = {
		[PLAIN] = { ROTA_ENDED_COUNT,
			"before:4 a:1 task after:3 before:3 timer after:2 before:2 b:1 after:1 "
			"before:1 after:0 before:0" },
		[STOPS] = { ROTA_STOP,
			"before:4 a:1 task after:3 before:3 timer after:2 before:2 b:1 after:1" },
		[ERROR_STOPS] = { ROTA_STOP,
			"before:4 a:1 task after:3 before:3 timer after:2 before:2 b:1 error:1:1 "
			"after:1" },
		[HOOK_FAILS] = { -EIO,
			"before:4 a:1 task after:3 before:3 timer after:2 before:2" },
		[HOOK_CHANGES] = { ROTA_ENDED_COUNT,
			"change a:1 task after:1 before:1 timer after:0 before:0" },
		[DEADLINE] = { ROTA_ENDED_DEADLINE, "before:4 after:3 before:3" },
	};
	struct fixture *fixture = *state;

	for (int setting = PLAIN; setting <= DEADLINE; setting++) {
		int r;

		r = run(fixture->ctx, (enum setting)setting, rota_iterate);
		assert_int_equal(r, golden[setting].result);
		assert_trace(golden[setting].trace);
		if (host_is_impossible())
			continue;
		r = run(fixture->ctx, (enum setting)setting, host_iterate);
		assert_int_equal(r, golden[setting].result);
		assert_trace(golden[setting].trace);
	}
}

static void
program__with_a_budget_under_host__leaves_nothing_behind(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	assert_int_equal(run(fixture->ctx, BUDGET, host_iterate), ROTA_ENDED_COUNT);
	trace_clear();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(program__run_natively_and_by_host__has_one_trace),
		fixture_test(program__with_a_budget_under_host__leaves_nothing_behind),
	};

	return host_run_tests(tests);
}
