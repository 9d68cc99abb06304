/* SPDX-License-Identifier: MIT */
/*
 * kv_reply.c - RESP2 as it goes out: see kv_resp.h.
 */
#include "kv_resp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept between two answers. */
#define ROOM_KEPT ((size_t)64 << 10)
/* A sign, a number, and CR LF. */
#define HEADER_MOST 24

void
kv_reply_clear(struct kv_reply *reply)
{
	if (reply->room > ROOM_KEPT)
		kv_reply_free(reply);
	reply->len = 0;
	reply->failed = false;
}

void
kv_reply_free(struct kv_reply *reply)
{
	free(reply->bytes);
	*reply = (struct kv_reply){ .bytes = NULL };
}

static bool
grow(struct kv_reply *reply, size_t len)
{
	size_t room = reply->room > 0 ? reply->room : ROOM_KEPT;
	char *bytes = NULL;

	while (room < KV_REPLY_MOST && room - reply->len < len)
		room *= 2;
	if (room - reply->len >= len)
		bytes = realloc(reply->bytes, room);
	if (!bytes) {
		reply->failed = true;
		return false;
	}
	reply->bytes = bytes;
	reply->room = room;
	return true;
}

/* Where len more bytes may be written; NULL when there is no room for them. */
static inline char *
reserve(struct kv_reply *reply, size_t len)
{
	if (reply->failed || (reply->room - reply->len < len && !grow(reply, len)))
		return NULL;
	return reply->bytes + reply->len;
}

/* Writes a sign, a number, and CR LF. Returns where they end. */
static inline char *
write_header(char *at, char sign, int64_t number)
{
	uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	*at++ = sign;
	if (number < 0)
		*at++ = '-';
	while (count > 0)
		*at++ = digits[--count];
	*at++ = '\r';
	*at++ = '\n';
	return at;
}

static void
put_header(struct kv_reply *reply, char sign, int64_t number)
{
	char *at = reserve(reply, HEADER_MOST);

	if (at)
		reply->len = (size_t)(write_header(at, sign, number) - reply->bytes);
}

void
kv_reply_raw(struct kv_reply *reply, const void *bytes, size_t len)
{
	char *at = reserve(reply, len);

	if (!at)
		return;
	memcpy(at, bytes, len);
	reply->len += len;
}

void
kv_reply_status(struct kv_reply *reply, const char *word)
{
	kv_reply_raw(reply, "+", 1);
	kv_reply_raw(reply, word, strlen(word));
	kv_reply_raw(reply, "\r\n", 2);
}

void
kv_reply_integer(struct kv_reply *reply, int64_t number)
{
	put_header(reply, ':', number);
}

void
kv_reply_bulk(struct kv_reply *reply, const void *bytes, size_t len)
{
	char *at = reserve(reply, HEADER_MOST + len + 2);

	if (!at)
		return;
	at = write_header(at, '$', (int64_t)len);
	memcpy(at, bytes, len);
	at += len;
	*at++ = '\r';
	*at++ = '\n';
	reply->len = (size_t)(at - reply->bytes);
}

void
kv_reply_word(struct kv_reply *reply, const char *word)
{
	kv_reply_bulk(reply, word, strlen(word));
}

void
kv_reply_null(struct kv_reply *reply)
{
	put_header(reply, '$', -1);
}

void
kv_reply_array(struct kv_reply *reply, size_t count)
{
	put_header(reply, '*', (int64_t)count);
}

void
kv_reply_error(struct kv_reply *reply, const char *format, ...)
{
	char text[512];
	va_list arguments;
	size_t len;
	size_t i;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	len = strlen(text);
	while (len > 0 && (text[len - 1] == '\r' || text[len - 1] == '\n'))
		len--;
	for (i = 0; i < len; i++) {
		if (text[i] == '\r' || text[i] == '\n')
			text[i] = ' ';
	}
	kv_reply_raw(reply, "-", 1);
	kv_reply_raw(reply, text, len);
	kv_reply_raw(reply, "\r\n", 2);
}
