/* SPDX-License-Identifier: MIT */
/*
 * pool_run.c - runs rota-pool: everything is opened, signals and what could be written lead to the
 * other parts, and everything is closed.
 */
#include "pool_work.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AHEAD_ORDERED 1000

/* Signals */

static void
drain(struct program *program)
{
	struct pool_work *work = rota_container_of(program, struct pool_work, program);
	struct rota_pool_counts counts;

	if (work->is_over)
		return;
	pool_work_stop(work, ROTA_NEVER);
	rota_pool_counts(work->pool, &counts);
	rota_pool_display_clear(work->display);
	fprintf(stderr,
		"%s: begins nothing more, %" PRIu64 " still run; a second signal ends them\n",
		POOL_NAME, counts.running);
}

/* A further signal. Nothing runs any more: then somebody does not read what was printed. */
static void
stop_faster(struct program *program)
{
	struct pool_work *work = rota_container_of(program, struct pool_work, program);

	if (work->is_over)
		program->held = false;
	else
		(void)rota_pool_stop(work->pool, 0, POOL_ASK, NULL, NULL);
}

/* Output */

static void
on_room(void *userdata)
{
	struct pool_work *work = userdata;

	if (work->is_over)
		pool_work_end(work);
	else
		pool_work_feed(work);
}

/* Before each wait, so that what several commands have printed goes out at once. */
static void
turn(struct program *program)
{
	struct pool_work *work = rota_container_of(program, struct pool_work, program);
	const size_t left = pool_output_left(&work->output);

	pool_output_flush(&work->output);
	if (left > 0 && pool_output_left(&work->output) == 0)
		on_room(work);
	/* Nobody reads, so there is nothing to go on for. */
	if (work->output.error < 0 && work->status != PROGRAM_FAILED) {
		pool_work_set_status(work, PROGRAM_FAILED);
		if (work->output.error != -EPIPE)
			pool_work_fail(work, "cannot write", work->output.error);
		pool_work_stop(work, 0);
		if (work->is_over)
			pool_work_end(work);
	}
}

/* The beginning */

static int
make_slots(struct pool_work *work)
{
	size_t i;

	work->ahead = (size_t)work->options->jobs;
	/* What is queued may have begun before its predecessor's failure is known. */
	if (!work->options->stops)
		work->ahead += work->ahead + (work->options->in_order ? AHEAD_ORDERED : 0);
	work->slots = calloc(work->ahead, sizeof(*work->slots));
	if (!work->slots)
		return -ENOMEM;
	for (i = work->ahead; i > 0; i--) {
		work->slots[i - 1].next = work->free;
		work->free = &work->slots[i - 1];
	}
	return 0;
}

static void
open_display(struct pool_work *work)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	const char *terminal = getenv("TERM");
	char reason[256];
	int r;

	setlocale(LC_CTYPE, "");
	options.name = POOL_NAME;
	options.plain = !terminal || strcmp(terminal, "dumb") == 0;
	options.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	options.total = pool_lines_count(work->lines.fd, work->options->separator);
	r = rota_pool_display_new(work->pool, &options, &work->display);
	/* Without it everything else goes on. */
	if (r < 0)
		fprintf(stderr, "%s: cannot show progress: %s\n", POOL_NAME,
			program_explain(r, reason, sizeof(reason)));
}

static int
open_pool(struct pool_work *work)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	int r;

	options.most_tasks = work->ahead;
	options.result_limit = work->options->most + POOL_TAIL + sizeof(struct pool_outcome);
	options.in_order = work->options->in_order;
	r = rota_pool_new(work->program.ctx, &options, &pool_work_handlers, work, &work->pool);
	return r < 0 ? r : pool_errors_open(work->pool, &work->display, &work->errors);
}

static int
open_all(struct pool_work *work, int fd)
{
	int r = make_slots(work);

	if (r == 0)
		r = pool_lines_open(&work->lines, work->program.ctx, fd, work->options->separator,
			pool_work_feed, work);
	if (r == 0)
		r = pool_output_open(&work->output, work->program.ctx, on_room, work);
	if (r == 0)
		r = open_pool(work);
	if (r == 0 && work->options->has_progress)
		open_display(work);
	return r;
}

static void
close_all(struct pool_work *work)
{
	rota_pool_display_free(work->display);
	if (work->pool)
		pool_errors_close(work->errors, work->pool);
	rota_pool_free(work->pool);
	pool_lines_close(&work->lines);
	pool_output_close(&work->output);
	free(work->slots);
	free(work->command.path);
}

/* Who waits for us is to see which signal it was, and that nobody reads. */
static void
end_by_signal(const struct pool_work *work)
{
	int number = work->program.signal;

	if (number == 0 && work->output.error == -EPIPE && !work->command.ignores_pipe)
		number = SIGPIPE;
	if (number != 0) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

static int
run_all(struct pool_work *work, int fd)
{
	char reason[256];
	int r;

	if (program_open(&work->program, POOL_NAME, drain) != 0)
		return PROGRAM_FAILED;
	work->program.held = true;
	work->program.again = stop_faster;
	work->program.turn = turn;
	r = open_all(work, fd);
	if (r < 0) {
		program_fail(&work->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
		pool_work_set_status(work, PROGRAM_FAILED);
	} else {
		pool_work_feed(work);
		if (program_run(&work->program) != 0)
			pool_work_set_status(work, PROGRAM_FAILED);
	}
	close_all(work);
	program_close(&work->program);
	pool_failures_tell(&work->failures);
	if (work->unrun > 0 && work->output.error != -EPIPE)
		fprintf(stderr, "%s: %" PRIu64 " %s not run\n", POOL_NAME, work->unrun,
			work->unrun == 1 ? "line that was read was" : "lines that were read were");
	end_by_signal(work);
	return work->status;
}

int
pool_run(struct pool_options *options)
{
	static struct pool_work work;
	char reason[256];
	int fd = STDIN_FILENO;
	int status;

	work.options = options;
	work.command = options->command;
	status = pool_command_find(&work.command);
	if (status != 0)
		return status;
	if (options->file)
		fd = open(options->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "%s: cannot read %s: %s\n", POOL_NAME, options->file,
			program_explain(errno, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	status = run_all(&work, fd);
	if (options->file)
		close(fd);
	return status;
}
