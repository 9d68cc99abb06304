/* SPDX-License-Identifier: MIT */
/*
 * What DESIGN.md and the header say of channels that several hold: whose order is kept, what dies
 * with whom, who is told of the end, who gets an event, and what happens without a descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/task.h>

#include "channeling.h"

#define MANY 3
#define EVENTS 600
#define NOBODY 65534

/* Each sender's order is kept */

static int
fires_numbers(void *line_)
{
	struct line *line = line_;

	rota_receiver_close(line->receiver);
	for (int i = 0; i < EVENTS; i++) {
		/* One by one, and several in a packet. */
		rota_sender_gather(line->sender, i % 100 > 50);
		if (rota_sender_fire(line->sender, "n", "i i", (int)getpid(), i) < 0)
			return 1;
	}
	rota_sender_close(line->sender);
	return 0;
}

struct order {
	pid_t pids[MANY];
	int next[MANY];
};

static int
looks_at_the_order(struct rota_receiver *receiver, const struct rota_event *event, void *order_)
{
	struct order *order = order_;
	int who = 0;
	int pid;
	int number;

	(void)receiver;
	assert_true(rota_event_unpack(event, NULL, "i i", &pid, &number) > 0);
	while (who < MANY && order->pids[who] != pid)
		who++;
	assert_true(who < MANY);
	assert_int_equal(number, order->next[who]++);
	return 0;
}

/* "Each sender's order is kept at a receiver" */
static void
senders__several__each_has_its_order(void **state)
{
	struct order order = { .next = { 0 } };
	struct line line;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", looks_at_the_order, &order);
	for (int i = 0; i < MANY; i++)
		order.pids[i] = in_child(fires_numbers, &line);
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_until_closed(line.receiver), 0);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(order.next[i], EVENTS);
		assert_int_equal(status_of(order.pids[i]), 0);
	}
	close_line(&line);
}

/* Several receivers */

/* How often each event was heard, by anybody. */
static unsigned char *heard_by_all;

static int
notes(struct rota_receiver *receiver, const struct rota_event *event, void *unused)
{
	int number;

	(void)receiver;
	(void)unused;
	if (rota_event_unpack(event, NULL, "i", &number) > 0)
		__atomic_fetch_add(&heard_by_all[number], 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void
stops_its_loop(struct rota_receiver *receiver, void *ctx)
{
	(void)receiver;
	rota_context_stop(ctx);
}

static int
hears_in_turns(void *line_)
{
	static const struct rota_receiver_handlers handlers = { .on_close = stops_its_loop };
	struct line *line = line_;
	struct rota_context *ctx;

	rota_sender_close(line->sender);
	rota_receiver_connect(line->receiver, "n", notes, NULL);
	if (rota_context_new(&ctx) < 0)
		return 2;
	rota_receiver_set_handlers(line->receiver, &handlers, ctx);
	if (rota_receiver_attach(line->receiver, ctx) < 0)
		return 3;
	return rota_iterate(ctx, NULL) == ROTA_STOP ? 0 : 4;
}

static int
hears_by_blocking(void *line_)
{
	struct line *line = line_;
	int r;

	rota_sender_close(line->sender);
	rota_receiver_connect(line->receiver, "n", notes, NULL);
	do
		r = rota_receiver_handle_next(line->receiver, ROTA_NEVER);
	while (r == 1);
	return r == -ROTA_ECLOSED ? 0 : 5;
}

static void
share(int (*const acts[MANY])(void *line), bool by_leaving)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	pid_t children[MANY];
	struct line line;

	heard_by_all =
		mmap(NULL, EVENTS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(heard_by_all != MAP_FAILED);
	options.several_receivers = true;
	open_line(&line, &options);
	for (int i = 0; i < MANY; i++)
		children[i] = in_child(acts[i], &line);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(rota_sender_fire(line.sender, "n", "i", i), 0);
	if (!by_leaving) {
		rota_sender_close_channel(line.sender);
		assert_int_equal(rota_sender_fire(line.sender, "n", "i", 0), -EPIPE);
	}
	close_line(&line);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(status_of(children[i]), 0);
	for (int i = 0; i < EVENTS; i++)
		assert_int_equal(heard_by_all[i], 1);
	(void)munmap(heard_by_all, EVENTS);
}

/* "One event wakes all attached receivers and one gets it" */
static void
receivers__several_attached__one_gets_each_event(void **state)
{
	(void)state;
	share((int (*const[])(void *)){ hears_in_turns, hears_in_turns, hears_in_turns }, true);
}

/* "queued events still arrive …; then every receiver, blocked or attached, gets -ROTA_ECLOSED" */
static void
ending__several_receivers__get_what_is_queued_and_are_all_told(void **state)
{
	(void)state;
	share((int (*const[])(void *)){ hears_by_blocking, hears_in_turns, hears_by_blocking },
		false);
}

static int
dies_of_the_third(struct rota_receiver *receiver, const struct rota_event *event, void *count_)
{
	unsigned *count = count_;

	(void)receiver;
	(void)event;
	if (++*count == 3)
		(void)raise(SIGKILL);
	return 0;
}

static int
hears_and_dies(void *line_)
{
	struct line *line = line_;
	unsigned count = 0;

	rota_receiver_connect(line->receiver, "n", dies_of_the_third, &count);
	return rota_receiver_handle_until_closed(line->receiver) == 0;
}

/* "At most once: events a receiver had taken die with it", and no others. */
static void
receiver__dead__costs_what_it_had_taken(void **state)
{
	struct heard heard = { .count = 0 };
	struct line line;
	pid_t child;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	rota_sender_gather(line.sender, true);
	for (int i = 0; i < 10; i++)
		assert_int_equal(fire_text(line.sender, "n", "lost"), 0);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	assert_int_equal(fire_text(line.sender, "n", "there"), 0);
	assert_int_equal(rota_sender_flush(line.sender), 0);
	child = in_child(hears_and_dies, &line);
	assert_int_equal(status_of(child), -SIGKILL);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_string_equal(heard.log, "n:there ");
	close_line(&line);
}

/* Forking in a turn */

struct forking {
	struct line line;
	struct rota_task task;
	pid_t child;
};

static int
fire_and_fork(struct rota_context *ctx, struct rota_task *task)
{
	struct forking *forking = rota_container_of(task, struct forking, task);

	assert_int_equal(fire_text(forking->line.sender, "n", "x"), 0);
	forking->child = fork();
	if (forking->child != 0)
		return 0;
	if (rota_context_forked(ctx, 0) < 0)
		exit_child(1);
	rota_sender_flush(forking->line.sender);
	close_line(&forking->line);
	exit_child(0);
}

/* What is gathered is its parent's. */
static void
forked_child__sends_nothing_that_was_gathered(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct heard heard = { .count = 0 };
	struct forking forking = { .child = -1 };

	open_line(&forking.line, NULL);
	rota_receiver_connect(forking.line.receiver, "n", hear, &heard);
	assert_int_equal(rota_sender_attach(forking.line.sender, ctx), 0);
	rota_task_init(&forking.task, fire_and_fork);
	assert_int_equal(rota_task_add(ctx, &forking.task), 0);
	while (forking.child == -1)
		assert_true(rota_dispatch_once(ctx, ROTA_SECOND, NULL) >= 0);
	assert_int_equal(status_of(forking.child), 0);
	for (int i = 0; i < 3; i++)
		assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
	(void)rota_receiver_handle_pending(forking.line.receiver);
	assert_string_equal(heard.log, "n:x ");
	close_line(&forking.line);
}

/* "no descriptor free" */

#define FEW 128

static int taken[FEW];
static size_t taken_count;

/* Takes descriptors until there are no more. */
static void
take_all(void)
{
	int fd;

	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		taken[taken_count++] = fd;
	assert_int_equal(errno, EMFILE);
}

static void
give_back(void)
{
	while (taken_count > 0)
		close(taken[--taken_count]);
}

static int
takes_the_last(struct rota_receiver *receiver, const struct rota_event *event, void *unused)
{
	(void)receiver;
	(void)event;
	(void)unused;
	take_all();
	return 0;
}

static void
large_event__without_a_descriptor__arrives_or_is_told_lost(void **state)
{
	static const char bytes[200000];
	struct heard heard = { .count = 0 };
	struct rlimit before;
	struct rlimit few;
	struct line line;

	(void)state;
	open_line(&line, NULL);
	rota_receiver_connect(line.receiver, "n", hear, &heard);
	rota_receiver_connect(line.receiver, "take", takes_the_last, NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ FEW, before.rlim_max };
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	take_all();
	/* The one that it keeps spare. */
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(heard.bytes, sizeof bytes);
	/* A handler has taken that, too. */
	give_back();
	assert_int_equal(fire_text(line.sender, "take", ""), 0);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(fire_text(line.sender, "n", "still"), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 2);
	assert_int_equal(rota_receiver_meter(line.receiver)->lost, 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->bad, 0);
	assert_string_equal(heard.log, "n:still ");
	give_back();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(rota_sender_fire_bytes(line.sender, "n", bytes, sizeof bytes), 0);
	assert_int_equal(rota_receiver_handle_pending(line.receiver), 1);
	assert_int_equal(rota_receiver_meter(line.receiver)->lost, 1);
	close_line(&line);
}

/* "peer credentials checked", by those whose they are; only root can be somebody else. */

static char directory[] = "/tmp/rota-promises-XXXXXX";
static char address[sizeof directory + 32];

struct stranger {
	uid_t uid;
	unsigned flags;
	int expected;
};

static int
connects_as(void *stranger_)
{
	const struct stranger *stranger = stranger_;
	struct rota_channel *channel = NULL;
	int r;

	if (setuid(stranger->uid) < 0)
		return 2;
	r = rota_channel_connect(address, ROTA_CHANNEL_SENDER | stranger->flags, 10 * ROTA_SECOND,
		&channel);
	rota_channel_free(channel);
	return r == stranger->expected ? 0 : 3;
}

static void
serve_stranger(struct rota_context *ctx, unsigned flags, mode_t mode, struct stranger stranger)
{
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding = NULL;
	int status = 0;
	pid_t child;

	assert_int_equal(rota_channel_bind(channel, ctx, address, flags, &binding), 0);
	if (mode != 0)
		assert_int_equal(chmod(strchr(address, '/'), mode), 0);
	child = in_child(connects_as, &stranger);
	while (waitpid(child, &status, WNOHANG) == 0)
		assert_true(rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL) >= 0);
	assert_int_equal(status, 0);
	rota_channel_unbind(binding);
	rota_channel_free(channel);
}

static void
name__of_somebody_else__is_who_the_kernel_says(void **state)
{
	struct rota_context *ctx = channel_context(state);

	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 0755), 0);
	snprintf(address, sizeof address, "unix:%s/channel", directory);
	/* The path is not for him; nor is what it leads to, whatever its mode. */
	serve_stranger(ctx, 0, 0, (struct stranger){ NOBODY, 0, -EACCES });
	serve_stranger(ctx, 0, 0666, (struct stranger){ NOBODY, 0, -EPERM });
	serve_stranger(ctx, ROTA_CHANNEL_ANY_USER, 0, (struct stranger){ NOBODY, 0, 0 });
	/* Root is trusted, and himself. */
	serve_stranger(ctx, 0, 0, (struct stranger){ 0, 0, 0 });
	assert_int_equal(rmdir(directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(senders__several__each_has_its_order),
		fixture_test(receivers__several_attached__one_gets_each_event),
		fixture_test(ending__several_receivers__get_what_is_queued_and_are_all_told),
		fixture_test(receiver__dead__costs_what_it_had_taken),
		fixture_test(forked_child__sends_nothing_that_was_gathered),
		fixture_test(large_event__without_a_descriptor__arrives_or_is_told_lost),
		fixture_test(name__of_somebody_else__is_who_the_kernel_says),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("channel promises", tests, NULL, NULL);
}
