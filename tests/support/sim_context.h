/* SPDX-License-Identifier: MIT */
/*
 * The simulated context: a second implementation of the context's operations, for tests. Time is
 * virtual: it stands still, but for what a test does to it and for waits that find nothing, which
 * advance it by as long as they were to last. Readiness is that of the real descriptors, asked by
 * poll(2) without waiting. Everything else is the core's, as on every context.
 *
 * A test may change every member of struct sim at any time, in handlers too.
 */
#ifndef ROTA_TESTS_SIM_CONTEXT_H
#define ROTA_TESTS_SIM_CONTEXT_H

#include <rota/context_ops.h>

struct sim {
	rota_time now;
	rota_time tick;     /* what each reading of the clock costs: with a budget, each handler */
	rota_time lateness; /* a wait that finds nothing ends up to this late, by chance */
	uint64_t random;    /* a seed; 0: ready targets are reported in the order of their starts */
	unsigned spurious;  /* percent of idle targets that a wait reports ready; needs a seed */
	int patience;       /* real milliseconds for the kernel to make something ready */

	/* What is to happen next, once: */
	bool interrupt;             /* the wait finds nothing, and no time passes */
	int wait_error;             /* the wait fails with this negative error */
	int watch_error;            /* a watch that may fail does so, with this negative error */
	struct rota_target *losing; /* the wait reports this one lost */

	/* What happened: */
	uint64_t waits;
	rota_time waited; /* the timeout of the last wait */

	struct rota_link watched; /* the simulation's own */
};

/*
 * For rota_context_make, whose argument is a const struct sim with the first values, or NULL: a
 * clock that starts at 0, and no surprises.
 */
extern const struct rota_context_ops sim_context_ops;

struct sim *sim_of(struct rota_context *ctx);

/* Lets time pass: in a handler, what it costs; between turns, a stall. Negative: a jump back. */
void sim_advance(struct rota_context *ctx, rota_time duration);

#endif
