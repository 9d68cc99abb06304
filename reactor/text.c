/* SPDX-License-Identifier: MIT */
/*
 * Text in a caller's buffer: see text.h.
 */
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct rota__text
rota__text_begin(char *buffer, size_t size)
{
	if (size > 0)
		buffer[0] = '\0';
	return (struct rota__text){ .buffer = buffer, .size = size };
}

void
rota__text_add(struct rota__text *text, const char *format, ...)
{
	bool has_room = text->len < text->size;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(has_room ? text->buffer + text->len : NULL,
		has_room ? text->size - text->len : 0, format, arguments);
	va_end(arguments);
	text->len += length > 0 ? (size_t)length : 0;
}

struct rota__name
rota__text_quoted(const char *name)
{
	struct rota__name quoted = { "" };
	char *to = quoted.text;

	for (size_t i = 0; i < ROTA__NAME_MAX - 1 && name[i] != '\0'; i++) {
		if (name[i] == '"' || name[i] == '\\')
			*to++ = '\\';
		*to++ = (char)(name[i] >= ' ' && name[i] <= '~' ? name[i] : '?');
	}
	return quoted;
}
