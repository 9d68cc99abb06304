/* SPDX-License-Identifier: MIT */
/*
 * Rota: relays. A relay joins two streams: what comes from one is sent to the other, with a bounded
 * window. An end of one side is carried over as an end, a reset or a truncation as a reset.
 *
 * Where much comes it is spliced, by splice(2) and a pipe, so that it never is in this process;
 * little is copied, which costs less. splice(2) raises SIGPIPE when a peer has reset, and cannot be
 * told not to: a relay splices only if the process ignores SIGPIPE (signal(7)) when much has come
 * for the first time, and that must stay so while it lasts. It splices between plain streams, of
 * TCP and unix sockets; a context has at most 64 pipes, of two descriptors each, and keeps 16 of
 * them for the next. A relay that gets no pipe copies, whatever the reason.
 */
#ifndef ROTA_RELAY_H
#define ROTA_RELAY_H

#include <rota/api.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

struct rota_relay;

/* How one of the two streams ended, and how far it got. */
struct rota_relay_side {
	enum rota_phase phase;
	enum rota_reason reason;
	int error;
	uint64_t received; /* bytes that came from it while in the relay */
	uint64_t spliced;  /* of these, the ones that never came into this process */
	uint64_t sent;     /* bytes that the kernel got for it, what was queued before included */
};

struct rota_relay_result {
	struct rota_relay_side a;
	struct rota_relay_side b;
	bool spliced; /* some of the bytes were spliced; false: all were copied */
};

/*
 * Both streams are over: exactly once, last, in a turn. relay and result are dead when it returns.
 */
typedef void rota_relay_fn(struct rota_relay *relay, const struct rota_relay_result *result,
	void *userdata);

/* Begin with ROTA_RELAY_OPTIONS_INIT, whose values are in brackets. */
struct rota_relay_options {
	size_t size;   /* of this struct, set by _INIT */
	size_t window; /* most bytes on their way in one direction, copied [64 KiB] */
	/*
	 * The same in a pipe, which is the kernel's memory, and as many as are spliced before
	 * another stream has its turn. Below 16 KiB nothing is spliced [512 KiB]
	 */
	size_t pipe;
};

#define ROTA_RELAY_OPTIONS_INIT \
	{ \
		sizeof(struct rota_relay_options), 64u << 10, 512u << 10 \
	}

/*
 * Joins two streams of one context. Takes both: their handlers, their on_close included, are not
 * called again, only rota_relay_abort ends them, and of the calls of <rota/stream.h> only those
 * that ask something are still of use. Either may still be connecting. What was received and not
 * taken is relayed first; pauses are lifted. A side whose other side is full is not read, and that
 * it was reset is noticed when it is read again. options, NULL for the defaults, are copied.
 *
 * Returns 0; -EINVAL when both are the same, of two contexts, or in a relay, or the window is 0;
 * -ENOTCONN when one is over or being closed; -ENOMEM. After a failure the streams are as they
 * were.
 */
ROTA_API int rota_relay(struct rota_stream *a, struct rota_stream *b,
	const struct rota_relay_options *options, rota_relay_fn *on_done, void *userdata,
	struct rota_relay **ret_relay);

/*
 * How far it has got, at any time until on_done has returned. What is unsent, or in a pipe, is not
 * in sent. The reason of a side that is not over is clean, its phase the present one.
 */
ROTA_API void rota_relay_progress(const struct rota_relay *relay,
	struct rota_relay_result *ret_result);

/* Resets both streams at once; on_done follows. Idempotent. */
ROTA_API void rota_relay_abort(struct rota_relay *relay);

ROTA_END_DECLS

#endif
