/* SPDX-License-Identifier: MIT */
/*
 * Leaving, ending, dying and sharing: what DESIGN.md says of these, without a context.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
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
	struct heard heard;
	pid_t child;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	child = in_child(fires_two, line.sender);
	assert_int_equal(status_of(child), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	/* This process is a sender still. */
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(fire_text(line.sender, "n", "3"), 0);
	leave_sender(&line);
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
	leave_receiver(&line);
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
	leave_sender(&line);
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
	struct heard heard;
	pid_t child;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	child = in_child(waits_for_ever, NULL);
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	leave_sender(&line);
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
	leave_receiver(&line);
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
		fire_packet(line.sender, 10);
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
	rota_receiver_connect(line.receiver, "i", count_up, &next);
	child = in_child(fires_for_ever, &line);
	leave_sender(&line);
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
	leave_receiver(&line);
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
		TEST(sockets__never_get_o_nonblock),
		TEST(batch__of_what_was_fired__is_one_packet),
		TEST(several_receivers__share_all_events),
		TEST(forked_child__handles_nothing_that_the_parent_has_taken),
		TEST(dying__at_random_moments__leaves_the_other_right),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
