/* SPDX-License-Identifier: MIT */
/*
 * steering.c - hooks that steer the loop: they change how long it waits, how often it still turns,
 * and which hooks are called.
 *
 *   steering
 *
 * The loop first takes three turns that do not wait; then the hook replaces itself by one that
 * starts a timer and waits for its ticks, 20 ms apart. After the second tick the other hook grants
 * three more turns and takes itself out. Prints:
 *
 *   looking: turn 1, timeout 0 ms
 *   looking: turn 2, timeout 0 ms
 *   looking: turn 3, timeout 0 ms
 *   waiting: turn 4, timeout 1000 ms
 *     tick 1
 *   waiting: turn 5, timeout 1000 ms
 *     tick 2
 *   two ticks: three more turns
 *   waiting: turn 6, timeout 1000 ms, count 3
 *     tick 3
 *   waiting: turn 7, timeout 1000 ms, count 2
 *     tick 4
 *   waiting: turn 8, timeout 1000 ms, count 1
 *     tick 5
 *   waiting: turn 9, timeout 1000 ms, count 0
 *   ended: the count ran out
 */
#include <signal.h>
#include <stdio.h>

#include <rota/rota.h>

#define TICK (20 * ROTA_MILLISECOND)

/* What hooks and handlers share; the hooks find it in vars->userdata. */
struct state {
	struct rota_timer timer;
	int turns;
	int ticks;
};

static int
tick(struct rota_context *ctx, struct rota_timer *timer)
{
	struct state *state = rota_container_of(timer, struct state, timer);

	(void)ctx;
	state->ticks++;
	printf("  tick %d\n", state->ticks);
	return 0;
}

static int
stop(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)signal;
	(void)userdata;
	rota_context_stop(ctx);
	return 0;
}

static void
tell(const char *hook, const struct rota_dispatchvars *vars)
{
	const struct state *state = vars->userdata;

	printf("%s: turn %d, timeout %d ms", hook, state->turns,
		(int)(vars->timeout / ROTA_MILLISECOND));
	if (vars->count >= 0)
		printf(", count %d", (int)vars->count);
	printf("\n");
}

static int
waiting(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct state *state = vars->userdata;

	state->turns++;
	vars->timeout = ROTA_SECOND;
	tell("waiting", vars);
	if (rota_timer_is_running(&state->timer))
		return ROTA_CONTINUE;
	return rota_timer_start_fixed_delay(ctx, &state->timer, TICK, TICK);
}

static int
looking(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct state *state = vars->userdata;

	(void)ctx;
	state->turns++;
	vars->timeout = 0;
	tell("looking", vars);
	if (state->turns == 3)
		vars->before_dispatch = waiting;
	return ROTA_CONTINUE;
}

static int
after_two_ticks(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	const struct state *state = vars->userdata;

	(void)ctx;
	if (state->ticks < 2)
		return ROTA_CONTINUE;
	printf("two ticks: three more turns\n");
	vars->count = 3;
	vars->after_dispatch = NULL;
	return ROTA_CONTINUE;
}

static int
run(struct rota_context *ctx)
{
	struct state state = { .turns = 0 };
	struct rota_signal interrupt = ROTA_SIGNAL_INIT;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	int r;

	vars.before_dispatch = looking;
	vars.after_dispatch = after_two_ticks;
	vars.userdata = &state;

	rota_timer_init(&state.timer, tick);
	r = rota_signal_start(ctx, &interrupt, SIGINT, stop, NULL);
	if (r >= 0)
		r = rota_iterate(ctx, &vars);
	rota_timer_stop(ctx, &state.timer);
	rota_signal_stop(ctx, &interrupt);
	return r;
}

int
main(void)
{
	struct rota_context *ctx = NULL;
	char reason[128];
	int r;

	r = rota_context_new(&ctx);
	if (r >= 0)
		r = run(ctx);
	rota_context_free(ctx);
	if (r < 0) {
		fprintf(stderr, "steering: %s\n", rota_strerror(r, reason, sizeof(reason)));
		return 1;
	}
	printf("ended: %s\n", r == ROTA_ENDED_COUNT ? "the count ran out" : "interrupted");
	return 0;
}
