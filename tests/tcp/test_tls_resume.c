/* SPDX-License-Identifier: MIT */
/*
 * Clients that resume by the tickets they were given: those of the same configuration, for the same
 * name, as long as the server remembers.
 */
#include <stdio.h>

#include "faulty_allocator.h"
#include "tls_line.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* A connection of the configuration to a server with this context, or a new one, which is set. */
static bool
call(struct tls_line *line, struct rota_tls_config *config, int version, const char *name,
	SSL_CTX **context)
{
	struct rota_tls_info info;

	line->is_client = true;
	line->name = name;
	line->config = rota_tls_config_ref(config);
	line->wish.lowest = line->wish.highest = version;
	line->wish.context = *context;
	tls_line_open(line);
	tls_line_shake(line);
	tls_line_hear(line, 10);
	tls_line_expect(line, 10, 0);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	assert_true(info.is_verified);
	if (*context == NULL) {
		*context = line->peer.context;
		SSL_CTX_up_ref(*context);
	}
	rota_stream_end(line->side.stream);
	tls_peer_notify(&line->peer);
	tls_line_settle(line);
	tls_line_again(line);
	return info.is_resumed;
}

static void
client__calls_the_same_name_again__resumes(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rota_tls_config *config = tls_line_config(true);
		struct rota_tls_config *other = tls_line_config(true);
		SSL_CTX *context = NULL;

		assert_false(call(line, config, versions[i], "server.example", &context));
		assert_true(call(line, config, versions[i], "server.example", &context));
		assert_true(call(line, config, versions[i], "server.example", &context));
		assert_false(call(line, config, versions[i], "localhost", &context));
		assert_false(call(line, other, versions[i], "server.example", &context));
		SSL_CTX_free(context);
		rota_tls_config_unref(config);
		rota_tls_config_unref(other);
	}
}

/* A server that gives two tickets, and then none: who shows one again could be recognized. */
static void
client__is_given_no_more_tickets__uses_each_once(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(true);
	SSL_CTX *context = NULL;
	int resumed = 0;

	assert_false(call(line, config, TLS1_3_VERSION, "server.example", &context));
	assert_int_equal(SSL_CTX_set_num_tickets(context, 0), 1);
	while (resumed < 10 && call(line, config, TLS1_3_VERSION, "server.example", &context))
		resumed++;
	assert_int_equal(resumed, 2);
	SSL_CTX_free(context);
	rota_tls_config_unref(config);
}

/* The server forgot: another context has other keys. */
static void
client__server_that_forgot__shakes_hands_in_full(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rota_tls_config *config = tls_line_config(true);
		SSL_CTX *first = NULL;
		SSL_CTX *second = NULL;

		assert_false(call(line, config, versions[i], "server.example", &first));
		assert_false(call(line, config, versions[i], "server.example", &second));
		assert_true(call(line, config, versions[i], "server.example", &second));
		SSL_CTX_free(first);
		SSL_CTX_free(second);
		rota_tls_config_unref(config);
	}
}

/* As many names as are called, no more than some sessions are kept. */
static void
client__calls_many_names__keeps_some_sessions(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(true);
	const struct certificate_wish wish = {
		.issuer = certificate_of(CERTIFICATE_CA),
		.names = "DNS:*.names.example",
	};
	struct certificate *certificate = certificate_new(&wish);
	SSL_CTX *context = NULL;
	char name[32];

	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof name, "n%d.names.example", i);
		line->wish.certificate = certificate;
		assert_false(call(line, config, TLS1_3_VERSION, name, &context));
	}
	assert_true(call(line, config, TLS1_3_VERSION, name, &context));
	assert_false(call(line, config, TLS1_3_VERSION, "n0.names.example", &context));
	SSL_CTX_free(context);
	certificate_free(certificate);
	rota_tls_config_unref(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(client__calls_the_same_name_again__resumes),
		tls_test(client__is_given_no_more_tickets__uses_each_once),
		tls_test(client__server_that_forgot__shakes_hands_in_full),
		tls_test(client__calls_many_names__keeps_some_sessions),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
