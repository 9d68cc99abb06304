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
	uint32_t seen; /* bytes at its front, some perhaps to come, not to be looked at again */
	uint32_t need; /* the frame has this many bytes at least; 0: not known */
	uint64_t own;  /* the framing's */
};

/* A limit can be no higher. */
#define ROTA_FRAMING_MOST ((size_t)1 << 30)

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
	 * Looks for the end of the frame that begins at bytes, of which there are len, at least 1,
	 * and no fewer than the last time; those that were there then are the same.
	 *
	 * Returns how many bytes the frame takes, 1 to len, with *ret_frame set; 0 when more are
	 * needed, with state->seen and, if it can be told, state->need (above len) set;
	 * -ROTA_EFRAME when this is no frame; -EMSGSIZE as soon as it is clear that the payload is
	 * longer than rota_framing_limit(framing). Which of them must follow from the bytes alone,
	 * however they came in pieces.
	 */
	ssize_t (*find)(const struct rota_framing *framing, struct rota_framing_state *state,
		const unsigned char *bytes, size_t len, struct rota_frame *ret_frame);

	/*
	 * Says what goes around a payload; *ret_around is zeroed before. Returns 0; -ROTA_EFRAME
	 * for a payload that this framing cannot carry, as a line with a newline in it, since the
	 * peer would read another. It may assume that len is at most rota_framing_limit(framing).
	 * NULL: payloads are whole frames already.
	 */
	int (*wrap)(const struct rota_framing *framing, const unsigned char *payload, size_t len,
		struct rota_framing_around *ret_around);

	size_t around; /* most bytes that a frame has besides its payload */
	size_t most;   /* no payload may be longer, whatever the limit; 0: any may */
};

/*
 * Lines, ended by a newline; a carriage return before it is not part of them. What is sent ends in
 * a newline alone, and a payload that has one, or ends in a carriage return, is refused. At most
 * limit bytes without either.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_line;
/*
 * Parts ended by framing->delimiter, which is framing->delimiter_len bytes long, 1 to 16, of any
 * value. A payload in which, or across whose end, it would be found too early is refused.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_delimiter;
/* A length in front: 16 or 32 bits, big-endian, which bound the limit too. */
extern ROTA_API const struct rota_framing_ops rota_framing_length16;
extern ROTA_API const struct rota_framing_ops rota_framing_length32;
/*
 * A length in front, in base 128, low bits first, as Protocol Buffers have it, and in no more bytes
 * than needed.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_varint;
/*
 * Netstrings: the length in decimal, ':', the payload, ',' (cr.yp.to/proto/netstrings.txt). A
 * length has no zero in front.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_netstring;
/*
 * Each frame is one MessagePack object, whole (<rota/pack.h>). An object whose members could not
 * all fit in limit bytes is refused when it says how many they are. How deep it is nested is not
 * looked at, since to find its end takes a count, not a stack: who reads it must bound that, as
 * rota_unpack does.
 */
extern ROTA_API const struct rota_framing_ops rota_framing_msgpack;

/* A framing with its limits: { &rota_framing_line, 4096 }. Copied by who is given it. */
struct rota_framing {
	const struct rota_framing_ops *ops;
	size_t limit; /* bytes of the longest payload; 0: 1 MiB; ROTA_FRAMING_MOST at most */
	const char *delimiter; /* rota_framing_delimiter's; it must outlive the framing */
	size_t delimiter_len;
	const void *own;   /* for tables of your own */
	size_t send_limit; /* bytes of the longest payload that is sent; 0: limit */
};

#define ROTA_FRAMING_INIT \
	{ \
		NULL, 0, NULL, 0, NULL, 0 \
	}

/*
 * Whether it can be used: 0, or -EINVAL. ops is set and complete, the limit is not too large, and a
 * delimiter is there if it is needed. The other calls are for framings that can.
 */
ROTA_API int rota_framing_check(const struct rota_framing *framing);

/*
 * The limit that holds: framing->limit, or what it is when that is 0, if the framing can carry as
 * much.
 */
ROTA_API size_t rota_framing_limit(const struct rota_framing *framing);

/* The same of what is sent. */
ROTA_API size_t rota_framing_send_limit(const struct rota_framing *framing);

/*
 * ops->find for one frame, with the limit held to whatever that says: see there. After a frame
 * state is zeroed for the next. len 0 returns 0. After an error there is nothing more to find.
 */
ROTA_API ssize_t rota_framing_find(const struct rota_framing *framing,
	struct rota_framing_state *state, const void *bytes, size_t len,
	struct rota_frame *ret_frame);

/* ops->wrap, with the limit held to: -EMSGSIZE for a longer payload. */
ROTA_API int rota_framing_wrap(const struct rota_framing *framing, const void *payload, size_t len,
	struct rota_framing_around *ret_around);

/*
 * A line for a person about an error of rota_framing_find or rota_framing_wrap, or about a stream
 * that ended inside a frame (-ROTA_ETRUNCATED), which names the framing and the limit: "a frame is
 * longer than the limit of 4096 bytes (line)". Into the caller's buffer, cut to size, always ended
 * by a NUL when size is not 0. Returns buffer.
 */
ROTA_API const char *rota_framing_text(const struct rota_framing *framing, int error, char *buffer,
	size_t size);

ROTA_END_DECLS

#endif
