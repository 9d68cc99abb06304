/* SPDX-License-Identifier: MIT */
/*
 * A worker's process as the master sees it, from when it runs until it has ended: how long it may
 * take, what it writes to standard error, and how it is told to end, or made to. All signals go to
 * its process group, which nobody else can have before it is reaped.
 */
#include "pool.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "allocator.h"

/* What is read of standard error at once; and how often of one that is dead. */
#define CHUNK 16384
#define LAST_CHUNKS 16

/*
 * To the group, and SIGKILL to the process as well, which may have left it; to the process alone
 * where it could not be made a group. Whether there is one.
 */
static bool
send_signal(const struct rota__pool_worker *worker, int number)
{
	const struct rota_sys_ops *sys = worker->pool->sys;

	if (worker->pid == 0 || worker->is_reaped)
		return false;
	if (sys->kill(-worker->pid, number) == 0 && number != SIGKILL)
		return true;
	return sys->kill(worker->pid, number) == 0;
}

/* No further task is begun, where the process knows of this. */
static void
forbid(struct rota__pool_worker *worker)
{
	if (worker->shared != NULL)
		atomic_store(&worker->shared->is_stopped, 1);
	worker->state = ROTA_POOL_ENDING;
	rota__pool_set_free(worker);
}

void
rota__pool_kill(struct rota__pool_worker *worker, enum rota_pool_cause cause)
{
	if (worker->pid == 0 || worker->is_reaped)
		return;
	if (worker->cause == ROTA_POOL_DIED)
		worker->cause = cause;
	forbid(worker);
	if (worker->pool->ctx != NULL)
		(void)rota_timer_start(worker->pool->ctx, &worker->timer, ROTA_NEVER);
	(void)send_signal(worker, SIGKILL);
}

void
rota__pool_condemn(struct rota__pool_worker *worker, enum rota_pool_cause cause)
{
	struct rota_pool *pool = worker->pool;

	if (worker->pid == 0 || worker->is_reaped || worker->is_condemned)
		return;
	worker->is_condemned = true;
	worker->cause = cause;
	worker->condemned_for =
		rota__pool_at(worker) != NULL ? rota__pool_at(worker)->result.id : 0;
	forbid(worker);
	(void)send_signal(worker, SIGTERM);
	/* One that is stopped has to go on to notice. */
	(void)send_signal(worker, SIGCONT);
	(void)rota_timer_start(pool->ctx, &worker->timer,
		cause == ROTA_POOL_STOPPED ? ROTA_NEVER : pool->options.kill_grace);
}

void
rota__pool_tell_end(struct rota__pool_worker *worker, enum rota_pool_cause cause)
{
	struct rota_pool *pool = worker->pool;

	if (worker->is_told || worker->pid == 0 || worker->is_reaped)
		return;
	worker->is_told = true;
	rota__pool_set_free(worker);
	if (worker->cause == ROTA_POOL_DIED)
		worker->cause = cause;
	(void)pool->sys->shutdown(worker->socket.fd, SHUT_WR);
	/* What has begun its init may take its time for that; one that retires is not to hang. */
	if (worker->state == ROTA_POOL_STARTING)
		return;
	worker->state = ROTA_POOL_ENDING;
	if (cause == ROTA_POOL_RETIRED)
		(void)rota_timer_start(pool->ctx, &worker->timer, pool->options.start_timeout);
}

void
rota__pool_expect_end(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;

	if (worker->state == ROTA_POOL_ENDING)
		return;
	forbid(worker);
	(void)rota_timer_start(pool->ctx, &worker->timer, pool->options.kill_grace);
}

void
rota__pool_look_cancelled(struct rota__pool_worker *worker)
{
	const struct rota__pool_task *task = rota__pool_at(worker);

	if (task != NULL && task->is_cancelled && worker->state == ROTA_POOL_BUSY)
		rota__pool_condemn(worker, ROTA_POOL_CANCELLER);
}

void
rota__pool_cancel_at(struct rota__pool_worker *worker, const struct rota__pool_task *task)
{
	rota__pool_look_cancelled(worker);
	if (worker->shared == NULL || worker->state != ROTA_POOL_BUSY)
		return;
	/* What it has done before may be gathered still: it is at a later one than is known. */
	atomic_store(&worker->shared->is_hurried, 1);
	if (atomic_load(&worker->shared->begun) == task->result.id)
		rota__pool_condemn(worker, ROTA_POOL_CANCELLER);
}

void
rota__pool_began(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	struct rota__pool_task *task = rota__pool_at(worker);

	if (worker->state != ROTA_POOL_BUSY && worker->state != ROTA_POOL_IDLE)
		return;
	if (task != NULL && task->deadline != ROTA_NEVER) {
		(void)rota_timer_start(pool->ctx, &worker->timer, task->deadline);
		worker->is_timed = true;
	} else if (worker->is_timed) {
		(void)rota_timer_start(pool->ctx, &worker->timer, ROTA_NEVER);
		worker->is_timed = false;
	}
	rota__pool_look_cancelled(worker);
	/* Only what it has done counts: then it has nothing left to do. */
	if (worker->line_count == 0 && pool->options.tasks_per_worker != 0 &&
		worker->given >= pool->options.tasks_per_worker)
		rota__pool_tell_end(worker, ROTA_POOL_RETIRED);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota__pool_worker *worker =
		rota_container_of(timer, struct rota__pool_worker, timer);

	(void)rota_timer_start(ctx, timer, ROTA_NEVER);
	switch (worker->state) {
	case ROTA_POOL_EMPTY:
		rota__pool_start_again(worker);
		break;
	case ROTA_POOL_STARTING:
		rota__pool_kill(worker, ROTA_POOL_UNREADY);
		break;
	case ROTA_POOL_BUSY:
		rota__pool_condemn(worker, ROTA_POOL_OVERDUE);
		break;
	case ROTA_POOL_ENDING:
		rota__pool_kill(worker, ROTA_POOL_DEAF);
		break;
	default:
		break;
	}
	return 0;
}

void
rota__pool_worker_init(struct rota__pool_worker *worker)
{
	rota__list_init(&worker->pinned);
	rota__list_init(&worker->line);
	rota_timer_init(&worker->timer, on_due);
	worker->socket.fd = worker->errors.fd = -1;
	worker->state = ROTA_POOL_EMPTY;
}

/* Standard error */

static void
keep_tail(struct rota__pool_worker *worker, const char *bytes, size_t len)
{
	size_t most = worker->pool->options.stderr_tail;

	if (len > most) {
		bytes += len - most;
		len = most;
	}
	if (worker->tail_len + len > most) {
		size_t kept = most - len;

		memmove(worker->tail, worker->tail + worker->tail_len - kept, kept);
		worker->tail_len = kept;
	}
	memcpy(worker->tail + worker->tail_len, bytes, len);
	worker->tail_len += len;
	worker->tail[worker->tail_len] = '\0';
}

/* 1; 0 when there is nothing for now, or any more; -ECANCELED when the pool was freed. */
static int
read_chunk(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	char bytes[CHUNK];
	ssize_t n = pool->sys->read(worker->errors.fd, bytes, sizeof bytes);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		rota_target_stop(pool->ctx, &worker->errors);
		return 0;
	}
	keep_tail(worker, bytes, (size_t)n);
	if (pool->options.pass_stderr)
		(void)pool->sys->write(STDERR_FILENO, bytes, (size_t)n);
	if (pool->watchers_count > 0 && !rota__pool_tell_stderr(worker, bytes, (size_t)n))
		return -ECANCELED;
	return 1;
}

bool
rota__pool_drain_stderr(struct rota__pool_worker *worker, bool to_the_end)
{
	int most = to_the_end ? LAST_CHUNKS : 4;
	int r = 1;

	for (int i = 0; i < most && r > 0; i++)
		r = read_chunk(worker);
	return r >= 0;
}

static int
on_errors(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota__pool_worker *worker =
		rota_container_of(target, struct rota__pool_worker, errors);
	struct rota_pool *pool = worker->pool;

	(void)ctx;
	(void)events;
	rota__pool_hold(pool);
	(void)rota__pool_drain_stderr(worker, false);
	(void)rota__pool_let_go(pool);
	return 0;
}

const struct rota_target_ops rota__pool_errors_ops = { "pool", on_errors };

/* The end */

static void
close_target(struct rota_pool *pool, struct rota_target *target)
{
	if (pool->ctx != NULL)
		rota_target_stop(pool->ctx, target);
	if (target->fd >= 0)
		pool->sys->close(target->fd);
	target->fd = -1;
}

void
rota__pool_close_process(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;

	close_target(pool, &worker->socket);
	close_target(pool, &worker->errors);
	if (pool->ctx != NULL)
		rota_child_stop(pool->ctx, &worker->child);
	if (worker->shared != NULL)
		(void)pool->sys->munmap(worker->shared, sizeof *worker->shared);
	worker->shared = NULL;
	pool->alive -= worker->pid != 0;
	worker->pid = 0;
	worker->state = ROTA_POOL_EMPTY;
	rota__pool_set_free(worker);
}

void
rota__pool_destroy_process(struct rota__pool_worker *worker)
{
	const struct rota_sys_ops *sys = worker->pool->sys;
	struct rusage usage;
	int status;
	pid_t r = 0;

	if (worker->pid != 0 && !worker->is_reaped) {
		int options = send_signal(worker, SIGKILL) ? 0 : WNOHANG;

		do
			r = sys->wait4(worker->pid, &status, options, &usage);
		while (r < 0 && errno == EINTR);
	}
	worker->is_reaped = true;
	rota__keeper_remove(&worker->pool->keeper, worker->index);
	rota__pool_close_process(worker);
}
