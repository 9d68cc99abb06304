/* SPDX-License-Identifier: MIT */
/*
 * A prefork inside: what its files share. prefork.c has its beginning and end, prefork_slot.c the
 * places and what happens when a process dies, prefork_reload.c generations and draining,
 * prefork_process.c a process as the master sees it, prefork_child.c as it sees itself,
 * prefork_listen.c the sockets, prefork_tickets.c the keys, prefork_meter.c the sums.
 *
 * Every timer of a prefork runs always, if only until ROTA_NEVER: so it cannot fail to start.
 */
#ifndef ROTA_PRIVATE_PREFORK_H
#define ROTA_PRIVATE_PREFORK_H

#include <rota/context.h>
#include <rota/prefork.h>
#include <rota/target.h>
#include <rota/task.h>
#include <rota/timer.h>
#include <rota/tls.h>

#include "follower.h"
#include "list.h"
#include "respawn.h"
#include "sys.h"

#define ROTA__PREFORK_KEEP 64
#define ROTA__PREFORK_TEXT 160

struct rota_listener;

/* What a process counts, in memory that it shares with the master. */
struct rota__prefork_shared {
	struct rota_service_meter service;
	struct rota_meter loop;
	uint64_t counters[];
};

/* What goes over a control socket, each in a packet of its own. */
enum rota__prefork_word {
	ROTA__PREFORK_IS_READY = 1, /* to the master */
	ROTA__PREFORK_DRAIN,        /* to a process; and then the end of what is sent */
	ROTA__PREFORK_TICKETS,
};

struct rota__prefork_message {
	uint32_t word;
	uint32_t is_replaced; /* of a drain */
	rota_time timeout;
	unsigned char keys[ROTA_TLS_TICKET_KEYS];
};

/* A process, in the master. */
struct rota__prefork_process {
	struct rota_link link; /* of prefork->processes */
	struct rota_prefork *prefork;
	unsigned index;
	unsigned generation;
	enum rota_prefork_state state;
	enum rota_prefork_cause cause; /* of its end, if that comes now */
	bool was_ready;
	rota_time born;
	rota_time ready; /* since when */
	pid_t pid;
	struct rota_child child;
	struct rota_target control; /* its descriptor is -1 without one */
	struct rota_timer timer;    /* until it must be ready, or gone */
	struct rota__prefork_shared *shared;
};

/* A listening socket, until its on_close. */
struct rota__prefork_socket {
	struct rota__prefork_socket **place; /* what points to it; NULL when nothing does */
	struct rota_listener *listener;
};

/* A place. */
struct rota__prefork_slot {
	struct rota_prefork *prefork;
	struct rota__prefork_process *current; /* NULL: it is empty */
	struct rota__prefork_process *next;    /* of a generation that is being started */
	unsigned draining;
	bool is_given_up;
	struct rota_timer timer; /* until it is filled again */
	struct rota__respawn respawn;
	uint64_t most; /* sessions at once, of its dead */
	struct rota__prefork_socket *sockets[ROTA_PREFORK_ADDRESSES]; /* NULL: it is shared */
};

struct rota_prefork {
	struct rota_context *ctx; /* NULL once it was freed */
	const struct rota_sys_ops *sys;
	const struct rota_prefork_ops *ops;
	void *userdata;
	struct rota_prefork_options options;
	int keep[ROTA__PREFORK_KEEP];
	struct rota__follower follower;
	bool is_copy; /* in a process */
	bool is_freed;
	unsigned calls; /* of its user that are on the stack */

	struct rota_address addresses[ROTA_PREFORK_ADDRESSES];
	bool is_shared[ROTA_PREFORK_ADDRESSES];
	size_t address_count;
	struct rota__prefork_socket *sockets[ROTA_PREFORK_ADDRESSES]; /* those that are shared */

	struct rota_link processes;
	unsigned generation; /* that serves */
	unsigned last_generation;
	bool is_reloading;
	unsigned waited_for; /* processes of the new generation that are not ready */

	bool is_draining;
	struct rota_task end_task;
	rota_prefork_drained_fn *on_drained;
	void *drained_userdata;
	struct rota_prefork_report report;

	unsigned char *keys; /* of tickets; NULL: none */
	bool is_prepared;    /* what is to come is known to all */
	struct rota_timer ticket_timer;

	size_t shared_size;
	struct rota__prefork_shared *past; /* what the dead have counted */

	struct rota__prefork_slot slots[];
};

/* prefork.c */

/* Around each call of the user's. Left returns whether the prefork is still there. */
void rota__prefork_enter(struct rota_prefork *prefork);
bool rota__prefork_left(struct rota_prefork *prefork);

/* prefork_listen.c */

/* Binds all addresses. 0 or a negative error, and what was bound is for close_all. */
int rota__prefork_bind(struct rota_prefork *prefork);
/* Binds what a place had of its own, if it has not. The same. */
int rota__prefork_bind_slot(struct rota_prefork *prefork, struct rota__prefork_slot *slot);
void rota__prefork_close_slot(struct rota_prefork *prefork, struct rota__prefork_slot *slot);
void rota__prefork_close_all(struct rota_prefork *prefork);
/* The descriptor of an address for a place; -1 when it is closed. */
int rota__prefork_listening(const struct rota_prefork *prefork,
	const struct rota__prefork_slot *slot, size_t address);

/* prefork_process.c */

/*
 * Forks one for a place. In it this does not return. 0 or a negative error; on success it is in the
 * list of processes.
 */
int rota__prefork_fork(struct rota_prefork *prefork, unsigned index, unsigned generation,
	struct rota__prefork_process **ret_process);
/* Has it drain; it is killed the grace after timeout. For one that drains: if that is sooner. */
void rota__prefork_tell_drain(struct rota__prefork_process *process, rota_time timeout,
	bool is_replaced);
void rota__prefork_tell_tickets(struct rota__prefork_process *process);
/* Kills it and waits for its end, of which nobody is told. Not in its own handlers. */
void rota__prefork_destroy(struct rota__prefork_process *process);
/* Frees what is left of one that is over. What it counted is added to the past. */
void rota__prefork_bury(struct rota__prefork_process *process);

/* prefork_slot.c */
void rota__prefork_slot_init(struct rota_prefork *prefork, struct rota__prefork_slot *slot);
/* Fills an empty place after a while; 0: in the next turn. */
void rota__prefork_slot_fill(struct rota__prefork_slot *slot, rota_time wait);
/* No more of its back-off and crashes. */
void rota__prefork_slot_forgive(struct rota__prefork_slot *slot);
/* A process said that it is ready; and it has ended. They may free the prefork. */
void rota__prefork_is_ready(struct rota__prefork_process *process);
void rota__prefork_ended(struct rota__prefork_process *process, const struct rota_child_end *end);

/* prefork_reload.c */

/* The new one of a place is ready, or has failed. False when the prefork was freed. */
bool rota__prefork_next_is_ready(struct rota_prefork *prefork);
bool rota__prefork_next_failed(struct rota_prefork *prefork, int error, const char *text);
/* If it drains and nobody is left, that is told in a turn. */
void rota__prefork_look_drained(struct rota_prefork *prefork);
int rota__prefork_on_end(struct rota_context *ctx, struct rota_task *task);

/* prefork_tickets.c */
int rota__prefork_make_keys(struct rota_prefork *prefork);
void rota__prefork_wipe_keys(struct rota_prefork *prefork);

/* prefork_meter.c */

/* a + b, at most ROTA_NEVER; both are 0 or more. */
rota_time rota__prefork_add(rota_time a, rota_time b);
void rota__prefork_remember(struct rota_prefork *prefork,
	const struct rota__prefork_process *process);

/* prefork_child.c */

/* Everything from the fork on, with its end of the control socket. */
void rota__prefork_live(struct rota_prefork *prefork, struct rota__prefork_process *process, int fd)
	__attribute__((noreturn));

#endif
