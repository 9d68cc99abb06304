/* SPDX-License-Identifier: MIT */
/*
 * The dispatch API that Rota follows, in its own words, as far as it is about contexts and targets:
 * each test quotes the sentence that it proves, and most do so on three contexts, libev's, the
 * simulated one and one of poll(2). The rest is test_origins.c's.
 *
 * The polling context is here to show how little it takes: it knows descriptors and interests, and
 * nothing else.
 */
#include <rota/iterate.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rota/context_ops.h>
#include <rota/errors.h>

#include "fixture.h"
#include "sim_context.h"
#include "trace.h"

/* A context of poll(2) */

#define POLLING_MOST 8

struct polling {
	struct rota_target *targets[POLLING_MOST];
	struct pollfd fds[POLLING_MOST];
	nfds_t count;
};

static int
polling_wait(struct rota_context *ctx, rota_time timeout)
{
	struct polling *polling = rota_context_own(ctx);
	rota_time most = timeout < ROTA_SECOND ? timeout : ROTA_SECOND;

	if (poll(polling->fds, polling->count, (int)(most / ROTA_MILLISECOND)) < 0)
		return errno == EINTR ? 0 : -errno;
	for (nfds_t i = 0; i < polling->count; i++) {
		short found = polling->fds[i].revents;
		unsigned both = found & (POLLERR | POLLHUP) ? ROTA_READABLE | ROTA_WRITABLE : 0;

		rota_context_report(ctx, polling->targets[i],
			both | (found & POLLIN ? ROTA_READABLE : 0) |
				(found & POLLOUT ? ROTA_WRITABLE : 0));
	}
	return 0;
}

static nfds_t
polling_find(const struct polling *polling, const struct rota_target *target)
{
	nfds_t i = 0;

	while (i < polling->count && polling->targets[i] != target)
		i++;
	return i;
}

static int
polling_watch(struct rota_context *ctx, struct rota_target *target, unsigned from)
{
	struct polling *polling = rota_context_own(ctx);
	nfds_t at = polling_find(polling, target);

	assert_true((at == polling->count) == (from == ROTA_UNWATCHED));
	if (at == POLLING_MOST)
		return -ENOMEM;
	polling->count += at == polling->count;
	polling->targets[at] = target;
	polling->fds[at].fd = target->fd;
	polling->fds[at].events = (short)((target->interest & ROTA_READABLE ? POLLIN : 0) |
		(target->interest & ROTA_WRITABLE ? POLLOUT : 0));
	return 0;
}

static void
polling_unwatch(struct rota_context *ctx, struct rota_target *target)
{
	struct polling *polling = rota_context_own(ctx);
	nfds_t at = polling_find(polling, target);

	assert_true(at < polling->count);
	polling->count--;
	polling->targets[at] = polling->targets[polling->count];
	polling->fds[at] = polling->fds[polling->count];
}

static rota_time
polling_now(struct rota_context *ctx)
{
	struct timespec now;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

static void
polling_free(struct rota_context *ctx)
{
	(void)ctx;
}

static const struct rota_context_ops polling_context_ops = {
	.own_size = sizeof(struct polling),
	.free = polling_free,
	.dispatch_once = rota_context_dispatch,
	.wait = polling_wait,
	.watch = polling_watch,
	.unwatch = polling_unwatch,
	.now = polling_now,
};

/* The same on each kind of context: libev's, the simulated one, that of poll. */
static void
on_each_context(void (*check)(struct rota_context *ctx))
{
	const struct rota_context_ops *kinds[] = { NULL, &sim_context_ops, &polling_context_ops };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct rota_context *ctx;
		int r = kinds[i] != NULL ? rota_context_make(kinds[i], NULL, &ctx)
					 : rota_context_new(&ctx);

		assert_int_equal(r, 0);
		check(ctx);
		assert_int_equal(rota_context_free(ctx), 0);
	}
}

/* Hooks that write down what they are given. */

static int
before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("before:%lld", (long long)vars->count);
	return ROTA_CONTINUE;
}

static int
after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("after:%lld", (long long)vars->count);
	return ROTA_CONTINUE;
}

static struct rota_dispatchvars
vars_of(int64_t count)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	vars.count = count;
	vars.before_dispatch = before;
	vars.after_dispatch = after;
	return vars;
}

/* A target and nothing else: a descriptor, an interest, a handler, in the struct of its owner. */
struct party {
	char text[8];
	struct rota_target target;
};

static int
service_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	char text[8];
	ssize_t n = read(target->fd, text, sizeof text);

	(void)ctx;
	assert_int_equal(events, ROTA_READABLE);
	assert_true(n > 0);
	trace("service");
	for (ssize_t i = 0; i < n; i++)
		text[i] = (char)toupper((unsigned char)text[i]);
	assert_int_equal(write(target->fd, text, (size_t)n), n);
	return 0;
}

static int
client_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct party *client = rota_container_of(target, struct party, target);

	assert_int_equal(events, ROTA_READABLE);
	assert_int_equal(read(target->fd, client->text, sizeof client->text), 6);
	trace("client");
	rota_context_stop(ctx);
	return 0;
}

static const struct rota_target_ops service_ops = { "service", service_ready };
static const struct rota_target_ops client_ops = { "client", client_ready };

static void
check_service_and_client(struct rota_context *ctx)
{
	struct rota_dispatchvars vars = vars_of(-1);
	struct party service, client;
	int pair[2];

	make_pair(pair);
	rota_target_init(&service.target, &service_ops, pair[0]);
	rota_target_init(&client.target, &client_ops, pair[1]);
	assert_int_equal(rota_target_start(ctx, &service.target, ROTA_READABLE), 0);
	assert_int_equal(rota_target_start(ctx, &client.target, ROTA_READABLE), 0);
	assert_int_equal(write(pair[1], "hello", 6), 6);
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_STOP);
	assert_string_equal(client.text, "HELLO");
	assert_trace("before:-1 service after:-1 before:-1 client after:-1");
	rota_target_stop(ctx, &service.target);
	rota_target_stop(ctx, &client.target);
	close_pair(pair);
}

/*
 * "iterate: a main loop for service models and clients"; "IDispatchContext: any implementor can be
 * iterated"; "IDispatchTarget: the minimal state a context needs": three implementors give one
 * trace, and one of them knows of a target its descriptor and its interest.
 */
static void
iterate__a_service_and_a_client_on_any_context__is_the_main_loop_of_both(void **state)
{
	(void)state;
	on_each_context(check_service_and_client);
}

/* "IDispatchTarget: the minimal state a context needs" */

static int
told_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	(void)target;
	trace("%s%s", events & ROTA_READABLE ? "r" : "", events & ROTA_WRITABLE ? "w" : "");
	return 0;
}

static void
check_target(struct rota_context *ctx)
{
	static const struct rota_target_ops ops = { .on_ready = told_ready };
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	rota_target_init(&target, &ops, pair[0]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_READABLE), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	write_byte(pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(rota_target_set_interest(ctx, &target, ROTA_WRITABLE), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(rota_target_set_interest(ctx, &target, 0), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	rota_target_stop(ctx, &target);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_trace("r w");
	close_pair(pair);
}

static void
target__with_descriptor_interest_and_handler_only__is_dispatched(void **state)
{
	(void)state;
	on_each_context(check_target);
}

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)target;
	(void)vars;
	trace("error:%d", error);
	return ROTA_CONTINUE;
}

static int
failing_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	(void)target;
	(void)events;
	return -ROTA_ELIMIT;
}

static void
check_error_handler(struct rota_context *ctx)
{
	static const struct rota_target_ops ops = { "failing", failing_ready };
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_target target;
	int pair[2];

	make_pair(pair);
	rota_target_init(&target, &ops, pair[0]);
	assert_int_equal(rota_target_start(ctx, &target, ROTA_WRITABLE), 0);
	vars.count = 1;
	vars.error_in_handler = on_error;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_ENDED_COUNT);
	assert_trace("error:-10005");
	assert_false(rota_target_is_started(&target));
	close_pair(pair);
}

/* "iterate only forwards timeout and error_in_handler": what the second is forwarded for. */
static void
error_in_handler__on_any_context__is_the_contexts_to_call(void **state)
{
	(void)state;
	on_each_context(check_error_handler);
}

/* Beyond iterate: "budget" */

static int
slow_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)events;
	trace("fd");
	sim_advance(ctx, 2 * ROTA_MILLISECOND);
	return read_all(target->fd) < 0;
}

static void
iterate__budget__puts_the_rest_off_to_the_next_dispatch(void **state)
{
	static const struct rota_target_ops ops = { "slow", slow_ready };
	struct fixture *fixture = *state;
	struct rota_dispatchvars vars = vars_of(2);
	struct rota_target targets[2];
	int pairs[2][2];

	for (int i = 0; i < 2; i++) {
		make_pair(pairs[i]);
		write_byte(pairs[i][1]);
		rota_target_init(&targets[i], &ops, pairs[i][0]);
		assert_int_equal(rota_target_start(fixture->ctx, &targets[i], ROTA_READABLE), 0);
	}
	vars.budget = ROTA_MILLISECOND;
	assert_int_equal(rota_iterate(fixture->ctx, &vars), ROTA_ENDED_COUNT);
	assert_trace("before:2 fd after:1 before:1 fd after:0 before:0");
	for (int i = 0; i < 2; i++) {
		rota_target_stop(fixture->ctx, &targets[i]);
		close_pair(pairs[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(
			iterate__a_service_and_a_client_on_any_context__is_the_main_loop_of_both),
		fixture_test(target__with_descriptor_interest_and_handler_only__is_dispatched),
		fixture_test(error_in_handler__on_any_context__is_the_contexts_to_call),
		fixture_test_simulated(iterate__budget__puts_the_rest_off_to_the_next_dispatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
