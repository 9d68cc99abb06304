/* SPDX-License-Identifier: MIT */
/*
 * Streams from inside. A stream is a state, a set of flags, and what it waits for is derived from
 * them by one function (rota__stream_attend). It is kept to 200 bytes, so that an idle connection
 * is cheap: times that do not apply together share a place, and buffers are there only while
 * something is in them.
 *
 *   stream.c         making, opening, attending, timeouts, and the simple calls
 *   stream_input.c   reading, offering, keeping
 *   stream_output.c  sending, gathering
 *   stream_queue.c   queueing, writing
 *   stream_close.c   every way to end, and on_close
 *   plain.c          the transport that is the socket itself
 *   tls.c            the one that is TLS on it (tls.h)
 *   pipe.c           pipes that a relay splices by
 */
#ifndef ROTA_PRIVATE_STREAM_H
#define ROTA_PRIVATE_STREAM_H

#include <sys/uio.h>

#include <rota/errors.h>
#include <rota/stream.h>

#include "options.h"
#include "tcp_context.h"

enum rota__stream_state {
	ROTA__CONNECTING, /* or just accepted: no handler but on_close has been called */
	ROTA__OPEN,
	/* no handler but on_close is called any more; what still comes is thrown away */
	ROTA__CLOSING,
	ROTA__ENDED, /* its descriptor is closed; on_close is due */
};

#define ROTA__PAUSED (1u << 0) /* by the user */
/* output reached the high mark and is not yet down to the low one */
#define ROTA__FULL (1u << 1)
#define ROTA__WANT_DRAIN (1u << 2) /* a send was refused: on_drain is owed */
#define ROTA__BLOCKED (1u << 3)    /* the kernel took no more: wait until it is writable */
#define ROTA__OFFER (1u << 4)      /* of the kept input, something is to be offered (again) */
#define ROTA__INPUT_END (1u << 5)  /* the peer's end was read */
#define ROTA__END_TOLD (1u << 6)   /* and on_end called */
#define ROTA__ENDING (1u << 7)     /* this side takes no more to send */
#define ROTA__OUTPUT_END (1u << 8) /* and the peer was told its end */
/* reason and error are set; ends as soon as the input that is there has been offered */
#define ROTA__FAILED (1u << 9)
#define ROTA__VISITED (1u << 10) /* by rota_stream_each */
#define ROTA__OPENING (1u << 11) /* something is waited for before it can be open */
#define ROTA__DROPPED (1u << 12) /* in a forked child: no on_close */
#define ROTA__RELAYED (1u << 13) /* taken by a relay */
#define ROTA__SPLICED (1u << 14) /* which splices what comes from it, where it can */

/* What carries a stream's bytes. Those that have a state of their own begin with this. */
struct rota__transport {
	const struct rota__transport_ops *ops;
};

struct rota__transport_ops {
	/*
	 * What comes before the stream can be open: 1 when that is done, 0 when it waits, or a
	 * negative error. NULL: nothing.
	 */
	int (*shake)(struct rota_stream *stream);
	/*
	 * As recv: bytes read, 0 at the peer's end, or a negative error; -EAGAIN when there is
	 * nothing now.
	 */
	ssize_t (*read)(struct rota_stream *stream, void *bytes, size_t size);
	/*
	 * As sendmsg: bytes written, or a negative error; -EAGAIN when the kernel takes nothing
	 * now.
	 */
	ssize_t (*write)(struct rota_stream *stream, const struct iovec *parts, int count);
	/*
	 * Tells the peer that nothing more will come; is_last: as the last thing before the socket
	 * is closed. 0 or a negative error; -EAGAIN to be called again when it is writable.
	 */
	int (*end)(struct rota_stream *stream, bool is_last);
	/*
	 * As read and write, but into a pipe and out of one. NULL where the bytes have to come into
	 * this process.
	 */
	ssize_t (*splice_from)(struct rota_stream *stream, int pipe, size_t size);
	ssize_t (*splice_to)(struct rota_stream *stream, int pipe, size_t size);
	/*
	 * The directions to wait for, where the stream waits for those wanted, or for its shake:
	 * writing may wait for input, and reading for output, so whatever comes is worth a try in
	 * both. NULL: as wanted.
	 */
	unsigned (*interest)(const struct rota_stream *stream, unsigned wanted);
	/* Whether there is input that the kernel does not know of. NULL: there never is. */
	bool (*has_more)(const struct rota_stream *stream);
	/* Writes why it failed, to be read behind the reason. NULL: what the error says. */
	void (*explain)(const struct rota_stream *stream, char *text, size_t size);
	/* Frees its state. NULL: it has none. */
	void (*free)(struct rota_stream *stream);
};

struct rota__pipe;

extern const struct rota__transport rota__plain;

/* As the transport's own. */
static inline bool
rota__transport_has_more(const struct rota__transport *transport, const struct rota_stream *stream)
{
	return transport->ops->has_more != NULL && transport->ops->has_more(stream);
}

static inline void
rota__transport_free(const struct rota__transport *transport, struct rota_stream *stream)
{
	if (transport->ops->free != NULL)
		transport->ops->free(stream);
}

/* What on_data did not take, contiguous; there only while there is some, or need is above 1. */
struct rota__input {
	size_t need;
	size_t start;
	size_t len;
	size_t capacity;
	char bytes[];
};

/*
 * One run of output: bytes of its own, which stand behind it; somebody's who is told when they are
 * no longer needed; or what is in a pipe (pipe.h), which is always the first.
 */
struct rota__chunk {
	struct rota__chunk *next;
	const char *bytes; /* not yet written */
	size_t len;
	size_t room; /* behind them, in own */
	rota_release_fn *release;
	void *arg;
	const void *released_bytes;
	size_t released_len;
	bool is_pipe;
	bool is_common; /* of the size that spare ones have */
};

/* What waits to be written; there only while something does. */
struct rota__output {
	struct rota__output *next_spare;
	struct rota__chunk *first;
	struct rota__chunk *last;
	size_t bytes;
	size_t low;         /* on_drain is due at or below this */
	rota_time progress; /* when the kernel last took some */
};

struct rota_stream {
	struct rota_target target;
	/* always running, for the next of all timeouts; it may be early, never late */
	struct rota_timer timer;
	struct rota_link link;
	struct rota_context *ctx;
	struct rota__options *options;
	const struct rota_stream_handlers *handlers;
	void *userdata;
	union {
		const struct rota__transport *transport;
		/* With ROTA__OPENING, in phases resolve and connect: the connection; */
		struct rota__connecting *connecting;
		/* in phase handshake: a PROXY protocol header. */
		struct rota__receiving *receiving;
		void *opening; /* either */
	};
	struct rota__input *input;
	struct rota__output *output;
	union {
		rota_time activity; /* open: when a byte last went either way */
		/* connecting: when to try again, or the next; ROTA_NEVER: nothing is to be tried */
		rota_time retry;
		size_t readable; /* failed: how much more is read */
		uint64_t unread; /* closing and ended */
	};
	union {
		/* until it is ended or failed: of the connect, of the lifetime, of the close */
		rota_time deadline;
		uint64_t unsent; /* failed and ended */
	};
	uint16_t flags;
	uint8_t state : 4;
	uint8_t phase : 4;
	uint8_t reason;
	int32_t error;
};

_Static_assert(sizeof(struct rota_stream) <= 200, "an idle connection stays cheap");

/* stream.c */

/* A stream that is not open, in ctx's lists, owning a reference of options. 0 or -ENOMEM. */
int rota__stream_new(struct rota_context *ctx, struct rota__options *options, rota_time timeout,
	struct rota_stream **ret_stream);

/* Takes back a stream that nobody has seen. */
void rota__stream_discard(struct rota_stream *stream);

/* What it waited for before it can be open has come, or will not come. */
void rota__stream_forget_opening(struct rota_stream *stream);

/*
 * Its target's descriptor is connected and watched: on_open, unless something else is waited for.
 * In a turn.
 */
void rota__stream_open(struct rota_stream *stream);

/* Does what is due, and derives the interest and the timer from what is left. In a turn. */
void rota__stream_attend(struct rota_stream *stream);

/* Has it attended to: when the phase ends, or in the next turn. */
void rota__stream_make_busy(struct rota_stream *stream);

/* The timer must not be later than this. */
void rota__stream_due_by(struct rota_stream *stream, rota_time due);

/*
 * Around every call of a handler: what the stream sends meanwhile is gathered, and written in one.
 */
void rota__stream_enter(struct rota_stream *stream);
void rota__stream_leave(struct rota_stream *stream);

extern const struct rota_target_ops rota__stream_target_ops;

/* relay.c: a relayed stream was dropped. */
void rota__relay_drop(struct rota_stream *stream);

/*
 * Passes on what there is, by a pipe. As the transport's read; -ENOTSUP when it has to be read for
 * once.
 */
ssize_t rota__relay_splice(struct rota_stream *stream);

/* stream_input.c */
void rota__input_read(struct rota_stream *stream);
void rota__input_offer_kept(struct rota_stream *stream);
/* Offers what is kept in this turn, or in the next. */
void rota__input_offer_soon(struct rota_stream *stream);
bool rota__input_is_wanted(const struct rota_stream *stream);
void rota__input_free(struct rota_stream *stream);

static inline size_t
rota__input_kept(const struct rota_stream *stream)
{
	return stream->input != NULL ? stream->input->len : 0;
}

/* stream_output.c, stream_queue.c */

/* Writes what was gathered, and what is queued. No handler is called. */
void rota__output_write_gathered(struct rota_stream *stream);
void rota__output_write_queue(struct rota_stream *stream);
/* The same before the stream is open. */
void rota__output_flush(struct rota_stream *stream);
/* rota_stream_send of what another stream is being given, and shorter. */
int rota__output_pass(struct rota_stream *stream, const void *bytes, size_t len);
/* Sends what is in a pipe, which it takes. Nothing is queued, and the stream is open. */
void rota__output_pour(struct rota_stream *stream, struct rota__pipe *pipe);
/* Calls the releases that are due. In a turn. */
void rota__output_release(struct rota__tcp *tcp);
/* Forgets all that is not written; returns how much it was. */
size_t rota__output_drop(struct rota_stream *stream);
/* Asks for an on_drain once no more than low bytes are unsent. */
void rota__output_want_drain(struct rota_stream *stream, size_t low);

/* stream_close.c */

/* Something went wrong: the stream ends with this once the input that is there has been offered. */
void rota__stream_fail(struct rota_stream *stream, enum rota_reason reason, int error);

/*
 * Ends it now: its descriptor is closed (reset, unless the reason is one of an orderly end), and
 * on_close is due.
 */
void rota__stream_finish(struct rota_stream *stream, enum rota_reason reason, int error);

/* The reason that an errno (negative) means once a stream is connected. */
enum rota_reason rota__reason_of(int error);

/* Calls on_close, or not if it was dropped, and frees it. */
void rota__stream_deliver(struct rota_stream *stream);

/* In a forked child: closed here, silently. */
void rota__stream_drop(struct rota_stream *stream);

/* Closes a socket that was to be a stream's, or is. */
void rota__stream_close_socket(struct rota_context *ctx, int fd, bool reset);

/* connect.c: the timer of a stream that is connecting, and the end of that, in any way. */
void rota__connect_on_time(struct rota_stream *stream, rota_time now);
void rota__connect_forget(struct rota_stream *stream);

#endif
