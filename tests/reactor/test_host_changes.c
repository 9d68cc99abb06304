/* SPDX-License-Identifier: MIT */
/*
 * Grafts under each host: removed and attached in every kind of callback, of Rota's and of the
 * host's, and in on_end.
 */
#include <rota/graft.h>

#include <errno.h>

#include <rota/context.h>

#include "actor.h"
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(graft__changed_in_handlers__takes_effect_at_once),
		fixture_test(graft__changed_in_hooks_and_error_handlers__takes_effect_at_once),
		fixture_test(graft__changed_in_the_hosts_callbacks__takes_effect_at_once),
		fixture_test(on_end__attaches_again__goes_on),
		fixture_test(on_end__frees_the_context__is_safe),
	};

	return host_run_tests(tests);
}
