/* SPDX-License-Identifier: MIT */
/*
 * gather.c - one question to all who know something of its topic, from two threads.
 *
 * Four producers know of the weather: `near` answers at once, `far` after 50 ms, `asleep` never,
 * and `away` refuses. A listener prints the answers as they come. The first question is asked by
 * the main thread, and lives for 200 ms; the second by another thread, which posts it to the loop,
 * and waits until the loop says that it is over.
 *
 *   gather
 *
 * Prints:
 *
 *   weather.oslo: near says 12
 *   weather.oslo: far says 14
 *   weather.oslo: timed out: far answered, asleep missing, away refused (no idea), near answered
 *   weather.bergen: near says 12
 *   weather.bergen: complete: near answered
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <rota/servicemodel.h>

/* Producers */

struct producer {
	const char *name;
	const char *topic;
	const char *answer;
	struct rota_timer timer;
	struct rota_question question; /* that is to be answered when the timer is due */
};

/* The context's own thread is the only one that gets here. */
static struct rota_context *ctx;

static int
answer(const struct rota_question *question, const struct producer *producer)
{
	return rota_question_answer(question, producer->answer, strlen(producer->answer));
}

static int
is_due(struct rota_context *context, struct rota_timer *timer)
{
	struct producer *producer = rota_container_of(timer, struct producer, timer);

	(void)context;
	/* Too late is no error: nobody waits any more, and the gather has counted it. */
	(void)answer(&producer->question, producer);
	return 0;
}

static int
near_asked(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)bytes;
	(void)len;
	return answer(question, userdata);
}

static int
far_asked(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	struct producer *producer = userdata;

	(void)bytes;
	(void)len;
	producer->question = *question;
	return rota_timer_start(ctx, &producer->timer, 50 * ROTA_MILLISECOND);
}

static int
asleep_asked(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)question;
	(void)bytes;
	(void)len;
	(void)userdata;
	return 0;
}

static int
away_asked(const struct rota_question *question, const void *bytes, size_t len, void *userdata)
{
	(void)bytes;
	(void)len;
	(void)userdata;
	return rota_question_refuse(question, "no idea");
}

static const struct rota_gather_producer_handlers handlers[] = {
	{ .on_question = near_asked },
	{ .on_question = far_asked },
	{ .on_question = asleep_asked },
	{ .on_question = away_asked },
};

static struct producer producers[] = {
	{ .name = "near", .topic = "weather.*", .answer = "12" },
	{ .name = "far", .topic = "weather.oslo", .answer = "14" },
	{ .name = "asleep", .topic = "weather.oslo" },
	{ .name = "away", .topic = "weather.oslo" },
};

static int
open_producers(struct rota_gather *gather)
{
	int r = 0;

	for (int i = 0; r >= 0 && i < 4; i++) {
		struct rota_gather_producer *made;

		rota_timer_init(&producers[i].timer, is_due);
		r = rota_gather_producer_new(gather, producers[i].name, &handlers[i], &producers[i],
			&made);
		if (r >= 0)
			r = rota_gather_producer_register(made, producers[i].topic);
	}
	return r;
}

/* A listener */

static void
heard(struct rota_gather_listener *listener, const struct rota_gather_answer *said, void *userdata)
{
	(void)listener;
	(void)userdata;
	printf("%s: %s says %.*s\n", said->topic, said->producer, (int)said->len,
		(const char *)said->bytes);
}

static int
open_listener(struct rota_gather *gather)
{
	struct rota_gather_listener *listener;
	int r = rota_gather_listener_new(gather, heard, NULL, &listener);

	return r < 0 ? r : rota_gather_listener_register(listener, "weather.>");
}

/* Requests */

static void
print_summary(const struct rota_gather_summary *summary)
{
	printf("%s: %s:", summary->topic, rota_gather_end_name(summary->end));
	for (size_t i = 0; i < summary->count; i++) {
		const struct rota_gather_result *result = &summary->results[i];

		printf("%s %s %s", i > 0 ? "," : "", result->producer,
			rota_gather_outcome_name(result->outcome));
		if (result->text[0] != '\0')
			printf(" (%s)", result->text);
	}
	printf("\n");
}

static void
main_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	bool *is_done = userdata;

	(void)gather;
	print_summary(summary);
	*is_done = true;
}

static bool
is_true(struct rota_context *context, void *userdata)
{
	(void)context;
	return *(bool *)userdata;
}

/* What another thread asks: it is filled and waited for there, and posted to the loop between. */
struct asked_elsewhere {
	struct rota_post post;
	struct rota_gather *gather;
	const char *topic;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
	bool is_joined; /* the loop's: the thread need not be waited for in vain */
};

static void
finish(struct asked_elsewhere *asked)
{
	pthread_mutex_lock(&asked->lock);
	asked->is_done = true;
	pthread_cond_signal(&asked->changed);
	pthread_mutex_unlock(&asked->lock);
	asked->is_joined = true;
}

static void
elsewhere_done(struct rota_gather *gather, const struct rota_gather_summary *summary,
	void *userdata)
{
	(void)gather;
	print_summary(summary);
	finish(userdata);
}

/* In the loop. */
static int
on_post(struct rota_context *context, struct rota_post *post)
{
	struct asked_elsewhere *asked = rota_container_of(post, struct asked_elsewhere, post);
	int r = rota_gather_request(asked->gather, asked->topic, NULL, 0, ROTA_SECOND,
		elsewhere_done, asked, NULL);

	(void)context;
	if (r < 0)
		finish(asked);
	return r;
}

static void *
other_thread(void *userdata)
{
	struct asked_elsewhere *asked = userdata;

	(void)rota_post(ctx, &asked->post);
	pthread_mutex_lock(&asked->lock);
	while (!asked->is_done)
		pthread_cond_wait(&asked->changed, &asked->lock);
	pthread_mutex_unlock(&asked->lock);
	return NULL;
}

static int
ask_elsewhere(struct rota_gather *gather)
{
	static struct asked_elsewhere asked = {
		.topic = "weather.bergen",
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER,
	};
	pthread_t thread;
	int r;

	asked.gather = gather;
	rota_post_init(&asked.post, on_post);
	if (pthread_create(&thread, NULL, other_thread, &asked) != 0)
		return -1;
	r = rota_wait(ctx, is_true, &asked.is_joined, 10 * ROTA_SECOND);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return 0;
}

int
main(void)
{
	struct rota_gather *gather = NULL;
	bool is_done = false;
	int r = rota_context_new(&ctx);

	if (r >= 0)
		r = rota_gather_new(ctx, NULL, &gather);
	if (r >= 0)
		r = open_producers(gather);
	if (r >= 0)
		r = open_listener(gather);
	if (r >= 0)
		r = rota_gather_request(gather, "weather.oslo", NULL, 0, 200 * ROTA_MILLISECOND,
			main_done, &is_done, NULL);
	if (r >= 0)
		r = rota_wait(ctx, is_true, &is_done, 10 * ROTA_SECOND);
	if (r >= 0)
		r = ask_elsewhere(gather);
	rota_gather_free(gather);
	rota_context_free(ctx);
	return r < 0 || fflush(stdout) != 0;
}
