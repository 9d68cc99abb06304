/* SPDX-License-Identifier: MIT */
/*
 * Tests that fork. A child checks by CHECK, tells its parent by one byte how that went, and lives
 * on with all that it has until the parent lets it go.
 */
#ifndef ROTA_TESTS_FORKING_H
#define ROTA_TESTS_FORKING_H

#include <stdio.h>
#include <sys/types.h>

#include "rig.h"

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "child: %s:%d: %s\n", __FILE__, __LINE__, #condition); \
			return false; \
		} \
	} while (0)

struct child {
	pid_t pid;
	int lifeline;
};

typedef bool child_fn(struct fixture *fixture, void *argument);

/* In the parent: a child that has done its work (NULL: none), and well, and still lives. */
struct child fork_child(struct fixture *fixture, child_fn *work, void *argument);
void release_child(struct child child);

/* A peer and the stream that was accepted from it, which echoes; and that it does. */
int open_echo(struct rota_context *ctx, struct door *door, const char *text);
void expect_echo(struct rota_context *ctx, int peer);

/* Ends a peer of which a child has a copy too. */
void hang_up(int peer);

/* The same path in each call, with nothing there. */
const char *unix_text(void);

#endif
