/* SPDX-License-Identifier: MIT */
/*
 * program_prefork.h - a program of several processes: the life of the master. The first SIGINT or
 * SIGTERM drains all of them, a second one kills them; SIGHUP exchanges them for new ones.
 */
#ifndef EXAMPLES_PROGRAM_PREFORK_H
#define EXAMPLES_PROGRAM_PREFORK_H

#include "program.h"

#include <rota/prefork.h>

#define PROGRAM_PROCESSES 256
#define PROGRAM_ADDRESSES 32

struct program_prefork;

/*
 * In a process: everything, to its exit status. It opens a program on the process by
 * program_prefork_open, listens on rota_process_listen, and says rota_process_ready.
 */
typedef int program_process_fn(struct program_prefork *prefork, struct rota_process *process);

struct program_prefork {
	program_process_fn *run;
	/* In the master, or NULL: the processes are there, 0 or a status; and one is gone */
	int (*open)(struct program_prefork *prefork);
	void (*forget)(struct program_prefork *prefork, pid_t pid);
	const struct rota_address *addresses;
	size_t address_count;
	struct rota_prefork_options options; /* without listen */
	struct program *program;             /* the master's, whose prefork is this */
	struct rota_prefork *processes;      /* NULL before and after */
	/* What follows is program_prefork.c's. */
	unsigned ready;
	bool has_started;
	struct rota_signal hangup;
	struct rota_signal second[2];
};

/* Fills it with the defaults. */
void program_prefork_init(struct program_prefork *prefork, struct program *program,
	uint64_t processes, rota_time drain);

/* From the first process to the last. Returns the master's exit status; in a process never. */
int program_prefork_run(struct program_prefork *prefork, const char *name);

/* In a process: program_open on its context, whose drain is also called when the master says so. */
int program_prefork_open(struct program *program, const char *name, program_drain_fn *drain,
	struct rota_process *process);

/* The listening sockets of a process as addresses; returns how many. */
size_t program_prefork_addresses(const struct rota_process *process,
	struct rota_address ret_addresses[PROGRAM_ADDRESSES]);

#endif
