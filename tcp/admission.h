/* SPDX-License-Identifier: MIT */
/*
 * Admission, as listeners see it.
 */
#ifndef ROTA_PRIVATE_ADMISSION_H
#define ROTA_PRIVATE_ADMISSION_H

#include <rota/admission.h>

/* Whether it is for listeners of ctx. */
bool rota__admission_is_of(const struct rota_admission *admission, const struct rota_context *ctx);

/* A listener has it, which gives NULL back for NULL, and no longer has it. */
struct rota_admission *rota__admission_ref(struct rota_admission *admission);
void rota__admission_unref(struct rota_admission *admission);

/* Whether as many are inside as may be; not of NULL. */
bool rota__admission_is_full(const struct rota_admission *admission);

/* A listener waits for room, or no longer does: it is to be told to try again. */
void rota__admission_wait(struct rota_admission *admission, bool waits);

#endif
