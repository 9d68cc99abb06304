/* SPDX-License-Identifier: MIT */
/*
 * A gate: a door whose streams begin with a PROXY protocol header, one of them, and its peer.
 */
#ifndef ROTA_TESTS_PROXY_GATE_H
#define ROTA_TESTS_PROXY_GATE_H

#include "proxy_headers.h"
#include "rig.h"

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n"

struct gate;

typedef void gate_act_fn(struct gate *gate, struct rota_stream *stream);

struct gate {
	struct rota_context *ctx;
	gate_act_fn *on_accept; /* last, behind rota_proxy_receive; NULL: nothing */
	gate_act_fn *on_header; /* the same */
	bool is_without_memory; /* rota_proxy_receive has none, and the stream is aborted */

	struct door *door;
	struct end *end;
	int peer;
	int headers; /* that came */
	int opened;  /* the end's on_opens when it came */
	bool is_local;
	char source[ROTA_ADDRESS_TEXT];
	char destination[ROTA_ADDRESS_TEXT];
};

/* Listens, and has the peer accepted; options NULL: the defaults. The gate's actions are set. */
void gate_open(struct rota_context *ctx, struct gate *gate,
	const struct rota_listener_options *options);
void gate_open_at(struct rota_context *ctx, struct gate *gate, const char *text,
	const struct rota_listener_options *options);

void gate_send(const struct gate *gate, const void *bytes, size_t len);

/* Turns until that has come to the end, behind the header of LINE. */
void gate_expect(struct gate *gate, const void *bytes, size_t len);

/* The header has come, once, before on_open, and was that of LINE. */
void gate_expect_header(const struct gate *gate);

/* Turns until the stream is over, for this reason, without a header. */
void gate_expect_refused(struct gate *gate, enum rota_reason reason, int error);

/* An rota_proxy_fn for a userdata that is a gate. */
void gate_on_header(struct rota_stream *stream, const struct rota_proxy_header *header,
	void *userdata);

#endif
