/* SPDX-License-Identifier: MIT */
/*
 * Many connections of TLS at a listener: a bad one beside a hundred good ones disturbs none,
 * handshakes that are abandoned leave nothing, and so many are in hand at once and no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/tls.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
#include "rig.h"
#include "stream_queue.h"
#include "tcp_context.h"
#include "tls_line.h"
#include "tls_peers.h"

#define GOOD 100
#define ABANDONED 1000
#define BATCH 100

/* A listener of TLS, whose streams echo. */
static struct door *
open_door(struct rota_context *ctx, struct end *ends, size_t room, size_t handshakes)
{
	struct rota_listener_options options = door_options();
	struct door *door = make_door(ends, room);

	options.stream.tls = tls_line_config(false);
	if (handshakes > 0)
		options.handshakes = handshakes;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &options), 0);
	rota_tls_config_unref(options.stream.tls);
	return door;
}

/* Each says something more, and hears all of it. */
static void
echo_all(struct rota_context *ctx, struct tls_peer *peers, int count, size_t *said)
{
	for (int i = 0; i < count; i++)
		tls_peer_send(&peers[i], "hello", 5);
	*said += 5;
	tls_peers_until(ctx, peers, count, *said);
}

static void
misbehave(int fd, uint64_t *chance)
{
	char bytes[700];
	size_t len = (size_t)random_below(chance, sizeof bytes);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)random_next(chance);
	/* Sometimes what begins like a record, sometimes of a sane length. */
	if (len >= 5 && random_percent(chance, 70))
		memcpy(bytes, "\x16\x03\x01\x02\x00", random_percent(chance, 50) ? 5 : 3);
	(void)send(fd, bytes, len, MSG_NOSIGNAL);
	if (random_percent(chance, 30))
		(void)shutdown(fd, SHUT_WR);
}

static void
connection__bad_beside_a_hundred_good__disturbs_none(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t chance = make_seed("bad connections");
	struct door *door = open_door(ctx, make_echoes(2 * GOOD), 2 * GOOD, 0);
	static struct tls_peer peers[GOOD];
	size_t said = 0;

	for (int i = 0; i < GOOD; i++) {
		tls_peer_open(&peers[i], raw_connect(door->text), NULL);
		tls_peers_step(ctx, peers, i + 1);
	}
	tls_peers_until(ctx, peers, GOOD, 0);
	for (int i = 0; i < GOOD; i++) {
		int bad = raw_connect(door->text);

		misbehave(bad, &chance);
		if (i % 10 == 0)
			echo_all(ctx, peers, GOOD, &said);
		else
			spin(ctx, 2);
		if (random_percent(&chance, 50))
			raw_reset(bad);
		else
			close(bad);
	}
	echo_all(ctx, peers, GOOD, &said);
	for (int i = 0; i < GOOD; i++)
		tls_peer_fini(&peers[i]);
}

static bool
are_all_over(struct rota_context *ctx, void *userdata)
{
	(void)userdata;
	return rota_context_streams(ctx) == 0;
}

/* Some have sent a part of their hello, some all, some have read the answer; then they are gone. */
static void
abandon_some(struct rota_context *ctx, const struct door *door, uint64_t *chance)
{
	static struct tls_peer peers[BATCH];

	for (int i = 0; i < BATCH; i++) {
		tls_peer_open(&peers[i], raw_connect(door->text), NULL);
		peers[i].limit = (size_t)random_below(chance, 600);
		tls_peers_step(ctx, peers, i % 10 == 0 ? i + 1 : 0);
		if (i % 10 != 0)
			(void)tls_peer_step(&peers[i]);
	}
	tls_peers_step(ctx, peers, BATCH);
	for (int i = 0; i < BATCH; i++) {
		if (random_percent(chance, 50))
			tls_peer_reset(&peers[i]);
		tls_peer_fini(&peers[i]);
	}
	assert_int_equal(turn_until(ctx, are_all_over, NULL), 0);
}

static void
handshakes__a_thousand_abandoned__leave_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	uint64_t chance = make_seed("abandoned handshakes");
	struct end *ends = make_ends(ABANDONED + BATCH);
	struct door *door = open_door(ctx, ends, ABANDONED + BATCH, 0);
	int64_t bytes;
	int64_t blocks;

	/* What is made once is there after the first. */
	abandon_some(ctx, door, &chance);
	rota__queue_free_spares(rota__tcp(ctx));
	bytes = faulty_allocator_bytes();
	blocks = faulty_allocator_live();
	for (int i = 0; i < ABANDONED / BATCH; i++)
		abandon_some(ctx, door, &chance);
	rota__queue_free_spares(rota__tcp(ctx));
	assert_int_equal(faulty_allocator_live(), blocks);
	/* Tables by descriptor may have grown. */
	assert_true(faulty_allocator_bytes() <= bytes + 4096);
	for (int i = 0; i < ABANDONED + BATCH; i++) {
		assert_int_equal(ends[i].told[END_CLOSE], 1);
		assert_true(ends[i].why.reason != ROTA_REASON_CLEAN || ends[i].told[END_OPEN] == 1);
	}
}

static void
handshakes__as_many_as_may_be__let_others_wait(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx, make_echoes(10), 10, 3);
	struct tls_peer peers[6];
	size_t said = 0;

	for (int i = 0; i < 6; i++) {
		tls_peer_open(&peers[i], raw_connect(door->text), NULL);
		peers[i].limit = 100;
	}
	for (int i = 0; i < 20; i++)
		tls_peers_step(ctx, peers, 6);
	assert_int_equal(door->accepted, 3);
	/* One is through, another gives up; each makes room for one. */
	peers[0].limit = SIZE_MAX;
	while (!peers[0].is_open || door->accepted < 4)
		tls_peers_step(ctx, peers, 6);
	for (int i = 0; i < 20; i++)
		tls_peers_step(ctx, peers, 6);
	assert_int_equal(door->accepted, 4);
	tls_peer_reset(&peers[1]);
	wait_for(ctx, &door->accepted, 5);
	rota_stream_abort(door->ends[2].stream);
	wait_for(ctx, &door->accepted, 6);
	for (int i = 3; i < 6; i++)
		peers[i].limit = SIZE_MAX;
	while (!tls_peers_have(peers + 3, 3, 0))
		tls_peers_step(ctx, peers, 6);
	echo_all(ctx, peers + 3, 3, &said);
	for (int i = 0; i < 6; i++)
		tls_peer_fini(&peers[i]);
}

/* One at a time still serves everybody. */
static void
handshakes__one_at_a_time__serve_all(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx, make_echoes(20), 20, 1);
	struct tls_peer peers[20];
	size_t said = 0;

	for (int i = 0; i < 20; i++)
		tls_peer_open(&peers[i], raw_connect(door->text), NULL);
	tls_peers_until(ctx, peers, 20, 0);
	echo_all(ctx, peers, 20, &said);
	for (int i = 0; i < 20; i++)
		tls_peer_fini(&peers[i]);
}

/* Both roles are the library's, by listener and connect. */
static void
connect__to_a_listener__opens_both(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_echoes(1);
	struct door *door = open_door(ctx, ends, 1, 0);
	struct rota_stream_options options = end_options();
	struct end *client = make_ends(1);
	struct rota_tls_info info;

	options.tls = tls_line_config(true);
	assert_int_equal(end_connect(ctx, client, door->text, &options), 0);
	rota_tls_config_unref(options.tls);
	assert_int_equal(rota_stream_send(client->stream, "early", 5), 0);
	wait_for_size(ctx, &client->len, 5);
	assert_memory_equal(client->bytes, "early", 5);
	assert_int_equal(rota_tls_info(client->stream, &info), 0);
	assert_true(info.is_verified);
	assert_string_equal(info.version, "TLSv1.3");
	assert_int_equal(rota_tls_info(ends->stream, &info), 0);
	rota_stream_end(client->stream);
	wait_for(ctx, &client->told[END_CLOSE], 1);
	wait_for(ctx, &ends->told[END_CLOSE], 1);
	assert_int_equal(client->why.reason, ROTA_REASON_CLEAN);
	assert_int_equal(ends->why.reason, ROTA_REASON_CLEAN);
}

/* A plain client at a port of TLS, and the reverse. */
static void
connect__plain_to_tls_or_the_reverse__opens_nothing_there(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *ends = make_ends(2);
	struct door *door = open_door(ctx, ends, 2, 0);
	struct rota_stream_options options = end_options();
	struct end *client = make_ends(2);
	struct door *plain = make_door(make_echoes(1), 1);

	assert_int_equal(end_connect(ctx, &client[0], door->text, NULL), 0);
	assert_int_equal(rota_stream_send(client[0].stream, "GET / HTTP/1.1\r\n\r\n", 18), 0);
	wait_for(ctx, &ends[0].told[END_CLOSE], 1);
	assert_int_equal(ends[0].why.reason, ROTA_REASON_TLS);
	assert_int_equal(ends[0].told[END_OPEN] + ends[0].told[END_DATA], 0);
	assert_int_equal(door_open(ctx, plain, "127.0.0.1:0", NULL), 0);
	options.tls = tls_line_config(true);
	assert_int_equal(end_connect(ctx, &client[1], plain->text, &options), 0);
	rota_tls_config_unref(options.tls);
	wait_for(ctx, &client[1].told[END_CLOSE], 1);
	assert_int_equal(client[1].why.reason, ROTA_REASON_TLS);
	assert_int_equal(client[1].told[END_OPEN] + client[1].told[END_DATA], 0);
}

static void
connect__to_another_name__fails(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = make_door(make_ends(1), 1);
	struct rota_listener_options listening = door_options();
	struct rota_stream_options options = end_options();
	struct end *client = make_ends(1);

	assert_int_equal(rota_tls_config_new(&listening.stream.tls), 0);
	tls_add_certificate(listening.stream.tls, CERTIFICATE_OTHER);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &listening), 0);
	rota_tls_config_unref(listening.stream.tls);
	options.tls = tls_line_config(true);
	assert_int_equal(end_connect(ctx, client, door->text, &options), 0);
	rota_tls_config_unref(options.tls);
	wait_for(ctx, &client->told[END_CLOSE], 1);
	assert_int_equal(client->why.reason, ROTA_REASON_TLS);
	assert_int_equal(client->why.phase, ROTA_PHASE_HANDSHAKE);
	assert_non_null(strstr(client->text, "127.0.0.1"));
	wait_for(ctx, &door->ends[0].told[END_CLOSE], 1);
	/* An alert that a fault finds no room for is lost, and the server sees an end. */
	if (getenv("ROTA_FAULTS") == NULL || door->ends[0].why.reason != ROTA_REASON_TRUNCATED)
		assert_int_equal(door->ends[0].why.reason, ROTA_REASON_TLS);
	assert_int_equal(door->ends[0].why.phase, ROTA_PHASE_HANDSHAKE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(connection__bad_beside_a_hundred_good__disturbs_none),
		rig_test(handshakes__a_thousand_abandoned__leave_nothing),
		rig_test(handshakes__as_many_as_may_be__let_others_wait),
		rig_test(handshakes__one_at_a_time__serve_all),
		rig_test(connect__to_a_listener__opens_both),
		rig_test(connect__plain_to_tls_or_the_reverse__opens_nothing_there),
		rig_test(connect__to_another_name__fails),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
