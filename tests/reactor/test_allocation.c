/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a scenario of the reactor fails, once and for ever, all in one process: no
 * abort, no leak, -ENOMEM told where something failed, and everything works again afterwards.
 */
#include <rota/context.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/allocator.h>
#include <rota/child.h>
#include <rota/signals.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "faulty_allocator.h"
#include "fixture.h"
#include "pidfd.h"

#define TARGETS 300
#define TIMERS 100

/* The scenario goes as far as it can; what failed must have failed with -ENOMEM. */

static struct scenario {
	struct rota_context *ctx;
	struct rota_target targets[TARGETS];
	struct rota_timer timers[TIMERS];
	struct rota_task task;
	struct rota_post post;
	struct rota_signal signal;
	struct rota_child child;
	int started; /* of the targets */
	int calls;
	unsigned failures;
} scenario;

static int descriptors[TARGETS];
static pid_t sleeper;

static int
note(int r)
{
	if (r >= 0)
		return r;
	assert_int_equal(r, -ENOMEM);
	scenario.failures++;
	return r;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)target;
	assert_int_equal(events & ROTA_LOST, 0);
	scenario.calls++;
	/* With turns in which nothing is added, and turns in which much is. */
	if (scenario.calls % 3 == 0 &&
		!rota_timer_is_running(&scenario.timers[scenario.calls % TIMERS]))
		note(rota_timer_start(ctx, &scenario.timers[scenario.calls % TIMERS], 0));
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "target", .on_ready = on_ready };

static int
on_nothing(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	(void)target;
	return (int)events * 0;
}

static const struct rota_target_ops plain_ops = { .name = "plain", .on_ready = on_nothing };

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	return 0;
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	(void)task;
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	return 0;
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)signal;
	(void)userdata;
	return 0;
}

static int
on_child(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	(void)ctx;
	(void)child;
	(void)end;
	(void)userdata;
	return 0;
}

static void
turn(int times)
{
	while (times-- > 0)
		assert_true(note(rota_dispatch_once(scenario.ctx, 0, NULL)) >= 0);
}

static void
start_targets(int from, int to)
{
	for (int i = from; i < to; i++) {
		rota_target_init(&scenario.targets[i], &target_ops, descriptors[i]);
		if (note(rota_target_start(scenario.ctx, &scenario.targets[i], ROTA_READABLE)) == 0)
			scenario.started++;
	}
}

static void
start_the_others(void)
{
	for (int i = 0; i < TIMERS; i++)
		note(rota_timer_start(scenario.ctx, &scenario.timers[i], i));
	rota_task_init(&scenario.task, on_task);
	rota_post_init(&scenario.post, on_post);
	assert_int_equal(rota_task_add(scenario.ctx, &scenario.task), 0);
	assert_int_equal(rota_post(scenario.ctx, &scenario.post), 0);
	note(rota_signal_start(scenario.ctx, &scenario.signal, SIGUSR1, on_signal, NULL));
	if (has_pidfd())
		note(rota_child_start(scenario.ctx, &scenario.child, sleeper, on_child, NULL));
}

static void
change_targets(void)
{
	for (int i = 0; i < TARGETS; i++) {
		struct rota_target *target = &scenario.targets[i];

		if (!rota_target_is_started(target))
			continue;
		if (i % 3 == 0)
			rota_target_stop(scenario.ctx, target);
		else
			note(rota_target_set_interest(scenario.ctx, target, (unsigned)i % 4));
	}
}

static void
take_targets(int from, int to)
{
	scenario.calls = 0;
	turn(1);
	assert_in_range(scenario.calls, to > from ? 1 : 0, TARGETS);
}

/* Readable ones, with numbers from lowest on. */
static void
open_descriptors(int lowest)
{
	for (int i = 0; i < TARGETS; i++) {
		int fd = eventfd(1, EFD_CLOEXEC);

		descriptors[i] = fcntl(fd, F_DUPFD_CLOEXEC, lowest);
		assert_true(descriptors[i] >= lowest);
		close(fd);
	}
}

static void
close_descriptors(void)
{
	for (int i = 0; i < TARGETS; i++)
		close(descriptors[i]);
}

/* Whether all went well. */
static bool
play(void)
{
	int fd;

	scenario = (struct scenario){ .signal = ROTA_SIGNAL_INIT, .child = ROTA_CHILD_INIT };
	if (note(rota_context_new(&scenario.ctx)) < 0) {
		assert_null(scenario.ctx);
		return false;
	}
	for (int i = 0; i < TIMERS; i++)
		rota_timer_init(&scenario.timers[i], on_timer);
	start_targets(0, TARGETS / 2);
	take_targets(0, scenario.started);
	start_the_others();
	turn(2);
	fd = rota_context_fd(scenario.ctx);
	if (fd != -ENOTSUP)
		note(fd);
	start_targets(TARGETS / 2, TARGETS);
	take_targets(0, scenario.started);
	turn(6);
	change_targets();
	turn(2);
	note(rota_context_forked(scenario.ctx, 0));
	rota_signal_stop(scenario.ctx, &scenario.signal);
	assert_int_equal(rota_context_free(scenario.ctx), 0);
	return scenario.failures == 0;
}

static int
setup(void **state)
{
	int ends[2];

	alarm(60);
	/* Above the context's own. */
	open_descriptors(64);
	assert_int_equal(pipe(ends), 0);
	sleeper = fork();
	if (sleeper == 0) {
		close(ends[1]);
		exit_child((int)read(ends[0], ends, 1));
	}
	close(ends[0]);
	*state = (void *)(intptr_t)ends[1];
	return 0;
}

static int
teardown(void **state)
{
	close((int)(intptr_t)*state);
	close_descriptors();
	alarm(0);
	return waitpid(sleeper, NULL, 0) == sleeper ? 0 : -1;
}

static void
fail_each(bool for_ever)
{
	int64_t live = faulty_allocator_live();
	unsigned told = 0;
	uint64_t calls;

	faulty_allocator_reset();
	assert_true(play());
	calls = faulty_allocator_calls();
	assert_true(calls > 20);
	for (uint64_t at = 1; at <= calls; at++) {
		bool is_well;

		faulty_allocator_fail(at, for_ever);
		is_well = play();
		/* A single failure within libev is made good from the reserve, and not told. */
		assert_true(faulty_allocator_failed() > 0);
		told += !is_well;
		assert_true(!for_ever || !is_well || at > calls / 2);
		assert_int_equal(faulty_allocator_live(), live);
		faulty_allocator_reset();
		assert_true(play());
		assert_int_equal(faulty_allocator_live(), live);
	}
	assert_true(told > 5);
}

static void
reactor__an_allocation_fails_once__goes_on(void **state)
{
	(void)state;
	fail_each(false);
}

static void
reactor__allocations_fail_for_ever__goes_on_with_what_it_has(void **state)
{
	(void)state;
	fail_each(true);
}

/* In a process of its own, as libev aborts if it fails. */
static void
assert_survives(void (*scene)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(60);
		scene();
		exit_child(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
play_above_other_descriptors(void)
{
	close_descriptors();
	open_descriptors(0);
	fail_each(false);
	fail_each(true);
}

/* libev's arrays are as long as its descriptors' numbers are high, its own included. */
static void
reactor__hundreds_of_descriptors_before_it__goes_on_too(void **state)
{
	(void)state;
	assert_survives(play_above_other_descriptors);
}

static void
context__its_first_allocations_fail__leaves_the_callers_pointer(void **state)
{
	(void)state;
	for (uint64_t at = 1; at < 12; at++) {
		struct rota_context *ctx = (struct rota_context *)&scenario;

		faulty_allocator_fail(at, true);
		assert_int_equal(rota_context_new(&ctx), -ENOMEM);
		assert_ptr_equal(ctx, &scenario);
	}
	faulty_allocator_reset();
}

static void
allocator__a_context_was_made__cannot_be_replaced(void **state)
{
	(void)state;
	assert_true(play());
	assert_int_equal(rota_set_allocator(NULL), -EBUSY);
}

static void
make_many_ready(void)
{
	enum { MANY = 6000 };
	static struct rota_target targets[MANY];
	struct rota_context *ctx;
	struct rlimit limit;
	int calls = 0;
	int many = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	faulty_allocator_reset();
	assert_int_equal(rota_context_new(&ctx), 0);
	for (; many < MANY && (rlim_t)many + 100 < limit.rlim_cur; many++) {
		rota_target_init(&targets[many], &plain_ops, eventfd(1, EFD_CLOEXEC));
		assert_int_equal(rota_target_start(ctx, &targets[many], ROTA_READABLE), 0);
	}
	faulty_allocator_fail(1, true);
	for (int turns = 0; turns < 12; turns++)
		calls = rota_dispatch_once(ctx, 0, NULL);
	assert_in_range(calls, 64, many);
	assert_int_equal(rota_context_free(ctx), 0);
}

/*
 * More are ready at once, turn after turn, than ever before, and there is no memory: libev wants to
 * have larger arrays in each of these turns, and aborts if it does not get them.
 */
static void
many__become_ready_without_memory__are_called(void **state)
{
	(void)state;
	assert_survives(make_many_ready);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reactor__an_allocation_fails_once__goes_on),
		cmocka_unit_test(reactor__allocations_fail_for_ever__goes_on_with_what_it_has),
		cmocka_unit_test(reactor__hundreds_of_descriptors_before_it__goes_on_too),
		cmocka_unit_test(context__its_first_allocations_fail__leaves_the_callers_pointer),
		cmocka_unit_test(allocator__a_context_was_made__cannot_be_replaced),
		cmocka_unit_test(many__become_ready_without_memory__are_called),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, setup, teardown);
}
