/* SPDX-License-Identifier: MIT */
/*
 * What a receiver is sent that is no event, too long, or lost.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "channeling.h"
#include "random.h"

/* What a peer may send */

static void
send_packet(struct line *line, const void *bytes, size_t len)
{
	assert_int_equal(send(line->sender->fd, bytes, len, 0), (ssize_t)len);
}

static void
garbage__is_counted_and_costs_no_other_packet(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		unsigned events;
	} packets[] = {
		{ "x", 1, 0 },
		{ "\x01", 1, 0 },
		{ "\x01\0\0\0", 4, 0 },
		{ "\x01\0\0\0\0\0\0", 7, 0 },
		{ "\x01\0\0\0\0\0\0\0", 8, 0 },               /* no name */
		{ "\x01\0\0\0\0\x01\0n", 8, 0 },              /* no NUL */
		{ "\x01\0\0\0\0\x01\0nx", 9, 0 },             /* something else there */
		{ "\x01\0\0\0\0\x02\0n\0\0", 10, 0 },         /* a NUL in the name */
		{ "\x01\0\0\0\0\x01\x02n\0", 9, 0 },          /* another form */
		{ "\x01\0\0\0\x01\x01\0n\0", 9, 0 },          /* longer than it is */
		{ "\x01\xff\xff\xff\xff\x01\0n\0", 9, 0 },    /* and much longer */
		{ "\x01\0\0\0\0\xff\0n\0", 9, 0 },            /* a longer name */
		{ "\x01\0\0\0\0\x01\0n\0\0\0\0\0\0", 14, 1 }, /* something behind it */
		{ "\x01\0\0\0\x01\x01\0n\0x\0\0\0\x02\x01\0n\0y", 19, 1 },
		{ "\xfd", 1, 0 },
	};
	unsigned count = sizeof packets / sizeof *packets;
	struct line line;
	struct heard heard;
	unsigned events = 0;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	for (unsigned i = 0; i < count; i++) {
		send_packet(&line, packets[i].bytes, packets[i].len);
		assert_int_equal(fire_text(line.sender, "n", "good"), 0);
		events += packets[i].events + 1;
		assert_int_equal(rota_receiver_handle_pending(line.receiver),
			packets[i].events + 1);
		assert_int_equal(heard.count, events);
		assert_int_equal(rota_receiver_meter(line.receiver)->bad, i + 1);
	}
	close_line(&line);
}

static int
looks_at_it(struct rota_receiver *receiver, const struct rota_event *event, void *heard_)
{
	struct heard *heard = heard_;
	const unsigned char *bytes = event->bytes;

	(void)receiver;
	assert_int_equal(strlen(event->name), event->name_len);
	for (size_t i = 0; i < event->len; i++)
		heard->bytes += bytes[i];
	heard->count++;
	return 0;
}

static void
garbage__at_random__never_crashes(void **state)
{
	uint64_t random = make_seed("garbage");
	struct line line;
	struct heard heard = { .count = 0 };
	static const struct rota_receiver_handlers handlers = { .on_event = looks_at_it };

	(void)state;
	open_line(&line, NULL);
	rota_receiver_set_handlers(line.receiver, &handlers, &heard);
	for (int i = 0; i < 20000; i++) {
		unsigned char bytes[32];
		size_t len = 1 + (size_t)random_below(&random, sizeof bytes);

		for (size_t k = 0; k < len; k++)
			bytes[k] = (unsigned char)random_below(&random, k % 6 == 5 ? 4 : 2);
		bytes[0] = 1;
		send_packet(&line, bytes, len);
		assert_true(rota_receiver_handle_pending(line.receiver) >= 0);
	}
	assert_true(heard.count > 0);
	close_line(&line);
}

static void
event__longer_than_event_max__is_thrown_away(void **state)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	static const char bytes[200000];
	struct line line;

	(void)state;
	options.event_max = 100;
	open_line(&line, &options);
	line.sender->event_max = sizeof bytes;
	line.sender->batch.limit = line.sender->held.limit = 2 * sizeof bytes;
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, 101), 0);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, 100), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->bad, 2);
	close_line(&line);
}

static void
event__there_is_no_descriptor_for__is_told_lost(void **state)
{
	static const char bytes[200000];
	struct line line;

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	faulty_sys_fail(FAULTY_MMAP_FILE, 1, false, ENOMEM);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->lost, 1);
	close_line(&line);
}

/* SIGKILL at random moments */

/* More bad packets than are looked at at once, one behind the other. */
static void
garbage__without_end__keeps_nobody_beyond_his_time(void **state)
{
	struct line line;
	struct heard heard;
	unsigned sent = 0;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	while (send(line.sender->fd, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
		sent++;
	assert_true(sent > ROTA__RECEIVER_PACKETS);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_true(rota_receiver_meter(line.receiver)->bad <= ROTA__RECEIVER_PACKETS);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 10 * ROTA_SECOND), 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->bad, sent);
	close_line(&line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(garbage__is_counted_and_costs_no_other_packet),
		TEST(garbage__without_end__keeps_nobody_beyond_his_time),
		TEST(garbage__at_random__never_crashes),
		TEST(event__longer_than_event_max__is_thrown_away),
		TEST(event__there_is_no_descriptor_for__is_told_lost),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
