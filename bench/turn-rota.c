/* SPDX-License-Identifier: MIT */
/*
 * turn-rota.c - turns of rota_iterate with one target that is always ready, both hooks, no meter
 * and the default timeout of 30 s. Takes the number of turns; see turn-libev.c for the rest.
 */
#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/target.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static uint64_t handled, before, after;

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	(void)ctx;
	(void)target;
	(void)events;
	handled++;
	return 0;
}

static int
before_dispatch(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	before++;
	return ROTA_CONTINUE;
}

static int
after_dispatch(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	after++;
	return ROTA_CONTINUE;
}

static const struct rota_target_ops always_ready = { .name = "ready", .on_ready = on_ready };

int
main(int argc, char **argv)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	uint64_t turns = argc == 2 ? strtoull(argv[1], NULL, 10) : 0;
	struct rota_context *ctx = NULL;
	struct rota_target target;
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	int r;

	if (turns == 0 || turns > INT64_MAX || fd < 0 || rota_context_new(&ctx) < 0) {
		fputs("usage: turn-rota TURNS\n", stderr);
		return 2;
	}
	/* Nobody reads the eventfd, so it stays readable. */
	rota_target_init(&target, &always_ready, fd);
	if (rota_target_start(ctx, &target, ROTA_READABLE) < 0)
		return 1;
	vars.count = (int64_t)turns;
	vars.before_dispatch = before_dispatch;
	vars.after_dispatch = after_dispatch;
	r = rota_iterate(ctx, &vars);
	rota_target_stop(ctx, &target);
	rota_context_free(ctx);
	close(fd);
	if (r != ROTA_ENDED_COUNT || handled != turns || before != turns + 1 || after != turns)
		return 1;
	return 0;
}
