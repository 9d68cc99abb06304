/* SPDX-License-Identifier: MIT */
/*
 * Events: their arguments and bytes, of any size, what cannot be fired, and what firing allocates;
 * channels whose ends are taken twice, or that memory lacks for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "channeling.h"

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

static int
takes_nothing(struct rota_receiver *receiver, const struct rota_event *event, void *userdata)
{
	(void)receiver;
	assert_true(event->is_packed);
	assert_int_equal(event->len, 0);
	assert_int_equal(rota_event_unpack(event, NULL, ""), 0);
	++*(int *)userdata;
	return 0;
}

static void
event__without_a_pattern__is_but_a_name(void **state)
{
	struct line line;
	int calls = 0;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "bare", takes_nothing, &calls);
	assert_int_equal(rota_sender_fire(line.sender, "bare", NULL), 0);
	assert_int_equal(rota_sender_fire(line.sender, "bare", ""), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_int_equal(calls, 2);
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
	struct heard heard;

	(void)state;
	options.event_max = (size_t)64 << 20;
	open_hearing(&line, &options, "n", &heard);
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
	struct heard heard;
	static char large[100000];

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
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
	struct heard heard;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
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
		TEST(event__of_positional_and_named_arguments__arrives_typed),
		TEST(event__of_bytes__arrives_as_it_is),
		TEST(event__without_a_pattern__is_but_a_name),
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
