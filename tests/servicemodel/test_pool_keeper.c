/* SPDX-License-Identifier: MIT */
/*
 * What is left when the master of a pool is dead: nobody of its workers' process groups; who sees
 * to that, the keeper, whatever happens to it; and that what a worker executes holds nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "gang.h"
#include "pool.h"

#define WORKERS 3

static const char *own_path;

/* This program, as a worker. */
static const struct rota_worker_kind *
program_kind(void)
{
	static const char *command[2];
	static const struct rota_worker_kind kind = { "gang", NULL, command, NULL };

	command[0] = own_path;
	return &kind;
}

/* "rota-keeper" */
static bool
is_keeper(pid_t pid)
{
	char path[64];
	char name[32] = "";
	int fd;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, name, sizeof name - 1);
	close(fd);
	return strcmp(name, "rota-keeper\n") == 0;
}

/* The pool's, once it has its name; the one that there was before is none. */
static pid_t
keeper_of(struct rota_context *ctx, const struct gang *gang, pid_t before)
{
	for (int i = 0; i < 1000; i++) {
		pid_t pid = gang->pool->keeper.child.pid;

		if (pid != 0 && pid != before && is_keeper(pid))
			return pid;
		(void)rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL);
	}
	fail_msg("there is no keeper");
	return 0;
}

/* How many descriptors a process has, and how many of them are sockets. */
static int
count_descriptors(pid_t pid, int *ret_sockets)
{
	char path[64];
	char target[64] = "";
	const struct dirent *entry;
	int count = 0;
	DIR *dir;

	*ret_sockets = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	assert_non_null(dir);
	for (entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		count += n >= 0;
		*ret_sockets += n > 0 && strncmp(target, "socket:", 7) == 0;
	}
	closedir(dir);
	return count;
}

static bool
is_there(pid_t pid)
{
	siginfo_t info;

	/* One that is a child and has ended is there for kill. */
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
		return false;
	return kill(pid, 0) == 0;
}

/* A master in a process of its own, with workers that have started others; and how it ends. */

enum way {
	KILLED,
	ABORTED,
	GROUP_TERMINATED,
	GROUP_KILLED,
	KILLED_WITH_FORK,    /* which has all that the master has, and lives */
	KILLED_AFTER_KEEPER, /* that was replaced */
	KILLED_WITH_KEEPER,  /* at once: then the workers die, and they alone */
	ANOTHER_PROGRAM,     /* that is what it becomes */
	WAYS,
};

struct scene {
	pid_t workers[WORKERS];
	pid_t broods[WORKERS];
	pid_t exile;
	pid_t fork;
	pid_t keeper;
};

static void be_master(enum way way, bool is_program, int fd) __attribute__((noreturn));

/* Of each worker; the last one, and what it has started, are stopped. */
static void
make_scene(struct rota_context *ctx, struct gang *gang, struct scene *scene)
{
	assert_int_equal(rota_pool_broadcast(gang->pool, "brood", 5, NULL, NULL), WORKERS);
	gang_wait(ctx, gang, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		const struct rota_pool_result *result = &gang->told[i].result;

		scene->workers[result->worker] = result->pid;
		scene->broods[result->worker] = atoi(gang->told[i].bytes);
	}
	scene->exile = atoi(gang_do(ctx, gang, "exile")->bytes);
	gang_submit(gang, "spin");
	wait_for_size(ctx, &gang->stderr_len, 1);
	assert_int_equal(kill(scene->broods[WORKERS - 1], SIGSTOP), 0);
	assert_int_equal(kill(scene->workers[WORKERS - 1], SIGSTOP), 0);
	scene->keeper = keeper_of(ctx, gang, 0);
}

static void
be_master(enum way way, bool is_program, int fd)
{
	struct scene scene = { .fork = 0 };
	struct rota_context *ctx;
	struct gang gang;

	for (int number = 1; number < SIGRTMIN; number++)
		(void)signal(number, SIG_DFL);
	(void)setpgid(0, 0);
	alarm(30);
	if (rota_context_new(&ctx) != 0)
		_exit(1);
	gang_init(&gang);
	gang_start(ctx, &gang, 0);
	for (int i = 0; i < WORKERS; i++)
		gang_add(&gang, is_program ? program_kind() : &gang_kind, "");
	make_scene(ctx, &gang, &scene);
	if (way == KILLED_AFTER_KEEPER) {
		(void)kill(scene.keeper, SIGKILL);
		scene.keeper = keeper_of(ctx, &gang, scene.keeper);
	}
	if (way == KILLED_WITH_FORK) {
		scene.fork = fork();
		/* Should the test fail: nobody else ends it then. */
		if (scene.fork == 0)
			alarm(30);
		while (scene.fork == 0)
			pause();
	}
	if (write(fd, &scene, sizeof scene) != sizeof scene)
		_exit(1);
	if (way == ANOTHER_PROGRAM)
		(void)execlp("sleep", "sleep", "30", (char *)NULL);
	(void)rota_iterate(ctx, NULL);
	_exit(1);
}

static void
end_master(enum way way, pid_t master, pid_t keeper)
{
	/* It is not to replace it. */
	if (way == KILLED_WITH_KEEPER)
		assert_int_equal(kill(master, SIGSTOP) + kill(keeper, SIGKILL), 0);
	if (way == GROUP_TERMINATED || way == GROUP_KILLED)
		assert_int_equal(kill(-master, way == GROUP_KILLED ? SIGKILL : SIGTERM), 0);
	else if (way != ANOTHER_PROGRAM)
		assert_int_equal(kill(master, way == ABORTED ? SIGABRT : SIGKILL), 0);
}

static void
play(enum way way, bool is_program)
{
	struct scene scene;
	rota_time begun;
	int pair[2];
	pid_t master;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	master = fork();
	if (master == 0)
		be_master(way, is_program, pair[1]);
	close(pair[1]);
	assert_int_equal(read(pair[0], &scene, sizeof scene), sizeof scene);
	close(pair[0]);
	for (int i = 0; i < WORKERS; i++)
		assert_true(is_there(scene.broods[i]));
	begun = real_time();
	end_master(way, master, scene.keeper);
	for (int i = 0; i < WORKERS; i++) {
		gang_wait_for_end(scene.workers[i]);
		if (way == KILLED_WITH_KEEPER)
			assert_int_equal(kill(scene.broods[i], SIGKILL), 0);
		gang_wait_for_end(scene.broods[i]);
	}
	gang_wait_for_end(scene.keeper);
	assert_true(real_time() - begun < 2 * ROTA_SECOND);
	/* Who has left the group is left alone. */
	assert_true(is_there(scene.exile));
	(void)kill(scene.exile, SIGKILL);
	if (scene.fork != 0)
		(void)kill(scene.fork, SIGKILL);
	(void)kill(master, SIGKILL);
	assert_int_equal(waitpid(master, NULL, 0), master);
}

/* "No orphan of ours, zombie or descriptor left, whatever dies, the master included" */
static void
master__dead__leaves_nobody_of_its_workers_groups(void **state)
{
	struct gang gang;

	(void)state;
	gang_init(&gang);
	for (enum way way = KILLED; way < WAYS; way++)
		play(way, false);
}

static void
master__dead__leaves_nobody_of_programs_either(void **state)
{
	struct gang gang;

	(void)state;
	gang_init(&gang);
	play(KILLED, true);
}

/* The keeper */

static uint64_t
keepers(const struct gang *gang)
{
	struct rota_pool_counts counts;

	rota_pool_counts(gang->pool, &counts);
	return counts.keepers;
}

/* However often that is, and whatever the rules for workers are. */
static void
keeper__killed__is_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	pid_t pid = 0;

	gang_init(&gang);
	gang.options.crashes = 1;
	gang_open(ctx, &gang, 1);
	for (unsigned i = 1; i <= 8; i++) {
		pid = keeper_of(ctx, &gang, pid);
		assert_int_equal(keepers(&gang), i);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_string_equal(gang_do(ctx, &gang, "echo x")->bytes, "x");
	}
	(void)keeper_of(ctx, &gang, pid);
	assert_int_equal(gang.deaths, 0);
	gang_close(ctx, &gang);
}

/* ^C, the end of a session, what somebody sends to all of a program's processes. */
static void
keeper__signalled__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	pid_t pid;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	pid = keeper_of(ctx, &gang, 0);
	for (int number = 1; number <= SIGRTMAX; number++) {
		/* Those between are libc's own. */
		if (number != SIGKILL && number != SIGSTOP && (number < 32 || number >= SIGRTMIN))
			(void)kill(pid, number);
	}
	gang_do(ctx, &gang, "nap 20");
	assert_true(is_there(pid));
	assert_int_equal(keepers(&gang), 1);
	gang_close(ctx, &gang);
}

/* Whoever waits for the end of what the master had open must not wait for this. */
static void
keeper__at_work__has_nothing_of_its_masters(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	int sockets;
	pid_t pid;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	pid = keeper_of(ctx, &gang, 0);
	for (int i = 0; i < 1000 && count_descriptors(pid, &sockets) != 2; i++)
		(void)poll(NULL, 0, 1);
	assert_int_equal(count_descriptors(pid, &sockets), 2);
	assert_int_equal(sockets, 0);
	assert_int_equal(getpgid(pid), pid);
	gang_close(ctx, &gang);
}

static void
keeper__of_a_pool_that_ends__is_no_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_pool *empty;
	struct gang gang;
	pid_t pid;

	gang_init(&gang);
	gang_open(ctx, &gang, 2);
	pid = keeper_of(ctx, &gang, 0);
	assert_int_equal(rota_pool_stop_wait(gang.pool, ROTA_SECOND, ROTA_SECOND), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(gang.pool->keeper.pipe, -1);
	assert_int_equal(keepers(&gang), 1);
	assert_false(is_there(pid));
	rota_pool_free(gang.pool);
	/* One that is freed; one that has never had any; one that is stopped. */
	gang_open(ctx, &gang, 1);
	assert_int_equal(rota_pool_new(ctx, NULL, NULL, NULL, &empty), 0);
	assert_int_equal(kill(keeper_of(ctx, &gang, 0), SIGSTOP), 0);
	rota_pool_free(gang.pool);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	rota_pool_free(empty);
}

/* "no number is there that may be another's" */
static void
keeper__a_worker_reaped__does_not_know_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	const struct rota__keeper_groups *groups;
	struct rota_pool_worker worker;
	struct gang gang;

	gang_init(&gang);
	gang.options.crashes = 1;
	gang_open(ctx, &gang, 2);
	groups = gang.pool->keeper.groups;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(rota_pool_worker(gang.pool, i, &worker), 0);
		assert_int_equal(groups->places[i], worker.pid);
	}
	assert_int_equal(kill(worker.pid, SIGKILL), 0);
	wait_for(ctx, &gang.given_up, 1);
	assert_int_equal(groups->places[1], 0);
	assert_true(groups->places[0] > 0);
	assert_int_equal(groups->places[2], 0);
	/* One that does not come so far as to be watched. */
	faulty_sys_fail(FAULTY_PIDFD_OPEN, 1, false, EMFILE);
	assert_int_equal(rota_pool_add_worker(gang.pool, &gang_kind, "", 0, NULL), -EMFILE);
	faulty_sys_reset();
	assert_int_equal(groups->places[2], 0);
	gang_close(ctx, &gang);
}

/* Without one there is no worker. */
static void
keeper__not_to_be_started__no_worker_is_either(void **state)
{
	static const struct {
		enum faulty_call call;
		int error;
	} faults[] = { { FAULTY_MMAP, ENOMEM }, { FAULTY_PIDFD_OPEN, ENFILE },
		{ FAULTY_PIPE2, EMFILE }, { FAULTY_SIGPROCMASK, EINVAL }, { FAULTY_FORK, EAGAIN } };
	struct rota_context *ctx = context_of(state);
	struct gang gang;

	gang_init(&gang);
	gang_start(ctx, &gang, 0);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		faulty_sys_fail(faults[i].call, 1, false, faults[i].error);
		assert_int_equal(rota_pool_add_worker(gang.pool, &gang_kind, "", 0, NULL),
			-faults[i].error);
		assert_int_equal(faulty_sys_failed(), 1);
		faulty_sys_reset();
		assert_int_equal(keepers(&gang), 0);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
	gang_add(&gang, &gang_kind, "");
	assert_int_equal(keepers(&gang), 1);
	gang_close(ctx, &gang);
}

/* Those that there are go on; it comes as soon as it can. */
static void
keeper__not_to_be_replaced__is_tried_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct gang gang;
	pid_t pid;

	gang_init(&gang);
	gang_open(ctx, &gang, 1);
	pid = keeper_of(ctx, &gang, 0);
	faulty_sys_fail(FAULTY_FORK, 1, true, EAGAIN);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (faulty_sys_failed() < 3)
		assert_string_equal(gang_do(ctx, &gang, "nap 1")->bytes, "");
	assert_int_equal(keepers(&gang), 1);
	faulty_sys_reset();
	(void)keeper_of(ctx, &gang, pid);
	assert_int_equal(keepers(&gang), 2);
	gang_close(ctx, &gang);
}

/* What a worker executes */

static void
expect_no_socket(struct rota_context *ctx, const struct rota_worker_kind *kind)
{
	struct gang gang;
	int sockets;
	pid_t pid;

	gang_init(&gang);
	gang_start(ctx, &gang, 0);
	gang_add(&gang, kind, "");
	pid = atoi(gang_do(ctx, &gang, "exile")->bytes);
	/* The worker's end is closed with the worker's descriptor, and seen. */
	assert_int_equal(gang_do(ctx, &gang, "close")->result.end, ROTA_POOL_KILLED);
	assert_int_equal(gang.causes[ROTA_POOL_DEAF], 1);
	assert_true(is_there(pid));
	(void)count_descriptors(pid, &sockets);
	assert_int_equal(sockets, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	gang_close(ctx, &gang);
}

static void
worker__what_it_executes__does_not_hold_its_socket(void **state)
{
	expect_no_socket(context_of(state), &gang_kind);
	expect_no_socket(context_of(state), program_kind());
}

int
main(int argc, char **argv)
{
	const struct rota_worker_kind *const kinds[] = { &gang_kind, NULL };
	const struct CMUnitTest tests[] = {
		gang_test(master__dead__leaves_nobody_of_its_workers_groups),
		gang_test(master__dead__leaves_nobody_of_programs_either),
		gang_test(keeper__killed__is_replaced),
		gang_test(keeper__signalled__goes_on),
		gang_test(keeper__at_work__has_nothing_of_its_masters),
		gang_test(keeper__of_a_pool_that_ends__is_no_more),
		gang_test(keeper__a_worker_reaped__does_not_know_it),
		gang_test(keeper__not_to_be_started__no_worker_is_either),
		gang_test(keeper__not_to_be_replaced__is_tried_again),
		gang_test(worker__what_it_executes__does_not_hold_its_socket),
	};
	int status = rota_worker_main(argc, argv, kinds);

	if (status != -ENOTCONN)
		return status;
	own_path = argv[0];
	faulty_allocator_install();
	return cmocka_run_group_tests_name("pool keeper", tests, NULL, NULL);
}
