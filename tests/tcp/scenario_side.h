/* SPDX-License-Identifier: MIT */
/*
 * A side is what a test sees of one stream. Its handlers write down what they are told, keep
 * what was received, check what holds for every stream at all times, and do what the test says.
 *
 * Always checked: on_open comes first and once, on_end once, on_close once and last; no handler is
 * called inside another, nor while side_forbid_calls holds; a close tells a reason with its words.
 *
 * Into the trace a side writes "open", "data:LENGTH", "drain", "end" and "close:REASON", each
 * behind "NAME." if it has a name, unless it is quiet.
 */
#ifndef ROTA_TESTS_SCENARIO_SIDE_H
#define ROTA_TESTS_SCENARIO_SIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <rota/stream.h>

struct side;

typedef void side_act_fn(struct side *side);
/* As on_data, and what it takes is kept in received. */
typedef ssize_t side_data_fn(struct side *side, const char *bytes, size_t len);

struct side {
	const char *name;
	bool is_quiet;

	/* What it does when it is called back. NULL: nothing; at_data: takes all. */
	side_act_fn *at_open;
	side_data_fn *at_data;
	side_act_fn *at_drain;
	side_act_fn *at_end;
	side_act_fn *at_close;
	void *userdata;

	/* What happened. */
	size_t said; /* bytes of the pattern, by the test */
	struct rota_stream
		*stream; /* NULL before the test or at_open knows it, and once it is over */
	unsigned opens;
	unsigned offers;
	unsigned drains;
	unsigned ends;
	unsigned closes;
	size_t offered; /* by the last on_data */
	char *received;
	size_t received_len;
	size_t received_room;
	struct rota_close_info why; /* its text is the next */
	char text[256];
};

/* All of them, with a struct side as userdata. */
extern const struct rota_stream_handlers side_handlers;
extern const struct rota_stream_handlers side_handlers_without_end;

/* Gives back its memory. */
void side_fini(struct side *side);

/* Appends to received, as on_data does with what it takes. */
void side_keep(struct side *side, const char *bytes, size_t len);

/* Whether a handler may be called: not inside calls that must not cause one. */
void side_forbid_calls(bool is_forbidden);

/*
 * Whether two sockets are the ends of one connection: tests of other processes may connect to a
 * port that was theirs a moment ago. A stream of a stranger is cut off and forgotten. Yes, if it
 * cannot be known.
 */
bool are_connected(int fd, int peer);
void dismiss(struct rota_stream *stranger);

/* Forgets that a test before this one was left in the middle of a handler. */
void side_reset(void);

/* The byte that stands at an offset of what tests send; len of them from there on, and a check. */
char pattern_at(size_t offset);
void pattern_fill(char *bytes, size_t offset, size_t len);
/* The offset of the first byte that is wrong; len if none is. */
size_t pattern_check(const char *bytes, size_t offset, size_t len);

#endif
