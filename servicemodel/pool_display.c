/* SPDX-License-Identifier: MIT */
/*
 * The display of a pool: a monitor that keeps what there is to show, a timer, and a descriptor.
 *
 * To write to a terminal without blocking it has to be open without blocking, and that belongs to
 * the open file, which the program shares with its shell; so it is opened anew. A frame that was
 * written in part is written to its end before there is another, since it may have been cut within
 * what moves the cursor.
 */
#include "pool_display.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <rota/context.h>
#include <rota/pool.h>
#include <rota/timer.h>

#include "allocator.h"
#include "pool_load.h"
#include "pool_text.h"
#include "sys.h"

#define COLUMNS 80
#define LINES 24
#define NAME_MOST 64
/* "/proc/self/fd/" and a number */
#define PATH_SIZE 32

struct rota_pool_display {
	struct rota_pool *pool;
	struct rota_context *ctx;
	const struct rota_sys_ops *sys;
	struct rota_pool_display_options options;
	char name[NAME_MOST + 1];
	int fd;
	bool is_own;    /* it was opened anew */
	bool is_socket; /* it was not, and need not block */
	bool is_plain;
	struct rota_timer timer;
	rota_time drawn_at;
	unsigned drawn;   /* lines that are there */
	uint64_t failed;  /* of those done, as the program says */
	uint64_t changes; /* that were seen */
	uint64_t shown;   /* of these */
	struct rota__pool_view view;
	size_t used; /* of the frame, of which so much was written */
	size_t written;
	char frame[ROTA__POOL_FRAME];
};

/* Writing */

static ssize_t
put(struct rota_pool_display *display, const char *bytes, size_t len)
{
	if (display->is_socket)
		return display->sys->send(display->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return display->sys->write(display->fd, bytes, len);
}

/* Whether what there is to write was written. What will never be is given up. */
static bool
flush(struct rota_pool_display *display)
{
	while (display->written < display->used) {
		ssize_t n = put(display, display->frame + display->written,
			display->used - display->written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			break;
		display->written += (size_t)n;
	}
	display->used = 0;
	display->written = 0;
	return true;
}

/* A plain line, whole or not at all: into a pipe the kernel takes it whole. */
static void
put_line(struct rota_pool_display *display, const char *text)
{
	char fitted[ROTA__POOL_LINE];
	char line[sizeof fitted + NAME_MOST + 8];
	int len;

	rota__pool_text_fit(fitted, sizeof fitted, sizeof fitted, text, strlen(text),
		display->options.ascii);
	len = snprintf(line, sizeof line, "%s%s%s\n", display->name,
		display->name[0] != '\0' ? ": " : "", fitted);
	if (flush(display) && len > 0) {
		memcpy(display->frame, line, (size_t)len);
		display->used = (size_t)len;
		(void)flush(display);
	}
}

/* What there is to show */

static void
ask_size(struct rota_pool_display *display)
{
	struct rota__pool_view *view = &display->view;
	struct winsize size = { 0 };

	view->columns = COLUMNS;
	view->lines = LINES;
	if (display->sys->ioctl(display->fd, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col > 0)
		view->columns = size.ws_col;
	if (size.ws_row > 0)
		view->lines = size.ws_row;
}

/* A task that a worker is at begins when it is first seen there. */
static void
see_worker(struct rota_pool_display *display, struct rota__pool_row *row,
	const struct rota_pool_worker *worker)
{
	row->state = worker->state;
	row->pid = worker->pid;
	row->tasks = worker->tasks;
	if (worker->task == row->task)
		return;
	row->task = worker->task;
	row->since = rota_context_now(display->ctx);
	row->done = 0;
	row->total = 0;
	row->note[0] = '\0';
}

static void
see_failed(struct rota_pool_display *display)
{
	uint64_t *ends = display->view.load.ends;
	uint64_t failed = display->failed;

	if (failed > ends[ROTA_POOL_DONE])
		failed = ends[ROTA_POOL_DONE];
	ends[ROTA_POOL_DONE] -= failed;
	ends[ROTA_POOL_FAILED] += failed;
}

static void
see_all(struct rota_pool_display *display)
{
	struct rota__pool_view *view = &display->view;
	struct rota_pool_counts counts;
	struct rota_pool_worker worker;

	rota_pool_counts(display->pool, &counts);
	view->load.places = rota_pool_workers(display->pool);
	rota__pool_load_update(&view->load, &counts);
	see_failed(display);
	view->row_count = view->load.places < display->options.rows ? view->load.places
								    : display->options.rows;
	for (unsigned i = 0; i < view->row_count; i++) {
		if (rota_pool_worker(display->pool, i, &worker) == 0)
			see_worker(display, &view->rows[i], &worker);
	}
	view->now = rota_context_now(display->ctx);
	view->total = display->options.total;
	rota__pool_view_sample(view);
}

static void
draw(struct rota_pool_display *display)
{
	struct rota__pool_view *view = &display->view;
	char line[ROTA__POOL_LINE];
	struct rota__text text = rota__text_begin(line, sizeof line);

	/* A frame that the terminal has not taken yet is not followed by another. */
	if (!flush(display))
		return;
	see_all(display);
	display->drawn_at = view->now;
	display->shown = display->changes;
	if (display->is_plain) {
		rota__pool_view_summary(view, &text);
		put_line(display, line);
		return;
	}
	ask_size(display);
	display->used = rota__pool_view_draw(view, display->drawn, display->frame, &display->drawn);
	(void)flush(display);
}

static bool
is_busy(const struct rota_pool_display *display)
{
	struct rota_pool_counts counts;

	rota_pool_counts(display->pool, &counts);
	return counts.running + counts.queued > 0;
}

static rota_time
interval(const struct rota_pool_display *display)
{
	return display->is_plain ? display->options.plain_interval : display->options.interval;
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_pool_display *display =
		rota_container_of(timer, struct rota_pool_display, timer);

	draw(display);
	/* Without tasks it stands still until the next event; with them its times go on. */
	if (is_busy(display) || display->used > 0)
		(void)rota_timer_start(ctx, timer, interval(display));
	return 0;
}

/* There is something new: it is shown as soon as it may be. */
static void
change(struct rota_pool_display *display)
{
	display->changes++;
	if (rota_timer_is_running(&display->timer))
		return;
	/* Without memory for the timer this change is shown with the next one. */
	(void)rota_timer_start_at(display->ctx, &display->timer,
		display->drawn_at + interval(display));
}

/* The monitor */

static struct rota__pool_row *
row_of(struct rota_pool_display *display, unsigned index)
{
	return index < display->options.rows ? &display->view.rows[index] : NULL;
}

static void
on_worker(struct rota_pool *pool, const struct rota_pool_worker *worker, void *userdata)
{
	(void)pool;
	(void)worker;
	change(userdata);
}

/* A process that was told to end is none that was lost. */
static void
on_died(struct rota_pool *pool, const struct rota_pool_death *death, void *userdata)
{
	struct rota_pool_display *display = userdata;
	struct rota__pool_row *row = row_of(display, death->worker->index);
	struct rota_pool_load *load = &display->view.load;

	if (!rota__pool_load_death(load, death)) {
		change(display);
		return;
	}
	if (death->again == ROTA_NEVER && rota_pool_stage(pool) == ROTA_POOL_RUNS)
		load->given_up++;
	if (row != NULL)
		snprintf(row->lost, sizeof row->lost, "%s", death->text);
	if (display->is_plain)
		put_line(display, death->text);
	change(display);
}

static void
on_task(struct rota_pool *pool, uint64_t id, void *userdata)
{
	(void)pool;
	(void)id;
	change(userdata);
}

/* Peaks are reached between frames. */
static void
on_attached(struct rota_pool *pool, uint64_t id, unsigned attempt,
	const struct rota_pool_worker *worker, void *userdata)
{
	struct rota_pool_display *display = userdata;
	struct rota__pool_row *row = row_of(display, worker->index);
	struct rota_pool_counts counts;

	(void)id;
	(void)attempt;
	rota_pool_counts(pool, &counts);
	rota__pool_load_update(&display->view.load, &counts);
	if (row != NULL)
		see_worker(display, row, worker);
	change(display);
}

static struct rota__pool_row *
row_with(struct rota_pool_display *display, uint64_t task)
{
	for (unsigned i = 0; i < display->view.row_count; i++) {
		if (display->view.rows[i].task == task)
			return &display->view.rows[i];
	}
	return NULL;
}

static void
on_progress(struct rota_pool *pool, uint64_t id, uint64_t done, uint64_t total, const char *note,
	void *userdata)
{
	struct rota_pool_display *display = userdata;
	struct rota__pool_row *row = row_with(display, id);

	(void)pool;
	/* Its worker may have been given several, and have come to this one since. */
	if (row == NULL) {
		see_all(display);
		row = row_with(display, id);
	}
	if (row != NULL) {
		row->done = done;
		row->total = total;
		snprintf(row->note, sizeof row->note, "%s", note);
	}
	change(display);
}

static void
on_retried(struct rota_pool *pool, uint64_t id, unsigned attempt, const char *text, void *userdata)
{
	(void)pool;
	(void)id;
	(void)attempt;
	(void)text;
	change(userdata);
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	(void)pool;
	(void)result;
	change(userdata);
}

static const struct rota_pool_monitor monitor = {
	.worker_added = on_worker,
	.worker_ready = on_worker,
	.worker_died = on_died,
	.task_added = on_task,
	.task_attached = on_attached,
	.task_progress = on_progress,
	.task_retried = on_retried,
	.task_result = on_result,
};

/* The descriptor */

static int
open_anew(struct rota_pool_display *display)
{
	char path[PATH_SIZE];
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", display->options.fd);
	fd = display->sys->open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	display->fd = fd;
	display->is_own = true;
	return 0;
}

/* A file does not block, and its place in it is shared: it is written to as it is. */
static int
open_output(struct rota_pool_display *display)
{
	struct winsize size;
	struct stat status;

	display->fd = display->options.fd;
	if (display->sys->fstat(display->fd, &status) < 0)
		return -errno;
	display->is_plain =
		display->options.plain || display->sys->ioctl(display->fd, TIOCGWINSZ, &size) < 0;
	display->is_socket = S_ISSOCK(status.st_mode);
	return display->is_socket || S_ISREG(status.st_mode) ? 0 : open_anew(display);
}

static int
check_options(const struct rota_pool_display_options *options)
{
	if (options->size < sizeof *options || options->rows > ROTA_POOL_DISPLAY_ROWS ||
		options->interval < 0 || options->plain_interval < 0)
		return -EINVAL;
	return options->fd < 0 ? -EBADF : 0;
}

static void
dispose(struct rota_pool_display *display)
{
	rota_timer_stop(display->ctx, &display->timer);
	if (display->is_own)
		(void)display->sys->close(display->fd);
	rota__free(display);
}

int
rota_pool_display_new(struct rota_pool *pool, const struct rota_pool_display_options *options,
	struct rota_pool_display **ret_display)
{
	const struct rota_pool_display_options defaults = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display;
	int r;

	if (options == NULL)
		options = &defaults;
	r = check_options(options);
	if (r < 0)
		return r;
	display = rota__calloc(sizeof *display);
	if (display == NULL)
		return -ENOMEM;
	display->pool = pool;
	display->ctx = rota_pool_context(pool);
	display->sys = rota__context_sys(display->ctx);
	display->options = *options;
	if (options->name != NULL)
		snprintf(display->name, sizeof display->name, "%s", options->name);
	rota_timer_init(&display->timer, on_due);
	r = open_output(display);
	if (r >= 0)
		r = rota_pool_add_monitor(pool, &monitor, display);
	if (r < 0) {
		dispose(display);
		return r;
	}
	display->view.ascii = options->ascii;
	display->view.began = rota_context_now(display->ctx);
	display->drawn_at = display->view.began - interval(display);
	/* Where nobody looks on meanwhile, the first line comes when there is something to tell. */
	if (display->is_plain)
		display->drawn_at = display->view.began;
	see_all(display);
	if (is_busy(display))
		change(display);
	*ret_display = display;
	return 0;
}

void
rota_pool_display_free(struct rota_pool_display *display)
{
	if (display == NULL)
		return;
	rota_pool_remove_monitor(display->pool, &monitor, display);
	if (!display->is_plain || display->changes > display->shown)
		draw(display);
	dispose(display);
}

void
rota_pool_display_set_total(struct rota_pool_display *display, uint64_t total)
{
	display->options.total = total;
	change(display);
}

void
rota_pool_display_set_failed(struct rota_pool_display *display, uint64_t failed)
{
	if (display == NULL)
		return;
	display->failed = failed;
	change(display);
}

void
rota_pool_display_clear(struct rota_pool_display *display)
{
	if (display == NULL || display->is_plain || display->drawn == 0 || !flush(display))
		return;
	display->used = rota__pool_view_erase(display->drawn, display->frame);
	display->drawn = 0;
	(void)flush(display);
	change(display);
}
