/* SPDX-License-Identifier: MIT */
/*
 * events.h - what all programs do the same way that send events to another process: their command
 * line, two processes on two cores, and what they say.
 *
 *   PROGRAM MODE COUNT SENDERS-CORE RECEIVERS-CORE
 *
 * MODE is batch, single (a packet each) or wake (there and back, one at a time); prints
 * {"count": …, "seconds": …}.
 */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#define EVENT_SIZE 64

struct events {
	const char *mode;
	uint64_t count;
	int cores[2];
};

/* One side of it; returns when all count events were sent, or received. */
typedef void events_side_fn(const struct events *events);

struct events_mode {
	const char *name;
	events_side_fn *open; /* before there are two processes */
	events_side_fn *send; /* in wake: and receive */
	events_side_fn *receive;
};

/* The whole program; modes end with one without a name. */
int events_main(int argc, char **argv, const struct events_mode *modes);

#endif
