/* SPDX-License-Identifier: MIT */
/*
 * Handlers of a receiver's events: their order, connecting and disconnecting in them, those that
 * fail, and many names.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/iterate.h>

#include "channeling.h"

/* Handlers */

static char order_log[64];

/* A line, and nothing in the log. */
static void
open_ordered(struct line *line)
{
	order_log[0] = '\0';
	open_line(line, NULL);
}

/* Fires so often, and has it handled: result is returned, and that stands in the log then. */
static void
expect_order(struct line *line, int fires, int result, const char *log)
{
	for (int i = 0; i < fires; i++)
		assert_int_equal(fire_text(line->sender, "n", ""), 0);
	assert_int_equal(rota_receiver_handle_pending(line->receiver), result);
	assert_string_equal(order_log, log);
}

static int
logs(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)receiver;
	(void)event;
	strcat(order_log, userdata);
	return 0;
}

static void
handlers__of_one_name__are_called_in_the_order_of_their_connects(void **state)
{
	static char names[4][2] = { "1", "2", "3", "4" };
	struct line line;

	(void)state;
	open_ordered(&line);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rota_receiver_connect(line.receiver, "n", logs, names[i]), 0);
	expect_order(&line, 1, 1, "1234");
	close_line(&line);
}

static int
disconnects(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)event;
	strcat(order_log, "d");
	assert_int_equal(rota_receiver_disconnect(receiver, "n", disconnects, userdata), 0);
	assert_int_equal(rota_receiver_disconnect(receiver, "n", logs, userdata), 0);
	assert_int_equal(rota_receiver_disconnect(receiver, "n", logs, userdata), -ENOENT);
	return 0;
}

static int
connects(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)event;
	strcat(order_log, "c");
	assert_int_equal(rota_receiver_connect(receiver, "n", logs, userdata), 0);
	return 0;
}

static void
handlers__connected_and_disconnected_in_handlers__are_obeyed(void **state)
{
	static char one[] = "1";
	static char two[] = "2";
	static char three[] = "3";
	struct line line;

	(void)state;
	open_ordered(&line);
	rota_receiver_connect(line.receiver, "n", logs, one);
	rota_receiver_connect(line.receiver, "n", disconnects, two);
	rota_receiver_connect(line.receiver, "n", logs, two);
	rota_receiver_connect(line.receiver, "n", connects, three);
	expect_order(&line, 1, 1, "1dc");
	assert_int_equal(rota_receiver_disconnect(line.receiver, "n", connects, three), 0);
	expect_order(&line, 1, 1, "1dc13");
	assert_int_equal(rota_receiver_disconnect(line.receiver, "n", logs, one), 0);
	assert_int_equal(rota_receiver_disconnect(line.receiver, "n", logs, three), 0);
	assert_int_equal(rota_receiver_disconnect(line.receiver, "n", logs, three), -ENOENT);
	assert_int_equal(line.receiver->topic_count, 0);
	close_line(&line);
}

static int
fails(struct rota_receiver *receiver, const struct rota_event *event, int error, void *userdata)
{
	(void)receiver;
	strcat(order_log, event->name);
	assert_int_equal(error, -EIO);
	return *(int *)userdata;
}

static int
answers_eio(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)receiver;
	(void)event;
	(void)userdata;
	strcat(order_log, "e");
	return -EIO;
}

static void
handler__that_fails__costs_no_other_its_call(void **state)
{
	static const struct rota_receiver_handlers handlers = { .error_in_handler = fails };
	static char one[] = "1";
	int verdict = 0;
	struct line line;

	(void)state;
	open_ordered(&line);
	rota_receiver_connect(line.receiver, "n", answers_eio, NULL);
	rota_receiver_connect(line.receiver, "n", logs, one);
	/* Without a handler of errors it is counted. */
	expect_order(&line, 1, 1, "e1");
	rota_receiver_set_handlers(line.receiver, &handlers, &verdict);
	expect_order(&line, 2, 2, "e1en1en1");
	verdict = ROTA_STOP;
	expect_order(&line, 2, -ROTA_ESTOPPED, "e1en1en1en1");
	verdict = 0;
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->errors, 5);
	close_line(&line);
}

static void
handler__of_all__hears_every_event_behind_the_others(void **state)
{
	static const struct rota_receiver_handlers handlers = { .on_event = logs };
	static char all[] = "a";
	static char one[] = "1";
	struct line line;

	(void)state;
	open_ordered(&line);
	rota_receiver_set_handlers(line.receiver, &handlers, all);
	rota_receiver_connect(line.receiver, "n", logs, one);
	fire_text(line.sender, "n", "");
	fire_text(line.sender, "unknown", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_string_equal(order_log, "1aa");
	assert_int_equal(rota_receiver_meter(line.receiver)->ignored, 0);
	close_line(&line);
}

static void
names__many__each_has_its_own_handlers(void **state)
{
	enum { NAMES = 300 };
	struct line line;
	struct heard heard[NAMES] = { { .count = 0 } };
	char name[ROTA_EVENT_NAME + 1];

	(void)state;
	open_line(&line, NULL);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "name-%d", i * 7919 % NAMES);
		assert_int_equal(rota_receiver_connect(line.receiver, name, hear,
					 &heard[i * 7919 % NAMES]),
			0);
	}
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "name-%d", i);
		assert_int_equal(rota_sender_fire_bytes(line.sender, name, "", 0), 0);
		assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
		assert_int_equal(heard[i].count, 1);
	}
	assert_int_equal(rota_receiver_meter(line.receiver)->ignored, 0);
	close_line(&line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handlers__of_one_name__are_called_in_the_order_of_their_connects),
		TEST(handlers__connected_and_disconnected_in_handlers__are_obeyed),
		TEST(handler__that_fails__costs_no_other_its_call),
		TEST(handler__of_all__hears_every_event_behind_the_others),
		TEST(names__many__each_has_its_own_handlers),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
