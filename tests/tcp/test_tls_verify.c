/* SPDX-License-Identifier: MIT */
/*
 * Whom clients believe: every kind of bad certificate is refused, while shaking hands, with a text
 * that says what is wrong with it and an alert that tells the server; names are those that were
 * asked for; and what weakens that weakens no more than it says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "tls_line.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void
open_client(struct tls_line *line, const struct certificate *certificate, int version)
{
	line->is_client = true;
	line->wish.is_lax = true;
	line->wish.certificate = certificate;
	line->wish.lowest = line->wish.highest = version;
	tls_line_open(line);
}

static void
check_refused(struct tls_line *line, const char *word, int alert)
{
	tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(line->side.opens + line->side.offers + line->side.ends, 0);
	assert_true(line->side.why.error < 0);
	assert_closed_by(line, word);
	tls_line_settle(line);
	assert_int_equal(line->peer.alert, alert != 0 ? SSL3_AL_FATAL << 8 | alert : 0);
	tls_line_again(line);
}

static const struct {
	enum certificate_kind kind;
	const char *word;
	int alert;
} bad[] = {
	{ CERTIFICATE_EXPIRED, "expired", SSL_AD_CERTIFICATE_EXPIRED },
	{ CERTIFICATE_EARLY, "not yet valid", SSL_AD_BAD_CERTIFICATE },
	{ CERTIFICATE_SELF_SIGNED, "self-signed", SSL_AD_UNKNOWN_CA },
	{ CERTIFICATE_UNKNOWN, "issuer", SSL_AD_UNKNOWN_CA },
	{ CERTIFICATE_UNCHAINED, "issuer", SSL_AD_UNKNOWN_CA },
	{ CERTIFICATE_FORGED, "signature", SSL_AD_DECRYPT_ERROR },
	{ CERTIFICATE_WEAK, "weak", SSL_AD_BAD_CERTIFICATE },
	{ CERTIFICATE_SHA1, "weak", SSL_AD_BAD_CERTIFICATE },
	{ CERTIFICATE_OTHER, "server.example", SSL_AD_BAD_CERTIFICATE },
	{ CERTIFICATE_FOR_CLIENTS, "purpose", SSL_AD_UNSUPPORTED_CERTIFICATE },
	{ CERTIFICATE_BY_A_SERVER, "CA", SSL_AD_UNKNOWN_CA },
};

#define BAD (sizeof bad / sizeof bad[0])

static void
client__bad_certificate__refuses_and_says_why(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * BAD; i++) {
		open_client(line, certificate_of(bad[i / 2].kind), versions[i % 2]);
		check_refused(line, bad[i / 2].word, bad[i / 2].alert);
	}
}

static void
client__bad_certificate_byte_by_byte__refuses_too(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < BAD; i++) {
		open_client(line, certificate_of(bad[i].kind), versions[i % 2]);
		faulty_sys_cut(1);
		check_refused(line, bad[i].word, bad[i].alert);
	}
}

/* The server is gone before the alert: that is not what the connection ended by. */
static void
client__bad_certificate_of_who_takes_no_alert__says_why_all_the_same(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * BAD; i++) {
		/* Behind the hello. */
		faulty_sys_fail(FAULTY_SEND, 2, true, i % 3 == 0 ? ECONNRESET : EPIPE);
		open_client(line, certificate_of(bad[i / 2].kind), versions[i % 2]);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		assert_closed_by(line, bad[i / 2].word);
		assert_int_equal(faulty_sys_failed() > 0, bad[i / 2].alert != 0);
		tls_line_again(line);
	}
}

/* What was sent before is never sent to somebody who is not believed. */
static void
client__bad_certificate__keeps_what_it_was_to_send(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < BAD; i++) {
		open_client(line, certificate_of(bad[i].kind), versions[i % 2]);
		assert_int_equal(tls_line_say(line, 1000), 0);
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		assert_int_equal(line->side.why.unsent, 1000);
		assert_int_equal(line->peer.received_len, 0);
		tls_line_again(line);
	}
}

static void
client__without_authorities__believes_the_systems_only(void **state)
{
	struct tls_line *line = *state;

	assert_int_equal(rota_tls_config_new(&line->config), 0);
	open_client(line, certificate_of(CERTIFICATE_SERVER), TLS1_3_VERSION);
	check_refused(line, "issuer", SSL_AD_UNKNOWN_CA);
}

/* The system's are whom SSL_CERT_FILE names. */
static void
client__authorities_of_its_own__are_instead_of_the_systems(void **state)
{
	struct tls_line *line = *state;
	const char *path =
		certificate_file("system.pem", certificate_of(CERTIFICATE_UNKNOWN_CA)->pem, 0644);

	assert_int_equal(setenv("SSL_CERT_FILE", path, 1), 0);
	assert_int_equal(rota_tls_config_new(&line->config), 0);
	open_client(line, certificate_of(CERTIFICATE_UNKNOWN), TLS1_3_VERSION);
	tls_line_shake(line);
	tls_line_again(line);
	open_client(line, certificate_of(CERTIFICATE_UNKNOWN), TLS1_3_VERSION);
	check_refused(line, "issuer", SSL_AD_UNKNOWN_CA);
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

static void
client__second_authority__is_believed_too(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		line->config = tls_line_config(true);
		tls_add_ca(line->config, CERTIFICATE_UNKNOWN_CA);
		open_client(line, certificate_of(i == 0 ? CERTIFICATE_UNKNOWN : CERTIFICATE_SERVER),
			0);
		tls_line_shake(line);
		tls_line_again(line);
	}
}

/* Names */

static const struct {
	const char *names; /* the certificate's; NULL: none but the common name, name.example */
	const char *asked;
	bool is_good;
} names[] = {
	{ "DNS:a.example", "a.example", true },
	{ "DNS:a.example", "A.Example", true },
	{ "DNS:A.EXAMPLE", "a.example", true },
	{ "DNS:a.example", "b.example", false },
	{ "DNS:a.example", "a.example.org", false },
	{ "DNS:a.example", "x.a.example", false },
	{ "DNS:b.example,DNS:a.example", "a.example", true },
	{ "DNS:*.example.org", "a.example.org", true },
	{ "DNS:*.example.org", "example.org", false },
	{ "DNS:*.example.org", "a.b.example.org", false },
	{ "DNS:a.*.org", "a.example.org", false },
	{ "IP:127.0.0.1", "127.0.0.1", true },
	{ "IP:127.0.0.1", "127.0.0.2", false },
	{ "IP:::1", "::1", true },
	{ "IP:::1", "::2", false },
	{ "DNS:127.0.0.1", "127.0.0.1", false },
	{ "IP:127.0.0.1", "a.example", false },
	{ "URI:https://a.example", "a.example", false },
	{ "email:a.example@example.org", "a.example", false },
	{ "DNS:b.example", "name.example", false },
};

static void
client__names_of_the_certificate__are_compared(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const struct certificate_wish wish = {
			.issuer = certificate_of(CERTIFICATE_CA),
			.common_name = "name.example",
			.names = names[i].names,
		};
		struct certificate *certificate = certificate_new(&wish);

		line->name = names[i].asked;
		open_client(line, certificate, 0);
		tls_line_until(line, line->side.opens + line->side.closes > 0);
		if (line->side.opens != (names[i].is_good ? 1u : 0u))
			fail_msg("%s, asked for %s: %s", names[i].names, names[i].asked,
				line->side.text);
		if (!names[i].is_good)
			assert_closed_by(line, names[i].asked);
		tls_line_again(line);
		certificate_free(certificate);
	}
}

/* A server is told the name that it is asked for, and no address. */
static void
client__name__is_sent(void **state)
{
	static const char *const asked[] = { "localhost", "127.0.0.1", "::1" };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 3; i++) {
		const char *sent;

		line->name = asked[i];
		open_client(line, NULL, 0);
		tls_line_shake(line);
		sent = SSL_get_servername(line->peer.ssl, TLSEXT_NAMETYPE_host_name);
		if (i == 0)
			assert_string_equal(sent, "localhost");
		else
			assert_null(sent);
		tls_line_again(line);
	}
}

static const struct {
	const char *name;
	bool is_good;
} rules[] = {
	{ "server.example", true },
	{ "*.example", true },
	{ "cn:server.example", true },
	{ "db.example", false },
	{ "uri:spiffe://example/client", false },
	{ "cn:server", false },
};

/* Beside the name that it connected to, it must have one of those added. */
static void
client__peer_names__must_be_met_too(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		line->config = tls_line_config(true);
		assert_int_equal(rota_tls_config_add_peer_name(line->config, rules[i].name), 0);
		open_client(line, NULL, 0);
		if (rules[i].is_good)
			tls_line_shake(line);
		else
			tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
		line->config = tls_line_config(true);
		assert_int_equal(rota_tls_config_add_peer_name(line->config, "server.example"), 0);
		line->name = "other.example";
		open_client(line, NULL, 0);
		check_refused(line, "other.example", SSL_AD_BAD_CERTIFICATE);
	}
}

/* What is called insecure */

static void
insecure_no_verification__any_certificate__is_taken(void **state)
{
	static const enum certificate_kind kinds[] = { CERTIFICATE_SERVER, CERTIFICATE_OTHER,
		CERTIFICATE_EXPIRED, CERTIFICATE_SELF_SIGNED, CERTIFICATE_UNKNOWN };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
		struct rota_tls_info info;

		assert_int_equal(rota_tls_config_new(&line->config), 0);
		assert_int_equal(rota_tls_config_insecure_no_verification(line->config), 0);
		line->name = i % 2 == 0 ? "server.example" : NULL;
		open_client(line, certificate_of(kinds[i / 2]), versions[i % 2]);
		tls_line_shake(line);
		assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
		assert_false(info.is_verified);
		tls_line_again(line);
	}
}

static void
insecure_no_name__chain__is_verified_all_the_same(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < BAD; i++) {
		line->config = tls_line_config(true);
		assert_int_equal(rota_tls_config_insecure_no_name(line->config), 0);
		line->name = i % 2 == 0 ? "server.example" : NULL;
		open_client(line, certificate_of(bad[i].kind), 0);
		if (bad[i].kind == CERTIFICATE_OTHER)
			tls_line_shake(line);
		else
			tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test_exact(client__bad_certificate__refuses_and_says_why),
		tls_test_exact(client__bad_certificate_byte_by_byte__refuses_too),
		tls_test_exact(
			client__bad_certificate_of_who_takes_no_alert__says_why_all_the_same),
		tls_test(client__bad_certificate__keeps_what_it_was_to_send),
		tls_test_exact(client__without_authorities__believes_the_systems_only),
		tls_test_exact(client__authorities_of_its_own__are_instead_of_the_systems),
		tls_test(client__second_authority__is_believed_too),
		tls_test(client__names_of_the_certificate__are_compared),
		tls_test(client__name__is_sent),
		tls_test_exact(client__peer_names__must_be_met_too),
		tls_test(insecure_no_verification__any_certificate__is_taken),
		tls_test(insecure_no_name__chain__is_verified_all_the_same),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
