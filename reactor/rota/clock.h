/* SPDX-License-Identifier: MIT */
/*
 * Rota: time. One type for instants and for durations: nanoseconds on the context's monotonic
 * clock.
 */
#ifndef ROTA_CLOCK_H
#define ROTA_CLOCK_H

#include <rota/api.h>

typedef int64_t rota_time;

#define ROTA_NANOSECOND ((rota_time)1)
#define ROTA_MICROSECOND (1000 * ROTA_NANOSECOND)
#define ROTA_MILLISECOND (1000 * ROTA_MICROSECOND)
#define ROTA_SECOND (1000 * ROTA_MILLISECOND)
#define ROTA_MINUTE (60 * ROTA_SECOND)

/* Later than every instant. A sum of times that would pass it is ROTA_NEVER. */
#define ROTA_NEVER INT64_MAX

#endif
