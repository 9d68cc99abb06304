/* SPDX-License-Identifier: MIT */
/*
 * Handshakes that succeed, in both roles and versions, and what is known after them; and those that
 * the versions, the algorithms or the clock forbid.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "raw.h"
#include "sim_context.h"
#include "tls_line.h"

#define CBC "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"
#define RSA_EXCHANGE "AES128-GCM-SHA256:AES128-SHA:@SECLEVEL=0"

static struct rota_tls_info
info_of(const struct tls_line *line)
{
	struct rota_tls_info info;

	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	return info;
}

static void
check_talk(struct tls_line *line)
{
	assert_int_equal(tls_line_say(line, 5000), 0);
	tls_line_hear(line, 40000);
	tls_line_expect(line, 40000, 5000);
	assert_int_equal(tls_line_say(line, 100000), 0);
	tls_line_expect(line, 40000, 105000);
}

static void
check_end(struct tls_line *line)
{
	rota_stream_end(line->side.stream);
	tls_line_until(line, line->peer.end != TLS_PEER_OPEN);
	assert_int_equal(line->peer.end, TLS_PEER_NOTIFIED);
	tls_peer_notify(&line->peer);
	tls_line_until(line, line->side.ends > 0 || line->side.closes > 0);
	tls_peer_end(&line->peer);
	tls_line_closes(line, ROTA_REASON_CLEAN, ROTA_PHASE_CLOSING);
	assert_int_equal(line->side.ends, 1);
}

static const struct {
	bool is_client;
	int version;
	const char *name;
	const char *ciphers; /* their beginning */
} kinds[] = {
	{ false, TLS1_2_VERSION, "TLSv1.2", "ECDHE-" },
	{ false, TLS1_3_VERSION, "TLSv1.3", "TLS_" },
	{ true, TLS1_2_VERSION, "TLSv1.2", "ECDHE-" },
	{ true, TLS1_3_VERSION, "TLSv1.3", "TLS_" },
};

#define KINDS (sizeof kinds / sizeof kinds[0])

static void
begin_kind(struct tls_line *line, size_t kind)
{
	line->is_client = kinds[kind].is_client;
	line->wish.lowest = line->wish.highest = kinds[kind].version;
}

static void
handshake__of_either_role_and_version__opens_and_tells(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < KINDS; i++) {
		struct rota_tls_info info;

		begin_kind(line, i);
		tls_line_open(line);
		tls_line_shake(line);
		info = info_of(line);
		assert_string_equal(info.version, kinds[i].name);
		assert_int_equal(strncmp(info.cipher, kinds[i].ciphers, strlen(kinds[i].ciphers)),
			0);
		assert_string_equal(info.alpn, "");
		assert_false(info.is_resumed);
		assert_int_equal(info.is_verified, kinds[i].is_client);
		assert_string_equal(info.sni, kinds[i].is_client ? "server.example" : "");
		check_talk(line);
		check_end(line);
		tls_line_again(line);
	}
}

static void
handshake__byte_by_byte__is_the_same(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < KINDS; i++) {
		begin_kind(line, i);
		tls_line_open(line);
		faulty_sys_cut(1);
		tls_line_shake(line);
		assert_int_equal(tls_line_say(line, 500), 0);
		tls_line_hear(line, 700);
		tls_line_expect(line, 700, 500);
		check_end(line);
		tls_line_again(line);
	}
}

static void
handshake__client_with_a_chain__sees_the_names(void **state)
{
	struct tls_line *line = *state;

	line->is_client = true;
	line->wish.certificate = certificate_of(CERTIFICATE_CHAINED);
	tls_line_open(line);
	tls_line_shake(line);
	assert_string_equal(info_of(line).names,
		"dns:localhost,dns:server.example,ip:127.0.0.1,ip:::1");
}

static void
handshake__of_an_rsa_certificate__works(void **state)
{
	struct tls_line *line = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_int_equal(rota_tls_config_new(&line->config), 0);
		tls_add_certificate(line->config, CERTIFICATE_RSA);
		line->wish.lowest = line->wish.highest = version;
		tls_line_open(line);
		tls_line_shake(line);
		check_talk(line);
		tls_line_again(line);
	}
}

/* Nothing is known of one that has not opened, or never had TLS. */
static void
info__before_it_is_open__is_not_there(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_info info;

	tls_line_open(line);
	memset(&info, 0x5a, sizeof info);
	assert_int_equal(rota_tls_info(line->side.stream, &info), -ENOTCONN);
	assert_int_equal((unsigned char)info.alpn[0], 0x5a);
	tls_line_shake(line);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
}

static void
info__of_a_plain_stream__is_not_supported(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_info info;
	struct rota_stream *stream;
	int pair[2];

	make_pair(pair);
	assert_int_equal(rota_stream_adopt(line->ctx, pair[0], &line->options, &line->side,
				 &stream),
		0);
	tls_line_until(line, line->side.opens > 0);
	assert_int_equal(rota_tls_info(stream, &info), -ENOTSUP);
	close(pair[1]);
}

/* What is not spoken */

static void
check_refused(struct tls_line *line, const char *word)
{
	tls_line_open(line);
	tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(line->side.opens, 0);
	assert_closed_by(line, word);
	tls_line_settle(line);
	assert_int_equal(line->peer.alert >> 8, SSL3_AL_FATAL);
}

static void
handshake__of_an_old_version__fails_with_an_alert(void **state)
{
	struct tls_line *line = *state;

	for (int is_client = 0; is_client < 2; is_client++) {
		for (int version = TLS1_VERSION; version <= TLS1_1_VERSION; version++) {
			line->is_client = is_client != 0;
			line->wish.is_lax = true;
			line->wish.lowest = line->wish.highest = version;
			line->wish.ciphers = "ALL:@SECLEVEL=0";
			tls_line_open(line);
			tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
			assert_int_equal(line->side.opens, 0);
			tls_line_again(line);
		}
	}
}

static void
handshake__of_old_algorithms__fails(void **state)
{
	static const char *const ciphers[] = { CBC, RSA_EXCHANGE };
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rota_tls_config_new(&line->config), 0);
		tls_add_certificate(line->config, CERTIFICATE_RSA);
		line->wish.highest = TLS1_2_VERSION;
		line->wish.is_lax = true;
		line->wish.ciphers = ciphers[i];
		check_refused(line, "cipher");
		tls_line_again(line);
	}
}

static void
handshake__of_a_group_that_is_not_among_ours__fails(void **state)
{
	struct tls_line *line = *state;

	line->wish.groups = "P-521";
	tls_line_open(line);
	tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(line->side.opens, 0);
}

static void
handshake__of_the_groups_that_are__works(void **state)
{
	static const char *const groups[] = { "X25519", "P-256", "P-384" };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 6; i++) {
		line->is_client = i >= 3;
		line->wish.groups = groups[i % 3];
		tls_line_open(line);
		tls_line_shake(line);
		check_talk(line);
		tls_line_again(line);
	}
}

static void
versions__that_were_set__are_the_only_ones(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 8; i++) {
		enum rota_tls_version ours = (i & 1) != 0 ? ROTA_TLS_1_3 : ROTA_TLS_1_2;
		int theirs = (i & 2) != 0 ? TLS1_3_VERSION : TLS1_2_VERSION;

		line->is_client = (i & 4) != 0;
		line->config = tls_line_config(line->is_client);
		assert_int_equal(rota_tls_config_set_versions(line->config, ours, ours), 0);
		line->wish.lowest = line->wish.highest = theirs;
		tls_line_open(line);
		if ((int)ours == theirs)
			tls_line_shake(line);
		else
			tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

/* Time */

static void
let_pass(struct tls_line *line, rota_time time)
{
	sim_advance(line->ctx, time);
	tls_line_settle(line);
}

static void
handshake__that_stalls__ends_by_its_deadline(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < KINDS; i++) {
		begin_kind(line, i);
		line->options.handshake_timeout = 3 * ROTA_SECOND;
		tls_line_open(line);
		line->peer.limit = 50 * i;
		tls_line_settle(line);
		let_pass(line, 3 * ROTA_SECOND - 1);
		assert_int_equal(line->side.closes, 0);
		let_pass(line, 1);
		tls_line_closes(line, ROTA_REASON_TIMEOUT_HANDSHAKE, ROTA_PHASE_HANDSHAKE);
		assert_int_equal(line->side.why.error, -ETIMEDOUT);
		tls_line_again(line);
	}
}

/* Each byte is progress, but the deadline is of the whole. */
static void
handshake__of_a_byte_per_ten_seconds__ends_by_its_deadline(void **state)
{
	struct tls_line *line = *state;
	int bytes = 0;

	line->options.handshake_timeout = ROTA_MINUTE;
	tls_line_open(line);
	line->peer.limit = 0;
	while (line->side.closes == 0) {
		line->peer.limit++;
		assert_true(++bytes < 10);
		tls_line_settle(line);
		let_pass(line, 10 * ROTA_SECOND);
	}
	assert_int_equal(bytes, 6);
	tls_line_closes(line, ROTA_REASON_TIMEOUT_HANDSHAKE, ROTA_PHASE_HANDSHAKE);
}

/* What is sent before it is open, waits. */
static void
handshake__with_output_queued__comes_first(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < KINDS; i++) {
		begin_kind(line, i);
		tls_line_open(line);
		assert_int_equal(tls_line_say(line, 3000), 0);
		assert_int_equal(rota_stream_unsent(line->side.stream), 3000);
		tls_line_shake(line);
		tls_line_expect(line, 0, 3000);
		assert_int_equal(rota_stream_unsent(line->side.stream), 0);
		tls_line_again(line);
	}
}

static void
fill(struct side *side)
{
	static const char bytes[50000];
	struct tls_line *line = side->userdata;

	line->peer.reads_none = true;
	while (rota_stream_send(side->stream, bytes, sizeof bytes) == 0) {
		/* Until it is full. */
	}
}

/* That its last flight, a ticket, had to wait for room says nothing of what it waits for then. */
static void
handshake__last_flight_waited__reads_on_without_room(void **state)
{
	struct tls_line *line = *state;

	line->has_small_buffers = true;
	line->options.read_when_full = true;
	line->wish.lowest = TLS1_3_VERSION;
	line->side.at_open = fill;
	line->side.userdata = line;
	tls_line_open(line);
	faulty_sys_fail(FAULTY_SEND, 2, false, EAGAIN);
	tls_line_until(line, line->side.opens > 0);
	assert_true(line->peer.is_open);
	assert_int_equal(faulty_sys_failed(), 1);
	tls_line_hear(line, 1000);
	tls_line_until(line, line->side.received_len == 1000);
}

/* So is what the peer sends with its last flight. */
static void
handshake__with_input_behind_it__opens_before_data(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < KINDS; i++) {
		begin_kind(line, i);
		tls_line_open(line);
		line->peer.holds = true;
		for (int j = 0; j < 20 && !line->peer.is_open; j++) {
			(void)tls_line_step(line);
			line->peer.holds = line->peer.is_open;
			(void)tls_peer_flush(&line->peer);
			line->peer.holds = true;
		}
		assert_true(line->peer.is_open);
		tls_line_hear(line, 100);
		tls_peer_notify(&line->peer);
		line->peer.holds = false;
		(void)tls_peer_flush(&line->peer);
		tls_line_until(line, line->side.ends + line->side.closes > 0);
		assert_int_equal(line->side.opens, 1);
		tls_line_expect(line, 100, 0);
		tls_line_again(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(handshake__of_either_role_and_version__opens_and_tells),
		tls_test_exact(handshake__byte_by_byte__is_the_same),
		tls_test(handshake__client_with_a_chain__sees_the_names),
		tls_test(handshake__of_an_rsa_certificate__works),
		tls_test(info__before_it_is_open__is_not_there),
		tls_test(info__of_a_plain_stream__is_not_supported),
		tls_test(handshake__of_an_old_version__fails_with_an_alert),
		tls_test_exact(handshake__of_old_algorithms__fails),
		tls_test(handshake__of_a_group_that_is_not_among_ours__fails),
		tls_test(handshake__of_the_groups_that_are__works),
		tls_test(versions__that_were_set__are_the_only_ones),
		tls_test_simulated(handshake__that_stalls__ends_by_its_deadline),
		tls_test_simulated(handshake__of_a_byte_per_ten_seconds__ends_by_its_deadline),
		tls_test(handshake__with_output_queued__comes_first),
		tls_test_exact(handshake__last_flight_waited__reads_on_without_room),
		tls_test(handshake__with_input_behind_it__opens_before_data),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
