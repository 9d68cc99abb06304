/* SPDX-License-Identifier: MIT */
/*
 * A channel that is full: refusing, waiting, and the longest wait.
 */
#include <errno.h>

#include "channeling.h"

/* Full */

static void
full__to_be_refused__is_counted_and_loses_nothing(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	const struct rota_sender_meter *meter;
	unsigned fired;
	int r;

	(void)state;
	open_line(&line, NULL);
	meter = rota_sender_meter(line.sender);
	rota_receiver_connect(line.receiver, "fill", hear, &heard);
	rota_sender_set_when_full(line.sender, ROTA_FULL_REFUSE, 0);
	for (int gathers = 0; gathers < 2; gathers++) {
		rota_sender_gather(line.sender, gathers);
		heard.count = 0;
		fired = fire_until_full(line.sender, &r);
		assert_int_equal(r, -ROTA_EFULL);
		assert_int_equal(meter->refused, gathers + 1);
		rota_receiver_handle_pending(line.receiver);
		assert_int_equal(rota_sender_flush(line.sender), 0);
		rota_receiver_handle_pending(line.receiver);
		assert_int_equal(heard.count, fired);
		assert_int_equal(meter->fired,
			rota_receiver_meter(line.receiver)->events + meter->refused);
		assert_int_equal(fire_text(line.sender, "fill", "again"), 0);
		assert_int_equal(rota_sender_flush(line.sender), 0);
		rota_receiver_handle_pending(line.receiver);
	}
	close_line(&line);
}

static void
full__to_be_waited_for__times_out(void **state)
{
	struct line line;
	rota_time before;
	int r;

	(void)state;
	open_line(&line, NULL);
	rota_sender_set_when_full(line.sender, ROTA_FULL_BLOCK, 10 * ROTA_MILLISECOND);
	before = real_time();
	fire_until_full(line.sender, &r);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(real_time() - before >= 10 * ROTA_MILLISECOND);
	assert_int_equal(rota_sender_meter(line.sender)->waits, 1);
	assert_int_equal(rota_sender_meter(line.sender)->refused, 1);
	close_line(&line);
}

#define MANY 20000

static int
fires_many(void *line_)
{
	struct line *line = line_;

	rota_receiver_close(line->receiver);
	for (int i = 0; i < MANY; i++) {
		if (rota_sender_fire(line->sender, "i", "i", i) < 0)
			return 1;
	}
	rota_sender_close(line->sender);
	return 0;
}

static void
full__blocks_until_there_is_room_and_keeps_the_order(void **state)
{
	struct line line;
	int next = 0;
	pid_t child;

	(void)state;
	for (int gathers = 0; gathers < 2; gathers++) {
		open_line(&line, NULL);
		next = 0;
		rota_sender_gather(line.sender, gathers);
		rota_receiver_connect(line.receiver, "i", count_up, &next);
		child = in_child(fires_many, &line);
		leave_sender(&line);
		assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
		assert_int_equal(next, MANY);
		assert_int_equal(status_of(child), 0);
		close_line(&line);
	}
}

/* SIGKILL at random moments */

/* "timeout is the longest wait", also when others are always quicker to take the room. */
static void
full__with_room_that_others_take__times_out(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	rota_sender_set_when_full(line.sender, ROTA_FULL_BLOCK, 20 * ROTA_MILLISECOND);
	faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
	assert_int_equal(fire_text(line.sender, "n", "x"), -ETIMEDOUT);
	/* Each call has its own. */
	assert_int_equal(fire_text(line.sender, "n", "x"), -ETIMEDOUT);
	faulty_sys_reset();
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_sender_meter(line.sender)->refused, 2);
	close_line(&line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(full__to_be_refused__is_counted_and_loses_nothing),
		TEST(full__to_be_waited_for__times_out),
		TEST(full__blocks_until_there_is_room_and_keeps_the_order),
		TEST(full__with_room_that_others_take__times_out),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
