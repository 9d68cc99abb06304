/* SPDX-License-Identifier: MIT */
/*
 * The host over poll(2): see poll_host.h.
 */
#include "poll_host.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

#include "fixture.h"

static void
on_change(struct rota_context *ctx, void *userdata)
{
	struct poll_host *host = userdata;

	assert_ptr_equal(ctx, host->ctx);
	host->told++;
}

int
poll_host_attach(struct poll_host *host, struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r;

	*host = (struct poll_host){ .ctx = ctx, .vars = vars, .meter = ROTA_METER_INIT };
	host->fd = rota_context_fd(ctx);
	if (host->fd < 0)
		return host->fd;
	r = rota_context_on_change(ctx, on_change, host);
	if (r < 0)
		return r;
	rota_context_set_meter(ctx, &host->meter);
	host->result = rota_turn_begin(ctx, vars);
	return 0;
}

void
poll_host_detach(struct poll_host *host)
{
	rota_context_set_meter(host->ctx, NULL);
	assert_int_equal(rota_context_on_change(host->ctx, NULL, NULL), 0);
}

/* Waits until the deadline for the descriptor. Whether it is readable. */
static bool
wait_until(struct poll_host *host, rota_time deadline)
{
	struct pollfd fd = { .fd = host->fd, .events = POLLIN };
	rota_time left = deadline - rota_context_now(host->ctx);
	struct timespec wait = { 0 };

	if (left > 0)
		wait = (struct timespec){ left / ROTA_SECOND, left % ROTA_SECOND };
	return ppoll(&fd, 1, &wait, NULL) > 0;
}

static void
wake(struct poll_host *host, bool is_timeout)
{
	uint64_t handlers = host->meter.handlers;

	host->wakes++;
	host->result = rota_turn_end(host->ctx, host->vars, 0);
	if (host->result != ROTA_CONTINUE)
		return;
	if (!is_timeout && host->meter.handlers == handlers)
		host->empty++;
	host->result = rota_turn_begin(host->ctx, host->vars);
}

int
poll_host_wait(struct poll_host *host, rota_time longest)
{
	rota_time until = rota_context_now(host->ctx) + longest;
	rota_time deadline = rota_context_next_deadline(host->ctx, host->vars);
	rota_time timeout = host->vars->begun + host->vars->timeout;
	bool is_readable;

	host->told = 0;
	if (host->result != ROTA_CONTINUE)
		return host->result;
	is_readable = wait_until(host, deadline < until ? deadline : until);
	if (is_readable)
		wake(host, false);
	else if (rota_context_now(host->ctx) >= deadline)
		wake(host, deadline == timeout || deadline == host->vars->deadline);
	return host->result;
}

bool
poll_host_is_woken(struct poll_host *host)
{
	rota_time deadline = rota_context_next_deadline(host->ctx, host->vars);

	return wait_until(host, 0) || deadline <= rota_context_now(host->ctx);
}

int
poll_host_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct poll_host host;
	int r = poll_host_attach(&host, ctx, vars);

	if (r < 0)
		return r;
	while (host.result == ROTA_CONTINUE)
		poll_host_wait(&host, 10 * ROTA_SECOND);
	assert_int_equal(host.empty, 0);
	poll_host_detach(&host);
	return host.result;
}

bool
poll_host_is_impossible(void)
{
	struct rota_context *ctx;
	bool has_none;

	assert_int_equal(rota_context_new(&ctx), 0);
	has_none = rota_context_fd(ctx) == -ENOTSUP;
	assert_int_equal(rota_context_free(ctx), 0);
	return has_none;
}
