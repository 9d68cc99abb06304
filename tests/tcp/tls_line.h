/* SPDX-License-Identifier: MIT */
/*
 * Lines of TLS: a stream, seen as a side, and at the other end of a socket pair a peer that is
 * OpenSSL's and the test's, and not a stream. TLS is begun by rota_stream_start_tls in the stream's
 * first on_open, which the side is not told of.
 *
 * A test sets what it wants, then calls tls_line_open; it needs to undo nothing. To go through a
 * table it calls tls_line_again, after which everything is as at first.
 */
#ifndef ROTA_TESTS_TLS_LINE_H
#define ROTA_TESTS_TLS_LINE_H

#include <rota/tls.h>

#include "certificates.h"
#include "fixture.h"
#include "scenario_side.h"
#include "tls_peer.h"

struct tls_line;

/* As on_data. */
typedef ssize_t tls_line_data_fn(struct tls_line *line, const char *bytes, size_t len);

struct tls_line {
	struct fixture fixture;
	struct rota_context *ctx;
	struct rota_stream_options options;
	struct side side; /* quiet */
	bool is_client;   /* the stream's role */
	bool is_tcp;      /* by the loopback, and not by a socket pair */
	bool has_small_buffers;
	bool is_plain; /* tls_line_open leaves it so; TLS is begun by tls_line_start */
	tls_line_data_fn *at_plain_data; /* until then; NULL: takes nothing */
	const char *name;                /* that a client verifies: server.example */
	struct rota_tls_config *config;  /* NULL: tls_line_config of the role */
	struct tls_peer_wish wish;       /* is_server is set by tls_line_open */
	struct tls_peer peer;
	int start_error; /* what rota_stream_start_tls said */
};

/*
 * For cmocka, as line_test and its like. Those that wait for an alert are exact: one for which
 * there is no room is not sent.
 */
int tls_line_setup(void **state);
int tls_line_setup_exact(void **state);
int tls_line_setup_simulated(void **state);
int tls_line_teardown(void **state);

#define tls_test(function) \
	cmocka_unit_test_setup_teardown(function, tls_line_setup, tls_line_teardown)
#define tls_test_exact(function) \
	cmocka_unit_test_setup_teardown(function, tls_line_setup_exact, tls_line_teardown)
#define tls_test_simulated(function) \
	cmocka_unit_test_setup_teardown(function, tls_line_setup_simulated, tls_line_teardown)

/* A new one: a server's with CERTIFICATE_SERVER, a client's with CERTIFICATE_CA. */
struct rota_tls_config *tls_line_config(bool is_client);
/* Adds these; it must be possible. */
void tls_add_certificate(struct rota_tls_config *config, enum certificate_kind kind);
void tls_add_ca(struct rota_tls_config *config, enum certificate_kind kind);

/* The stream is there and has begun; the peer has not. */
void tls_line_open(struct tls_line *line);
/* Begins TLS; what rota_stream_start_tls says. From then on the side is told. */
int tls_line_start(struct tls_line *line);
/* Both, until both are open. */
void tls_line_shake(struct tls_line *line);
/*
 * Opens and shakes as one of the kinds that there are, from 0: a server of TLS 1.2, and of 1.3; a
 * client of 1.2, and of 1.3.
 */
#define TLS_LINE_KINDS 4
void tls_line_shake_as(struct tls_line *line, int kind);
/* Ends all of it, and begins anew on the same context. */
void tls_line_again(struct tls_line *line);

/* Called before and after whatever the library does in a turn; NULL: nothing. */
extern void (*tls_line_around)(bool is_before);

/* One turn, and one step of the peer's. Whether anything has happened. */
bool tls_line_step(struct tls_line *line);
/* Those until nothing happens any more. A simulated clock stands still. */
void tls_line_settle(struct tls_line *line);
/* Those until the condition holds; fails the test after some seconds of work. */
#define tls_line_until(line, condition) \
	for (int turns_ = 0; !(condition); turns_++) \
	tls_line_take_one((line), turns_, #condition, __FILE__, __LINE__)
void tls_line_take_one(struct tls_line *line, int turns, const char *what, const char *file,
	int at);

/* Those until its on_close, which must tell this. */
#define tls_line_closes(line, reason_, phase_) \
	tls_line_check_close((line), (reason_), (phase_), __FILE__, __LINE__)
void tls_line_check_close(struct tls_line *line, enum rota_reason reason, enum rota_phase phase,
	const char *file, int at);

/* The text of its close has this word in it, in whichever case. */
#define assert_closed_by(line, word) tls_line_check_text((line), (word), __FILE__, __LINE__)
void tls_line_check_text(const struct tls_line *line, const char *word, const char *file, int at);

/* The stream sends the next len bytes of the pattern; what rota_stream_send says. */
int tls_line_say(struct tls_line *line, size_t len);
/* The peer does. */
void tls_line_hear(struct tls_line *line, size_t len);
/* Both have received this much, of the pattern. */
void tls_line_expect(struct tls_line *line, size_t stream_received, size_t peer_received);

/* 0, or how much the machine is to be tried: the environment's ROTA_TLS_ROUNDS. */
unsigned tls_effort(void);

#endif
