/* SPDX-License-Identifier: MIT */
/*
 * What the processes of a prefork count: each in memory that it shares with the master alone, whose
 * sums are of those that live and of what the dead have left. Nothing in that memory is believed
 * more than a number is; the pointers in a meter are not followed.
 */
#include <string.h>

#include "prefork.h"

rota_time
rota__prefork_add(rota_time a, rota_time b)
{
	return a > ROTA_NEVER - b ? ROTA_NEVER : a + b;
}

/* A copy whose name, a pointer of another process, is one of ours. */
static struct rota_meter
copy_loop(const struct rota__prefork_shared *shared)
{
	struct rota_meter loop = shared->loop;

	loop.slowest_name = loop.slowest_name != NULL ? "process" : NULL;
	loop.on_slow = NULL;
	return loop;
}

/* Most of several that follow each other is not their sum: it is kept apart. */
static void
add_service(struct rota_service_meter *sum, const struct rota__prefork_shared *shared)
{
	struct rota_service_meter part = shared->service;

	part.most = 0;
	rota_service_meter_add(sum, &part);
}

void
rota__prefork_remember(struct rota_prefork *prefork, const struct rota__prefork_process *process)
{
	const struct rota__prefork_shared *shared = process->shared;
	struct rota__prefork_slot *slot = &prefork->slots[process->index];
	struct rota_meter loop = copy_loop(shared);

	if (shared->service.most > slot->most)
		slot->most = shared->service.most;
	add_service(&prefork->past->service, shared);
	prefork->past->service.sessions = 0;
	rota_meter_add(&prefork->past->loop, &loop);
	for (size_t i = prefork->options.gauges; i < prefork->options.counters; i++)
		prefork->past->counters[i] += shared->counters[i];
}

static const struct rota__prefork_process *
process_of(const struct rota_link *link)
{
	return rota_container_of(link, const struct rota__prefork_process, link);
}

/* The most sessions that a place has had at once. */
static uint64_t
most_of(const struct rota_prefork *prefork, unsigned index)
{
	uint64_t most = prefork->slots[index].most;

	for (const struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next) {
		const struct rota__prefork_process *process = process_of(link);

		if (process->index == index && process->shared->service.most > most)
			most = process->shared->service.most;
	}
	return most;
}

void
rota_prefork_service_meter(const struct rota_prefork *prefork, struct rota_service_meter *ret_meter)
{
	*ret_meter = prefork->past->service;
	for (const struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next)
		add_service(ret_meter, process_of(link)->shared);
	for (unsigned i = 0; i < prefork->options.processes; i++)
		ret_meter->most += most_of(prefork, i);
}

void
rota_prefork_loop_meter(const struct rota_prefork *prefork, struct rota_meter *ret_meter)
{
	*ret_meter = prefork->past->loop;
	for (const struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next) {
		struct rota_meter loop = copy_loop(process_of(link)->shared);

		rota_meter_add(ret_meter, &loop);
	}
}

void
rota_prefork_counters(const struct rota_prefork *prefork, uint64_t *ret_counters, size_t count)
{
	size_t known = count < prefork->options.counters ? count : prefork->options.counters;

	memset(ret_counters, 0, count * sizeof *ret_counters);
	for (size_t i = 0; i < known; i++)
		ret_counters[i] = prefork->past->counters[i];
	for (const struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next) {
		for (size_t i = 0; i < known; i++)
			ret_counters[i] += process_of(link)->shared->counters[i];
	}
}

void
rota_prefork_each(const struct rota_prefork *prefork, rota_prefork_visit_fn *visit, void *userdata)
{
	rota_time now = prefork->ctx != NULL ? rota_context_now(prefork->ctx) : 0;

	for (const struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next) {
		const struct rota__prefork_process *process = process_of(link);
		const struct rota_prefork_about about = {
			.index = process->index,
			.generation = process->generation,
			.pid = process->pid,
			.state = process->state,
			.age = now - process->born,
			.service = process->shared->service,
			.loop = copy_loop(process->shared),
			.counters = process->shared->counters,
		};

		visit(&about, userdata);
	}
}
