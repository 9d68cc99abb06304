/* SPDX-License-Identifier: MIT */
/*
 * Text that is put together in a caller's buffer, as what meters say: cut where there is no room,
 * and measured as a whole.
 */
#ifndef ROTA_PRIVATE_TEXT_H
#define ROTA_PRIVATE_TEXT_H

#include <stddef.h>

#include "shared.h"

/* As long as a name may be, with its NUL. */
#define ROTA__NAME_MAX 64

/* What is written to, as far as there is room, and how long it would be. */
struct rota__text {
	char *buffer;
	size_t size;
	size_t len;
};

struct rota__name {
	char text[2 * ROTA__NAME_MAX];
};

/* The beginning of a text; the buffer is ended by a NUL if size is not 0. */
ROTA_SHARED struct rota__text rota__text_begin(char *buffer, size_t size);

ROTA_SHARED void rota__text_add(struct rota__text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As it stands between the quotes of JSON, and of a label of OpenMetrics. */
ROTA_SHARED struct rota__name rota__text_quoted(const char *name);

#endif
