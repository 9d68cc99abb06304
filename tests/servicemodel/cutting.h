/* SPDX-License-Identifier: MIT */
/*
 * Cuts a stream of bytes into frames, as it comes in pieces. All that the framing says need not be
 * looked at again is changed before the next piece comes: so frames that are the same show that it
 * was not. Each piece is looked at in a block of its exact size.
 */
#ifndef ROTA_TESTS_CUTTING_H
#define ROTA_TESTS_CUTTING_H

#include <rota/framing.h>

#define CUTTING_FRAMES 64

/* What came of it. Places are counted from the stream's first byte. */
struct cutting {
	size_t frames;
	size_t place[CUTTING_FRAMES]; /* of each payload */
	size_t len[CUTTING_FRAMES];
	size_t taken; /* bytes that these frames were */
	int error;    /* what ended it; 0: more may come */
	size_t calls; /* of rota_framing_find */
	size_t need;  /* what the last one told */
};

/* is_end says of each byte whether a piece ends with it; NULL: all come at once. */
struct cutting cut(const struct rota_framing *framing, const void *bytes, size_t len,
	const bool *is_end);

/* That it gives the same, down to the error: however it comes in at most so many pieces. */
void expect_same_in_all_pieces(const struct rota_framing *framing, const void *bytes, size_t len);

/* The same for pieces that a seed chooses. */
void expect_same_in_some_pieces(const struct rota_framing *framing, const void *bytes, size_t len,
	uint64_t *seed);

/* A frame written at to, which has room. Returns its length, or an error. */
ssize_t put_frame(const struct rota_framing *framing, const void *payload, size_t len,
	unsigned char *to);

#endif
