/* SPDX-License-Identifier: MIT */
/*
 * What the tests of loads and displays share: a show, which is a pool whose workers do what a
 * task's letter says, with a display of it, if one was opened, and a terminal that it draws on.
 *
 *   n  nothing     f  fails            k  is killed
 *   s  sleeps      p  tells progress, with a note that a terminal would obey
 */
#ifndef ROTA_TESTS_SHOWING_H
#define ROTA_TESTS_SHOWING_H

#include <rota/pool.h>
#include <rota/pool_display.h>

#include "fixture.h"

/* A terminal: its end that a program has, and that which shows. */
struct terminal {
	int theirs;
	int mine;
	char text[65536];
	size_t len;
};

struct show {
	struct fixture *fixture;
	struct rota_pool *pool;
	size_t results;
	struct rota_pool_display *display;
	bool has_terminal;
	struct terminal terminal;
};

/* Without a display. */
void show_open(struct show *show, void **state, unsigned workers);
/* The same with a terminal that nothing draws on yet; and with a display on it. */
void show_open_terminal(struct show *show, void **state, unsigned workers, unsigned short columns);
void show_open_drawn(struct show *show, void **state, unsigned workers, unsigned short columns);
/* Makes the display: many frames, but fewer than fill a terminal that nobody reads for a while. */
void show_display(struct show *show, int fd, bool plain);
/* Frees the display, which leaves its last frame. */
void show_end_display(struct show *show);
void show_close(struct show *show);

/* A task of that letter: its number. */
uint64_t show_submit(struct show *show, char letter);
/* Turns until there are so many results. */
void show_take(struct show *show, size_t count);
/* Turns until that stands on the terminal. */
void show_until(struct show *show, const char *text);
/* All that was written to the terminal until now. */
const char *show_read(struct show *show);

#endif
