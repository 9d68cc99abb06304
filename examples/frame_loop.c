/* SPDX-License-Identifier: MIT */
/*
 * frame_loop.c - a program with a frame loop of its own, as games and simulations have, that serves
 * an echo meanwhile. Each frame takes one turn, which waits for nothing and spends at most 2 ms in
 * handlers; what is left over when they are spent comes first in the next frame's turn.
 *
 *   frame_loop [ADDRESS]        ADDRESS is 127.0.0.1:7000 unless given
 *
 * Prints `echoing on ADDRESS`, runs 60 frames in one second, or until Ctrl-C, and then prints
 *
 *   60 frames, 0 turns over budget, longest 0.1 ms, 0 bytes echoed
 *
 * Turns get over budget while many connections send much, by no more than one handler: the one that
 * is running when the budget ends runs to its end.
 */
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include <rota/rota.h>

#define FRAMES 60
#define FRAME (ROTA_SECOND / FRAMES)
#define BUDGET (2 * ROTA_MILLISECOND)

struct game {
	int frames;
	int over_budget;
	rota_time longest; /* turn */
	unsigned long long echoed;
	double angle;
};

static ssize_t
echo_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct game *game = userdata;
	int r = rota_stream_send(stream, bytes, len);

	if (r < 0)
		return r;
	game->echoed += len;
	return (ssize_t)len;
}

static const struct rota_stream_handlers echo = { .on_data = echo_data };

static void
accept_echo(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	(void)listener;
	rota_stream_set_userdata(stream, userdata);
}

static const struct rota_listener_handlers handlers = { .on_accept = accept_echo };

static int
stop(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

/* Here a game would move and draw its world. */
static void
draw(struct game *game)
{
	game->angle += 360.0 / FRAMES;
	game->frames++;
}

/* One frame's turn. Returns ROTA_CONTINUE, ROTA_STOP after Ctrl-C, or a negative error. */
static int
serve_frame(struct rota_context *ctx, struct rota_dispatchvars *vars, struct game *game)
{
	rota_time begin = rota_context_now(ctx);
	int r = rota_turn(ctx, vars);
	rota_time duration = rota_context_now(ctx) - begin;

	if (duration > vars->budget)
		game->over_budget++;
	if (duration > game->longest)
		game->longest = duration;
	return r;
}

/* The frames' pace is the program's own affair. A sleep that Ctrl-C interrupts is over. */
static void
sleep_until(struct rota_context *ctx, rota_time instant)
{
	rota_time left = instant - rota_context_now(ctx);
	struct timespec duration = {
		.tv_sec = left / ROTA_SECOND,
		.tv_nsec = left % ROTA_SECOND,
	};

	if (left > 0)
		nanosleep(&duration, NULL);
}

static int
play(struct rota_context *ctx, struct game *game)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	rota_time next = rota_context_now(ctx);
	int r = ROTA_CONTINUE;

	vars.timeout = 0;
	vars.budget = BUDGET;
	while (r == ROTA_CONTINUE && game->frames < FRAMES) {
		r = serve_frame(ctx, &vars, game);
		draw(game);
		next += FRAME;
		sleep_until(ctx, next);
	}
	return r;
}

static int
run(struct rota_context *ctx, const char *address, struct game *game)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct rota_listener *listener;
	int r;

	options.stream.handlers = &echo;
	r = rota_listen(ctx, address, &options, &handlers, game, &listener);
	if (r < 0)
		return r;
	r = rota_signal_start(ctx, &interrupt, SIGINT, stop, NULL);
	if (r < 0)
		return r;
	fprintf(stderr, "echoing on %s\n", address);
	r = play(ctx, game);
	rota_signal_stop(ctx, &interrupt);
	return r;
}

int
main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
	struct rota_context *ctx = NULL;
	struct game game = { .frames = 0 };
	char reason[128];
	int r;

	r = rota_context_new(&ctx);
	if (r >= 0)
		r = run(ctx, address, &game);
	rota_context_free(ctx);
	if (r < 0) {
		fprintf(stderr, "frame_loop: %s: %s\n", address,
			rota_strerror(r, reason, sizeof(reason)));
		return 1;
	}
	printf("%d frames, %d turns over budget, longest %.1f ms, %llu bytes echoed\n", game.frames,
		game.over_budget, (double)game.longest / ROTA_MILLISECOND, game.echoed);
	return 0;
}
