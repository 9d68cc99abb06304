/* SPDX-License-Identifier: MIT */
/*
 * Rota: what every public header needs: visibility, language linkage and the attribute that warns
 * of ignored results.
 */
#ifndef ROTA_API_H
#define ROTA_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define ROTA_BEGIN_DECLS extern "C" {
#define ROTA_END_DECLS }
#else
#define ROTA_BEGIN_DECLS
#define ROTA_END_DECLS
#endif

#define ROTA_API __attribute__((visibility("default")))

/* The struct that a member is embedded in: rota_container_of(timer, struct session, timer). */
#define rota_container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
