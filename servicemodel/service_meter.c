/* SPDX-License-Identifier: MIT */
/*
 * What services count, added up.
 */
#include <rota/service_meter.h>

void
rota_service_meter_add(struct rota_service_meter *sum, const struct rota_service_meter *part)
{
	sum->accepted += part->accepted;
	sum->opened += part->opened;
	sum->sessions += part->sessions;
	sum->most += part->most;
	sum->refused += part->refused;
	sum->paused += part->paused;
	sum->frames_in += part->frames_in;
	sum->frames_out += part->frames_out;
	sum->bytes_in += part->bytes_in;
	sum->bytes_out += part->bytes_out;
	sum->bad_frames += part->bad_frames;
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		sum->closed[i] += part->closed[i];
}
