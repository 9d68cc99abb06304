/* SPDX-License-Identifier: MIT */
/*
 * A service inside: what its files share. service.c has the listeners and the service itself,
 * session.c what happens on a session's stream, session_frames.c its frames, service_drain.c the
 * end.
 */
#ifndef ROTA_PRIVATE_SERVICE_H
#define ROTA_PRIVATE_SERVICE_H

#include <sys/uio.h>

#include <rota/admission.h>
#include <rota/service.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "follower.h"
#include "list.h"

/* It stands before the protocol's bytes of each stream's session: an idle one costs no more. */
struct rota_session {
	struct rota_service *service;
	struct rota_link link;      /* of service->sessions */
	struct rota_source *source; /* in the service's admission */
	struct rota__rare *rare;    /* what few sessions have */
	struct rota_framing_state state;
	uint32_t born;  /* seconds from the service's beginning to its own */
	int16_t error;  /* that a frame was bad with; 0 */
	uint16_t flags; /* ROTA__SESSION_… */
};
_Static_assert(sizeof(struct rota_session) <= 64, "what an idle session may cost");
_Static_assert(sizeof(struct rota_session) % 16 == 0, "the protocol's bytes stand behind it");

#define ROTA__SESSION_REFUSED (1u << 0) /* the protocol never hears of it */
#define ROTA__SESSION_COUNTED (1u << 1) /* among the sessions there are */
#define ROTA__SESSION_PAUSED (1u << 2)
#define ROTA__SESSION_HAS_REST (1u << 3) /* input was left: a part of a frame, or what must wait */
#define ROTA__SESSION_NEEDS (1u << 4)    /* the stream was told how much a frame needs */
#define ROTA__SESSION_LEAVING (1u << 5)  /* it is closed once nothing is left */
#define ROTA__SESSION_HELD (1u << 6)     /* as paused, by a model */

struct rota__rare {
	const struct rota_framing *framing; /* NULL: the service's */
	const char *fault;                  /* what the peer did wrong; NULL: the frame itself */
	bool has_peer;
	struct rota_address peer; /* as a PROXY header said */
};

struct rota__drain {
	rota_service_drained_fn *on_drained;
	void *userdata;
	struct rota_service_report report;
	struct rota_service_left left[ROTA_SERVICE_LEFT];
};

/* What stands between a service and a program, as a dialog does; it made the protocol. */
struct rota__model {
	void (*forget)(struct rota_session *session);  /* it is dropped: no on_close follows */
	void (*dispose)(struct rota_service *service); /* as the last that happens to it */
};

struct rota_service {
	struct rota_context *ctx;        /* NULL once it was freed */
	const struct rota__model *model; /* NULL: none */
	const struct rota_protocol *protocol;
	struct rota_framing framing; /* its limit is that which holds */
	void *userdata;
	struct rota_service_options options;
	struct rota_service_meter *meter;
	struct rota_service_meter own_meter;
	struct rota_admission *admission;
	struct rota__follower follower;
	struct rota_link sessions;
	struct rota_link listeners; /* of struct rota__listening */
	size_t sessions_count;
	rota_time began;

	/* accepting at a rate: what may be accepted now, and when that was so */
	double tokens;
	rota_time filled;
	struct rota_timer rate_timer;

	struct rota__drain *drain;
	struct rota_timer drain_timer;
	struct rota_task leave_task;
	bool is_draining; /* also when it has drained */
	bool is_freed;
	unsigned calls; /* of its user that are on the stack */
};

struct rota__listening {
	struct rota_link link;
	struct rota_service *service;
	struct rota_listener *listener;
	struct rota_address address;
};

/* session.c */

extern const struct rota_stream_handlers rota__session_handlers;

/* A stream was accepted; its session is zeroed. */
void rota__session_accepted(struct rota_service *service, struct rota_stream *stream);

/* It is to come to an end because the service does. */
void rota__session_leave(struct rota_session *session);

/* It is dropped, as its stream was. */
void rota__session_forget(struct rota_session *session);

/* What few sessions have, from now on this one too; NULL without memory. */
struct rota__rare *rota__session_rare(struct rota_session *session);

/* session_frames.c */

/* The framing that it has now. */
const struct rota_framing *rota__session_framing(const struct rota_session *session);

/*
 * Gives as many frames as there are and may be given. Returns how many bytes they took, or what a
 * handler returned.
 */
ssize_t rota__session_give_frames(struct rota_session *session, const char *bytes, size_t len);

/* Tells it, and closes the session. */
void rota__session_end_by_bad_frame(struct rota_session *session, int error);

/*
 * For models. The last are of the payload: NULL where the framing does not look at it, and its
 * parts, ROTA__SEND_PARTS of them at most. As rota_session_send.
 */
#define ROTA__SEND_PARTS 18
int rota__session_send_parts(struct rota_session *session, const void *payload,
	const struct iovec *parts, size_t count);
/* Whether that could be sent, if there were room: 0, or what rota_framing_wrap returns. */
int rota__session_check(const struct rota_session *session, const void *payload, size_t len);
/* Whether its framing looks at payloads; the longest that may be sent. */
bool rota__session_looks(const struct rota_session *session);
size_t rota__session_send_limit(const struct rota_session *session);
/* Gives no frames, as long as it is held, whatever its user says. */
void rota__session_hold(struct rota_session *session, bool is_held);
/* Notes what the peer did wrong, a static string. Returns -EPROTO, for on_frame. */
int rota__session_fault(struct rota_session *session, const char *text);

/* service.c */

/* Around each call of the user's, which may free the service; it may be gone behind the latter. */
void rota__service_enter(struct rota_service *service);
void rota__service_left(struct rota_service *service);

void rota__service_each_listener(struct rota_service *service,
	void (*what)(struct rota_listener *listener));

/* service_drain.c */

void rota__service_init_drain(struct rota_service *service);
/* Whether it has drained is looked at when a session or listener has gone. */
void rota__service_look_drained(struct rota_service *service);
/* Nobody is told. */
void rota__service_forget_drain(struct rota_service *service);

#endif
