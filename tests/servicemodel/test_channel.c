/* SPDX-License-Identifier: MIT */
/*
 * Channels: what the original's tests did, in one process and with a child, and the calls that
 * handle events. Handlers are test_channel_handlers.c's, events test_channel_events.c's, and what
 * leaving, ending and a full channel lead to is test_channel_ends.c's and test_channel_full.c's.
 */
#include <errno.h>
#include <string.h>

#include "channeling.h"

/* What the original's tests did, in their words */

static int
child_hears_one(void *channel_)
{
	struct rota_channel *channel = channel_;
	struct rota_receiver *receiver;
	struct heard heard = { .count = 0 };

	if (rota_channel_receiver(channel, &receiver) < 0)
		return 2;
	rota_channel_free(channel);
	rota_receiver_connect(receiver, "on_new_user", hear, &heard);
	if (rota_receiver_handle_next(receiver, 10 * ROTA_SECOND) != 1)
		return 3;
	/* Closed at the next. */
	if (rota_receiver_handle_next(receiver, 10 * ROTA_SECOND) != -ROTA_ECLOSED)
		return 4;
	rota_receiver_close(receiver);
	return strcmp(heard.log, "on_new_user:Newman ") == 0 ? 0 : 5;
}

static void
origin__one_event_with_timeout_in_a_child__then_closed_at_the_next(void **state)
{
	struct rota_channel *channel = open_channel(NULL);
	struct rota_sender *sender;
	pid_t child = in_child(child_hears_one, channel);

	(void)state;
	sender = take_sender(channel);
	assert_int_equal(fire_text(sender, "on_new_user", "Newman"), 0);
	rota_sender_close(sender);
	assert_int_equal(status_of(child), 0);
}

static int
child_fires_three(void *channel_)
{
	struct rota_channel *channel = channel_;
	struct rota_sender *sender;

	if (rota_channel_sender(channel, &sender) < 0)
		return 2;
	rota_channel_free(channel);
	if (fire_text(sender, "test", "1") < 0 || fire_text(sender, "other", "2") < 0 ||
		fire_text(sender, "test", "3") < 0)
		return 3;
	rota_sender_close(sender);
	return 0;
}

/* The receiver of what a child fires, which hears "test". */
static struct rota_receiver *
open_with_child(struct heard *heard, pid_t *ret_child)
{
	struct rota_channel *channel = open_channel(NULL);
	struct rota_receiver *receiver;

	*ret_child = in_child(child_fires_three, channel);
	receiver = take_receiver(channel);
	assert_int_equal(rota_receiver_connect(receiver, "test", hear, heard), 0);
	return receiver;
}

static void
origin__one_event_with_timeout_in_the_parent__is_handled(void **state)
{
	struct heard heard = { .count = 0 };
	pid_t child;
	struct rota_receiver *receiver = open_with_child(&heard, &child);

	(void)state;
	assert_int_equal(rota_receiver_handle_next(receiver, 10 * ROTA_SECOND), 1);
	assert_string_equal(heard.log, "test:1 ");
	rota_receiver_close(receiver);
	/* Nobody has heard the rest, which it may have found out. */
	assert_in_set(status_of(child), ((const unsigned long[]){ 0, 3 }), 2);
}

static void
origin__three_events_one_of_unknown_name__then_until_closed(void **state)
{
	struct heard heard = { .count = 0 };
	pid_t child;
	struct rota_receiver *receiver = open_with_child(&heard, &child);

	(void)state;
	assert_int_equal(rota_receiver_handle_until_closed(receiver), 0);
	assert_string_equal(heard.log, "test:1 test:3 ");
	assert_int_equal(rota_receiver_meter(receiver)->events, 3);
	assert_int_equal(rota_receiver_meter(receiver)->ignored, 1);
	assert_int_equal(rota_receiver_handle_until_closed(receiver), 0);
	assert_int_equal(rota_receiver_handle_next(receiver, ROTA_NEVER), -ROTA_ECLOSED);
	rota_receiver_close(receiver);
	assert_int_equal(status_of(child), 0);
}

static int
closes_channel(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)event;
	++*(unsigned *)userdata;
	rota_receiver_close_channel(receiver);
	return 0;
}

static int
closes_itself(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)event;
	++*(unsigned *)userdata;
	rota_receiver_close(receiver);
	return 0;
}

static void
origin__closing_oneself_in_a_handler__ends_it(void **state)
{
	struct line line;
	unsigned called = 0;

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(rota_receiver_connect(line.receiver, "end", closes_channel, &called), 0);
	assert_int_equal(fire_text(line.sender, "end", ""), 0);
	assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
	assert_int_equal(called, 1);
	assert_int_equal(fire_text(line.sender, "end", ""), -EPIPE);
	close_line(&line);
}

static void
origin__handle_pending__handles_exactly_what_is_queued(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_hearing(&line, NULL, "test", &heard);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 0);
	for (unsigned i = 1; i <= 10; i++) {
		for (unsigned k = 0; k < i; k++)
			assert_int_equal(fire_text(line.sender, "test", "x"), 0);
		heard.count = 0;
		assert_int_equal(rota_receiver_handle_pending(line.receiver), i);
		assert_int_equal(heard.count, i);
	}
	leave_sender(&line);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), -ROTA_ECLOSED);
	close_line(&line);
}

static void
origin__event_named_close__is_one_like_others(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_hearing(&line, NULL, "CLOSE", &heard);
	assert_int_equal(fire_text(line.sender, "CLOSE", "1"), 0);
	assert_int_equal(fire_text(line.sender, "CLOSE", "2"), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_string_equal(heard.log, "CLOSE:1 CLOSE:2 ");
	close_line(&line);
}

/* The calls that handle */

static void
handle_next__nothing_there__times_out(void **state)
{
	struct line line;
	rota_time before;

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, -1), 0);
	before = real_time();
	assert_int_equal(rota_receiver_handle_next(line.receiver, 20 * ROTA_MILLISECOND), 0);
	assert_true(real_time() - before >= 20 * ROTA_MILLISECOND);
	assert_int_equal(fire_text(line.sender, "test", ""), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	close_line(&line);
}

static void
handle_next__interrupted__waits_on(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	faulty_sys_fail(FAULTY_PPOLL, 1, false, EINTR);
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_MILLISECOND), 0);
	assert_int_equal(faulty_sys_calls(FAULTY_PPOLL), 2);
	close_line(&line);
}

static void
handle_next__of_a_batch__handles_one_at_a_time(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	rota_sender_gather(line.sender, true);
	fire_texts(line.sender, 3);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
		assert_int_equal(heard.count, i);
	}
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(rota_receiver_meter(line.receiver)->packets, 1);
	assert_int_equal(rota_sender_meter(line.sender)->packets, 1);
	close_line(&line);
}

static int
calls_all(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)event;
	++*(unsigned *)userdata;
	assert_int_equal(rota_receiver_handle_next(receiver, 0), -EDEADLK);
	assert_int_equal(rota_receiver_handle_pending(receiver), -EDEADLK);
	assert_int_equal(rota_receiver_handle_until_closed(receiver), -EDEADLK);
	return 0;
}

static void
handling__in_a_handler__is_refused(void **state)
{
	struct line line;
	unsigned called = 0;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", calls_all, &called);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_int_equal(called, 2);
	close_line(&line);
}

static void
receiver__closed_in_its_handler__handles_no_more(void **state)
{
	unsigned called = 0;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct line line;

		open_line(&line, NULL);
		rota_sender_gather(line.sender, true);
		rota_receiver_connect(line.receiver, "n", closes_itself, &called);
		rota_receiver_connect(line.receiver, "n", hear, NULL);
		fire_text(line.sender, "n", "x");
		fire_text(line.sender, "n", "x");
		assert_int_equal(rota_sender_flush(line.sender), 0);
		if (i == 0)
			assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
		else if (i == 1)
			assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
		else
			assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
		line.receiver = NULL;
		assert_int_equal(called, i + 1);
		close_line(&line);
	}
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(origin__one_event_with_timeout_in_a_child__then_closed_at_the_next),
		TEST(origin__one_event_with_timeout_in_the_parent__is_handled),
		TEST(origin__three_events_one_of_unknown_name__then_until_closed),
		TEST(origin__closing_oneself_in_a_handler__ends_it),
		TEST(origin__handle_pending__handles_exactly_what_is_queued),
		TEST(origin__event_named_close__is_one_like_others),
		TEST(handle_next__nothing_there__times_out),
		TEST(handle_next__interrupted__waits_on),
		TEST(handle_next__of_a_batch__handles_one_at_a_time),
		TEST(handling__in_a_handler__is_refused),
		TEST(receiver__closed_in_its_handler__handles_no_more),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
