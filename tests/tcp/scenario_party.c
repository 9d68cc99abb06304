/* SPDX-License-Identifier: MIT */
/*
 * Parties: see scenario_party.h.
 */
#include "scenario_party.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "fixture.h"
#include "random.h"
#include "stream.h"

#define LARGEST ((size_t)150000)

uint64_t party_chance;
struct rota_stream_options party_options;
bool party_is_on_virtual_time;
bool party_is_quiescent;

bool
party_is_live(const struct party *party)
{
	return party->side.stream != NULL && party->side.closes == 0;
}

static bool
may_send(const struct party *party)
{
	return !party->has_ended && !party->has_closed && !party->has_aborted;
}

/* What a party does */

static void
note_sent(struct party *party, int r, bool was_full, const char *bytes, size_t len)
{
	/* One that ended by itself gets its on_close at the end of the turn. */
	if (!may_send(party) || party->side.stream->state == ROTA__ENDED) {
		assert_int_equal(r, -ENOTCONN);
		return;
	}
	/* A stream that has failed takes what is sent, and counts it. */
	if (party->is_open && !rota_stream_is_open(party->side.stream))
		was_full = false;
	assert_int_equal(r, was_full ? -ROTA_EFULL : 0);
	if (r == 0)
		side_keep(&party->said, bytes, len);
	else
		party->is_drain_owed = true;
}

static bool
is_full(const struct party *party)
{
	size_t unsent = rota_stream_unsent(party->side.stream);
	bool full = rota_stream_is_full(party->side.stream);

	if (may_send(party) && rota_stream_is_open(party->side.stream))
		assert_int_equal(full, unsent >= party_options.output_high);
	if (may_send(party) && rota_stream_is_open(party->side.stream))
		assert_true(unsent < party_options.output_high + LARGEST + 65536);
	return full;
}

static void
act_send(struct party *party)
{
	size_t most = random_percent(&party_chance, 5) ? LARGEST : 3000;
	size_t len = 1 + (size_t)random_below(&party_chance, most);
	char *bytes = malloc(len);
	bool full = is_full(party);

	assert_non_null(bytes);
	pattern_fill(bytes, (size_t)random_below(&party_chance, 1000), len);
	note_sent(party, rota_stream_send(party->side.stream, bytes, len), full, bytes, len);
	free(bytes);
}

static void
on_release(const void *bytes, size_t len, void *arg)
{
	struct party *party = arg;

	(void)len;
	party->lent--;
	free((void *)bytes);
}

static void
act_lend(struct party *party)
{
	size_t len = (size_t)random_below(&party_chance, 5000);
	char *bytes = malloc(len + 1);
	bool full = is_full(party);
	int r;

	assert_non_null(bytes);
	pattern_fill(bytes, (size_t)random_below(&party_chance, 1000), len);
	r = rota_stream_send_ref(party->side.stream, bytes, len, on_release, party);
	note_sent(party, r, full, bytes, len);
	if (r == 0)
		party->lent++;
	else
		free(bytes);
}

static void
act_need(struct party *party)
{
	size_t n = (size_t)random_below(&party_chance, party_options.input_limit + 10);
	int r = rota_stream_need(party->side.stream, n);

	assert_int_equal(r, n > party_options.input_limit ? -EMSGSIZE : 0);
	if (r == 0)
		party->need = n;
}

static void
act_close(struct party *party)
{
	rota_stream_close(party->side.stream);
	party->was_cancelled |= !party->is_open;
	party->has_closed = true;
}

static void
act_abort(struct party *party)
{
	rota_stream_abort(party->side.stream);
	party->was_cancelled |= !party->is_open;
	party->has_aborted = true;
}

static void
act_end(struct party *party)
{
	rota_stream_end(party->side.stream);
	party->has_ended = true;
}

static void
act(struct party *party)
{
	unsigned what = (unsigned)random_below(&party_chance, 200);

	if (what < 80)
		act_send(party);
	else if (what < 120)
		act_lend(party);
	else if (what < 140)
		act_need(party);
	else if (what < 160) {
		rota_stream_pause(party->side.stream);
		party->is_paused = true;
	} else if (what < 188) {
		rota_stream_resume(party->side.stream);
		party->is_paused = false;
	} else if (what < 192)
		act_end(party);
	else if (what < 194)
		act_close(party);
	else if (what < 195)
		act_abort(party);
	else
		rota_stream_set_handlers(party->side.stream, &side_handlers, &party->side);
}

void
party_act(struct party *party)
{
	if (party_is_quiescent)
		return;
	while (random_percent(&party_chance, 40))
		act(party);
	if (random_percent(&party_chance, 10) && party_is_live(party->peer))
		act(party->peer);
}

/* What a party is told */

static struct party *
party_of(struct side *side)
{
	return rota_container_of(side, struct party, side);
}

static void
assert_callable(const struct party *party)
{
	assert_false(party->has_closed || party->has_aborted);
}

static void
at_open(struct side *side)
{
	struct party *party = party_of(side);

	assert_callable(party);
	party->is_open = true;
	if (party->tally == NULL)
		party->tally = tally_of(side->stream->target.fd);
	party_act(party);
}

/* Sends on from the bytes that it was given, here or there. */
static void
pass_on(struct party *party, const char *bytes, size_t len)
{
	struct party *to = random_percent(&party_chance, 50) && party_is_live(party->peer)
		? party->peer
		: party;
	size_t from = (size_t)random_below(&party_chance, len);
	size_t part = 1 + (size_t)random_below(&party_chance, len - from);
	bool full = is_full(to);

	note_sent(to, rota_stream_send(to->side.stream, bytes + from, part), full, bytes + from,
		part);
}

static ssize_t
at_data(struct side *side, const char *bytes, size_t len)
{
	struct party *party = party_of(side);
	const struct side *said = &party->peer->said;
	size_t taken = len;

	assert_callable(party);
	assert_false(party->is_paused);
	assert_true(side->received_len + len <= said->received_len);
	assert_memory_equal(bytes, said->received + side->received_len, len);
	assert_true(len <= party_options.input_limit);
	if (len < party->need)
		assert_true(party->tally->saw_end || !rota_stream_is_open(side->stream));
	if (party_is_quiescent)
		return (ssize_t)len;
	while (random_percent(&party_chance, 30))
		pass_on(party, bytes, len);
	party_act(party);
	if (random_percent(&party_chance, 30))
		taken = (size_t)random_below(&party_chance, len + 1);
	if (taken == 0 && len >= party_options.input_limit)
		party->took_nothing = true;
	if (random_below(&party_chance, 400) != 0)
		return (ssize_t)taken;
	party->has_aborted |= !party->has_closed;
	return -EPROTO;
}

static void
at_drain(struct side *side)
{
	struct party *party = party_of(side);

	assert_callable(party);
	assert_true(party->is_drain_owed);
	assert_true(rota_stream_unsent(side->stream) <= party_options.output_low);
	party->is_drain_owed = false;
	party_act(party);
}

static void
at_end(struct side *side)
{
	struct party *party = party_of(side);

	assert_callable(party);
	assert_false(party->is_paused);
	assert_true(party->tally->saw_end);
	party_act(party);
	if (party_is_quiescent)
		act_end(party);
}

static bool
cut_off(const struct party *party)
{
	enum rota_reason reason = party->side.why.reason;

	return party->side.closes == 0 || reason == ROTA_REASON_LOCAL ||
		reason == ROTA_REASON_CANCELLED || reason == ROTA_REASON_LIMIT ||
		reason == ROTA_REASON_TIMEOUT_WRITE_STALL || reason == ROTA_REASON_TIMEOUT_CLOSE;
}

static void
check_reason(const struct party *party)
{
	switch (party->side.why.reason) {
	case ROTA_REASON_CLEAN:
		assert_int_equal(party->side.why.unsent, 0);
		assert_int_equal(party->side.why.error, 0);
		assert_true(party->tally->saw_end);
		assert_int_equal(party->tally->received, party->peer->tally->sent);
		return;
	case ROTA_REASON_RESET:
		assert_true(cut_off(party->peer));
		return;
	case ROTA_REASON_LOCAL:
		assert_true(party->has_aborted);
		return;
	case ROTA_REASON_CANCELLED:
		assert_true(party->was_cancelled);
		return;
	case ROTA_REASON_LIMIT:
		assert_true(party->took_nothing);
		return;
	case ROTA_REASON_TIMEOUT_WRITE_STALL:
		assert_true(party->side.why.unsent > party_options.output_low);
		return;
	case ROTA_REASON_TIMEOUT_CLOSE:
		assert_true(party_is_on_virtual_time && party->has_closed &&
			!party->tally->saw_end);
		return;
	default:
		print_error("reason: %s\n", rota_reason_name(party->side.why.reason));
		fail();
	}
}

void
party_check(const struct party *party)
{
	static const struct tally none;
	const struct tally *tally = party->tally != NULL ? party->tally : &none;
	const struct side *side = &party->side;

	assert_int_equal(party->lent, 0);
	if (side->closes == 0)
		return;
	assert_int_equal(party->said.received_len, tally->sent + side->why.unsent);
	assert_int_equal(tally->received, side->received_len + side->why.unread);
	check_reason(party);
}

void
party_init(struct party *party, const char *name, struct party *peer)
{
	*party = (struct party){ .peer = peer };
	party->side = (struct side){
		.name = name,
		.is_quiet = true,
		.at_open = at_open,
		.at_data = at_data,
		.at_drain = at_drain,
		.at_end = at_end,
	};
}

void
party_come_to_an_end(struct party *party)
{
	if (!party_is_live(party))
		return;
	rota_stream_resume(party->side.stream);
	party->is_paused = false;
	assert_int_equal(rota_stream_need(party->side.stream, 0), 0);
	party->need = 0;
	if (random_percent(&party_chance, 50))
		act_end(party);
	else
		act_close(party);
}

void
party_tell(const struct party *party)
{
	const struct rota_stream *stream = party->side.stream;

	print_error("%s: offers %u, drains %u, ends %u, closes %u;%s%s%s%s%s%s\n", party->side.name,
		party->side.offers, party->side.drains, party->side.ends, party->side.closes,
		party->is_open ? " opened" : "", party->is_paused ? " paused" : "",
		party->is_drain_owed ? " drain owed" : "", party->has_ended ? " ended" : "",
		party->has_closed ? " closed" : "", party->has_aborted ? " aborted" : "");
	if (party_is_live(party))
		print_error("  state %u, flags 0x%x, interest %u, %zu unsent, %zu kept of %zu\n",
			stream->state, (unsigned)stream->flags, stream->target.interest,
			rota_stream_unsent(stream), rota__input_kept(stream),
			party_options.input_limit);
}
