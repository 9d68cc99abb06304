/* SPDX-License-Identifier: MIT */
/*
 * Rota: listeners. A listener accepts streams on an address until it is closed. It belongs to the
 * library, like a stream: its pointer is good until its on_close has returned.
 *
 * When the process or the system is out of descriptors or memory (EMFILE, ENFILE, ENOMEM, ENOBUFS)
 * it pauses, for 10 ms doubling to 500 ms, less when a stream of the context ends, and goes on by
 * itself; so it does while all connections of its admission are taken, until one leaves. Peers wait
 * in the backlog, and cost nothing. At most 64 connections are accepted in a turn.
 */
#ifndef ROTA_LISTENER_H
#define ROTA_LISTENER_H

#include <rota/address.h>
#include <rota/api.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

struct rota_admission;
struct rota_listener;

/* Every member may be NULL. The table must outlive the listener. Called in turns only. */
struct rota_listener_handlers {
	/*
	 * A connection was accepted. Give the stream its userdata or handlers here, or abort it.
	 * Its on_open follows. Listeners without this accept all.
	 */
	void (*on_accept)(struct rota_listener *listener, struct rota_stream *stream,
		void *userdata);

	/*
	 * Accepting has paused because of error, a negative errno, or -ROTA_ELIMIT when its
	 * admission is full; it will go on by itself. Once for each shortage: however often it went
	 * on, a full admission is told anew only after the backlog was found empty.
	 */
	void (*on_paused)(struct rota_listener *listener, int error, void *userdata);

	/*
	 * The listener is over: exactly once, last. reason is local, or system with a negative
	 * errno as error.
	 */
	void (*on_close)(struct rota_listener *listener, const struct rota_close_info *why,
		void *userdata);
};

/* Begin with ROTA_LISTENER_OPTIONS_INIT, whose values are in brackets. */
struct rota_listener_options {
	size_t size;                       /* of this struct, set by _INIT */
	struct rota_stream_options stream; /* of the accepted streams */
	/* listen(2); the system cuts it to net.core.somaxconn [4096] */
	int backlog;
	bool reuse_port; /* SO_REUSEPORT [false] */
	bool v6_only;    /* IPV6_V6ONLY [true] */
	/* of the same context; accept only while it has room. It is shared, not copied [NULL] */
	struct rota_admission *admission;
	/*
	 * Permissions of a unix path (0600, say), less what the umask takes, as for any new file;
	 * the file never has more, from its birth on. Within 0777; 0: only the umask's. Not for
	 * other addresses [0]
	 */
	mode_t unix_mode;
	/*
	 * Handshakes of TLS at once; as long as there are so many nobody is accepted, and peers
	 * wait in the backlog [1,000]
	 */
	size_t handshakes;
};

#define ROTA_LISTENER_OPTIONS_INIT \
	{ \
		sizeof(struct rota_listener_options), ROTA_STREAM_OPTIONS_INIT, 4096, false, true, \
			NULL, 0, 1000 \
	}

/*
 * Listens on an address given as text (<rota/address.h>), or parsed. options, NULL for the
 * defaults, are copied. A unix path whose socket nobody listens on any more is replaced; the path
 * is removed when the listener closes (but see rota_listener_own_path). For fd:N the descriptor
 * becomes the library's, on success only.
 *
 * Returns 0; an error of rota_address_parse; -EINVAL for options that make no sense, an fd:N that
 * does not listen, or a unix socket without a name (to which the kernel would give one that anybody
 * can find); the errno of socket, bind or listen (-EADDRINUSE, -EACCES …); -ENOMEM; -ECANCELED
 * while the context is being freed. After a failure no handler is called.
 */
ROTA_API int rota_listen(struct rota_context *ctx, const char *text,
	const struct rota_listener_options *options, const struct rota_listener_handlers *handlers,
	void *userdata, struct rota_listener **ret_listener);
ROTA_API int rota_listen_address(struct rota_context *ctx, const struct rota_address *address,
	const struct rota_listener_options *options, const struct rota_listener_handlers *handlers,
	void *userdata, struct rota_listener **ret_listener);

/*
 * Stops accepting; its descriptor is closed before this returns, so connections in the backlog are
 * reset, unless another process has the socket too. Streams that were accepted are not touched.
 * on_close follows. Idempotent.
 */
ROTA_API void rota_listener_close(struct rota_listener *listener);

/*
 * Accepts nothing until rota_listener_resume; peers wait in the backlog. on_paused is not called.
 * What else it waits for goes on meanwhile: resumed, it accepts from the next turn on, unless there
 * is a shortage. Both are idempotent, and do nothing once it is closed.
 */
ROTA_API void rota_listener_pause(struct rota_listener *listener);
ROTA_API void rota_listener_resume(struct rota_listener *listener);

/*
 * The address that it listens on; for port 0, the port that it got. 0 or a negative errno;
 * -ENOTCONN once closed.
 */
ROTA_API int rota_listener_address(const struct rota_listener *listener,
	struct rota_address *ret_address);

/*
 * Its descriptor, which stays the library's: to ask the system about it, or to give a copy of it to
 * another process, which then accepts from the same socket (<rota/handover.h>). That one of them
 * closes its own changes nothing for the other. -ENOTCONN once closed.
 */
ROTA_API int rota_listener_fd(struct rota_listener *listener);

/*
 * Whether closing it removes the path of its unix socket. It does for a listener that made the
 * path, and not for fd:N, whose path is whoever's that made it. When another process takes the
 * listening socket over, one of them disowns the path, and the other one owns it. For addresses
 * without a path this does nothing.
 *
 * Returns 0; -ENOTCONN once closed; for owns, also the errno of getsockname or of looking at the
 * path, or -ENOTSOCK when something else is there.
 */
ROTA_API int rota_listener_own_path(struct rota_listener *listener, bool owns);
ROTA_API bool rota_listener_owns_path(const struct rota_listener *listener);

ROTA_API struct rota_context *rota_listener_context(const struct rota_listener *listener);

ROTA_END_DECLS

#endif
