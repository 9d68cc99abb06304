/* SPDX-License-Identifier: MIT */
/*
 * How a worker's process ends. Its end is judged once it was reaped, when all that it has sent and
 * written was read, and what it had left to send was found: the task that it was at has ended with
 * it, or is tried again; the others in its line are queued again, as if it had never had them; and
 * its place gets another process, at once, after a while, or no more.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include <rota/errors.h>

#include "pool.h"

struct judgement {
	struct rota__pool_task *task; /* that it has begun and not ended; NULL: none */
	struct rota_pool_result result;
	bool is_again;
	uint64_t id; /* of one that is tried again, and which attempt this was */
	unsigned attempt;
	char text[ROTA__POOL_TEXT];
	char why[ROTA__POOL_TEXT + 64]; /* nobody is left for what is queued */
};

struct rota__respawn_rules
rota__pool_rules(const struct rota_pool_options *options)
{
	return (struct rota__respawn_rules){
		.first_backoff = options->first_backoff,
		.most_backoff = options->most_backoff,
		.crashes = options->crashes,
		.crash_time = options->crash_time,
	};
}

/* Whether there is something for a new process to do. */
static bool
is_needed(const struct rota__pool_worker *worker)
{
	const struct rota_pool *pool = worker->pool;

	if (pool->stage == ROTA_POOL_RUNS)
		return true;
	return pool->stage == ROTA_POOL_FINISHES &&
		(worker->kind->queued > 0 || !rota__list_is_empty(&worker->pinned));
}

/* What waits for it fails, and tells how the last one has died. */
static void
give_up(struct rota__pool_worker *worker, struct judgement *judgement)
{
	const struct rota_pool_result result = {
		.end = ROTA_POOL_FAILED,
		.error = -ECHILD,
		.text = judgement->why,
		.stderr_tail = worker->tail,
		.stderr_len = worker->tail_len,
	};

	snprintf(judgement->why, sizeof judgement->why, "no worker is left that could take it: %s",
		judgement->text);
	worker->state = ROTA_POOL_GIVEN_UP;
	worker->kind->places--;
	rota__pool_end_pinned(worker, &result);
	if (worker->kind->places == 0)
		rota__pool_end_queued(worker->pool, worker->kind, &result);
}

/* When the next one comes: after which time; ROTA_NEVER when none does. */
static rota_time
decide(struct rota__pool_worker *worker, bool is_crash, struct judgement *judgement)
{
	const struct rota_pool *pool = worker->pool;
	const struct rota__respawn_rules rules = rota__pool_rules(&pool->options);
	rota_time now = rota_context_now(pool->ctx);
	rota_time wait = 0;

	if (worker->was_ready && now - worker->ready >= pool->options.steady)
		rota__respawn_forgive(&worker->respawn);
	else if (is_crash && rota__respawn_is_enough(&worker->respawn, &rules, now)) {
		give_up(worker, judgement);
		return ROTA_NEVER;
	}
	if (is_crash)
		wait = rota__respawn_wait(&worker->respawn, &rules);
	worker->is_spare = !is_needed(worker);
	if (worker->is_spare)
		wait = ROTA_NEVER;
	(void)rota_timer_start(pool->ctx, &worker->timer, wait);
	return wait;
}

/* What others have left, who may be given up themselves, must not wait for nobody. */
void
rota__pool_fill_spares(struct rota_pool *pool)
{
	for (unsigned i = 0; i < pool->workers_count; i++) {
		struct rota__pool_worker *worker = pool->workers[i];

		if (!worker->is_spare || worker->state != ROTA_POOL_EMPTY || !is_needed(worker))
			continue;
		worker->is_spare = false;
		(void)rota_timer_start(pool->ctx, &worker->timer, 0);
	}
}

static const char *
reason_of(enum rota_pool_cause cause)
{
	switch (cause) {
	case ROTA_POOL_UNREADY:
		return ", as its init took too long";
	case ROTA_POOL_OVERDUE:
		return ", as its task took too long";
	case ROTA_POOL_CANCELLER:
		return ", as its task was cancelled";
	case ROTA_POOL_DEAF:
		return ", as it has closed its socket, or sent garbage";
	case ROTA_POOL_RETIRED:
		return ", as it was to retire";
	case ROTA_POOL_STOPPED:
		return ", as the pool stops";
	default:
		return "";
	}
}

static void
describe(const struct rota__pool_worker *worker, const struct rota_child_end *end, char *text,
	size_t size)
{
	char how[64];

	rota__pool_describe(end, how, sizeof how);
	snprintf(text, size, "worker %u (pid %d) %s%s", worker->index, (int)end->pid, how,
		reason_of(worker->cause));
}

/* The last that it has begun; NULL: none of its line. */
static struct rota__pool_task *
last_begun(const struct rota__pool_worker *worker)
{
	struct rota__pool_task *first = rota__pool_at(worker);
	unsigned count = worker->line_count - worker->unsent;
	uint64_t begun;

	/* A program does not say: then it has begun the first, and that alone. */
	if (worker->shared == NULL)
		return first;
	begun = atomic_load(&worker->shared->begun);
	for (struct rota_link *link = worker->line.next; count > 0; link = link->next, count--)
		if (rota__pool_task_of(link)->result.id == begun)
			return rota__pool_task_of(link);
	return NULL;
}

/* How the attempt has ended, and which ends of attempts are tried again. */
static enum rota_pool_end
end_of(const struct rota__pool_worker *worker, const struct rota__pool_task *task,
	unsigned *ret_retry)
{
	bool was_for_it = worker->condemned_for == task->result.id;

	*ret_retry = 0;
	if (was_for_it && worker->cause == ROTA_POOL_OVERDUE) {
		*ret_retry = ROTA_POOL_RETRY_TIMEOUT;
		return ROTA_POOL_TIMED_OUT;
	}
	if (task->is_cancelled || worker->cause == ROTA_POOL_STOPPED)
		return ROTA_POOL_CANCELLED;
	*ret_retry = ROTA_POOL_RETRY_DEATH;
	return task->result.attempts > 1 ? ROTA_POOL_POISON : ROTA_POOL_KILLED;
}

/* One that it had not begun. */
static void
queue_again(struct rota__pool_task *task)
{
	const struct rota_pool_result result = {
		.end = ROTA_POOL_CANCELLED,
		.text = "cancelled before a worker had begun it",
	};

	if (task->is_cancelled || task->pool->stage > ROTA_POOL_FINISHES)
		rota__pool_end_task(task, &result);
	else
		rota__pool_enqueue_again(task);
}

static struct rota__pool_task *
take_last(struct rota__pool_worker *worker)
{
	struct rota__pool_task *task = rota__pool_task_of(worker->line.previous);

	rota__list_remove(&task->link);
	worker->line_count--;
	worker->pool->counts.running--;
	return task;
}

/* The line is empty afterwards, and what it was at in the judgement. */
static void
judge_line(struct rota__pool_worker *worker, const struct rota_child_end *end,
	struct judgement *judgement)
{
	struct rota_pool_result *result = &judgement->result;
	struct rota__pool_task *begun = last_begun(worker);
	struct rota__pool_task *task;
	unsigned retry;

	while (worker->line_count > 0) {
		task = take_last(worker);
		if (task == begun)
			break;
		task->result.attempts--;
		queue_again(task);
	}
	worker->unsent = 0;
	if (begun == NULL)
		return;
	result->text = judgement->text;
	result->is_dead = true;
	result->status = end->status;
	result->usage = end->usage;
	result->stderr_tail = worker->tail;
	result->stderr_len = worker->tail_len;
	/* Those before it were done, and what came of them is lost: they are not done again. */
	while (worker->line_count > 0) {
		task = take_last(worker);
		result->end = end_of(worker, task, &retry);
		rota__pool_end_task(task, result);
	}
	result->end = end_of(worker, begun, &retry);
	judgement->task = begun;
	judgement->id = begun->result.id;
	judgement->attempt = begun->result.attempts;
	judgement->is_again = (begun->retry_on & retry) != 0 &&
		begun->result.attempts < begun->attempts &&
		worker->pool->stage <= ROTA_POOL_FINISHES;
	if (judgement->is_again)
		rota__pool_enqueue_again(begun);
}

static void
count_end(struct rota__pool_worker *worker, const struct rota_child_end *end)
{
	struct rota_pool *pool = worker->pool;

	pool->counts.deaths++;
	if (pool->stage == ROTA_POOL_RUNS)
		return;
	if (end->error == 0 && end->status == 0)
		pool->report.ended++;
	else if (pool->stage == ROTA_POOL_KILLS && end->status == SIGKILL)
		pool->report.killed++;
	else
		pool->report.failed++;
}

/* False when the pool was freed. */
static bool
tell_given_up(struct rota__pool_worker *worker)
{
	struct rota_pool *pool = worker->pool;
	char text[ROTA__POOL_TEXT];
	unsigned places = 0;

	if (pool->handlers->on_given_up == NULL)
		return true;
	for (unsigned i = 0; i < pool->workers_count; i++)
		places += pool->workers[i]->state != ROTA_POOL_GIVEN_UP;
	snprintf(text, sizeof text, "worker %u died %u times within %g s, and is given up",
		worker->index, pool->options.crashes,
		(double)pool->options.crash_time / ROTA_SECOND);
	rota__pool_hold(pool);
	pool->handlers->on_given_up(pool, worker->index, places, worker->kind->places, text,
		pool->userdata);
	return rota__pool_let_go(pool);
}

/* Tells of a death, and what comes of it. False when the pool was freed. */
static bool
tell(struct rota__pool_worker *worker, const struct rota_pool_death *death,
	struct judgement *judgement)
{
	struct rota_pool *pool = worker->pool;
	bool is_given_up = worker->state == ROTA_POOL_GIVEN_UP;

	if (judgement->task != NULL && !judgement->is_again)
		rota__pool_end_task(judgement->task, &judgement->result);
	if (!rota__pool_tell_died(pool, death))
		return false;
	if (judgement->is_again &&
		!rota__pool_tell_retried(pool, judgement->id, judgement->attempt, judgement->text))
		return false;
	if (!rota__pool_tell_ended(pool))
		return false;
	if (is_given_up && !tell_given_up(worker))
		return false;
	return rota__pool_feed_all(pool) && rota__pool_look_stopped(pool);
}

static void
judge(struct rota__pool_worker *worker, const struct rota_child_end *end)
{
	struct judgement judgement = { .task = NULL };
	struct rota_pool_worker seen;
	struct rota_pool_death death = {
		.worker = &seen,
		.cause = worker->cause,
		.end = end,
		.was_ready = worker->was_ready,
		.stderr_tail = worker->tail,
		.stderr_len = worker->tail_len,
		.text = judgement.text,
	};
	bool is_crash;

	rota__pool_see_worker(worker, &seen);
	describe(worker, end, judgement.text, sizeof judgement.text);
	judge_line(worker, end, &judgement);
	count_end(worker, end);
	rota__pool_close_process(worker);
	is_crash = judgement.task == NULL &&
		(worker->cause == ROTA_POOL_DIED || worker->cause == ROTA_POOL_DEAF ||
			worker->cause == ROTA_POOL_UNREADY);
	death.again = decide(worker, is_crash, &judgement);
	(void)tell(worker, &death, &judgement);
}

int
rota__pool_on_child(struct rota_context *ctx, struct rota_child *child,
	const struct rota_child_end *end, void *userdata)
{
	struct rota__pool_worker *worker = userdata;
	struct rota_pool *pool = worker->pool;
	struct rota_child_end copy = *end;

	(void)ctx;
	(void)child;
	rota__pool_hold(pool);
	/* Nobody would tell of its end any more: it has to come now. */
	if (end->error == -ENOMEM && pool->sys->kill(-end->pid, SIGKILL) == 0 &&
		pool->sys->wait4(end->pid, &copy.status, 0, &copy.usage) == end->pid)
		copy.error = 0;
	worker->is_reaped = true;
	rota__keeper_remove(&pool->keeper, worker->index);
	if (rota__pool_read(worker, true) && rota__pool_drain_stderr(worker, true)) {
		rota__pool_salvage(worker);
		/* What was found is told before its memory is given back. */
		if (!pool->is_freed && rota__pool_tell_ended(pool))
			judge(worker, &copy);
	}
	(void)rota__pool_let_go(pool);
	return 0;
}

/* There is no process, for want of something: tried again, however often. */
static void
tell_unstarted(struct rota__pool_worker *worker, int error)
{
	struct rota_pool *pool = worker->pool;
	const struct rota__respawn_rules rules = rota__pool_rules(&pool->options);
	const struct rota_child_end end = { .error = error };
	struct rota_pool_worker seen;
	char text[ROTA__POOL_TEXT];
	char reason[96];
	struct rota_pool_death death = {
		.worker = &seen,
		.cause = ROTA_POOL_UNSTARTED,
		.end = &end,
		.stderr_tail = "",
		.text = text,
	};

	death.again = rota__respawn_wait_unstarted(&worker->respawn, &rules);
	(void)rota_timer_start(pool->ctx, &worker->timer, death.again);
	rota__pool_see_worker(worker, &seen);
	snprintf(text, sizeof text, "worker %u could not be started: %s", worker->index,
		rota_strerror(error, reason, sizeof reason));
	(void)rota__pool_tell_died(pool, &death);
}

void
rota__pool_start_again(struct rota__pool_worker *worker)
{
	int r;

	worker->is_spare = !is_needed(worker);
	if (worker->is_spare)
		return;
	r = rota__pool_spawn(worker);
	if (r < 0)
		tell_unstarted(worker, r);
}
