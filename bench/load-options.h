/* SPDX-License-Identifier: MIT */
/*
 * load-options.h - what the load generator was asked to do, checked and with defaults filled in.
 */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load_options {
	struct sockaddr_in server;
	unsigned int active; /* connections that exchange messages */
	unsigned int idle;   /* connections that are silent after their first message */
	size_t size;         /* of a message, in bytes */
	unsigned int depth;  /* messages in flight on an active connection */
	uint64_t messages;   /* measured ones, in all */
	double seconds;      /* of measuring; what is reached first counts */
	uint64_t warmup;     /* messages before the measured ones */
	unsigned int limit;  /* seconds after which the program gives up */
	bool gate;           /* wait for the caller between the phases */
	bool sleeps;         /* wait in the kernel instead of polling it */
};

void load_options_parse(struct load_options *o, int argc, char **argv);

#endif
