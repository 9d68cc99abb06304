/* SPDX-License-Identifier: MIT */
/*
 * Rota: streams, connections of bytes. A stream comes from a listener (<rota/listener.h>), from
 * rota_connect (<rota/connect.h>) or from rota_stream_adopt, and belongs to the library: its
 * pointer is good until its on_close has returned, there is no free, and on_close comes exactly
 * once, last, and never inside the call that caused it.
 *
 * Handlers are called in turns only. In any of them every call is legal, on this stream and on
 * others, closing and aborting included. Sizes are in bytes. All calls are for the context's own
 * thread.
 */
#ifndef ROTA_STREAM_H
#define ROTA_STREAM_H

#include <rota/address.h>
#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_stream;
struct rota_tls_config;
struct iovec;
struct ucred;

/* How far a stream had come when it ended. */
enum rota_phase {
	ROTA_PHASE_RESOLVE,
	ROTA_PHASE_CONNECT,
	ROTA_PHASE_HANDSHAKE,
	ROTA_PHASE_OPEN,
	ROTA_PHASE_CLOSING, /* after rota_stream_close, or after both ends were finished */
};

/*
 * X(name, word): why a stream or listener ended.
 *
 *   clean       both ends finished: all was given to the kernel, and the peer's end came
 *   truncated   the transport ended where the protocol on it had not (TLS without close_notify,
 *               a part of a PROXY protocol header)
 *   reset       the peer, or something between, cut it off
 *   … timeout   see the timeouts of struct rota_stream_options; write stall is one
 *   refused     nobody listens there; also a connection that met itself
 *   local       rota_stream_abort, a handler's error, rota_context_free
 *   cancelled   closed or aborted before it was open
 *   limit       as much input was kept as may be, and on_data took nothing of it
 *   tls         the TLS protocol failed
 *   system      the kernel said no: see error
 *   not resolved  a host's name has no addresses, or nobody could tell them: see error
 *   protocol    the peer broke the rules of what is spoken on the stream (<rota/service.h>)
 */
#define ROTA_REASONS(X) \
	X(ROTA_REASON_CLEAN, "clean") \
	X(ROTA_REASON_TRUNCATED, "truncated") \
	X(ROTA_REASON_RESET, "reset") \
	X(ROTA_REASON_TIMEOUT_CONNECT, "connect timeout") \
	X(ROTA_REASON_TIMEOUT_HANDSHAKE, "handshake timeout") \
	X(ROTA_REASON_TIMEOUT_IDLE, "idle timeout") \
	X(ROTA_REASON_TIMEOUT_WRITE_STALL, "write stall") \
	X(ROTA_REASON_TIMEOUT_HALF_CLOSED, "half-closed timeout") \
	X(ROTA_REASON_TIMEOUT_LIFETIME, "lifetime over") \
	X(ROTA_REASON_TIMEOUT_CLOSE, "close timeout") \
	X(ROTA_REASON_REFUSED, "refused") \
	X(ROTA_REASON_LOCAL, "local") \
	X(ROTA_REASON_CANCELLED, "cancelled") \
	X(ROTA_REASON_LIMIT, "limit") \
	X(ROTA_REASON_TLS, "tls") \
	X(ROTA_REASON_SYSTEM, "system") \
	X(ROTA_REASON_NAME, "not resolved") \
	X(ROTA_REASON_PROTOCOL, "protocol")

enum rota_reason {
#define ROTA_REASON_CODE(name, word) name,
	ROTA_REASONS(ROTA_REASON_CODE)
#undef ROTA_REASON_CODE
		ROTA_REASON_COUNT, /* how many there are */
};

/* "clean", "reset", "idle timeout" …: a static string. */
ROTA_API const char *rota_reason_name(enum rota_reason reason);
/* "resolve", "connect", "handshake", "open", "closing": a static string. */
ROTA_API const char *rota_phase_name(enum rota_phase phase);

/* Given to on_close; good until it returns. */
struct rota_close_info {
	enum rota_phase phase;
	enum rota_reason reason;
	int error;        /* the negative errno or library code behind it, 0 if there is none */
	const char *text; /* one line for a person */
	uint64_t unsent;  /* bytes that send accepted and the kernel never got */
	uint64_t unread;  /* bytes that were received and that on_data did not take */
};

/*
 * What a stream tells its user. Every member may be NULL. The table must outlive the streams that
 * use it.
 */
struct rota_stream_handlers {
	/*
	 * The stream is open: connected, and shaken hands. Not before, but possibly after, data may
	 * be sent.
	 */
	void (*on_open)(struct rota_stream *stream, void *userdata);

	/*
	 * Input. Returns how many of the len bytes it took, 0 to len; the rest is kept and offered
	 * again, contiguous, when more has come, when output that had been full has drained, or
	 * after rota_stream_resume: who leaves bytes for a reason of its own pauses. They are not
	 * offered again because the peer has ended: on_end comes, and why->unread tells them. A
	 * negative return closes the stream with that error, at once (reason local). bytes live
	 * until it returns. NULL: input is thrown away.
	 */
	ssize_t (*on_data)(struct rota_stream *stream, const void *bytes, size_t len,
		void *userdata);

	/*
	 * After a send was refused with -ROTA_EFULL: output is below its low mark again. Exactly
	 * once for each such time.
	 */
	void (*on_drain)(struct rota_stream *stream, void *userdata);

	/*
	 * The peer has ended its side; everything it sent has been offered. Waits while the stream
	 * is paused. Once this side is ended too (rota_stream_end or rota_stream_close) the stream
	 * closes. What on_data left may still be offered after it, by rota_stream_resume. NULL:
	 * close after flushing.
	 */
	void (*on_end)(struct rota_stream *stream, void *userdata);

	/*
	 * The stream is over: exactly once, last. why and stream are dead when it returns. Input
	 * that was kept has been offered before, unless the stream was closed or aborted, or is
	 * paused: then why->unread counts it.
	 */
	void (*on_close)(struct rota_stream *stream, const struct rota_close_info *why,
		void *userdata);
};

/*
 * Options of streams. Copied when a listener or a connection is made, then shared by its streams
 * and immutable. Begin with ROTA_STREAM_OPTIONS_INIT, whose values are in brackets. A timeout of
 * ROTA_NEVER is none; none may be 0 or less.
 */
struct rota_stream_options {
	size_t size; /* of this struct, set by _INIT */
	const struct rota_stream_handlers *handlers;
	size_t session_size; /* bytes allocated with each stream, zeroed: rota_stream_session [0] */

	size_t input_limit; /* most bytes kept that on_data did not take [64 KiB] */
	size_t output_high; /* above, sends are refused and the stream is not read [1 MiB] */
	size_t output_low;  /* below, it goes on [256 KiB] */

	rota_time connect_timeout;     /* from rota_connect until connected [10 s] */
	rota_time handshake_timeout;   /* from connected or accepted until open [10 s] */
	rota_time idle_timeout;        /* without a byte in either direction [10 min] */
	rota_time write_stall_timeout; /* the peer takes nothing while output waits [10 s] */
	rota_time half_closed_timeout; /* the same once one side has ended [30 s] */
	rota_time lifetime;            /* from open [ROTA_NEVER] */
	rota_time close_timeout;       /* from rota_stream_close until it is over [5 s] */

	/* TCP only; see tcp(7). Times in whole seconds or milliseconds as there. */
	unsigned keepalive_idle;     /* s; 0: no keepalive [0] */
	unsigned keepalive_interval; /* s [10] */
	unsigned keepalive_count;    /* [3] */
	unsigned user_timeout;       /* ms, TCP_USER_TIMEOUT; 0: the system's [0] */
	bool nodelay;                /* TCP_NODELAY [true] */

	bool read_when_full; /* go on reading while output is above its high mark [false] */

	/*
	 * TLS on these streams (<rota/tls.h>), on_open after the handshake; it gets a reference
	 * [NULL: none]
	 */
	struct rota_tls_config *tls;
	/*
	 * For clients: the name that the peer's certificate must be for, instead of that which is
	 * connected to; copied [NULL]
	 */
	const char *tls_name;
};

#define ROTA_STREAM_OPTIONS_INIT \
	{ \
		sizeof(struct rota_stream_options), NULL, 0, 64u << 10, 1u << 20, 256u << 10, \
			10 * ROTA_SECOND, 10 * ROTA_SECOND, 10 * ROTA_MINUTE, 10 * ROTA_SECOND, \
			30 * ROTA_SECOND, ROTA_NEVER, 5 * ROTA_SECOND, 0, 10, 3, 0, true, false, \
			NULL, NULL \
	}

/*
 * Makes a stream of a connected stream socket that comes from elsewhere: inherited, received from
 * another process, or one end of a socketpair(2). It is made nonblocking (for all who share its
 * description) and close-on-exec; what has come already is the stream's input. on_open follows in a
 * turn, as for an accepted stream, after rota_proxy_receive if that is called until then.
 *
 * Returns 0, and the descriptor is the library's, which closes it; or a negative error, and it is
 * still the caller's, though perhaps changed as above: -EBADF; -ENOTSOCK; -ENOTCONN; -EINVAL for
 * one that listens or is no stream socket, or options that make no sense; -EEXIST when this context
 * watches it already; -ENOMEM; -ECANCELED while the context is being freed; another errno of the
 * calls that ask about it or set the options.
 */
ROTA_API int rota_stream_adopt(struct rota_context *ctx, int fd,
	const struct rota_stream_options *options, void *userdata, struct rota_stream **ret_stream);

/*
 * Sends len bytes: takes all of them or none. Returns 0 when it took them: they will be given to
 * the kernel in order, before the stream's end unless that is an abort or a failure, which on_close
 * tells with the number unsent. -ROTA_EFULL when output is above its high mark: nothing was taken,
 * and exactly one on_drain follows. -ENOMEM. -ENOTCONN when this side has been ended or the stream
 * is over. I/O errors are never told here.
 *
 * The bytes are copied, except those of the buffer that on_data was just given, which are written
 * from there. In a turn the stream being called back writes once, when its handler returns or 64
 * KiB have gathered; any other when the phase of the turn ends, but bytes that on_data was just
 * given at once; outside a turn at once; before the stream is open they are queued.
 */
ROTA_API int rota_stream_send(struct rota_stream *stream, const void *bytes, size_t len);

/*
 * Says that the bytes given to rota_stream_send_ref are no longer needed. Called in a turn (or in
 * rota_context_free), never inside another call; any call is legal in it.
 */
typedef void rota_release_fn(const void *bytes, size_t len, void *arg);

/*
 * The same without a copy: the bytes must stay as they are until release is called, exactly once:
 * when they have been given to the kernel, or when the stream is over. On failure release is not
 * called and the bytes are still the caller's.
 */
ROTA_API int rota_stream_send_ref(struct rota_stream *stream, const void *bytes, size_t len,
	rota_release_fn *release, void *arg);

/*
 * The same of the bytes of count parts (<sys/uio.h>), one behind the other: all of them or none.
 */
ROTA_API int rota_stream_send_parts(struct rota_stream *stream, const struct iovec *parts,
	size_t count);

/* Bytes that were sent and that the kernel has not got yet. */
ROTA_API size_t rota_stream_unsent(const struct rota_stream *stream);

/*
 * Whether the next send would be refused with -ROTA_EFULL. Asking is not a refusal: no on_drain
 * follows, so who pauses a source because of it has nothing to wake it. Send until refused.
 */
ROTA_API bool rota_stream_is_full(const struct rota_stream *stream);

/* Calls no on_data and no on_end until rota_stream_resume, and reads nothing. Idempotent. */
ROTA_API void rota_stream_pause(struct rota_stream *stream);

/* Goes on reading; what was kept is offered in a turn soon, also when it was not paused. */
ROTA_API void rota_stream_resume(struct rota_stream *stream);

/*
 * Calls on_data only once n bytes are there, or the end. 0 or 1: as soon as there are any. Stays
 * until changed. -EMSGSIZE when n is more than input_limit.
 */
ROTA_API int rota_stream_need(struct rota_stream *stream, size_t n);

/*
 * Ends this side: what was sent is flushed, then the peer sees an end; input goes on. Idempotent.
 * When the peer has ended too, the stream closes, clean.
 */
ROTA_API void rota_stream_end(struct rota_stream *stream);

/*
 * Closes in order: flushes, ends this side, then reads and throws away what still comes until the
 * peer's end, all within close_timeout; then on_close. No other handler is called any more. Before
 * the stream is open, so in on_accept, it is cancelled. Idempotent.
 */
ROTA_API void rota_stream_close(struct rota_stream *stream);

/*
 * Cuts off: the connection is reset at once, what was not sent is lost; then on_close (reason
 * local, or cancelled). Idempotent. Unix sockets know no reset: their peer may see a plain end.
 */
ROTA_API void rota_stream_abort(struct rota_stream *stream);

/*
 * Changes the handlers and what is given to them, as an upgrade does; from the next call on. What
 * the old ones did not take is offered to the new ones.
 */
ROTA_API void rota_stream_set_handlers(struct rota_stream *stream,
	const struct rota_stream_handlers *handlers, void *userdata);
ROTA_API void rota_stream_set_userdata(struct rota_stream *stream, void *userdata);
ROTA_API void *rota_stream_userdata(const struct rota_stream *stream);

/*
 * The options.session_size bytes that were allocated with the stream, aligned for any type; NULL
 * when that is 0.
 */
ROTA_API void *rota_stream_session(struct rota_stream *stream);
/* The stream that these bytes, which are rota_stream_session's, were allocated with. */
ROTA_API struct rota_stream *rota_stream_of_session(const void *session);

ROTA_API struct rota_context *rota_stream_context(const struct rota_stream *stream);

/* Whether it is open: after on_open, before its close was asked for or has happened. */
ROTA_API bool rota_stream_is_open(const struct rota_stream *stream);

/*
 * The addresses of both ends, asked of the kernel. 0; -ENOTCONN when there is no connection (any
 * more); another errno.
 */
ROTA_API int rota_stream_local(const struct rota_stream *stream, struct rota_address *ret_address);
ROTA_API int rota_stream_peer(const struct rota_stream *stream, struct rota_address *ret_address);

/*
 * The stream's descriptor, to ask the system about it or to set a socket option; it stays the
 * library's: who reads, writes or closes it breaks the stream. -ENOTCONN when there is none (yet,
 * or any more).
 */
ROTA_API int rota_stream_fd(const struct rota_stream *stream);

/*
 * Where a redirected connection was going to before the system's NAT gave it to this listener
 * (iptables REDIRECT or DNAT; SO_ORIGINAL_DST, for IPv4 and IPv6). One that nobody redirected was
 * going where rota_stream_local says: who connects on to there meets itself. 0; -ENOTCONN as above;
 * -ENOTSUP for a unix socket; -ENOENT or -ENOPROTOOPT when the system tracks no such connection, or
 * none at all; another errno.
 */
ROTA_API int rota_stream_original(const struct rota_stream *stream,
	struct rota_address *ret_address);

/*
 * The process, user and group at the other end of a unix socket, as they were when it connected or
 * listened (SO_PEERCRED, unix(7)): the process may be another by now. struct ucred is that of
 * <sys/socket.h>, with _GNU_SOURCE. 0; -ENOTCONN as above; -ENOTSUP for another socket; another
 * errno.
 */
ROTA_API int rota_stream_credentials(const struct rota_stream *stream,
	struct ucred *ret_credentials);

/* Is given each stream; it may close, abort or open any. */
typedef void rota_stream_fn(struct rota_stream *stream, void *userdata);

/*
 * Calls visit for every stream of the context that is connecting, open or closing, in no particular
 * order; those that visit opens may be left out. rota_drain (<rota/drain.h>) waits for them all.
 */
ROTA_API void rota_stream_each(struct rota_context *ctx, rota_stream_fn *visit, void *userdata);

ROTA_END_DECLS

#endif
