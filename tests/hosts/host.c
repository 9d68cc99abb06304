/* SPDX-License-Identifier: MIT */
/*
 * Hosts: see host.h.
 */
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <rota/context.h>

#include "fixture.h"

/* A loop must have seen a cause for a turn by then, however coarse its timers are. */
#define PATIENCE (10 * ROTA_SECOND)

/* libuv may take a turn at the beginning of an iteration and wait afterwards. */
#define LONGEST_ITERATION (50 * ROTA_MILLISECOND)

const struct host_kind *const host_kinds[] = {
	&host_poll,
	&host_frame,
#ifdef ROTA_HAVE_GLIB
	&host_glib,
#endif
#ifdef ROTA_HAVE_UV
	&host_uv,
#endif
#ifdef ROTA_HAVE_EVENT
	&host_event,
#endif
	NULL,
};

static const struct host_kind *chosen;
static bool is_ambient;
static bool is_running;

/* By the environment; NULL when it says nothing. */
static const struct host_kind *
named(void)
{
	const char *name = getenv("ROTA_HOST");

	if (name == NULL || name[0] == '\0')
		return NULL;
	for (size_t i = 0; host_kinds[i] != NULL; i++) {
		if (strcmp(host_kinds[i]->name, name) == 0)
			return host_kinds[i];
	}
	print_error("ROTA_HOST=%s is not here\n", name);
	exit(99);
}

const struct host_kind *
host_chosen(void)
{
	return chosen;
}

void
host_choose(const struct host_kind *kind)
{
	static bool is_open[16];

	chosen = kind;
	is_ambient = false;
	for (size_t i = 0; host_kinds[i] != NULL; i++) {
		if (host_kinds[i] == kind && !is_open[i]) {
			is_open[i] = true;
			kind->open();
		}
	}
}

bool
host_is_ambient(void)
{
	if (chosen == NULL && named() != NULL) {
		host_choose(named());
		is_ambient = true;
	}
	return is_ambient;
}

int
host_run_group(const struct CMUnitTest *tests, size_t count, bool natively_too)
{
	const struct host_kind *only = named();
	int failed = 0;

	for (size_t i = 0; host_kinds[i] != NULL; i++)
		host_choose(host_kinds[i]);
	host_choose(NULL);
	if (natively_too && only == NULL)
		failed = _cmocka_run_group_tests("native", tests, count, NULL, NULL);
	for (size_t i = 0; host_kinds[i] != NULL; i++) {
		if (only != NULL && host_kinds[i] != only)
			continue;
		host_choose(host_kinds[i]);
		failed += _cmocka_run_group_tests(host_kinds[i]->name, tests, count, NULL, NULL);
	}
	return failed;
}

bool
host_is_impossible(void)
{
	struct rota_context *ctx;
	bool has_none;

	assert_int_equal(rota_context_new(&ctx), 0);
	has_none = rota_context_fd(ctx) == -ENOTSUP;
	assert_int_equal(rota_context_free(ctx), 0);
	return has_none;
}

static void
on_end(struct rota_graft *graft, int r, void *userdata)
{
	struct host *host = userdata;

	assert_ptr_equal(graft, host->graft);
	assert_int_not_equal(r, ROTA_CONTINUE);
	host->result = r;
	host->ends++;
}

int
host_attach(struct host *host, struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	int r;

	*host = (struct host){ .ctx = ctx, .vars = vars, .meter = ROTA_METER_INIT };
	r = chosen->graft(ctx, vars, on_end, host, &host->graft);
	if (r >= 0)
		rota_context_set_meter(ctx, &host->meter);
	return r;
}

bool
host_is_running(void)
{
	return is_running;
}

void
host_settle(void)
{
	chosen->run(0);
	chosen->run(0);
}

void
host_detach(struct host *host)
{
	rota_context_set_meter(host->ctx, NULL);
	rota_graft_remove(host->graft);
	host_settle();
	assert_in_range(host->ends, 0, 1);
}

bool
host_is_woken(struct host *host)
{
	struct pollfd fd = { .fd = rota_context_fd(host->ctx), .events = POLLIN };

	return host->result == ROTA_CONTINUE &&
		(rota_graft_timeout(host->graft) == 0 || poll(&fd, 1, 0) > 0);
}

/* Whether the turn that is begun ends because of its own or the loop's time. */
static bool
is_for_time(struct host *host)
{
	struct rota_dispatchvars *vars = host->vars;
	rota_time deadline = rota_context_next_deadline(host->ctx, vars);

	return deadline == vars->begun + vars->timeout || deadline == vars->deadline;
}

static void
run(struct host *host, rota_time longest)
{
	uint64_t turns = host->meter.turns;
	uint64_t handlers = host->meter.handlers;
	bool may_be_empty = chosen->is_eager || is_for_time(host);

	is_running = true;
	chosen->run(longest > 0 ? longest : 0);
	is_running = false;
	if (host->meter.turns > turns && host->meter.handlers == handlers && !may_be_empty &&
		host->result == ROTA_CONTINUE)
		host->empty++;
}

/* What tells that the host was woken. */
static uint64_t
progress(const struct host *host)
{
	return chosen->is_eager ? host->meter.handlers : host->meter.turns;
}

int
host_wait(struct host *host, rota_time longest)
{
	rota_time left = longest;
	rota_time until = rota_context_now(host->ctx) + longest;
	uint64_t before = progress(host);

	do {
		run(host, left < LONGEST_ITERATION ? left : LONGEST_ITERATION);
		left = until - rota_context_now(host->ctx);
		assert_true(left > -PATIENCE);
	} while (host->result == ROTA_CONTINUE && progress(host) == before &&
		(left > 0 || host_is_woken(host)));
	return host->result;
}

int
host_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct host host;
	int r = host_attach(&host, ctx, vars);

	if (r < 0)
		return r;
	while (host.result == ROTA_CONTINUE)
		run(&host, ROTA_SECOND);
	assert_int_equal(host.empty, 0);
	assert_int_equal(host.ends, 1);
	host_detach(&host);
	return host.result;
}
