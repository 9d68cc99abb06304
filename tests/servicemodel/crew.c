/* SPDX-License-Identifier: MIT */
/*
 * The crew: see crew.h. What is in a process checks by exit statuses, of which the test hears.
 */
#include "crew.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/signals.h>

#include "faulty_sys.h"
#include "../reactor/pidfd.h"

#define PATIENCE 5000

/* In a process */

static void
on_open(struct rota_session *session, void *userdata)
{
	struct rota_process *process = userdata;
	char text[64];
	int len = snprintf(text, sizeof text, "%u %u %d\n", rota_process_index(process),
		rota_process_generation(process), (int)getpid());

	if (rota_process_counters(process) != NULL) {
		rota_process_counters(process)[0]++;
		rota_process_counters(process)[1]++;
	}
	(void)rota_session_send(session, text, (size_t)len);
}

static ssize_t
on_data(struct rota_session *session, const void *bytes, size_t len, void *userdata)
{
	(void)userdata;
	return rota_session_send(session, bytes, len) < 0 ? -ECONNABORTED : (ssize_t)len;
}

static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	struct rota_process *process = userdata;

	(void)session;
	(void)why;
	if (rota_process_counters(process) != NULL)
		rota_process_counters(process)[0]--;
}

static const struct rota_protocol protocol = {
	.name = "crew",
	.on_open = on_open,
	.on_data = on_data,
	.on_close = on_close,
};

static void
ignore_drain(struct rota_process *process, rota_time timeout, void *userdata)
{
	(void)process;
	(void)timeout;
	(void)userdata;
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

static size_t
count_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* What a process has, and has not, of its master's. 0, or what is wrong. */
static int
look(struct rota_process *process, struct crew *crew)
{
	static struct rota_signal terminate;
	size_t wanted = 3 + 1 + 1 + crew->options.keep_count;

	for (const char *const *text = rota_process_listen(process); *text != NULL; text++)
		wanted++;
	if (crew->forbidden >= 0 && fcntl(crew->forbidden, F_GETFD) >= 0)
		return 101;
	if (crew->options.keep_count > 0 && fcntl(crew->options.keep[0], F_GETFD) < 0)
		return 102;
	/* libev has its epoll, and perhaps one more for itself; the context an eventfd. */
	if (count_descriptors() < wanted || count_descriptors() > wanted + 3)
		return 103;
	if (rota_signal_start(rota_process_context(process), &terminate, SIGTERM, on_signal,
		    NULL) != 0)
		return 104;
	if (rota_process_index(process) >= crew->options.processes)
		return 105;
	return 0;
}

static enum crew_manner
manner_of(const struct crew *crew, const struct rota_process *process)
{
	unsigned generation = rota_process_generation(process);

	if (crew->odd_index == (int)rota_process_index(process) &&
		(crew->odd_generation == 0 || crew->odd_generation == generation))
		return crew->odd_manner;
	return crew->manner;
}

static int
run(struct rota_process *process, void *userdata)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_context *ctx = rota_process_context(process);
	struct crew *crew = userdata;
	enum crew_manner manner = manner_of(crew, process);
	struct rota_service *service;
	int wrong = 0;

	/* A fault is the master's; and cmocka's handlers would go on with the next test. */
	faulty_sys_reset();
	for (int number = 1; number < SIGRTMIN; number++) {
		if (number != SIGPIPE)
			(void)signal(number, SIG_DFL);
	}
	if (manner == CREW_EXITS)
		exit_child(CREW_STATUS);
	if (manner == CREW_HAS_A_LOOK)
		wrong = look(process, crew);
	options.listen = rota_process_listen(process);
	options.meter = rota_process_service_meter(process);
	options.listener.stream.tls = crew->tls;
	rota_context_set_meter(ctx, rota_process_loop_meter(process));
	if (crew->tls != NULL && rota_process_share_tickets(process, crew->tls) != 0)
		wrong = 106;
	if (manner == CREW_IGNORES_DRAIN)
		rota_process_on_drain(process, ignore_drain, NULL);
	if (wrong == 0 && rota_serve(ctx, &options, &protocol, process, &service) != 0)
		wrong = 107;
	if (wrong == 0 && manner != CREW_IS_NOT_READY && rota_process_ready(process) != 0)
		wrong = 108;
	if (wrong != 0)
		exit_child(wrong);
	if (manner == CREW_EXITS_LATE)
		exit_child(CREW_STATUS);
	while (manner == CREW_HAS_NO_LOOP)
		pause();
	rota_iterate(ctx, NULL);
	exit_child(0);
}

/* In the master */

static void
tell(struct crew *crew, enum crew_event event)
{
	crew->told[event]++;
	if (crew->act != NULL)
		crew->act(crew, event);
}

static void
on_ready(struct rota_prefork *prefork, unsigned index, pid_t pid, void *userdata)
{
	struct crew *crew = userdata;

	(void)prefork;
	crew->pids[index] = pid;
	tell(crew, CREW_READY);
}

static void
on_death(struct rota_prefork *prefork, const struct rota_prefork_death *death, void *userdata)
{
	struct crew *crew = userdata;
	int at = crew->told[CREW_DEATH];

	(void)prefork;
	assert_true(at < CREW_DEATHS);
	crew->deaths[at] = *death;
	crew->ends[at] = *death->end;
	crew->deaths[at].end = &crew->ends[at];
	snprintf(crew->text, sizeof crew->text, "%s", death->text);
	tell(crew, CREW_DEATH);
}

static void
on_given_up(struct rota_prefork *prefork, unsigned index, unsigned places, const char *text,
	void *userdata)
{
	struct crew *crew = userdata;

	(void)prefork;
	(void)index;
	crew->places = places;
	snprintf(crew->text, sizeof crew->text, "%s", text);
	tell(crew, CREW_GIVEN_UP);
}

static void
on_reloaded(struct rota_prefork *prefork, int error, const char *text, void *userdata)
{
	struct crew *crew = userdata;

	(void)prefork;
	crew->reload_error = error;
	snprintf(crew->text, sizeof crew->text, "%s", text);
	tell(crew, CREW_RELOADED);
}

static const struct rota_prefork_ops crew_ops = {
	.run = run,
	.on_ready = on_ready,
	.on_death = on_death,
	.on_given_up = on_given_up,
	.on_reloaded = on_reloaded,
};

static void
on_drained(struct rota_prefork *prefork, const struct rota_prefork_report *report, void *userdata)
{
	struct crew *crew = userdata;

	(void)prefork;
	crew->report = *report;
	tell(crew, CREW_DRAINED);
}

bool
crew_is_impossible(void)
{
	return !has_pidfd();
}

void
crew_init(struct crew *crew)
{
	*crew = (struct crew){
		.options = ROTA_PREFORK_OPTIONS_INIT,
		.listen = { "127.0.0.1:0" },
		.odd_index = -1,
		.forbidden = -1,
	};
	crew->options.processes = 2;
	crew->options.listen = crew->listen;
	crew->options.first_backoff = ROTA_MILLISECOND;
	crew->options.most_backoff = 4 * ROTA_MILLISECOND;
}

int
crew_try(struct rota_context *ctx, struct crew *crew)
{
	return rota_prefork_start(ctx, &crew->options, &crew_ops, crew, &crew->prefork);
}

void
crew_start(struct rota_context *ctx, struct crew *crew)
{
	struct rota_address address;

	assert_int_equal(crew_try(ctx, crew), 0);
	if (rota_prefork_address(crew->prefork, 0, &address) == 0)
		rota_address_format(&address, crew->address, sizeof crew->address);
}

void
crew_wait(struct rota_context *ctx, struct crew *crew, enum crew_event event, int count)
{
	wait_for(ctx, &crew->told[event], count);
}

struct rebirth {
	const struct crew *crew;
	unsigned index;
	pid_t before;
};

static bool
is_reborn(struct rota_context *ctx, void *userdata)
{
	const struct rebirth *rebirth = userdata;

	(void)ctx;
	return rebirth->crew->pids[rebirth->index] != rebirth->before;
}

void
crew_kill(struct rota_context *ctx, struct crew *crew, unsigned index, int number)
{
	struct rebirth rebirth = { crew, index, crew->pids[index] };

	assert_int_equal(kill(rebirth.before, number), 0);
	assert_int_equal(turn_until(ctx, is_reborn, &rebirth), 0);
}

void
crew_open(struct rota_context *ctx, struct crew *crew)
{
	crew_start(ctx, crew);
	crew_wait(ctx, crew, CREW_READY, (int)crew->options.processes);
	assert_int_equal(crew->told[CREW_DEATH], 0);
}

void
crew_reload(struct crew *crew)
{
	assert_int_equal(rota_prefork_reload(crew->prefork), 0);
}

void
crew_drain(struct crew *crew, rota_time timeout)
{
	assert_int_equal(rota_prefork_drain(crew->prefork, timeout, on_drained, crew), 0);
}

void
crew_close(struct rota_context *ctx, struct crew *crew)
{
	crew_drain(crew, 5 * ROTA_SECOND);
	crew_wait(ctx, crew, CREW_DRAINED, 1);
	assert_int_equal(crew->report.failed, 0);
	assert_int_equal(crew->report.killed, 0);
	rota_prefork_free(crew->prefork);
	crew->prefork = NULL;
}

/* Its peers */

struct crew_peer
crew_greeted(int fd)
{
	struct crew_peer peer = { .fd = fd };
	char text[64];
	size_t len = 0;

	do {
		assert_true(raw_has_input(fd, PATIENCE));
		assert_int_equal(raw_receive(fd, text + len, 1), 1);
	} while (text[len++] != '\n' && len < sizeof text - 1);
	text[len] = '\0';
	assert_int_equal(sscanf(text, "%u %u %d", &peer.index, &peer.generation, &peer.pid), 3);
	return peer;
}

struct crew_peer
crew_connect(const struct crew *crew)
{
	return crew_greeted(raw_connect(crew->address));
}

struct crew_peer
crew_connect_to(const struct crew *crew, unsigned index, unsigned generation)
{
	/* The kernel chooses, by the port that the peer has: none of 64 goes there once in 2^64. */
	for (int i = 0; i < 64; i++) {
		struct crew_peer peer = crew_connect(crew);

		if (peer.index == index && (generation == 0 || peer.generation == generation))
			return peer;
		crew_leave(&peer);
	}
	fail_msg("place %u gets no connection", index);
	return (struct crew_peer){ .fd = -1 };
}

void
crew_leave(struct crew_peer *peer)
{
	close(peer->fd);
	peer->fd = -1;
}

void
crew_echo(const struct crew_peer *peer)
{
	char bytes[4];

	raw_send(peer->fd, "echo", 4);
	for (size_t len = 0; len < sizeof bytes; len++) {
		assert_true(raw_has_input(peer->fd, PATIENCE));
		assert_int_equal(raw_receive(peer->fd, bytes + len, 1), 1);
	}
	assert_memory_equal(bytes, "echo", 4);
}

bool
crew_is_cut(const struct crew_peer *peer)
{
	char byte;

	return raw_has_input(peer->fd, PATIENCE) && raw_receive(peer->fd, &byte, 1) <= 0;
}

bool
crew_is_gone(pid_t pid)
{
	return kill(pid, 0) < 0 && errno == ESRCH;
}
