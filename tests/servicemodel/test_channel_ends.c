/* SPDX-License-Identifier: MIT */
/*
 * Leaving, ending, dying, and a channel that is full: what DESIGN.md says of these, without a
 * context.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channeling.h"
#include "random.h"

/* Leaving */

static int
fires_two(void *sender)
{
	return fire_text(sender, "n", "1") == 0 && fire_text(sender, "n", "2") == 0 ? 0 : 1;
}

static void
leaving__last_sender_gone__receivers_get_what_is_queued_then_closed(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	pid_t child;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	child = in_child(fires_two, line.sender);
	assert_int_equal(status_of(child), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	/* This process is a sender still. */
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(fire_text(line.sender, "n", "3"), 0);
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER), 1);
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER), -ROTA_ECLOSED);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), -ROTA_ECLOSED);
	assert_string_equal(heard.log, "n:1 n:2 n:3 ");
	close_line(&line);
}

static void
leaving__last_receiver_gone__fire_fails_with_epipe(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	assert_int_equal(fire_text(line.sender, "n", "lost"), 0);
	rota_receiver_close(line.receiver);
	line.receiver = NULL;
	for (int i = 0; i < 3; i++)
		assert_int_equal(fire_text(line.sender, "n", "none"), -EPIPE);
	assert_int_equal(rota_sender_flush(line.sender), -EPIPE);
	assert_int_equal(rota_sender_meter(line.sender)->fired, 4);
	assert_int_equal(rota_sender_meter(line.sender)->sent, 1);
	assert_int_equal(rota_sender_meter(line.sender)->refused, 3);
	close_line(&line);
}

static void
leaving__with_what_was_gathered__sends_it(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	rota_sender_gather(line.sender, true);
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 0);
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	close_line(&line);
}

static int
waits_for_ever(void *unused)
{
	(void)unused;
	return pause();
}

static void
dying__of_the_last_sender__is_told_to_who_waits(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	pid_t child;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	child = in_child(waits_for_ever, NULL);
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_MILLISECOND), 0);
	kill(child, SIGKILL);
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER), -ROTA_ECLOSED);
	assert_int_equal(status_of(child), -SIGKILL);
	close_line(&line);
}

static void
dying__of_the_last_receiver__ends_a_fire_that_waits(void **state)
{
	struct line line;
	pid_t child;
	int r;

	(void)state;
	open_line(&line, NULL);
	rota_sender_set_when_full(line.sender, ROTA_FULL_REFUSE, 0);
	fire_until_full(line.sender, &r);
	assert_int_equal(r, -ROTA_EFULL);
	rota_sender_set_when_full(line.sender, ROTA_FULL_BLOCK, ROTA_NEVER);
	child = in_child(waits_for_ever, NULL);
	rota_receiver_close(line.receiver);
	line.receiver = NULL;
	kill(child, SIGKILL);
	assert_int_equal(fire_text(line.sender, "n", "1"), -EPIPE);
	assert_int_equal(status_of(child), -SIGKILL);
	close_line(&line);
}

/* Ending */

enum ender { BY_CHANNEL, BY_SENDER, BY_RECEIVER };

static void
ending__by_any_holder__ends_it_for_all(void **state)
{
	(void)state;
	for (int by = BY_CHANNEL; by <= BY_RECEIVER; by++) {
		struct rota_channel *channel = open_channel(NULL);
		struct line line;
		struct heard heard = { .count = 0 };

		if (by == BY_CHANNEL) {
			/* Of ends that others hold already: a child does it. */
			pid_t child;

			assert_int_equal(rota_channel_sender(channel, &line.sender), 0);
			assert_int_equal(fire_text(line.sender, "n", "1"), 0);
			child = fork();
			if (child == 0) {
				rota_channel_close(channel);
				exit_child(0);
			}
			assert_int_equal(status_of(child), 0);
			assert_int_equal(rota_channel_receiver(channel, &line.receiver), 0);
		} else {
			assert_int_equal(rota_channel_sender(channel, &line.sender), 0);
			assert_int_equal(rota_channel_receiver(channel, &line.receiver), 0);
			assert_int_equal(fire_text(line.sender, "n", "1"), 0);
			if (by == BY_SENDER)
				rota_sender_close_channel(line.sender);
			else
				rota_receiver_close_channel(line.receiver);
		}
		rota_channel_free(channel);
		rota_receiver_connect(line.receiver, "n", hear, &heard);
		assert_int_equal(fire_text(line.sender, "n", "2"), -EPIPE);
		assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER), 1);
		assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER),
			-ROTA_ECLOSED);
		assert_string_equal(heard.log, "n:1 ");
		close_line(&line);
	}
}

static int
ends_when_told(void *line_)
{
	struct line *line = line_;

	/* So that the other has begun to wait, most times; it is right either way. */
	usleep(2000);
	rota_receiver_close_channel(line->receiver);
	return 0;
}

static void
ending__ends_who_waits(void **state)
{
	struct line line;
	pid_t child;
	int r;

	(void)state;
	open_line(&line, NULL);
	child = in_child(ends_when_told, &line);
	assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
	assert_int_equal(status_of(child), 0);
	close_line(&line);

	open_line(&line, NULL);
	rota_sender_set_when_full(line.sender, ROTA_FULL_REFUSE, 0);
	fire_until_full(line.sender, &r);
	rota_sender_set_when_full(line.sender, ROTA_FULL_BLOCK, ROTA_NEVER);
	child = in_child(ends_when_told, &line);
	assert_int_equal(fire_text(line.sender, "n", "x"), -EPIPE);
	assert_int_equal(status_of(child), 0);
	close_line(&line);
}

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

static int
counts_up(struct rota_receiver *receiver, const struct rota_event *event, void *next_)
{
	int *next = next_;
	int number = -1;

	(void)receiver;
	assert_true(rota_event_unpack(event, NULL, "i", &number) > 0);
	assert_int_equal(number, *next);
	++*next;
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
		rota_receiver_connect(line.receiver, "i", counts_up, &next);
		child = in_child(fires_many, &line);
		rota_sender_close(line.sender);
		line.sender = NULL;
		assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
		assert_int_equal(next, MANY);
		assert_int_equal(status_of(child), 0);
		close_line(&line);
	}
}

/* Sharing */

static void
sockets__never_get_o_nonblock(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	fire_text(line.sender, "n", "");
	rota_receiver_handle_pending(line.receiver);
	assert_int_equal(fcntl(line.sender->fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(line.receiver->packets.fd, F_GETFL) & O_NONBLOCK, 0);
	assert_true((fcntl(line.sender->fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(line.receiver->packets.fd, F_GETFD) & FD_CLOEXEC) != 0);
	close_line(&line);
}

static void
batch__of_what_was_fired__is_one_packet(void **state)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct line line;

	(void)state;
	for (int several = 0; several < 2; several++) {
		options.several_receivers = several;
		open_line(&line, &options);
		rota_sender_gather(line.sender, true);
		for (int i = 0; i < 10; i++)
			assert_int_equal(fire_text(line.sender, "n", "x"), 0);
		assert_int_equal(rota_sender_flush(line.sender), 0);
		assert_int_equal(rota_receiver_handle_pending(line.receiver), 10);
		assert_int_equal(rota_receiver_meter(line.receiver)->packets, several ? 10 : 1);
		close_line(&line);
	}
}

#define HEARERS 3
#define SHARED 3000

static int
hears_until_closed(void *line_)
{
	struct line *line = line_;
	struct heard heard = { .count = 0 };

	rota_sender_close(line->sender);
	rota_receiver_connect(line->receiver, "n", hear, &heard);
	if (rota_receiver_handle_until_closed(line->receiver) != 0)
		return 255;
	return heard.count > 0 ? (int)(heard.count % 251) : 252;
}

static void
several_receivers__share_all_events(void **state)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct line line;
	pid_t children[HEARERS];
	unsigned sum = 0;

	(void)state;
	options.several_receivers = true;
	open_line(&line, &options);
	for (int i = 0; i < HEARERS; i++)
		children[i] = in_child(hears_until_closed, &line);
	for (int i = 0; i < SHARED; i++)
		assert_int_equal(rota_sender_fire_bytes(line.sender, "n", "x", 1), 0);
	close_line(&line);
	for (int i = 0; i < HEARERS; i++) {
		int status = status_of(children[i]);

		assert_in_range(status, 0, 252);
		sum += status == 252 ? 0 : (unsigned)status;
	}
	assert_int_equal(sum % 251, SHARED % 251);
}

static void
forked_child__handles_nothing_that_the_parent_has_taken(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	pid_t child;

	(void)state;
	open_line(&line, NULL);
	rota_sender_gather(line.sender, true);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	for (int i = 0; i < 3; i++)
		fire_text(line.sender, "n", "x");
	assert_int_equal(rota_sender_flush(line.sender), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	child = fork();
	if (child == 0)
		exit_child(rota_receiver_handle_pending(line.receiver));
	assert_int_equal(status_of(child), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	close_line(&line);
}

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
	struct heard heard = { .count = 0 };
	unsigned events = 0;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
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

static int
fires_for_ever(void *line_)
{
	struct line *line = line_;
	static const char large[70000];

	rota_receiver_close(line->receiver);
	rota_sender_gather(line->sender, true);
	for (int i = 0;; i++) {
		if (rota_sender_fire(line->sender, "i", "i", i) < 0)
			return 1;
		if (i % 1000 == 999 &&
			rota_sender_fire_bytes(line->sender, "large", large, sizeof large) < 0)
			return 1;
	}
}

/* What was heard of a sender that is killed is a beginning of what it has fired. */
static void
kill_a_sender(uint64_t *random)
{
	struct line line;
	int next = 0;
	pid_t child;

	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "i", counts_up, &next);
	child = in_child(fires_for_ever, &line);
	rota_sender_close(line.sender);
	line.sender = NULL;
	for (uint64_t i = random_below(random, 200); i > 0; i--)
		assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_NEVER), 1);
	kill(child, SIGKILL);
	assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
	assert_int_equal(status_of(child), -SIGKILL);
	assert_int_equal(rota_receiver_meter(line.receiver)->bad, 0);
	assert_int_equal(rota_receiver_meter(line.receiver)->lost, 0);
	close_line(&line);
}

static void
kill_a_receiver(uint64_t *random)
{
	struct line line;
	uint64_t least = random_below(random, 5000);
	pid_t child;
	int r = 0;

	open_line(&line, NULL);
	child = in_child(hears_until_closed, &line);
	rota_receiver_close(line.receiver);
	line.receiver = NULL;
	for (uint64_t i = 0; r == 0; i++) {
		if (i == least)
			kill(child, SIGKILL);
		r = rota_sender_fire(line.sender, "i", "i", 1);
	}
	assert_int_equal(r, -EPIPE);
	assert_int_equal(status_of(child), -SIGKILL);
	assert_int_equal(rota_sender_meter(line.sender)->fired,
		rota_sender_meter(line.sender)->sent + 1);
	close_line(&line);
}

static void
dying__at_random_moments__leaves_the_other_right(void **state)
{
	uint64_t random = make_seed("kills");
	int rounds = getenv("ROTA_FULL") != NULL ? 5000 : 80;

	(void)state;
	for (int i = 0; i < rounds; i++) {
		alarm(60);
		kill_a_sender(&random);
		kill_a_receiver(&random);
	}
}

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

/* More bad packets than are looked at at once, one behind the other. */
static void
garbage__without_end__keeps_nobody_beyond_his_time(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };
	unsigned sent = 0;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
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
		TEST(leaving__last_sender_gone__receivers_get_what_is_queued_then_closed),
		TEST(leaving__last_receiver_gone__fire_fails_with_epipe),
		TEST(leaving__with_what_was_gathered__sends_it),
		TEST(dying__of_the_last_sender__is_told_to_who_waits),
		TEST(dying__of_the_last_receiver__ends_a_fire_that_waits),
		TEST(ending__by_any_holder__ends_it_for_all),
		TEST(ending__ends_who_waits),
		TEST(full__to_be_refused__is_counted_and_loses_nothing),
		TEST(full__to_be_waited_for__times_out),
		TEST(full__blocks_until_there_is_room_and_keeps_the_order),
		TEST(sockets__never_get_o_nonblock),
		TEST(batch__of_what_was_fired__is_one_packet),
		TEST(several_receivers__share_all_events),
		TEST(forked_child__handles_nothing_that_the_parent_has_taken),
		TEST(garbage__is_counted_and_costs_no_other_packet),
		TEST(full__with_room_that_others_take__times_out),
		TEST(garbage__without_end__keeps_nobody_beyond_his_time),
		TEST(garbage__at_random__never_crashes),
		TEST(event__longer_than_event_max__is_thrown_away),
		TEST(event__there_is_no_descriptor_for__is_told_lost),
		TEST(dying__at_random_moments__leaves_the_other_right),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
