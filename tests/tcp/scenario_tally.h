/* SPDX-License-Identifier: MIT */
/*
 * A tally of what the kernel took from and gave to each socket: a system over the faulty one that
 * writes down the bytes of every send and recv that succeeded, and whether the end was read. What
 * streams say of themselves is compared with it.
 */
#ifndef ROTA_TESTS_SCENARIO_TALLY_H
#define ROTA_TESTS_SCENARIO_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

struct tally {
	uint64_t sent;
	uint64_t received;
	bool saw_end; /* recv said 0 */
};

const struct rota_sys_ops *tally_sys(void);

/* Forgets all sockets; those that were made before are not counted. */
void tally_reset(void);

/* That of a socket which is open; it stays when the descriptor is closed, until tally_reset. */
struct tally *tally_of(int fd);

#endif
