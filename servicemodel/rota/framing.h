/* SPDX-License-Identifier: MIT */
/*
 * Rota: framings. A framing cuts the bytes of a stream into frames, and puts around what is sent
 * that by which the peer finds its end. It keeps nothing but a few words a stream, waits for
 * nothing, allocates nothing, and gives the same frames however the bytes come in pieces; no byte
 * is looked at twice.
 *
 * Services (<rota/service.h>), dialogs and clients take a struct rota_framing; the calls below are
 * for who has a stream alone, and may be made anywhere, from any thread.
 */
#ifndef ROTA_FRAMING_H
#define ROTA_FRAMING_H

#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_framing;

/* Most bytes that a framing puts before a payload, and behind it. */
#define ROTA_FRAMING_AROUND 16

/* Where a framing is in the frame that is coming. All zero at the start of each. */
struct rota_framing_state {
	size_t seen;    /* bytes at the front of the frame that need not be looked at again */
	size_t need;    /* the frame has this many bytes at least; 0: not known */
	uint64_t words; /* the framing's own */
};

/* A payload, without what is around it: within the bytes that were given. */
struct rota_frame {
	const void *bytes;
	size_t len;
};

/* What goes before and behind a payload. */
struct rota_framing_around {
	unsigned char before[ROTA_FRAMING_AROUND];
	unsigned char behind[ROTA_FRAMING_AROUND];
	size_t before_len;
	size_t behind_len;
};

/* What a framing is: Rota's are below, and yours is such a table. From any thread. */
struct rota_framing_ops {
	const char *name; /* for messages: "line" */

	/*
	 * Looks for the end of the frame that begins at bytes, of which there are len, at least 1.
	 * The first state->seen were there, the same, the last time.
	 *
	 * Returns how many bytes the frame takes, 1 to len, with *ret_frame set; 0 when more are
	 * needed, with state->seen and, if it can be told, state->need (above len) set;
	 * -ROTA_EFRAME when this is no frame; -EMSGSIZE as soon as it is clear that the payload is
	 * longer than framing->limit.
	 */
	ssize_t (*find)(const struct rota_framing *framing, struct rota_framing_state *state,
		const unsigned char *bytes, size_t len, struct rota_frame *ret_frame);

	/*
	 * Says what goes around a payload; *ret_around is zeroed before. Returns 0; -ROTA_EFRAME
	 * for a payload that this framing cannot carry, as a line with a newline in it. It may
	 * assume that len is at most framing->limit. NULL: payloads are whole frames already.
	 */
	int (*wrap)(const struct rota_framing *framing, const unsigned char *payload, size_t len,
		struct rota_framing_around *ret_around);

	size_t around; /* most bytes that a frame has besides its payload */
};

/*
 * Lines, ended by a newline; a carriage return before it is not part of them. What is sent ends in
 * a newline alone. At most limit bytes without either.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_line;
/* Parts ended by framing->delimiter, which is framing->delimiter_len bytes long, 1 to 16. */
extern ROTA_API const struct rota_framing_ops rota_framing_delimiter;
/* A length in front: 16 or 32 bits, big-endian. */
extern ROTA_API const struct rota_framing_ops rota_framing_length16;
extern ROTA_API const struct rota_framing_ops rota_framing_length32;
/*
 * A length in front, in base 128, low bits first, as Protocol Buffers have it: up to ten bytes, and
 * no longer than needed.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_varint;
/* Netstrings: the length in decimal, ':', the payload, ',' (cr.yp.to/proto/netstrings.txt). */
extern ROTA_API const struct rota_framing_ops rota_framing_netstring;
/*
 * Each frame is one MessagePack object, whole (<rota/pack.h>): nested at most 32 deep, and with no
 * more members than limit has bytes.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_msgpack;

/* A framing with its limits: { &rota_framing_line, 4096 }. Copied by who is given it. */
struct rota_framing {
	const struct rota_framing_ops *ops;
	size_t limit;          /* bytes of the longest payload; 0: 1 MiB */
	const char *delimiter; /* rota_framing_delimiter's; it must outlive the framing */
	size_t delimiter_len;
	const void *own; /* for tables of your own */
};

#define ROTA_FRAMING_INIT \
	{ \
		NULL, 0, NULL, 0, NULL \
	}

/* Whether it can be used: 0, or -EINVAL. ops is set, and a delimiter is there if it is needed. */
ROTA_API int rota_framing_check(const struct rota_framing *framing);

/* The limit that holds: framing->limit, or what it is when that is 0. */
ROTA_API size_t rota_framing_limit(const struct rota_framing *framing);

/*
 * ops->find for one frame, with its limit held to: see there. After a frame state is zeroed for the
 * next. len 0 returns 0.
 */
ROTA_API ssize_t rota_framing_find(const struct rota_framing *framing,
	struct rota_framing_state *state, const void *bytes, size_t len,
	struct rota_frame *ret_frame);

/* ops->wrap, with the limit held to: -EMSGSIZE for a longer payload. */
ROTA_API int rota_framing_wrap(const struct rota_framing *framing, const void *payload, size_t len,
	struct rota_framing_around *ret_around);

/*
 * A line for a person about an error that rota_framing_find returned, which names the framing and
 * the limit: "a frame is longer than the limit of 4096 bytes (line)". Into the caller's buffer, cut
 * to size, always ended by a NUL when size is not 0. Returns buffer.
 */
ROTA_API const char *rota_framing_text(const struct rota_framing *framing, int error, char *buffer,
	size_t size);

ROTA_END_DECLS

#endif
