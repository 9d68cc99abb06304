/* SPDX-License-Identifier: MIT */
/*
 * poll_loop.c - a program whose main loop is its own, ten lines over poll(2), and waits for the
 * standard input and for Rota at once. What is typed is told to all who are connected; what they
 * say is printed.
 *
 *   poll_loop [ADDRESS]         ADDRESS is 127.0.0.1:7000 unless given
 *   socat - TCP:127.0.0.1:7000  in another terminal
 *
 * Prints `listening on ADDRESS` once it is ready, and serves until the input ends, or Ctrl-C; then
 *
 *   2 lines told, 9 bytes heard; 1 peers closed clean, 0 otherwise
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <rota/rota.h>

struct room {
	struct rota_context *ctx;
	int lines; /* that were read */
	unsigned long long heard;
	int clean; /* of the peers that have gone */
	int otherwise;
};

static ssize_t
peer_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct room *room = userdata;

	(void)stream;
	fwrite(bytes, 1, len, stdout);
	fflush(stdout);
	room->heard += len;
	return (ssize_t)len;
}

static void
peer_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct room *room = userdata;

	(void)stream;
	if (why->reason == ROTA_REASON_CLEAN)
		room->clean++;
	else
		room->otherwise++;
}

static const struct rota_stream_handlers peer = {
	.on_data = peer_data,
	.on_close = peer_close,
};

static void
enter(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	(void)listener;
	rota_stream_set_userdata(stream, userdata);
}

static const struct rota_listener_handlers handlers = { .on_accept = enter };

struct line {
	char bytes[4096];
	size_t len;
};

/* A peer that takes nothing, until as much is queued for it as may be, is cut off. */
static void
tell(struct rota_stream *stream, void *userdata)
{
	const struct line *line = userdata;

	if (rota_stream_send(stream, line->bytes, line->len) < 0)
		rota_stream_abort(stream);
}

static void
say_goodbye(struct rota_stream *stream, void *userdata)
{
	(void)userdata;
	rota_stream_close(stream);
}

static void
on_drained(struct rota_context *ctx, size_t cut, void *userdata)
{
	(void)cut;
	(void)userdata;
	rota_context_stop(ctx);
}

/* All peers are told goodbye, nobody new is accepted; asked again, it does not wait for anybody. */
static void
leave(struct room *room)
{
	rota_stream_each(room->ctx, say_goodbye, NULL);
	if (rota_drain(room->ctx, 2 * ROTA_SECOND, on_drained, NULL) < 0)
		rota_context_stop(room->ctx);
}

static int
on_interrupt(struct rota_context *ctx, struct rota_signal *interrupt, void *userdata)
{
	(void)ctx;
	(void)interrupt;
	leave(userdata);
	return 0;
}

/* Called by the main loop, between Rota's turns. False when there will be no more. */
static bool
read_input(struct room *room)
{
	struct line line;
	ssize_t len = read(STDIN_FILENO, line.bytes, sizeof(line.bytes));

	if (len <= 0) {
		leave(room);
		return false;
	}
	line.len = (size_t)len;
	room->lines++;
	rota_stream_each(room->ctx, tell, &line);
	return true;
}

/* Rounded up, so that what is waited for is due when the wait is over. */
static int
milliseconds_left(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	rota_time left = rota_context_next_deadline(ctx, vars) - rota_context_now(ctx);

	return left <= 0 ? 0 : (int)((left + ROTA_MILLISECOND - 1) / ROTA_MILLISECOND);
}

static int
next_turn(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r = rota_turn_end(ctx, vars, 0);

	return r == ROTA_CONTINUE ? rota_turn_begin(ctx, vars) : r;
}

/* The main loop. A turn is always begun; it ends when there is something for it, or in time. */
static int
main_loop(struct room *room, struct rota_dispatchvars *vars)
{
	struct pollfd fds[] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = rota_context_fd(room->ctx), .events = POLLIN },
	};
	int r = fds[1].fd < 0 ? fds[1].fd : rota_turn_begin(room->ctx, vars);

	while (r == ROTA_CONTINUE) {
		if (poll(fds, 2, milliseconds_left(room->ctx, vars)) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents != 0 && !read_input(room))
			fds[0].fd = -1;
		if (fds[1].revents != 0 || milliseconds_left(room->ctx, vars) == 0)
			r = next_turn(room->ctx, vars);
	}
	return r;
}

static int
run(struct room *room, const char *address)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct rota_listener *listener;
	int r;

	options.stream.handlers = &peer;
	r = rota_listen(room->ctx, address, &options, &handlers, room, &listener);
	if (r < 0)
		return r;
	r = rota_signal_start(room->ctx, &interrupt, SIGINT, on_interrupt, room);
	if (r < 0)
		return r;
	fprintf(stderr, "listening on %s\n", address);
	r = main_loop(room, &vars);
	rota_signal_stop(room->ctx, &interrupt);
	return r;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct room room = { .ctx = NULL };
	char reason[128];
	int r;

	r = rota_context_new(&room.ctx);
	if (r >= 0)
		r = run(&room, address);
	rota_context_free(room.ctx);
	if (r < 0) {
		fprintf(stderr, "poll_loop: %s: %s\n", address,
			rota_strerror(r, reason, sizeof(reason)));
		return 1;
	}
	printf("%d lines told, %llu bytes heard; %d peers closed clean, %d otherwise\n", room.lines,
		room.heard, room.clean, room.otherwise);
	return 0;
}
