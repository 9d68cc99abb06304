/* SPDX-License-Identifier: MIT */
/*
 * Preforks: what the processes share. Their counts as one sum, and the keys of TLS tickets.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/tls.h>

#include "certificates.h"
#include "crew.h"
#include "faulty_allocator.h"
#include "tls_peer.h"

/* Numbers that get there a little later: in turns, until they do. */
struct wish {
	const struct crew *crew;
	uint64_t accepted;
	uint64_t sessions;
	uint64_t closed;
};

static bool
is_counted(struct rota_context *ctx, void *userdata)
{
	const struct wish *wish = userdata;
	struct rota_service_meter sum;
	uint64_t closed = 0;

	(void)ctx;
	rota_prefork_service_meter(wish->crew->prefork, &sum);
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		closed += sum.closed[i];
	return sum.accepted == wish->accepted && sum.sessions == wish->sessions &&
		closed == wish->closed;
}

static void
expect_counts(struct rota_context *ctx, const struct crew *crew, uint64_t accepted,
	uint64_t sessions, uint64_t closed)
{
	struct wish wish = { crew, accepted, sessions, closed };

	/* What is waited for comes by no descriptor of the master's. */
	for (int i = 0; i < 1000 && !is_counted(ctx, &wish); i++)
		assert_true(rota_dispatch_once(ctx, 5 * ROTA_MILLISECOND, NULL) >= 0);
	assert_true(is_counted(ctx, &wish));
}

static void
count_visit(const struct rota_prefork_about *about, void *userdata)
{
	uint64_t *sums = userdata;

	sums[0]++;
	sums[1] += about->service.accepted;
	sums[2] += about->counters[1];
	assert_int_equal(about->state, ROTA_PREFORK_READY);
	assert_true(about->age >= 0 && about->pid > 0);
}

static void
meter__of_all_processes__adds_up_and_never_goes_back(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_service_meter sum;
	struct rota_meter loop;
	struct crew_peer peers[4];
	uint64_t counters[4];
	uint64_t visited[3] = { 0 };
	struct crew crew;

	crew_init(&crew);
	crew.options.counters = 3;
	crew.options.gauges = 1;
	crew_open(ctx, &crew);
	for (unsigned i = 0; i < 4; i++) {
		int fd = raw_connect(crew.address);

		peers[i] = crew_greeted(fd);
		crew_echo(&peers[i]);
	}
	expect_counts(ctx, &crew, 4, 4, 0);
	rota_prefork_each(crew.prefork, count_visit, visited);
	assert_int_equal(visited[0], 2);
	assert_int_equal(visited[1], 4);
	assert_int_equal(visited[2], 4);
	rota_prefork_counters(crew.prefork, counters, 4);
	assert_int_equal(counters[0], 4);
	assert_int_equal(counters[1], 4);
	assert_int_equal(counters[2], 0);
	assert_int_equal(counters[3], 0);
	rota_prefork_loop_meter(crew.prefork, &loop);
	assert_true(loop.turns > 0 && loop.handlers > 0);
	assert_string_equal(loop.slowest_name, "process");
	/* What was there is still counted when its process is dead, but not as present. */
	for (int i = 0; i < 2; i++)
		kill(crew.pids[i], SIGKILL);
	crew_wait(ctx, &crew, CREW_READY, 4);
	rota_prefork_service_meter(crew.prefork, &sum);
	assert_int_equal(sum.accepted, 4);
	assert_int_equal(sum.opened, 4);
	assert_int_equal(sum.sessions, 0);
	assert_int_equal(sum.most, 4);
	assert_int_equal(sum.bytes_in, 16);
	rota_prefork_counters(crew.prefork, counters, 4);
	assert_int_equal(counters[0], 0);
	assert_int_equal(counters[1], 4);
	for (int i = 0; i < 4; i++)
		crew_leave(&peers[i]);
	peers[0] = crew_connect(&crew);
	expect_counts(ctx, &crew, 5, 1, 0);
	crew_leave(&peers[0]);
	expect_counts(ctx, &crew, 5, 0, 1);
	crew_close(ctx, &crew);
}

static void
meter__after_the_end__has_it_all(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_service_meter sum;
	struct crew_peer peer;
	struct crew crew;

	crew_init(&crew);
	crew_open(ctx, &crew);
	peer = crew_connect(&crew);
	crew_leave(&peer);
	crew_drain(&crew, ROTA_SECOND);
	crew_wait(ctx, &crew, CREW_DRAINED, 1);
	rota_prefork_service_meter(crew.prefork, &sum);
	assert_int_equal(sum.accepted, 1);
	assert_int_equal(sum.most, 1);
	rota_prefork_free(crew.prefork);
}

/* Tickets */

/* A handshake in which a session may be resumed; who it was with; and the session after it. */
static struct crew_peer
shake(struct rota_context *ctx, const struct crew *crew, SSL_SESSION **session)
{
	struct tls_peer_wish wish = { .lowest = TLS1_2_VERSION, .highest = TLS1_2_VERSION };
	struct crew_peer result = { .fd = -1 };
	struct tls_peer peer;
	int patience = 0;

	(void)ctx;
	wish.session = *session;
	tls_peer_open(&peer, raw_connect(crew->address), &wish);
	while (peer.received_len == 0 || memchr(peer.received, '\n', peer.received_len) == NULL) {
		assert_true(patience++ < 5000);
		assert_int_equal(peer.end, TLS_PEER_OPEN);
		if (!tls_peer_step(&peer))
			(void)raw_has_input(peer.fd, 1);
	}
	assert_int_equal(sscanf(peer.received, "%u %u %d", &result.index, &result.generation,
				 &result.pid),
		3);
	result.is_resumed = SSL_session_reused(peer.ssl) == 1;
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(peer.ssl);
	tls_peer_notify(&peer);
	tls_peer_close(&peer);
	tls_peer_fini(&peer);
	return result;
}

/* Until each of two places has resumed what the other had begun; nobody does anything else. */
static void
expect_resumed(struct rota_context *ctx, const struct crew *crew, SSL_SESSION **session,
	unsigned from)
{
	bool has_changed = false;

	for (int i = 0; i < 64 && !has_changed; i++) {
		struct crew_peer peer = shake(ctx, crew, session);

		assert_true(peer.is_resumed);
		has_changed = peer.index != from;
	}
	assert_true(has_changed);
}

static struct rota_tls_config *
make_config(void)
{
	const struct certificate *certificate = certificate_of(CERTIFICATE_SERVER);
	struct rota_tls_config *config;

	assert_int_equal(rota_tls_config_new(&config), 0);
	assert_int_equal(rota_tls_config_add_certificate_pem(config, certificate->pem,
				 strlen(certificate->pem), certificate->key_pem,
				 strlen(certificate->key_pem)),
		0);
	return config;
}

static void
session__begun_at_one__is_resumed_at_another_also_of_the_next_generation(void **state)
{
	struct rota_context *ctx = context_of(state);
	SSL_SESSION *session = NULL;
	struct crew_peer first;
	struct crew crew;

	crew_init(&crew);
	crew.tls = make_config();
	crew_open(ctx, &crew);
	first = shake(ctx, &crew, &session);
	assert_false(first.is_resumed);
	expect_resumed(ctx, &crew, &session, first.index);
	/* One that was born later has them, and a generation too. */
	kill(crew.pids[first.index], SIGKILL);
	crew_wait(ctx, &crew, CREW_READY, 3);
	expect_resumed(ctx, &crew, &session, 1 - first.index);
	crew_reload(&crew);
	crew_wait(ctx, &crew, CREW_RELOADED, 1);
	expect_resumed(ctx, &crew, &session, 0);
	expect_resumed(ctx, &crew, &session, 1);
	SSL_SESSION_free(session);
	rota_tls_config_unref(crew.tls);
	crew_close(ctx, &crew);
}

static bool
is_over(struct rota_context *ctx, void *userdata)
{
	return rota_context_now(ctx) >= *(rota_time *)userdata;
}

/* The keys are replaced every few milliseconds, and whoever comes again soon is always resumed. */
static void
session__keys_are_replaced__is_resumed_while_young_and_forgotten_when_old(void **state)
{
	struct rota_context *ctx = context_of(state);
	SSL_SESSION *session = NULL;
	SSL_SESSION *old = NULL;
	rota_time until;
	struct crew crew;

	crew_init(&crew);
	crew.tls = make_config();
	crew.options.ticket_lifetime = 80 * ROTA_MILLISECOND;
	crew_open(ctx, &crew);
	assert_false(shake(ctx, &crew, &old).is_resumed);
	assert_false(shake(ctx, &crew, &session).is_resumed);
	until = rota_context_now(ctx) + 400 * ROTA_MILLISECOND;
	while (rota_context_now(ctx) < until) {
		rota_time next = rota_context_now(ctx) + 5 * ROTA_MILLISECOND;

		(void)rota_wait(ctx, is_over, &next, 5 * ROTA_MILLISECOND);
		assert_true(shake(ctx, &crew, &session).is_resumed);
	}
	assert_false(shake(ctx, &crew, &old).is_resumed);
	SSL_SESSION_free(session);
	SSL_SESSION_free(old);
	rota_tls_config_unref(crew.tls);
	crew_close(ctx, &crew);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		crew_test(meter__of_all_processes__adds_up_and_never_goes_back),
		crew_test(meter__after_the_end__has_it_all),
		crew_test(session__begun_at_one__is_resumed_at_another_also_of_the_next_generation),
		crew_test(
			session__keys_are_replaced__is_resumed_while_young_and_forgotten_when_old),
	};

	if (crew_is_impossible())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
