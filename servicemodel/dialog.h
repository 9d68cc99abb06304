/* SPDX-License-Identifier: MIT */
/*
 * A dialog inside: what its files share.
 *
 *   dialog.c          dialogs: as a protocol of a service
 *   dialog_reply.c    replies and refusals
 *   dialog_request.c  requests: taken, found, cancelled, and given back
 *
 * A request that is replied to in on_request is in no list and no table. One that is not is in its
 * session's list and, by id, in its table, until it is over; with a reply that has to wait it is in
 * the same list (ordered) or in that of the replies (by id).
 */
#ifndef ROTA_PRIVATE_DIALOG_H
#define ROTA_PRIVATE_DIALOG_H

#include <rota/dialog.h>
#include <rota/timer.h>

#include "dialog_wire.h"
#include "list.h"
#include "service.h"

enum rota__request_state {
	ROTA__REQUEST_NONE,      /* in the pool */
	ROTA__REQUEST_FRESH,     /* in on_request */
	ROTA__REQUEST_OVER,      /* still there, but over already */
	ROTA__REQUEST_HELD,      /* the program has it */
	ROTA__REQUEST_ANSWERED,  /* its reply waits */
	ROTA__REQUEST_CANCELLED, /* in on_cancel */
};

struct rota_request {
	struct rota_session *session;
	struct rota__asked *asked;
	struct rota_link link; /* of asked->requests or ->answers, or of the pool */
	struct rota_request *chain;
	void *data;
	rota_time deadline;
	struct rota_timer timer;
	uint32_t id;
	enum rota__request_state state;
	bool is_listed;
	bool is_refused;
	unsigned char calls; /* of the program, with it, that are on the stack */
	char *kept;          /* the payload that waits; NULL or with room for some */
	size_t kept_len;
	size_t kept_room;
};

/* What a dialog keeps for each session, behind the program's own bytes. */
struct rota__asked {
	struct rota_link requests; /* in the order in which they came */
	struct rota_link answers;
	struct rota_request **table; /* by id: chains; NULL: the list is searched */
	uint32_t table_size;         /* a power of two */
	uint32_t in_flight;
	size_t kept; /* bytes of replies that wait */
	bool is_leaving;
	bool is_ended; /* the peer has */
};

struct rota__dialog {
	struct rota_protocol protocol;
	const struct rota_dialog *table;
	size_t offset; /* of struct rota__asked in a session's bytes */
	size_t max_in_flight;
	size_t output_high;
	struct rota_link pool;
	size_t pool_count;
};

static inline struct rota__dialog *
rota__dialog_of(const struct rota_session *session)
{
	return rota_container_of(session->service->protocol, struct rota__dialog, protocol);
}

static inline struct rota__asked *
rota__asked_of(struct rota_session *session)
{
	return (void *)((char *)(session + 1) + rota__dialog_of(session)->offset);
}

static inline bool
rota__dialog_is_by_id(const struct rota__dialog *dialog)
{
	return dialog->table->order == ROTA_DIALOG_BY_ID;
}

/* dialog_request.c */

/* Gives a request, if there is memory for it, to on_request. What that returns; or -ENOMEM. */
int rota__request_take(struct rota_session *session, uint32_t id, uint32_t left, const void *body,
	size_t len);

/* That of an id which is not over; NULL. */
struct rota_request *rota__request_find(const struct rota__asked *asked, uint32_t id);

/* on_cancel, if nobody has replied; it is over. */
void rota__request_cancel(struct rota_request *request, enum rota_cancel why);

/* It is over. Who calls the program with it gives it back. */
void rota__request_end(struct rota_request *request);

/* Gives back one that is over, or was never given to the program. */
void rota__request_put(struct rota__dialog *dialog, struct rota_request *request);

void rota__request_stop_time(struct rota_request *request);

/* All of a session are over: cancelled, or, in a forked child, forgotten. */
void rota__requests_end(struct rota_session *session, bool is_told);

/* Holds the session back, or closes it, if that is due. */
void rota__asked_look(struct rota_session *session);

/* Frees requests in the pool. */
void rota__dialog_empty_pool(struct rota__dialog *dialog);

/* dialog_reply.c */

/* Replies that wait go out as far as there is room. */
void rota__requests_flush(struct rota_session *session);

/* dialog.c */

/* A frame by id: a head, which is complete, and a body. As rota_stream_send_parts. */
int rota__dialog_send(struct rota_session *session, unsigned kind, uint32_t id,
	const struct iovec *parts, size_t count);

#endif
