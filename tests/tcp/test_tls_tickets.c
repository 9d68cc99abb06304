/* SPDX-License-Identifier: MIT */
/*
 * Resuming by tickets: by the configuration that sealed them and by others that have its keys, and
 * by nobody else; what is wrong with a ticket leads to a full handshake and to nothing worse.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "sim_context.h"
#include "tls_line.h"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/*
 * A connection to a server of this configuration, which is kept, with a session or NULL; returns
 * the session that the client has after it, and whether it resumed.
 */
static SSL_SESSION *
visit(struct tls_line *line, struct rota_tls_config *config, int version, SSL_SESSION *session,
	bool *ret_is_resumed)
{
	struct rota_tls_info info;
	SSL_SESSION *next;
	SSL_SESSION *copy;

	line->config = rota_tls_config_ref(config);
	line->wish.lowest = line->wish.highest = version;
	/* OpenSSL's clients use one of TLS 1.3 once. */
	line->wish.session = copy = session != NULL ? SSL_SESSION_dup(session) : NULL;
	if (line->wish.certificate == NULL)
		line->wish.certificate = certificate_of(CERTIFICATE_CLIENT);
	tls_line_open(line);
	SSL_SESSION_free(copy);
	tls_line_shake(line);
	assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
	*ret_is_resumed = info.is_resumed;
	assert_int_equal(SSL_session_reused(line->peer.ssl), info.is_resumed);
	tls_line_hear(line, 100);
	tls_line_expect(line, 100, 0);
	next = SSL_get1_session(line->peer.ssl);
	if (line->peer.session != NULL && version == TLS1_3_VERSION) {
		SSL_SESSION_free(next);
		next = line->peer.session;
		SSL_SESSION_up_ref(next);
	}
	rota_stream_end(line->side.stream);
	tls_peer_notify(&line->peer);
	tls_line_settle(line);
	tls_line_again(line);
	return next;
}

/* Whether that is resumed which a server of the first configuration gave, by the second. */
static bool
is_taken(struct tls_line *line, struct rota_tls_config *first, struct rota_tls_config *second,
	int version)
{
	bool is_resumed;
	SSL_SESSION *session = visit(line, first, version, NULL, &is_resumed);

	assert_false(is_resumed);
	SSL_SESSION_free(visit(line, second, version, session, &is_resumed));
	SSL_SESSION_free(session);
	return is_resumed;
}

static void
share_keys(struct rota_tls_config *from, struct rota_tls_config *to)
{
	unsigned char keys[ROTA_TLS_TICKET_KEYS];

	rota_tls_config_get_ticket_keys(from, keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(to, keys), 0);
}

static void
ticket__of_the_same_configuration__resumes(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);

	for (size_t i = 0; i < 2; i++)
		assert_true(is_taken(line, config, config, versions[i]));
	rota_tls_config_unref(config);
}

/* And again, by the ticket that it gets then. */
static void
ticket__of_a_resumed_connection__resumes_too(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);

	for (size_t i = 0; i < 2; i++) {
		SSL_SESSION *session = NULL;

		for (int visits = 0; visits < 4; visits++) {
			bool is_resumed;
			SSL_SESSION *next = visit(line, config, versions[i], session, &is_resumed);

			assert_int_equal(is_resumed, visits > 0);
			SSL_SESSION_free(session);
			session = next;
		}
		SSL_SESSION_free(session);
	}
	rota_tls_config_unref(config);
}

static void
ticket__of_another_configuration__resumes_with_its_keys_only(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *first = tls_line_config(false);
	struct rota_tls_config *second = tls_line_config(false);

	for (size_t i = 0; i < 2; i++)
		assert_false(is_taken(line, first, second, versions[i]));
	share_keys(first, second);
	for (size_t i = 0; i < 2; i++) {
		assert_true(is_taken(line, first, second, versions[i]));
		assert_true(is_taken(line, second, first, versions[i]));
	}
	rota_tls_config_unref(first);
	rota_tls_config_unref(second);
}

static void
ticket__keys_were_replaced__leads_to_a_full_handshake(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	struct rota_tls_config *other = tls_line_config(false);
	bool is_resumed;
	SSL_SESSION *session = visit(line, config, TLS1_3_VERSION, NULL, &is_resumed);

	share_keys(other, config);
	SSL_SESSION_free(visit(line, config, TLS1_3_VERSION, session, &is_resumed));
	assert_false(is_resumed);
	SSL_SESSION_free(session);
	rota_tls_config_unref(config);
	rota_tls_config_unref(other);
}

static void
keys__got_and_set__are_the_same(void **state)
{
	struct rota_tls_config *config = tls_line_config(false);
	unsigned char keys[ROTA_TLS_TICKET_KEYS];
	unsigned char again[ROTA_TLS_TICKET_KEYS];

	(void)state;
	rota_tls_config_get_ticket_keys(config, keys);
	rota_tls_config_get_ticket_keys(config, again);
	assert_memory_equal(keys, again, sizeof keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(config, keys), 0);
	rota_tls_config_get_ticket_keys(config, again);
	assert_memory_equal(keys, again, sizeof keys);
	rota_tls_config_unref(config);
}

/* They cannot be told by looking at them, but nobody's are all zero or damaged. */
static void
keys__that_were_not_got_so__are_refused(void **state)
{
	struct rota_tls_config *config = tls_line_config(false);
	unsigned char keys[ROTA_TLS_TICKET_KEYS];
	unsigned char before[ROTA_TLS_TICKET_KEYS];

	(void)state;
	rota_tls_config_get_ticket_keys(config, before);
	memset(keys, 0, sizeof keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(config, keys), -EINVAL);
	assert_int_equal(rota_tls_ticket_keys_prepare(keys, 1), -EINVAL);
	assert_int_equal(rota_tls_ticket_keys_turn(keys, 1), -EINVAL);
	memset(keys, 0xff, sizeof keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(config, keys), -EINVAL);
	rota_tls_config_get_ticket_keys(config, keys);
	assert_memory_equal(keys, before, sizeof keys);
	rota_tls_config_unref(config);
}

/* The session with a ticket that has this byte changed. */
static SSL_SESSION *
forge(SSL_SESSION *session, size_t at)
{
	unsigned char der[8192];
	unsigned char *end = der;
	const unsigned char *begin = der;
	const unsigned char *ticket;
	unsigned char *found;
	size_t len;
	SSL_SESSION *forged;

	assert_in_range(i2d_SSL_SESSION(session, NULL), 1, sizeof der);
	(void)i2d_SSL_SESSION(session, &end);
	SSL_SESSION_get0_ticket(session, &ticket, &len);
	assert_true(len > 0);
	found = memmem(der, (size_t)(end - der), ticket, len);
	assert_non_null(found);
	found[at % len] ^= 0x10;
	forged = d2i_SSL_SESSION(NULL, &begin, end - der);
	assert_non_null(forged);
	return forged;
}

static void
ticket__that_was_forged__leads_to_a_full_handshake(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	bool is_resumed;

	for (size_t i = 0; i < 2; i++) {
		SSL_SESSION *session = visit(line, config, versions[i], NULL, &is_resumed);

		for (size_t at = 0; at<400; at += tls_effort()> 0 ? 1 : 13) {
			SSL_SESSION *forged = forge(session, at);

			SSL_SESSION_free(visit(line, config, versions[i], forged, &is_resumed));
			assert_false(is_resumed);
			SSL_SESSION_free(forged);
		}
		SSL_SESSION_free(session);
	}
	rota_tls_config_unref(config);
}

/* Time: keys are replaced after 6 hours, and forgotten after 12, whether anybody comes or not. */

#define HOUR (60 * ROTA_MINUTE)

static bool
is_taken_at(struct tls_line *line, struct rota_tls_config *config, rota_time at,
	SSL_SESSION *session)
{
	bool is_resumed;

	sim_advance(line->ctx, at - sim_of(line->ctx)->now);
	SSL_SESSION_free(visit(line, config, TLS1_3_VERSION, session, &is_resumed));
	return is_resumed;
}

static SSL_SESSION *
first_session(struct tls_line *line, struct rota_tls_config *config)
{
	bool is_resumed;

	sim_advance(line->ctx, HOUR - sim_of(line->ctx)->now);
	return visit(line, config, TLS1_3_VERSION, NULL, &is_resumed);
}

static void
ticket__within_twelve_hours__resumes(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	SSL_SESSION *session = first_session(line, config);

	assert_true(is_taken_at(line, config, 2 * HOUR, session));
	assert_true(is_taken_at(line, config, 7 * HOUR - 1, session));
	assert_true(is_taken_at(line, config, 7 * HOUR, session));
	assert_true(is_taken_at(line, config, 13 * HOUR - 1, session));
	assert_false(is_taken_at(line, config, 13 * HOUR, session));
	SSL_SESSION_free(session);
	rota_tls_config_unref(config);
}

static void
ticket__nobody_came_for_hours__is_forgotten_all_the_same(void **state)
{
	static const rota_time visits[] = { 13 * HOUR, 25 * HOUR, 100 * HOUR };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 3; i++) {
		struct rota_tls_config *config = tls_line_config(false);
		SSL_SESSION *session;

		sim_of(line->ctx)->now = 0;
		session = first_session(line, config);
		assert_false(is_taken_at(line, config, visits[i], session));
		SSL_SESSION_free(session);
		rota_tls_config_unref(config);
	}
}

/* However late the keys are replaced, they do not live the longer for it. */
static void
ticket__keys_were_replaced_late__is_forgotten_in_time(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	SSL_SESSION *session = first_session(line, config);

	assert_true(is_taken_at(line, config, 12 * HOUR, session));
	assert_false(is_taken_at(line, config, 14 * HOUR, session));
	SSL_SESSION_free(session);
	rota_tls_config_unref(config);
}

/* A ticket of the keys before leads to one of those in use. */
static void
ticket__of_the_keys_before__is_renewed(void **state)
{
	struct tls_line *line = *state;

	for (size_t i = 0; i < 2; i++) {
		struct rota_tls_config *config = tls_line_config(false);
		bool is_resumed;
		SSL_SESSION *session;
		SSL_SESSION *next;

		sim_of(line->ctx)->now = HOUR;
		session = visit(line, config, versions[i], NULL, &is_resumed);
		sim_advance(line->ctx, 7 * HOUR);
		next = visit(line, config, versions[i], session, &is_resumed);
		assert_true(is_resumed);
		SSL_SESSION_free(session);
		sim_advance(line->ctx, 6 * HOUR);
		SSL_SESSION_free(visit(line, config, versions[i], next, &is_resumed));
		assert_true(is_resumed);
		SSL_SESSION_free(next);
		rota_tls_config_unref(config);
	}
}

/* Gives the second the keys of the first, and takes the place of it. */
static void
carry_keys(struct rota_tls_config **config)
{
	struct rota_tls_config *next = tls_line_config(false);
	unsigned char keys[ROTA_TLS_TICKET_KEYS];

	rota_tls_config_get_ticket_keys(*config, keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(next, keys), 0);
	rota_tls_config_unref(*config);
	*config = next;
}

static void
ticket__keys_were_carried_on_and_on__is_forgotten_in_time(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	SSL_SESSION *session = first_session(line, config);

	for (rota_time at = 2 * HOUR; at < 13 * HOUR; at += HOUR) {
		carry_keys(&config);
		assert_true(is_taken_at(line, config, at, session));
	}
	carry_keys(&config);
	assert_true(is_taken_at(line, config, 13 * HOUR - 1, session));
	carry_keys(&config);
	assert_false(is_taken_at(line, config, 13 * HOUR, session));
	SSL_SESSION_free(session);
	rota_tls_config_unref(config);
}

/* The last that is in them is a time by a clock that has begun anew since. */
static void
ticket__keys_are_from_before_the_system_started__are_used_from_now(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = tls_line_config(false);
	unsigned char keys[ROTA_TLS_TICKET_KEYS];
	rota_time later = 1000 * HOUR;
	SSL_SESSION *session;

	rota_tls_config_get_ticket_keys(config, keys);
	memcpy(keys + sizeof keys - sizeof later, &later, sizeof later);
	assert_int_equal(rota_tls_config_set_ticket_keys(config, keys), 0);
	session = first_session(line, config);
	assert_true(is_taken_at(line, config, 13 * HOUR - 1, session));
	assert_false(is_taken_at(line, config, 13 * HOUR, session));
	SSL_SESSION_free(session);
	rota_tls_config_unref(config);
}

/* Whom it believed is a part of it. */

static struct rota_tls_config *
asking_config(enum certificate_kind authority, const char *peer_name)
{
	struct rota_tls_config *config = tls_line_config(false);

	tls_add_ca(config, authority);
	if (peer_name != NULL)
		assert_int_equal(rota_tls_config_add_peer_name(config, peer_name), 0);
	assert_int_equal(rota_tls_config_require_peer(config), 0);
	return config;
}

static void
ticket__of_a_client_with_a_certificate__is_verified_as_it_was(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *config = asking_config(CERTIFICATE_CA, "client.example");

	for (size_t i = 0; i < 2; i++) {
		bool is_resumed;
		SSL_SESSION *session = visit(line, config, versions[i], NULL, &is_resumed);
		struct rota_tls_info info;

		line->config = rota_tls_config_ref(config);
		line->wish.session = session;
		line->wish.lowest = line->wish.highest = versions[i];
		tls_line_open(line);
		tls_line_shake(line);
		assert_int_equal(rota_tls_info(line->side.stream, &info), 0);
		assert_true(info.is_resumed);
		assert_true(info.is_verified);
		assert_non_null(strstr(info.names, "dns:client.example"));
		tls_line_again(line);
		SSL_SESSION_free(session);
	}
	rota_tls_config_unref(config);
}

static void
ticket__of_one_that_believed_others__is_not_taken(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *lax = tls_line_config(false);
	struct rota_tls_config *strict = asking_config(CERTIFICATE_CA, "client.example");
	struct rota_tls_config *other =
		asking_config(CERTIFICATE_CA, "uri:spiffe://example/client");

	share_keys(strict, lax);
	share_keys(strict, other);
	for (size_t i = 0; i < 2; i++) {
		assert_false(is_taken(line, lax, strict, versions[i]));
		assert_false(is_taken(line, other, strict, versions[i]));
	}
	rota_tls_config_unref(lax);
	rota_tls_config_unref(strict);
	rota_tls_config_unref(other);
}

/* Whichever has the next keys first, each opens what the other seals, at every step. */
static void
keys__prepared_and_turned__are_good_between_those_that_share_them(void **state)
{
	struct tls_line *line = *state;
	struct rota_tls_config *configs[2] = { tls_line_config(false), tls_line_config(false) };
	unsigned char keys[ROTA_TLS_TICKET_KEYS];
	bool is_resumed;
	SSL_SESSION *session;

	assert_int_equal(rota_tls_ticket_keys_make(keys, real_time()), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(rota_tls_config_set_ticket_keys(configs[i], keys), 0);
	session = visit(line, configs[0], TLS1_2_VERSION, NULL, &is_resumed);
	for (int step = 0; step < 4; step++) {
		if (step % 2 == 0)
			assert_int_equal(rota_tls_ticket_keys_prepare(keys, real_time()), 0);
		else
			assert_int_equal(rota_tls_ticket_keys_turn(keys, real_time()), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(rota_tls_config_set_ticket_keys(configs[i], keys), 0);
			for (size_t v = 0; v < 2; v++) {
				assert_true(is_taken(line, configs[0], configs[1], versions[v]));
				assert_true(is_taken(line, configs[1], configs[0], versions[v]));
			}
		}
		SSL_SESSION_free(visit(line, configs[1], TLS1_2_VERSION, session, &is_resumed));
		assert_int_equal(is_resumed, step < 2);
	}
	SSL_SESSION_free(session);
	rota_tls_config_unref(configs[0]);
	rota_tls_config_unref(configs[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(ticket__of_the_same_configuration__resumes),
		tls_test(ticket__of_a_resumed_connection__resumes_too),
		tls_test(ticket__of_another_configuration__resumes_with_its_keys_only),
		tls_test(ticket__keys_were_replaced__leads_to_a_full_handshake),
		cmocka_unit_test(keys__got_and_set__are_the_same),
		cmocka_unit_test(keys__that_were_not_got_so__are_refused),
		tls_test(keys__prepared_and_turned__are_good_between_those_that_share_them),
		tls_test(ticket__that_was_forged__leads_to_a_full_handshake),
		tls_test_simulated(ticket__within_twelve_hours__resumes),
		tls_test_simulated(ticket__nobody_came_for_hours__is_forgotten_all_the_same),
		tls_test_simulated(ticket__keys_were_replaced_late__is_forgotten_in_time),
		tls_test_simulated(ticket__of_the_keys_before__is_renewed),
		tls_test_simulated(ticket__keys_were_carried_on_and_on__is_forgotten_in_time),
		tls_test_simulated(
			ticket__keys_are_from_before_the_system_started__are_used_from_now),
		tls_test(ticket__of_a_client_with_a_certificate__is_verified_as_it_was),
		tls_test(ticket__of_one_that_believed_others__is_not_taken),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
