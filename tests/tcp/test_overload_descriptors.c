/* SPDX-License-Identifier: MIT */
/*
 * More peers than there are descriptors: they wait, cost nothing while they do, and are served when
 * others have gone. The server is a child with few descriptors that answers its parent's questions.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/listener.h>
#include <rota/target.h>

#include "faulty_allocator.h"
#include "rig.h"

#define CROWD 300
#define DESCRIPTORS 64

struct server {
	pid_t pid;
	int control;
	char text[ROTA_ADDRESS_TEXT];
};

struct answer {
	rota_time cpu;
	int accepted;
	int paused;
	size_t streams;
};

struct asked {
	struct rota_target target;
	struct door *door;
};

static int
on_question(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct asked *asked = rota_container_of(target, struct asked, target);
	struct answer answer = { .cpu = cpu_time() };
	char byte;

	(void)events;
	if (read(target->fd, &byte, 1) != 1) {
		rota_context_stop(ctx);
		return 0;
	}
	answer.accepted = asked->door->accepted;
	answer.paused = asked->door->paused;
	answer.streams = rota_context_streams(ctx);
	return write(target->fd, &answer, sizeof answer) == sizeof answer ? 0 : -errno;
}

/* Serves until the other end of control is closed. 0 when all went well. */
static int
serve(int control)
{
	static const struct rota_target_ops question_ops = { "question", on_question };
	struct rlimit limit;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_context *ctx;
	struct asked asked = { .door = make_door(make_echoes(CROWD + 10), CROWD + 10) };

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || rota_context_new(&ctx) < 0)
		return 1;
	if (door_open(ctx, asked.door, "127.0.0.1:0", NULL) < 0)
		return 2;
	rota_target_init(&asked.target, &question_ops, control);
	if (rota_target_start(ctx, &asked.target, ROTA_READABLE) < 0)
		return 3;
	if (write(control, asked.door->text, ROTA_ADDRESS_TEXT) != ROTA_ADDRESS_TEXT)
		return 4;
	if (rota_iterate(ctx, &vars) != ROTA_STOP || asked.door->closed != 0)
		return 5;
	rota_target_stop(ctx, &asked.target);
	if (rota_context_free(ctx) < 0 || faulty_allocator_live() != 0)
		return 6;
	forget_made();
	return 0;
}

/*
 * Valgrind keeps to the limit of descriptors by itself: it accepts what it then closes as one too
 * many, and peers see resets.
 */
static void
start_server(struct server *server)
{
	int pair[2];

	if (getenv("ROTA_UNDER_VALGRIND") != NULL)
		skip();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	server->pid = fork();
	assert_true(server->pid >= 0);
	if (server->pid == 0) {
		close(pair[0]);
		exit_child(serve(pair[1]));
	}
	close(pair[1]);
	server->control = pair[0];
	assert_int_equal(recv(server->control, server->text, ROTA_ADDRESS_TEXT, MSG_WAITALL),
		ROTA_ADDRESS_TEXT);
}

static struct answer
ask(const struct server *server)
{
	struct answer answer;

	assert_int_equal(send(server->control, "?", 1, MSG_NOSIGNAL), 1);
	assert_int_equal(recv(server->control, &answer, sizeof answer, MSG_WAITALL), sizeof answer);
	return answer;
}

static void
stop_server(const struct server *server)
{
	int status;

	close(server->control);
	assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
	assert_int_equal(status, 0);
}

/* Waits for answers to peers, -1 for those that have gone, at most so long; closes who has one. */
static int
let_served_go(int *peers, int count, int patience)
{
	struct pollfd polled[CROWD];
	int served = 0;

	for (int i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = peers[i], .events = POLLIN };
	(void)poll(polled, (nfds_t)count, patience);
	for (int i = 0; i < count; i++) {
		char byte = 0;

		if (polled[i].revents == 0)
			continue;
		assert_int_equal(raw_receive(peers[i], &byte, 1), 1);
		assert_int_equal(byte, 'x');
		close(peers[i]);
		peers[i] = -1;
		served++;
	}
	return served;
}

static void
connect_crowd(const struct server *server, int *peers)
{
	raw_connect_all(peers, CROWD, server->text);
	for (int i = 0; i < CROWD; i++)
		raw_send(peers[i], "x", 1);
}

/* The server has as many streams as it can have, and has said so once. */
static void
wait_until_full(const struct server *server)
{
	rota_time deadline = real_time() + 10 * ROTA_SECOND;
	struct answer answer;

	do
		answer = ask(server);
	while (answer.paused == 0 && real_time() < deadline);
	assert_in_range(answer.streams, DESCRIPTORS / 2, DESCRIPTORS);
	assert_int_equal(answer.paused, 1);
}

static void
descriptors__more_peers_than_there_are__cost_nothing_while_they_wait(void **state)
{
	struct server server;
	struct answer before;
	struct answer after;
	int peers[CROWD];

	(void)state;
	start_server(&server);
	connect_crowd(&server, peers);
	wait_until_full(&server);
	before = ask(&server);
	(void)poll(NULL, 0, 1000);
	after = ask(&server);
	assert_in_range(after.cpu - before.cpu, 0, 20 * ROTA_MILLISECOND);
	assert_int_equal(after.streams, before.streams);
	assert_int_equal(after.paused, 1);
	raw_close_all(peers, CROWD);
	stop_server(&server);
}

static void
descriptors__more_peers_than_there_are__all_are_served(void **state)
{
	rota_time deadline = real_time() + 20 * ROTA_SECOND;
	struct server server;
	int peers[CROWD];
	int served = 0;

	(void)state;
	start_server(&server);
	connect_crowd(&server, peers);
	wait_until_full(&server);
	while (served < CROWD && real_time() < deadline)
		served += let_served_go(peers, CROWD, 100);
	assert_int_equal(served, CROWD);
	assert_int_equal(ask(&server).accepted, CROWD);
	stop_server(&server);
}

static void
descriptors__peers_leave_at_once__serves_again_within_a_second(void **state)
{
	struct server server;
	int peers[CROWD];
	rota_time left;

	(void)state;
	start_server(&server);
	connect_crowd(&server, peers);
	wait_until_full(&server);
	/* So that the pause has become as long as it gets. */
	(void)poll(NULL, 0, 700);
	raw_close_all(peers, CROWD);
	left = real_time();
	peers[0] = raw_connect(server.text);
	raw_send(peers[0], "x", 1);
	while (let_served_go(peers, 1, 1000) == 0 && real_time() < left + 10 * ROTA_SECOND) {
		/* It will come. */
	}
	assert_int_equal(peers[0], -1);
	assert_in_range(real_time() - left, 0, ROTA_SECOND);
	stop_server(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			descriptors__more_peers_than_there_are__cost_nothing_while_they_wait),
		cmocka_unit_test(descriptors__more_peers_than_there_are__all_are_served),
		cmocka_unit_test(descriptors__peers_leave_at_once__serves_again_within_a_second),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
