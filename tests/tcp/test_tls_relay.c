/* SPDX-License-Identifier: MIT */
/*
 * Relays between TLS and plain: an end is carried over as an end of the other's kind, and anything
 * else, a truncation above all, as a reset.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/relay.h>

#include "faulty_allocator.h"
#include "raw.h"
#include "tls_line.h"

struct joined {
	struct tls_line *line; /* side a, of TLS */
	int plain;             /* side b's peer */
	struct rota_relay *relay;
	bool is_done;
	struct rota_relay_result result;
};

static void
on_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct joined *joined = userdata;

	assert_ptr_equal(relay, joined->relay);
	assert_false(joined->is_done);
	joined->is_done = true;
	joined->result = *result;
}

/* While it shakes hands, or when it has. */
static void
join(struct joined *joined, struct tls_line *line, bool is_early)
{
	char text[ROTA_ADDRESS_TEXT];
	int listening = raw_listen("127.0.0.1:0", 1, text);
	struct rota_stream *stream;
	struct rota_stream *other;

	*joined = (struct joined){ .line = line };
	tls_line_open(line);
	if (!is_early)
		tls_line_shake(line);
	stream = line->side.stream;
	line->side.stream = NULL;
	assert_int_equal(rota_connect(line->ctx, text, NULL, NULL, &other), 0);
	assert_int_equal(rota_relay(stream, other, NULL, on_done, joined, &joined->relay), 0);
	joined->plain = raw_accept(listening);
	close(listening);
	tls_line_until(line, line->peer.is_open || joined->is_done);
}

static void
leave(struct joined *joined)
{
	struct tls_line *line = joined->line;

	if (joined->plain >= 0)
		close(joined->plain);
	assert_int_equal(line->side.offers + line->side.ends + line->side.closes, 0);
	tls_line_until(line, joined->is_done);
	tls_line_again(line);
}

/* What recv says at last: 0 or a negative errno. */
static int
plain_end(struct joined *joined, size_t *ret_received)
{
	char bytes[16384];

	*ret_received = 0;
	for (int turns = 0;; turns++) {
		ssize_t n = raw_receive(joined->plain, bytes, sizeof bytes);

		if (n == -EAGAIN)
			tls_line_take_one(joined->line, turns, "an end", __FILE__, __LINE__);
		else if (n <= 0)
			return (int)n;
		else
			assert_int_equal(pattern_check(bytes, *ret_received, (size_t)n), n);
		*ret_received += n > 0 ? (size_t)n : 0;
	}
}

static void
plain_say(struct joined *joined, size_t len)
{
	char *bytes = malloc(len);
	size_t sent = 0;

	assert_non_null(bytes);
	pattern_fill(bytes, 0, len);
	for (int turns = 0; sent < len; turns++) {
		ssize_t n = send(joined->plain, bytes + sent, len - sent, MSG_NOSIGNAL);

		assert_true(n > 0 || errno == EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		tls_line_take_one(joined->line, turns, "room", __FILE__, __LINE__);
	}
	free(bytes);
}

#define MUCH ((size_t)300000)

static void
relay__between_tls_and_plain__carries_all_and_the_ends(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		struct joined joined;
		size_t received;

		line->is_client = i % 2 == 1;
		join(&joined, line, i >= 2);
		tls_line_hear(line, MUCH);
		plain_say(&joined, MUCH);
		tls_peer_notify(&line->peer);
		assert_int_equal(plain_end(&joined, &received), 0);
		assert_int_equal(received, MUCH);
		assert_false(joined.is_done);
		assert_int_equal(shutdown(joined.plain, SHUT_WR), 0);
		tls_line_until(line, joined.is_done && line->peer.end != TLS_PEER_OPEN);
		assert_int_equal(line->peer.end, TLS_PEER_NOTIFIED);
		assert_int_equal(line->peer.received_len, MUCH);
		assert_int_equal(pattern_check(line->peer.received, 0, MUCH), MUCH);
		assert_int_equal(joined.result.a.reason, ROTA_REASON_CLEAN);
		assert_int_equal(joined.result.b.reason, ROTA_REASON_CLEAN);
		assert_int_equal(joined.result.a.received, MUCH);
		assert_int_equal(joined.result.b.received, MUCH);
		assert_int_equal(joined.result.a.sent, MUCH);
		assert_int_equal(joined.result.b.sent, MUCH);
		assert_false(joined.result.spliced);
		leave(&joined);
	}
}

/* That is how TLS ends, and the plain side is reset; how much came to that before. */
static size_t
expect_reset(struct joined *joined, enum rota_reason reason)
{
	size_t received;

	assert_int_equal(plain_end(joined, &received), -ECONNRESET);
	tls_line_until(joined->line, joined->is_done);
	assert_int_equal(joined->result.a.reason, reason);
	return received;
}

static void
relay__tls_is_truncated__resets_the_plain_side(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		struct joined joined;

		line->is_client = i % 2 == 1;
		join(&joined, line, false);
		tls_line_hear(line, 5000);
		if (i >= 2)
			line->peer.limit = line->peer.wire_out + 50;
		tls_line_hear(line, 100);
		tls_peer_end(&line->peer);
		assert_true(expect_reset(&joined, ROTA_REASON_TRUNCATED) <= 5100);
		assert_int_not_equal(joined.result.b.reason, ROTA_REASON_CLEAN);
		leave(&joined);
	}
}

static void
relay__tls_fails__resets_the_plain_side(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		struct joined joined;

		line->is_client = i % 2 == 1;
		join(&joined, line, false);
		if (i >= 2)
			tls_line_hear(line, 100);
		tls_line_settle(line);
		tls_peer_put(&line->peer, "what is no record at all", 24);
		(void)expect_reset(&joined, ROTA_REASON_TLS);
		leave(&joined);
	}
}

/* The peer of TLS must not take it for an end. */
static void
relay__plain_is_reset__is_no_end_in_tls(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		struct joined joined;

		line->is_client = i == 1;
		join(&joined, line, false);
		plain_say(&joined, 5000);
		raw_reset(joined.plain);
		joined.plain = -1;
		tls_line_until(line, joined.is_done && line->peer.end != TLS_PEER_OPEN);
		assert_int_not_equal(line->peer.end, TLS_PEER_NOTIFIED);
		assert_int_equal(joined.result.b.reason, ROTA_REASON_RESET);
		leave(&joined);
	}
}

/* A client that is not believed gets nothing through, and the other side no clean end. */
static void
relay__handshake_fails__resets_the_plain_side(void **state)
{
	struct tls_line *line = *state;
	struct joined joined;

	line->is_client = true;
	line->wish.certificate = certificate_of(CERTIFICATE_EXPIRED);
	join(&joined, line, true);
	assert_int_equal(expect_reset(&joined, ROTA_REASON_TLS), 0);
	assert_int_equal(joined.result.a.phase, ROTA_PHASE_HANDSHAKE);
	leave(&joined);
}

/* Who does not read holds the other up, and not more than the window is on its way. */
static void
relay__plain_peer_does_not_read__holds_tls_up(void **state)
{
	struct tls_line *line = *state;
	struct joined joined;
	size_t received;
	size_t before;

	join(&joined, line, false);
	for (int i = 0; i < 400; i++) {
		tls_line_hear(line, 50000);
		(void)tls_line_step(line);
	}
	tls_line_settle(line);
	before = BIO_ctrl_pending(line->peer.out);
	assert_true(before > 0);
	assert_true(faulty_allocator_bytes() < (int64_t)2 << 20);
	tls_peer_notify(&line->peer);
	assert_int_equal(plain_end(&joined, &received), 0);
	assert_int_equal(received, 400 * 50000);
	leave(&joined);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(relay__between_tls_and_plain__carries_all_and_the_ends),
		tls_test(relay__tls_is_truncated__resets_the_plain_side),
		tls_test(relay__tls_fails__resets_the_plain_side),
		tls_test(relay__plain_is_reset__is_no_end_in_tls),
		tls_test(relay__handshake_fails__resets_the_plain_side),
		tls_test(relay__plain_peer_does_not_read__holds_tls_up),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
