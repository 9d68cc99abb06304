/* SPDX-License-Identifier: MIT */
/*
 * See hall.h.
 */
#include "hall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "raw.h"

static void
happened(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	hall->events[event]++;
	hall->last = session;
	if (hall->act != NULL)
		hall->act(hall, event, session);
}

static void
on_open(struct rota_session *session, void *userdata)
{
	happened(userdata, HALL_OPEN, session);
}

static int
on_frame(struct rota_session *session, const void *payload, size_t len, void *userdata)
{
	struct hall *hall = userdata;

	if (hall->said_len + len + 1 < sizeof hall->said) {
		if (len > 0)
			memcpy(hall->said + hall->said_len, payload, len);
		hall->said_len += len;
		hall->said[hall->said_len++] = '|';
		hall->said[hall->said_len] = '\0';
	}
	if (!hall->is_silent)
		assert_int_equal(rota_session_send(session, payload, len), 0);
	happened(hall, HALL_FRAME, session);
	return hall->result;
}

static void
on_drain(struct rota_session *session, void *userdata)
{
	happened(userdata, HALL_DRAIN, session);
}

static void
on_bad_frame(struct rota_session *session, int error, const char *text, void *userdata)
{
	struct hall *hall = userdata;

	hall->error = error;
	snprintf(hall->text, sizeof hall->text, "%s", text);
	happened(hall, HALL_BAD_FRAME, session);
}

static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	struct hall *hall = userdata;

	hall->phase = why->phase;
	hall->reason = why->reason;
	hall->error = why->error;
	snprintf(hall->text, sizeof hall->text, "%s", why->text);
	happened(hall, HALL_CLOSE, session);
}

static void
on_paused(struct rota_service *service, int error, void *userdata)
{
	struct hall *hall = userdata;

	(void)service;
	hall->paused++;
	hall->paused_error = error;
}

void
hall_init(struct hall *hall)
{
	const struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;

	*hall = (struct hall){
		.protocol = {
			.name = "hall",
			.framing = { &rota_framing_line, 64, NULL, 0, NULL, 0 },
			.on_open = on_open,
			.on_frame = on_frame,
			.on_drain = on_drain,
			.on_bad_frame = on_bad_frame,
			.on_close = on_close,
		},
		.options = options,
	};
	hall->options.on_paused = on_paused;
}

void
hall_open(struct rota_context *ctx, struct hall *hall)
{
	const char *const listen[] = { "127.0.0.1:0", NULL };
	struct rota_address address;

	hall->options.listen = listen;
	assert_int_equal(rota_serve(ctx, &hall->options, &hall->protocol, hall, &hall->service), 0);
	hall->options.listen = NULL;
	assert_int_equal(rota_listener_address(rota_service_listener(hall->service, 0), &address),
		0);
	rota_address_format(&address, hall->address, sizeof hall->address);
}

struct wanted {
	struct hall *hall;
	enum hall_event event;
	int times;
};

static bool
has_happened(struct rota_context *ctx, void *userdata)
{
	const struct wanted *wanted = userdata;

	(void)ctx;
	return wanted->hall->events[wanted->event] >= wanted->times;
}

void
hall_expect(struct rota_context *ctx, struct hall *hall, enum hall_event event, int times)
{
	struct wanted wanted = { hall, event, times };

	assert_int_equal(turn_until(ctx, has_happened, &wanted), 0);
	assert_int_equal(hall->events[event], times);
}

static bool
is_empty(struct rota_context *ctx, void *userdata)
{
	const struct hall *hall = userdata;

	(void)ctx;
	return rota_service_sessions(hall->service) == 0;
}

void
hall_expect_empty(struct rota_context *ctx, struct hall *hall)
{
	assert_int_equal(turn_until(ctx, is_empty, hall), 0);
}

static void
on_drained(struct rota_service *service, const struct rota_service_report *report, void *userdata)
{
	struct hall *hall = userdata;

	assert_ptr_equal(service, hall->service);
	assert_int_equal(rota_service_sessions(service), 0);
	hall->drained++;
	hall->report = *report;
	if (report->left_count > 0)
		hall->first_left = report->left[0];
	hall->report.left = NULL;
}

int
hall_drain(struct hall *hall, rota_time timeout)
{
	int before = hall->drained;
	int r = rota_service_drain(hall->service, timeout, on_drained, hall);

	assert_int_equal(hall->drained, before);
	return r;
}

static bool
has_drained(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return ((struct hall *)userdata)->drained > 0;
}

void
hall_expect_drained(struct rota_context *ctx, struct hall *hall)
{
	assert_int_equal(turn_until(ctx, has_drained, hall), 0);
	assert_int_equal(hall->drained, 1);
}

void
hall_spin(struct rota_context *ctx)
{
	for (int i = 0; i < 5; i++)
		assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
}

void
hall_close(struct rota_context *ctx, struct hall *hall)
{
	rota_service_free(hall->service);
	hall_spin(ctx);
}

int
hall_enter(struct rota_context *ctx, struct hall *hall)
{
	hall_open(ctx, hall);
	return raw_connect(hall->address);
}

void
hall_leave(struct rota_context *ctx, struct hall *hall, int peer)
{
	close(peer);
	hall_close(ctx, hall);
}

struct reading {
	int peer;
	char *buffer;
	size_t size;
	size_t len;
	size_t wanted;
	bool has_ended;
};

static bool
has_read(struct rota_context *ctx, void *userdata)
{
	struct reading *reading = userdata;
	ssize_t n = 1;

	(void)ctx;
	while (reading->len < reading->wanted && n > 0) {
		n = raw_receive(reading->peer, reading->buffer + reading->len,
			reading->wanted - reading->len);
		if (n > 0)
			reading->len += (size_t)n;
		else if (n != -EAGAIN)
			reading->has_ended = true;
	}
	return reading->len == reading->wanted || reading->has_ended;
}

size_t
hall_read(struct rota_context *ctx, int peer, char *buffer, size_t size, size_t len)
{
	struct reading reading = { peer, buffer, size, 0, len, false };

	assert_true(len < size);
	assert_int_equal(turn_until(ctx, has_read, &reading), 0);
	buffer[reading.len] = '\0';
	return reading.len;
}

void
hall_echo(struct rota_context *ctx, int peer, const char *bytes, size_t size, size_t sent)
{
	char *answer = malloc(size);
	size_t got = 0;

	assert_non_null(answer);
	while (got < size) {
		ssize_t n = send(peer, bytes + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		hall_spin(ctx);
		n = raw_receive(peer, answer + got, size - got);
		assert_true(n > 0 || n == -EAGAIN);
		got += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(bytes, answer, size);
	free(answer);
}

static bool
has_ended(struct rota_context *ctx, void *userdata)
{
	char buffer[4096];
	ssize_t n;

	(void)ctx;
	do {
		n = raw_receive(*(int *)userdata, buffer, sizeof buffer);
	} while (n > 0);
	return n != -EAGAIN;
}

bool
hall_sees_end(struct rota_context *ctx, int peer)
{
	return turn_until(ctx, has_ended, &peer) == 0;
}
