/* SPDX-License-Identifier: MIT */
/*
 * The striker: runs something in processes of its own, all of them traced, and kills one of them at
 * a system call of its choice, which is then not made. So what dies anywhere between two of its
 * system calls can be tried, place by place.
 */
#ifndef ROTA_TESTS_STRIKER_H
#define ROTA_TESTS_STRIKER_H

#include <stdbool.h>
#include <stdint.h>

#include <rota/clock.h>

struct strike {
	unsigned role; /* who: 0 is the first process, the others in the order of their forks */
	uint64_t at;   /* which of its system calls, from 1 */

	/* What came of it: */
	bool has_struck; /* it has come to so many */
	unsigned roles;  /* processes that there were */
	int status;      /* of the first one, as wait4 gives it */
	rota_time after; /* from the first one's end until nobody was left */
};

/* Whether this system lets us trace. */
bool striker_is_possible(void);

/* The first process exits with what act returns. Comes back when none of the processes is left. */
void strike(struct strike *strike, int (*act)(void *argument), void *argument);

#endif
