/* SPDX-License-Identifier: MIT */
/*
 * rota_stream_start_tls: what was sent before goes before, what was not taken is TLS's, and nothing
 * that somebody put between is taken for a part of what is protected.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/relay.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "sim_context.h"
#include "tls_line.h"

static void
open_plain(struct tls_line *line, bool is_client)
{
	line->is_client = is_client;
	line->is_plain = true;
	tls_line_open(line);
}

static void
check_talk(struct tls_line *line)
{
	assert_int_equal(tls_line_say(line, 3000), 0);
	tls_line_hear(line, 3000);
	tls_line_expect(line, 3000, 3000);
}

static void
start__of_an_open_stream__opens_again(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		open_plain(line, i == 1);
		assert_true(rota_stream_is_open(line->side.stream));
		assert_int_equal(tls_line_start(line), 0);
		assert_false(rota_stream_is_open(line->side.stream));
		tls_line_shake(line);
		assert_true(rota_stream_is_open(line->side.stream));
		assert_int_equal(line->side.opens, 1);
		check_talk(line);
		tls_line_again(line);
	}
}

/* Plain output that is queued */

static void
read_plain(struct tls_line *line, size_t len)
{
	char bytes[4096];
	size_t have = 0;

	for (int turns = 0; have < len; turns++) {
		size_t room = len - have < sizeof bytes ? len - have : sizeof bytes;
		ssize_t n = recv(line->peer.fd, bytes, room, 0);

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
			assert_true(turns < 1000000);
			continue;
		}
		assert_true(n > 0);
		assert_int_equal(pattern_check(bytes, have, (size_t)n), n);
		have += (size_t)n;
	}
}

static void
start__with_plain_output_queued__sends_it_first(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		line->has_small_buffers = true;
		open_plain(line, i % 2 == 1);
		assert_int_equal(tls_line_say(line, 200000), 0);
		assert_true(rota_stream_unsent(line->side.stream) > 100000);
		assert_int_equal(tls_line_start(line), 0);
		line->side.said = 0;
		if (i >= 2)
			assert_int_equal(tls_line_say(line, 5000), 0);
		read_plain(line, 200000);
		tls_line_shake(line);
		tls_line_expect(line, 0, i >= 2 ? 5000 : 0);
		tls_line_again(line);
	}
}

static void
start__plain_output_never_goes__is_told_as_unsent(void **state)
{
	struct tls_line *line = *state;
	size_t unsent;

	line->has_small_buffers = true;
	open_plain(line, false);
	assert_int_equal(tls_line_say(line, 200000), 0);
	assert_int_equal(tls_line_start(line), 0);
	assert_int_equal(tls_line_say(line, 1000), 0);
	unsent = rota_stream_unsent(line->side.stream);
	assert_true(unsent > 101000);
	rota_stream_abort(line->side.stream);
	tls_line_closes(line, ROTA_REASON_CANCELLED, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(line->side.why.unsent, unsent);
}

/* Input that was not taken */

#define COMMAND "STARTTLS\r\n"
#define COMMAND_LEN (sizeof COMMAND - 1)

static ssize_t
takes_command_and_starts(struct tls_line *line, const char *bytes, size_t len)
{
	if (len < COMMAND_LEN)
		return 0;
	assert_memory_equal(bytes, COMMAND, COMMAND_LEN);
	assert_int_equal(tls_line_start(line), 0);
	return COMMAND_LEN;
}

static void
start__in_on_data__rest_is_the_beginning_of_tls(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		unsigned char *hello;
		size_t len;

		line->at_plain_data = takes_command_and_starts;
		open_plain(line, false);
		faulty_sys_cut(i == 1 ? 1 : 0);
		tls_peer_put(&line->peer, COMMAND, COMMAND_LEN);
		line->peer.holds = true;
		(void)tls_peer_step(&line->peer);
		hello = tls_peer_take(&line->peer, &len);
		tls_peer_put(&line->peer, hello, len);
		free(hello);
		line->peer.holds = false;
		tls_line_shake(line);
		check_talk(line);
		tls_line_again(line);
	}
}

/* It is kept, and then TLS begins, out of any handler. */
static void
start__with_input_kept__takes_that(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		open_plain(line, false);
		rota_stream_pause(line->side.stream);
		if (i == 1)
			rota_stream_resume(line->side.stream);
		(void)tls_peer_step(&line->peer);
		tls_line_settle(line);
		assert_int_equal(tls_line_start(line), 0);
		rota_stream_resume(line->side.stream);
		tls_line_shake(line);
		check_talk(line);
		tls_line_again(line);
	}
}

/* CVE-2011-0411 and its kind: commands that were put behind STARTTLS. */
static void
start__plaintext_was_injected__fails(void **state)
{
	static const char injected[] = COMMAND "MAIL FROM:<evil@example.org>\r\n";
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		line->at_plain_data = takes_command_and_starts;
		open_plain(line, i == 1);
		tls_peer_put(&line->peer, injected, sizeof injected - 1);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		assert_int_equal(line->side.opens + line->side.offers + line->side.ends, 0);
		tls_line_again(line);
	}
}

static void
start__peer_has_ended__is_truncated(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		open_plain(line, i == 1);
		tls_peer_end(&line->peer);
		tls_line_settle(line);
		assert_int_equal(tls_line_start(line), 0);
		tls_line_closes(line, ROTA_REASON_TRUNCATED, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

/* When it cannot be */

static void
start__of_one_that_is_not_open__is_refused(void **state)
{
	struct tls_line *line = *state;

	open_plain(line, false);
	rota_stream_end(line->side.stream);
	assert_int_equal(tls_line_start(line), -ENOTCONN);
	tls_line_again(line);
	open_plain(line, false);
	rota_stream_close(line->side.stream);
	assert_int_equal(tls_line_start(line), -ENOTCONN);
	tls_line_again(line);
	open_plain(line, false);
	rota_stream_abort(line->side.stream);
	assert_int_equal(tls_line_start(line), -ENOTCONN);
	tls_line_until(line, line->side.stream == NULL);
}

static void
start__twice__is_refused(void **state)
{
	struct tls_line *line = *state;

	tls_line_open(line);
	assert_int_equal(tls_line_start(line), -EALREADY);
	tls_line_shake(line);
	assert_int_equal(tls_line_start(line), -EALREADY);
	check_talk(line);
}

static void
start__without_what_it_takes__changes_nothing(void **state)
{
	static const char *const bad[] = { NULL, "", " ", "a b", "a..b", ".", "*.example", "a\nb",
		"127.0.0.1:443", "[::1]" };
	struct tls_line *line = *state;
	struct rota_tls_config *server;

	assert_int_equal(rota_tls_config_new(&server), 0);
	open_plain(line, true);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		line->name = bad[i];
		if (tls_line_start(line) != -EINVAL)
			fail_msg("\"%s\" is taken for a name", bad[i] != NULL ? bad[i] : "NULL");
	}
	assert_int_equal(rota_stream_start_tls(line->side.stream, server, ROTA_TLS_SERVER, NULL),
		-EINVAL);
	rota_tls_config_unref(server);
	assert_true(rota_stream_is_open(line->side.stream));
	line->name = "server.example";
	assert_int_equal(tls_line_start(line), 0);
	tls_line_shake(line);
	check_talk(line);
}

static void
on_relayed(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	(void)relay;
	(void)result;
	*(bool *)userdata = true;
}

static void
start__of_one_in_a_relay__is_refused(void **state)
{
	struct tls_line *line = *state;
	struct rota_stream *stream;
	struct rota_stream *other;
	struct rota_relay *relay;
	bool is_done = false;
	int pair[2];

	open_plain(line, false);
	stream = line->side.stream;
	make_pair(pair);
	assert_int_equal(rota_stream_adopt(line->ctx, pair[0], &line->options, NULL, &other), 0);
	assert_int_equal(rota_relay(stream, other, NULL, on_relayed, &is_done, &relay), 0);
	assert_int_equal(rota_stream_start_tls(stream, line->config, ROTA_TLS_SERVER, NULL),
		-EBUSY);
	line->side.stream = NULL;
	rota_relay_abort(relay);
	while (!is_done)
		(void)tls_line_step(line);
	close(pair[1]);
}

/* The end of the handshake that never comes */

static void
start__handshake_stalls__ends_by_its_own_deadline(void **state)
{
	struct tls_line *line = *state;

	line->options.handshake_timeout = 7 * ROTA_SECOND;
	open_plain(line, false);
	line->peer.limit = 100;
	sim_advance(line->ctx, ROTA_MINUTE);
	tls_line_settle(line);
	assert_int_equal(tls_line_start(line), 0);
	tls_line_settle(line);
	sim_advance(line->ctx, 7 * ROTA_SECOND - 1);
	tls_line_settle(line);
	assert_int_equal(line->side.closes, 0);
	sim_advance(line->ctx, 1);
	tls_line_closes(line, ROTA_REASON_TIMEOUT_HANDSHAKE, ROTA_PHASE_HANDSHAKE);
}

static void
start__closed_before_it_opens__is_cancelled(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 4; i++) {
		open_plain(line, i % 2 == 1);
		assert_int_equal(tls_line_start(line), 0);
		line->peer.limit = 100;
		tls_line_settle(line);
		if (i < 2)
			rota_stream_close(line->side.stream);
		else
			rota_stream_abort(line->side.stream);
		tls_line_closes(line, ROTA_REASON_CANCELLED, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(start__of_an_open_stream__opens_again),
		tls_test(start__with_plain_output_queued__sends_it_first),
		tls_test(start__plain_output_never_goes__is_told_as_unsent),
		tls_test_exact(start__in_on_data__rest_is_the_beginning_of_tls),
		tls_test(start__with_input_kept__takes_that),
		tls_test(start__plaintext_was_injected__fails),
		tls_test(start__peer_has_ended__is_truncated),
		tls_test(start__of_one_that_is_not_open__is_refused),
		tls_test(start__twice__is_refused),
		tls_test(start__without_what_it_takes__changes_nothing),
		tls_test(start__of_one_in_a_relay__is_refused),
		tls_test_simulated(start__handshake_stalls__ends_by_its_own_deadline),
		tls_test(start__closed_before_it_opens__is_cancelled),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
