/* SPDX-License-Identifier: MIT */
/*
 * Relays for tests: see relay_rig.h.
 */
#include "relay_rig.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "random.h"
#include "stream.h"

#define PIECE 65536
#define STALLED (5 * ROTA_SECOND) /* without a byte */

static bool relays_splice;

void
let_relays_splice(bool may_splice)
{
	relays_splice = may_splice;
	signal(SIGPIPE, may_splice ? SIG_IGN : SIG_DFL);
}

bool
has_pipe(const struct rota_stream *stream)
{
	return stream->output != NULL && stream->output->first->is_pipe;
}

void
relayed_fill_pipe(struct relayed *relayed, struct flow *flow, bool is_to_b)
{
	const struct rota_stream *target = is_to_b ? relayed->b->stream : relayed->a->stream;
	int source = is_to_b ? relayed->peer_a : relayed->peer_b;
	int receiver = is_to_b ? relayed->peer_b : relayed->peer_a;

	/* It stays there once nothing moves any more. */
	for (int still = 0, i = 0; i < 20000 && (still < 20 || !has_pipe(target)); i++) {
		size_t before = flow->sent;
		bool had_pipe = has_pipe(target);

		/* With little reads, by faults, it may have been copying in the end. */
		if (still >= 20) {
			flow_receive(flow, receiver, PIECE);
			still = 0;
		}
		flow_send(flow, source, PIECE);
		spin(relayed->ctx, 1);
		still = flow->sent == before && has_pipe(target) == had_pipe ? still + 1 : 0;
	}
	assert_true(has_pipe(target));
}

void
relayed_open_a(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options)
{
	struct rota_listener_options listening = door_options();

	memset(relayed, 0, sizeof *relayed);
	if (options != NULL)
		listening.stream = *options;
	relayed->ctx = ctx;
	relayed->a = make_ends(1);
	relayed->b = make_ends(1);
	relayed->door = make_door(relayed->a, 1);
	assert_int_equal(door_open(ctx, relayed->door, "127.0.0.1:0", &listening), 0);
	relayed->peer_a = raw_connect(relayed->door->text);
	relayed->peer_b = -1;
	relayed->listening = raw_listen("127.0.0.1:0", 4, relayed->text);
	wait_for(ctx, &relayed->a->told[END_OPEN], 1);
}

static void
open_b(struct rota_context *ctx, struct relayed *relayed, const struct rota_stream_options *options)
{
	assert_int_equal(end_connect(ctx, relayed->b, relayed->text, options), 0);
	relayed->peer_b = raw_accept(relayed->listening);
	wait_for(ctx, &relayed->b->told[END_OPEN], 1);
}

void
relayed_open(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options)
{
	relayed_open_a(ctx, relayed, options);
	open_b(ctx, relayed, options);
}

void
relayed_open_unix(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options)
{
	char text[64];

	relayed_open_a(ctx, relayed, options);
	close(relayed->listening);
	snprintf(text, sizeof text, "unix:@rota-relayed-%d", (int)getpid());
	relayed->listening = raw_listen(text, 4, relayed->text);
	open_b(ctx, relayed, options);
}

/* What one side sent came from the other, or was queued before; and splicing is as it may be. */
static void
expect_truth(const struct rota_relay_result *result, const struct rota_relay_side *side,
	const struct rota_relay_side *other)
{
	assert_true(side->spliced <= side->received);
	assert_int_equal(result->spliced, side->spliced + other->spliced > 0);
	assert_true(relays_splice || !result->spliced);
}

void
relayed_on_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct relayed *relayed = userdata;

	assert_ptr_equal(relay, relayed->relay);
	assert_int_equal(relayed->done, 0);
	relayed->done++;
	relayed->result = *result;
	expect_truth(result, &result->a, &result->b);
	expect_truth(result, &result->b, &result->a);
}

void
relayed_start(struct relayed *relayed, size_t window)
{
	struct rota_relay_options options = ROTA_RELAY_OPTIONS_INIT;

	if (window != 0)
		options.window = options.pipe = window;
	assert_int_equal(rota_relay(relayed->a->stream, relayed->b->stream,
				 window != 0 ? &options : NULL, relayed_on_done, relayed,
				 &relayed->relay),
		0);
	memset(relayed->a->told, 0, sizeof relayed->a->told);
	memset(relayed->b->told, 0, sizeof relayed->b->told);
}

void
relayed_wait(struct relayed *relayed)
{
	wait_for(relayed->ctx, &relayed->done, 1);
	for (enum end_event event = 0; event < END_EVENTS; event++)
		assert_int_equal(relayed->a->told[event] + relayed->b->told[event], 0);
	assert_int_equal(rota_context_streams(relayed->ctx), 0);
}

void
relayed_close(struct relayed *relayed)
{
	if (relayed->peer_a >= 0)
		close(relayed->peer_a);
	if (relayed->peer_b >= 0)
		close(relayed->peer_b);
	close(relayed->listening);
	rota_listener_close(relayed->door->listener);
	spin(relayed->ctx, 1);
}

/* The bytes of a flow from an offset on. */
static void
fill(const struct flow *flow, size_t offset, unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t word = (offset + i) / 8;
		uint64_t state = flow->seed + word * 0x9e3779b97f4a7c15u;

		bytes[i] = (unsigned char)(random_next(&state) >> (offset + i) % 8 * 8);
	}
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void
flow_send(struct flow *flow, int fd, size_t most)
{
	unsigned char bytes[PIECE];
	size_t len = least(least(flow->total - flow->sent, most), PIECE);
	ssize_t n = 0;

	if (flow->is_ended)
		return;
	fill(flow, flow->sent, bytes, len);
	if (len > 0)
		n = send(fd, bytes, len, MSG_NOSIGNAL);
	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return;
	}
	flow->sent += (size_t)n;
	if (flow->sent == flow->total) {
		flow->is_ended = true;
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
	}
}

void
flow_receive(struct flow *flow, int fd, size_t most)
{
	unsigned char bytes[PIECE];
	unsigned char expected[PIECE];
	ssize_t n = raw_receive(fd, bytes, least(most, PIECE));

	if (n == -EAGAIN || flow->has_ended)
		return;
	assert_true(n >= 0);
	if (n == 0) {
		flow->has_ended = true;
		assert_int_equal(flow->received, flow->total);
		return;
	}
	assert_true(flow->received + (size_t)n <= flow->sent);
	fill(flow, flow->received, expected, (size_t)n);
	assert_memory_equal(bytes, expected, (size_t)n);
	flow->received += (size_t)n;
}

static size_t
moved(const struct flow *to_b, const struct flow *to_a)
{
	return to_b->sent + to_b->received + to_a->sent + to_a->received;
}

void
relayed_carry(struct relayed *relayed, struct flow *to_b, struct flow *to_a, size_t most)
{
	rota_time since = real_time();

	/* TCP may drop what finds no room, and send it again some tenths of a second later. */
	while ((!to_b->has_ended || !to_a->has_ended) && real_time() - since <= STALLED) {
		size_t before = moved(to_b, to_a);

		flow_send(to_b, relayed->peer_a, most);
		flow_send(to_a, relayed->peer_b, most);
		spin(relayed->ctx, 1);
		flow_receive(to_b, relayed->peer_b, most);
		flow_receive(to_a, relayed->peer_a, most);
		if (moved(to_b, to_a) > before)
			since = real_time();
	}
	if (!to_b->has_ended || !to_a->has_ended)
		fail_msg("to b %zu sent, %zu received of %zu; to a %zu, %zu of %zu", to_b->sent,
			to_b->received, to_b->total, to_a->sent, to_a->received, to_a->total);
}

void
relayed_expect_clean(struct relayed *relayed, uint64_t to_b, uint64_t to_a)
{
	const struct rota_relay_side *a = &relayed->result.a;
	const struct rota_relay_side *b = &relayed->result.b;

	relayed_wait(relayed);
	assert_int_equal(a->reason, ROTA_REASON_CLEAN);
	assert_int_equal(b->reason, ROTA_REASON_CLEAN);
	assert_int_equal(a->error, 0);
	assert_int_equal(b->error, 0);
	assert_int_equal(a->received, to_b);
	assert_int_equal(b->sent, to_b);
	assert_int_equal(b->received, to_a);
	assert_int_equal(a->sent, to_a);
}
