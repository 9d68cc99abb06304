/* SPDX-License-Identifier: MIT */
/*
 * Rota: handing listening sockets over to a new process, which may be a new version of the program,
 * without a moment in which nobody listens.
 *
 * The old process offers its listeners at the path of a unix socket. The new one asks there, gets
 * copies of their descriptors, starts, and says that it is ready; then the old one is told that it
 * was taken, and drains. Up to that the old one serves as if nothing had happened, and so it does
 * when the new one fails to start, dies, or is not ready in time; a next one may try then. While
 * both have the sockets, both may accept from them; that one of them closes its copies refuses and
 * resets nobody.
 *
 *   old   rota_handover_offer ................. listeners(), on_taken(): rota_drain
 *   new   rota_takeover, rota_takeover_take for each address, rota_listen,
 *         rota_takeover_ready, rota_takeover_own_path, rota_handover_offer, rota_takeover_free
 *
 * The socket is for processes of the same user, and of root: its mode is 0600, others must not be
 * able to write to its directory, and each side looks at the other's credentials.
 *
 * All calls are for the context's own thread.
 */
#ifndef ROTA_HANDOVER_H
#define ROTA_HANDOVER_H

#include <sys/types.h>

#include <rota/address.h>
#include <rota/api.h>
#include <rota/clock.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_handover;
struct rota_listener;
struct rota_takeover;

/* As many listeners as are handed over at most. */
#define ROTA_HANDOVER_LISTENERS 64

/*
 * What the old process does. The table must outlive the handover. Called in turns only; any call is
 * legal in them, rota_handover_free too.
 */
struct rota_handover_handlers {
	/*
	 * A new process asks: fills in which listeners it is to have, at most room, which is
	 * ROTA_HANDOVER_LISTENERS, and returns how many. Called again when they were taken, so that
	 * they disown their paths.
	 */
	size_t (*listeners)(struct rota_handover *handover, struct rota_listener **listeners,
		size_t room, void *userdata);

	/*
	 * The new process, pid, is ready and serves: drain. Once, and then nothing is called any
	 * more.
	 */
	void (*on_taken)(struct rota_handover *handover, pid_t pid, void *userdata);

	/*
	 * Nothing has come of it: a negative errno says why. -ETIMEDOUT: it was not ready in time;
	 * -ECONNRESET: it has ended; -EPERM: it is another user's; -EPROTO: it said something else;
	 * or what the system said. pid is 0 where nobody knows. May be NULL.
	 */
	void (*on_failed)(struct rota_handover *handover, pid_t pid, int error, void *userdata);
};

/* Begin with ROTA_HANDOVER_OPTIONS_INIT, whose values are in brackets. */
struct rota_handover_options {
	size_t size;             /* of this struct, set by _INIT */
	rota_time start_timeout; /* from its question until the new process must be ready [30 s] */
	/* Somebody offers there, from whom we have taken over: takes the path as well [false] */
	bool replace;
};

#define ROTA_HANDOVER_OPTIONS_INIT \
	{ \
		sizeof(struct rota_handover_options), 30 * ROTA_SECOND, false \
	}

/*
 * Offers listeners at path, from now on. options, NULL for the defaults, are copied. A socket that
 * nobody listens on any more is replaced, and with options->replace that of a living process, in
 * one step: there is no moment without one. One new process is served at a time; others wait.
 *
 * Returns 0; -ENAMETOOLONG for a path longer than 95 bytes; -ENOENT for an empty one; -EPERM when
 * its directory is another user's (but root's), or when others may write to it; -EADDRINUSE when
 * somebody else offers there, or something there is no socket; -EINVAL for options that make no
 * sense, or no handlers listeners and on_taken; -ENOMEM; or the errno of stat, socket, bind,
 * listen or rename.
 */
ROTA_API int rota_handover_offer(struct rota_context *ctx, const char *path,
	const struct rota_handover_options *options, const struct rota_handover_handlers *handlers,
	void *userdata, struct rota_handover **ret_handover);

/*
 * Offers nothing any more; who is just starting is not waited for. The path is removed if it is
 * still this socket's and was not taken over. Before its context is freed; in a forked child the
 * path stays the parent's. handover NULL does nothing.
 */
ROTA_API void rota_handover_free(struct rota_handover *handover);

/*
 * The new process: asks who offers at path for its listeners. A façade: takes turns until they are
 * there, at most timeout. Free it with rota_takeover_free.
 *
 * Returns 0; -ENOENT or -ECONNREFUSED when nobody offers there: start as ever; -ETIMEDOUT;
 * -ECONNRESET when the old one ended it; -EPERM when it is another user's (but root's); -EPROTO for
 * an answer that is none; -EMFILE when there are too few descriptors; -ENAMETOOLONG; -EDEADLK in a
 * handler or hook; -ROTA_ESTOPPED; -ENOMEM; or the errno of socket, connect or what receives.
 */
ROTA_API int rota_takeover(struct rota_context *ctx, const char *path, rota_time timeout,
	struct rota_takeover **ret_takeover);

/*
 * What to listen on for an address of the configuration: fd:N if the old process listened on it,
 * and otherwise the address itself. With port 0, any port will do that the old one had there. The
 * descriptor N is the caller's from then on: rota_listen and rota_service_listen take it when they
 * succeed. Each descriptor is given once. takeover NULL has none.
 *
 * Returns 1 for fd:N, 0 for the address itself; the text's variant also an error of
 * rota_address_parse, or -ENAMETOOLONG if it does not fit the buffer of size bytes
 * (ROTA_ADDRESS_TEXT is enough).
 */
ROTA_API int rota_takeover_take(struct rota_takeover *takeover, const char *text, char *buffer,
	size_t size);
ROTA_API int rota_takeover_take_address(struct rota_takeover *takeover,
	const struct rota_address *address, struct rota_address *ret_address);

/*
 * This process serves: tells the old one, which drains when it hears it. A façade: takes turns
 * until the old one has confirmed it, at most timeout. Descriptors that were not taken are closed,
 * and their unix paths removed; if the old one's were the only others, who still waits there is
 * reset.
 *
 * Returns 0 from when on the sockets are this process's. After anything else the old process goes
 * on serving, for certain, and this one is to close its listeners: -ETIMEDOUT; -ECONNRESET when the
 * old one has ended it, as it does behind its start_timeout; -EPROTO; -EALREADY when it was called
 * before; -ECANCELED when a handler has freed it; -EDEADLK in a handler or hook; -ROTA_ESTOPPED;
 * -ENOMEM; or the errno of what sends or receives.
 */
ROTA_API int rota_takeover_ready(struct rota_takeover *takeover, rota_time timeout);

/*
 * Behind rota_takeover_ready: if listener is one of those that were taken, and the old process had
 * owned its unix path, this one owns it now (rota_listener_own_path, whose errors it returns). 0;
 * -EINVAL before.
 */
ROTA_API int rota_takeover_own_path(struct rota_takeover *takeover, struct rota_listener *listener);

/* The old process. */
ROTA_API pid_t rota_takeover_pid(const struct rota_takeover *takeover);

/*
 * Ends it: without rota_takeover_ready, the old process goes on as if nothing had been. Descriptors
 * that were not taken are closed. Offer at the path before this, if at all: until then the old one
 * keeps its socket there, so that nobody finds none. After its context was freed too. takeover NULL
 * does nothing.
 */
ROTA_API void rota_takeover_free(struct rota_takeover *takeover);

ROTA_END_DECLS

#endif
