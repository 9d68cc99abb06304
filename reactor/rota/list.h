/* SPDX-License-Identifier: MIT */
/*
 * Rota: the link by which the structs of these headers hang in the library's lists. Nothing here is
 * for callers.
 */
#ifndef ROTA_LIST_H
#define ROTA_LIST_H

/* Both NULL while in no list. */
struct rota_link {
	struct rota_link *next;
	struct rota_link *previous;
};

#endif
