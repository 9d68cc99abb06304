/* SPDX-License-Identifier: MIT */
/*
 * Draining: see drained.h.
 */
#include "drained.h"

void
drained_on_done(struct rota_context *ctx, size_t cut, void *userdata)
{
	struct drained *drained = userdata;

	assert_false(drained->is_in_call);
	if (drained->door != NULL)
		assert_int_equal(drained->door->closed, 1);
	drained->done++;
	drained->cut = cut;
	drained->streams = rota_context_streams(ctx);
	if (drained->act != NULL)
		drained->act(ctx, drained);
}

int
drained_start(struct rota_context *ctx, struct drained *drained, rota_time timeout)
{
	int r;

	drained->is_in_call = true;
	r = rota_drain(ctx, timeout, drained_on_done, drained);
	drained->is_in_call = false;
	return r;
}

struct door *
drained_streams(struct rota_context *ctx, int *peers, int count)
{
	struct door *door = make_door(make_echoes((size_t)count), (size_t)count);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", NULL), 0);
	raw_connect_all(peers, count, door->text);
	wait_for(ctx, &door->accepted, count);
	return door;
}
