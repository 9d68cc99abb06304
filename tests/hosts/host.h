/* SPDX-License-Identifier: MIT */
/*
 * Hosts: main loops that take a context's turns, each behind the same few functions, so that tests
 * are written once. poll is the smallest that there can be, frame looks at nothing and takes a turn
 * a frame; the others are there as far as their libraries are. The environment's ROTA_HOST chooses
 * one of them.
 *
 * A loop is the process's: one of a kind, made when it is first chosen.
 */
#ifndef ROTA_TESTS_HOST_H
#define ROTA_TESTS_HOST_H

#include <rota/graft.h>
#include <rota/iterate.h>
#include <rota/meter.h>

typedef void host_fn(void *argument);

/* The loop's own callbacks, of which each host has several kinds, beginning with its timers. */
#define HOST_TIMER 0u

struct host_kind {
	const char *name;
	/* takes turns without having been woken, once a frame */
	bool is_eager;
	/* can be run in one of its own callbacks */
	bool nests;
	/* how late its timers are by themselves */
	rota_time grain;

	void (*open)(void);

	/* rota_graft_glib and the like. */
	int (*graft)(struct rota_context *ctx, struct rota_dispatchvars *vars,
		rota_graft_end_fn *on_end, void *userdata, struct rota_graft **ret_graft);

	/* One iteration of the loop, which waits for at most longest. */
	void (*run)(rota_time longest);

	/* Arranges for one call from a callback of the loop's own; a timer's comes after delay. */
	unsigned callbacks;
	void (*arrange)(unsigned callback, rota_time delay, host_fn *fn, void *argument);

	/* In a forked child. */
	void (*forked)(void);
};

/* Those that were built in, ended by NULL. */
extern const struct host_kind *const host_kinds[];

extern const struct host_kind host_poll;
extern const struct host_kind host_frame;
extern const struct host_kind host_glib;
extern const struct host_kind host_uv;
extern const struct host_kind host_event;

/* The chosen one; NULL: none. */
const struct host_kind *host_chosen(void);
void host_choose(const struct host_kind *kind);

/*
 * Runs the tests under each host, or the one that the environment names, as a group of its name; or
 * first as they are, and then so. What cmocka_run_group_tests returns, of all.
 */
#define host_run_tests(tests) host_run_group(tests, sizeof(tests) / sizeof(tests)[0], false)
#define host_run_tests_too(tests) host_run_group(tests, sizeof(tests) / sizeof(tests)[0], true)
struct CMUnitTest;
int host_run_group(const struct CMUnitTest *tests, size_t count, bool natively_too);

/* Whether contexts have no descriptor to be grafted by: libev is on poll or select. */
bool host_is_impossible(void);

/* A grafted context, with an account of its turns, by a meter. */
struct host {
	struct rota_context *ctx;
	struct rota_graft *graft;
	struct rota_dispatchvars *vars;
	struct rota_meter meter;
	int result;    /* what iterate would have returned; ROTA_CONTINUE as long as it would not */
	unsigned ends; /* calls of on_end */
	unsigned empty; /* turns in which no handler ran, though no timeout was over */
};

/* Grafts the context onto the chosen host, which begins the first turn. What graft says. */
int host_attach(struct host *host, struct rota_context *ctx, struct rota_dispatchvars *vars);

/* Removes the graft, if it is there still, and lets the loop give back what it has of it. */
void host_detach(struct host *host);

/*
 * Runs the loop until a turn was taken (on an eager host, one in which a handler ran), or for
 * longest. A cause for a turn that it does not see is a failure. Returns result.
 */
int host_wait(struct host *host, rota_time longest);

/* Whether this is called by the loop. */
bool host_is_running(void);

/* Whether there is a cause for a turn now. */
bool host_is_woken(struct host *host);

/* rota_iterate under the chosen host. */
int host_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars);

/* Lets the loop do what it can do without waiting. */
void host_settle(void);

#endif
