/* SPDX-License-Identifier: MIT */
/*
 * Rota: what a pool (<rota/pool.h>) does, shown on a terminal: the load and how many tasks have
 * ended, how many do so a second, when all will have; and for each worker a bar with what its task
 * tells by rota_worker_task_progress. Where there is no terminal, a line now and then, and one for
 * each worker that is lost.
 *
 * The display never blocks the program: a frame that the terminal does not take is shown later, or
 * another instead. It changes no mode of the terminal, so that nothing has to be restored, also
 * when the program is killed. Notes, names and what processes wrote are shown without control
 * characters. Nothing is drawn while the pool has nothing to do. Context's own thread only.
 */
#ifndef ROTA_POOL_DISPLAY_H
#define ROTA_POOL_DISPLAY_H

#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_pool;
struct rota_pool_display;

/* Most bars. */
#define ROTA_POOL_DISPLAY_ROWS 32

/* Begin with ROTA_POOL_DISPLAY_OPTIONS_INIT, whose values are in brackets. */
struct rota_pool_display_options {
	size_t size;        /* of this struct, set by _INIT */
	int fd;             /* where to; it stays the caller's [standard error] */
	bool plain;         /* lines, even if it is a terminal [false] */
	bool ascii;         /* what else there is in notes is shown as "?" [false] */
	unsigned rows;      /* most bars, 0 to ROTA_POOL_DISPLAY_ROWS [16] */
	const char *name;   /* begins every plain line, with a colon behind; copied [NULL: none] */
	uint64_t total;     /* tasks that there will be; 0: nobody knows [0] */
	rota_time interval; /* between two frames, at least [100 ms] */
	rota_time plain_interval; /* between two plain lines, at least [5 s] */
};

/* clang-format off */
#define ROTA_POOL_DISPLAY_OPTIONS_INIT \
	{ sizeof(struct rota_pool_display_options), 2, false, false, 16, NULL, 0, \
		100 * ROTA_MILLISECOND, 5 * ROTA_SECOND }
/* clang-format on */

/*
 * A display of the pool, which must be freed before the pool is; options (NULL: the defaults) are
 * copied. Returns 0; -EINVAL for options that make no sense; -EBADF; -ENOMEM; -ENOSPC as
 * rota_pool_add_monitor; or, for a terminal or a pipe, the errno of opening it anew, without which
 * it could block: -EACCES when it is another user's, for instance.
 */
ROTA_API int rota_pool_display_new(struct rota_pool *pool,
	const struct rota_pool_display_options *options, struct rota_pool_display **ret_display);

/*
 * The last state of affairs is drawn, once, and stays; the cursor is at the beginning of the line
 * below. NULL does nothing.
 */
ROTA_API void rota_pool_display_free(struct rota_pool_display *display);

/* How many tasks there will be, once it is known. What was submitted counts, if that is more. */
ROTA_API void rota_pool_display_set_total(struct rota_pool_display *display, uint64_t total);

/*
 * So many of the tasks that are done have failed all the same, as only the program knows, who reads
 * what they replied: a command's exit status, say. They are shown as failed. NULL does nothing.
 */
ROTA_API void rota_pool_display_set_failed(struct rota_pool_display *display, uint64_t failed);

/*
 * Takes what is drawn off the terminal, for the program to write there; the next frame is drawn
 * behind what it has written. The program's last line should be whole then. NULL does nothing.
 */
ROTA_API void rota_pool_display_clear(struct rota_pool_display *display);

ROTA_END_DECLS

#endif
