/* SPDX-License-Identifier: MIT */
/*
 * Rota: services. A service accepts connections on its listeners, and gives each a session: the
 * stream, with bytes of the protocol's own beside it. It keeps the limits, reads PROXY headers,
 * cuts input into frames, counts, and ends in order.
 *
 * A session belongs to the service: its pointer is good until its on_close has returned. What can
 * be done with streams (<rota/stream.h>) can be done with a session's, except that its handlers and
 * userdata are the service's. Handlers are called in turns only, and every call is legal in them.
 * All calls are for the context's own thread.
 */
#ifndef ROTA_SERVICE_H
#define ROTA_SERVICE_H

#include <rota/api.h>
#include <rota/cidr.h>
#include <rota/framing.h>
#include <rota/listener.h>
#include <rota/service_meter.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_service;
struct rota_session;

/*
 * What a service does with its sessions. The table must outlive the service. Every handler may be
 * NULL; userdata is what rota_serve was given.
 */
struct rota_protocol {
	const char *name;    /* in messages and meters; NULL: "service" */
	size_t session_size; /* bytes of the protocol's own in each session, zeroed */
	/*
	 * How input is cut into frames for on_frame; ops NULL: it comes by on_data. What is sent is
	 * held to its limit too, or to its send_limit
	 */
	struct rota_framing framing;

	/* The session is open: connected, PROXY header read, shaken hands. */
	void (*on_open)(struct rota_session *session, void *userdata);

	/*
	 * One frame; its payload is good until this returns. Returns 0, or a negative error, which
	 * closes the session at once, as that of a stream's on_data. No further frame is given
	 * while the session is paused or its output is full, so that what is answered is never
	 * refused.
	 */
	int (*on_frame)(struct rota_session *session, const void *payload, size_t len,
		void *userdata);

	/* Without a framing: as a stream's on_data. */
	ssize_t (*on_data)(struct rota_session *session, const void *bytes, size_t len,
		void *userdata);

	/* As a stream's. */
	void (*on_drain)(struct rota_session *session, void *userdata);

	/* As a stream's. A frame that was not whole is told by on_bad_frame, not here. */
	void (*on_end)(struct rota_session *session, void *userdata);

	/*
	 * What has come is no frame (-ROTA_EFRAME), is longer than may be (-EMSGSIZE), or ended in
	 * its middle (-ROTA_ETRUNCATED). text is a line that says so and names the limit, good
	 * until this returns. The session is closed when it does, after what is sent here.
	 */
	void (*on_bad_frame)(struct rota_session *session, int error, const char *text,
		void *userdata);

	/*
	 * The service drains: come to an end. Say goodbye, finish what is being done, and call
	 * rota_session_close. NULL: the session is closed as soon as no frame is half there.
	 */
	void (*on_leave)(struct rota_session *session, void *userdata);

	/*
	 * The session is over: exactly once, last; also when it was never open. why has the reason
	 * limit or protocol, the error and the text when a frame was bad. Of connections that were
	 * refused, as their source has too many, the protocol never hears.
	 */
	void (*on_close)(struct rota_session *session, const struct rota_close_info *why,
		void *userdata);
};

/* Begin with ROTA_SERVICE_OPTIONS_INIT, whose values are in brackets. */
struct rota_service_options {
	size_t size; /* of this struct, set by _INIT */
	/* addresses (<rota/address.h>), behind the last one NULL [NULL: none yet] */
	const char *const *listen;
	/*
	 * Of the listeners and, in it, of the streams: TLS, timeouts, marks. Its admission,
	 * stream.handlers and stream.session_size are the service's own; stream.input_limit is
	 * raised to what the longest frame needs.
	 */
	struct rota_listener_options listener;

	size_t max_sessions; /* at once; 0: as many as descriptors allow (<rota/admission.h>) [0] */
	size_t max_per_source; /* of one source; more are cut off; 0: no limit [0] */
	unsigned accept_rate;  /* new ones a second; more wait in the backlog; 0: no limit [0] */
	unsigned accept_burst; /* at once after a rest; 0: as accept_rate, at least 64 [0] */

	/*
	 * Peers that begin with a PROXY header, and must (<rota/proxy_protocol.h>); copied [none]
	 */
	const struct rota_cidr *proxies;
	size_t proxies_count;

	/*
	 * Where it counts: somewhere else, as memory shared between processes; it must outlive the
	 * service. It is added to, not cleared [NULL: in the service]
	 */
	struct rota_service_meter *meter;

	/* A listener has paused for a shortage, as its on_paused says [NULL] */
	void (*on_paused)(struct rota_service *service, int error, void *userdata);
	/* A listener has ended because the system failed; the others stay [NULL] */
	void (*on_listener_lost)(struct rota_service *service, const struct rota_address *address,
		const struct rota_close_info *why, void *userdata);
};

/* clang-format off */
#define ROTA_SERVICE_OPTIONS_INIT \
	{ sizeof(struct rota_service_options), NULL, ROTA_LISTENER_OPTIONS_INIT, 0, 0, 0, 0, \
		NULL, 0, NULL, NULL, NULL }
/* clang-format on */

/*
 * Begins a service. options (NULL for the defaults) are copied. Free it with rota_service_free.
 *
 * Returns 0; what rota_listen returns for the first address that cannot be listened on (nothing is
 * listened on then, and each fd:N before it is closed), or rota_admission_new; -EINVAL for a
 * protocol or options that make no sense: a bad framing, on_frame without a framing or on_data with
 * one, an admission in the options; -ENOMEM.
 */
ROTA_API int rota_serve(struct rota_context *ctx, const struct rota_service_options *options,
	const struct rota_protocol *protocol, void *userdata, struct rota_service **ret_service);

/*
 * Closes its listeners and cuts off its sessions at once, whose on_close come in a turn, or in
 * rota_context_free; the service's memory goes with the last of them. Nothing else is called any
 * more. After its context was freed too. service NULL does nothing.
 */
ROTA_API void rota_service_free(struct rota_service *service);

/* One more address to listen on. 0, or what rota_listen returns; -ECANCELED once it drains. */
ROTA_API int rota_service_listen(struct rota_service *service, const char *text);

/*
 * The listeners, from 0 on, in the order they were made; NULL behind the last. A listener's
 * userdata and handlers are the service's, and so is to pause and resume it; to close one is
 * allowed.
 */
ROTA_API struct rota_listener *rota_service_listener(const struct rota_service *service,
	size_t index);

/*
 * Sessions that are accepted from now on use config (NULL: they are plain), as by
 * rota_listener_set_tls for each listener, whose errors it returns: then nothing has changed.
 */
ROTA_API int rota_service_set_tls(struct rota_service *service, struct rota_tls_config *config);

/* Somebody who was still there when a drain's time was over. */
struct rota_service_left {
	struct rota_address peer; /* as rota_session_peer */
	rota_time age;            /* since it was accepted */
	uint64_t unsent;          /* bytes that were for it */
	bool was_in_frame;        /* a frame of it was half there */
};

#define ROTA_SERVICE_LEFT 64

struct rota_service_report {
	size_t finished;                      /* sessions that came to an end by themselves */
	size_t cut;                           /* that were there when the time was over */
	const struct rota_service_left *left; /* the first of these */
	size_t left_count;                    /* how many of them: ROTA_SERVICE_LEFT at most */
};

typedef void rota_service_drained_fn(struct rota_service *service,
	const struct rota_service_report *report, void *userdata);

/*
 * Closes the listeners at once, has every session leave (on_leave), and cuts off those that are
 * still there after timeout (ROTA_NEVER: none). on_drained is called once, in a turn, when no
 * session is left, never inside this call, and not if the service is freed before; report is good
 * until it returns. Returns 0; -EALREADY while it drains; -EINVAL for a negative timeout.
 */
ROTA_API int rota_service_drain(struct rota_service *service, rota_time timeout,
	rota_service_drained_fn *on_drained, void *userdata);

/* How many sessions have not had their on_close. */
ROTA_API size_t rota_service_sessions(const struct rota_service *service);

/* Is given each session; it may close or abort any. */
typedef void rota_session_fn(struct rota_session *session, void *userdata);

/* Calls visit for every session that is open; in it sessions may be closed. */
ROTA_API void rota_service_each(struct rota_service *service, rota_session_fn *visit,
	void *userdata);

ROTA_API const struct rota_service_meter *rota_service_meter(const struct rota_service *service);
ROTA_API struct rota_context *rota_service_context(const struct rota_service *service);
ROTA_API void *rota_service_userdata(const struct rota_service *service);

/* The protocol's session_size bytes, aligned for any type; NULL when that is 0. */
ROTA_API void *rota_session_data(struct rota_session *session);
ROTA_API struct rota_stream *rota_session_stream(const struct rota_session *session);
ROTA_API struct rota_service *rota_session_service(const struct rota_session *session);

/*
 * Who is at the other end: as the PROXY header said, if there was one that says, otherwise as the
 * kernel says. 0, or as rota_stream_peer.
 */
ROTA_API int rota_session_peer(const struct rota_session *session,
	struct rota_address *ret_address);

/*
 * Sends a payload as one frame; without a framing, as it is. Takes all or nothing, as
 * rota_stream_send, whose errors it returns; also what rota_framing_wrap returns. To write many
 * frames' bytes that are wrapped already: rota_stream_send.
 */
ROTA_API int rota_session_send(struct rota_session *session, const void *payload, size_t len);

/* Ends it in order, or at once, as rota_stream_close and rota_stream_abort. Idempotent. */
ROTA_API void rota_session_close(struct rota_session *session);
ROTA_API void rota_session_abort(struct rota_session *session);

/*
 * Gives no frames or data, and reads nothing, until it is resumed. Idempotent. Use these and not
 * the stream's.
 */
ROTA_API void rota_session_pause(struct rota_session *session);
ROTA_API void rota_session_resume(struct rota_session *session);

/*
 * From the next frame on this framing holds, as after an upgrade. It is not copied and must outlive
 * the session. In on_frame and on_open, and where the session is paused; -EINVAL for a framing that
 * will not do, or one whose frames are longer than the stream's input may be; 0.
 */
ROTA_API int rota_session_set_framing(struct rota_session *session,
	const struct rota_framing *framing);

ROTA_END_DECLS

#endif
