/* SPDX-License-Identifier: MIT */
/*
 * Floods of what costs the sender little, on connections that are open: new keys, tickets, empty
 * records, padding, warnings, renegotiations. A stream takes them or ends, by TLS; in either case
 * it keeps little, others have their turns, and what comes behind them is right if it comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "tls_line.h"

#define FLOOD 3000
#define MOST_BYTES ((int64_t)1 << 20)

static void
open_line(struct tls_line *line, bool is_client, int version)
{
	line->is_client = is_client;
	line->wish.lowest = line->wish.highest = version;
	tls_line_open(line);
	tls_line_shake(line);
	assert_int_equal(line->side.opens, 1);
}

/* It ended by TLS, or goes on: what comes now is heard, and what is said arrives. */
static void
check_after(struct tls_line *line)
{
	tls_line_settle(line);
	assert_true(faulty_allocator_bytes() < MOST_BYTES);
	assert_int_equal(line->side.opens, 1);
	if (line->side.closes > 0) {
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_OPEN);
		return;
	}
	assert_int_equal(tls_line_say(line, 1000), 0);
	tls_line_hear(line, 1000);
	tls_line_expect(line, 1000, line->side.said);
}

/* New keys */

static void
flood_keys(struct tls_line *line, bool is_requested)
{
	for (int i = 0; i < FLOOD; i++) {
		if (line->side.closes > 0)
			return;
		tls_peer_update_keys(&line->peer, is_requested);
		if (i % 64 == 0)
			(void)tls_line_step(line);
	}
}

static void
keys__updated_again_and_again__cost_little(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_line(line, i % 2 == 1, TLS1_3_VERSION);
		flood_keys(line, i >= 2);
		check_after(line);
		tls_line_again(line);
	}
}

/* Each asks for an answer, and none is read. */
static void
keys__updated_by_one_that_does_not_read__cost_little(void **state)
{
	struct tls_line *line = *state;

	line->has_small_buffers = true;
	open_line(line, false, TLS1_3_VERSION);
	line->peer.reads_none = true;
	flood_keys(line, true);
	tls_line_settle(line);
	assert_true(faulty_allocator_bytes() < MOST_BYTES);
	line->peer.reads_none = false;
	check_after(line);
}

/* With output that waits, half a record of it written. */
static void
keys__updated_while_output_is_full__lose_nothing(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		line->has_small_buffers = true;
		line->options.read_when_full = true;
		open_line(line, i == 1, TLS1_3_VERSION);
		line->peer.reads_none = true;
		while (tls_line_say(line, 50000) == 0) {
			/* Until it is full. */
		}
		tls_line_settle(line);
		for (int j = 0; j < 20; j++) {
			tls_peer_update_keys(&line->peer, true);
			tls_line_hear(line, 10);
			tls_line_settle(line);
		}
		line->peer.reads_none = false;
		tls_line_expect(line, 200, line->side.said);
		assert_int_equal(line->side.closes, 0);
		tls_line_again(line);
	}
}

/* Both ends of it want new keys at the same time, with data in between. */
static void
keys__updated_between_records__lose_nothing(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_line(line, i % 2 == 1, TLS1_3_VERSION);
		faulty_sys_cut(i >= 2 ? 1 : 0);
		for (int j = 0; j < 50; j++) {
			tls_line_hear(line, 100);
			tls_peer_update_keys(&line->peer, j % 3 == 0);
			assert_int_equal(tls_line_say(line, 100), 0);
			if (j % 7 == 0)
				(void)tls_line_step(line);
		}
		tls_line_expect(line, 5000, 5000);
		tls_line_again(line);
	}
}

/* However much has come, nobody else waits for all of it. */
static void
keys__updated_all_at_once__ask_the_socket_once_a_turn(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		unsigned char *records;
		uint64_t before;
		size_t len;

		open_line(line, i == 1, TLS1_3_VERSION);
		line->peer.holds = true;
		for (int j = 0; j < FLOOD; j++)
			tls_peer_update_keys(&line->peer, false);
		records = tls_peer_take(&line->peer, &len);
		line->peer.holds = false;
		tls_peer_put(&line->peer, records, len);
		free(records);
		before = faulty_sys_calls(FAULTY_RECV);
		assert_true(rota_dispatch_once(line->ctx, 0, NULL) > 0);
		assert_int_equal(faulty_sys_calls(FAULTY_RECV) - before, 1);
		check_after(line);
		tls_line_again(line);
	}
}

/* Records that a program of the peer's makes by hand */

static void
put_forged(struct tls_line *line, int count, unsigned char type, const char *content, size_t len,
	size_t padding)
{
	static unsigned char record[20000];
	/* A server of OpenSSL's has sent two tickets already. */
	uint64_t sequence = line->is_client ? 2 : 0;

	for (int i = 0; i < count && line->side.closes == 0; i++) {
		size_t size = tls_peer_forge(&line->peer, sequence++, type, content, len, padding,
			record);
		size_t sent = 0;

		for (int turns = 0; sent < size && line->side.closes == 0; turns++) {
			ssize_t n = write(line->peer.fd, record + sent, size - sent);

			assert_true(n > 0 || errno == EAGAIN || errno == EPIPE);
			assert_true(turns < 100000);
			if (n > 0)
				sent += (size_t)n;
			else
				assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
		}
	}
}

static void
check_quiet_after(struct tls_line *line)
{
	tls_line_settle(line);
	assert_true(faulty_allocator_bytes() < MOST_BYTES);
	assert_int_equal(line->side.received_len, 0);
	assert_int_equal(line->side.ends, 0);
	if (line->side.closes > 0)
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_OPEN);
	tls_line_again(line);
}

static void
records__empty_or_all_padding__cost_little(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_line(line, i % 2 == 1, TLS1_3_VERSION);
		put_forged(line, FLOOD, 23, NULL, 0, i >= 2 ? 16000 : 0);
		check_quiet_after(line);
	}
}

static void
records__of_warnings__cost_little(void **state)
{
	/* user_canceled, which TLS 1.3 lets pass; and one that it does not know as a warning. */
	static const char *const alerts[] = { "\1\x5a", "\1\x64" };
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_line(line, i % 2 == 1, TLS1_3_VERSION);
		put_forged(line, FLOOD, 21, alerts[i / 2], 2, 0);
		check_quiet_after(line);
	}
}

static const struct {
	unsigned char type;
	const char *content;
	size_t len;
} odd[] = {
	{ 22, "\x04\xff\xff\xff", 4 },             /* a ticket of 16 MiB */
	{ 22, "\x01\x00\x00\x00", 4 },             /* a hello */
	{ 22, "\x0d\x00\x00\x03\x00\x00\x00", 7 }, /* asks for a certificate */
	{ 22, "\x18\x00\x00\x01\x02", 5 },         /* new keys of a kind that there is not */
	{ 22, "\x18\x00\x00\x02\x00\x00", 6 },
	{ 22, "\xee\x00\x00\x00", 4 },
	{ 22, NULL, 0 },
	{ 20, "\x01", 1 }, /* ChangeCipherSpec, behind the handshake */
	{ 21, "\x02\x28", 2 },
	{ 21, "\x02", 1 },
	{ 21, NULL, 0 },
	{ 24, "\x01\x40\x00", 3 }, /* a heartbeat */
	{ 0, NULL, 0 },            /* no type at all */
	{ 99, "?", 1 },
};

static void
records__that_have_no_place__end_it_by_tls(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * sizeof odd / sizeof odd[0]; i++) {
		open_line(line, i % 2 == 1, TLS1_3_VERSION);
		put_forged(line, 1, odd[i / 2].type, odd[i / 2].content, odd[i / 2].len, 0);
		tls_line_settle(line);
		if (line->side.closes == 0)
			tls_peer_end(&line->peer);
		tls_line_until(line, line->side.closes > 0);
		if (line->side.why.reason != ROTA_REASON_TLS &&
			line->side.why.reason != ROTA_REASON_TRUNCATED)
			fail_msg("record %zu: %s", i, line->side.text);
		assert_int_equal(line->side.received_len + line->side.ends, 0);
		tls_line_again(line);
	}
}

/* A record whose bytes were changed on the way, or that comes twice. */
static void
record__that_was_changed__ends_it_by_tls(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 12; i++) {
		unsigned char *record;
		size_t len;

		open_line(line, i % 2 == 1, i % 4 >= 2 ? TLS1_3_VERSION : TLS1_2_VERSION);
		line->peer.holds = true;
		tls_line_hear(line, 100);
		record = tls_peer_take(&line->peer, &len);
		if (i < 8)
			record[i < 4 ? len - 1 : len - 50] ^= 1;
		tls_peer_put(&line->peer, record, len);
		if (i >= 8)
			tls_peer_put(&line->peer, record, len);
		free(record);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_OPEN);
		assert_int_equal(line->side.received_len, i >= 8 ? 100 : 0);
		line->peer.holds = false;
		tls_line_settle(line);
		tls_line_again(line);
	}
}

static void
tickets__by_the_hundred__are_not_all_kept(void **state)
{
	struct tls_line *line = *state;
	int64_t before;

	open_line(line, true, TLS1_3_VERSION);
	before = faulty_allocator_bytes();
	for (int i = 0; i < 500 && line->side.closes == 0; i++) {
		assert_int_equal(SSL_new_session_ticket(line->peer.ssl), 1);
		assert_int_equal(SSL_do_handshake(line->peer.ssl), 1);
		(void)tls_line_step(line);
	}
	tls_line_settle(line);
	assert_true(faulty_allocator_bytes() < before + 100000);
	check_after(line);
}

/* Renegotiation, of TLS 1.2 */

static void
renegotiation__is_not_had(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_line(line, i % 2 == 1, TLS1_2_VERSION);
		faulty_sys_cut(i >= 2 ? 1 : 0);
		assert_int_equal(SSL_renegotiate(line->peer.ssl), 1);
		(void)SSL_do_handshake(line->peer.ssl);
		ERR_clear_error();
		tls_line_settle(line);
		assert_int_equal(line->side.opens, 1);
		assert_int_equal(line->side.received_len + line->side.ends, 0);
		/* Refused, by a warning or for good. */
		assert_true(line->side.closes > 0 ||
			line->peer.alert == (SSL3_AL_WARNING << 8 | SSL_AD_NO_RENEGOTIATION));
		tls_line_again(line);
	}
}

/* HelloRequests, one behind the other. */
static void
renegotiation__asked_for_again_and_again__costs_little(void **state)
{
	struct tls_line *line = *state;

	open_line(line, true, TLS1_2_VERSION);
	for (int i = 0; i < 200 && line->side.closes == 0; i++) {
		if (SSL_renegotiate(line->peer.ssl) != 1)
			break;
		(void)SSL_do_handshake(line->peer.ssl);
		ERR_clear_error();
		(void)tls_peer_flush(&line->peer);
		tls_line_settle(line);
	}
	assert_int_equal(line->side.opens, 1);
	assert_true(faulty_allocator_bytes() < MOST_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(keys__updated_again_and_again__cost_little),
		tls_test(keys__updated_by_one_that_does_not_read__cost_little),
		tls_test_exact(keys__updated_between_records__lose_nothing),
		tls_test_exact(keys__updated_while_output_is_full__lose_nothing),
		tls_test_exact(keys__updated_all_at_once__ask_the_socket_once_a_turn),
		tls_test(records__empty_or_all_padding__cost_little),
		tls_test(records__of_warnings__cost_little),
		tls_test(records__that_have_no_place__end_it_by_tls),
		tls_test(record__that_was_changed__ends_it_by_tls),
		tls_test(tickets__by_the_hundred__are_not_all_kept),
		tls_test_exact(renegotiation__is_not_had),
		tls_test(renegotiation__asked_for_again_and_again__costs_little),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
