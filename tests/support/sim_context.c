/* SPDX-License-Identifier: MIT */
/*
 * The simulated context: a list of what is watched, in the order of the starts, and a number that
 * is the time.
 */
#include "sim_context.h"

#include <poll.h>
#include <stdlib.h>

#include "list.h"
#include "random.h"
#include "timer.h"

struct finding {
	struct rota_target *target;
	unsigned events;
};

struct sim *
sim_of(struct rota_context *ctx)
{
	return rota_context_own(ctx);
}

void
sim_advance(struct rota_context *ctx, rota_time duration)
{
	struct sim *sim = sim_of(ctx);

	sim->now = rota__time_add(sim->now, duration);
}

static struct rota_link *
link_of(struct rota_target *target)
{
	return (struct rota_link *)(void *)target->words;
}

static struct rota_target *
target_of(struct rota_link *link)
{
	return rota_container_of(link, struct rota_target, words);
}

static int
sim_open(struct rota_context *ctx, void *argument)
{
	struct sim *sim = sim_of(ctx);

	if (argument != NULL)
		*sim = *(const struct sim *)argument;
	rota__list_init(&sim->watched);
	return 0;
}

static void
sim_free(struct rota_context *ctx)
{
	(void)ctx;
}

static rota_time
sim_now(struct rota_context *ctx)
{
	struct sim *sim = sim_of(ctx);

	sim->now = rota__time_add(sim->now, sim->tick);
	return sim->now;
}

static int
sim_watch(struct rota_context *ctx, struct rota_target *target, unsigned from)
{
	struct sim *sim = sim_of(ctx);
	unsigned was = from == ROTA_UNWATCHED ? 0 : from;
	int error = sim->watch_error;

	if (error < 0 && (from == ROTA_UNWATCHED || (target->interest & ~was) != 0)) {
		sim->watch_error = 0;
		return error;
	}
	if (from == ROTA_UNWATCHED)
		rota__list_append(&sim->watched, link_of(target));
	return 0;
}

static void
sim_unwatch(struct rota_context *ctx, struct rota_target *target)
{
	(void)ctx;
	rota__list_remove(link_of(target));
}

static size_t
count_watched(const struct sim *sim)
{
	size_t count = 0;

	for (struct rota_link *link = sim->watched.next; link != &sim->watched; link = link->next)
		count++;
	return count;
}

static unsigned
events_of(short revents)
{
	if ((revents & (POLLERR | POLLHUP)) != 0)
		return ROTA_READABLE | ROTA_WRITABLE;
	return ((revents & POLLIN) != 0 ? ROTA_READABLE : 0) |
		((revents & POLLOUT) != 0 ? ROTA_WRITABLE : 0);
}

static struct pollfd
question(const struct rota_target *target)
{
	unsigned interest = target->interest;

	return (struct pollfd){
		.fd = interest != 0 ? target->fd : -1,
		.events = (short)(((interest & ROTA_READABLE) != 0 ? POLLIN : 0) |
			((interest & ROTA_WRITABLE) != 0 ? POLLOUT : 0)),
	};
}

/* Asks the kernel about the count watched targets; fills found and returns how many are ready. */
static size_t
find(struct sim *sim, struct finding *found, struct pollfd *polled, size_t count, int patience)
{
	size_t ready = 0;
	size_t i = 0;

	for (struct rota_link *link = sim->watched.next; link != &sim->watched; link = link->next)
		polled[i++] = question(target_of(link));
	(void)poll(polled, count, patience);
	i = 0;
	for (struct rota_link *link = sim->watched.next; link != &sim->watched; link = link->next) {
		struct rota_target *target = target_of(link);
		unsigned events = events_of(polled[i++].revents) & target->interest;

		if (events == 0 && random_percent(&sim->random, sim->spurious))
			events = target->interest;
		if (events != 0)
			found[ready++] = (struct finding){ target, events };
	}
	return ready;
}

static void
shuffle(uint64_t *random, struct finding *found, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = random_below(random, i);
		struct finding last = found[i - 1];

		found[i - 1] = found[other];
		found[other] = last;
	}
}

static size_t
report_ready(struct rota_context *ctx, struct sim *sim, int patience)
{
	size_t count = count_watched(sim);
	struct finding *found = calloc(count, sizeof *found);
	struct pollfd *polled = calloc(count, sizeof *polled);
	size_t ready;

	if (found == NULL || polled == NULL)
		abort();
	ready = find(sim, found, polled, count, patience);
	if (sim->random != 0)
		shuffle(&sim->random, found, ready);
	for (size_t i = 0; i < ready; i++)
		rota_context_report(ctx, found[i].target, found[i].events);
	free(found);
	free(polled);
	return ready;
}

static int
sim_wait(struct rota_context *ctx, rota_time timeout)
{
	struct sim *sim = sim_of(ctx);
	int error = sim->wait_error;

	sim->waits++;
	sim->waited = timeout;
	sim->wait_error = 0;
	if (error < 0)
		return error;
	if (sim->interrupt) {
		sim->interrupt = false;
		return 0;
	}
	if (sim->losing != NULL) {
		rota_context_report_lost(ctx, sim->losing);
		sim->losing = NULL;
		timeout = 0;
	}
	if (report_ready(ctx, sim, timeout > 0 ? sim->patience : 0) > 0 || timeout <= 0)
		return 0;
	sim_advance(ctx, timeout);
	if (sim->lateness > 0)
		sim_advance(ctx, (rota_time)random_below(&sim->random, (uint64_t)sim->lateness));
	return 0;
}

const struct rota_context_ops sim_context_ops = {
	.own_size = sizeof(struct sim),
	.open = sim_open,
	.free = sim_free,
	.dispatch_once = rota_context_dispatch,
	.wait = sim_wait,
	.watch = sim_watch,
	.unwatch = sim_unwatch,
	.now = sim_now,
};
