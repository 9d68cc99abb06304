/* SPDX-License-Identifier: MIT */
/*
 * pool_run.c - rota-pool at work: lines become tasks as there is room for them, results become
 * output, and it stops in stages. As many lines are read ahead as there are workers, or a thousand
 * more when results have to wait for those before them.
 */
#include "pool_run.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define AHEAD_ORDERED 1000
/* No more lines become tasks while so much is to be written. */
#define OUTPUT_MOST ((size_t)1 << 20)
/* From SIGTERM to SIGKILL. */
#define ASK (5 * ROTA_SECOND)
/* Of a line, to tell which one has failed. */
#define SHOWN 208

/* A line that is in the pool. */
struct slot {
	struct slot *next; /* free ones */
	uint64_t number;
	uint64_t id; /* of its task, or 0 */
	char line[SHOWN];
};

struct run {
	struct program program;
	const struct pool_options *options;
	struct pool_command command;
	struct rota_pool *pool;
	struct rota_pool_display *display;
	struct pool_errors *errors;
	struct pool_lines lines;
	struct pool_output output;
	struct pool_failures failures;
	struct slot *slots, *free;
	size_t ahead; /* slots */
	size_t in_flight;
	uint64_t workers;
	struct pool_line line; /* that is not a task yet */
	bool has_line;
	bool is_feeding;
	bool is_stopping;
	bool is_over;   /* no task is left, nor will be */
	uint64_t unrun; /* lines that were read and not run */
	int status;     /* what it is to exit with */
	uint64_t tasks; /* that were submitted */
	bool has_total;
};

/* The end */

static void
end_when_written(struct run *run)
{
	pool_output_flush(&run->output);
	if (!run->is_over || pool_output_left(&run->output) > 0)
		return;
	run->program.held = false;
	program_drain(&run->program);
}

static void
on_stopped(struct rota_pool *pool, const struct rota_pool_report *report, void *userdata)
{
	struct run *run = userdata;

	(void)pool;
	(void)report;
	run->is_over = true;
	end_when_written(run);
}

static bool
is_running(const struct run *run, uint64_t id)
{
	struct rota_pool_worker worker;
	unsigned i;

	for (i = 0; i < run->workers; i++) {
		if (rota_pool_worker(run->pool, i, &worker) == 0 && worker.task == id)
			return true;
	}
	return false;
}

/* Begins nothing any more. finish: how long what runs may take. */
static void
stop(struct run *run, rota_time finish)
{
	size_t i;

	if (run->is_stopping)
		return;
	run->is_stopping = true;
	pool_lines_close(&run->lines);
	if (run->has_line)
		run->unrun++;
	run->has_line = false;
	for (i = 0; i < run->ahead; i++) {
		uint64_t id = run->slots[i].id;

		if (id != 0 && !is_running(run, id))
			(void)rota_pool_cancel(run->pool, id);
	}
	(void)rota_pool_stop(run->pool, finish, ASK, on_stopped, run);
}

static void
drain(struct program *program)
{
	struct run *run = rota_container_of(program, struct run, program);
	struct rota_pool_counts counts;

	if (run->is_over)
		return;
	stop(run, ROTA_NEVER);
	rota_pool_counts(run->pool, &counts);
	rota_pool_display_clear(run->display);
	fprintf(stderr,
		"%s: begins nothing more, %" PRIu64 " still run; a second signal ends them\n",
		POOL_NAME, counts.running);
}

/* A further signal. Nothing runs any more: then somebody does not read what was printed. */
static void
stop_faster(struct program *program)
{
	struct run *run = rota_container_of(program, struct run, program);

	if (run->is_over)
		program->held = false;
	else
		(void)rota_pool_stop(run->pool, 0, ASK, NULL, NULL);
}

/* Failures */

static void
set_status(struct run *run, int status)
{
	if (run->status == 0 || run->status == POOL_FAILED)
		run->status = status;
}

static void
fail_line(struct run *run, uint64_t number, const char *line, const char *text, const void *tail,
	size_t tail_len)
{
	pool_failures_add(&run->failures, number, line, text, tail, tail_len);
	set_status(run, POOL_FAILED);
	if (run->options->stops)
		stop(run, ROTA_NEVER);
}

/* What went wrong is not a command's affair. */
static void
fail(struct run *run, const char *what, int error)
{
	char reason[256];

	rota_pool_display_clear(run->display);
	program_fail(&run->program, "%s: %s", what, program_explain(error, reason, sizeof(reason)));
	set_status(run, PROGRAM_FAILED);
	stop(run, ROTA_NEVER);
}

/* Lines */

/* A worker more, as long as there are fewer than tasks for them. */
static bool
add_worker(struct run *run)
{
	int r;

	if (run->workers >= run->options->jobs || run->in_flight < run->workers)
		return true;
	r = rota_pool_add_worker(run->pool, pool_command_kind(&run->command), NULL, 0, NULL);
	if (r == 0)
		run->workers++;
	if (run->workers == 0)
		fail(run, "cannot start a process", r);
	return run->workers > 0;
}

static void
keep_line(struct slot *slot, const struct pool_line *line)
{
	size_t len = line->len < SHOWN - 1 ? line->len : SHOWN - 1;

	memcpy(slot->line, line->bytes, len);
	slot->line[len] = '\0';
	slot->number = line->number;
}

/* What no argument can be, fails without being run. */
static const char *
refusal(const struct run *run, const struct pool_line *line)
{
	if (line->is_too_long)
		return "it is too long for an argument";
	if (run->lines.separator != '\0' && memchr(line->bytes, '\0', line->len))
		return "it has a NUL in it";
	return NULL;
}

static void
refuse(struct run *run, const char *why)
{
	struct slot slot;

	keep_line(&slot, &run->line);
	run->has_line = false;
	fail_line(run, slot.number, slot.line, why, NULL, 0);
}

/* Whether the next one may follow. */
static bool
submit(struct run *run)
{
	struct rota_pool_task_options options = ROTA_POOL_TASK_OPTIONS_INIT;
	struct slot *slot = run->free;
	int r;

	if (!add_worker(run))
		return false;
	if (run->options->timeout > 0)
		options.deadline = run->options->timeout;
	options.attempts = run->command.attempts;
	options.retry_on =
		ROTA_POOL_RETRY_DEATH | ROTA_POOL_RETRY_FAILURE | ROTA_POOL_RETRY_TIMEOUT;
	options.userdata = slot;
	r = rota_pool_submit(run->pool, run->line.bytes, run->line.len, &options, &slot->id);
	/* on_drain comes. */
	if (r == -ROTA_EFULL)
		return false;
	if (r < 0) {
		fail(run, "cannot run more commands", r);
		return false;
	}
	keep_line(slot, &run->line);
	run->free = slot->next;
	run->has_line = false;
	run->in_flight++;
	run->tasks++;
	return true;
}

static bool
has_room(const struct run *run)
{
	return !run->is_stopping && run->free && pool_output_left(&run->output) < OUTPUT_MOST;
}

static void
see_end(struct run *run)
{
	if (run->is_stopping || !run->lines.has_ended || run->has_line)
		return;
	if (run->lines.error < 0) {
		fail(run, "cannot read", run->lines.error);
		return;
	}
	if (!run->has_total && run->display)
		rota_pool_display_set_total(run->display, run->tasks);
	run->has_total = true;
	if (run->in_flight > 0)
		return;
	run->is_over = true;
	end_when_written(run);
}

static void
feed(void *userdata)
{
	struct run *run = userdata;
	bool goes_on = true;

	/* A line that is refused may end everything, which looks for more to do. */
	if (run->is_feeding || run->is_over)
		return;
	run->is_feeding = true;
	while (goes_on && has_room(run)) {
		const char *why;

		if (!run->has_line && !pool_lines_next(&run->lines, &run->line))
			break;
		run->has_line = true;
		why = refusal(run, &run->line);
		if (why)
			refuse(run, why);
		else
			goes_on = submit(run);
	}
	run->is_feeding = false;
	see_end(run);
}

/* Results */

static void
describe(char *text, size_t size, int status)
{
	if (WIFEXITED(status))
		snprintf(text, size, "exit status %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "killed by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
}

/* A program that cannot be run for any line is not tried for all of them. */
static void
fail_to_run(struct run *run, const struct slot *slot, int error)
{
	char reason[128];
	char text[160];

	snprintf(text, sizeof(text), "cannot run it: %s",
		rota_strerror(-error, reason, sizeof(reason)));
	fail_line(run, slot->number, slot->line, text, NULL, 0);
	if (!run->command.path || error == E2BIG || error == ENOMEM || error == EAGAIN)
		return;
	set_status(run, error == ENOENT ? POOL_NOT_FOUND : POOL_UNRUNNABLE);
	stop(run, ROTA_NEVER);
}

static void
take_reply(struct run *run, const struct slot *slot, const struct rota_pool_result *result)
{
	struct pool_outcome outcome;
	char text[128];
	size_t out;

	if (!pool_outcome_read(result->bytes, result->len, &outcome, &out)) {
		fail_line(run, slot->number, slot->line, "its worker has not told its end", NULL,
			0);
		return;
	}
	if (out > 0 && run->display && isatty(STDOUT_FILENO))
		rota_pool_display_clear(run->display);
	if (pool_output_put(&run->output, result->bytes, out) < 0)
		fail(run, "cannot keep what a command has printed", -ENOMEM);
	if (outcome.error != 0) {
		fail_to_run(run, slot, outcome.error);
	} else if (outcome.status != 0) {
		describe(text, sizeof(text), outcome.status);
		fail_line(run, slot->number, slot->line, text, (const char *)result->bytes + out,
			outcome.tail);
	}
}

static void
take_failure(struct run *run, const struct slot *slot, const struct rota_pool_result *result)
{
	char text[64];

	if (result->end == ROTA_POOL_CANCELLED && result->attempts == 0) {
		run->unrun++;
		return;
	}
	/* Whom nobody reads need not be told that it was ended for that. */
	if (result->end == ROTA_POOL_CANCELLED && run->output.error == -EPIPE)
		return;
	snprintf(text, sizeof(text), "it took longer than %g s",
		(double)run->options->timeout / (double)ROTA_SECOND);
	fail_line(run, slot->number, slot->line,
		result->end == ROTA_POOL_TIMED_OUT ? text : result->text, result->stderr_tail,
		result->stderr_len);
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct run *run = userdata;
	struct slot *slot = result->userdata;

	(void)pool;
	if (result->end == ROTA_POOL_DONE)
		take_reply(run, slot, result);
	else
		take_failure(run, slot, result);
	slot->id = 0;
	slot->next = run->free;
	run->free = slot;
	run->in_flight--;
	feed(run);
}

static void
on_drain(struct rota_pool *pool, void *userdata)
{
	(void)pool;
	feed(userdata);
}

static void
on_given_up(struct rota_pool *pool, unsigned index, unsigned places, unsigned left,
	const char *text, void *userdata)
{
	struct run *run = userdata;

	(void)pool;
	(void)index;
	(void)places;
	rota_pool_display_clear(run->display);
	program_fail(&run->program, "%s", text);
	set_status(run, PROGRAM_FAILED);
	if (left == 0)
		stop(run, ROTA_NEVER);
}

static const struct rota_pool_handlers handlers = { on_result, on_drain, on_given_up };

/* Output */

static void
on_room(void *userdata)
{
	struct run *run = userdata;

	if (run->is_over)
		end_when_written(run);
	else
		feed(run);
}

/* Before each wait, so that what several commands have printed goes out at once. */
static void
turn(struct program *program)
{
	struct run *run = rota_container_of(program, struct run, program);
	const size_t left = pool_output_left(&run->output);

	pool_output_flush(&run->output);
	if (left > 0 && pool_output_left(&run->output) == 0)
		on_room(run);
	/* Nobody reads, so there is nothing to go on for. */
	if (run->output.error < 0 && run->status != PROGRAM_FAILED) {
		set_status(run, PROGRAM_FAILED);
		if (run->output.error != -EPIPE)
			fail(run, "cannot write", run->output.error);
		stop(run, 0);
		if (run->is_over)
			end_when_written(run);
	}
}

/* The beginning */

static int
make_slots(struct run *run)
{
	size_t i;

	run->ahead = (size_t)run->options->jobs;
	/* What is queued may have begun before its predecessor's failure is known. */
	if (!run->options->stops)
		run->ahead += run->ahead + (run->options->in_order ? AHEAD_ORDERED : 0);
	run->slots = calloc(run->ahead, sizeof(*run->slots));
	if (!run->slots)
		return -ENOMEM;
	for (i = run->ahead; i > 0; i--) {
		run->slots[i - 1].next = run->free;
		run->free = &run->slots[i - 1];
	}
	return 0;
}

static void
open_display(struct run *run)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	const char *terminal = getenv("TERM");
	char reason[256];
	int r;

	setlocale(LC_CTYPE, "");
	options.name = POOL_NAME;
	options.plain = !terminal || strcmp(terminal, "dumb") == 0;
	options.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	options.total = pool_lines_count(run->lines.fd, run->options->separator);
	r = rota_pool_display_new(run->pool, &options, &run->display);
	/* Without it everything else goes on. */
	if (r < 0)
		fprintf(stderr, "%s: cannot show progress: %s\n", POOL_NAME,
			program_explain(r, reason, sizeof(reason)));
}

static int
open_pool(struct run *run)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	int r;

	options.most_tasks = run->ahead;
	options.result_limit = run->options->most + POOL_TAIL + sizeof(struct pool_outcome);
	options.in_order = run->options->in_order;
	r = rota_pool_new(run->program.ctx, &options, &handlers, run, &run->pool);
	return r < 0 ? r : pool_errors_open(run->pool, &run->display, &run->errors);
}

static int
open_all(struct run *run, int fd)
{
	int r = make_slots(run);

	if (r == 0)
		r = pool_lines_open(&run->lines, run->program.ctx, fd, run->options->separator,
			feed, run);
	if (r == 0)
		r = pool_output_open(&run->output, run->program.ctx, on_room, run);
	if (r == 0)
		r = open_pool(run);
	if (r == 0 && run->options->has_progress)
		open_display(run);
	return r;
}

static void
close_all(struct run *run)
{
	rota_pool_display_free(run->display);
	if (run->pool)
		pool_errors_close(run->errors, run->pool);
	rota_pool_free(run->pool);
	pool_lines_close(&run->lines);
	pool_output_close(&run->output);
	free(run->slots);
	free(run->command.path);
}

/* Who waits for us is to see which signal it was, and that nobody reads. */
static void
end_by_signal(const struct run *run)
{
	int number = run->program.signal;

	if (number == 0 && run->output.error == -EPIPE && !run->command.ignores_pipe)
		number = SIGPIPE;
	if (number != 0) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

static int
run_all(struct run *run, int fd)
{
	char reason[256];
	int r;

	if (program_open(&run->program, POOL_NAME, drain) != 0)
		return PROGRAM_FAILED;
	run->program.held = true;
	run->program.again = stop_faster;
	run->program.turn = turn;
	r = open_all(run, fd);
	if (r < 0) {
		program_fail(&run->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
		set_status(run, PROGRAM_FAILED);
	} else {
		feed(run);
		if (program_run(&run->program) != 0)
			set_status(run, PROGRAM_FAILED);
	}
	close_all(run);
	program_close(&run->program);
	pool_failures_tell(&run->failures);
	if (run->unrun > 0 && run->output.error != -EPIPE)
		fprintf(stderr, "%s: %" PRIu64 " lines that were read were not run\n", POOL_NAME,
			run->unrun);
	end_by_signal(run);
	return run->status;
}

int
pool_run(struct pool_options *options)
{
	static struct run run;
	char reason[256];
	int fd = STDIN_FILENO;
	int status;

	run.options = options;
	run.command = options->command;
	status = pool_command_find(&run.command);
	if (status != 0)
		return status;
	if (options->file)
		fd = open(options->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "%s: cannot read %s: %s\n", POOL_NAME, options->file,
			program_explain(errno, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	status = run_all(&run, fd);
	if (options->file)
		close(fd);
	return status;
}
