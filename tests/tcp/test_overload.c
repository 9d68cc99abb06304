/* SPDX-License-Identifier: MIT */
/*
 * More than there is room for: peers that do not read, peers that never stop, and thousands of
 * connections. Nobody starves, nothing spins, and it goes on when the crowd has gone.
 */
#include <rota/listener.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "rig.h"
#include "stream.h"

#define KIB ((size_t)1 << 10)
#define PINGERS 1000
#define MANY 9000
#define BATCH 1000

/* Peers that do not read */

/* Writes as much as the kernel takes; how much that was. */
static size_t
gush(int fd)
{
	static char bytes[64 << 10];
	size_t all = 0;
	ssize_t n;

	do {
		n = send(fd, bytes, sizeof bytes, MSG_NOSIGNAL);
		all += n > 0 ? (size_t)n : 0;
	} while (n == (ssize_t)sizeof bytes);
	return all;
}

static void
check_marks(const struct end *end)
{
	const struct rota_stream_options *o = &end->stream->options->values;

	assert_in_range(rota_stream_unsent(end->stream), 0, o->output_high + 64 * KIB);
	assert_in_range(rota__input_kept(end->stream), 0, o->input_limit);
	assert_int_equal(end->refused, 0);
}

static void
peer__never_reads__costs_its_marks_and_no_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_echoes(11);
	struct door *door = make_door(ends, 11);
	int peers[11];
	int idle = 0;

	for (int i = 0; i < 11; i++)
		ends[i].forgets = true;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 11, door->text);
	wait_for(ctx, &door->accepted, 11);
	while (idle < 100) {
		size_t moved = 0;

		for (int i = 0; i < 10; i++)
			moved += gush(peers[i]);
		spin(ctx, 1);
		for (int i = 0; i < 10; i++)
			check_marks(&ends[i]);
		idle = moved > 0 ? 0 : idle + 1;
	}
	assert_true(rota_stream_is_full(ends[0].stream));
	/* They are left alone, and the others are not. */
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	raw_send(peers[10], "ping", 4);
	expect_bytes(ctx, peers[10], "ping", 4);
	raw_close_all(peers, 11);
	while (rota_context_streams(ctx) > 0 && idle-- > 0)
		spin(ctx, 1);
}

/* Peers that never stop */

struct race {
	int pingers[PINGERS];
	int hoses[4];
};

static void
open_race(struct rota_context *ctx, struct race *race)
{
	struct door *door = make_door(make_echoes(PINGERS + 4), PINGERS + 4);

	for (int i = 0; i < PINGERS + 4; i++) {
		door->ends[i].forgets = true;
		/* The first have no answer, so that they never have to wait. */
		door->ends[i].echoes = i >= 4;
	}
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(race->hoses, 4, door->text);
	raw_connect_all(race->pingers, PINGERS, door->text);
	wait_for(ctx, &door->accepted, PINGERS + 4);
}

static void
close_race(struct race *race)
{
	raw_close_all(race->hoses, 4);
	raw_close_all(race->pingers, PINGERS);
}

/* Everybody asks once; how many turns it takes until everybody has the answer. */
static int
run_round(struct rota_context *ctx, struct race *race, struct rota_dispatchvars *vars, int most)
{
	bool has_answer[PINGERS] = { false };
	int answered = 0;
	int turns = 0;

	for (int i = 0; i < PINGERS; i++)
		raw_send(race->pingers[i], "x", 1);
	for (; answered < PINGERS && turns < most; turns++) {
		for (int i = 0; i < 4; i++)
			(void)gush(race->hoses[i]);
		assert_int_equal(take_turns(ctx, vars, 1), ROTA_CONTINUE);
		for (int i = 0; i < PINGERS; i++) {
			char byte;

			if (!has_answer[i] && raw_receive(race->pingers[i], &byte, 1) == 1) {
				has_answer[i] = true;
				answered++;
			}
		}
	}
	assert_int_equal(answered, PINGERS);
	return turns;
}

static void
firehose__beside_a_thousand_pingers__all_are_answered_in_few_turns(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	static struct race race;

	open_race(ctx, &race);
	/* A wait reports 64 targets at first, and twice as many whenever that was not enough. */
	for (int round = 0; round < 20; round++)
		assert_in_range(run_round(ctx, &race, &vars, 100), 1, PINGERS / 64 + 4);
	close_race(&race);
}

static void
firehose__on_the_smallest_budget__leaves_every_pinger_its_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	static struct race race;
	int turns;

	open_race(ctx, &race);
	vars.budget = 1;
	/* One handler a turn. Each hose can be before a pinger once for each 64 that wait. */
	turns = run_round(ctx, &race, &vars, 2 * PINGERS);
	assert_in_range(turns, PINGERS, PINGERS + 4 * (PINGERS / 64 + 4));
	close_race(&race);
}

/* Very many */

/* Connects a batch and has each answered; false when something is amiss. */
static bool
connect_batch(int *peers, int count, const struct rota_address *address)
{
	char byte;

	for (int i = 0; i < count; i++) {
		peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (peers[i] < 0 || connect(peers[i], &address->socket.any, address->length) < 0)
			return false;
		if (send(peers[i], "x", 1, MSG_NOSIGNAL) != 1)
			return false;
	}
	for (int i = 0; i < count; i++) {
		if (recv(peers[i], &byte, 1, 0) != 1 || byte != 'x')
			return false;
	}
	return true;
}

/* The clients: all connected and answered, then one byte to the parent; they go when it answers. */
static int
be_many(const char *text, int control)
{
	static int peers[MANY];
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	struct rota_address address;
	char byte;

	if (rota_address_parse(text, &address) < 0)
		return 1;
	for (int i = 0; i < MANY; i += BATCH) {
		if (!connect_batch(peers + i, BATCH, &address))
			return 2;
	}
	/* Resets leave no ports behind that wait for minutes; the last ones leave in order. */
	for (int i = 0; i < MANY - BATCH; i++)
		(void)setsockopt(peers[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	if (write(control, "y", 1) != 1 || read(control, &byte, 1) != 0)
		return 3;
	return 0;
}

static void
expect_idle(struct rota_context *ctx, rota_time duration)
{
	rota_time cpu = cpu_time();

	assert_int_equal(rota_dispatch_once(ctx, duration, NULL), 0);
	assert_in_range(cpu_time() - cpu, 0, duration / 50);
}

static void
connections__nine_thousand__are_served_and_idle_ones_cost_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_echoes(MANY + 2);
	struct door *door = make_door(ends, MANY + 2);
	int pair[2];
	int canary;
	int status;
	pid_t pid;

	for (int i = 0; i < MANY; i++)
		ends[i].forgets = true;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pair[0]);
		exit_child(be_many(door->text, pair[1]));
	}
	close(pair[1]);
	while (rota_context_streams(ctx) < MANY)
		assert_true(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL) > 0);
	expect_bytes(ctx, pair[0], "y", 1);
	assert_int_equal(door->paused, 0);
	canary = raw_connect(door->text);
	raw_send(canary, "ping", 4);
	expect_bytes(ctx, canary, "ping", 4);
	assert_int_equal(rota_context_streams(ctx), MANY + 1);
	spin(ctx, 2);
	expect_idle(ctx, ROTA_SECOND);
	close(pair[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (rota_context_streams(ctx) > 1)
		assert_true(rota_dispatch_once(ctx, 10 * ROTA_SECOND, NULL) > 0);
	raw_send(canary, "ping", 4);
	expect_bytes(ctx, canary, "ping", 4);
	close(canary);
}

static void
loop__with_idle_connections__uses_no_cpu(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_echoes(10), 10);
	int peers[10];

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, 10, door->text);
	for (int i = 0; i < 10; i++) {
		raw_send(peers[i], "ping", 4);
		expect_bytes(ctx, peers[i], "ping", 4);
	}
	rota_stream_pause(door->ends[0].stream);
	raw_send(peers[0], "unread", 6);
	spin(ctx, 2);
	expect_idle(ctx, ROTA_SECOND);
	raw_close_all(peers, 10);
}

/* Nine thousand descriptors and some, if the system lets us. */
static int
raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -1;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < MANY + 100) {
		print_error("no descriptors for %d connections\n", MANY);
		return -1;
	}
	limit.rlim_cur = MANY + 100;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(peer__never_reads__costs_its_marks_and_no_more),
		rig_test(firehose__beside_a_thousand_pingers__all_are_answered_in_few_turns),
		rig_test_exact(firehose__on_the_smallest_budget__leaves_every_pinger_its_turn),
		rig_test_exact(connections__nine_thousand__are_served_and_idle_ones_cost_nothing),
		rig_test_exact(loop__with_idle_connections__uses_no_cpu),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
