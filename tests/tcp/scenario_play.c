/* SPDX-License-Identifier: MIT */
/*
 * Playing a run: see scenario_run.h. Listen, perhaps with a relay before it, connect, and take
 * turns until all is over.
 */
#include "scenario_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <rota/connect.h>

#include "faulty_allocator.h"
#include "stream.h"

#define MOST_TURNS 4000
#define MOST_TURNS_SEALED 40000

static const char *const passages[] = { "directly", "copied", "spliced" };

static void
tell_fault(const struct fault *fault)
{
	if (fault->at > 0)
		print_error("    %s %llu fails%s: %s\n",
			fault->is_of_memory ? "allocation" : faulty_sys_name(fault->call),
			(unsigned long long)fault->at, fault->for_ever ? " for ever" : "",
			fault->is_of_memory ? "no memory" : strerror(fault->error));
}

static void
tell(const struct run *run)
{
	const struct setting *setting = run->setting;

	print_error("scenario %s, %s, %s, %s, %s, order %llu\n", run->scenario->name,
		setting->transport->name, setting->host->name, passages[setting->passage],
		setting->is_cut ? "byte by byte" : "whole", (unsigned long long)setting->order);
	for (size_t i = 0; i < RUN_FAULTS; i++)
		tell_fault(&run->faults[i]);
}

static void
tell_player(const struct player *player)
{
	const struct rota_close_info *why = &player->side.why;

	if (player->side.closes > 0)
		print_error("    %s: %s, error %d, while %s; took %llu, received %zu, unsent %llu, "
			    "unread %llu\n",
			player->side.name, rota_reason_name(why->reason), why->error,
			rota_phase_name(why->phase), (unsigned long long)player->accepted,
			player->side.received_len, (unsigned long long)why->unsent,
			(unsigned long long)why->unread);
	else
		print_error("    %s: not closed\n", player->side.name);
}

void
scenario_fail(const struct run *run, const char *what, const char *file, int line)
{
	faulty_sys_reset();
	faulty_allocator_reset();
	if (run->canary_of != NULL) {
		tell(run->canary_of);
		tell_player(&run->canary_of->client);
		tell_player(&run->canary_of->server);
		print_error("after it, ");
	}
	tell(run);
	print_error("    %s (listen: %d, listeners: %d, %d, relay: %d, %u turns)\n", what,
		run->listen_error, run->door.error, run->relay_door.error, run->relay_error,
		run->turns);
	tell_player(&run->client);
	tell_player(&run->server);
	_fail(file, line);
}

/* Faults */

static void
plan(const struct fault *fault, bool is_second)
{
	if (fault->at == 0)
		return;
	if (fault->is_of_memory && is_second)
		faulty_allocator_fail_also(fault->at);
	else if (fault->is_of_memory)
		faulty_allocator_fail(fault->at, fault->for_ever);
	else if (is_second)
		faulty_sys_fail_also(fault->call, fault->at, fault->for_ever, fault->error);
	else
		faulty_sys_fail(fault->call, fault->at, fault->for_ever, fault->error);
}

void
scenario_plan(const struct run *run)
{
	faulty_sys_reset();
	faulty_allocator_reset();
	faulty_sys_cut(run->setting->is_cut ? 1 : 0);
	plan(&run->faults[0], false);
	plan(&run->faults[1], true);
}

static void
lift(struct run *run)
{
	for (int call = 0; call < FAULTY_ANY; call++)
		run->calls[call] = faulty_sys_calls((enum faulty_call)call);
	run->allocations = faulty_allocator_calls();
	run->hits = faulty_sys_failed() + faulty_allocator_failed();
	faulty_sys_reset();
	faulty_allocator_reset();
}

bool
scenario_is_transparent(const struct fault *fault)
{
	if (fault->is_of_memory || fault->for_ever)
		return false;
	switch (fault->call) {
	case FAULTY_RECV:
	case FAULTY_SEND:
	case FAULTY_SENDMSG:
	case FAULTY_SPLICE:
		return fault->error == EINTR || fault->error == EAGAIN;
	case FAULTY_ACCEPT4:
		return fault->error != EBADF && fault->error != EINVAL && fault->error != ENOTSOCK;
	case FAULTY_CONNECT:
		return fault->error == EINTR;
	case FAULTY_GETPEERNAME:
		return fault->error == ENOTCONN;
	/* Without a pipe, or unsure whether it may have one, a relay copies. */
	case FAULTY_PIPE2:
	case FAULTY_SIGACTION:
	case FAULTY_CLOSE:
		return true;
	default:
		return false;
	}
}

bool
scenario_is_undisturbed(const struct run *run)
{
	for (size_t i = 0; i < RUN_FAULTS; i++) {
		if (run->faults[i].at > 0 && !scenario_is_transparent(&run->faults[i]))
			return false;
	}
	return true;
}

/* Listening */

static void
on_listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct door *door = userdata;

	(void)listener;
	door->listener = NULL;
	door->closes++;
	door->error = why->error;
}

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct run *run = ((struct door *)userdata)->run;

	(void)listener;
	/* Whose end a relay's stream is cannot be asked any more, once that is over. */
	if (run->is_accepted ||
		(run->client.side.stream != NULL && run->setting->passage == PASSAGE_DIRECT &&
			!are_connected(stream->target.fd, run->client.side.stream->target.fd))) {
		dismiss(stream);
		return;
	}
	run->is_accepted = true;
	rota_stream_set_userdata(stream, &run->server.side);
	player_begin(&run->server, stream);
}

static const struct rota_listener_handlers handlers = {
	.on_accept = on_accept,
	.on_close = on_listener_close,
};

/* With handlers, a player's options; without, a relay's. */
static struct rota_stream_options
options_for(const struct run *run, const struct rota_stream_handlers *player, bool is_server)
{
	const struct scenario *scenario = run->scenario;
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;

	options.handlers = player;
	if (!scenario_is_undisturbed(run)) {
		options.connect_timeout = options.idle_timeout = run->setting->host->timeout;
		options.write_stall_timeout = options.half_closed_timeout = options.idle_timeout;
		options.close_timeout = options.handshake_timeout = options.idle_timeout;
	}
	if (scenario->input_limit > 0)
		options.input_limit = scenario->input_limit;
	if (scenario->output_high > 0) {
		options.output_high = scenario->output_high;
		options.output_low = scenario->output_low;
	}
	if (run->setting->transport->prepare != NULL)
		run->setting->transport->prepare(&options, is_server);
	return options;
}

/* What failed, or 0. */
static int
open_door(struct run *run, struct door *door, const struct rota_stream_handlers *player,
	const struct rota_listener_handlers *listening)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	char text[64];
	int r;

	door->run = run;
	options.stream = options_for(run, player, true);
	run->setting->transport->address(text, sizeof text, door == &run->relay_door);
	r = rota_listen(run->ctx, text, &options, listening, door, &door->listener);
	if (r < 0)
		return r;
	r = rota_listener_address(door->listener, &door->address);
	return r < 0 ? rota_listener_address(door->listener, &door->address) : 0;
}

/* The relay */

static void
on_relay_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct run *run = userdata;

	check_run(run, run->relay == relay, "a relay is done that is not there");
	run->relay = NULL;
	run->was_relayed = true;
	run->relayed = *result;
}

/* From the stream on to the server. What failed, or 0. */
static int
join(struct run *run, struct rota_stream *stream)
{
	struct rota_stream_options options = options_for(run, NULL, false);
	struct rota_stream *other;
	int r;

	r = rota_connect_address(run->ctx, &run->door.address, &options, NULL, &other);
	if (r < 0)
		return r;
	r = rota_relay(stream, other, NULL, on_relay_done, run, &run->relay);
	if (r < 0)
		rota_stream_abort(other);
	return r;
}

static void
on_relay_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct run *run = ((struct door *)userdata)->run;

	(void)listener;
	if (run->relay == NULL && !run->was_relayed && run->client.side.stream != NULL &&
		are_connected(stream->target.fd, run->client.side.stream->target.fd))
		run->relay_error = join(run, stream);
	if (run->relay == NULL)
		dismiss(stream);
}

static const struct rota_listener_handlers relay_handlers = {
	.on_accept = on_relay_accept,
	.on_close = on_listener_close,
};

/* Playing */

/* What failed before there was a stream, or 0. */
static int
begin(struct run *run)
{
	struct rota_stream_options options = options_for(run, player_handlers(&run->client), false);
	const struct rota_address *address = &run->door.address;
	struct rota_stream *stream;
	int r = open_door(run, &run->door, player_handlers(&run->server), &handlers);

	if (r >= 0 && run->setting->passage != PASSAGE_DIRECT) {
		address = &run->relay_door.address;
		r = open_door(run, &run->relay_door, NULL, &relay_handlers);
	}
	if (r < 0)
		return r;
	r = rota_connect_address(run->ctx, address, &options, &run->client.side, &stream);
	if (r >= 0)
		player_begin(&run->client, stream);
	return r;
}

static void
turn(struct run *run, rota_time timeout)
{
	run->turns++;
	check_run(run,
		run->turns < (run->setting->transport->is_sealed ? MOST_TURNS_SEALED : MOST_TURNS),
		"it does not come to an end");
	check_run(run, rota_dispatch_once(run->ctx, timeout, NULL) >= 0, "a dispatch failed");
}

static bool
is_over(const struct player *player)
{
	return player->side.stream == NULL || player->side.closes > 0;
}

static void
close_door(struct run *run, struct door *door)
{
	if (door->listener != NULL)
		rota_listener_close(door->listener);
	while (door->listener != NULL)
		turn(run, 0);
}

void
scenario_play(struct run *run)
{
	signal(SIGPIPE, run->setting->passage == PASSAGE_SPLICED ? SIG_IGN : SIG_DFL);
	run->listen_error = begin(run);
	while (!is_over(&run->client))
		turn(run, ROTA_MINUTE);
	/* Nobody is accepted any more; who was, plays on to his end. */
	close_door(run, &run->relay_door);
	close_door(run, &run->door);
	while (!is_over(&run->server) || run->relay != NULL)
		turn(run, ROTA_MINUTE);
	lift(run);
}
