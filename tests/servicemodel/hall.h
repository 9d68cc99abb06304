/* SPDX-License-Identifier: MIT */
/*
 * What the tests of services share: a service whose sessions write down what happens to them, and
 * answer each frame with itself.
 */
#ifndef ROTA_TESTS_HALL_H
#define ROTA_TESTS_HALL_H

#include <rota/address.h>
#include <rota/service.h>

#include "rig.h"

#define HALL_TEXT 8192

enum hall_event {
	HALL_OPEN,
	HALL_FRAME,
	HALL_DATA,
	HALL_DRAIN,
	HALL_END,
	HALL_BAD_FRAME,
	HALL_LEAVE,
	HALL_CLOSE,
	HALL_EVENTS,
};

struct hall {
	struct rota_protocol protocol; /* with lines of 64 bytes; change it before hall_open */
	struct rota_service_options options;
	/* Called last in each handler, if it is set. */
	void (*act)(struct hall *hall, enum hall_event event, struct rota_session *session);
	void *userdata;
	int result; /* what on_frame returns, and is_silent that it answers nothing */
	bool is_silent;

	struct rota_service *service;
	char address[ROTA_ADDRESS_TEXT];

	/* What happened: */
	int events[HALL_EVENTS];
	char said[HALL_TEXT]; /* the frames, each ended by '|' */
	size_t said_len;
	struct rota_session *last; /* that something happened to; it may be over */
	enum rota_phase phase;     /* of the last close */
	enum rota_reason reason;
	int error;
	char text[256]; /* of the last close, or bad frame */
	int paused;     /* calls of on_paused, and the last one's error */
	int paused_error;
	int drained;
	struct rota_service_report report; /* without the list */
	struct rota_service_left first_left;
};

void hall_init(struct hall *hall);
/* Serves on 127.0.0.1, on a port of its own; fails the test if it cannot. */
void hall_open(struct rota_context *ctx, struct hall *hall);
/* Frees the service, and has the rest of its closes told. */
void hall_close(struct rota_context *ctx, struct hall *hall);
/* The same with a peer, which is connected to it, and is closed. */
int hall_enter(struct rota_context *ctx, struct hall *hall);
void hall_leave(struct rota_context *ctx, struct hall *hall, int peer);
/* Turns until that happened so often; fails the test if it does not. */
void hall_expect(struct rota_context *ctx, struct hall *hall, enum hall_event event, int times);
/* Turns until nobody is left. */
void hall_expect_empty(struct rota_context *ctx, struct hall *hall);
/* Begins to drain; what it reports goes into the hall. */
int hall_drain(struct hall *hall, rota_time timeout);
void hall_expect_drained(struct rota_context *ctx, struct hall *hall);
/* A few turns that do not wait. */
void hall_spin(struct rota_context *ctx);

/* Reads until so many bytes have come, or the end; what it got, ended by a NUL. Takes turns. */
size_t hall_read(struct rota_context *ctx, int peer, char *buffer, size_t size, size_t len);
/*
 * Sends what is left of size bytes behind the first sent ones, as far as there is room, and takes
 * turns, until as many have come, which must be the same.
 */
void hall_echo(struct rota_context *ctx, int peer, const char *bytes, size_t size, size_t sent);
/* Whether the peer sees the end within some turns; what comes before is thrown away. */
bool hall_sees_end(struct rota_context *ctx, int peer);

#endif
