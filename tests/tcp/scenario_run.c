/* SPDX-License-Identifier: MIT */
/*
 * Runs: see scenario_run.h.
 */
#include "scenario_run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/connect.h>

#include "faulty_allocator.h"
#include "stream.h"

#define MOST_TURNS 4000

static void
tell(const struct run *run)
{
	const struct fault *fault = &run->fault;

	print_error("scenario %s, %s, %s, %s: ", run->scenario->name, run->setting->transport->name,
		run->setting->host->name, run->setting->is_cut ? "byte by byte" : "whole");
	if (fault->at == 0)
		print_error("no fault\n");
	else
		print_error("%s %llu fails%s: %s\n",
			fault->is_of_memory ? "allocation" : faulty_sys_name(fault->call),
			(unsigned long long)fault->at, fault->for_ever ? " for ever" : "",
			fault->is_of_memory ? "no memory" : strerror(fault->error));
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
	print_error("    %s (listen: %d, listener: %d, %u turns)\n", what, run->listen_error,
		run->listener_error, run->turns);
	tell_player(&run->client);
	tell_player(&run->server);
	_fail(file, line);
}

/* Faults */

void
scenario_plan(const struct run *run)
{
	const struct fault *fault = &run->fault;

	faulty_sys_reset();
	faulty_allocator_reset();
	faulty_sys_cut(run->setting->is_cut ? 1 : 0);
	if (fault->at > 0 && fault->is_of_memory)
		faulty_allocator_fail(fault->at, fault->for_ever);
	else if (fault->at > 0)
		faulty_sys_fail(fault->call, fault->at, fault->for_ever, fault->error);
}

static void
lift(struct run *run)
{
	for (int call = 0; call < FAULTY_ANY; call++)
		run->calls[call] = faulty_sys_calls((enum faulty_call)call);
	run->allocations = faulty_allocator_calls();
	run->was_hit = faulty_sys_failed() + faulty_allocator_failed() > 0;
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
		return fault->error == EINTR || fault->error == EAGAIN;
	case FAULTY_ACCEPT4:
		return fault->error != EBADF && fault->error != EINVAL && fault->error != ENOTSOCK;
	case FAULTY_CONNECT:
		return fault->error == EINTR;
	case FAULTY_GETPEERNAME:
		return fault->error == ENOTCONN;
	case FAULTY_CLOSE:
		return true;
	default:
		return false;
	}
}

/* Playing */

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct run *run = userdata;

	(void)listener;
	if (run->is_accepted ||
		(run->client.side.stream != NULL &&
			!are_connected(stream->target.fd, run->client.side.stream->target.fd))) {
		dismiss(stream);
		return;
	}
	run->is_accepted = true;
	rota_stream_set_userdata(stream, &run->server.side);
	player_begin(&run->server, stream);
}

static void
on_listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct run *run = userdata;

	(void)listener;
	run->listener = NULL;
	run->listener_closes++;
	run->listener_error = why->error;
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = on_accept,
	.on_close = on_listener_close,
};

static struct rota_stream_options
options_for(const struct run *run, bool is_server)
{
	const struct scenario *scenario = run->scenario;
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;

	options.handlers = player_handlers(is_server ? &run->server : &run->client);
	if (run->fault.at > 0 && !scenario_is_transparent(&run->fault)) {
		options.connect_timeout = options.idle_timeout = run->setting->host->timeout;
		options.write_stall_timeout = options.half_closed_timeout = options.idle_timeout;
		options.close_timeout = options.idle_timeout;
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

/* A listener, and its address. What failed, or 0. */
static int
open_listener(struct run *run, struct rota_address *ret_address)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	char text[64];
	int r;

	options.stream = options_for(run, true);
	run->setting->transport->address(text, sizeof text);
	r = rota_listen(run->ctx, text, &options, &listener_handlers, run, &run->listener);
	if (r < 0)
		return r;
	r = rota_listener_address(run->listener, ret_address);
	return r < 0 ? rota_listener_address(run->listener, ret_address) : 0;
}

/* What failed before there was a stream, or 0. */
static int
begin(struct run *run)
{
	struct rota_stream_options options = options_for(run, false);
	struct rota_address address;
	struct rota_stream *stream;
	int r = open_listener(run, &address);

	if (r < 0)
		return r;
	r = rota_connect_address(run->ctx, &address, &options, &run->client.side, &stream);
	if (r >= 0)
		player_begin(&run->client, stream);
	return r;
}

static void
turn(struct run *run, rota_time timeout)
{
	run->turns++;
	check_run(run, run->turns < MOST_TURNS, "it does not come to an end");
	check_run(run, rota_dispatch_once(run->ctx, timeout, NULL) >= 0, "a dispatch failed");
}

static bool
is_over(const struct player *player)
{
	return player->side.stream == NULL || player->side.closes > 0;
}

static void
close_listener(struct run *run)
{
	if (run->listener != NULL)
		rota_listener_close(run->listener);
	while (run->listener != NULL)
		turn(run, 0);
}

void
scenario_play(struct run *run)
{
	run->listen_error = begin(run);
	while (!is_over(&run->client))
		turn(run, ROTA_MINUTE);
	/* Nobody is accepted any more; who was, plays on to his end. */
	close_listener(run);
	while (!is_over(&run->server))
		turn(run, ROTA_MINUTE);
	lift(run);
}
