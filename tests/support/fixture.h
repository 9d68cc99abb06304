/* SPDX-License-Identifier: MIT */
/*
 * What the tests have in common: cmocka and what it wants included; a context that is made before
 * each test and freed after it, with a check that no descriptor and no block of memory is left; a
 * minute for each test; turns until a condition holds; seeds, printed.
 *
 * A context of a fixture reaches the system through faulty_sys_ops, which change nothing until they
 * are told to.
 */
#ifndef ROTA_TESTS_FIXTURE_H
#define ROTA_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <rota/context.h>
#include <rota/iterate.h>

#include "hosted.h"

/* Under a host, if the environment says so. */
#define rota_context_free hosted_context_free
#define rota_dispatch_once hosted_dispatch_once
#define rota_iterate hosted_iterate
#define rota_wait hosted_wait

#define FIXTURE_DESCRIPTORS 65536

/* Kinds of contexts, to be combined. */
#define FIXTURE_LIBEV 0u
#define FIXTURE_SIMULATED (1u << 0)
#define FIXTURE_FAULTS (1u << 1) /* as the environment's ROTA_FAULTS says, also in waits */

struct fixture {
	struct rota_context *ctx;
	int64_t blocks; /* that lived before */
	uint64_t descriptors[FIXTURE_DESCRIPTORS / 64];
};

/* For tests that run a scenario many times: fails the test when there is no context. */
void fixture_open(struct fixture *fixture, unsigned kind);

/* Frees the context, if it is still there. Returns 0, or -1 after telling what was left behind. */
int fixture_close(struct fixture *fixture);

/* For cmocka_unit_test_setup_teardown: *state is a struct fixture with a context of that kind. */
int fixture_setup(void **state);
int fixture_setup_faulty(void **state); /* one with FIXTURE_FAULTS */
int fixture_setup_simulated(void **state);
int fixture_teardown(void **state);

/* Takes turns, at most ten seconds of the context's. What rota_wait returns; 0 when it holds. */
int turn_until(struct rota_context *ctx, rota_condition_fn *condition, void *userdata);

/* Takes so many turns that do not wait, or fewer when the loop ends before; what the last said. */
int take_turns(struct rota_context *ctx, struct rota_dispatchvars *vars, int turns);

/* The system's clock; how long this process was busy, which is no longer on a busy machine. */
rota_time real_time(void);
rota_time cpu_time(void);

/* A seed for what is called name: the environment's ROTA_SEED, or a new one. It is printed. */
uint64_t make_seed(const char *name);

/* _exit of a child, after which what it reached counts where that is counted. */
void exit_child(int status) __attribute__((noreturn));

/* Two connected sockets that do not block. */
void make_pair(int pair[2]);
void close_pair(const int pair[2]);

/* Writes one byte into a socket; reads what there is from it, and returns how much. */
void write_byte(int fd);
int read_all(int fd);

#define fixture_test(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)
#define fixture_test_simulated(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup_simulated, fixture_teardown)

#endif
