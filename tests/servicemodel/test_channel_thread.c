/* SPDX-License-Identifier: MIT */
/*
 * Events for foreign loops, with a plain queue. With GLib's g_idle_add it is an example.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota/context.h>

#include "channeling.h"

/* The owner's loop: a queue of what is to be run, and threads that put something in. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	rota_run_fn *run;
	void *argument;
	unsigned calls;
	pthread_t caller;
	bool was_signalled_less; /* all signals were blocked in the caller */
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER };

static void
call_soon(rota_run_fn *run, void *argument, void *userdata)
{
	sigset_t blocked;

	assert_ptr_equal(userdata, &queue);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	pthread_mutex_lock(&queue.lock);
	/* Never twice before it was run. */
	assert_null(queue.run);
	queue.run = run;
	queue.argument = argument;
	queue.calls++;
	queue.caller = pthread_self();
	queue.was_signalled_less =
		sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGALRM) == 1;
	pthread_cond_signal(&queue.filled);
	pthread_mutex_unlock(&queue.lock);
}

/* Waits for something to run; NULL in the queue then. */
static rota_run_fn *
take(void **ret_argument)
{
	rota_run_fn *run;

	pthread_mutex_lock(&queue.lock);
	while (queue.run == NULL)
		pthread_cond_wait(&queue.filled, &queue.lock);
	run = queue.run;
	*ret_argument = queue.argument;
	queue.run = NULL;
	pthread_mutex_unlock(&queue.lock);
	return run;
}

static void
run_one(void)
{
	void *argument;
	rota_run_fn *run = take(&argument);

	assert_int_equal(run(argument), 0);
}

static pthread_t hearing_thread;

static int
hear_where(struct rota_receiver *receiver, const struct rota_event *event, void *heard)
{
	hearing_thread = pthread_self();
	return hear(receiver, event, heard);
}

static void
open_threaded(struct line *line, struct heard *heard)
{
	memset(heard, 0, sizeof *heard);
	queue.calls = 0;
	open_line(line, NULL);
	rota_receiver_connect(line->receiver, "n", hear_where, heard);
	assert_int_equal(rota_receiver_handle_in_thread(line->receiver, call_soon, &queue), 0);
}

/* The end of the sender may have had a run arranged, which then is still to be done. */
static void
close_threaded(struct line *line)
{
	close_line(line);
	if (queue.run != NULL)
		run_one();
}

static void
origin__in_a_thread_that_calls_back__events_are_handled_in_the_owners(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_threaded(&line, &heard);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(fire_text(line.sender, "n", "x"), 0);
		run_one();
		assert_int_equal(heard.count, i);
		assert_int_equal(queue.calls, i);
		assert_true(pthread_equal(hearing_thread, pthread_self()));
		assert_false(pthread_equal(queue.caller, pthread_self()));
		assert_true(queue.was_signalled_less);
	}
	close_threaded(&line);
}

static void
thread__many_events__are_one_call(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_threaded(&line, &heard);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	fire_texts(line.sender, 30);
	run_one();
	assert_int_equal(heard.count, 31);
	assert_int_equal(queue.calls, 1);
	/* More than a run handles: the thread sees to it that there is another. */
	fire_texts(line.sender, 200);
	while (heard.count < 231)
		run_one();
	assert_true(queue.calls >= 4);
	close_threaded(&line);
}

static void
thread__other_ways__are_refused_meanwhile(void **state)
{
	struct line line;
	struct heard heard;

	open_threaded(&line, &heard);
	assert_int_equal(rota_receiver_handle_in_thread(line.receiver, call_soon, &queue),
		-EALREADY);
	assert_int_equal(rota_receiver_attach(line.receiver, channel_context(state)), -EBUSY);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), -EBUSY);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), -EBUSY);
	assert_int_equal(rota_receiver_handle_until_closed(line.receiver), -EBUSY);
	rota_receiver_detach(line.receiver);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(rota_receiver_attach(line.receiver, channel_context(state)), 0);
	assert_int_equal(rota_receiver_handle_in_thread(line.receiver, call_soon, &queue), -EBUSY);
	assert_int_equal(rota_receiver_handle_next(line.receiver, ROTA_SECOND), 1);
	close_threaded(&line);
}

static void
counts_closes(struct rota_receiver *receiver, void *closes)
{
	(void)receiver;
	++*(unsigned *)closes;
}

static void
thread__end_of_the_channel__is_told_once(void **state)
{
	static const struct rota_receiver_handlers handlers = { .on_close = counts_closes };
	struct line line;
	struct heard heard;
	unsigned closes = 0;

	(void)state;
	open_threaded(&line, &heard);
	rota_receiver_set_handlers(line.receiver, &handlers, &closes);
	leave_sender(&line);
	run_one();
	assert_int_equal(closes, 1);
	close_threaded(&line);
	assert_int_equal(queue.calls, 1);
}

static void
thread__receiver_closed_with_a_run_to_come__run_does_nothing(void **state)
{
	struct line line;
	struct heard heard;
	void *argument;
	rota_run_fn *run;

	(void)state;
	open_threaded(&line, &heard);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	run = take(&argument);
	close_line(&line);
	assert_int_equal(run(argument), 0);
	assert_int_equal(heard.count, 0);
}

static int
closes_itself(struct rota_receiver *receiver, const struct rota_event *event, void *line)
{
	(void)event;
	rota_receiver_close(receiver);
	((struct line *)line)->receiver = NULL;
	return 0;
}

static void
thread__receiver_closed_in_its_handler__ends_the_thread(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_threaded(&line, &heard);
	rota_receiver_connect(line.receiver, "n", closes_itself, &line);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	run_one();
	assert_int_equal(heard.count, 1);
	assert_null(line.receiver);
	close_threaded(&line);
}

static int
closes_in_a_child(void *line)
{
	close_line(line);
	return 0;
}

static void
thread__in_a_forked_child__is_not_there(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_threaded(&line, &heard);
	assert_int_equal(status_of(in_child(closes_in_a_child, &line)), 0);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	run_one();
	assert_int_equal(heard.count, 1);
	close_threaded(&line);
}

static void
thread__that_cannot_be__is_told(void **state)
{
	struct line line;

	(void)state;
	open_line(&line, NULL);
	faulty_sys_fail(FAULTY_EVENTFD, 1, false, EMFILE);
	assert_int_equal(rota_receiver_handle_in_thread(line.receiver, call_soon, &queue), -EMFILE);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_receiver_handle_in_thread(line.receiver, call_soon, &queue), -ENOMEM);
	faulty_allocator_reset();
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	close_threaded(&line);
}

/* The rest of a packet is in the receiver: the channel has nothing to be polled for. */
static void
thread__begun_with_the_rest_of_a_packet__has_it_handled(void **state)
{
	struct line line;
	struct heard heard;

	(void)state;
	open_hearing(&line, NULL, "n", &heard);
	fire_packet(line.sender, 3);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	assert_int_equal(rota_receiver_handle_in_thread(line.receiver, call_soon, &queue), 0);
	run_one();
	assert_int_equal(heard.count, 3);
	close_threaded(&line);
}

static int
begin_thread(struct rota_receiver *receiver, const struct rota_event *event, void *heard)
{
	if (((struct heard *)heard)->count == 0)
		assert_int_equal(rota_receiver_handle_in_thread(receiver, call_soon, &queue), 0);
	return hear(receiver, event, heard);
}

static void
thread__begun_in_a_handler__has_the_rest_of_the_packet_handled(void **state)
{
	struct line line;
	struct heard heard = { .count = 0 };

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", begin_thread, &heard);
	fire_packet(line.sender, 3);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	run_one();
	assert_int_equal(heard.count, 3);
	/* And goes on to wait for others. */
	rota_sender_gather(line.sender, false);
	assert_int_equal(fire_text(line.sender, "n", "x"), 0);
	while (heard.count < 4)
		run_one();
	close_threaded(&line);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(origin__in_a_thread_that_calls_back__events_are_handled_in_the_owners),
		TEST(thread__many_events__are_one_call),
		TEST(thread__begun_with_the_rest_of_a_packet__has_it_handled),
		TEST(thread__begun_in_a_handler__has_the_rest_of_the_packet_handled),
		TEST(thread__other_ways__are_refused_meanwhile),
		TEST(thread__end_of_the_channel__is_told_once),
		TEST(thread__receiver_closed_with_a_run_to_come__run_does_nothing),
		TEST(thread__receiver_closed_in_its_handler__ends_the_thread),
		TEST(thread__in_a_forked_child__is_not_there),
		TEST(thread__that_cannot_be__is_told),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
