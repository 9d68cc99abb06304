/* SPDX-License-Identifier: MIT */
/*
 * Producers in a process at the other ends of channels: answers at once and later, the time that is
 * left, deaths, ends in order, as a gather's listeners and summaries have them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remote.h"

#define MS ROTA_MILLISECOND
#define SECONDS ROTA_SECOND

static void
expect_each_answer(struct remote *remote)
{
	const struct rota_gather_result *result;

	remote_expect(remote, "echo hello", "hello");
	assert_string_equal(remote->summary->results[0].producer, "process");
	remote_expect(remote, "later on", "on");
	remote_expect(remote, "echo ", "");
	remote_expect(remote, "topic", "work");
	assert_string_equal(remote->ear.said, "hello on  work ");
	result = remote_ask(remote, "refuse no idea", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_REFUSED);
	assert_string_equal(result->text, "no idea");
	result = remote_ask(remote, "fail because", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_FAILED);
	assert_int_equal(result->error, -EDOM);
	assert_string_equal(result->text, "because");
	result = remote_ask(remote, "error", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_FAILED);
	assert_int_equal(result->error, -EDOM);
	result = remote_ask(remote, "died out", 10 * SECONDS);
	assert_int_equal(result->outcome, ROTA_GATHER_DIED);
	assert_string_equal(result->text, "out");
	assert_int_equal(remote->deaths, 0);
	assert_int_equal(rota_gather_backing_meter(remote->backing)->settled, 8);
	assert_int_equal(rota_gather_backing_meter(remote->backing)->open, 0);
}

/* "answer a request at once, later, or in their own process (backed by a … channel)" */
static void
process__in_turns__answers_at_once_and_later(void **state)
{
	struct remote remote;

	remote_fork(&remote, state, true);
	expect_each_answer(&remote);
	remote_close(&remote);
}

static void
process__that_is_blocked__answers(void **state)
{
	struct remote remote;

	remote_fork(&remote, state, false);
	expect_each_answer(&remote);
	remote_close(&remote);
}

/* "(bytes or packed arguments)" */
static void
question__of_packed_arguments__is_answered_by_packed_values(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_gather_summary *summary;
	struct remote remote;
	int sum = 0;

	remote_fork(&remote, state, false);
	assert_int_equal(rota_buffer_add(&buffer, "sum ", 4), 0);
	assert_int_equal(rota_pack(&buffer, "i i", 3, 4), 0);
	assert_int_equal(rota_gather_request_wait(remote.gather, "work", buffer.bytes, buffer.len,
				 10 * SECONDS, &summary),
		0);
	rota_buffer_fini(&buffer);
	assert_int_equal(summary->results[0].outcome, ROTA_GATHER_ANSWERED);
	assert_true(rota_unpack(summary->results[0].bytes, summary->results[0].len, NULL, "i",
			    &sum) > 0);
	assert_int_equal(sum, 7);
	rota_gather_summary_free(summary);
	remote_close(&remote);
}

/* "the remaining ttl travels along" */
static void
question__in_a_process__has_the_time_that_is_left(void **state)
{
	struct remote remote;
	char text[16];
	int left;

	remote_fork(&remote, state, true);
	assert_int_equal(remote_ask(&remote, "left", 5 * SECONDS)->outcome, ROTA_GATHER_ANSWERED);
	snprintf(text, sizeof text, "%.*s", (int)remote.summary->results[0].len,
		(const char *)remote.summary->results[0].bytes);
	left = atoi(text);
	assert_true(left > 0 && left < 5000);
	remote_close(&remote);
}

/* Whoever waits no more says so. */
static void
process__is_silent_until_the_ttl__is_told_that_it_is_over(void **state)
{
	const struct rota_gather_result *result;
	struct remote remote;

	remote_fork(&remote, state, true);
	remote_expect(&remote, "overs", "0");
	result = remote_ask(&remote, "silent", 20 * MS);
	assert_int_equal(remote.summary->end, ROTA_GATHER_TIMED_OUT);
	assert_int_equal(result->outcome, ROTA_GATHER_MISSING);
	assert_int_equal(rota_gather_backing_meter(remote.backing)->open, 0);
	remote_expect(&remote, "overs", "1");
	remote_close(&remote);
}

static void
process__stopped_for_longer_than_the_ttl__is_not_called_for_it(void **state)
{
	struct remote remote;
	siginfo_t stop;

	remote_fork(&remote, state, false);
	remote_expect(&remote, "echo ready", "ready");
	assert_int_equal(kill(remote.pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)remote.pid, &stop, WSTOPPED), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(remote_ask(&remote, "echo x", 10 * MS)->outcome,
			ROTA_GATHER_MISSING);
	assert_int_equal(kill(remote.pid, SIGCONT), 0);
	remote_expect(&remote, "stale", "3");
	assert_int_equal(rota_gather_meter(remote.gather)->late, 0);
	remote_close(&remote);
}

/* Deaths */

static void
process__is_killed__its_open_questions_have_died(void **state)
{
	struct query queries[3];
	struct remote remote;
	struct voice voice;

	remote_fork(&remote, state, true);
	voice_open(remote.gather, &voice, "loop", 'a', "work");
	remote_expect(&remote, "echo ready", "ready");
	for (int i = 0; i < 3; i++)
		query_make(remote.gather, &queries[i], "work", 30 * SECONDS);
	circle_spin(remote.ctx);
	assert_int_equal(queries[0].done, 0);
	assert_int_equal(kill(remote.pid, SIGKILL), 0);
	for (int i = 0; i < 3; i++) {
		query_expect(remote.ctx, &queries[i], ROTA_GATHER_COMPLETE);
		assert_string_equal(rota_gather_outcome_name(query_outcome(&queries[i], "process")),
			"died");
		assert_true(strlen(queries[i].results[0].text) > 0);
		assert_int_equal(query_outcome(&queries[i], "loop"), ROTA_GATHER_ANSWERED);
	}
	assert_int_equal(remote.deaths, 1);
	assert_int_equal(rota_gather_backing_meter(remote.backing)->died, 3);
	remote_close(&remote);
}

static void
question__to_a_process_that_is_dead__has_died_at_once(void **state)
{
	const struct rota_gather_result *result;
	struct remote remote;

	remote_fork(&remote, state, false);
	assert_int_equal(remote_ask(&remote, "exit", 30 * SECONDS)->outcome, ROTA_GATHER_DIED);
	assert_int_equal(remote_status(&remote), 3);
	assert_int_equal(remote.deaths, 1);
	for (int i = 0; i < 3; i++) {
		result = remote_ask(&remote, "echo x", 30 * SECONDS);
		assert_int_equal(result->outcome, ROTA_GATHER_DIED);
		assert_string_equal(result->text, remote.death);
	}
	assert_int_equal(remote.deaths, 1);
	/* And another one may stand behind the topic. */
	remote_fork_again(&remote, false);
	remote_expect(&remote, "echo again", "again");
	remote_close(&remote);
}

static void
process__dead_before_it_is_asked__has_died(void **state)
{
	struct remote remote;

	remote_fork(&remote, state, false);
	remote_expect(&remote, "echo ready", "ready");
	assert_int_equal(kill(remote.pid, SIGKILL), 0);
	assert_int_equal(remote_status(&remote), -SIGKILL);
	assert_int_equal(remote_ask(&remote, "echo x", 30 * SECONDS)->outcome, ROTA_GATHER_DIED);
	assert_int_equal(remote.deaths, 1);
	remote_close(&remote);
}

static void
process__answers_and_dies__has_answered(void **state)
{
	struct remote remote;

	for (int i = 0; i < 20; i++) {
		remote_fork(&remote, state, false);
		remote_expect(&remote, "answer-kill", "last");
		assert_int_equal(remote_status(&remote), -SIGKILL);
		/* What was behind it, or comes now, has died. */
		assert_int_equal(remote_ask(&remote, "echo x", 30 * SECONDS)->outcome,
			ROTA_GATHER_DIED);
		remote_close(&remote);
	}
}

/* Ends in order */

static void
backing__is_freed__its_process_ends_behind_what_it_was_asked(void **state)
{
	struct remote remote;

	for (int has_context = 0; has_context < 2; has_context++) {
		struct query query;

		remote_fork(&remote, state, has_context);
		remote_expect(&remote, "echo ready", "ready");
		query_make(remote.gather, &query, "work", 30 * SECONDS);
		circle_spin(remote.ctx);
		rota_gather_backing_free(remote.backing);
		remote.backing = NULL;
		query_expect(remote.ctx, &query, ROTA_GATHER_COMPLETE);
		assert_int_equal(remote_status(&remote), 0);
		remote_close(&remote);
	}
}

static void
on_stopped(struct rota_gather *gather, void *userdata)
{
	(void)gather;
	++*(int *)userdata;
}

static bool
is_set(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return *(int *)userdata > 0;
}

/* "Stopping ends everything in order" */
static void
gather__stops_with_a_grace__its_process_finishes_first(void **state)
{
	struct remote remote;
	uint64_t id;
	int stopped = 0;

	remote_fork(&remote, state, true);
	assert_int_equal(rota_gather_request(remote.gather, "work", "later on", 8, 30 * SECONDS,
				 NULL, NULL, &id),
		0);
	assert_int_equal(rota_gather_stop(remote.gather, 20 * SECONDS, on_stopped, &stopped), 0);
	assert_int_equal(turn_until(remote.ctx, is_set, &stopped), 0);
	assert_string_equal(remote.ear.said, "on ");
	assert_int_equal(rota_gather_meter(remote.gather)->ends[ROTA_GATHER_COMPLETE], 1);
	rota_gather_free(remote.gather);
	remote.gather = NULL;
	assert_null(rota_gather_backing_producer(remote.backing));
	assert_int_equal(remote_status(&remote), 0);
	remote_close(&remote);
}

static void
questions__ten_thousand_at_once__are_each_answered(void **state)
{
	struct remote remote;

	remote_fork(&remote, state, false);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(rota_gather_request(remote.gather, "work", "echo x", 6,
					 30 * SECONDS, NULL, NULL, NULL),
			0);
	while (rota_gather_meter(remote.gather)->running > 0)
		assert_true(rota_dispatch_once(remote.ctx, 10 * SECONDS, NULL) >= 0);
	assert_int_equal(remote.ear.heard, 10000);
	assert_int_equal(rota_gather_meter(remote.gather)->outcomes[ROTA_GATHER_ANSWERED], 10000);
	assert_int_equal(rota_gather_backing_meter(remote.backing)->refused, 0);
	remote_close(&remote);
}

/* By name: the process binds, so that its death takes the binding with it. */

static char directory[] = "/tmp/rota-gather-XXXXXX";
static char addresses[2][sizeof directory + 16];

static int
bind_and_answer(void *ready)
{
	struct rota_channel_binding *bindings[2];
	struct rota_channel *channels[2];
	struct rota_responder *responder;
	struct rota_receiver *receiver;
	struct rota_context *ctx;
	struct rota_sender *sender;
	int r = rota_context_new(&ctx);

	for (int i = 0; r >= 0 && i < 2; i++) {
		r = rota_channel_new(NULL, &channels[i]);
		if (r >= 0)
			r = rota_channel_bind(channels[i], ctx, addresses[i], 0, &bindings[i]);
	}
	if (r < 0 || rota_channel_receiver(channels[0], &receiver) < 0 ||
		rota_channel_sender(channels[1], &sender) < 0)
		return 1;
	rota_channel_free(channels[0]);
	rota_channel_free(channels[1]);
	r = rota_responder_new(receiver, sender, &remote_handlers, NULL, NULL, &responder);
	if (r >= 0)
		r = rota_responder_attach(responder, ctx);
	write_byte(*(int *)ready);
	return r < 0 ? 2 : rota_iterate(ctx, NULL);
}

static void
process__found_by_name__answers_and_dies(void **state)
{
	struct remote remote = { .ctx = circle_context(state) };
	struct rota_channel *channels[2];
	struct rota_receiver *receiver;
	struct rota_sender *sender;
	int pair[2];
	char byte;

	assert_non_null(mkdtemp(directory));
	snprintf(addresses[0], sizeof addresses[0], "unix:%s/q", directory);
	snprintf(addresses[1], sizeof addresses[1], "unix:%s/a", directory);
	make_pair(pair);
	remote.pid = in_child(bind_and_answer, &pair[1]);
	while (read(pair[0], &byte, 1) != 1)
		;
	close_pair(pair);
	remote.gather = circle_open(remote.ctx);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rota_channel_connect(addresses[i],
					 i == 0 ? ROTA_CHANNEL_SENDER : ROTA_CHANNEL_RECEIVER,
					 10 * SECONDS, &channels[i]),
			0);
	assert_int_equal(rota_channel_sender(channels[0], &sender), 0);
	assert_int_equal(rota_channel_receiver(channels[1], &receiver), 0);
	rota_channel_free(channels[0]);
	rota_channel_free(channels[1]);
	assert_int_equal(rota_gather_backing_new_channel(remote.gather, "named", sender, receiver,
				 NULL, &remote.backing),
		0);
	assert_int_equal(rota_gather_producer_register(rota_gather_backing_producer(remote.backing),
				 "work"),
		0);
	remote_expect(&remote, "echo by name", "by name");
	assert_int_equal(kill(remote.pid, SIGKILL), 0);
	assert_int_equal(remote_ask(&remote, "silent", 30 * SECONDS)->outcome, ROTA_GATHER_DIED);
	remote_close(&remote);
	for (int i = 0; i < 2; i++)
		assert_int_equal(unlink(addresses[i] + strlen("unix:")), 0);
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(process__in_turns__answers_at_once_and_later),
		fixture_test(process__that_is_blocked__answers),
		fixture_test(question__of_packed_arguments__is_answered_by_packed_values),
		fixture_test(question__in_a_process__has_the_time_that_is_left),
		fixture_test(process__is_silent_until_the_ttl__is_told_that_it_is_over),
		fixture_test(process__stopped_for_longer_than_the_ttl__is_not_called_for_it),
		fixture_test(process__is_killed__its_open_questions_have_died),
		fixture_test(question__to_a_process_that_is_dead__has_died_at_once),
		fixture_test(process__dead_before_it_is_asked__has_died),
		fixture_test(process__answers_and_dies__has_answered),
		fixture_test(backing__is_freed__its_process_ends_behind_what_it_was_asked),
		fixture_test(gather__stops_with_a_grace__its_process_finishes_first),
		fixture_test(questions__ten_thousand_at_once__are_each_answered),
		fixture_test(process__found_by_name__answers_and_dies),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
