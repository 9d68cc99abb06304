/* SPDX-License-Identifier: MIT */
/*
 * Tests that fork a context which has a target, a timer and a post. The children report by exit
 * status; assertions would unwind into the parent's test.
 */
#ifndef ROTA_TESTS_FORK_RIG_H
#define ROTA_TESTS_FORK_RIG_H

#include <sys/types.h>

#include <rota/task.h>
#include <rota/timer.h>

#include "fixture.h"
#include "peer.h"

/* For children: ends the process with the line that was not so. */
#define child_assert(condition) \
	do { \
		if (!(condition)) \
			child_fails(__FILE__, __LINE__, #condition); \
	} while (0)
void child_fails(const char *file, int line, const char *condition);

/* A child that runs body, which ends it well by returning; and that it has ended well. */
pid_t fork_body(struct rota_context *ctx, void (*body)(struct rota_context *ctx));
void join_child(pid_t pid);

/* What the context has before the fork. */
struct common {
	struct peer peer; /* started */
	struct rota_timer timer;
	struct rota_post post;
	int timers; /* how often those were called */
	int posts;
};

extern struct common common;

int common_on_timer(struct rota_context *ctx, struct rota_timer *timer);

int fork_setup(void **state);
int fork_teardown(void **state);

#define fork_test(function) cmocka_unit_test_setup_teardown(function, fork_setup, fork_teardown)

/* The parent's context is as it was: nothing wakes it, and everything that should does. */
void check_parent(struct rota_context *ctx);

#endif
