/* SPDX-License-Identifier: MIT */
/*
 * Rota: dialogs, protocols of requests and replies on a service (<rota/service.h>). The other end
 * is a client (<rota/client.h>), or whoever speaks the protocol.
 *
 * A request is replied to in on_request, which is the fast way, or at any time later. It belongs to
 * the library; its pointer is good until it is over, which exactly one of these does: a reply that
 * is accepted, a refusal, or its on_cancel, when that returns. What is done with it after is a
 * fault of the program: an assertion tells it as long as no other request has come into its place.
 *
 * Handlers are called in turns only, and every call is legal in them. All calls are for the
 * context's own thread. In a steady state no memory is allocated for a request.
 *
 * Ordered dialogs have no header: the payload of a frame is a request, or a reply, and replies go
 * out in the order of the requests. Dialogs by id have one at the front of each payload, so that
 * replies go out as they are given, and requests have a deadline and can be cancelled. All numbers
 * are big-endian:
 *
 *   1 byte   kind
 *   4 bytes  id, the client's choice, not 0, and of no other request in flight
 *
 *   kind             from    behind the id
 *   1  request       client  4 bytes: milliseconds left until its deadline, 0: none; the body
 *   2  reply         server  the body
 *   3  refusal       server  4 bytes: a code; a text
 *   4  cancel        client  nothing. That of a request which is over is ignored
 *   5  notice        both    the body. The id is 0, nothing is replied
 *   6  leaving       server  nothing. The id is 0. No further request is taken: those that come
 *                            are refused (ROTA_REFUSAL_LEAVING); when those in flight are over the
 *                            session closes, and what was not replied to by then was not taken
 *
 * A peer that breaks these rules has its session ended: reason protocol, with a text that says
 * which.
 */
#ifndef ROTA_DIALOG_H
#define ROTA_DIALOG_H

#include <rota/api.h>
#include <rota/clock.h>
#include <rota/service.h>

ROTA_BEGIN_DECLS

struct iovec;
struct rota_request;

/* Most parts of a reply. */
#define ROTA_REPLY_PARTS 16

enum rota_dialog_order {
	ROTA_DIALOG_ORDERED,
	ROTA_DIALOG_BY_ID,
};

/* Codes of refusals; those of a program begin with ROTA_REFUSAL_OWN. */
enum rota_refusal {
	ROTA_REFUSAL_LEAVING = 1, /* the service drains. The request was not taken */
	ROTA_REFUSAL_MEMORY = 2,  /* there was none for it. The request was not taken */
	ROTA_REFUSAL_OWN = 256,
};

/* Why a request is cancelled. */
enum rota_cancel {
	ROTA_CANCEL_PEER,     /* the caller wants no reply any more */
	ROTA_CANCEL_DEADLINE, /* its deadline has passed */
	ROTA_CANCEL_CLOSED,   /* its session is over */
};

/* What a dialog does with its requests. The table must outlive the service. */
struct rota_dialog {
	const char *name;    /* as struct rota_protocol's */
	size_t session_size; /* as there: rota_session_data gives these bytes */
	/*
	 * By id: one that carries any bytes, and finds the end of a frame by its length; the limit
	 * is for header and body. Its wrap is given payload NULL. rota_framing_line,
	 * rota_framing_delimiter and rota_framing_msgpack are refused.
	 */
	struct rota_framing framing;
	enum rota_dialog_order order;
	/*
	 * Requests of a session that are not over at once; with so many, it is not read. 0: 1024.
	 * At most 65536.
	 */
	size_t max_in_flight;

	/*
	 * A request; bytes are good until this returns. Reply, refuse, or keep the request and do
	 * it later. Returns 0, or a negative error, which closes the session at once (reason
	 * local). Must be set.
	 */
	int (*on_request)(struct rota_request *request, const void *bytes, size_t len,
		void *userdata);

	/*
	 * Nobody waits for the reply any more. The request is over when this returns; to reply to
	 * it here does nothing. Not called for requests that were replied to. NULL: they are
	 * over, and whoever keeps one does not know.
	 */
	void (*on_cancel)(struct rota_request *request, enum rota_cancel why, void *userdata);

	/*
	 * Ordered dialogs have no refusals: rota_request_refuse calls this, which replies with what
	 * the protocol has for it. NULL, or without a reply: the session is cut off.
	 */
	void (*on_refuse)(struct rota_request *request, uint32_t code, const char *text,
		void *userdata);

	/* By id: a notice. Returns as on_request. NULL: thrown away. */
	int (*on_notice)(struct rota_session *session, const void *bytes, size_t len,
		void *userdata);

	/* As struct rota_protocol's; every request of the session has been cancelled before. */
	void (*on_open)(struct rota_session *session, void *userdata);
	void (*on_bad_frame)(struct rota_session *session, int error, const char *text,
		void *userdata);
	void (*on_close)(struct rota_session *session, const struct rota_close_info *why,
		void *userdata);
};

/*
 * Begins a service that is a dialog: rota_serve, with the same options and the same errors; also
 * -EINVAL for a dialog that makes no sense. When the service drains, a session takes no further
 * request (by id: it says so, and refuses those that still come), and closes when those in flight
 * are over: none that was taken is lost. A peer that ends its side gets what it has asked for
 * first, too.
 */
ROTA_API int rota_dialog_serve(struct rota_context *ctx, const struct rota_service_options *options,
	const struct rota_dialog *dialog, void *userdata, struct rota_service **ret_service);

/*
 * Replies: the bytes, or those of count parts (<sys/uio.h>) one behind the other, are the reply's
 * body. They are copied. Returns 0, and the request is over: the reply goes out in its turn (in an
 * ordered dialog, behind those to earlier requests; otherwise when there is room), unless the
 * session ends before. Otherwise the request is not over: -EMSGSIZE for a body that is too long,
 * -ROTA_EFRAME for one that the framing cannot carry; -EINVAL for more than ROTA_REPLY_PARTS;
 * -ENOMEM.
 *
 * What has to wait is kept. While a session's kept replies and unsent output come to
 * output_high (<rota/stream.h>) it is not read.
 */
ROTA_API int rota_request_reply(struct rota_request *request, const void *bytes, size_t len);
ROTA_API int rota_request_reply_parts(struct rota_request *request, const struct iovec *parts,
	size_t count);

/*
 * Refuses: the caller is told code, which is a program's own and not 0, and text (NULL: none), cut
 * to 255 bytes. The request is over. When there is no memory to tell it the session is cut off.
 */
ROTA_API void rota_request_refuse(struct rota_request *request, uint32_t code, const char *text);

/* When nobody waits for the reply any more, an instant of rota_context_now; ROTA_NEVER: none. */
ROTA_API rota_time rota_request_deadline(const struct rota_request *request);

ROTA_API struct rota_session *rota_request_session(const struct rota_request *request);

/* A pointer of the program's; NULL at first. */
ROTA_API void rota_request_set_data(struct rota_request *request, void *data);
ROTA_API void *rota_request_data(const struct rota_request *request);

/* How many requests of a session are not over, or have a reply that waits. */
ROTA_API size_t rota_dialog_in_flight(struct rota_session *session);

/*
 * Sends something that nobody asked for: by id, a notice; in an ordered dialog a payload, before
 * replies that wait. As rota_session_send, whose errors it returns.
 */
ROTA_API int rota_dialog_notify(struct rota_session *session, const void *bytes, size_t len);

ROTA_END_DECLS

#endif
