/* SPDX-License-Identifier: MIT */
/*
 * Servers that ask their clients for certificates: who is let in, by whose authority and by which
 * name, and what those are told that are not.
 */
#include <errno.h>
#include <string.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "tls_line.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* peer_name may be NULL. */
static void
open_server(struct tls_line *line, const struct certificate *shown, const char *peer_name,
	int version)
{
	line->config = tls_line_config(false);
	tls_add_ca(line->config, CERTIFICATE_CA);
	assert_int_equal(rota_tls_config_require_peer(line->config), 0);
	if (peer_name != NULL)
		assert_int_equal(rota_tls_config_add_peer_name(line->config, peer_name), 0);
	line->wish.certificate = shown;
	line->wish.is_lax = true;
	line->wish.lowest = line->wish.highest = version;
	tls_line_open(line);
}

static void
check_refused(struct tls_line *line, const char *word)
{
	tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(line->side.opens + line->side.offers + line->side.ends, 0);
	if (word != NULL)
		assert_closed_by(line, word);
	tls_line_settle(line);
	assert_int_equal(line->peer.alert >> 8, SSL3_AL_FATAL);
	tls_line_again(line);
}

static void
client__of_the_authority__is_let_in(void **state)
{
	static const enum certificate_kind kinds[] = { CERTIFICATE_CLIENT, CERTIFICATE_CHAINED,
		CERTIFICATE_FOR_CLIENTS };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 6; i++) {
		struct rota_tls_info info;

		open_server(line, certificate_of(kinds[i / 2]), NULL, versions[i % 2]);
		tls_line_shake(line);
		assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
		assert_true(info.is_verified);
		if (kinds[i / 2] == CERTIFICATE_CLIENT)
			assert_string_equal(info.names,
				"dns:client.example,uri:spiffe://example/client,"
				"email:client@example.org,ip:192.0.2.7");
		tls_line_again(line);
	}
}

static const struct {
	enum certificate_kind kind;
	const char *word;
} bad[] = {
	{ CERTIFICATE_EXPIRED, "expired" },
	{ CERTIFICATE_EARLY, "not yet valid" },
	{ CERTIFICATE_SELF_SIGNED, "self-signed" },
	{ CERTIFICATE_UNKNOWN, "issuer" },
	{ CERTIFICATE_UNCHAINED, "issuer" },
	{ CERTIFICATE_FORGED, "signature" },
	{ CERTIFICATE_WEAK, "weak" },
	{ CERTIFICATE_SHA1, "weak" },
	{ CERTIFICATE_BY_A_SERVER, "CA" },
};

static void
client__bad_certificate__is_refused_and_told(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * sizeof bad / sizeof bad[0]; i++) {
		open_server(line, certificate_of(bad[i / 2].kind), NULL, versions[i % 2]);
		check_refused(line, bad[i / 2].word);
	}
}

static void
client__without_certificate__is_refused_and_told(void **state)
{
	static const int alerts[] = { SSL_AD_HANDSHAKE_FAILURE, SSL_AD_CERTIFICATE_REQUIRED };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2; i++) {
		open_server(line, NULL, NULL, versions[i]);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		assert_closed_by(line, "certificate");
		tls_line_settle(line);
		assert_int_equal(line->peer.alert, SSL3_AL_FATAL << 8 | alerts[i]);
		tls_line_again(line);
	}
}

/* A client may show one where it is not asked: it is not, and so it is none. */
static void
client__not_asked__shows_nothing(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_info info;

	line->wish.certificate = certificate_of(CERTIFICATE_UNKNOWN);
	tls_line_open(line);
	tls_line_shake(line);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	assert_false(info.is_verified);
	assert_string_equal(info.names, "");
}

static const struct {
	const char *rule;
	bool is_good;
} rules[] = {
	{ "client.example", true },
	{ "CLIENT.EXAMPLE", true },
	{ "*.example", true },
	{ "uri:spiffe://example/client", true },
	{ "email:client@example.org", true },
	{ "cn:the client", true },
	{ "other.example", false },
	{ "*.client.example", false },
	{ "*.org", false },
	{ "example", false },
	{ "uri:spiffe://example/clien", false },
	{ "uri:spiffe://example/client2", false },
	{ "uri:spiffe://example/Client", false },
	{ "email:clients@example.org", false },
	{ "cn:the clients", false },
	{ "cn:client.example", false },
	{ "uri:client.example", false },
	{ "uri:client@example.org", false },
	{ "email:spiffe://example/client", false },
	{ "cn:client@example.org", false },
};

static void
client__by_a_rule_of_names__is_let_in_or_not(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		open_server(line, certificate_of(CERTIFICATE_CLIENT), rules[i].rule,
			versions[i % 2]);
		if (rules[i].is_good) {
			tls_line_shake(line);
			tls_line_again(line);
		} else {
			check_refused(line, "name");
		}
	}
}

/* A star has no dot in it. */
static void
client__by_a_star__has_one_label_there(void **state)
{
	const struct certificate_wish wish = {
		.issuer = certificate_of(CERTIFICATE_CA),
		.names = "DNS:a.b.example",
	};
	struct certificate *certificate = certificate_new(&wish);
	struct tls_line *line = *state;

	open_server(line, certificate, "*.b.example", TLS1_3_VERSION);
	tls_line_shake(line);
	tls_line_again(line);
	open_server(line, certificate, "*.example", TLS1_3_VERSION);
	check_refused(line, "name");
	certificate_free(certificate);
}

static void
client__by_the_last_of_many_names__is_let_in(void **state)
{
	struct tls_line *line = *state;
	char name[64];

	line->config = tls_line_config(false);
	tls_add_ca(line->config, CERTIFICATE_CA);
	assert_int_equal(rota_tls_config_require_peer(line->config), 0);
	for (int i = 0; i < 999; i++) {
		snprintf(name, sizeof name, "uri:spiffe://example/%d", i);
		assert_int_equal(rota_tls_config_add_peer_name(line->config, name), 0);
	}
	assert_int_equal(rota_tls_config_add_peer_name(line->config, "client.example"), 0);
	assert_int_equal(rota_tls_config_add_peer_name(line->config, "x.example"), -ENOSPC);
	line->wish.certificate = certificate_of(CERTIFICATE_CLIENT);
	tls_line_open(line);
	tls_line_shake(line);
}

static void
peer_name__that_is_none__is_refused(void **state)
{
	static const char *const none[] = { "", "*", "*.", ".", ".example", "a..example", "a b",
		"*.*.example", "a*.example", "b.*.example", "uri:", "email:", "cn:", "-", "a\nb" };
	struct rota_tls_config *config;

	(void)state;
	assert_int_equal(rota_tls_config_new(&config), 0);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		if (rota_tls_config_add_peer_name(config, none[i]) != -EINVAL)
			fail_msg("\"%s\" is taken for a name", none[i]);
	}
	rota_tls_config_unref(config);
}

/* Names that are no plain text are told as such. */
static void
names__with_odd_bytes__are_escaped(void **state)
{
	const struct certificate_wish wish = {
		.issuer = certificate_of(CERTIFICATE_CA),
		.common_name = "a,b\ncd",
	};
	struct certificate *certificate = certificate_new(&wish);
	struct tls_line *line = *state;
	struct rota_tls_info info;

	open_server(line, certificate, NULL, 0);
	tls_line_shake(line);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	assert_string_equal(info.names, "cn:a\\x2cb\\x0acd");
	certificate_free(certificate);
}

static void
names__too_many_to_tell__are_cut(void **state)
{
	char names[4000] = "DNS:a.example";
	struct certificate_wish wish = {
		.issuer = certificate_of(CERTIFICATE_CA),
		.names = names,
	};
	struct certificate *certificate;
	struct tls_line *line = *state;
	struct rota_tls_info info;

	for (int i = 0; i < 100; i++)
		snprintf(names + strlen(names), sizeof names - strlen(names),
			",DNS:number-%d.example", i);
	certificate = certificate_new(&wish);
	open_server(line, certificate, "number-99.example", 0);
	tls_line_shake(line);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	assert_in_range(strlen(info.names), 400, sizeof info.names - 1);
	assert_int_equal(strncmp(info.names, "dns:a.example,dns:number-0.example,", 35), 0);
	certificate_free(certificate);
}

/* A server that asks nobody's certificate is told of no name rules; one without CA cannot serve. */
static void
require_peer__without_authority__cannot_serve(void **state)
{
	struct tls_line *line = *state;
	struct rota_stream *stream;
	int pair[2];

	line->config = tls_line_config(false);
	assert_int_equal(rota_tls_config_require_peer(line->config), 0);
	make_pair(pair);
	assert_int_equal(rota_stream_adopt(line->ctx, pair[0], &line->options, &line->side,
				 &stream),
		0);
	tls_line_until(line, line->side.opens > 0);
	assert_int_equal(rota_stream_start_tls(stream, line->config, ROTA_TLS_SERVER, NULL),
		-EINVAL);
	assert_true(rota_stream_is_open(stream));
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(client__of_the_authority__is_let_in),
		tls_test_exact(client__bad_certificate__is_refused_and_told),
		tls_test_exact(client__without_certificate__is_refused_and_told),
		tls_test(client__not_asked__shows_nothing),
		tls_test_exact(client__by_a_rule_of_names__is_let_in_or_not),
		tls_test_exact(client__by_a_star__has_one_label_there),
		tls_test(client__by_the_last_of_many_names__is_let_in),
		cmocka_unit_test(peer_name__that_is_none__is_refused),
		tls_test(names__with_odd_bytes__are_escaped),
		tls_test(names__too_many_to_tell__are_cut),
		tls_test(require_peer__without_authority__cannot_serve),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
