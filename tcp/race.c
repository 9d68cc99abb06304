/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a name, as RFC 8305 says. Both families are asked for. It begins when the IPv6
 * addresses are known, or both are, or the IPv4 ones have waited for the resolution delay. Then the
 * addresses are tried in turn, taking turns between the families; the next one when the last has
 * failed, or beside it when it has been silent for the attempt delay. The first that is connected
 * is the stream's, and all others are closed.
 *
 * The stream's timer, and its deadline, are those of any stream that is connecting. A failure is
 * told when the last attempt has failed and no address is to be expected any more.
 */
#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "attempt.h"
#include "connect.h"
#include "resolver.h"

/* Most addresses of a family that are tried. */
#define ADDRESSES 8
#define ATTEMPTS (ROTA__FAMILIES * ADDRESSES)

struct attempt {
	struct rota_target target; /* fd -1: it is not under way */
	struct rota__race *race;
};

struct candidates {
	union rota__ip ips[ADDRESSES];
	unsigned count;
	unsigned used;
};

struct rota__race {
	struct rota__waiter waiter;
	struct rota_stream *stream;
	uint16_t port;
	enum rota__family family; /* that the next address is of, if it has any left */
	struct candidates candidates[ROTA__FAMILIES];
	int name_error;  /* of a family that has no addresses */
	int error;       /* of the attempts, that which tells most */
	rota_time begun; /* the last attempt */
	unsigned attempt_count;
	unsigned under_way;
	struct attempt attempts[ATTEMPTS];
};

static const struct rota_resolver_options *
options_of(const struct rota__race *race)
{
	return rota__resolver_options(race->stream->ctx);
}

/* What the network here said, or did not even get to say, tells less than what a peer did. */
static bool
is_local(int error)
{
	switch (-error) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case EACCES:
	case EPERM:
		return true;
	default:
		return false;
	}
}

static void
note_error(struct rota__race *race, int error)
{
	if (race->error == 0 || !is_local(error) || is_local(race->error))
		race->error = error;
}

static void
close_attempt(struct attempt *attempt, bool is_dropped)
{
	struct rota__race *race = attempt->race;
	struct rota_context *ctx = race->stream->ctx;
	int fd = attempt->target.fd;

	if (fd < 0)
		return;
	rota_target_stop(ctx, &attempt->target);
	attempt->target.fd = -1;
	race->under_way--;
	if (is_dropped)
		ctx->sys->close(fd);
	else
		rota__stream_close_socket(ctx, fd, true);
}

void
rota__race_free(struct rota__race *race, bool is_dropped)
{
	if (race == NULL)
		return;
	rota__waiter_forget(&race->waiter);
	for (unsigned i = 0; i < race->attempt_count; i++)
		close_attempt(&race->attempts[i], is_dropped);
	rota__free(race);
}

/* The attempt's socket becomes the stream's. 0, or a negative error: it is closed. */
static int
hand_over(struct attempt *attempt)
{
	struct rota__race *race = attempt->race;
	struct rota_stream *stream = race->stream;
	int fd = attempt->target.fd;
	int r;

	rota_target_stop(stream->ctx, &attempt->target);
	attempt->target.fd = -1;
	race->under_way--;
	rota_target_init(&stream->target, &rota__stream_target_ops, fd);
	r = rota__target_start_socket(stream->ctx, &stream->target, ROTA_READABLE);
	if (r < 0) {
		stream->target.fd = -1;
		rota__stream_close_socket(stream->ctx, fd, true);
	}
	return r;
}

/* The next address in turn; NULL when there is none left, for now. */
static const union rota__ip *
next_ip(struct rota__race *race)
{
	for (unsigned i = 0; i < ROTA__FAMILIES; i++) {
		struct candidates *candidates = &race->candidates[race->family];

		race->family = race->family == ROTA__V6 ? ROTA__V4 : ROTA__V6;
		if (candidates->used < candidates->count)
			return &candidates->ips[candidates->used++];
	}
	return NULL;
}

static bool
has_next(const struct rota__race *race)
{
	return race->candidates[ROTA__V6].used < race->candidates[ROTA__V6].count ||
		race->candidates[ROTA__V4].used < race->candidates[ROTA__V4].count;
}

static int on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events);

static const struct rota_target_ops attempt_target_ops = { .name = "connect",
	.on_ready = on_ready };

static int
begin_attempt(struct rota__race *race, const union rota__ip *ip)
{
	struct rota_stream *stream = race->stream;
	struct attempt *attempt = &race->attempts[race->attempt_count];
	struct rota_address address;
	int r;

	rota__ip_address(ip, race->port, &address);
	race->begun = stream->ctx->ops->now(stream->ctx);
	r = rota__attempt_begin(stream->ctx, &attempt->target, &attempt_target_ops,
		&stream->options->values, &address, NULL);
	if (r < 0)
		return r;
	attempt->race = race;
	race->attempt_count++;
	race->under_way++;
	if (r == 0)
		return 0;
	r = hand_over(attempt);
	return r < 0 ? r : 1;
}

static void
wait_until(struct rota_stream *stream, rota_time due)
{
	stream->retry = due;
	if (due != ROTA_NEVER)
		rota__stream_due_by(stream, due);
}

/* When the next address is due, if there is one, or comes yet. */
static void
wait_for_next(struct rota__race *race)
{
	rota_time delay = options_of(race)->attempt_delay;

	wait_until(race->stream, has_next(race) ? rota__time_add(race->begun, delay) : ROTA_NEVER);
}

/* Tries addresses until one is under way. */
static void
try_next(struct rota__race *race)
{
	struct rota_stream *stream = race->stream;
	const union rota__ip *ip;

	while ((ip = next_ip(race)) != NULL) {
		int r = begin_attempt(race, ip);

		if (r > 0) {
			rota__connect_done(stream, false);
			return;
		}
		if (r == 0) {
			wait_for_next(race);
			return;
		}
		note_error(race, r);
	}
	wait_until(stream, ROTA_NEVER);
	if (race->under_way == 0 && race->waiter.pending == 0)
		rota__connect_failed(stream, race->error);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct attempt *attempt = rota_container_of(target, struct attempt, target);
	struct rota__race *race = attempt->race;
	int r = rota__attempt_ask(ctx, target, events);

	if (r > 0) {
		r = hand_over(attempt);
		if (r >= 0) {
			rota__connect_done(race->stream, true);
			return 0;
		}
	}
	if (r < 0) {
		close_attempt(attempt, false);
		note_error(race, r);
		try_next(race);
	}
	return 0;
}

/* Both families are known, or one is, and it is time. */
static void
begin(struct rota__race *race)
{
	const union rota__ip *const lists[] = { race->candidates[ROTA__V6].ips,
		race->candidates[ROTA__V4].ips };
	const unsigned counts[] = { race->candidates[ROTA__V6].count,
		race->candidates[ROTA__V4].count };

	race->stream->phase = ROTA_PHASE_CONNECT;
	race->family = rota__ips_first(lists, counts);
	try_next(race);
}

void
rota__race_on_time(struct rota_stream *stream)
{
	if (stream->phase == ROTA_PHASE_RESOLVE)
		begin(stream->connecting->race);
	else
		try_next(stream->connecting->race);
}

/* There are addresses to begin with, or there will be none; or it is still to be waited. */
static void
begin_if_known(struct rota__race *race)
{
	struct rota_stream *stream = race->stream;
	const unsigned pending = race->waiter.pending;

	if (!has_next(race)) {
		if (pending == 0)
			rota__connect_failed(stream, race->name_error);
	} else if (pending == 0 ||
		((pending & (1u << ROTA__V6)) == 0 && race->candidates[ROTA__V6].count > 0)) {
		begin(race);
	} else {
		wait_until(stream,
			rota__time_add(stream->ctx->ops->now(stream->ctx),
				options_of(race)->resolution_delay));
	}
}

static void
take_one(struct rota__race *race, unsigned family)
{
	const struct rota__answer *answer = &race->waiter.host->answers[family];
	struct candidates *candidates = &race->candidates[family];

	candidates->count = answer->count < ADDRESSES ? answer->count : ADDRESSES;
	if (candidates->count > 0)
		memcpy(candidates->ips, answer->ips, candidates->count * sizeof *answer->ips);
	else
		race->name_error = rota__resolver_worst(race->name_error, answer->error);
}

static void
take(struct rota__race *race, unsigned families)
{
	for (unsigned family = 0; family < ROTA__FAMILIES; family++) {
		if ((families & (1u << family)) != 0)
			take_one(race, family);
	}
	if (race->waiter.pending == 0)
		rota__waiter_forget(&race->waiter);
}

static void
on_answer(struct rota__waiter *waiter, unsigned families)
{
	struct rota__race *race = rota_container_of(waiter, struct rota__race, waiter);

	take(race, families);
	if (race->stream->phase == ROTA_PHASE_RESOLVE)
		begin_if_known(race);
	else if (race->under_way == 0)
		try_next(race);
	else if (race->stream->retry == ROTA_NEVER)
		wait_for_next(race);
}

int
rota__race_begin(struct rota_stream *stream, const char *name, uint16_t port)
{
	struct rota__race *race = rota__calloc(sizeof *race);
	int r;

	if (race == NULL)
		return -ENOMEM;
	race->stream = stream;
	race->port = port;
	stream->connecting->race = race;
	r = rota__waiter_ask(&race->waiter, stream->ctx, name, ROTA__BOTH, on_answer);
	if (r < 0)
		return r;
	if (race->waiter.pending != ROTA__BOTH) {
		take(race, ROTA__BOTH & ~race->waiter.pending);
		begin_if_known(race);
	}
	return 0;
}
