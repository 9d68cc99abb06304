/* SPDX-License-Identifier: MIT */
/*
 * Lines: a stream, seen as a side, and at the other end of the connection a socket that is the
 * test's own and not a stream. So a test says exactly what the peer does, and when.
 *
 * A test sets what it wants of options, side and the members below, then calls line_open (an
 * accepted stream) or line_connect; it needs to undo nothing.
 */
#ifndef ROTA_TESTS_SCENARIO_LINE_H
#define ROTA_TESTS_SCENARIO_LINE_H

#include "fixture.h"
#include "scenario_side.h"

struct line {
	struct fixture fixture;
	struct rota_context *ctx;
	struct rota_stream_options options; /* its handlers are the side's */
	struct side side;
	char address[64];       /* where to listen; 127.0.0.1:0 */
	bool has_small_buffers; /* the kernel takes some KiB and no more before the peer reads */
	bool is_left_unopened;  /* line_open returns when it is accepted: at_accept's affair */
	side_act_fn *at_accept;

	/* The peer. -1: none (any more). */
	int peer;
	size_t sent;     /* bytes of the pattern */
	size_t received; /* as many were right */
};

/*
 * For cmocka: *state is a line that is not open yet. Those that count turns, calls or what one of
 * them moves obey no ROTA_FAULTS. The last is on the simulated clock.
 */
int line_setup(void **state);
int line_setup_exact(void **state);
int line_setup_simulated(void **state);
int line_teardown(void **state);

#define line_test(function) cmocka_unit_test_setup_teardown(function, line_setup, line_teardown)
#define line_test_exact(function) \
	cmocka_unit_test_setup_teardown(function, line_setup_exact, line_teardown)
#define line_test_simulated(function) \
	cmocka_unit_test_setup_teardown(function, line_setup_simulated, line_teardown)

/* Lines of a kind: an address of a unix socket that nobody else has. */
void line_use_unix(struct line *line);

/* A second line on the context of the first, with its options; its side is fresh. */
struct line line_beside(const struct line *line);

/* Both ends are there, and on_open has been called. */
void line_open(struct line *line);
/* The same, but that the stream is made by rota_connect and the peer is accepted. */
void line_connect(struct line *line);

/* A listening socket of the test's own on 127.0.0.1; text is its address. */
int listen_alone(char text[64], int backlog);

/* Takes count turns that do not wait. */
void line_turn(struct line *line, int count);

/* Takes turns until nothing happens in several of them. A simulated clock stands still. */
void line_settle(struct line *line);

/* Takes turns until the condition holds; fails the test after some real seconds. Time as above. */
#define line_until(line, condition) \
	for (int turns_ = 0; !(condition); turns_++) \
	line_take_one((line), turns_, #condition, __FILE__, __LINE__)
void line_take_one(struct line *line, int turns, const char *what, const char *file, int at);

/* Takes turns until its on_close, which must tell this. */
#define line_closes(line, reason_, phase_) \
	line_check_close((line), (reason_), (phase_), __FILE__, __LINE__)
void line_check_close(struct line *line, enum rota_reason reason, enum rota_phase phase,
	const char *file, int at);

/* The stream sends the next len bytes of what it has to say; what rota_stream_send says. */
int side_send(struct side *side, size_t len);

/* The peer sends the next len bytes of the pattern, or text. It must be possible at once. */
void peer_send(struct line *line, size_t len);
void peer_say(struct line *line, const char *text);
/* Lets turns pass until the peer has received all but those len bytes that are then read. */
void peer_receive(struct line *line, size_t len);
/* Reads what is there now, and returns how much. */
size_t peer_read_some(struct line *line);
/* Lets turns pass until the peer reads the end, a reset. Nothing else may come before. */
void peer_sees_end(struct line *line);
void peer_sees_reset(struct line *line);
/* Shuts its side down; closes; closes so that the stream gets a reset. */
void peer_end(struct line *line);
void peer_end_close(struct line *line);
void peer_reset(struct line *line);

/* Calls of send and sendmsg since the count was last begun; begin_counting begins it. */
uint64_t writes(void);
uint64_t reads(void);
void begin_counting(void);

#endif
