/* SPDX-License-Identifier: MIT */
/*
 * The limits of services, seen from outside: sessions in all, of one source, PROXY headers and who
 * may send them, the rate; what a session costs, and that a message costs no memory.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/cidr.h>
#include <rota/errors.h>

#include "faulty_allocator.h"
#include "hall.h"
#include "raw.h"
#include "sim_context.h"

static void
limit__sessions_in_all__the_rest_waits_in_the_backlog(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peers[5];

	hall_init(&hall);
	hall.options.max_sessions = 3;
	hall_open(ctx, &hall);
	raw_connect_all(peers, 5, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 3);
	hall_spin(ctx);
	assert_int_equal(rota_service_sessions(hall.service), 3);
	assert_int_equal(hall.paused_error, -ROTA_ELIMIT);
	raw_send(peers[4], "late\n", 5);
	close(peers[0]);
	close(peers[1]);
	hall_expect(ctx, &hall, HALL_FRAME, 1);
	assert_int_equal(hall.events[HALL_OPEN], 5);
	assert_int_equal(rota_service_meter(hall.service)->most, 3);
	raw_close_all(peers + 2, 3);
	hall_expect_empty(ctx, &hall);
	assert_int_equal(rota_service_meter(hall.service)->accepted, 5);
	assert_int_equal(rota_service_meter(hall.service)->sessions, 0);
	hall_close(ctx, &hall);
}

static void
limit__of_one_source__cuts_off_more_and_tells_nobody(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peers[4];

	hall_init(&hall);
	hall.options.max_per_source = 2;
	hall_open(ctx, &hall);
	raw_connect_all(peers, 4, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 2);
	assert_true(hall_sees_end(ctx, peers[2]));
	assert_true(hall_sees_end(ctx, peers[3]));
	assert_int_equal(rota_service_meter(hall.service)->refused, 2);
	assert_int_equal(rota_service_meter(hall.service)->accepted, 2);
	assert_int_equal(hall.events[HALL_CLOSE], 0);
	raw_close_all(peers, 4);
	hall_expect_empty(ctx, &hall);
	assert_int_equal(hall.events[HALL_CLOSE], 2);
	peers[0] = raw_connect(hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 3);
	close(peers[0]);
	hall_close(ctx, &hall);
}

/* PROXY headers */

static void
open_behind_proxies(struct rota_context *ctx, struct hall *hall, const char *network,
	size_t max_per_source)
{
	struct rota_cidr proxy;

	assert_int_equal(rota_cidr_parse(network, &proxy), 0);
	hall_init(hall);
	hall->options.proxies = &proxy;
	hall->options.proxies_count = 1;
	hall->options.max_per_source = max_per_source;
	hall_open(ctx, hall);
	memset(&proxy, 0xff, sizeof proxy);
}

static void
notes_peer(struct hall *hall, enum hall_event event, struct rota_session *session)
{
	struct rota_address peer;

	if (event != HALL_OPEN)
		return;
	assert_int_equal(rota_session_peer(session, &peer), 0);
	rota_address_format(&peer, hall->userdata, ROTA_ADDRESS_TEXT);
}

static void
proxy__of_the_list__says_who_it_is_and_is_counted_as_that(void **state)
{
	static const char header[] = "PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n";
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT] = "";
	struct hall hall;
	int peers[3];

	open_behind_proxies(ctx, &hall, "127.0.0.0/8", 1);
	hall.act = notes_peer;
	hall.userdata = text;
	for (int i = 0; i < 2; i++) {
		peers[i] = raw_connect(hall.address);
		raw_send(peers[i], header, sizeof header - 1);
		raw_send(peers[i], "a\n", 2);
		hall_expect(ctx, &hall, HALL_FRAME, 1);
	}
	assert_string_equal(text, "192.0.2.7:5000");
	/* The second is from the same source, whoever brought it. */
	assert_true(hall_sees_end(ctx, peers[1]));
	assert_int_equal(rota_service_meter(hall.service)->refused, 1);
	peers[2] = raw_connect(hall.address);
	raw_send(peers[2], "PROXY TCP4 192.0.2.8 198.51.100.1 5000 80\r\nb\n", 46);
	hall_expect(ctx, &hall, HALL_FRAME, 2);
	assert_string_equal(text, "192.0.2.8:5000");
	raw_close_all(peers, 3);
	hall_close(ctx, &hall);
}

static void
proxy__of_the_list_without_a_header__is_no_session(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	int peer;

	open_behind_proxies(ctx, &hall, "127.0.0.0/8", 0);
	peer = raw_connect(hall.address);
	raw_send(peer, "a\n", 2);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);
	assert_int_equal(hall.phase, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(hall.error, -ROTA_EPROXY);
	assert_int_equal(hall.events[HALL_OPEN], 0);
	hall_leave(ctx, &hall, peer);
}

static void
proxy__of_no_list__is_a_peer_that_speaks_nonsense(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT] = "";
	struct hall hall;
	int peer;

	open_behind_proxies(ctx, &hall, "192.0.2.0/24", 0);
	hall.act = notes_peer;
	hall.userdata = text;
	peer = raw_connect(hall.address);
	raw_send(peer, "PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n", 43);
	hall_expect(ctx, &hall, HALL_FRAME, 1);
	assert_memory_equal(text, "127.0.0.1:", 10);
	assert_memory_equal(hall.said, "PROXY TCP4", 10);
	hall_leave(ctx, &hall, peer);
}

/* The rate */

static void
rate__of_a_hundred_a_second__is_kept_and_none_is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	rota_time begin = rota_context_now(ctx);
	struct hall hall;
	int peers[30];

	hall_init(&hall);
	hall.options.accept_rate = 100;
	hall.options.accept_burst = 10;
	hall_open(ctx, &hall);
	raw_connect_all(peers, 30, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 10);
	hall_spin(ctx);
	assert_int_equal(hall.events[HALL_OPEN], 10);
	while (hall.events[HALL_OPEN] < 30) {
		int before = hall.events[HALL_OPEN];

		hall_expect(ctx, &hall, HALL_OPEN, before + 1);
	}
	/* Twenty more, at ten milliseconds each. */
	assert_true(rota_context_now(ctx) - begin >= 190 * ROTA_MILLISECOND);
	assert_true(rota_context_now(ctx) - begin <= 400 * ROTA_MILLISECOND);
	assert_true(rota_service_meter(hall.service)->paused >= 20);
	assert_int_equal(rota_service_meter(hall.service)->refused, 0);
	raw_close_all(peers, 30);
	hall_close(ctx, &hall);
}

static void
rate__after_a_rest__is_a_burst_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct hall hall;
	rota_time rested;
	int peers[20];

	hall_init(&hall);
	hall.options.accept_rate = 1;
	hall.options.accept_burst = 10;
	hall_open(ctx, &hall);
	raw_connect_all(peers, 10, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 10);
	for (rested = rota_context_now(ctx); rota_context_now(ctx) < rested + 20 * ROTA_SECOND;)
		assert_true(rota_dispatch_once(ctx, 20 * ROTA_SECOND, NULL) >= 0);
	rested = rota_context_now(ctx);
	raw_connect_all(peers + 10, 10, hall.address);
	hall_expect(ctx, &hall, HALL_OPEN, 20);
	assert_true(rota_context_now(ctx) - rested < ROTA_SECOND);
	raw_close_all(peers, 20);
	hall_close(ctx, &hall);
}

/* What it costs */

static void
cost__of_an_idle_session__is_64_bytes_beside_the_stream_and_its_own(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct rota_stream *stream;
	struct hall hall;
	int64_t of_session;
	int64_t of_stream;
	int64_t before;
	int pair[2];
	int peer;

	hall_init(&hall);
	hall.protocol.session_size = 128;
	peer = hall_enter(ctx, &hall); /* what the first needs, the context keeps */
	hall_expect(ctx, &hall, HALL_OPEN, 1);
	close(peer);
	hall_expect(ctx, &hall, HALL_CLOSE, 1);

	before = faulty_allocator_bytes();
	peer = raw_connect(hall.address);
	raw_send(peer, "a\n", 2);
	hall_expect(ctx, &hall, HALL_FRAME, 1);
	of_session = faulty_allocator_bytes() - before;

	make_pair(pair);
	before = faulty_allocator_bytes();
	options.session_size = 128;
	assert_int_equal(rota_stream_adopt(ctx, pair[0], &options, NULL, &stream), 0);
	hall_spin(ctx);
	of_stream = faulty_allocator_bytes() - before;
	assert_true(of_session <= of_stream + 64);
	close(peer);
	close(pair[1]);
	rota_stream_abort(stream);
	hall_close(ctx, &hall);
}

static void
cost__of_a_frame_and_its_answer__is_no_allocation(void **state)
{
	struct rota_context *ctx = context_of(state);
	char answer[32];
	struct hall hall;
	uint64_t calls;
	int peer;

	hall_init(&hall);
	peer = hall_enter(ctx, &hall);
	raw_send(peer, "warm\n", 5);
	assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 5), 5);
	calls = faulty_allocator_calls();
	for (int i = 0; i < 100; i++) {
		raw_send(peer, "one\ntwo\n", 8);
		assert_int_equal(hall_read(ctx, peer, answer, sizeof answer, 8), 8);
	}
	assert_int_equal(faulty_allocator_calls(), calls);
	assert_int_equal(hall.events[HALL_FRAME], 201);
	hall_leave(ctx, &hall, peer);
}

static void
serve__without_memory__fails_whole_or_works(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *const listen[] = { "127.0.0.1:0", "127.0.0.1:0", NULL };
	struct rota_service *service;
	struct rota_cidr proxy;
	struct hall hall;
	int r = -ENOMEM;

	assert_int_equal(rota_cidr_parse("127.0.0.1", &proxy), 0);
	hall_init(&hall);
	hall.options.listen = listen;
	hall.options.proxies = &proxy;
	hall.options.proxies_count = 1;
	for (uint64_t at = 1; r < 0; at++) {
		assert_true(at < 100);
		faulty_allocator_fail(at, false);
		r = rota_serve(ctx, &hall.options, &hall.protocol, &hall, &service);
		faulty_allocator_reset();
		if (r < 0)
			assert_int_equal(r, -ENOMEM);
		hall_spin(ctx);
	}
	rota_service_free(service);
	hall_spin(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(limit__sessions_in_all__the_rest_waits_in_the_backlog),
		fixture_test(limit__of_one_source__cuts_off_more_and_tells_nobody),
		fixture_test(proxy__of_the_list__says_who_it_is_and_is_counted_as_that),
		fixture_test(proxy__of_the_list_without_a_header__is_no_session),
		fixture_test(proxy__of_no_list__is_a_peer_that_speaks_nonsense),
		fixture_test_simulated(rate__of_a_hundred_a_second__is_kept_and_none_is_refused),
		fixture_test_simulated(rate__after_a_rest__is_a_burst_again),
		fixture_test(cost__of_an_idle_session__is_64_bytes_beside_the_stream_and_its_own),
		fixture_test(cost__of_a_frame_and_its_answer__is_no_allocation),
		fixture_test(serve__without_memory__fails_whole_or_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
