/* SPDX-License-Identifier: MIT */
/*
 * A process of a prefork as the master sees it: from before the fork until it was reaped. What its
 * end means is for prefork_slot.c to say.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "allocator.h"
#include "prefork.h"

static void
kill_it(struct rota__prefork_process *process, enum rota_prefork_cause cause)
{
	struct rota_prefork *prefork = process->prefork;

	process->cause = cause;
	/* It cannot be anybody else: nobody has reaped it. */
	(void)prefork->sys->kill(process->pid, SIGKILL);
}

/* It was not ready in time, or is still there. */
static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__prefork_process *process =
		rota_container_of(timer, struct rota__prefork_process, timer);

	(void)rota_timer_start(ctx, timer, ROTA_NEVER);
	kill_it(process,
		process->state == ROTA_PREFORK_DRAINING ? ROTA_PREFORK_UNDRAINED
							: ROTA_PREFORK_UNREADY);
	return 0;
}

/* Its pidfd tells of its end, not this: all that it can say is that it is ready. */
static int
on_control(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota__prefork_process *process =
		rota_container_of(target, struct rota__prefork_process, control);
	struct rota__prefork_message message;
	ssize_t n;

	(void)events;
	n = process->prefork->sys->recv(target->fd, &message, sizeof message, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		rota_target_stop(ctx, target);
		return 0;
	}
	if (n == (ssize_t)sizeof message && message.word == ROTA__PREFORK_IS_READY &&
		process->state == ROTA_PREFORK_STARTING) {
		process->state = ROTA_PREFORK_READY;
		process->was_ready = true;
		process->ready = rota_context_now(ctx);
		(void)rota_timer_start(ctx, &process->timer, ROTA_NEVER);
		rota__prefork_is_ready(process);
	}
	return 0;
}

static const struct rota_target_ops control_ops = { "prefork", on_control };

static int
on_ended(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	struct rota__prefork_process *process = userdata;
	const struct rota_sys_ops *sys = process->prefork->sys;
	struct rota_child_end copy = *end;

	(void)ctx;
	(void)child;
	/* Nobody would tell of its end any more: it has to come now. */
	if (end->error == -ENOMEM && sys->kill(end->pid, SIGKILL) == 0 &&
		sys->wait4(end->pid, &copy.status, 0, &copy.usage) == end->pid)
		copy.error = 0;
	rota__prefork_ended(process, &copy);
	return 0;
}

static void
send_message(struct rota__prefork_process *process, const struct rota__prefork_message *message)
{
	int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

	if (process->control.fd >= 0)
		(void)process->prefork->sys->send(process->control.fd, message, sizeof *message,
			flags);
}

void
rota__prefork_tell_tickets(struct rota__prefork_process *process)
{
	struct rota__prefork_message message = { .word = ROTA__PREFORK_TICKETS };

	for (size_t i = 0; i < sizeof message.keys; i++)
		message.keys[i] = process->prefork->keys[i];
	/* Who has so much to read that this finds no room gets the next ones. */
	send_message(process, &message);
	explicit_bzero(&message, sizeof message);
}

void
rota__prefork_tell_drain(struct rota__prefork_process *process, rota_time timeout, bool is_replaced)
{
	const struct rota__prefork_message message = {
		.word = ROTA__PREFORK_DRAIN,
		.is_replaced = is_replaced,
		.timeout = timeout,
	};
	struct rota_prefork *prefork = process->prefork;
	rota_time now = rota_context_now(prefork->ctx);
	rota_time until =
		rota__prefork_add(now, rota__prefork_add(timeout, prefork->options.kill_grace));

	if (process->state == ROTA_PREFORK_DRAINING) {
		if (until < rota_timer_due(prefork->ctx, &process->timer) &&
			process->cause != ROTA_PREFORK_UNDRAINED)
			(void)rota_timer_start_at(prefork->ctx, &process->timer, until);
		return;
	}
	process->state = ROTA_PREFORK_DRAINING;
	if (process->cause == ROTA_PREFORK_DIED)
		process->cause = ROTA_PREFORK_DRAINED;
	send_message(process, &message);
	/* The end alone says it too, should there be no room for the message. */
	(void)prefork->sys->shutdown(process->control.fd, SHUT_WR);
	(void)rota_timer_start_at(prefork->ctx, &process->timer, until);
}

/* Frees one that is not in any list, and has no child. */
static void
dispose(struct rota__prefork_process *process)
{
	struct rota_prefork *prefork = process->prefork;

	if (prefork->ctx != NULL) {
		rota_timer_stop(prefork->ctx, &process->timer);
		rota_target_stop(prefork->ctx, &process->control);
		rota_child_stop(prefork->ctx, &process->child);
	}
	if (process->control.fd >= 0)
		prefork->sys->close(process->control.fd);
	if (process->shared != NULL)
		(void)prefork->sys->munmap(process->shared, prefork->shared_size);
	rota__free(process);
}

void
rota__prefork_bury(struct rota__prefork_process *process)
{
	rota__list_remove(&process->link);
	rota__prefork_remember(process->prefork, process);
	dispose(process);
}

/* Waits for one that was killed. One that could not be is left to its own end. */
static void
kill_and_wait(const struct rota_sys_ops *sys, pid_t pid)
{
	int options = sys->kill(pid, SIGKILL) < 0 ? WNOHANG : 0;
	struct rusage usage;
	int status;
	pid_t r;

	do
		r = sys->wait4(pid, &status, options, &usage);
	while (r < 0 && errno == EINTR);
}

void
rota__prefork_destroy(struct rota__prefork_process *process)
{
	kill_and_wait(process->prefork->sys, process->pid);
	rota__prefork_bury(process);
}

/* What can fail, before there is a process. 0, with the end that it gets, or an error. */
static int
prepare(struct rota__prefork_process *process, int *ret_fd)
{
	struct rota_prefork *prefork = process->prefork;
	const struct rota_sys_ops *sys = prefork->sys;
	int pair[2];
	int r;

	process->shared = sys->mmap(prefork->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED);
	if (process->shared == NULL)
		return -ENOMEM;
	process->shared->loop = (struct rota_meter)ROTA_METER_INIT;
	if (sys->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_target_init(&process->control, &control_ops, pair[0]);
	r = rota_target_start(prefork->ctx, &process->control, ROTA_READABLE);
	if (r >= 0)
		r = rota_timer_start(prefork->ctx, &process->timer, prefork->options.start_timeout);
	if (r < 0)
		sys->close(pair[1]);
	else
		*ret_fd = pair[1];
	return r;
}

/* In the process this does not return. */
static int
start(struct rota__prefork_process *process)
{
	struct rota_prefork *prefork = process->prefork;
	int r;
	int fd = -1;

	r = prepare(process, &fd);
	if (r < 0)
		return r;
	process->pid = prefork->sys->fork();
	if (process->pid == 0)
		rota__prefork_live(prefork, process, fd);
	r = process->pid < 0 ? -errno : 0;
	prefork->sys->close(fd);
	if (r < 0)
		return r;
	r = rota_child_start(prefork->ctx, &process->child, process->pid, on_ended, process);
	if (r < 0)
		kill_and_wait(prefork->sys, process->pid);
	return r;
}

int
rota__prefork_fork(struct rota_prefork *prefork, unsigned index, unsigned generation,
	struct rota__prefork_process **ret_process)
{
	struct rota__prefork_process *process = rota__calloc(sizeof *process);
	int r;

	if (process == NULL)
		return -ENOMEM;
	process->prefork = prefork;
	process->index = index;
	process->generation = generation;
	process->state = ROTA_PREFORK_STARTING;
	process->cause = ROTA_PREFORK_DIED;
	process->born = rota_context_now(prefork->ctx);
	rota_target_init(&process->control, &control_ops, -1);
	rota_timer_init(&process->timer, on_due);
	r = start(process);
	if (r < 0) {
		dispose(process);
		return r;
	}
	rota__list_append(&prefork->processes, &process->link);
	*ret_process = process;
	return 0;
}
