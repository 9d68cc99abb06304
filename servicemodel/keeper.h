/* SPDX-License-Identifier: MIT */
/*
 * A keeper: a process that ends what a master's process groups hold when the master is dead, or has
 * become another program, without having ended them itself. It is forked from the master, has no
 * descriptor but two, obeys no signal that can be blocked, and is in a process group of its own, so
 * that what ends the master's group does not end it.
 *
 * The groups stand in memory that the keeper, the master and what the master forks share: there is
 * nothing to be sent that could be late, and a keeper that follows one that has died knows all. A
 * group is entered by its first process itself, before that does anything, and is removed when the
 * master has reaped it, so that no number is there that may be another's.
 *
 * One that dies is replaced, at once the first time, and then with back-off.
 */
#ifndef ROTA_PRIVATE_KEEPER_H
#define ROTA_PRIVATE_KEEPER_H

#include <stdatomic.h>

#include <rota/child.h>
#include <rota/timer.h>

#include "respawn.h"
#include "sys.h"

/* So many groups, by place from 0. */
#define ROTA__KEEPER_PLACES 1024

struct rota__keeper_groups {
	_Atomic pid_t places[ROTA__KEEPER_PLACES]; /* 0: none */
};

/* All zero but for what init sets. It stays where it is. */
struct rota__keeper {
	struct rota_context *ctx;
	const struct rota_sys_ops *sys;
	struct rota__keeper_groups *groups; /* NULL: none was started yet */
	struct rota_child child;            /* is started as long as there is a process */
	int pipe;                           /* whose other end the process has; -1: none */
	struct rota_timer timer;            /* until it is tried again */
	struct rota__respawn_rules rules;
	rota_time steady; /* what it lives for, when it has not crashed */
	struct rota__respawn respawn;
	rota_time born;
	uint64_t processes; /* that there have been */
};

/* Before anything else; nothing can fail. */
void rota__keeper_init(struct rota__keeper *keeper, struct rota_context *ctx,
	const struct rota__respawn_rules *rules, rota_time steady);

/* Its timer runs from now on: so that is what can fail. 0 or a negative error. */
int rota__keeper_open(struct rota__keeper *keeper);

/* There is one, from now on: 0. Or a negative error: there is none. */
int rota__keeper_need(struct rota__keeper *keeper);

/* In the process that was forked, which leads a group of its own. */
void rota__keeper_enter(const struct rota__keeper *keeper, unsigned place);
/* In the master, when that process was reaped, or there was none. */
void rota__keeper_remove(const struct rota__keeper *keeper, unsigned place);

/* In a fork of the master: it has nothing to do with the keeper. */
void rota__keeper_leave(struct rota__keeper *keeper);

/* No group is left. The process is ended and reaped; need starts another. */
void rota__keeper_end(struct rota__keeper *keeper);

/* The same, for ever: nothing is left on the context. */
void rota__keeper_close(struct rota__keeper *keeper);

#endif
