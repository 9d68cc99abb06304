/* SPDX-License-Identifier: MIT */
/*
 * Rota: records, the events of pipelines: named fields with typed values, in order.
 *
 * Names are small numbers, given out by a table (struct rota_names) that all records of a process's
 * run share. A value of text or bytes borrows them: they must live as long as the record says so,
 * until its next reset; rota_record_store keeps a copy in memory of the record's own, which is used
 * again and again, so that filling a record allocates nothing once it has been as large before.
 *
 * Between processes records travel in batches, in MessagePack: whoever reads one trusts nothing.
 *
 * Nothing here calls anything back. A table and what uses it are one thread's at a time.
 */
#ifndef ROTA_RECORD_H
#define ROTA_RECORD_H

#include <rota/pack.h>

ROTA_BEGIN_DECLS

/* Bytes of a name, names of a table, fields of a record, and bytes that a record keeps. */
#define ROTA_NAME_MAX 255
#define ROTA_NAMES_MAX 65536
#define ROTA_RECORD_FIELDS_MAX 1024
#define ROTA_RECORD_STORE_MAX ((size_t)16 << 20)

/* A name's number: 0 for the first of its table, and so on. */
typedef uint32_t rota_name;

struct rota_names;

/* Makes an empty table. Returns 0 or -ENOMEM. */
ROTA_API int rota_names_new(struct rota_names **ret_names);

/* No record of this table may be used after it. NULL is let be. */
ROTA_API void rota_names_free(struct rota_names *names);

/*
 * The number of a name, which is copied if it is new. Any bytes are a name, none at all is not.
 * Returns 0; -EINVAL for one that is empty or longer than ROTA_NAME_MAX; -ROTA_ELIMIT when the
 * table has ROTA_NAMES_MAX others; -ENOMEM.
 */
ROTA_API int rota_names_add(struct rota_names *names, const char *text, size_t len,
	rota_name *ret_name);

/* The number of a name that is there. Returns 0 or -ENOENT. */
ROTA_API int rota_names_find(const struct rota_names *names, const char *text, size_t len,
	rota_name *ret_name);

/* The text of a number that the table gave out. It lives as long as the table. A NUL ends it. */
ROTA_API struct rota_text rota_names_text(const struct rota_names *names, rota_name name);

/* How many there are: the numbers below this are names. */
ROTA_API size_t rota_names_count(const struct rota_names *names);

enum rota_type {
	ROTA_TYPE_NULL,
	ROTA_TYPE_BOOL,
	ROTA_TYPE_INT,
	ROTA_TYPE_DOUBLE,
	ROTA_TYPE_TEXT, /* should be UTF-8, nobody has checked */
	ROTA_TYPE_BYTES,
};

/* "null", "bool", "int", "double", "text", "bytes". */
ROTA_API const char *rota_type_name(enum rota_type type);

struct rota_value {
	enum rota_type type;
	uint32_t len; /* bytes of text or bytes; otherwise 0 */
	union {
		bool boolean;
		int64_t integer;
		double number;
		const char *bytes; /* may be NULL when len is 0 */
	} is;
};

/* Values. Text and bytes are borrowed; there are at most 2^32 - 1 of them. */
ROTA_API struct rota_value rota_value_null(void);
ROTA_API struct rota_value rota_value_bool(bool boolean);
ROTA_API struct rota_value rota_value_int(int64_t integer);
ROTA_API struct rota_value rota_value_double(double number);
ROTA_API struct rota_value rota_value_text(const char *text, size_t len);
ROTA_API struct rota_value rota_value_bytes(const void *bytes, size_t len);

/*
 * The order of all values, for sorting: null, false, true, numbers, text, bytes; ints and doubles
 * among each other by what they are worth exactly, a NaN before every other number; text and bytes
 * byte by byte. Returns below, at or above 0. Only what is 0 to each other is equal, so 1 and 1.0
 * are.
 */
ROTA_API int rota_value_compare(const struct rota_value *a, const struct rota_value *b);

/* Of values that are equal in the order above, the same. */
ROTA_API uint64_t rota_value_hash(const struct rota_value *value);

struct rota_field {
	rota_name name;
	struct rota_value value;
};

/*
 * A record. Its fields may be read, and their values changed, where they stand; their number, order
 * and names are changed by these calls only.
 */
struct rota_record {
	struct rota_names *names; /* not the record's */
	struct rota_field *fields;
	size_t count;
	size_t room;                    /* the library's: fields that there is memory for */
	struct rota_record_chunk *kept; /* the library's: what rota_record_store gives out */
};

/* Makes the record an empty one. Allocates nothing. */
ROTA_API void rota_record_init(struct rota_record *record, struct rota_names *names);

/* Gives its memory back; it may be one that has only been set to zero. */
ROTA_API void rota_record_fini(struct rota_record *record);

/* Empties it: no fields, and what was stored ends. Its memory stays for what comes next. */
ROTA_API void rota_record_reset(struct rota_record *record);

/*
 * Gives the field this value, in its old place, or in a new one behind the others. What the value
 * borrows is not copied. Returns 0; -ROTA_ELIMIT for more than ROTA_RECORD_FIELDS_MAX; -ENOMEM.
 */
ROTA_API int rota_record_set(struct rota_record *record, rota_name name,
	const struct rota_value *value);

/*
 * The same, with a copy of text or bytes that the record keeps. Also returns as rota_record_store.
 */
ROTA_API int rota_record_set_copy(struct rota_record *record, rota_name name,
	const struct rota_value *value);

/*
 * The value of a field, NULL if there is none of that name. Good until the next call that changes
 * the record.
 */
ROTA_API struct rota_value *rota_record_get(const struct rota_record *record, rota_name name);

/* Takes a field out; those behind it move up. Returns whether it was there. */
ROTA_API bool rota_record_remove(struct rota_record *record, rota_name name);

/*
 * Memory of len bytes for text or bytes, until the next reset, and not aligned for anything else.
 * Returns 0; -EMSGSIZE when that would make it more than ROTA_RECORD_STORE_MAX; -ENOMEM.
 */
ROTA_API int rota_record_store(struct rota_record *record, size_t len, char **ret_bytes);

/*
 * Makes the record one like from, which has the same table, with text and bytes of its own. Returns
 * as rota_record_set_copy; after an error it has some of the fields.
 */
ROTA_API int rota_record_copy(struct rota_record *record, const struct rota_record *from);

/* Whether both have the same fields in the same order, with values of the same types that compare
 * equal. Their tables need not be the same. */
ROTA_API bool rota_record_is_equal(const struct rota_record *a, const struct rota_record *b);

/*
 * A batch: MessagePack objects one behind the other. A string is a name; the first has the number
 * 0 in this batch, the next 1 and so on. A map is a record: its keys are numbers of names that came
 * before it, its values nil, bool, integers of 64 bits with sign, float 64, strings and binaries.
 * So each name is written once.
 */
struct rota_batch {
	struct rota_buffer bytes; /* the batch: rota_batch_reset begins the next */
	size_t records;           /* in it */
	struct rota_names *names; /* not the batch's */
	uint32_t *numbers; /* the library's: by name, its number in the batch and which batch */
	size_t room;
	uint32_t next_number;
	uint32_t generation;
};

/* Makes it an empty one that is never more than limit bytes (0: 1 MiB). Allocates nothing. */
ROTA_API void rota_batch_init(struct rota_batch *batch, struct rota_names *names, size_t limit);
ROTA_API void rota_batch_fini(struct rota_batch *batch);
ROTA_API void rota_batch_reset(struct rota_batch *batch);

/*
 * Appends a record of the same table. Returns 0; -EMSGSIZE when the batch would be more than its
 * limit: send and reset it, then add again, and an empty batch that says so has a record that never
 * fits; -ENOMEM. After an error it is as it was.
 */
ROTA_API int rota_batch_add(struct rota_batch *batch, const struct rota_record *record);

/* Reads a batch that anybody may have made. What is in it is the library's. */
struct rota_batch_reader {
	const unsigned char *place;
	const unsigned char *end;
	struct rota_names *names;
	rota_name *of_number;
	size_t count;
	size_t room;
};

/* bytes must live as long as the reader and the records it reads. Allocates nothing. */
ROTA_API void rota_batch_reader_init(struct rota_batch_reader *reader, struct rota_names *names);
ROTA_API void rota_batch_reader_fini(struct rota_batch_reader *reader);

/* Begins with a batch. What was allocated for those before is used again. */
ROTA_API void rota_batch_reader_begin(struct rota_batch_reader *reader, const void *bytes,
	size_t len);

/*
 * Reads the next record into one of the same table, which it empties first. Text and bytes point
 * into the batch. Returns 1; 0 at the end; -ROTA_EPACK for bytes that are no batch, fields that
 * are twice in a record, or more of them than ROTA_RECORD_FIELDS_MAX; what rota_names_add returns.
 * After an error the rest of the batch cannot be read, and the record is empty.
 */
ROTA_API int rota_batch_reader_next(struct rota_batch_reader *reader, struct rota_record *record);

ROTA_END_DECLS

#endif
