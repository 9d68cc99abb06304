/* SPDX-License-Identifier: MIT */
/*
 * The end of child processes: a pidfd as a target, and wait4(2) of that one process.
 */
#include <rota/child.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "context.h"

/*
 * Kills those whom the process leaves behind, if it has ended. Otherwise it must not be waited for
 * now: the pidfd tells of one that is traced before its parent can, and it might be in between.
 */
static bool
kill_group(const struct rota_context *ctx, pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	int r;

	do
		r = ctx->sys->waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	while (r < 0 && errno == EINTR);
	if (r == 0 && info.si_pid == pid)
		(void)ctx->sys->kill(-pid, SIGKILL);
	return r < 0 || info.si_pid == pid;
}

static int
on_ended(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_child *child = rota_container_of(target, struct rota_child, target);
	struct rota_child_end end = { .pid = child->pid };
	pid_t r;

	if (child->leads_group && !kill_group(ctx, child->pid) && (events & ROTA_LOST) == 0)
		return 0;
	do
		r = ctx->sys->wait4(child->pid, &end.status, WNOHANG, &end.usage);
	while (r < 0 && errno == EINTR);
	if (r == 0 && (events & ROTA_LOST) == 0)
		return 0; /* not ended after all; the pidfd will tell */
	if (r == 0)
		end.error = -ENOMEM;
	if (r < 0)
		end.error = -errno;
	rota_child_stop(ctx, child);
	return child->handler(ctx, child, &end, child->userdata);
}

static const struct rota_target_ops child_ops = { .name = "child", .on_ready = on_ended };

int
rota_child_start(struct rota_context *ctx, struct rota_child *child, pid_t pid,
	rota_child_fn *handler, void *userdata)
{
	int fd;
	int r;

	if (handler == NULL)
		return -EINVAL;
	fd = ctx->sys->pidfd_open(pid, 0);
	if (fd < 0)
		return -errno;
	*child = (struct rota_child){ .pid = pid, .handler = handler, .userdata = userdata };
	rota_target_init(&child->target, &child_ops, fd);
	r = rota__target_start_socket(ctx, &child->target, ROTA_READABLE);
	if (r < 0) {
		ctx->sys->close(fd);
		child->pid = 0;
	}
	return r;
}

int
rota_child_start_group(struct rota_context *ctx, struct rota_child *child, pid_t pid,
	rota_child_fn *handler, void *userdata)
{
	int r = rota_child_start(ctx, child, pid, handler, userdata);

	if (r >= 0)
		child->leads_group = true;
	return r;
}

void
rota_child_stop(struct rota_context *ctx, struct rota_child *child)
{
	if (child->pid == 0)
		return;
	rota_target_stop(ctx, &child->target);
	ctx->sys->close(child->target.fd);
	child->target.fd = -1;
	child->pid = 0;
}

bool
rota__target_is_child(const struct rota_target *target)
{
	return target->ops == &child_ops;
}

void
rota__child_forget(struct rota_context *ctx, struct rota_target *target)
{
	rota_child_stop(ctx, rota_container_of(target, struct rota_child, target));
}
