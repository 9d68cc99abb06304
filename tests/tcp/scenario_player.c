/* SPDX-License-Identifier: MIT */
/*
 * Players: see scenario_player.h.
 */
#include "scenario_player.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "fixture.h"
#include "stream.h"

#define PAUSE (2 * ROTA_MILLISECOND)

static struct player *
player_of(struct side *side)
{
	return rota_container_of(side, struct player, side);
}

static bool
is_live(const struct player *player)
{
	return player->side.closes == 0 && player->side.stream != NULL;
}

static void
give_up(struct player *player)
{
	player->has_given_up = true;
	rota_stream_abort(player->side.stream);
}

static void
on_release(const void *bytes, size_t len, void *arg)
{
	struct player *player = arg;

	(void)len;
	player->lent--;
	free((void *)bytes);
}

/* Says the next len bytes. What send says. */
static int
say(struct player *player, size_t len)
{
	char *bytes = malloc(len);
	int r;

	assert_non_null(bytes);
	pattern_fill(bytes, player->side.said, len);
	if (player->script.lends) {
		player->lent++;
		r = rota_stream_send_ref(player->side.stream, bytes, len, on_release, player);
		if (r < 0)
			on_release(bytes, len, player);
	} else {
		r = rota_stream_send(player->side.stream, bytes, len);
		free(bytes);
	}
	if (r == 0) {
		player->side.said += len;
		player->accepted += len;
	}
	return r;
}

static void
end_if(struct player *player, enum script_ending end, enum script_ending close,
	enum script_ending abort_)
{
	if (player->script.ending == end)
		rota_stream_end(player->side.stream);
	if (player->script.ending == close)
		rota_stream_close(player->side.stream);
	if (player->script.ending == abort_)
		rota_stream_abort(player->side.stream);
}

/* Says what it has to say, as far as it is taken. */
static void
speak(struct player *player)
{
	const struct script *script = &player->script;
	size_t message = script->message > 0 ? script->message : 100;

	while (player->side.said < script->says && !script->echoes) {
		size_t left = script->says - player->side.said;
		int r = say(player, left < message ? left : message);

		if (r == -ENOMEM)
			give_up(player);
		if (r < 0)
			return;
	}
	end_if(player, ENDS_WHEN_SAID, CLOSES_WHEN_SAID, ABORTS_WHEN_SAID);
}

static void
at_open(struct side *side)
{
	struct player *player = player_of(side);

	/* One that was to try again has got its socket since. */
	if (player->tally == NULL)
		player->tally = tally_of(side->stream->target.fd);
	if (!player->script.is_early)
		speak(player);
}

static void
at_drain(struct side *side)
{
	speak(player_of(side));
}

static void
at_end(struct side *side)
{
	struct player *player = player_of(side);

	/* Whatever else it waits for will not come any more. */
	if (player->script.ending == CLOSES_AT_END)
		rota_stream_close(side->stream);
	else
		rota_stream_end(side->stream);
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct player *player = rota_container_of(timer, struct player, timer);

	(void)ctx;
	if (is_live(player))
		rota_stream_resume(player->side.stream);
	return 0;
}

static void
pause_for_a_while(struct player *player)
{
	player->has_paused = true;
	rota_stream_pause(player->side.stream);
	if (rota_timer_start(rota_stream_context(player->side.stream), &player->timer, PAUSE) < 0)
		rota_stream_resume(player->side.stream);
}

static int
echo(struct player *player, const char *bytes, size_t len)
{
	int r = rota_stream_send(player->side.stream, bytes, len);

	if (r == 0)
		player->accepted += len;
	player->has_given_up |= r == -ENOMEM;
	/* What was received before a failure cannot be answered. */
	return r == -ENOTCONN ? 0 : r;
}

/* Acts upon what it has heard, the present offer included. */
static int
react(struct player *player, size_t heard)
{
	const struct script *script = &player->script;

	if (script->pauses > 0 && heard >= script->pauses && !player->has_paused)
		pause_for_a_while(player);
	if (script->hears == 0 || heard < script->hears)
		return 0;
	if (script->ending == REFUSES_WHEN_HEARD)
		return -EPROTO;
	end_if(player, ENDS_NOTHING, CLOSES_WHEN_HEARD, ABORTS_WHEN_HEARD);
	return 0;
}

static ssize_t
at_data(struct side *side, const char *bytes, size_t len)
{
	struct player *player = player_of(side);
	const struct script *script = &player->script;
	size_t taken = script->takes > 0 && script->takes < len ? script->takes : len;
	int r;

	if (script->takes == SIZE_MAX)
		return 0;
	r = script->echoes ? echo(player, bytes, taken) : 0;
	if (r >= 0)
		r = react(player, side->received_len + taken);
	if (r < 0)
		return r;
	if (taken < len)
		rota_stream_resume(side->stream);
	return (ssize_t)taken;
}

void
player_init(struct player *player, const char *name, const struct script *script)
{
	*player = (struct player){ .script = *script };
	player->side = (struct side){
		.name = name,
		.is_quiet = true,
		.at_open = at_open,
		.at_data = at_data,
		.at_drain = at_drain,
		.at_end = script->has_no_end ? NULL : at_end,
	};
	rota_timer_init(&player->timer, on_due);
}

void
player_fini(struct player *player, struct rota_context *ctx)
{
	rota_timer_stop(ctx, &player->timer);
	side_fini(&player->side);
}

const struct rota_stream_handlers *
player_handlers(const struct player *player)
{
	return player->script.has_no_end ? &side_handlers_without_end : &side_handlers;
}

void
player_begin(struct player *player, struct rota_stream *stream)
{
	player->side.stream = stream;
	player->tally = tally_of(stream->target.fd);
	if (player->script.needs > 0 && rota_stream_need(stream, player->script.needs) < 0)
		give_up(player);
	else if (player->script.is_early)
		speak(player);
}

uint64_t
player_sent(const struct player *player)
{
	if (player->is_sealed)
		return player->accepted - (player->side.closes > 0 ? player->side.why.unsent : 0);
	return player->tally != NULL ? player->tally->sent : 0;
}

uint64_t
player_received(const struct player *player)
{
	if (player->is_sealed)
		return player->side.received_len +
			(player->side.closes > 0 ? player->side.why.unread : 0);
	return player->tally != NULL ? player->tally->received : 0;
}

const char *
player_check(const struct player *player, const struct player *peer, bool can_be_cut)
{
	const struct side *side = &player->side;
	bool saw_end = player->is_sealed || (player->tally != NULL && player->tally->saw_end);

	if (player->lent != 0)
		return "lent bytes were not released, or twice";
	if (side->closes == 0)
		return player->side.stream == NULL ? NULL : "there was no on_close";
	if (player->accepted != player_sent(player) + side->why.unsent)
		return "what send took is not what the kernel got and what is unsent";
	if (player_received(player) != side->received_len + side->why.unread)
		return "what the kernel gave is not what was taken and what is unread";
	if (pattern_check(side->received, 0, side->received_len) != side->received_len)
		return "it received something else than was sent";
	if (player_received(player) > player_sent(peer))
		return "it received more than was sent";
	if (side->why.reason != ROTA_REASON_CLEAN)
		return NULL;
	if (side->why.unsent != 0 || side->why.error != 0)
		return "it closed clean with an error or something unsent";
	if (!saw_end || (player_received(player) != player_sent(peer) && !can_be_cut))
		return "it closed clean without all and the end";
	return NULL;
}
