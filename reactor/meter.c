/* SPDX-License-Identifier: MIT */
/*
 * Keeping a meter. Called only where a context has one.
 */
#include <rota/meter.h>

#include "context.h"

void
rota_context_set_meter(struct rota_context *ctx, struct rota_meter *meter)
{
	ctx->meter = meter;
	if (meter != NULL)
		ctx->work |= ROTA__HAS_METER;
	else
		ctx->work &= ~ROTA__HAS_METER;
}

static unsigned
bucket(rota_time duration)
{
	unsigned log2 =
		duration > 1 ? 63u - (unsigned)__builtin_clzll((unsigned long long)duration) : 0;

	return log2 < ROTA_METER_BUCKETS ? log2 : ROTA_METER_BUCKETS - 1;
}

void
rota__meter_wait(struct rota_context *ctx, rota_time duration)
{
	ctx->meter->waiting += duration;
}

void
rota__meter_handler(struct rota_context *ctx, const char *name, rota_time duration)
{
	struct rota_meter *meter = ctx->meter;

	meter->handlers++;
	meter->busy += duration;
	meter->durations[bucket(duration)]++;
	if (duration > meter->slowest || meter->slowest_name == NULL) {
		meter->slowest = duration;
		meter->slowest_name = name;
	}
	if (meter->on_slow != NULL && duration >= meter->limit)
		meter->on_slow(ctx, name, duration, meter);
}

void
rota__meter_turn(struct rota_context *ctx, uint64_t handlers)
{
	struct rota_meter *meter = ctx->meter;

	meter->turns++;
	if (handlers > meter->most_handlers)
		meter->most_handlers = handlers;
}

void
rota_meter_add(struct rota_meter *sum, const struct rota_meter *part)
{
	sum->turns += part->turns;
	sum->handlers += part->handlers;
	if (part->most_handlers > sum->most_handlers)
		sum->most_handlers = part->most_handlers;
	sum->waiting += part->waiting;
	sum->busy += part->busy;
	for (int i = 0; i < ROTA_METER_BUCKETS; i++)
		sum->durations[i] += part->durations[i];
	if (part->slowest > sum->slowest || sum->slowest_name == NULL) {
		sum->slowest = part->slowest;
		sum->slowest_name = part->slowest_name;
	}
	sum->accept_pauses += part->accept_pauses;
	sum->drops += part->drops;
}
