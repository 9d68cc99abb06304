/* SPDX-License-Identifier: MIT */
/*
 * What tests of grafts have in common: see host_scene.h.
 */
#include "host_scene.h"

#include <rota/context.h>

#include "fixture.h"
#include "trace.h"

struct host_scene scene;

static int
on_alarm(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	scene.alarms++;
	trace("timer");
	return 0;
}

void
host_scene_open(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	scene = (struct host_scene){ .ctx = fixture->ctx, .vars = ROTA_DISPATCHVARS_INIT };
	rota_timer_init(&scene.timer, on_alarm);
	peer_open(scene.ctx, &scene.peer, "io");
}

void
host_scene_attach(void)
{
	assert_int_equal(host_attach(&scene.host, scene.ctx, &scene.vars), 0);
}

void
host_scene_close(void)
{
	host_detach(&scene.host);
	rota_timer_stop(scene.ctx, &scene.timer);
	peer_close(scene.ctx, &scene.peer);
	trace_clear();
}

void
host_scene_settle(void)
{
	for (int i = 0; i < 100 && host_is_woken(&scene.host); i++)
		assert_int_equal(host_wait(&scene.host, 0), ROTA_CONTINUE);
	assert_false(host_is_woken(&scene.host));
	host_settle();
}

int
host_scene_before(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("before:%d", (int)vars->count);
	return ROTA_CONTINUE;
}

int
host_scene_after(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	trace("after:%d", (int)vars->count);
	return ROTA_CONTINUE;
}
