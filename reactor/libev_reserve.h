/* SPDX-License-Identifier: MIT */
/*
 * Memory for libev, which aborts the process when an allocation fails. A context sets blocks aside
 * beforehand, large enough for whatever its loop may have to grow at once; they are handed out when
 * the allocator fails. A watch for which that cannot be guaranteed any more is refused, before
 * libev hears of it.
 */
#ifndef ROTA_PRIVATE_LIBEV_RESERVE_H
#define ROTA_PRIVATE_LIBEV_RESERVE_H

#include <rota/api.h>

/*
 * Between two watches libev may have to grow its arrays of pending events and of changes and two of
 * the backend's; the small ones are for what a loop allocates once.
 */
#define ROTA__RESERVE_SMALL 6
#define ROTA__RESERVE_LARGE 4
#define ROTA__RESERVE_SPARES (ROTA__RESERVE_SMALL + ROTA__RESERVE_LARGE)

struct rota__reserve {
	/* the small ones first; NULL: used up */
	struct rota__reserve_block *spares[ROTA__RESERVE_SPARES];
	/* that the large ones suffice for */
	size_t descriptors;
	bool is_full; /* no spare is used up */
};

/* Makes libev use this allocator; once for the process, any number of calls. */
void rota__reserve_install(void);

/* Fills the spares for descriptors up to fd. 0 or -ENOMEM. */
int rota__reserve_grow(struct rota__reserve *reserve, int fd);

static inline int
rota__reserve_ensure(struct rota__reserve *reserve, int fd)
{
	if ((size_t)fd < reserve->descriptors && reserve->is_full)
		return 0;
	return rota__reserve_grow(reserve, fd);
}

void rota__reserve_fini(struct rota__reserve *reserve);

/*
 * Every call of libev about a context's loop stands between these two. What libev allocates outside
 * of them is some other part of the program's, and comes from libc.
 */
extern __thread struct rota__reserve *rota__reserve_entered
	__attribute__((tls_model("initial-exec")));

static inline void
rota__reserve_enter(struct rota__reserve *reserve)
{
	rota__reserve_entered = reserve;
}

static inline void
rota__reserve_leave(void)
{
	rota__reserve_entered = NULL;
}

#endif
