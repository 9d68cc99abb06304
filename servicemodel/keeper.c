/* SPDX-License-Identifier: MIT */
/*
 * Keepers: see keeper.h. The process waits for two things. A pidfd says that its master is dead,
 * whoever else has the master's descriptors; the end of a pipe, that the master has executed
 * another program, which knows nothing of the groups.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <rota/context.h>

#include "descriptors.h"

/* For ps(1); 15 bytes at most. */
#define NAME "rota-keeper"

/* In the process */

/*
 * Numbers of processes that are 1 or less would mean others, or all there are. A group that has a
 * process has its number for itself, also when the first of it was reaped.
 */
static void
kill_groups(const struct rota__keeper *keeper)
{
	for (size_t i = 0; i < ROTA__KEEPER_PLACES; i++) {
		pid_t group = atomic_load(&keeper->groups->places[i]);

		if (group > 1)
			(void)keeper->sys->kill(-group, SIGKILL);
	}
}

static void keep(const struct rota__keeper *keeper, int master, int end) __attribute__((noreturn));

static void
keep(const struct rota__keeper *keeper, int master, int end)
{
	const struct rota_sys_ops *sys = keeper->sys;
	const int kept[] = { master, end };
	struct pollfd fds[] = {
		{ .fd = master, .events = POLLIN },
		{ .fd = end, .events = POLLIN },
	};
	int n;

	(void)sys->setpgid(0, 0);
	(void)sys->prctl(PR_SET_NAME, (unsigned long)NAME);
	rota__close_all_but(sys, kept, 2);
	do
		n = sys->ppoll(fds, 2, NULL, NULL);
	while (n == 0 || (n < 0 && errno == EINTR));
	/* Its master sees that it is no more. */
	if (n < 0)
		_exit(1);
	kill_groups(keeper);
	_exit(0);
}

/* In the master */

/* Signals come when the process obeys none: what the master does in its own would reach others. */
static pid_t
fork_deaf(const struct rota__keeper *keeper, int master, const int pipe[2])
{
	sigset_t all, before;
	pid_t pid;
	int error;

	sigfillset(&all);
	if (keeper->sys->sigprocmask(SIG_SETMASK, &all, &before) < 0)
		return -1;
	pid = keeper->sys->fork();
	if (pid == 0)
		keep(keeper, master, pipe[0]);
	/* Either may be first. */
	if (pid > 0)
		(void)keeper->sys->setpgid(pid, pid);
	error = errno;
	(void)keeper->sys->sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

static void
close_pipe(struct rota__keeper *keeper)
{
	if (keeper->pipe >= 0)
		keeper->sys->close(keeper->pipe);
	keeper->pipe = -1;
}

/* Kills the process that may still run, and waits for its end. */
static void
destroy(const struct rota__keeper *keeper, pid_t pid)
{
	const struct rota_sys_ops *sys = keeper->sys;
	int options = sys->kill(pid, SIGKILL) == 0 ? 0 : WNOHANG;
	struct rusage usage;
	int status;
	pid_t r;

	do
		r = sys->wait4(pid, &status, options, &usage);
	while (r < 0 && errno == EINTR);
}

static int
on_child(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	struct rota__keeper *keeper = userdata;

	(void)child;
	/* Nobody would tell of its end any more. */
	if (end->error == -ENOMEM)
		destroy(keeper, end->pid);
	close_pipe(keeper);
	if (rota_context_now(ctx) - keeper->born >= keeper->steady)
		rota__respawn_forgive(&keeper->respawn);
	(void)rota_timer_start(ctx, &keeper->timer,
		rota__respawn_wait(&keeper->respawn, &keeper->rules));
	return 0;
}

/* The pipe's end is closed by who executes; the pidfd, which is close-on-exec too, by us. */
static int
start(struct rota__keeper *keeper)
{
	const struct rota_sys_ops *sys = keeper->sys;
	int master = sys->pidfd_open(getpid(), 0);
	int pipe[2];
	pid_t pid;
	int r;

	if (master < 0)
		return -errno;
	if (sys->pipe2(pipe, O_CLOEXEC) < 0) {
		r = -errno;
		sys->close(master);
		return r;
	}
	pid = fork_deaf(keeper, master, pipe);
	r = pid < 0 ? -errno : rota_child_start(keeper->ctx, &keeper->child, pid, on_child, keeper);
	sys->close(master);
	sys->close(pipe[0]);
	if (r < 0) {
		sys->close(pipe[1]);
		if (pid > 0)
			destroy(keeper, pid);
		return r;
	}
	keeper->pipe = pipe[1];
	keeper->born = rota_context_now(keeper->ctx);
	keeper->processes++;
	(void)rota_timer_start(keeper->ctx, &keeper->timer, ROTA_NEVER);
	return 0;
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__keeper *keeper = rota_container_of(timer, struct rota__keeper, timer);
	rota_time wait = ROTA_NEVER;

	if (start(keeper) < 0)
		wait = rota__respawn_wait_unstarted(&keeper->respawn, &keeper->rules);
	(void)rota_timer_start(ctx, timer, wait);
	return 0;
}

void
rota__keeper_init(struct rota__keeper *keeper, struct rota_context *ctx,
	const struct rota__respawn_rules *rules, rota_time steady)
{
	*keeper = (struct rota__keeper){
		.ctx = ctx,
		.sys = rota__context_sys(ctx),
		.child = ROTA_CHILD_INIT,
		.pipe = -1,
		.rules = *rules,
		.steady = steady,
	};
	rota_timer_init(&keeper->timer, on_due);
}

int
rota__keeper_open(struct rota__keeper *keeper)
{
	return rota_timer_start(keeper->ctx, &keeper->timer, ROTA_NEVER);
}

int
rota__keeper_need(struct rota__keeper *keeper)
{
	if (keeper->child.pid != 0)
		return 0;
	if (keeper->groups == NULL)
		keeper->groups = keeper->sys->mmap(sizeof *keeper->groups, PROT_READ | PROT_WRITE,
			MAP_SHARED);
	return keeper->groups != NULL ? start(keeper) : -ENOMEM;
}

void
rota__keeper_enter(const struct rota__keeper *keeper, unsigned place)
{
	atomic_store(&keeper->groups->places[place], getpid());
}

void
rota__keeper_remove(const struct rota__keeper *keeper, unsigned place)
{
	if (keeper->groups != NULL)
		atomic_store(&keeper->groups->places[place], 0);
}

static void
unmap(struct rota__keeper *keeper)
{
	if (keeper->groups != NULL)
		(void)keeper->sys->munmap(keeper->groups, sizeof *keeper->groups);
	keeper->groups = NULL;
}

void
rota__keeper_leave(struct rota__keeper *keeper)
{
	close_pipe(keeper);
	unmap(keeper);
}

void
rota__keeper_end(struct rota__keeper *keeper)
{
	pid_t pid = keeper->child.pid;

	(void)rota_timer_start(keeper->ctx, &keeper->timer, ROTA_NEVER);
	rota_child_stop(keeper->ctx, &keeper->child);
	if (pid != 0)
		destroy(keeper, pid);
	close_pipe(keeper);
	unmap(keeper);
}

void
rota__keeper_close(struct rota__keeper *keeper)
{
	rota__keeper_end(keeper);
	rota_timer_stop(keeper->ctx, &keeper->timer);
}
