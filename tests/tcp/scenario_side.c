/* SPDX-License-Identifier: MIT */
/*
 * Sides: see scenario_side.h.
 */
#include "scenario_side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"
#include "trace.h"

static const struct side *called;
static bool are_calls_forbidden;

void
side_forbid_calls(bool is_forbidden)
{
	are_calls_forbidden = is_forbidden;
}

static void
note(const struct side *side, const char *what)
{
	if (side->is_quiet)
		return;
	if (side->name != NULL)
		trace("%s.%s", side->name, what);
	else
		trace("%s", what);
}

/* Every handler begins and ends so. */
static void
enter(struct side *side, struct rota_stream *stream)
{
	assert_false(are_calls_forbidden);
	assert_null(called);
	assert_int_equal(side->closes, 0);
	called = side;
	side->stream = stream;
	assert_ptr_equal(rota_stream_userdata(stream), side);
}

static void
leave(void)
{
	called = NULL;
}

static void
act(struct side *side, side_act_fn *what)
{
	if (what != NULL)
		what(side);
}

static void
on_open(struct rota_stream *stream, void *userdata)
{
	struct side *side = userdata;

	enter(side, stream);
	assert_int_equal(side->opens++, 0);
	assert_int_equal(side->offers + side->drains + side->ends, 0);
	assert_true(rota_stream_is_open(stream));
	note(side, "open");
	act(side, side->at_open);
	leave();
}

void
side_keep(struct side *side, const char *bytes, size_t len)
{
	while (side->received_room - side->received_len < len) {
		side->received_room = side->received_room > 0 ? 2 * side->received_room : 256;
		side->received = realloc(side->received, side->received_room);
		assert_non_null(side->received);
	}
	if (len > 0)
		memcpy(side->received + side->received_len, bytes, len);
	side->received_len += len;
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct side *side = userdata;
	ssize_t taken = (ssize_t)len;

	enter(side, stream);
	assert_int_equal(side->opens, 1);
	assert_true(len > 0);
	side->offers++;
	side->offered = len;
	if (!side->is_quiet && side->name != NULL)
		trace("%s.data:%zu", side->name, len);
	else if (!side->is_quiet)
		trace("data:%zu", len);
	if (side->at_data != NULL)
		taken = side->at_data(side, bytes, len);
	if (taken > 0)
		side_keep(side, bytes, (size_t)taken);
	leave();
	return taken;
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	struct side *side = userdata;

	enter(side, stream);
	assert_int_equal(side->opens, 1);
	side->drains++;
	note(side, "drain");
	act(side, side->at_drain);
	leave();
}

static void
on_end(struct rota_stream *stream, void *userdata)
{
	struct side *side = userdata;

	enter(side, stream);
	assert_int_equal(side->opens, 1);
	assert_int_equal(side->ends++, 0);
	note(side, "end");
	act(side, side->at_end);
	leave();
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct side *side = userdata;

	enter(side, stream);
	assert_false(rota_stream_is_open(stream));
	assert_non_null(strstr(why->text, rota_reason_name(why->reason)));
	assert_null(strchr(why->text, '\n'));
	side->closes++;
	side->why = *why;
	snprintf(side->text, sizeof side->text, "%s", why->text);
	side->why.text = side->text;
	if (!side->is_quiet && side->name != NULL)
		trace("%s.close:%s", side->name, rota_reason_name(why->reason));
	else if (!side->is_quiet)
		trace("close:%s", rota_reason_name(why->reason));
	act(side, side->at_close);
	side->stream = NULL;
	leave();
}

const struct rota_stream_handlers side_handlers = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

const struct rota_stream_handlers side_handlers_without_end = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
};

void
side_fini(struct side *side)
{
	free(side->received);
	side->received = NULL;
	side->received_len = side->received_room = 0;
}

bool
are_connected(int fd, int peer)
{
	struct sockaddr_storage theirs = { 0 };
	struct sockaddr_storage ours = { 0 };
	socklen_t their_length = sizeof theirs;
	socklen_t our_length = sizeof ours;

	/* One that was reset does not tell any more whose it was: ours, if ours was reset too. */
	if (getpeername(fd, (struct sockaddr *)&theirs, &their_length) < 0)
		return getpeername(peer, (struct sockaddr *)&theirs, &their_length) < 0;
	if (getsockname(peer, (struct sockaddr *)&ours, &our_length) < 0)
		return true;
	return their_length == our_length && memcmp(&theirs, &ours, our_length) == 0;
}

void
dismiss(struct rota_stream *stranger)
{
	rota_stream_set_handlers(stranger, NULL, NULL);
	rota_stream_abort(stranger);
}

void
side_reset(void)
{
	called = NULL;
	are_calls_forbidden = false;
}

char
pattern_at(size_t offset)
{
	return (char)(offset * 7 + (offset >> 8) * 13 + (offset >> 16) * 31 + 1);
}

void
pattern_fill(char *bytes, size_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern_at(offset + i);
}

size_t
pattern_check(const char *bytes, size_t offset, size_t len)
{
	size_t i = 0;

	while (i < len && bytes[i] == pattern_at(offset + i))
		i++;
	return i;
}
