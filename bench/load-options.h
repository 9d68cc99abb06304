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

enum load_mode { MODE_MESSAGES, MODE_CONNECTIONS, MODE_UPLOAD, MODE_DOWNLOAD };

/* None: no TLS is spoken, or it is all the same. */
enum load_handshake { HANDSHAKE_NONE, HANDSHAKE_FULL, HANDSHAKE_RESUMED };

struct load_options {
	enum load_mode mode;
	struct sockaddr_in server;
	int origin;          /* a listener of the servers behind a proxy, or -1 */
	unsigned int active; /* connections that exchange messages, or are open at a time */
	unsigned int idle;   /* connections that are silent after their first message */
	size_t size;         /* of a message, or of what is sent at once, in bytes */
	unsigned int depth;  /* messages in flight on an active connection */
	uint64_t messages;   /* measured ones, in all; or connections, or sends */
	double seconds;      /* of measuring; what is reached first counts */
	uint64_t warmup;     /* the same before the measured ones */
	unsigned int limit;  /* seconds after which the program gives up */
	enum load_handshake handshake;
	bool gate;   /* wait for the caller between the phases */
	bool sleeps; /* wait in the kernel instead of polling it */
};

void load_options_parse(struct load_options *o, int argc, char **argv);

#endif
