/* SPDX-License-Identifier: MIT */
/*
 * Targets: what can be watched, what a handler is given, and what changes of interest do to events
 * that were already found. On both contexts.
 */
#include <rota/target.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <rota/iterate.h>

#include "actor.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "sim_context.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

static int
turn(struct rota_context *ctx)
{
	return rota_dispatch_once(ctx, 0, NULL);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	trace("%s%s%s", target->ops->name, (events & ROTA_READABLE) != 0 ? "r" : "",
		(events & ROTA_WRITABLE) != 0 ? "w" : "");
	return 0;
}

static const struct rota_target_ops plain_ops = { .name = "t:", .on_ready = on_ready };

static struct rota_target
make_target(int fd)
{
	struct rota_target target;

	rota_target_init(&target, &plain_ops, fd);
	return target;
}

/* What can be started */

static void
start__of_what_is_started__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	struct rota_target other;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	other = make_target(pair[0]);
	assert_false(rota_target_is_started(&target));
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), 0);
	assert_true(rota_target_is_started(&target));
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -EALREADY);
	assert_int_equal(rota_target_start(ctx, &other, ROTA_READABLE), -EEXIST);
	assert_false(rota_target_is_started(&other));
	rota_target_stop(ctx, &other);
	rota_target_stop(ctx, &target);
	rota_target_stop(ctx, &target);
	assert_false(rota_target_is_started(&target));
	assert_int_equal(rota_target_start(ctx, &other, ROTA_WRITABLE), 0);
	assert_int_equal(turn(ctx), 1);
	assert_trace("t:w");
	rota_target_stop(ctx, &other);
	close_pair(pair);
}

static void
start__of_what_cannot_be_watched__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct rota_target target = make_target(-1);

	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -EBADF);
	target.fd = 60000;
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -EBADF);
	target.fd = file;
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -EPERM);
	target.fd = directory;
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -EPERM);
	target.fd = STDERR_FILENO;
	assert_int_equal(rota_target_start(ctx, &target, 1u << 2), -EINVAL);
	assert_int_equal(rota_target_start(ctx, &target, ~0u), -EINVAL);
	assert_false(rota_target_is_started(&target));
	close(file);
	close(directory);
}

static void
start__fails__leaves_the_target_as_it_was(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	faulty_sys_fail(FAULTY_FSTAT, 1, false, ENOMEM);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), -ENOMEM);
	assert_false(rota_target_is_started(&target));
	target.fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 5000);
	faulty_allocator_fail(1, true);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_WRITABLE), -ENOMEM);
	assert_false(rota_target_is_started(&target));
	assert_int_equal(turn(ctx), 0);
	faulty_allocator_reset();
	assert_int_equal(rota_target_start(ctx, &target, ROTA_WRITABLE), 0);
	assert_int_equal(turn(ctx), 1);
	assert_trace("t:w");
	rota_target_stop(ctx, &target);
	close(target.fd);
	close_pair(pair);
}

static void
watch__is_refused_by_the_context__changes_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	sim_of(ctx)->watch_error = -ENOSPC;
	assert_int_equal(rota_target_start(ctx, &target, 0), -ENOSPC);
	assert_false(rota_target_is_started(&target));
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), 0);
	sim_of(ctx)->watch_error = -ENOMEM;
	assert_int_equal(rota_target_set_interest(ctx, &target, ROTA_WRITABLE), -ENOMEM);
	assert_int_equal(turn(ctx), 0);
	write_byte(pair[1]);
	assert_int_equal(turn(ctx), 1);
	assert_trace("t:r");
	sim_of(ctx)->watch_error = -ENOMEM;
	assert_int_equal(rota_target_set_interest(ctx, &target, 0), 0);
	rota_target_stop(ctx, &target);
	sim_of(ctx)->watch_error = 0;
	close_pair(pair);
}

static void
set_interest__of_what_it_should_not__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	assert_int_equal(rota_target_set_interest(ctx, &target, ROTA_READABLE), -EINVAL);
	assert_int_equal(rota_target_start(ctx, &target, 0), 0);
	assert_int_equal(rota_target_set_interest(ctx, &target, ROTA_LOST), -EINVAL);
	assert_int_equal(turn(ctx), 0);
	rota_target_stop(ctx, &target);
	assert_int_equal(rota_target_set_interest(ctx, &target, 0), -EINVAL);
	close_pair(pair);
}

/* What a handler is given */

static void
handler__with_each_interest__gets_the_ready_ones_of_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE | ROTA_WRITABLE), 0);
	turn(ctx);
	assert_trace("t:w");
	write_byte(pair[1]);
	turn(ctx);
	assert_trace("t:rw");
	rota_target_set_interest(ctx, &target, ROTA_READABLE);
	turn(ctx);
	assert_trace("t:r");
	rota_target_set_interest(ctx, &target, 0);
	turn(ctx);
	assert_trace("");
	rota_target_set_interest(ctx, &target, ROTA_WRITABLE);
	turn(ctx);
	assert_trace("t:w");
	rota_target_stop(ctx, &target);
	turn(ctx);
	assert_trace("");
	close_pair(pair);
}

static void
readiness__not_used_up__is_reported_every_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	target = make_target(pair[0]);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), 0);
	write_byte(pair[1]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(turn(ctx), 1);
	assert_trace("t:r t:r t:r");
	read_all(pair[0]);
	assert_int_equal(turn(ctx), 0);
	rota_target_stop(ctx, &target);
	close_pair(pair);
}

/* Each interest, on a descriptor that has hung up and on one that has an error. */
static void
hang_up_and_error__of_a_descriptor__show_as_every_direction_wanted(void **state)
{
	static const unsigned interests[] = { ROTA_READABLE, ROTA_WRITABLE,
		ROTA_READABLE | ROTA_WRITABLE, 0 };
	static const char *const traces[] = { "t:r", "t:w", "t:rw", "" };
	struct rota_context *ctx = context_of(state);
	int hung_up[2];
	int broken[2];

	make_pair(hung_up);
	close(hung_up[1]);
	assert_int_equal(pipe2(broken, O_CLOEXEC | O_NONBLOCK), 0);
	close(broken[0]);
	for (int i = 0; i < 4; i++) {
		struct rota_target up = make_target(hung_up[0]);
		struct rota_target bad = make_target(broken[1]);

		assert_int_equal(rota_target_start(ctx, &up, interests[i]), 0);
		turn(ctx);
		assert_trace(traces[i]);
		rota_target_stop(ctx, &up);
		assert_int_equal(rota_target_start(ctx, &bad, interests[i]), 0);
		turn(ctx);
		assert_trace(traces[i]);
		rota_target_stop(ctx, &bad);
	}
	close(hung_up[0]);
	close(broken[1]);
}

static void
checks_it_is_lost(struct rota_context *ctx, struct actor *actor)
{
	(void)ctx;
	if ((actor->events & ROTA_LOST) != 0 && !rota_target_is_started(&actor->target))
		trace("lost");
}

static void
target__lost__is_stopped_and_told_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct actor actor = actor_make(ACTOR_TARGET, "t");

	actor_start(ctx, &actor);
	actor.act = checks_it_is_lost;
	sim_of(ctx)->losing = &actor.target;
	assert_int_equal(turn(ctx), 1);
	assert_trace("t lost");
	actor.act = NULL;
	write_byte(actor.pair[1]);
	assert_int_equal(turn(ctx), 0);
	actor_start(ctx, &actor);
	assert_int_equal(turn(ctx), 1);
	assert_trace("t");
	assert_int_equal(actor.events, ROTA_READABLE);
	actor_fini(ctx, &actor);
}

/*
 * Events that were found and are no longer wanted. Two targets are ready, and whichever is called
 * first does something to the other; contexts may report them in any order.
 */

struct two {
	struct actor actors[2];
	int first; /* which was called first */
	void (*act)(struct rota_context *ctx, struct actor *other);
};

static void
acts_on_other(struct rota_context *ctx, struct actor *actor)
{
	struct two *two = actor->userdata;

	if (two->first >= 0)
		return;
	two->first = (int)(actor - two->actors);
	two->act(ctx, &two->actors[1 - two->first]);
}

static void
run_two(struct rota_context *ctx, struct two *two,
	void (*act)(struct rota_context *ctx, struct actor *other))
{
	two->first = -1;
	two->act = act;
	for (int i = 0; i < 2; i++) {
		two->actors[i] = actor_make(ACTOR_TARGET, "t");
		two->actors[i].act = acts_on_other;
		two->actors[i].userdata = two;
		actor_ready(ctx, &two->actors[i]);
	}
	turn(ctx);
}

static void
fini_two(struct rota_context *ctx, struct two *two)
{
	for (int i = 0; i < 2; i++)
		actor_fini(ctx, &two->actors[i]);
	trace_clear();
}

static void
stop(struct rota_context *ctx, struct actor *other)
{
	rota_target_stop(ctx, &other->target);
}

static void
target__stopped_when_its_event_was_found__is_not_called(void **state)
{
	struct two two;

	run_two(context_of(state), &two, stop);
	assert_trace("t");
	turn(context_of(state));
	assert_trace("");
	fini_two(context_of(state), &two);
}

static void
stop_and_start(struct rota_context *ctx, struct actor *other)
{
	rota_target_stop(ctx, &other->target);
	actor_start(ctx, other);
}

static void
target__restarted_when_its_event_was_found__is_called_in_the_next_turn(void **state)
{
	struct two two;

	run_two(context_of(state), &two, stop_and_start);
	assert_trace("t");
	turn(context_of(state));
	assert_trace("t");
	fini_two(context_of(state), &two);
}

static void
want_nothing(struct rota_context *ctx, struct actor *other)
{
	assert_int_equal(rota_target_set_interest(ctx, &other->target, 0), 0);
}

static void
interest__cleared_when_its_event_was_found__drops_it(void **state)
{
	struct two two;

	run_two(context_of(state), &two, want_nothing);
	assert_trace("t");
	fini_two(context_of(state), &two);
}

static void
want_nothing_and_again(struct rota_context *ctx, struct actor *other)
{
	want_nothing(ctx, other);
	assert_int_equal(rota_target_set_interest(ctx, &other->target, ROTA_READABLE), 0);
}

static void
interest__cleared_and_set_when_its_event_was_found__finds_it_anew(void **state)
{
	struct two two;

	run_two(context_of(state), &two, want_nothing_and_again);
	assert_trace("t");
	turn(context_of(state));
	assert_trace("t");
	fini_two(context_of(state), &two);
}

static void
want_to_write(struct rota_context *ctx, struct actor *other)
{
	assert_int_equal(rota_target_set_interest(ctx, &other->target, ROTA_WRITABLE), 0);
}

static void
interest__turned_round_when_its_event_was_found__waits_for_the_new(void **state)
{
	struct two two;

	run_two(context_of(state), &two, want_to_write);
	assert_trace("t");
	turn(context_of(state));
	assert_trace("t");
	assert_int_equal(two.actors[1 - two.first].events, ROTA_WRITABLE);
	fini_two(context_of(state), &two);
}

static void
want_more(struct rota_context *ctx, struct actor *other)
{
	unsigned both = ROTA_READABLE | ROTA_WRITABLE;

	assert_int_equal(rota_target_set_interest(ctx, &other->target, both), 0);
}

static void
interest__raised_when_an_event_was_found__keeps_it(void **state)
{
	struct two two;

	run_two(context_of(state), &two, want_more);
	assert_trace("t t");
	assert_int_equal(two.actors[1 - two.first].events & ROTA_READABLE, ROTA_READABLE);
	fini_two(context_of(state), &two);
}

/* The other's descriptor gets a new object, which has nothing to read. */
static void
replace_descriptor(struct rota_context *ctx, struct actor *other)
{
	int fd = other->pair[0];

	rota_target_stop(ctx, &other->target);
	close_pair(other->pair);
	make_pair(other->pair);
	assert_true(other->pair[0] == fd || other->pair[1] == fd);
	actor_start(ctx, other);
}

static void
descriptor__closed_and_used_again_when_its_event_was_found__is_a_new_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct two two;

	run_two(ctx, &two, replace_descriptor);
	assert_trace("t");
	turn(ctx);
	assert_trace("");
	write_byte(two.actors[1 - two.first].pair[1]);
	turn(ctx);
	assert_trace("t");
	fini_two(ctx, &two);
}

static void
targets__of_two_contexts__may_share_a_descriptor(void **state)
{
	struct rota_context *other = NULL;
	struct rota_target first;
	struct rota_target second;
	int pair[2];

	make_pair(pair);
	first = make_target(pair[0]);
	second = make_target(pair[0]);
	assert_int_equal(rota_context_new(&other), 0);
	assert_int_equal(rota_target_start(context_of(state), &first, ROTA_WRITABLE), 0);
	assert_int_equal(rota_target_start(other, &second, ROTA_WRITABLE), 0);
	assert_int_equal(turn(context_of(state)), 1);
	assert_int_equal(turn(other), 1);
	assert_trace("t:w t:w");
	rota_target_stop(context_of(state), &first);
	assert_int_equal(rota_context_free(other), 0);
	close_pair(pair);
}

static int
install_allocator(void **state)
{
	(void)state;
	faulty_allocator_install();
	return 0;
}

/* Each for the libev context and for the simulated one. */
#define both_test(function) fixture_test(function), fixture_test_simulated(function)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		both_test(start__of_what_is_started__is_refused),
		both_test(start__of_what_cannot_be_watched__is_refused),
		both_test(start__fails__leaves_the_target_as_it_was),
		fixture_test_simulated(watch__is_refused_by_the_context__changes_nothing),
		both_test(set_interest__of_what_it_should_not__is_refused),
		both_test(handler__with_each_interest__gets_the_ready_ones_of_it),
		both_test(readiness__not_used_up__is_reported_every_turn),
		both_test(hang_up_and_error__of_a_descriptor__show_as_every_direction_wanted),
		fixture_test_simulated(target__lost__is_stopped_and_told_once),
		both_test(target__stopped_when_its_event_was_found__is_not_called),
		both_test(target__restarted_when_its_event_was_found__is_called_in_the_next_turn),
		both_test(interest__cleared_when_its_event_was_found__drops_it),
		both_test(interest__cleared_and_set_when_its_event_was_found__finds_it_anew),
		both_test(interest__turned_round_when_its_event_was_found__waits_for_the_new),
		both_test(interest__raised_when_an_event_was_found__keeps_it),
		both_test(descriptor__closed_and_used_again_when_its_event_was_found__is_a_new_one),
		both_test(targets__of_two_contexts__may_share_a_descriptor),
	};

	return cmocka_run_group_tests(tests, install_allocator, NULL);
}
