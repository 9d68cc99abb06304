/* SPDX-License-Identifier: MIT */
/*
 * A connection that is cut at every byte of what the peer sends: a handshake, three records and
 * close_notify. It never ends clean but behind the last of them, and what was delivered is a
 * beginning of what was sent. With ROTA_TLS_ROUNDS in the environment no byte is left out.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "tls_line.h"

static const size_t records[] = { 10, 100, 300 };

#define RECORDS (sizeof records / sizeof records[0])
#define ALL ((size_t)410)

struct cut {
	bool is_client;
	int version;
	bool is_reset;
	bool is_byte_by_byte;
	bool is_mute; /* behind the cut nothing can be sent, an alert for instance */
	size_t step;  /* of the bytes one in so many */
};

static void
end(struct side *side)
{
	rota_stream_end(side->stream);
}

/* Plays until the peer has sent all, or may send no more. Whether that was all. */
static bool
play(struct tls_line *line, const struct cut *cut, size_t limit)
{
	line->is_client = cut->is_client;
	line->is_tcp = cut->is_reset;
	line->wish.lowest = line->wish.highest = cut->version;
	line->side.at_end = end;
	tls_line_open(line);
	faulty_sys_cut(cut->is_byte_by_byte ? 1 : 0);
	line->peer.limit = limit;
	tls_line_settle(line);
	if (!line->peer.is_open)
		return false;
	for (size_t i = 0; i < RECORDS; i++)
		tls_line_hear(line, records[i]);
	tls_peer_notify(&line->peer);
	tls_line_settle(line);
	return tls_peer_flush(&line->peer);
}

static void
check_cut(struct tls_line *line, const struct cut *cut, bool is_whole)
{
	enum rota_reason expected = cut->is_reset ? ROTA_REASON_RESET : ROTA_REASON_TRUNCATED;
	const struct side *side = &line->side;

	assert_int_equal(pattern_check(side->received, 0, side->received_len), side->received_len);
	if (is_whole) {
		assert_int_equal(side->ends, 1);
		assert_int_equal(side->received_len, ALL);
		/* Behind close_notify, how the socket ends is nobody's business. */
		tls_line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
		return;
	}
	assert_int_equal(side->ends, 0);
	tls_line_closes(line, expected, side->opens > 0 ? ROTA_PHASE_OPEN : ROTA_PHASE_HANDSHAKE);
	assert_true(side->received_len <= ALL);
	assert_true(side->opens > 0 || side->received_len == 0);
}

/* How many bytes there were. */
static size_t
run_cut(struct tls_line *line, const struct cut *cut, size_t limit)
{
	bool is_whole = play(line, cut, limit);
	size_t sent = line->peer.wire_out;

	assert_int_equal(line->side.closes, is_whole && line->side.ends > 0 ? 1 : 0);
	if (cut->is_mute && !is_whole)
		faulty_sys_fail(FAULTY_SEND, 1, true, EPIPE);
	if (cut->is_reset && !is_whole)
		tls_peer_reset(&line->peer);
	else
		tls_peer_end(&line->peer);
	tls_line_until(line, line->side.closes > 0);
	check_cut(line, cut, is_whole);
	faulty_sys_reset();
	tls_line_again(line);
	return sent;
}

static void
run_cuts(struct tls_line *line, struct cut cut)
{
	uint64_t seed = tls_effort() > 0 ? 0 : make_seed("cuts");

	if (tls_effort() > 0)
		cut.step = 1;
	for (int kind = 0; kind < 4; kind++) {
		size_t all;

		cut.is_client = kind >= 2;
		cut.version = kind % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
		all = run_cut(line, &cut, SIZE_MAX);
		assert_true(all > ALL);
		for (size_t limit = seed % cut.step; limit < all; limit += cut.step)
			(void)run_cut(line, &cut, limit);
		/* The signature's length is not always the same. */
		for (size_t limit = all - 40; limit < all; limit++)
			(void)run_cut(line, &cut, limit);
	}
}

static void
connection__ended_at_any_byte__is_truncated(void **state)
{
	run_cuts(*state, (struct cut){ .step = 5 });
}

static void
connection__reset_at_any_byte__is_reset(void **state)
{
	run_cuts(*state, (struct cut){ .is_reset = true, .step = 29 });
}

static void
connection__ended_at_any_byte_and_read_byte_by_byte__is_truncated(void **state)
{
	run_cuts(*state, (struct cut){ .is_byte_by_byte = true, .step = 41 });
}

static void
connection__ended_at_any_byte_by_who_takes_no_alert__is_truncated(void **state)
{
	run_cuts(*state, (struct cut){ .is_mute = true, .step = 29 });
}

/* The other way round: what the stream sends ends with close_notify, whatever comes back. */
static void
stream__that_ends__says_so_in_tls_first(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		tls_line_shake_as(line, kind);
		assert_int_equal(tls_line_say(line, 20000), 0);
		rota_stream_end(line->side.stream);
		tls_line_expect(line, 0, 20000);
		tls_line_until(line, line->peer.end != TLS_PEER_OPEN);
		assert_int_equal(line->peer.end, TLS_PEER_NOTIFIED);
		/* Its own side is open all the same. */
		tls_line_hear(line, 5000);
		tls_line_expect(line, 5000, 20000);
		assert_int_equal(line->side.closes, 0);
		tls_line_again(line);
	}
}

/* However often the kernel takes nothing. */
static void
stream__that_cannot_write_its_end__says_it_later(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < 2 * TLS_LINE_KINDS; kind++) {
		tls_line_shake_as(line, kind % TLS_LINE_KINDS);
		faulty_sys_fail(FAULTY_SEND, 1, true, EAGAIN);
		if (kind < TLS_LINE_KINDS)
			rota_stream_end(line->side.stream);
		else
			rota_stream_close(line->side.stream);
		for (int i = 0; i < 10; i++)
			(void)tls_line_step(line);
		assert_int_equal(line->peer.end, TLS_PEER_OPEN);
		faulty_sys_reset();
		tls_line_until(line, line->peer.end != TLS_PEER_OPEN);
		assert_int_equal(line->peer.end, TLS_PEER_NOTIFIED);
		tls_line_again(line);
	}
}

static void
stream__that_is_aborted__says_nothing(void **state)
{
	struct tls_line *line = *state;

	line->is_tcp = true;
	tls_line_open(line);
	tls_line_shake(line);
	rota_stream_abort(line->side.stream);
	tls_line_closes(line, ROTA_REASON_LOCAL, ROTA_PHASE_OPEN);
	tls_line_until(line, line->peer.end != TLS_PEER_OPEN);
	assert_int_equal(line->peer.end, TLS_PEER_RESET);
}

/* Everything up to the end, which must be a FIN. Whether it begins with an alert. */
static bool
begins_with_alert(struct tls_line *line)
{
	unsigned char first = 0;
	unsigned char byte;
	ssize_t n;

	while ((n = recv(line->peer.fd, &byte, 1, 0)) != 0) {
		if (n < 0 && errno == EAGAIN)
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		else
			assert_int_equal(n, 1); /* and not reset */
		if (n > 0 && first == 0)
			first = byte;
	}
	return first == SSL3_RT_ALERT;
}

/* What the socket was told, also behind an end. */
static int
error_of(int fd)
{
	int error = 0;
	socklen_t size = sizeof error;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	return error;
}

/* The peer learns why, also when much of what it sent was not read: a reset could overtake that. */
static void
stream__that_fails_by_tls__says_so_and_does_not_reset(void **state)
{
	static const size_t sizes[] = { 20, 60000 };
	struct tls_line *line = *state;

	for (int kind = 0; kind < 4; kind++) {
		static char nonsense[60000] = "\x16\x03\x03\x00\x04?";

		line->is_tcp = true;
		line->is_client = kind % 2 == 1;
		tls_line_open(line);
		/* A client has greeted. */
		while (line->is_client && recv(line->peer.fd, &(char[4096]){ 0 }, 4096, 0) < 0)
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		tls_peer_put(&line->peer, nonsense, sizes[kind / 2]);
		assert_true(begins_with_alert(line));
		while (line->side.closes == 0)
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		assert_int_equal(error_of(line->peer.fd), 0);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

/* A close throws away what still comes, but a cut is none the cleaner for it. */
static void
stream__closed_and_then_cut__is_not_clean(void **state)
{
	struct tls_line *line = *state;

	for (int kind = 0; kind < TLS_LINE_KINDS; kind++) {
		tls_line_shake_as(line, kind);
		rota_stream_close(line->side.stream);
		line->peer.reads_none = true;
		tls_line_hear(line, 1000);
		tls_peer_end(&line->peer);
		tls_line_closes(line, ROTA_REASON_TRUNCATED, ROTA_PHASE_CLOSING);
		assert_int_equal(line->side.offers + line->side.ends, 0);
		tls_line_again(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test_exact(connection__ended_at_any_byte__is_truncated),
		tls_test_exact(connection__reset_at_any_byte__is_reset),
		tls_test_exact(connection__ended_at_any_byte_and_read_byte_by_byte__is_truncated),
		tls_test_exact(connection__ended_at_any_byte_by_who_takes_no_alert__is_truncated),
		tls_test(stream__that_ends__says_so_in_tls_first),
		tls_test_exact(stream__that_cannot_write_its_end__says_it_later),
		tls_test(stream__that_is_aborted__says_nothing),
		tls_test_exact(stream__that_fails_by_tls__says_so_and_does_not_reset),
		tls_test(stream__closed_and_then_cut__is_not_clean),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
