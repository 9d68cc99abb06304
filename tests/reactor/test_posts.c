/* SPDX-License-Identifier: MIT */
/*
 * Posts: from many threads none is lost, each runs once, in the order of its thread; one that is
 * queued is not queued again; an idle context wakes up; and a turn that was cut short leaves none
 * behind. To be run under ThreadSanitizer too.
 */
#include <rota/task.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include <rota/errors.h>
#include <rota/timer.h>

#include "fixture.h"
#include "sim_context.h"
#include "trace.h"

#define THREADS 8

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	return fixture->ctx;
}

/* Each thread posts many of its own, as fast as it can. */

#define POSTS 40000

struct numbered {
	struct rota_post post;
	int thread;
	int number;
};

static struct producer {
	pthread_t thread;
	struct rota_context *ctx;
	struct numbered *posts;
	int index;
	int next; /* of its posts to run; the context's thread's */
	unsigned accepted;
	unsigned refused;
} producers[THREADS];

static uint64_t ran;

static int
on_numbered(struct rota_context *ctx, struct rota_post *post)
{
	struct numbered *numbered = rota_container_of(post, struct numbered, post);
	struct producer *producer = &producers[numbered->thread];

	assert_ptr_equal(ctx, producer->ctx);
	assert_int_equal(numbered->number, producer->next);
	producer->next++;
	ran++;
	return 0;
}

static void *
produce(void *argument)
{
	struct producer *producer = argument;

	for (int i = 0; i < POSTS; i++) {
		struct numbered *numbered = &producer->posts[i];

		*numbered = (struct numbered){ .thread = producer->index, .number = i };
		rota_post_init(&numbered->post, on_numbered);
		if (rota_post(producer->ctx, &numbered->post) == 0)
			producer->accepted++;
	}
	return NULL;
}

static void
start_threads(struct rota_context *ctx, void *(*body)(void *))
{
	ran = 0;
	for (int i = 0; i < THREADS; i++) {
		producers[i] = (struct producer){ .ctx = ctx, .index = i };
		producers[i].posts = calloc(POSTS, sizeof(struct numbered));
		assert_non_null(producers[i].posts);
		assert_int_equal(pthread_create(&producers[i].thread, NULL, body, &producers[i]),
			0);
	}
}

static void
join_threads(void)
{
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
		free(producers[i].posts);
	}
}

static bool
have_run(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return ran >= *(uint64_t *)userdata;
}

static void
posts__from_threads__run_once_each_in_their_order(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t all = (uint64_t)THREADS * POSTS;

	start_threads(ctx, produce);
	assert_int_equal(rota_wait(ctx, have_run, &all, 40 * ROTA_SECOND), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(ran, all);
	join_threads();
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(producers[i].accepted, POSTS);
}

/* With a budget most turns end before all posts have run. */
static void
posts__under_a_budget__run_once_each_in_their_order(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	uint64_t all = (uint64_t)THREADS * POSTS;

	vars.budget = 20 * ROTA_MICROSECOND;
	vars.timeout = 10 * ROTA_SECOND;
	start_threads(ctx, produce);
	while (ran < all)
		assert_int_equal(rota_turn(ctx, &vars), ROTA_CONTINUE);
	join_threads();
	assert_int_equal(ran, all);
}

/* All threads have the same post: what was accepted ran, and what was refused was still to run. */

static struct rota_post shared;

static int
on_shared(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	assert_ptr_equal(post, &shared);
	ran++;
	return 0;
}

static int finished;

static void *
post_shared(void *argument)
{
	struct producer *producer = argument;

	for (int i = 0; i < POSTS; i++) {
		int r = rota_post(producer->ctx, &shared);

		if (r == 0)
			producer->accepted++;
		else if (r == -EALREADY)
			producer->refused++;
	}
	__atomic_add_fetch(&finished, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void
post__of_all_threads__runs_as_often_as_it_was_accepted(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t accepted = 0;

	finished = 0;
	rota_post_init(&shared, on_shared);
	start_threads(ctx, post_shared);
	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < THREADS)
		assert_true(rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL) >= 0);
	join_threads();
	assert_in_range(rota_dispatch_once(ctx, 0, NULL), 0, 1);
	for (int i = 0; i < THREADS; i++) {
		accepted += producers[i].accepted;
		assert_int_equal(producers[i].accepted + producers[i].refused, POSTS);
	}
	assert_int_equal(ran, accepted);
	assert_true(accepted > 0);
}

/* One thread and one post at a time, to an idle context: a wake that got lost would take long. */

static struct rota_post echo;

static int
on_echo(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	ran++;
	return 0;
}

static void *
post_when_idle(void *argument)
{
	struct rota_context *ctx = argument;

	for (int i = 0; i < 2000; i++) {
		while (rota_post(ctx, &echo) == -EALREADY)
			sched_yield();
	}
	return NULL;
}

static void
post__to_an_idle_context__wakes_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t all = 2000;
	pthread_t thread;
	rota_time since = rota_context_now(ctx);

	ran = 0;
	rota_post_init(&echo, on_echo);
	assert_int_equal(pthread_create(&thread, NULL, post_when_idle, ctx), 0);
	assert_int_equal(rota_wait(ctx, have_run, &all, ROTA_NEVER), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ran, all);
	/* Turns wait for 30 s. */
	assert_true(rota_context_now(ctx) - since < 20 * ROTA_SECOND);
}

/* One thread: order, repetition and errors */

static int
on_word(struct rota_context *ctx, struct rota_post *post)
{
	struct numbered *numbered = rota_container_of(post, struct numbered, post);

	(void)ctx;
	trace("%d", numbered->number);
	return 0;
}

static int
on_post_again(struct rota_context *ctx, struct rota_post *post)
{
	on_word(ctx, post);
	return rota_post(ctx, post);
}

static int
on_failing(struct rota_context *ctx, struct rota_post *post)
{
	on_word(ctx, post);
	return -EIO;
}

static int
stop_on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	assert_null(target);
	trace("error:%d", error == -EIO);
	return ROTA_STOP;
}

static void
number_posts(struct numbered *posts, int count, rota_post_fn *on_run)
{
	for (int i = 0; i < count; i++) {
		posts[i].number = i;
		rota_post_init(&posts[i].post, on_run);
	}
}

static void
post__queued__is_not_queued_again_until_it_runs(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct numbered posts[3];

	number_posts(posts, 3, on_word);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(rota_post(ctx, &posts[i].post), 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(rota_post(ctx, &posts[i].post), -EALREADY);
		assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 3);
		assert_trace("0 1 2");
	}
}

static void
post__posted_in_its_handler__runs_once_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct numbered post;

	number_posts(&post, 1, on_post_again);
	assert_int_equal(rota_post(ctx, &post.post), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
		assert_trace("0");
	}
	post.post.on_run = on_word;
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
	assert_trace("0");
}

static void
post__fails_and_the_loop_is_stopped__leaves_the_rest_for_the_next(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct numbered posts[3];

	number_posts(posts, 3, on_word);
	posts[1].post.on_run = on_failing;
	for (int i = 0; i < 3; i++)
		assert_int_equal(rota_post(ctx, &posts[i].post), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, stop_on_error), -ROTA_ESTOPPED);
	assert_trace("0 1 error:1");
	assert_int_equal(rota_post(ctx, &posts[2].post), -EALREADY);
	assert_int_equal(rota_post(ctx, &posts[0].post), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, stop_on_error), 2);
	assert_trace("2 0");
}

static int
on_failing_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	return -EIO;
}

/* The wake was taken note of, but the turn ended before the posts. */
static void
post__turn_ended_before_the_posts__runs_in_the_next_at_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_timer timer;
	struct numbered post;

	rota_timer_init(&timer, on_failing_timer);
	number_posts(&post, 1, on_word);
	assert_int_equal(rota_timer_start(ctx, &timer, 0), 0);
	assert_int_equal(rota_post(ctx, &post.post), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, stop_on_error), -ROTA_ESTOPPED);
	assert_trace("timer error:1");
	assert_int_equal(rota_dispatch_once(ctx, ROTA_MINUTE, NULL), 1);
	assert_int_equal(sim_of(ctx)->now, 0);
	assert_trace("0");
}

static void
post__queued_when_the_context_is_freed__is_forgotten(void **state)
{
	struct numbered post;
	struct rota_context *ctx;

	(void)state;
	number_posts(&post, 1, on_word);
	assert_int_equal(rota_context_new(&ctx), 0);
	assert_int_equal(rota_post(ctx, &post.post), 0);
	assert_int_equal(rota_context_free(ctx), 0);
	assert_trace("");
}

static int
count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static void
context__made_and_used__starts_no_thread(void **state)
{
	int before = count_threads();
	struct numbered post;
	struct rota_context *ctx;

	(void)state;
	number_posts(&post, 1, on_word);
	assert_int_equal(rota_context_new(&ctx), 0);
	assert_int_equal(rota_post(ctx, &post.post), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_MINUTE, NULL), 1);
	assert_trace("0");
	assert_int_equal(count_threads(), before);
	assert_int_equal(rota_context_free(ctx), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(posts__from_threads__run_once_each_in_their_order),
		fixture_test(posts__under_a_budget__run_once_each_in_their_order),
		fixture_test(post__of_all_threads__runs_as_often_as_it_was_accepted),
		fixture_test(post__to_an_idle_context__wakes_it),
		fixture_test(post__queued__is_not_queued_again_until_it_runs),
		fixture_test(post__posted_in_its_handler__runs_once_a_turn),
		fixture_test(post__fails_and_the_loop_is_stopped__leaves_the_rest_for_the_next),
		fixture_test_simulated(post__turn_ended_before_the_posts__runs_in_the_next_at_once),
		fixture_test(post__queued_when_the_context_is_freed__is_forgotten),
		fixture_test(context__made_and_used__starts_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
