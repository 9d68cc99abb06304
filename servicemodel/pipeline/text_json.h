/* SPDX-License-Identifier: MIT */
/*
 * Text as a string of JSON (RFC 8259), whatever its bytes are.
 */
#ifndef ROTA_PRIVATE_PIPELINE_TEXT_JSON_H
#define ROTA_PRIVATE_PIPELINE_TEXT_JSON_H

#include "files.h"

/* With its quotes. Bytes that are no UTF-8 become U+FFFD. Returns what writing returns. */
int rota__text_json_write(struct writer *writer, const char *text, size_t len);

#endif
