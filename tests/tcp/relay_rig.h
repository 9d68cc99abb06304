/* SPDX-License-Identifier: MIT */
/*
 * Two peers with a relay between them: peer a is connected to stream a, which a door accepted, and
 * peer b to stream b, which was connected. What a peer sends is a flow: bytes that a seed repeats,
 * so that the other checks each of them.
 */
#ifndef ROTA_TESTS_RELAY_RIG_H
#define ROTA_TESTS_RELAY_RIG_H

#include <rota/relay.h>

#include "rig.h"

struct relayed {
	struct rota_context *ctx;
	struct door *door;
	struct end *a;
	struct end *b;
	int listening; /* for b */
	char text[ROTA_ADDRESS_TEXT];
	int peer_a;
	int peer_b;
	struct rota_relay *relay;

	/* What on_done told. */
	int done;
	struct rota_relay_result result;
};

struct flow {
	uint64_t seed;
	size_t total;
	size_t sent;
	size_t received;
	bool is_ended;  /* that was sent */
	bool has_ended; /* that was received */
};

/* Whether this process ignores SIGPIPE, without which no relay splices. At first it does not. */
void let_relays_splice(bool may_splice);

/* Whether bytes are in a pipe on their way to the stream. */
bool has_pipe(const struct rota_stream *stream);

/* Streams that are open, with options or, for NULL, the defaults; not yet in a relay. */
void relayed_open(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options);

/* The same with b by a unix socket, whose buffers are small; and without b, which is the test's. */
void relayed_open_unix(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options);
void relayed_open_a(struct rota_context *ctx, struct relayed *relayed,
	const struct rota_stream_options *options);

/* rota_relay of both, which must work; window, of pipes too, 0: the defaults. */
void relayed_start(struct relayed *relayed, size_t window);

/* An on_done; userdata is a struct relayed. */
void relayed_on_done(struct rota_relay *relay, const struct rota_relay_result *result,
	void *userdata);

/* Turns until on_done was called; the handlers that the streams had before were not. */
void relayed_wait(struct relayed *relayed);

/* Closes the peers and what b was connected to. */
void relayed_close(struct relayed *relayed);

/* Sends, receives and checks at most so many bytes of the flow, and its end behind the last. */
void flow_send(struct flow *flow, int fd, size_t most);
void flow_receive(struct flow *flow, int fd, size_t most);

/* Sends of a flow, whose receiver reads no more, until some is in a pipe and nothing moves. */
void relayed_fill_pipe(struct relayed *relayed, struct flow *flow, bool is_to_b);

/* All of both flows, in both directions at once, in pieces of at most so many bytes. */
void relayed_carry(struct relayed *relayed, struct flow *to_b, struct flow *to_a, size_t most);

/* Both sides were ended clean, and these are the bytes of both directions. */
void relayed_expect_clean(struct relayed *relayed, uint64_t to_b, uint64_t to_a);

#endif
