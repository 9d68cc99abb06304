/* SPDX-License-Identifier: MIT */
/*
 * A foreign main loop, as small as one can be: poll(2) on the context's descriptor and whatever
 * comes from the context's deadline. It always holds a begun turn, ends it with wait 0 when it
 * wakes up, and begins the next. It counts the wakes that found nothing.
 */
#ifndef ROTA_TESTS_POLL_HOST_H
#define ROTA_TESTS_POLL_HOST_H

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/meter.h>

struct poll_host {
	struct rota_context *ctx;
	struct rota_dispatchvars *vars;
	int fd;
	int result; /* what iterate would have returned; ROTA_CONTINUE as long as it would not */
	unsigned wakes; /* all, and those in which no handler ran though no timeout was over */
	unsigned empty;
	unsigned told; /* how often on_change was called since the last look */
	struct rota_meter meter;
};

/* Begins the first turn. 0, or what rota_context_fd or rota_context_on_change says. */
int poll_host_attach(struct poll_host *host, struct rota_context *ctx,
	struct rota_dispatchvars *vars);
void poll_host_detach(struct poll_host *host);

/* Waits for at most longest; wakes up, if there is something to wake up for. Returns result. */
int poll_host_wait(struct poll_host *host, rota_time longest);

/* Whether the host would wake up at once. */
bool poll_host_is_woken(struct poll_host *host);

/* Contexts have no descriptor: libev is on poll or select. */
bool poll_host_is_impossible(void);

/* rota_iterate under this host. -ENOTSUP where the context has no descriptor. */
int poll_host_iterate(struct rota_context *ctx, struct rota_dispatchvars *vars);

#endif
