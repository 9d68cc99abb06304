/* SPDX-License-Identifier: MIT */
/*
 * A hundred thousand operations at random, under each host: all kinds of things that have handlers
 * are made ready, stopped, paused, closed, stopped and started again, in handlers, between turns
 * and in callbacks of the host's, and the graft itself is removed and attached. Whatever is ready
 * is called, in the order of the phases; and no turn is taken in which nothing is.
 */
#include <rota/graft.h>

#include <poll.h>
#include <unistd.h>

#include <rota/context.h>

#include "actor.h"
#include "fixture.h"
#include "host.h"
#include "list.h"
#include "random.h"
#include "trace.h"

#define OPERATIONS 100000
#define PER_KIND 4
#define PARTS (PER_KIND * ACTOR_KINDS)

static struct part {
	struct actor actor;
	rota_time due;     /* a timer's, at the earliest */
	rota_time latest;  /* and at the latest */
	bool was_raised;   /* a signal, and not stopped since */
	unsigned interest; /* a target's */
} parts[PARTS];

static struct play {
	struct rota_context *ctx;
	struct host host;
	struct rota_dispatchvars vars;
	uint64_t random;
	int operations;
	unsigned calls;
	int phase; /* of the turn */
	bool is_in_turn;
	int arranged;     /* calls that the host owes */
	unsigned revoked; /* signals, since the last check */
} play;

static struct part *
any_part(void)
{
	return &parts[random_below(&play.random, PARTS)];
}

/* Operations */

static void
make_ready(struct part *part)
{
	struct actor *actor = &part->actor;

	if (actor->kind == ACTOR_TIMER) {
		rota_time delay = (rota_time)random_below(&play.random, 8) - 6;

		delay = delay > 0 ? delay * ROTA_MILLISECOND / 2 : 0;
		part->due = rota_context_now(play.ctx) + delay;
		assert_int_equal(rota_timer_start(play.ctx, &actor->timer, delay), 0);
		part->latest = real_time() + delay;
		actor->is_stopped = false;
		return;
	}
	if (actor->kind == ACTOR_TARGET && !rota_target_is_started(&actor->target))
		part->interest = ROTA_READABLE;
	part->was_raised = true;
	actor_ready(play.ctx, actor);
}

/* A signal that has come wakes the host, though it is stopped then. */
static void
stop(struct part *part)
{
	if (part->actor.kind == ACTOR_SIGNAL && part->was_raised)
		play.revoked++;
	part->was_raised = false;
	actor_stop(play.ctx, &part->actor);
}

static void
restart(struct part *part)
{
	stop(part);
	make_ready(part);
	stop(part);
	make_ready(part);
}

static void
pause_or_resume(struct part *part)
{
	struct rota_target *target = &part->actor.target;

	if (part->actor.kind != ACTOR_TARGET || !rota_target_is_started(target))
		return;
	part->interest ^= ROTA_READABLE;
	assert_int_equal(rota_target_set_interest(play.ctx, target, part->interest), 0);
}

static void
close_and_open(struct part *part)
{
	if (part->actor.kind != ACTOR_TARGET)
		return;
	actor_fini(play.ctx, &part->actor);
	make_ready(part);
}

static void operate(void);

static void
operate_in_host(void *unused)
{
	(void)unused;
	play.arranged--;
	for (int i = 0; i < 3; i++)
		operate();
}

static void
let_host_operate(struct part *part)
{
	unsigned callback = (unsigned)random_below(&play.random, host_chosen()->callbacks);

	(void)part;
	if (play.arranged >= 3)
		return;
	play.arranged++;
	host_chosen()->arrange(callback, 0, operate_in_host, NULL);
}

static void
graft_again(struct part *part)
{
	(void)part;
	if (random_below(&play.random, 10) > 0)
		return;
	rota_graft_remove(play.host.graft);
	assert_int_equal(host_attach(&play.host, play.ctx, &play.vars), 0);
}

static void
operate(void)
{
	static void (*const operations[])(struct part * part) = { make_ready, make_ready,
		make_ready, stop, restart, pause_or_resume, close_and_open, let_host_operate,
		graft_again };
	uint64_t which = random_below(&play.random, sizeof operations / sizeof operations[0]);

	play.operations++;
	operations[which](any_part());
}

/* What follows */

static void
act(struct rota_context *ctx, struct actor *actor)
{
	/* in the order of their phases */
	static const int phases[] = { [ACTOR_TARGET] = 0,
		[ACTOR_SIGNAL] = 1,
		[ACTOR_TIMER] = 2,
		[ACTOR_POST] = 3,
		[ACTOR_TASK] = 4 };
	struct part *part = rota_container_of(actor, struct part, actor);

	assert_ptr_equal(ctx, play.ctx);
	assert_true(phases[actor->kind] >= play.phase);
	play.phase = phases[actor->kind];
	if (actor->kind == ACTOR_TIMER)
		assert_true(rota_context_now(ctx) >= part->due);
	if (actor->kind == ACTOR_TARGET)
		assert_int_equal(part->interest, ROTA_READABLE);
	part->was_raised = false;
	play.calls++;
	for (uint64_t i = random_below(&play.random, 3); i > 0; i--)
		operate();
}

static int
on_turn(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	play.phase = 0;
	return ROTA_CONTINUE;
}

static bool
has_unread(const struct part *part)
{
	struct pollfd fd = { .fd = part->actor.pair[0], .events = POLLIN };

	return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

/* Whether its handler should have been called. */
static bool
is_owed(struct part *part)
{
	switch (part->actor.kind) {
	case ACTOR_TARGET:
		return rota_target_is_started(&part->actor.target) && part->interest != 0 &&
			has_unread(part);
	case ACTOR_TIMER:
		return rota_timer_is_running(&part->actor.timer) &&
			part->latest <= rota_context_now(play.ctx);
	case ACTOR_POST:
		return part->actor.post.queued != 0;
	case ACTOR_TASK:
		return rota__link_is_listed(&part->actor.task.link);
	default:
		return part->was_raised;
	}
}

static void
settle(void)
{
	while (host_is_woken(&play.host) || play.arranged > 0) {
		if (host_is_woken(&play.host))
			assert_int_equal(host_wait(&play.host, 0), ROTA_CONTINUE);
		else
			host_chosen()->run(0);
	}
}

static void
check_quiet(void)
{
	for (int i = 0; i < PARTS; i++) {
		bool is_timer = parts[i].actor.kind == ACTOR_TIMER;

		/* One may have come due since the host was asked. */
		if (is_timer ? is_owed(&parts[i]) && !host_is_woken(&play.host)
			     : is_owed(&parts[i]))
			print_error("%s %d is owed\n", actor_kind_name(parts[i].actor.kind), i);
		else
			continue;
		assert_true(false);
	}
	assert_true(play.host.empty <= play.revoked);
	play.host.empty = 0;
	play.revoked = 0;
}

static void
begin(struct rota_context *ctx)
{
	play = (struct play){
		.ctx = ctx, .random = make_seed(host_chosen()->name), .vars = ROTA_DISPATCHVARS_INIT
	};
	play.vars.after_dispatch = on_turn;
	for (int i = 0; i < PARTS; i++) {
		parts[i] = (struct part){ .actor = actor_make(i / PER_KIND, "part") };
		parts[i].actor.act = act;
	}
	assert_int_equal(host_attach(&play.host, ctx, &play.vars), 0);
}

static void
end(struct rota_context *ctx)
{
	settle();
	for (int i = 0; i < PARTS; i++) {
		parts[i].actor.act = NULL;
		actor_fini(ctx, &parts[i].actor);
	}
	host_detach(&play.host);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	trace_clear();
}

static void
anything__at_random_under_a_host__is_called_when_it_is_ready(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	begin(fixture->ctx);
	for (int round = 0; play.operations < OPERATIONS; round++) {
		for (uint64_t i = random_below(&play.random, 6); i > 0; i--)
			operate();
		if (random_percent(&play.random, 60))
			assert_int_equal(host_wait(&play.host, 0), ROTA_CONTINUE);
		if (round % 8 == 0) {
			settle();
			check_quiet();
		}
		if (round % 512 == 0)
			assert_int_equal(host_wait(&play.host, 2 * ROTA_MILLISECOND),
				ROTA_CONTINUE);
		trace_clear();
	}
	assert_true(play.calls > OPERATIONS / 10);
	end(fixture->ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(anything__at_random_under_a_host__is_called_when_it_is_ready),
	};

	return host_run_tests(tests);
}
