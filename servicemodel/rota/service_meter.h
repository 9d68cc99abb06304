/* SPDX-License-Identifier: MIT */
/*
 * Rota: what a service counts. Plain numbers, which may stand in memory that processes share: each
 * writes its own, whoever wants all adds them up.
 */
#ifndef ROTA_SERVICE_METER_H
#define ROTA_SERVICE_METER_H

#include <rota/api.h>
#include <rota/meter.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

struct rota_service_meter {
	uint64_t accepted; /* sessions, ever */
	uint64_t opened;   /* that came as far as on_open */
	uint64_t sessions; /* now */
	uint64_t most;     /* at once, ever; of several processes: the sum of theirs */
	uint64_t refused;  /* cut off, as their source had as many as it may have */
	uint64_t paused;   /* times that accepting was put off, for any shortage or the rate */
	uint64_t frames_in;
	uint64_t frames_out;
	uint64_t bytes_in;                  /* that frames or data took */
	uint64_t bytes_out;                 /* that rota_session_send took, wrapped */
	uint64_t bad_frames;                /* sessions that ended by one */
	uint64_t closed[ROTA_REASON_COUNT]; /* sessions, by the reason of their end */
};

/* Adds what part counts to sum. */
ROTA_API void rota_service_meter_add(struct rota_service_meter *sum,
	const struct rota_service_meter *part);

/*
 * Writes it, as rota_meter_format does, with the service's name, NULL for none: for people in its
 * first line; in JSON as the member "name"; in OpenMetrics as the label service of each sample. Of
 * the reasons those of which there is none are left out, but not in OpenMetrics. Returns the same.
 */
ROTA_API size_t rota_service_meter_format(const struct rota_service_meter *meter, const char *name,
	enum rota_meter_format format, char *buffer, size_t size);

ROTA_END_DECLS

#endif
