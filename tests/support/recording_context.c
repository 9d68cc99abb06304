/* SPDX-License-Identifier: MIT */
/*
 * The recording context. It watches nothing and its clock stands still, but for what dispatches
 * take.
 */
#include "recording_context.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fixture.h"
#include "host.h"
#include "trace.h"

struct recording *
recording_of(struct rota_context *ctx)
{
	return rota_context_own(ctx);
}

/* For hosts it is always ready. */
static int
recording_open(struct rota_context *ctx, void *argument)
{
	(void)argument;
	recording_of(ctx)->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	return recording_of(ctx)->fd >= 0 ? 0 : -ENOMEM;
}

static void
recording_free(struct rota_context *ctx)
{
	close(recording_of(ctx)->fd);
}

static int
recording_fd(struct rota_context *ctx)
{
	return recording_of(ctx)->fd;
}

static int
recording_dispatch_once(struct rota_context *ctx, rota_time timeout,
	rota_error_fn *error_in_handler, struct rota_dispatchvars *vars)
{
	struct recording *recording = recording_of(ctx);

	/* A host has waited already, for as long as the loop's values say. */
	if (host_is_running())
		timeout = vars->timeout;
	trace("dispatch:%lld", (long long)(timeout / ROTA_SECOND));
	recording->timeout = timeout;
	recording->error_in_handler = error_in_handler;
	recording->vars = vars;
	if (vars != NULL)
		recording->values = *vars;
	recording->now += recording->duration;
	if (recording->handlers != NULL)
		(void)recording->handlers(ctx, vars);
	return recording->result;
}

static int
recording_wait(struct rota_context *ctx, rota_time timeout)
{
	(void)ctx;
	(void)timeout;
	return 0;
}

static int
recording_watch(struct rota_context *ctx, struct rota_target *target, unsigned from)
{
	(void)ctx;
	(void)target;
	(void)from;
	return 0;
}

static void
recording_unwatch(struct rota_context *ctx, struct rota_target *target)
{
	(void)ctx;
	(void)target;
}

static rota_time
recording_now(struct rota_context *ctx)
{
	return recording_of(ctx)->now;
}

const struct rota_context_ops recording_context_ops = {
	.own_size = sizeof(struct recording),
	.open = recording_open,
	.free = recording_free,
	.dispatch_once = recording_dispatch_once,
	.wait = recording_wait,
	.watch = recording_watch,
	.unwatch = recording_unwatch,
	.now = recording_now,
	.fd = recording_fd,
};

int
recording_setup(void **state)
{
	struct rota_context *ctx = NULL;

	alarm(60);
	trace_clear();
	assert_int_equal(rota_context_make(&recording_context_ops, NULL, &ctx), 0);
	hosted_open(ctx);
	*state = ctx;
	return 0;
}

int
recording_teardown(void **state)
{
	alarm(0);
	return rota_context_free(*state);
}
