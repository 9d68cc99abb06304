/* SPDX-License-Identifier: MIT */
/*
 * What a server chooses by what the client asks for: a certificate by the name (SNI), a protocol by
 * those it offers (ALPN); and what a client makes of the choice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "tls_line.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* Certificates by name */

enum { EXACT, WILDCARD, LATER, COMMON, TWO_NAMES, OF_RSA, OF_EC, SITES };

static const struct certificate_wish sites[SITES] = {
	[EXACT] = { .names = "DNS:a.example" },
	[WILDCARD] = { .names = "DNS:*.example" },
	[LATER] = { .names = "DNS:b.example" },
	[COMMON] = { .common_name = "c.example" },
	[TWO_NAMES] = { .common_name = "not.example", .names = "DNS:d.example,DNS:E.Example" },
	[OF_RSA] = { .names = "DNS:both.example", .rsa_bits = 2048 },
	[OF_EC] = { .names = "DNS:both.example" },
};

static struct certificate *shown[SITES];

static int
make_sites(void **state)
{
	(void)state;
	for (int i = 0; i < SITES; i++)
		shown[i] = certificate_new(&sites[i]);
	return 0;
}

static int
free_sites(void **state)
{
	(void)state;
	for (int i = 0; i < SITES; i++)
		certificate_free(shown[i]);
	return 0;
}

static void
configure_sites(struct tls_line *line)
{
	line->config = tls_line_config(false);
	for (int i = 0; i < SITES; i++)
		assert_int_equal(rota_tls_config_add_certificate_pem(line->config, shown[i]->pem,
					 strlen(shown[i]->pem), shown[i]->key_pem,
					 strlen(shown[i]->key_pem)),
			0);
}

static void
check_shown(const struct tls_line *line, int site, const char *asked)
{
	const struct certificate *expected =
		site >= 0 ? shown[site] : certificate_of(CERTIFICATE_SERVER);
	X509 *got = SSL_get0_peer_certificate(line->peer.ssl);

	assert_non_null(got);
	if (X509_cmp(got, expected->x509) != 0)
		fail_msg("asked for \"%s\", it shows another", asked);
}

static const struct {
	const char *asked; /* NULL: none */
	int site;          /* -1: the first */
} choices[] = {
	{ NULL, -1 },
	{ "server.example", -1 },
	{ "a.example", EXACT },
	{ "A.EXAMPLE", EXACT },
	{ "b.example", LATER },
	{ "x.example", WILDCARD },
	{ "c.example", COMMON },
	{ "d.example", TWO_NAMES },
	{ "e.example", TWO_NAMES },
	{ "not.example", WILDCARD },
	{ "both.example", OF_EC },
	{ "x.y.example", -1 },
	{ "example", -1 },
	{ ".example", -1 },
	{ "a.example.org", -1 },
	{ "*.example", -1 },
	{ "unknown.org", -1 },
	{ "127.0.0.1", -1 },
	{ "a", -1 },
};

static void
server__asked_for_a_name__shows_its_certificate(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * sizeof choices / sizeof choices[0]; i++) {
		const char *asked = choices[i / 2].asked;
		struct rota_tls_info info;

		configure_sites(line);
		line->wish.sni = asked;
		line->wish.lowest = line->wish.highest = versions[i % 2];
		tls_line_open(line);
		tls_line_shake(line);
		if (choices[i / 2].asked == NULL || strchr(asked, '*') == NULL)
			check_shown(line, choices[i / 2].site, asked);
		assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
		assert_int_equal(strcasecmp(info.sni, asked != NULL ? asked : ""), 0);
		tls_line_again(line);
	}
}

static void
server__client_that_has_no_use_for_ec_keys__shows_rsa(void **state)
{
	struct tls_line *line = *state;

	configure_sites(line);
	line->wish.sni = "both.example";
	line->wish.highest = TLS1_2_VERSION;
	line->wish.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
	tls_line_open(line);
	tls_line_shake(line);
	check_shown(line, OF_RSA, "both.example");
}

static void
server__asked_for_a_long_name__shows_the_first(void **state)
{
	struct tls_line *line = *state;
	char name[256];

	memset(name, 'a', sizeof name - 1);
	for (size_t i = 50; i < sizeof name - 1; i += 50)
		name[i] = '.';
	name[sizeof name - 1] = '\0';
	configure_sites(line);
	line->wish.sni = name;
	tls_line_open(line);
	tls_line_until(line, line->side.opens + line->side.closes > 0);
	if (line->side.opens > 0)
		check_shown(line, -1, name);
	else
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
}

/* Sends the client's hello with one byte of the name that it asks for changed. */
static void
ask_with(struct tls_line *line, char instead)
{
	size_t len;
	unsigned char *hello;
	unsigned char *name;

	configure_sites(line);
	line->wish.sni = "aXexample.org";
	tls_line_open(line);
	line->peer.holds = true;
	(void)tls_peer_step(&line->peer);
	hello = tls_peer_take(&line->peer, &len);
	name = memmem(hello, len, "aXexample.org", 13);
	assert_non_null(name);
	name[1] = (unsigned char)instead;
	tls_peer_put(&line->peer, hello, len);
	free(hello);
	line->peer.holds = false;
	tls_line_settle(line);
}

/* The handshake fails at its end, if not before, as the hello is not what the client sent. */
static void
server__asked_for_a_name_of_odd_bytes__opens_nothing(void **state)
{
	static const char odd[] = { '\0', '\n', ' ', '/', '\x7f', '\xff', '%' };
	struct tls_line *line = *state;

	for (size_t i = 0; i < sizeof odd; i++) {
		ask_with(line, odd[i]);
		assert_int_equal(line->side.opens, 0);
		if (line->side.closes == 0)
			tls_peer_end(&line->peer);
		tls_line_until(line, line->side.closes > 0);
		assert_int_equal(line->side.why.phase, ROTA_PHASE_HANDSHAKE);
		tls_line_again(line);
	}
}

/* Protocols */

static void
open_with(struct tls_line *line, bool is_client, const char *ours, const char *theirs)
{
	line->is_client = is_client;
	line->config = tls_line_config(is_client);
	if (ours != NULL)
		assert_int_equal(rota_tls_config_set_alpn(line->config, ours), 0);
	line->wish.alpn = theirs;
	tls_line_open(line);
}

static const struct {
	const char *ours;
	const char *theirs;
	const char *chosen; /* NULL: refused */
} offers[] = {
	{ NULL, NULL, "" },
	{ NULL, "\2h2", "" },
	{ "h2", NULL, "" },
	{ "h2,http/1.1", "\2h2", "h2" },
	{ "h2,http/1.1", "\10http/1.1\2h2", "h2" },
	{ "http/1.1,h2", "\2h2\10http/1.1", "http/1.1" },
	{ "h2,http/1.1", "\10http/1.1", "http/1.1" },
	{ "h2,http/1.1", "\6spdy/3\2h2", "h2" },
	{ "h2,http/1.1", "\3h2c", NULL },
	{ "h2", "\1h\1\062", NULL },
	{ "h2", "\2H2", NULL },
};

static void
server__offered_protocols__chooses_its_first(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2 * sizeof offers / sizeof offers[0]; i++) {
		const char *chosen = offers[i / 2].chosen;
		struct rota_tls_info info;

		line->wish.lowest = line->wish.highest = versions[i % 2];
		open_with(line, false, offers[i / 2].ours, offers[i / 2].theirs);
		if (chosen != NULL) {
			tls_line_shake(line);
			assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
			assert_string_equal(info.alpn, chosen);
		} else {
			tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
			assert_closed_by(line, "protocol");
			tls_line_settle(line);
			assert_int_equal(line->peer.alert,
				SSL3_AL_FATAL << 8 | SSL_AD_NO_APPLICATION_PROTOCOL);
		}
		tls_line_again(line);
	}
}

static void
client__protocol_that_was_chosen__is_told(void **state)
{
	static const char *const chosen[] = { "\2h2", "\10http/1.1", NULL };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 6; i++) {
		const char *theirs = chosen[i / 2];
		struct rota_tls_info info;

		line->wish.lowest = line->wish.highest = versions[i % 2];
		open_with(line, true, "h2,http/1.1", theirs);
		tls_line_shake(line);
		assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
		assert_string_equal(info.alpn, theirs != NULL ? theirs + 1 : "");
		tls_line_again(line);
	}
}

static void
client__protocol_that_it_did_not_offer__is_refused(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2; i++) {
		line->wish.lowest = line->wish.highest = versions[i];
		open_with(line, true, "h2,http/1.1", "\4evil");
		tls_line_closes(line, ROTA_REASON_TLS, ROTA_PHASE_HANDSHAKE);
		assert_int_equal(line->side.opens, 0);
		tls_line_again(line);
	}
}

static void
protocols__that_are_none__are_refused(void **state)
{
	static const char *const none[] = { "", ",", "h2,", ",h2", "h2,,http/1.1" };
	struct rota_tls_config *config;
	char *text = malloc(70000);

	(void)state;
	assert_non_null(text);
	assert_int_equal(rota_tls_config_new(&config), 0);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		assert_int_equal(rota_tls_config_set_alpn(config, none[i]), -EINVAL);
	memset(text, 'a', 70000);
	text[256] = '\0';
	assert_int_equal(rota_tls_config_set_alpn(config, text), -EINVAL);
	text[255] = '\0';
	assert_int_equal(rota_tls_config_set_alpn(config, text), 0);
	for (int i = 0; i < 70000; i++)
		text[i] = i % 100 == 99 ? ',' : 'a';
	text[69999 - 1] = '\0';
	assert_int_equal(rota_tls_config_set_alpn(config, text), -EINVAL);
	rota_tls_config_unref(config);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(server__asked_for_a_name__shows_its_certificate),
		tls_test(server__client_that_has_no_use_for_ec_keys__shows_rsa),
		tls_test(server__asked_for_a_long_name__shows_the_first),
		tls_test(server__asked_for_a_name_of_odd_bytes__opens_nothing),
		tls_test_exact(server__offered_protocols__chooses_its_first),
		tls_test(client__protocol_that_was_chosen__is_told),
		tls_test(client__protocol_that_it_did_not_offer__is_refused),
		cmocka_unit_test(protocols__that_are_none__are_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, make_sites, free_sites);
}
