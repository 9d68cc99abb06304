/* SPDX-License-Identifier: MIT */
/*
 * Signals: delivered in turns, once each however often they came; one context's at a time; what was
 * there before is put back; and SIGPIPE and SIGCHLD are left alone.
 */
#include <rota/signals.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <rota/errors.h>
#include <rota/timer.h>

#include "fixture.h"
#include "peer.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

/* What handlers are given, and write. */
static char word_a[] = "a";
static char word_b[] = "b";
static char word_first[] = "first";
static char word_second[] = "second";
static char word_victim[] = "victim";

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	trace("%s:%d", (const char *)userdata, signal->number);
	return 0;
}

/* Takes turns until a handler has run: the wait that a signal interrupts ends with 0. */
static int
dispatch(struct rota_context *ctx)
{
	for (int i = 0; i < 10; i++) {
		int r = rota_dispatch_once(ctx, 0, NULL);

		if (r != 0)
			return r;
	}
	return 0;
}

/* Dispositions */

static void
on_own(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
}

static struct sigaction
disposition_of(int number)
{
	struct sigaction action;

	assert_int_equal(sigaction(number, NULL, &action), 0);
	return action;
}

static void
set_disposition(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	assert_int_equal(sigaction(number, &action, NULL), 0);
}

static void
disposition__started_and_stopped__is_as_it_was(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct sigaction before = { .sa_sigaction = on_own, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct rota_signal signal;
	struct sigaction after;

	sigemptyset(&before.sa_mask);
	sigaddset(&before.sa_mask, SIGHUP);
	assert_int_equal(sigaction(SIGUSR2, &before, NULL), 0);
	memset(&signal, 0, sizeof signal);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR2, on_signal, word_a), 0);
	assert_int_equal(signal.number, SIGUSR2);
	assert_true(disposition_of(SIGUSR2).sa_sigaction != on_own);
	rota_signal_stop(ctx, &signal);
	assert_int_equal(signal.number, 0);
	after = disposition_of(SIGUSR2);
	assert_true(after.sa_sigaction == on_own);
	assert_int_equal(after.sa_flags & before.sa_flags, before.sa_flags);
	assert_int_equal(sigismember(&after.sa_mask, SIGHUP), 1);
	set_disposition(SIGUSR2, SIG_DFL);
	rota_signal_stop(ctx, &signal);
	assert_true(disposition_of(SIGUSR2).sa_handler == SIG_DFL);
}

static void
disposition__ignored_before__is_ignored_after(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	set_disposition(SIGUSR2, SIG_IGN);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR2, on_signal, word_a), 0);
	assert_true(disposition_of(SIGUSR2).sa_handler != SIG_IGN);
	rota_signal_stop(ctx, &signal);
	assert_true(disposition_of(SIGUSR2).sa_handler == SIG_IGN);
	set_disposition(SIGUSR2, SIG_DFL);
}

static void
disposition__context_freed__is_as_it_was(void **state)
{
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct rota_context *ctx;

	(void)state;
	set_disposition(SIGUSR2, SIG_IGN);
	assert_int_equal(rota_context_new(&ctx), 0);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR2, on_signal, word_a), 0);
	assert_int_equal(rota_context_free(ctx), 0);
	assert_int_equal(signal.number, 0);
	assert_true(disposition_of(SIGUSR2).sa_handler == SIG_IGN);
	set_disposition(SIGUSR2, SIG_DFL);
}

static void
disposition__of_pipe_and_child__is_never_touched(void **state)
{
	static const int numbers[] = { SIGPIPE, SIGCHLD };
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct peer peer;

	for (int i = 0; i < 2; i++) {
		assert_true(disposition_of(numbers[i]).sa_handler == SIG_DFL);
		assert_int_equal(rota_signal_start(ctx, &signal, numbers[i], on_signal, word_a),
			-EINVAL);
	}
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_a), 0);
	peer_open(ctx, &peer, "io");
	write_byte(peer.pair[1]);
	assert_int_equal(dispatch(ctx), 1);
	trace_clear();
	peer_close(ctx, &peer);
	rota_signal_stop(ctx, &signal);
	for (int i = 0; i < 2; i++)
		assert_true(disposition_of(numbers[i]).sa_handler == SIG_DFL);
}

/* Errors */

static void
start__not_a_signal_that_can_be_had__is_refused(void **state)
{
	static const int numbers[] = { SIGPIPE, SIGCHLD, SIGKILL, SIGSTOP, 0, -1, -SIGINT, 65,
		64000, INT32_MAX, INT32_MIN };
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		int r = rota_signal_start(ctx, &signal, numbers[i], on_signal, word_a);

		assert_int_equal(r, -EINVAL);
		assert_int_equal(signal.number, 0);
		rota_signal_stop(ctx, &signal);
	}
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, NULL, NULL), -EINVAL);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGRTMIN + 1, on_signal, word_a), 0);
	rota_signal_stop(ctx, &signal);
}

static void
start__some_context_has_it__is_busy(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal first = ROTA_SIGNAL_INIT;
	struct rota_signal second = ROTA_SIGNAL_INIT;
	struct rota_context *other;

	assert_int_equal(rota_context_new(&other), 0);
	assert_int_equal(rota_signal_start(ctx, &first, SIGUSR1, on_signal, word_first), 0);
	assert_int_equal(rota_signal_start(ctx, &second, SIGUSR1, on_signal, word_second), -EBUSY);
	assert_int_equal(rota_signal_start(other, &second, SIGUSR1, on_signal, word_second),
		-EBUSY);
	rota_signal_stop(other, &second);
	assert_int_equal(raise(SIGUSR1), 0);
	/* The other one is woken too, but not for this. */
	assert_int_equal(rota_signal_start(other, &second, SIGUSR2, on_signal, word_second), 0);
	assert_int_equal(raise(SIGUSR2), 0);
	assert_int_equal(dispatch(other), 1);
	assert_trace("second:12");
	rota_signal_stop(other, &second);
	assert_int_equal(dispatch(ctx), 1);
	assert_trace("first:10");
	rota_signal_stop(ctx, &first);
	assert_int_equal(rota_signal_start(other, &second, SIGUSR1, on_signal, word_second), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(dispatch(other), 1);
	assert_trace("second:10");
	assert_int_equal(rota_context_free(other), 0);
	assert_int_equal(rota_signal_start(ctx, &first, SIGUSR1, on_signal, word_first), 0);
	rota_signal_stop(ctx, &first);
}

/* Delivery */

static void
signals__come_more_than_once_before_a_turn__are_one_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal a = ROTA_SIGNAL_INIT;
	struct rota_signal b = ROTA_SIGNAL_INIT;

	assert_int_equal(rota_signal_start(ctx, &a, SIGUSR1, on_signal, word_a), 0);
	assert_int_equal(rota_signal_start(ctx, &b, SIGUSR2, on_signal, word_b), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(raise(SIGUSR2), 0);
		assert_int_equal(raise(SIGUSR1), 0);
	}
	assert_trace("");
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 2);
	assert_trace("a:10 b:12");
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(dispatch(ctx), 1);
	assert_trace("a:10");
	rota_signal_stop(ctx, &a);
	rota_signal_stop(ctx, &b);
}

static void
signal__stopped_before_its_turn__is_not_delivered(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_a), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	rota_signal_stop(ctx, &signal);
	assert_int_equal(dispatch(ctx), 0);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_b), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	rota_signal_stop(ctx, &signal);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_b), 0);
	assert_int_equal(dispatch(ctx), 0);
	assert_trace("");
	rota_signal_stop(ctx, &signal);
}

static struct rota_signal victim;

static int
stop_both(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	on_signal(ctx, signal, userdata);
	rota_signal_stop(ctx, signal);
	rota_signal_stop(ctx, &victim);
	return 0;
}

static void
signal__stopped_in_a_handler__is_not_delivered(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, stop_both, word_a), 0);
	assert_int_equal(rota_signal_start(ctx, &victim, SIGUSR2, on_signal, word_victim), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(raise(SIGUSR2), 0);
	assert_int_equal(dispatch(ctx), 1);
	assert_int_equal(dispatch(ctx), 0);
	assert_trace("a:10");
	assert_true(disposition_of(SIGUSR1).sa_handler == SIG_DFL);
	assert_true(disposition_of(SIGUSR2).sa_handler == SIG_DFL);
}

static int
raise_again(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	on_signal(ctx, signal, userdata);
	return raise(signal->number);
}

static void
signal__raised_in_its_handler__comes_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;

	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, raise_again, word_a), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
		assert_trace("a:10");
	}
	rota_signal_stop(ctx, &signal);
}

static int
on_failing(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	on_signal(ctx, signal, userdata);
	return -EIO;
}

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	assert_null(target);
	assert_int_equal(error, -EIO);
	trace("error");
	return ROTA_STOP;
}

static void
signal__fails__is_stopped_and_the_error_handler_decides(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal a = ROTA_SIGNAL_INIT;
	struct rota_signal b = ROTA_SIGNAL_INIT;

	assert_int_equal(rota_signal_start(ctx, &a, SIGUSR1, on_failing, word_a), 0);
	assert_int_equal(rota_signal_start(ctx, &b, SIGUSR2, on_signal, word_b), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(raise(SIGUSR2), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, on_error), -ROTA_ESTOPPED);
	assert_trace("a:10 error");
	assert_int_equal(a.number, 0);
	assert_true(disposition_of(SIGUSR1).sa_handler == SIG_DFL);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, on_error), 1);
	assert_trace("b:12");
	rota_signal_stop(ctx, &b);
}

/* Waits. The fixture's alarm is a SIGALRM; these tests use the system's other timers. */

static timer_t
ring(int number, long after, long every)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = number };
	struct itimerspec times = { { 0, every }, { 0, after } };
	timer_t timer;

	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &times, NULL), 0);
	return timer;
}

static void
wait__a_signal_comes__ends_early_and_then_it_is_delivered(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	rota_time since = rota_context_now(ctx);

	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_a), 0);
	for (int i = 0; i < 5; i++) {
		timer_t timer = ring(SIGUSR1, 3000000, 0);
		int r = rota_dispatch_once(ctx, 30 * ROTA_SECOND, NULL);

		if (r == 0)
			r = rota_dispatch_once(ctx, 30 * ROTA_SECOND, NULL);
		assert_int_equal(r, 1);
		assert_trace("a:10");
		assert_int_equal(timer_delete(timer), 0);
	}
	assert_true(rota_context_now(ctx) - since < 20 * ROTA_SECOND);
	rota_signal_stop(ctx, &signal);
}

static volatile sig_atomic_t own_calls;

static void
on_own_count(int number)
{
	(void)number;
	own_calls = own_calls + 1;
}

static void
wait__a_signal_of_the_programs_own_comes__ends_early_with_0(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time since = rota_context_now(ctx);
	timer_t timer;

	set_disposition(SIGUSR2, on_own_count);
	own_calls = 0;
	timer = ring(SIGUSR2, 3000000, 3000000);
	while (own_calls == 0)
		assert_int_equal(rota_dispatch_once(ctx, 30 * ROTA_SECOND, NULL), 0);
	assert_int_equal(timer_delete(timer), 0);
	assert_true(rota_context_now(ctx) - since < 20 * ROTA_SECOND);
	set_disposition(SIGUSR2, SIG_DFL);
}

static int
count_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	return 0;
}

static unsigned deliveries;

static int
count_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)signal;
	(void)userdata;
	deliveries++;
	return 0;
}

/* 10,000 signals a second: everything else still gets its turn. */
static void
wait__a_storm_of_signals__starves_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct rota_timer timer;
	struct peer peer;
	timer_t storm;

	rota_timer_init(&timer, count_timer);
	peer_open(ctx, &peer, "io");
	deliveries = 0;
	assert_int_equal(rota_signal_start(ctx, &signal, SIGRTMIN, count_signal, NULL), 0);
	storm = ring(SIGRTMIN, 100000, 100000);
	for (unsigned i = 1; i <= 30; i++) {
		assert_int_equal(rota_timer_start(ctx, &timer, 5 * ROTA_MILLISECOND), 0);
		write_byte(peer.pair[1]);
		while (peer.calls < i || rota_timer_is_running(&timer))
			assert_true(rota_dispatch_once(ctx, 30 * ROTA_SECOND, NULL) >= 0);
		trace_clear();
	}
	assert_int_equal(timer_delete(storm), 0);
	assert_true(deliveries > 30);
	rota_signal_stop(ctx, &signal);
	peer_close(ctx, &peer);
}

static void *
raise_in_thread(void *argument)
{
	(void)argument;
	return (void *)(intptr_t)raise(SIGUSR1);
}

static void
signal__of_another_thread__is_delivered_in_the_contexts(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	pthread_t thread;
	void *result;

	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, word_a), 0);
	assert_int_equal(pthread_create(&thread, NULL, raise_in_thread, NULL), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_trace("");
	assert_int_equal(dispatch(ctx), 1);
	assert_trace("a:10");
	rota_signal_stop(ctx, &signal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(disposition__started_and_stopped__is_as_it_was),
		fixture_test(disposition__ignored_before__is_ignored_after),
		fixture_test(disposition__context_freed__is_as_it_was),
		fixture_test(disposition__of_pipe_and_child__is_never_touched),
		fixture_test(start__not_a_signal_that_can_be_had__is_refused),
		fixture_test(start__some_context_has_it__is_busy),
		fixture_test(signals__come_more_than_once_before_a_turn__are_one_call),
		fixture_test(signal__stopped_before_its_turn__is_not_delivered),
		fixture_test(signal__stopped_in_a_handler__is_not_delivered),
		fixture_test(signal__raised_in_its_handler__comes_in_the_next_turn),
		fixture_test(signal__fails__is_stopped_and_the_error_handler_decides),
		fixture_test(wait__a_signal_comes__ends_early_and_then_it_is_delivered),
		fixture_test(wait__a_signal_of_the_programs_own_comes__ends_early_with_0),
		fixture_test(wait__a_storm_of_signals__starves_nothing),
		fixture_test(signal__of_another_thread__is_delivered_in_the_contexts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
