/* SPDX-License-Identifier: MIT */
/*
 * What is drawn of a pool: what is known of it, which pool_display.c keeps, and the frames that
 * pool_frame.c makes of that, without looking at anything else.
 */
#ifndef ROTA_PRIVATE_POOL_DISPLAY_H
#define ROTA_PRIVATE_POOL_DISPLAY_H

#include <rota/clock.h>
#include <rota/pool_display.h>
#include <rota/pool_load.h>
#include <rota/worker.h>

#include "text.h"

/* Why a process was lost, cut. */
#define ROTA__POOL_LOST 120
/* Widest lines, in columns; a line's most bytes. */
#define ROTA__POOL_COLUMNS 240
#define ROTA__POOL_LINE (ROTA__POOL_COLUMNS * 4 + 16)
/* The summary, the bar of all, the workers' and "and more", with what moves the cursor. */
#define ROTA__POOL_FRAME ((size_t)ROTA__POOL_LINE * (ROTA_POOL_DISPLAY_ROWS + 4))
/* How many samples the rate is made of, at most one a quarter of a second. */
#define ROTA__POOL_SAMPLES 40

/* A worker's line. */
struct rota__pool_row {
	enum rota_pool_worker_state state;
	pid_t pid;
	uint64_t tasks; /* that the process has done */
	uint64_t task;  /* that it is at; 0: none */
	rota_time since;
	uint64_t done;
	uint64_t total;
	char note[ROTA_WORKER_NOTE + 1];
	char lost[ROTA__POOL_LOST + 1]; /* why the last process died; "": it did not */
};

/* How many had ended at an instant. */
struct rota__pool_sample {
	rota_time at;
	uint64_t ended;
};

struct rota__pool_view {
	struct rota_pool_load load;
	uint64_t total; /* that there will be, or 0 */
	rota_time now;
	rota_time began;
	bool ascii;
	unsigned columns;
	unsigned lines; /* of the terminal */
	unsigned row_count;
	struct rota__pool_row rows[ROTA_POOL_DISPLAY_ROWS];
	struct rota__pool_sample samples[ROTA__POOL_SAMPLES];
	size_t sample_count; /* ever */
};

/* How many have ended at the view's time, for the rate. */
void rota__pool_view_sample(struct rota__pool_view *view);

/* Tasks a second, lately; 0: not known. */
double rota__pool_view_rate(const struct rota__pool_view *view);

/* The summary of a terminal's first line, and of plain lines; no end. */
void rota__pool_view_summary(const struct rota__pool_view *view, struct rota__text *text);

/*
 * A frame, over the one that is there, of so many lines; the cursor is below it before and
 * afterwards. buffer has ROTA__POOL_FRAME bytes. Returns how many are used.
 */
size_t rota__pool_view_draw(const struct rota__pool_view *view, unsigned drawn, char *buffer,
	unsigned *ret_drawn);

/* What takes a frame of so many lines off: at most 32 bytes. */
size_t rota__pool_view_erase(unsigned drawn, char *buffer);

#endif
