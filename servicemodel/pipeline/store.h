/* SPDX-License-Identifier: MIT */
/* Stores, as the library knows them, and the runs that are registered in one. */
#ifndef ROTA_PRIVATE_STORE_H
#define ROTA_PRIVATE_STORE_H

#include <rota/store.h>

struct rota_run;

/* Then NULL. */
extern const struct rota_store_kind *const rota__store_kinds[];
extern const struct rota_store_kind rota__store_memory;
extern const struct rota_store_kind rota__store_sqlite;

/* In a forked process. NULL does nothing. */
void rota__store_forked(struct rota_store *store);

/* runs.c: a run of this process begins and ends; errors are not the run's. */

#define ROTA__RUN_ID 32

int rota__run_register(struct rota_run *run);
void rota__run_unregister(struct rota_run *run, int result);

#endif
