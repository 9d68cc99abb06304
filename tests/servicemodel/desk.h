/* SPDX-License-Identifier: MIT */
/*
 * What the tests of dialogs and clients share: a desk, which serves a dialog, and asks, which are
 * calls that write down what they came to. A desk does with a request what its first letter says:
 *
 *   e  echoes it at once        k  keeps it       r  refuses it, with code 300 and its text
 *   x  cuts its session off     c  closes its session in order, without a reply
 *   b  returns an error         anything else: as e
 */
#ifndef ROTA_TESTS_DESK_H
#define ROTA_TESTS_DESK_H

#include <rota/client.h>
#include <rota/dialog.h>

#include "rig.h"

#define DESK_KEPT 4096

struct desk {
	struct rota_dialog table; /* change it before desk_open */
	struct rota_service_options options;
	void (*act)(struct desk *desk, struct rota_request *request); /* instead of the letter */
	void *userdata;

	struct rota_service *service;
	char address[ROTA_ADDRESS_TEXT];

	/* What happened: */
	struct rota_request *kept[DESK_KEPT]; /* those that are not over, in order */
	size_t kept_count;
	int requests;
	int cancelled[3];
	int notices;
	int opened;
	int closed;
	struct rota_session *last;
	enum rota_reason reason; /* of the last close */
	int error;
	char text[256];
	rota_time left; /* until the last request's deadline; ROTA_NEVER */
};

void desk_init(struct desk *desk, enum rota_dialog_order order);
/* Serves on address (NULL: 127.0.0.1:0); fails the test if it cannot. */
void desk_open(struct rota_context *ctx, struct desk *desk, const char *address);
void desk_close(struct rota_context *ctx, struct desk *desk);
/* Both, on a port of its own. */
void desk_start(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order);
/* Echoes a kept request, the first, say, with these bytes. */
void desk_reply(struct desk *desk, size_t index, const char *text);
void desk_reply_all(struct desk *desk, const char *text);

/*
 * As a peer sees it, which has no client: it is started, and the peer is its first; the peer is
 * closed, and so is the desk when it has seen that.
 */
int desk_enter(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order);
void desk_leave(struct rota_context *ctx, struct desk *desk, int peer);
/* A frame by id, the length in front: how long it is. number: -1 where the kind has none. */
size_t desk_put(unsigned char *to, unsigned kind, uint32_t id, int64_t number, const char *body);
void desk_say(int peer, unsigned kind, uint32_t id, int64_t number, const char *body);
/* Turns until something has come to the peer, which must be that frame. */
void desk_expect(struct rota_context *ctx, int peer, unsigned kind, uint32_t id, int64_t number,
	const char *body);

struct ask;
typedef void ask_act_fn(struct ask *ask);

struct ask {
	struct rota_call call;
	char body[64];
	ask_act_fn *act; /* in on_done, last */
	void *userdata;

	/* What happened: */
	int told;
	enum rota_outcome outcome;
	char reply[64];
	size_t len;
	uint32_t code;
	int error;
	char text[256];
	bool has_why;
	enum rota_reason reason;
};

/* A call that was not made. */
void ask_init(struct ask *ask, const char *body);
/* rota_call. */
int ask_call(struct rota_client *client, struct ask *ask);
/* Both, which must work. */
void ask_make(struct rota_client *client, struct ask *ask, const char *body);
/* The same with a timeout of its own; and of one that may be made again. */
void ask_make_for(struct rota_client *client, struct ask *ask, const char *body, rota_time timeout);
void ask_make_safe(struct rota_client *client, struct ask *ask, const char *body);
/* Turns until it was told: once, and this. */
void ask_expect(struct rota_context *ctx, struct ask *ask, enum rota_outcome outcome);

/* Options for a client of desks; targets has room for as many, and one more. */
struct rota_client_options desk_client(enum rota_dialog_order order, const char **targets,
	const char *target);
/* rota_client_new, rota_client_target. */
struct rota_client *make_client(struct rota_context *ctx,
	const struct rota_client_options *options);
struct rota_client_target client_target(const struct rota_client *client, size_t index);
/* A client with one connection to a desk, which is open; the desk is started before. */
struct rota_client *desk_connect(struct rota_context *ctx, struct desk *desk);
struct rota_client *desk_start_client(struct rota_context *ctx, struct desk *desk,
	enum rota_dialog_order order);
/* Frees the client, and closes the desk. */
void desk_end(struct rota_context *ctx, struct desk *desk, struct rota_client *client);

/* With a desk and a client of it, in each order. */
typedef void both_fn(struct rota_context *ctx, struct desk *desk, struct rota_client *client);
void in_both_orders(void **state, both_fn *test);

#endif
