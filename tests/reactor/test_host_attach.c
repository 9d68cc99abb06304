/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: attaching and removing, a hundred thousand times too; and the one end
 * that a graft has. In callbacks of either side: test_host_changes.c.
 */
#include <rota/graft.h>

#include <dirent.h>
#include <errno.h>

#include <rota/context.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "host_scene.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	return fixture->ctx;
}

static struct rota_dispatchvars
vars_with_hooks(int64_t count)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = count;
	vars.before_dispatch = host_scene_before;
	vars.after_dispatch = host_scene_after;
	return vars;
}

static void
on_look(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
}

/* Attaching */

static void
attach__begins_the_first_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = vars_with_hooks(2);
	struct host host;
	struct peer peer;

	peer_open(ctx, &peer, "io");
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	assert_trace("before:2");
	write_byte(peer.pair[1]);
	assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_CONTINUE);
	assert_trace("io:1 after:1 before:1");
	write_byte(peer.pair[1]);
	assert_int_equal(host_wait(&host, ROTA_SECOND), ROTA_ENDED_COUNT);
	assert_trace("io:1 after:0 before:0");
	assert_int_equal(host.ends, 1);
	host_detach(&host);
	peer_close(ctx, &peer);
}

static void
attach__without_vars__has_the_defaults(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_graft *graft;
	struct peer peer;

	peer_open(ctx, &peer, "io");
	peer.then = NULL;
	assert_int_equal(host_chosen()->graft(ctx, NULL, NULL, NULL, &graft), 0);
	assert_true(rota_graft_timeout(graft) > 29 * ROTA_SECOND);
	assert_true(rota_graft_timeout(graft) <= 30 * ROTA_SECOND);
	write_byte(peer.pair[1]);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_trace("io:1");
	rota_context_stop(ctx);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	write_byte(peer.pair[1]);
	host_settle();
	assert_trace("");
	peer_close(ctx, &peer);
}

static void
attach__twice_or_beside_an_observer__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_graft *graft = NULL;
	struct host host;

	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	assert_int_equal(host_chosen()->graft(ctx, &vars, NULL, NULL, &graft), -EBUSY);
	assert_int_equal(rota_context_on_change(ctx, on_look, NULL), -EBUSY);
	assert_int_equal(rota_context_on_change(ctx, NULL, NULL), -EBUSY);
	host_detach(&host);
	assert_int_equal(rota_context_on_change(ctx, on_look, NULL), 0);
	assert_int_equal(host_chosen()->graft(ctx, &vars, NULL, NULL, &graft), -EBUSY);
	assert_null(graft);
}

static void
attach__no_descriptor__is_not_supported(void **state)
{
	struct fixture *fixture = *state;
	struct rota_graft *graft = NULL;

	assert_int_equal(host_chosen()->graft(fixture->ctx, NULL, NULL, NULL, &graft), -ENOTSUP);
	assert_null(graft);
}

static void
attach__no_memory_or_descriptors__says_so_and_can_be_repeated(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_graft *graft = NULL;
	struct host host;

	faulty_allocator_fail(1, true);
	assert_int_equal(host_chosen()->graft(ctx, &vars, NULL, NULL, &graft), -ENOMEM);
	faulty_allocator_reset();
	faulty_sys_fail(FAULTY_FCNTL, 1, false, EMFILE);
	assert_int_equal(host_chosen()->graft(ctx, &vars, NULL, NULL, &graft), -EMFILE);
	faulty_sys_reset();
	assert_null(graft);
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	host_detach(&host);
}

/* Ends */

static int
stop_before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	trace("stop");
	return ROTA_STOP;
}

static int
fail_before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	return -EPROTO;
}

/* What iterate would return at once, on_end tells later. */
static void
end__at_the_first_begin__is_told_by_the_host(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct {
		rota_hook_fn *before;
		int64_t count;
		rota_time deadline;
		int result;
	} cases[] = {
		{ NULL, 0, ROTA_NEVER, ROTA_ENDED_COUNT },
		{ NULL, -1, 0, ROTA_ENDED_DEADLINE },
		{ stop_before, -1, ROTA_NEVER, ROTA_STOP },
		{ fail_before, -1, ROTA_NEVER, -EPROTO },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
		struct host host;

		vars.before_dispatch = cases[i].before;
		vars.count = cases[i].count;
		vars.deadline = cases[i].deadline;
		assert_int_equal(host_attach(&host, ctx, &vars), 0);
		assert_int_equal(host.ends, 0);
		while (host.result == ROTA_CONTINUE)
			host_chosen()->run(ROTA_SECOND);
		assert_int_equal(host.result, cases[i].result);
		host_settle();
		assert_int_equal(host.ends, 1);
		host_detach(&host);
	}
	trace_clear();
}

static void
stop__between_turns__ends_without_another_wait(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = vars_with_hooks(-1);
	struct host host;

	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	rota_context_stop(ctx);
	assert_int_equal(host.ends, 0);
	assert_int_equal(host_wait(&host, 10 * ROTA_SECOND), ROTA_STOP);
	assert_trace("before:-1 after:-1");
	host_detach(&host);
}

static void
remove__after_the_end_and_twice__does_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = vars_with_hooks(0);
	struct host host;

	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	while (host.result == ROTA_CONTINUE)
		host_chosen()->run(ROTA_SECOND);
	rota_graft_remove(host.graft);
	rota_graft_remove(host.graft);
	host_settle();
	assert_int_equal(host.ends, 1);
	vars.count = -1;
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	rota_graft_remove(host.graft);
	rota_graft_remove(host.graft);
	rota_context_stop(ctx);
	host_settle();
	assert_int_equal(host.ends, 0);
	host_detach(&host);
	trace_clear();
}

static void
context_free__grafted__removes_it_and_tells_no_end(void **state)
{
	struct fixture *fixture = *state;
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = vars_with_hooks(-1);
	struct host host;

	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	host_settle();
	assert_int_equal(host.ends, 0);
	assert_trace("before:-1");
}

/* Many times */

static int
count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void
graft__a_hundred_thousand_times__leaves_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct peer peer;
	int64_t blocks = 0;
	int descriptors = 0;

	peer_open(ctx, &peer, "io");
	for (int i = 0; i < 100000; i++) {
		struct rota_graft *graft;

		assert_int_equal(host_chosen()->graft(ctx, &vars, NULL, NULL, &graft), 0);
		if (i % 1000 == 0) {
			write_byte(peer.pair[1]);
			host_chosen()->run(0);
			assert_trace("io:1");
		}
		rota_graft_remove(graft);
		if (i % 1000 == 999)
			host_settle();
		if (i == 999) {
			blocks = faulty_allocator_live();
			descriptors = count_descriptors();
		}
	}
	assert_int_equal(faulty_allocator_live(), blocks);
	assert_int_equal(count_descriptors(), descriptors);
	peer_close(ctx, &peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(attach__begins_the_first_turn),
		fixture_test(attach__without_vars__has_the_defaults),
		fixture_test(attach__twice_or_beside_an_observer__is_refused),
		fixture_test_simulated(attach__no_descriptor__is_not_supported),
		fixture_test(attach__no_memory_or_descriptors__says_so_and_can_be_repeated),
		fixture_test(end__at_the_first_begin__is_told_by_the_host),
		fixture_test(stop__between_turns__ends_without_another_wait),
		fixture_test(remove__after_the_end_and_twice__does_nothing),
		fixture_test(context_free__grafted__removes_it_and_tells_no_end),
		fixture_test(graft__a_hundred_thousand_times__leaves_nothing),
	};

	faulty_allocator_install();
	return host_run_tests(tests);
}
