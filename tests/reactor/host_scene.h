/* SPDX-License-Identifier: MIT */
/*
 * What tests of grafts have in common: a context of the fixture's, grafted onto the chosen host
 * when they say so, with a peer and a timer.
 */
#ifndef ROTA_TESTS_HOST_SCENE_H
#define ROTA_TESTS_HOST_SCENE_H

#include <rota/timer.h>

#include "host.h"
#include "peer.h"

struct host_scene {
	struct rota_context *ctx;
	struct rota_dispatchvars vars;
	struct host host;
	struct peer peer;
	struct rota_timer timer;
	unsigned alarms;
	int result;
};

/* The one of the test that is running. */
extern struct host_scene scene;

/* state is a fixture's. Skips the test where contexts cannot be grafted. Starts no timer. */
void host_scene_open(void **state);
void host_scene_attach(void);
void host_scene_close(void);

/* The host does all that there is to do now. */
void host_scene_settle(void);

/* Hooks that write "before:COUNT" and "after:COUNT" into the trace. */
int host_scene_before(struct rota_context *ctx, struct rota_dispatchvars *vars);
int host_scene_after(struct rota_context *ctx, struct rota_dispatchvars *vars);

#endif
