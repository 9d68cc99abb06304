/* SPDX-License-Identifier: MIT */
/*
 * Channels: firing, handlers and the calls that handle events, in one process and with a child.
 * What leaving, ending and a full channel lead to is test_channel_ends.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota/iterate.h>

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
	assert_int_equal(rota_channel_sender(channel, &sender), 0);
	rota_channel_free(channel);
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

static void
origin__one_event_with_timeout_in_the_parent__is_handled(void **state)
{
	struct rota_channel *channel = open_channel(NULL);
	struct heard heard = { .count = 0 };
	struct rota_receiver *receiver;
	pid_t child = in_child(child_fires_three, channel);

	(void)state;
	assert_int_equal(rota_channel_receiver(channel, &receiver), 0);
	rota_channel_free(channel);
	assert_int_equal(rota_receiver_connect(receiver, "test", hear, &heard), 0);
	assert_int_equal(rota_receiver_handle_next(receiver, 10 * ROTA_SECOND), 1);
	assert_string_equal(heard.log, "test:1 ");
	rota_receiver_close(receiver);
	/* Nobody has heard the rest, which it may have found out. */
	assert_in_set(status_of(child), ((const unsigned long[]){ 0, 3 }), 2);
}

static void
origin__three_events_one_of_unknown_name__then_until_closed(void **state)
{
	struct rota_channel *channel = open_channel(NULL);
	struct heard heard = { .count = 0 };
	struct rota_receiver *receiver;
	pid_t child = in_child(child_fires_three, channel);

	(void)state;
	assert_int_equal(rota_channel_receiver(channel, &receiver), 0);
	rota_channel_free(channel);
	assert_int_equal(rota_receiver_connect(receiver, "test", hear, &heard), 0);
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
	struct heard heard = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(rota_receiver_connect(line.receiver, "test", hear, &heard), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 0);
	for (unsigned i = 1; i <= 10; i++) {
		for (unsigned k = 0; k < i; k++)
			assert_int_equal(fire_text(line.sender, "test", "x"), 0);
		heard.count = 0;
		assert_int_equal(rota_receiver_handle_pending(line.receiver), i);
		assert_int_equal(heard.count, i);
	}
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_pending(line.receiver), -ROTA_ECLOSED);
	close_line(&line);
}

static void
origin__event_named_close__is_one_like_others(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(rota_receiver_connect(line.receiver, "CLOSE", hear, &heard), 0);
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
	struct heard heard = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	rota_sender_gather(line.sender, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(line.sender, "n", "x"), 0);
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

/* Handlers */

static char order_log[64];

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
	order_log[0] = '\0';
	open_line(&line, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rota_receiver_connect(line.receiver, "n", logs, names[i]), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_string_equal(order_log, "1234");
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
	order_log[0] = '\0';
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", logs, one);
	rota_receiver_connect(line.receiver, "n", disconnects, two);
	rota_receiver_connect(line.receiver, "n", logs, two);
	rota_receiver_connect(line.receiver, "n", connects, three);
	fire_text(line.sender, "n", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_string_equal(order_log, "1dc");
	assert_int_equal(rota_receiver_disconnect(line.receiver, "n", connects, three), 0);
	fire_text(line.sender, "n", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_string_equal(order_log, "1dc13");
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
	order_log[0] = '\0';
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", answers_eio, NULL);
	rota_receiver_connect(line.receiver, "n", logs, one);
	/* Without a handler of errors it is counted. */
	fire_text(line.sender, "n", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_string_equal(order_log, "e1");
	rota_receiver_set_handlers(line.receiver, &handlers, &verdict);
	fire_text(line.sender, "n", "");
	fire_text(line.sender, "n", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_string_equal(order_log, "e1en1en1");
	verdict = ROTA_STOP;
	fire_text(line.sender, "n", "");
	fire_text(line.sender, "n", "");
	assert_int_equal(rota_receiver_handle_pending(line.receiver), -ROTA_ESTOPPED);
	assert_string_equal(order_log, "e1en1en1en1");
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
	order_log[0] = '\0';
	open_line(&line, NULL);
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

/* Firing */

struct values {
	struct rota_text who;
	int age;
	bool is_admin;
	double height;
	unsigned count;
};

static int
takes_values(struct rota_receiver *receiver, const struct rota_event *event, void *values_)
{
	struct values *values = values_;

	(void)receiver;
	assert_int_equal(event->name_len, strlen("on_new_user"));
	values->count++;
	assert_true(rota_event_unpack(event, NULL, "t i {admin: b, height: d}", &values->who,
			    &values->age, &values->is_admin, &values->height) > 0);
	assert_true(rota_text_is(&values->who, "Newman"));
	return 0;
}

static void
event__of_positional_and_named_arguments__arrives_typed(void **state)
{
	struct line line;
	struct values values = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "on_new_user", takes_values, &values);
	assert_int_equal(rota_sender_fire(line.sender, "on_new_user", "s i {height: d, admin: b}",
				 "Newman", 42, 1.75, true),
		0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(values.count, 1);
	assert_int_equal(values.age, 42);
	assert_true(values.is_admin);
	assert_true(values.height == 1.75);
	close_line(&line);
}

static int
takes_bytes(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	struct rota_unpack_error error;

	(void)receiver;
	assert_false(event->is_packed);
	assert_int_equal(rota_event_unpack(event, &error, "*"), -ROTA_EPACK);
	assert_int_equal(rota_event_unpack(event, NULL, "*"), -ROTA_EPACK);
	*(size_t *)userdata = event->len;
	return 0;
}

static void
event__of_bytes__arrives_as_it_is(void **state)
{
	struct line line;
	size_t len = 99;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "raw", takes_bytes, &len);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "raw", "\x00\xff\x00", 3), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(len, 3);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "raw", NULL, 0), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(len, 0);
	close_line(&line);
}

static void
fire__of_what_cannot_be__is_refused_and_leaves_nothing(void **state)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	char name[ROTA_EVENT_NAME + 2];
	static const char bytes[101];
	struct line line;

	(void)state;
	options.event_max = 100;
	open_line(&line, &options);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	rota_sender_gather(line.sender, true);
	assert_int_equal(fire_text(line.sender, "", ""), -EINVAL);
	assert_int_equal(fire_text(line.sender, name, ""), -EINVAL);
	assert_int_equal(rota_sender_fire(line.sender, "n", "[", ""), -EINVAL);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, 101), -EMSGSIZE);
	assert_int_equal(rota_sender_fire(line.sender, "n", "y",
				 &(struct rota_bytes){ bytes, 100 }),
		-EMSGSIZE);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	assert_int_equal(rota_sender_meter(line.sender)->fired, 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 0);
	name[ROTA_EVENT_NAME] = '\0';
	assert_int_equal(rota_sender_fire_bytes(line.sender, name, bytes, 100), 0);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(rota_receiver_connect(line.receiver, "", hear, NULL), -EINVAL);
	close_line(&line);
}

static void
event__of_any_size__arrives_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 64, 65000, 65527, 65528, 65529, 65536, 65537, 1 << 20,
		(size_t)64 << 20 };
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	unsigned char *bytes = calloc(1, (size_t)64 << 20);
	struct line line;
	struct heard heard = { .count = 0 };

	(void)state;
	options.event_max = (size_t)64 << 20;
	open_line(&line, &options);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (int is_gathering = 0; is_gathering < 2; is_gathering++) {
			heard.bytes = 0;
			rota_sender_gather(line.sender, is_gathering);
			assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizes[i]),
				0);
			assert_int_equal(rota_sender_flush(line.sender), 0);
			assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
			assert_int_equal(heard.bytes, sizes[i]);
		}
	}
	/* Packed, too: those are made before they are known to be large. */
	assert_int_equal(rota_sender_fire(line.sender, "other", "y",
				 &(struct rota_bytes){ bytes, 1 << 20 }),
		0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_true(rota_sender_meter(line.sender)->large >= 6);
	assert_true(line.sender->batch.size + line.sender->held.size < (size_t)1 << 20);
	free(bytes);
	close_line(&line);
}

static void
events__large_and_small__keep_their_order(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	static char large[100000];

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	rota_sender_gather(line.sender, true);
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "large", large, sizeof large), 0);
	assert_int_equal(fire_text(line.sender, "n", "2"), 0);
	assert_int_equal(rota_sender_fire(line.sender, "large", "y",
				 &(struct rota_bytes){ large, sizeof large }),
		0);
	assert_int_equal(fire_text(line.sender, "n", "3"), 0);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 5);
	assert_string_equal(heard.log, "n:1 n:2 n:3 ");
	close_line(&line);
}

static void
events__in_a_steady_state__allocate_nothing(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	for (int gathers = 0; gathers < 2; gathers++) {
		rota_sender_gather(line.sender, gathers);
		for (int round = 0; round < 3; round++) {
			if (round == 1)
				faulty_allocator_reset();
			for (int i = 0; i < 1000; i++) {
				assert_int_equal(fire_text(line.sender, "n", "text"), 0);
				rota_receiver_handle_pending(line.receiver);
			}
			assert_int_equal(rota_sender_flush(line.sender), 0);
			rota_receiver_handle_pending(line.receiver);
		}
		assert_int_equal(faulty_allocator_calls(), 0);
	}
	assert_int_equal(heard.count, 6000);
	close_line(&line);
}

/* The channel */

static void
channel__ends__are_taken_once(void **state)
{
	struct rota_channel *channel = open_channel(NULL);
	struct line line;
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;

	(void)state;
	assert_int_equal(rota_channel_sender(channel, &line.sender), 0);
	assert_int_equal(rota_channel_sender(channel, &line.sender), -EALREADY);
	assert_int_equal(rota_channel_receiver(channel, &line.receiver), 0);
	assert_int_equal(rota_channel_receiver(channel, &line.receiver), -EALREADY);
	rota_channel_close(channel);
	rota_channel_free(channel);
	rota_channel_free(NULL);
	rota_sender_close(NULL);
	rota_receiver_close(NULL);
	close_line(&line);
	options.size = 1;
	assert_int_equal(rota_channel_new(&options, &channel), -EINVAL);
	options.size = sizeof options;
	options.event_max = (size_t)1 << 33;
	assert_int_equal(rota_channel_new(&options, &channel), -EINVAL);
}

static void
allocation__each_that_fails__is_told_and_leaves_nothing(void **state)
{
	(void)state;
	for (unsigned at = 1;; at++) {
		struct rota_channel *channel = NULL;
		struct line line = { NULL, NULL };
		struct heard heard = { .count = 0 };
		bool is_good;
		bool has_failed;

		faulty_allocator_reset();
		faulty_allocator_fail(at, false);
		is_good = rota_channel_new(NULL, &channel) == 0 &&
			rota_channel_sender(channel, &line.sender) == 0 &&
			rota_channel_receiver(channel, &line.receiver) == 0 &&
			rota_receiver_connect(line.receiver, "n", hear, &heard) == 0 &&
			fire_text(line.sender, "n", "x") == 0 &&
			rota_receiver_handle_pending(line.receiver) == 1;
		has_failed = faulty_allocator_failed() > 0;
		faulty_allocator_reset();
		assert_int_equal(is_good, !has_failed);
		if (line.sender != NULL && line.receiver != NULL && has_failed) {
			/* What has failed can be done again. */
			rota_receiver_disconnect(line.receiver, "n", hear, &heard);
			assert_int_equal(rota_receiver_connect(line.receiver, "n", hear, &heard),
				0);
			assert_int_equal(fire_text(line.sender, "n", "x"), 0);
			assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
		}
		close_line(&line);
		rota_channel_free(channel);
		if (!has_failed)
			break;
		assert_true(at < 100);
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
		TEST(handlers__of_one_name__are_called_in_the_order_of_their_connects),
		TEST(handlers__connected_and_disconnected_in_handlers__are_obeyed),
		TEST(handler__that_fails__costs_no_other_its_call),
		TEST(handler__of_all__hears_every_event_behind_the_others),
		TEST(names__many__each_has_its_own_handlers),
		TEST(event__of_positional_and_named_arguments__arrives_typed),
		TEST(event__of_bytes__arrives_as_it_is),
		TEST(fire__of_what_cannot_be__is_refused_and_leaves_nothing),
		TEST(event__of_any_size__arrives_whole),
		TEST(events__large_and_small__keep_their_order),
		TEST(events__in_a_steady_state__allocate_nothing),
		TEST(channel__ends__are_taken_once),
		TEST(allocation__each_that_fails__is_told_and_leaves_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
