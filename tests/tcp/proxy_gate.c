/* SPDX-License-Identifier: MIT */
/*
 * Gates: see proxy_gate.h.
 */
#include "proxy_gate.h"

#include <errno.h>

#include "faulty_allocator.h"

void
gate_on_header(struct rota_stream *stream, const struct rota_proxy_header *header, void *userdata)
{
	struct gate *gate = userdata;

	gate->headers++;
	gate->opened = gate->end->told[END_OPEN];
	assert_false(rota_stream_is_open(stream));
	gate->is_local = header->is_local;
	rota_address_format(&header->source, gate->source, sizeof gate->source);
	rota_address_format(&header->destination, gate->destination, sizeof gate->destination);
	if (gate->on_header != NULL)
		gate->on_header(gate, stream);
}

static void
on_accept(struct door *door, struct rota_stream *stream)
{
	struct gate *gate = door->userdata;

	if (gate->is_without_memory)
		faulty_allocator_fail(1, true);
	assert_int_equal(rota_proxy_receive(stream, gate_on_header, gate),
		gate->is_without_memory ? -ENOMEM : 0);
	faulty_allocator_reset();
	if (gate->is_without_memory)
		rota_stream_abort(stream);
	if (gate->on_accept != NULL)
		gate->on_accept(gate, stream);
}

void
gate_open_at(struct rota_context *ctx, struct gate *gate, const char *text,
	const struct rota_listener_options *options)
{
	gate->ctx = ctx;
	gate->end = make_ends(1);
	gate->door = make_door(gate->end, 1);
	gate->door->userdata = gate;
	gate->door->on_accept = on_accept;
	assert_int_equal(door_open(ctx, gate->door, text, options), 0);
	gate->peer = raw_connect(gate->door->text);
	wait_for(ctx, &gate->door->accepted, 1);
}

void
gate_open(struct rota_context *ctx, struct gate *gate, const struct rota_listener_options *options)
{
	gate_open_at(ctx, gate, "127.0.0.1:0", options);
}

void
gate_send(const struct gate *gate, const void *bytes, size_t len)
{
	raw_send(gate->peer, bytes, len);
}

void
gate_expect_header(const struct gate *gate)
{
	assert_int_equal(gate->headers, 1);
	assert_int_equal(gate->opened, 0);
	assert_false(gate->is_local);
	assert_string_equal(gate->source, "192.0.2.1:50000");
	assert_string_equal(gate->destination, "198.51.100.2:443");
}

void
gate_expect(struct gate *gate, const void *bytes, size_t len)
{
	wait_for(gate->ctx, &gate->end->told[END_OPEN], 1);
	gate_expect_header(gate);
	wait_for_size(gate->ctx, &gate->end->len, len);
	assert_int_equal(gate->end->len, len);
	if (len > 0)
		assert_memory_equal(gate->end->bytes, bytes, len);
}

void
gate_expect_refused(struct gate *gate, enum rota_reason reason, int error)
{
	if (gate->end->told[END_CLOSE] == 0)
		wait_for(gate->ctx, &gate->end->told[END_CLOSE], 1);
	assert_int_equal(gate->end->why.phase, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(gate->end->why.reason, reason);
	assert_int_equal(gate->end->why.error, error);
	for (int i = 0; i < END_CLOSE; i++)
		assert_int_equal(gate->end->told[i], 0);
	assert_int_equal(gate->headers, 0);
}
