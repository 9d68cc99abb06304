/* SPDX-License-Identifier: MIT */
/*
 * How a MessagePack object begins: what it is, its value or length, and where that ends. For who
 * looks at objects where they stand, as framings and rota_unpack do.
 */
#ifndef ROTA_PRIVATE_MSGPACK_HEAD_H
#define ROTA_PRIVATE_MSGPACK_HEAD_H

#include <rota/api.h>

#include "shared.h"

enum msgpack_kind {
	MSGPACK_KIND_NIL,
	MSGPACK_KIND_BOOL,
	MSGPACK_KIND_UNSIGNED,
	MSGPACK_KIND_SIGNED,
	MSGPACK_KIND_FLOAT32,
	MSGPACK_KIND_FLOAT64,
	MSGPACK_KIND_TEXT,
	MSGPACK_KIND_BYTES,
	MSGPACK_KIND_EXTENSION,
	MSGPACK_KIND_ARRAY,
	MSGPACK_KIND_MAP,
	MSGPACK_KIND_NONE, /* the byte that begins no object */
};

struct msgpack_head {
	enum msgpack_kind kind;
	unsigned size;    /* bytes of the head */
	uint64_t value;   /* a number's bits (signed: extended to 64), a bool, or a count */
	uint64_t body;    /* bytes behind the head that are the object's own */
	uint64_t members; /* objects behind it: an array's, or twice a map's pairs */
};

/*
 * Reads the head at bytes, of which there are len, at least 1. Returns its size, with ret_head set;
 * 0 when less than that is there, with ret_head->kind and size set. Nothing behind the head is
 * looked at.
 */
ROTA_SHARED unsigned rota__msgpack_head(const unsigned char *bytes, size_t len,
	struct msgpack_head *ret_head);

enum msgpack_fault {
	MSGPACK_WHOLE,
	MSGPACK_CUT,       /* it has no end here */
	MSGPACK_NO_OBJECT, /* a byte begins none */
	MSGPACK_TOO_DEEP,
};

struct msgpack_extent {
	enum msgpack_fault fault;
	size_t len; /* of the object; or the place of what is at fault */
};

/*
 * Looks through the object at bytes, whose arrays and maps may be nested that deep, at most
 * ROTA_PACK_DEPTH. The time it takes is in proportion to what is there, whatever that says.
 */
struct msgpack_extent rota__msgpack_extent(const void *bytes, size_t len, unsigned depth);

/* Behind the object at place, whose extent is known. */
const unsigned char *rota__msgpack_skip(const unsigned char *place);

#endif
