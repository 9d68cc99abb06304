/* SPDX-License-Identifier: MIT */
/*
 * A backing whose channel is full, as nobody receives for a while: questions wait in order, up to a
 * limit, and what is more fails and is counted. And what is made of arguments, and what costs
 * memory.
 */
#include <errno.h>
#include <string.h>

#include "remote.h"

#define SECONDS ROTA_SECOND
#define REQUESTS 2000
#define LARGE 4000

struct crowd {
	struct remote remote;
	size_t done;
	size_t outcomes[ROTA_GATHER_OUTCOME_COUNT];
	int error; /* of the last that failed */
};

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct crowd *crowd = userdata;

	(void)gather;
	crowd->done++;
	crowd->outcomes[summary->results[0].outcome]++;
	if (summary->results[0].outcome == ROTA_GATHER_FAILED)
		crowd->error = summary->results[0].error;
}

static void
crowd_open(struct crowd *crowd, void **state, size_t kept_max)
{
	*crowd = (struct crowd){ .done = 0 };
	remote_open(&crowd->remote, state);
	rota_gather_backing_free(crowd->remote.backing);
	rota_receiver_close(crowd->remote.questions);
	rota_sender_close(crowd->remote.answers);
	crowd->remote.options.kept_max = kept_max;
	remote_back(&crowd->remote);
}

static void
crowd_ask(struct crowd *crowd, size_t len, rota_time ttl)
{
	static const char large[70000];

	assert_int_equal(rota_gather_request(crowd->remote.gather, "work", large, len, ttl, on_done,
				 crowd, NULL),
		0);
}

static const struct rota_backing_meter *
meter_of(const struct crowd *crowd)
{
	return rota_gather_backing_meter(crowd->remote.backing);
}

/* All that was taken comes to the other end, in the order in which it was asked. */
static void
expect_all(struct crowd *crowd, struct far *far)
{
	while (remote_take(&crowd->remote, far) > 0)
		;
	assert_int_equal(far->asked, meter_of(crowd)->asked);
	assert_int_equal(meter_of(crowd)->kept, 0);
	for (size_t i = 0; i < far->asked; i++) {
		/* Half of an id counts, the other is a place. */
		assert_true(i == 0 || far->ids[i] >> 20 > far->ids[i - 1] >> 20);
		remote_answer(&crowd->remote, far, i, "x");
		if (i % 64 == 0)
			circle_spin(crowd->remote.ctx);
	}
	circle_spin(crowd->remote.ctx);
}

/* "full channel: kept bounded (with a counter)" */
static void
channel__is_full__questions_wait_in_order_up_to_a_limit(void **state)
{
	static struct far far;
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)1 << 20);
	for (int i = 0; i < REQUESTS; i++)
		crowd_ask(&crowd, LARGE, 60 * SECONDS);
	circle_spin(crowd.remote.ctx);
	assert_true(meter_of(&crowd)->delayed > 100);
	assert_true(meter_of(&crowd)->kept > (size_t)1 << 19);
	assert_true(meter_of(&crowd)->kept <= (size_t)1 << 20);
	assert_true(meter_of(&crowd)->refused > 0);
	assert_int_equal(meter_of(&crowd)->asked + meter_of(&crowd)->refused, REQUESTS);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_FAILED], meter_of(&crowd)->refused);
	assert_int_equal(crowd.error, -ROTA_EFULL);
	far.asked = 0;
	expect_all(&crowd, &far);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_ANSWERED], meter_of(&crowd)->asked);
	assert_int_equal(crowd.done, REQUESTS);
	/* And it goes on. */
	crowd_ask(&crowd, LARGE, 60 * SECONDS);
	assert_int_equal(remote_take(&crowd.remote, &far), 1);
	remote_close(&crowd.remote);
}

static void
channel__is_full_and_nothing_is_kept__refuses(void **state)
{
	static struct far far;
	struct crowd crowd;

	crowd_open(&crowd, state, 0);
	for (int i = 0; i < REQUESTS; i++)
		crowd_ask(&crowd, LARGE, 60 * SECONDS);
	circle_spin(crowd.remote.ctx);
	assert_int_equal(meter_of(&crowd)->delayed, 0);
	assert_true(meter_of(&crowd)->refused > 0);
	assert_int_equal(meter_of(&crowd)->asked + meter_of(&crowd)->refused, REQUESTS);
	far.asked = 0;
	expect_all(&crowd, &far);
	assert_int_equal(crowd.done, REQUESTS);
	remote_close(&crowd.remote);
}

static void
fill(struct crowd *crowd)
{
	while (meter_of(crowd)->delayed == 0) {
		crowd_ask(crowd, LARGE, 60 * SECONDS);
		circle_spin(crowd->remote.ctx);
	}
}

static void
question__kept_that_cannot_be_fired__has_failed(void **state)
{
	static struct far far;
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)1 << 20);
	fill(&crowd);
	crowd_ask(&crowd, 70000, 60 * SECONDS);
	crowd_ask(&crowd, LARGE, 60 * SECONDS);
	circle_spin(crowd.remote.ctx);
	assert_int_equal(crowd.done, 0);
	assert_int_equal(meter_of(&crowd)->delayed, 3);
	faulty_sys_fail(FAULTY_MEMFD_CREATE, 1, false, EMFILE);
	far.asked = 0;
	while (remote_take(&crowd.remote, &far) > 0)
		;
	assert_int_equal(faulty_sys_failed(), 1);
	faulty_sys_reset();
	assert_int_equal(crowd.outcomes[ROTA_GATHER_FAILED], 1);
	assert_int_equal(crowd.error, -EMFILE);
	assert_int_equal(far.asked, meter_of(&crowd)->asked - 1);
	assert_int_equal(meter_of(&crowd)->open, far.asked);
	remote_close(&crowd.remote);
}

/* And so do those that are kept. */
static void
channel__is_full_and_its_process_dies__all_have_died(void **state)
{
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)1 << 20);
	fill(&crowd);
	assert_int_equal(crowd.done, 0);
	rota_receiver_close(crowd.remote.questions);
	crowd.remote.questions = NULL;
	circle_spin(crowd.remote.ctx);
	assert_int_equal(crowd.remote.deaths, 1);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_DIED], crowd.done);
	assert_int_equal(meter_of(&crowd)->asked, crowd.done);
	assert_int_equal(meter_of(&crowd)->kept, 0);
	remote_close(&crowd.remote);
}

static void
backing__freed_while_its_channel_is_full__leaves_nothing(void **state)
{
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)1 << 20);
	fill(&crowd);
	rota_gather_backing_free(crowd.remote.backing);
	crowd.remote.backing = NULL;
	circle_spin(crowd.remote.ctx);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_MISSING], crowd.done);
	remote_close(&crowd.remote);
}

static void
question__larger_than_an_event__has_failed(void **state)
{
	static char large[(1 << 20) + 1];
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)4 << 20);
	assert_int_equal(rota_gather_request(crowd.remote.gather, "work", large, sizeof large,
				 60 * SECONDS, on_done, &crowd, NULL),
		0);
	circle_spin(crowd.remote.ctx);
	assert_int_equal(crowd.error, -EMSGSIZE);
	fill(&crowd);
	assert_int_equal(rota_gather_request(crowd.remote.gather, "work", large, sizeof large,
				 60 * SECONDS, on_done, &crowd, NULL),
		0);
	circle_spin(crowd.remote.ctx);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_FAILED], 2);
	assert_int_equal(crowd.error, -EMSGSIZE);
	remote_close(&crowd.remote);
}

/* Arguments */

static int
try_new(struct rota_gather *gather, const char *name, struct line *line, size_t size)
{
	struct rota_gather_channel_options options = ROTA_GATHER_CHANNEL_OPTIONS_INIT;
	struct rota_gather_backing *backing = NULL;
	int r;

	options.size = size;
	r = rota_gather_backing_new_channel(gather, name, line->sender, line->receiver, &options,
		&backing);
	assert_null(backing);
	return r;
}

static void
arguments__that_make_no_sense__leave_the_ends_to_the_caller(void **state)
{
	size_t size = sizeof(struct rota_gather_channel_options);
	struct rota_context *ctx = circle_context(state);
	struct rota_gather *gather = circle_open(ctx);
	struct heard heard = { .count = 0 };
	struct line line;
	char name[ROTA_GATHER_NAME_MOST + 2];

	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	open_line(&line, NULL);
	assert_int_equal(try_new(gather, "x", &line, size - 1), -EINVAL);
	assert_int_equal(try_new(gather, name, &line, size), -EINVAL);
	assert_int_equal(rota_sender_attach(line.sender, ctx), 0);
	assert_int_equal(try_new(gather, "x", &line, size), -EALREADY);
	rota_sender_detach(line.sender);
	assert_int_equal(rota_receiver_attach(line.receiver, ctx), 0);
	assert_int_equal(try_new(gather, "x", &line, size), -EALREADY);
	rota_receiver_detach(line.receiver);
	/* They work as before. */
	assert_int_equal(rota_receiver_connect(line.receiver, "n", hear, &heard), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	assert_string_equal(heard.log, "n:x ");
	rota_context_free(ctx);
	assert_int_equal(try_new(gather, "x", &line, size), -ECANCELED);
	rota_gather_free(gather);
	close_line(&line);
	((struct fixture *)*state)->ctx = NULL;
}

static void
backing__of_one_kind__has_nothing_of_the_other(void **state)
{
	struct rota_gather_backing *pool = NULL;
	struct remote remote;

	remote_open(&remote, state);
	assert_int_equal(rota_gather_backing_new(remote.gather, "pool", NULL, &pool), 0);
	assert_null(rota_gather_backing_pool(remote.backing));
	assert_null(rota_gather_backing_meter(pool));
	assert_non_null(rota_gather_backing_pool(pool));
	assert_non_null(rota_gather_backing_meter(remote.backing));
	rota_gather_backing_free(pool);
	remote_close(&remote);
}

/* Memory: with the responder in the same context, so that both sides are looked at. */
static void
memory__in_a_steady_state__is_not_allocated(void **state)
{
	struct rota_responder *responder;
	struct crowd crowd;

	crowd_open(&crowd, state, (size_t)1 << 20);
	assert_int_equal(rota_responder_new(crowd.remote.questions, crowd.remote.answers,
				 &remote_handlers, NULL, NULL, &responder),
		0);
	crowd.remote.questions = NULL;
	crowd.remote.answers = NULL;
	assert_int_equal(rota_responder_attach(responder, crowd.remote.ctx), 0);
	for (int round = 0; round < 20; round++) {
		if (round == 10)
			faulty_allocator_reset();
		for (int i = 0; i < 10; i++)
			assert_int_equal(rota_gather_request(crowd.remote.gather, "work", "echo x",
						 6, 10 * SECONDS, on_done, &crowd, NULL),
				0);
		while (crowd.done < (size_t)(round + 1) * 10)
			assert_true(rota_dispatch_once(crowd.remote.ctx, SECONDS, NULL) >= 0);
	}
	assert_int_equal(faulty_allocator_calls(), 0);
	assert_int_equal(crowd.outcomes[ROTA_GATHER_ANSWERED], 200);
	rota_responder_free(responder);
	remote_close(&crowd.remote);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(channel__is_full__questions_wait_in_order_up_to_a_limit),
		fixture_test(channel__is_full_and_nothing_is_kept__refuses),
		fixture_test(question__kept_that_cannot_be_fired__has_failed),
		fixture_test(channel__is_full_and_its_process_dies__all_have_died),
		fixture_test(backing__freed_while_its_channel_is_full__leaves_nothing),
		fixture_test(question__larger_than_an_event__has_failed),
		fixture_test(arguments__that_make_no_sense__leave_the_ends_to_the_caller),
		fixture_test(backing__of_one_kind__has_nothing_of_the_other),
		fixture_test(memory__in_a_steady_state__is_not_allocated),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
