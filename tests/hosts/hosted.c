/* SPDX-License-Identifier: MIT */
/*
 * Contexts of fixtures under a host: see hosted.h.
 */
#include "hosted.h"

#include <errno.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>

#include "context.h"
#include "host.h"

#define CONTEXTS 8

static struct hosted {
	struct host host;
	struct rota_dispatchvars vars;
	pid_t pid;
} all[CONTEXTS];

static struct hosted *
find(const struct rota_context *ctx)
{
	for (int i = 0; i < CONTEXTS; i++) {
		if (all[i].host.ctx == ctx)
			return &all[i];
	}
	return NULL;
}

/* NULL for a context that waits by itself. */
static struct hosted *
hosted_of(const struct rota_context *ctx)
{
	struct hosted *hosted = find(ctx);

	return hosted != NULL && hosted->pid == getpid() ? hosted : NULL;
}

/* False if it cannot be. */
static bool
graft(struct hosted *hosted, struct rota_context *ctx)
{
	hosted->vars = (struct rota_dispatchvars)ROTA_DISPATCHVARS_INIT;
	hosted->vars.timeout = ROTA_NEVER;
	hosted->pid = getpid();
	return host_attach(&hosted->host, ctx, &hosted->vars) >= 0;
}

void
hosted_open(struct rota_context *ctx)
{
	struct hosted *hosted = find(NULL);

	if (host_chosen() != NULL && hosted != NULL && !graft(hosted, ctx))
		hosted->host.ctx = NULL;
}

int
hosted_context_free(struct rota_context *ctx)
{
	struct hosted *hosted = ctx != NULL ? find(ctx) : NULL;
	int r = rota_context_free(ctx);

	if (r < 0 || hosted == NULL)
		return r;
	hosted->host.ctx = NULL;
	if (hosted->pid != getpid())
		host_chosen()->forked();
	host_settle();
	return r;
}

int
hosted_dispatch_once(struct rota_context *ctx, rota_time timeout, rota_error_fn *error_in_handler)
{
	struct hosted *hosted = hosted_of(ctx);
	struct host *host;
	uint64_t before;
	int r;

	if (hosted == NULL || ctx->state != ROTA__BETWEEN)
		return rota_dispatch_once(ctx, timeout, error_in_handler);
	host = &hosted->host;
	hosted->vars.error_in_handler = error_in_handler;
	before = host->meter.handlers;
	r = host_wait(host, timeout > 0 ? timeout : 0);
	if (r == ROTA_CONTINUE)
		return (int)(host->meter.handlers - before);
	before = host->meter.handlers - before;
	if (!graft(hosted, ctx))
		host->ctx = NULL;
	/* rota_context_stop has nothing to end here; only an error handler has. */
	if (r == ROTA_STOP && (ctx->pass.flags & ROTA__IS_STOPPED) != 0)
		return -ROTA_ESTOPPED;
	return r < 0 ? r : (int)before;
}

int
hosted_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct hosted *hosted = hosted_of(ctx);
	struct rota_dispatchvars defaults = ROTA_DISPATCHVARS_INIT;
	int r;

	if (hosted == NULL || ctx->state != ROTA__BETWEEN)
		return rota_iterate(ctx, vars);
	host_detach(&hosted->host);
	r = host_iterate(ctx, vars != NULL ? vars : &defaults);
	if (!graft(hosted, ctx))
		hosted->host.ctx = NULL;
	return r;
}

int
hosted_wait(struct rota_context *ctx, rota_condition_fn *condition, void *userdata,
	rota_time timeout)
{
	rota_time end = rota__time_add(rota_context_now(ctx), timeout > 0 ? timeout : 0);
	bool is_first = true;

	if (hosted_of(ctx) == NULL || ctx->state != ROTA__BETWEEN)
		return rota_wait(ctx, condition, userdata, timeout);
	while (!condition(ctx, userdata)) {
		rota_time left = rota__time_add(end, -rota_context_now(ctx));
		int r;

		if (left <= 0 && !is_first)
			return -ETIMEDOUT;
		r = hosted_dispatch_once(ctx, left, NULL);
		if (r < 0)
			return r;
		is_first = false;
	}
	return 0;
}
