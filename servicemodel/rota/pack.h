/* SPDX-License-Identifier: MIT */
/*
 * Rota: values as bytes, in MessagePack (msgpack.org), written and read by a pattern that says what
 * they are:
 *
 *     rota_pack(&buffer, "s i {s: b}", "move", 7, "fast", true);
 *     rota_unpack(buffer.bytes, buffer.len, &error, "s i {fast: b}", &name, &steps, &is_fast);
 *
 * Other languages' libraries read and write the same. Nothing here keeps anything or calls anything
 * back, and all of it may be called from any thread; a buffer is one thread's at a time. Packing
 * into a buffer that is large enough and unpacking allocate nothing.
 */
#ifndef ROTA_PACK_H
#define ROTA_PACK_H

#include <rota/api.h>

#include <stdarg.h>

ROTA_BEGIN_DECLS

/* How deep arrays and maps may be nested in each other, in a pattern and in bytes. */
#define ROTA_PACK_DEPTH 32
/* How many keys a map of a pattern may have. */
#define ROTA_PACK_KEYS 64
#define ROTA_UNPACK_TEXT 160

/*
 * Bytes that grow. All zero, or ROTA_BUFFER_INIT, is an empty one with the default limit. It never
 * shrinks but by rota_buffer_fini.
 */
struct rota_buffer {
	unsigned char *bytes; /* NULL before the first */
	size_t len;
	size_t limit; /* len is never more; 0: 1 MiB */
	size_t size;  /* the library's: bytes that there is room for */
};

#define ROTA_BUFFER_INIT \
	{ \
		NULL, 0, 0, 0 \
	}

/* Gives the memory back. It can be used again as an empty one with the same limit. */
ROTA_API void rota_buffer_fini(struct rota_buffer *buffer);

/* Empties it, and keeps the memory for what comes next. */
ROTA_API void rota_buffer_reset(struct rota_buffer *buffer);

/*
 * Appends a copy of bytes, which must not be the buffer's own. Returns 0; -EMSGSIZE if that would
 * be more than the limit; -ENOMEM. After an error it is as it was.
 */
ROTA_API int rota_buffer_add(struct rota_buffer *buffer, const void *bytes, size_t len);

/* Text that no NUL ends. It may contain NULs; whether it is UTF-8 nobody has checked. */
struct rota_text {
	const char *bytes;
	size_t len;
};

struct rota_bytes {
	const void *bytes;
	size_t len;
};

/* The members of an array, or the keys and values of a map in turn, one behind the other. */
struct rota_members {
	const void *bytes;
	size_t len;
	size_t count; /* members; of a map: pairs */
};

/* Whether it is this one. */
ROTA_API bool rota_text_is(const struct rota_text *text, const char *other);

/*
 * Copies it into the caller's buffer of size bytes, ended by a NUL. Returns 0; -ENOSPC if it does
 * not fit; -EINVAL if it contains a NUL. The buffer is untouched then.
 */
ROTA_API int rota_text_copy(const struct rota_text *text, char *buffer, size_t size);

/*
 * Patterns are letters, one for each value, and take these arguments, to pack and to unpack:
 *
 *     s   text                       const char *                 struct rota_text *
 *     t   text                       const struct rota_text *     struct rota_text *
 *     y   bytes                      const struct rota_bytes *    struct rota_bytes *
 *     i   an int                     int                          int *
 *     I   a 64-bit int               int64_t                      int64_t *
 *     u   an unsigned int            unsigned                     unsigned *
 *     U   a 64-bit unsigned int      uint64_t                     uint64_t *
 *     d   a number                   double                       double *
 *     b   true or false              bool                         bool *
 *     n   nil                        nothing                      nothing
 *     v   any value, packed          const struct rota_bytes *    struct rota_bytes *
 *     a   an array's members                                      struct rota_members *
 *     m   a map's pairs                                           struct rota_members *
 *     _   any value, ignored                                      nothing
 *
 * [...] is an array of what is between, {...} a map. Each value of a map has a key and a colon
 * before it. A key is a word of letters, digits, '_', '-' and '.', or anything but an apostrophe
 * between two of these: {id: u, 'last name': s}. The word s alone is not a key: the key is then an
 * argument of its own, a const char *, before that of the value: {s: b}. Spaces and commas may
 * stand between all of these.
 *
 * A letter or a closing bracket may be followed by '?': the value is optional. To pack, pointers of
 * its letter may be NULL then, and nil is packed for them; on others and on brackets it says
 * nothing. To unpack, where the value is nil, or where its array or the whole ends, or its map has
 * no such key, what its arguments point at is left as it was.
 *
 * To unpack, an array has as many members as the pattern; when a '*' ends that, there may be more,
 * and so behind the last value of all. A map may have keys that are not in the pattern, unless a
 * '!' ends that. Keys stand in any order, and none that is in the pattern may be there twice.
 *
 * A pattern is the program's, never a peer's: it says what the arguments are.
 */

/*
 * Appends values to the buffer. Text and bytes are copied. Returns 0, or, with the buffer as it
 * was: -EINVAL for a pattern that is none, NULL for what is not optional, or a key that is twice in
 * a map; -ROTA_EPACK if what is given for v is not one whole object, or is nested too deep;
 * -EMSGSIZE if it would be more than the buffer's limit; -ENOMEM.
 */
ROTA_API int rota_pack(struct rota_buffer *buffer, const char *pattern, ...);
ROTA_API int rota_pack_va(struct rota_buffer *buffer, const char *pattern, va_list arguments);

/*
 * Append the beginning of an array or a map whose members, or keys and values, are packed next, one
 * behind the other: for what a loop packs. Return as rota_pack; -EMSGSIZE for more than 2^32 - 1.
 */
ROTA_API int rota_pack_array(struct rota_buffer *buffer, size_t count);
ROTA_API int rota_pack_map(struct rota_buffer *buffer, size_t pairs);

/* Why bytes were not as the pattern says. */
struct rota_unpack_error {
	size_t offset; /* of the byte where it shows; in the pattern when that is none */
	/* "value 2: want an int, have a string (byte 7)", "value 1, key \"id\": want …" */
	char text[ROTA_UNPACK_TEXT];
};

/*
 * Reads values from bytes that anybody may have made. What an argument points at is written only
 * when all is as the pattern says. Text, bytes, values and members point into bytes and are good as
 * long as these; what they contain has been looked at, so it is whole and not nested too deep.
 *
 * A number must fit what it is read into; nothing is rounded or cut. An int may be read as a double
 * that is the same, no double as an int. Text is not bytes.
 *
 * Returns how many bytes the values of the pattern took, which is len but for a pattern that ends
 * in '*'; or, with *error set unless it is NULL, -ROTA_EPACK, or -EINVAL for a pattern that is none
 * or a key that is NULL or twice in a map. It takes time in proportion to len, and for a map of the
 * pattern to its keys.
 */
ROTA_API ssize_t rota_unpack(const void *bytes, size_t len, struct rota_unpack_error *error,
	const char *pattern, ...);
ROTA_API ssize_t rota_unpack_va(const void *bytes, size_t len, struct rota_unpack_error *error,
	const char *pattern, va_list arguments);

ROTA_END_DECLS

#endif
