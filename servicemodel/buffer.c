/* SPDX-License-Identifier: MIT */
/*
 * Bytes that grow, up to their limit, and text that was read.
 */
#include <rota/pack.h>

#include <errno.h>
#include <string.h>

#include "allocator.h"

#define LIMIT_DEFAULT ((size_t)1 << 20)
#define SIZE_FIRST ((size_t)256)

void
rota_buffer_fini(struct rota_buffer *buffer)
{
	rota__free(buffer->bytes);
	buffer->bytes = NULL;
	buffer->len = 0;
	buffer->size = 0;
}

void
rota_buffer_reset(struct rota_buffer *buffer)
{
	buffer->len = 0;
}

/* Twice as large as it was, or as large as it must be. */
static int
grow(struct rota_buffer *buffer, size_t least, size_t limit)
{
	size_t size = buffer->size < SIZE_FIRST / 2 ? SIZE_FIRST : 2 * buffer->size;
	unsigned char *bytes;

	if (size < least || size > limit)
		size = size < least ? least : limit;
	bytes = rota__realloc(buffer->bytes, size);
	if (bytes == NULL)
		return -ENOMEM;
	buffer->bytes = bytes;
	buffer->size = size;
	return 0;
}

int
rota_buffer_add(struct rota_buffer *buffer, const void *bytes, size_t len)
{
	size_t limit = buffer->limit != 0 ? buffer->limit : LIMIT_DEFAULT;
	int r;

	if (buffer->len > limit || len > limit - buffer->len)
		return -EMSGSIZE;
	if (len == 0)
		return 0;
	if (len > buffer->size - buffer->len) {
		r = grow(buffer, buffer->len + len, limit);
		if (r < 0)
			return r;
	}
	memcpy(buffer->bytes + buffer->len, bytes, len);
	buffer->len += len;
	return 0;
}

bool
rota_text_is(const struct rota_text *text, const char *other)
{
	size_t len = strlen(other);

	return text->len == len && (len == 0 || memcmp(text->bytes, other, len) == 0);
}

int
rota_text_copy(const struct rota_text *text, char *buffer, size_t size)
{
	if (text->len >= size)
		return -ENOSPC;
	if (text->len > 0 && memchr(text->bytes, '\0', text->len) != NULL)
		return -EINVAL;
	if (text->len > 0)
		memcpy(buffer, text->bytes, text->len);
	buffer[text->len] = '\0';
	return 0;
}
