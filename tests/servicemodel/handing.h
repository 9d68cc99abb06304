/* SPDX-License-Identifier: MIT */
/*
 * What the tests of handovers share: an old process that writes down what it is told, the path it
 * offers at, in a directory of the test program's own, and new processes of one packet after the
 * other. All of them are this process; those that wait take turns of the one context.
 */
#ifndef ROTA_TESTS_HANDING_H
#define ROTA_TESTS_HANDING_H

#include <sys/types.h>

#include <rota/handover.h>

#include "rig.h"
#include "scratch.h"

enum handing_event {
	HANDING_ASKED,
	HANDING_TAKEN,
	HANDING_FAILED,
};

struct handing {
	struct rota_context *ctx;
	struct rota_handover *handover;
	struct rota_handover_options options; /* change them before handing_offer */
	struct rota_listener *listeners[ROTA_HANDOVER_LISTENERS];
	size_t count; /* that listeners returns, also if it is too large */
	/* Called last in each handler, if it is set. */
	void (*act)(struct handing *handing, enum handing_event event);
	void *userdata;

	/* What happened: */
	int asked;
	int taken;
	int failed;
	pid_t pid; /* as on_taken or on_failed last said */
	int error;
};

extern const struct rota_handover_handlers handing_handlers;

/* Where it is offered, and a unix socket beside it: their directory is the test program's own. */
extern char handing_path[64];
extern char handing_unix[80]; /* as an address */

void handing_init(struct rota_context *ctx, struct handing *handing);

/* One more listener to be handed over, that echoes. Its door. */
struct door *handing_listen(struct handing *handing, const char *text);

/* rota_handover_offer at handing_path. */
int handing_offer(struct handing *handing);

/* An old process with one listener, on a port of its own, that offers itself. */
void handing_offer_one(struct rota_context *ctx, struct handing *handing);

/* rota_takeover at handing_path, that does not fail. */
struct rota_takeover *handing_take_over(struct rota_context *ctx);

/*
 * A listener of the new process, that echoes, on what the configuration says. What
 * rota_takeover_take is to return is expected: 1 if its socket is the old one's. Its door.
 */
struct door *handing_take(struct rota_context *ctx, struct rota_takeover *takeover,
	const char *text, int expected);

/* Whether something is at a path, or at the path of a unix address. */
bool handing_is_there(const char *path);

/* A new process by hand: connects and says text, NULL: nothing. Its connection. */
int handing_say(const char *text);

/*
 * The next packet on it, after turns; at most size - 1 bytes, ended by a NUL. How many bytes; 0 or
 * a negative errno is the end. Descriptors that come with it are closed, and counted.
 */
ssize_t handing_hear(struct rota_context *ctx, int fd, char *packet, size_t size, int *ret_count);

/* That an echo answers at an address. */
void handing_check_echo(struct rota_context *ctx, const char *text);

/* scratch_make, and the paths above in it. */
int handing_make_directory(void **state);

#endif
