/* SPDX-License-Identifier: MIT */
/*
 * The load of a pool from inside: what its monitor does, for the display to do it too.
 */
#ifndef ROTA_PRIVATE_POOL_LOAD_H
#define ROTA_PRIVATE_POOL_LOAD_H

#include <rota/pool_load.h>

#include "text.h"

/* The counts are these now. */
void rota__pool_load_update(struct rota_pool_load *load, const struct rota_pool_counts *counts);

/* A process is over. Whether it was lost: nobody had told it to end. */
bool rota__pool_load_death(struct rota_pool_load *load, const struct rota_pool_death *death);

/* ": 115 done, 2 failed", or nothing. */
void rota__pool_load_ends(struct rota__text *text, const struct rota_pool_load *load);

#endif
