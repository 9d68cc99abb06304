/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: attaching and removing, in any callback of either side and a hundred
 * thousand times; and the one end that a graft has.
 */
#include <rota/graft.h>

#include <dirent.h>
#include <errno.h>

#include <rota/context.h>
#include <rota/task.h>

#include "actor.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "host.h"
#include "peer.h"
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

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("before:%d", (int)vars->count);
	return ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("after:%d", (int)vars->count);
	return ROTA_CONTINUE;
}

static struct rota_dispatchvars
vars_with_hooks(int64_t count)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = count;
	vars.before_dispatch = before;
	vars.after_dispatch = after;
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

/* Changes made in callbacks of Rota's and of the host's */

static struct change {
	struct host host;
	struct rota_dispatchvars vars;
	void (*make)(struct rota_context *ctx);
	struct rota_context *ctx;
	unsigned made;
	rota_hook_fn *then;
} change;

static void
remove_twice(struct rota_context *ctx)
{
	(void)ctx;
	rota_graft_remove(change.host.graft);
	rota_graft_remove(change.host.graft);
}

static void
attach_anew(struct rota_context *ctx)
{
	remove_twice(ctx);
	assert_int_equal(host_attach(&change.host, ctx, &change.vars), 0);
}

static void
attach_three_times(struct rota_context *ctx)
{
	for (int i = 0; i < 3; i++)
		attach_anew(ctx);
}

static void
make_change(struct rota_context *ctx)
{
	change.made++;
	change.make(ctx);
}

static void
in_actor(struct rota_context *ctx, struct actor *actor)
{
	(void)actor;
	make_change(ctx);
}

static int
in_hook(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	vars->before_dispatch = NULL;
	vars->after_dispatch = NULL;
	make_change(ctx);
	return ROTA_CONTINUE;
}

static int
in_error_handler(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)target;
	(void)error;
	vars->error_in_handler = NULL;
	make_change(ctx);
	return ROTA_CONTINUE;
}

static void
in_host(void *argument)
{
	(void)argument;
	make_change(change.ctx);
}

static void (*const changes[])(struct rota_context *ctx) = { remove_twice, attach_anew,
	attach_three_times };
#define CHANGES (sizeof changes / sizeof changes[0])

/* Afterwards the host goes on with the context exactly if it was attached anew. */
static void
check_afterwards(struct rota_context *ctx, size_t i)
{
	struct peer peer;

	for (int n = 0; n < 20 && change.made == 0; n++)
		host_chosen()->run(ROTA_MILLISECOND);
	assert_int_equal(change.made, 1);
	host_settle();
	trace_clear();
	peer_open(ctx, &peer, "io");
	write_byte(peer.pair[1]);
	for (int n = 0; n < 3; n++)
		host_chosen()->run(0);
	if (changes[i] == remove_twice) {
		assert_trace("");
		assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	}
	assert_trace("io:1");
	rota_graft_remove(change.host.graft);
	host_settle();
	assert_int_equal(change.host.ends, 0);
	peer_close(ctx, &peer);
}

static void
begin_change(struct rota_context *ctx, size_t i)
{
	change = (struct change){ .ctx = ctx, .make = changes[i], .vars = ROTA_DISPATCHVARS_INIT };
}

static void
graft__changed_in_handlers__takes_effect_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < CHANGES * ACTOR_KINDS; i++) {
		struct actor actor = actor_make((enum actor_kind)(i / CHANGES), "actor");

		begin_change(ctx, i % CHANGES);
		actor.act = in_actor;
		assert_int_equal(host_attach(&change.host, ctx, &change.vars), 0);
		actor_ready(ctx, &actor);
		check_afterwards(ctx, i % CHANGES);
		actor_fini(ctx, &actor);
	}
}

static void
graft__changed_in_hooks_and_error_handlers__takes_effect_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < CHANGES * 3; i++) {
		struct actor actor = actor_make(ACTOR_TASK, "actor");

		begin_change(ctx, i % CHANGES);
		assert_int_equal(host_attach(&change.host, ctx, &change.vars), 0);
		if (i / CHANGES == 0)
			change.vars.before_dispatch = in_hook;
		if (i / CHANGES == 1)
			change.vars.after_dispatch = in_hook;
		if (i / CHANGES == 2) {
			actor.result = -EPROTO;
			change.vars.error_in_handler = in_error_handler;
		}
		actor_ready(ctx, &actor);
		check_afterwards(ctx, i % CHANGES);
		actor_fini(ctx, &actor);
	}
}

static void
graft__changed_in_the_hosts_callbacks__takes_effect_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (size_t i = 0; i < CHANGES * host_chosen()->callbacks; i++) {
		begin_change(ctx, i % CHANGES);
		assert_int_equal(host_attach(&change.host, ctx, &change.vars), 0);
		host_chosen()->arrange((unsigned)(i / CHANGES), 0, in_host, NULL);
		check_afterwards(ctx, i % CHANGES);
	}
}

/* on_end may graft the context again, or free it. */

static void
on_end_again(struct rota_graft *graft, int r, void *userdata)
{
	struct rota_context *ctx = userdata;

	trace("end:%d", r);
	rota_graft_remove(graft);
	change.vars.count = -1;
	assert_int_equal(host_attach(&change.host, ctx, &change.vars), 0);
}

static void
on_end_free(struct rota_graft *graft, int r, void *userdata)
{
	(void)graft;
	trace("end:%d", r);
	assert_int_equal(rota_context_free(userdata), 0);
}

static void
on_end__attaches_again__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_graft *graft;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	begin_change(ctx, 0);
	vars.count = 0;
	assert_int_equal(host_chosen()->graft(ctx, &vars, on_end_again, ctx, &graft), 0);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_trace("end:2");
	rota_context_stop(ctx);
	for (int i = 0; i < 3; i++)
		host_chosen()->run(0);
	assert_int_equal(change.host.result, ROTA_STOP);
	host_detach(&change.host);
}

static void
on_end__frees_the_context__is_safe(void **state)
{
	struct fixture *fixture = *state;
	struct rota_context *ctx = context_of(state);
	struct rota_graft *graft;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = 0;
	assert_int_equal(host_chosen()->graft(ctx, &vars, on_end_free, ctx, &graft), 0);
	for (int i = 0; i < 4; i++)
		host_chosen()->run(0);
	fixture->ctx = NULL;
	assert_trace("end:2");
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
		fixture_test(graft__changed_in_handlers__takes_effect_at_once),
		fixture_test(graft__changed_in_hooks_and_error_handlers__takes_effect_at_once),
		fixture_test(graft__changed_in_the_hosts_callbacks__takes_effect_at_once),
		fixture_test(on_end__attaches_again__goes_on),
		fixture_test(on_end__frees_the_context__is_safe),
		fixture_test(graft__a_hundred_thousand_times__leaves_nothing),
	};

	faulty_allocator_install();
	return host_run_tests(tests);
}
