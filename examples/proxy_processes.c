/* SPDX-License-Identifier: MIT */
/*
 * proxy_processes.c - rota-proxy in several processes: each is a proxy as if it were alone, on
 * sockets of the master's, with a part of the connections. The master serves --control: its sums
 * are of numbers that each process writes down before it waits. A process serves the same path with
 * a dot and its number behind, for what it alone knows: its connections.
 */
#include "proxy.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* What a process tells of each target; the first of them is of the moment. */
enum { NOW, CONNECTED, FAILED, KINDS };

/* The master's proxy, which has no connections but those at --control. */
struct master {
	struct program_prefork prefork;
	struct proxy *proxy;
	struct proxy_options *options;
};

static struct master *
master_of(struct program_prefork *prefork)
{
	return rota_container_of(prefork, struct master, prefork);
}

static size_t
place(const struct proxy_targets *targets, size_t target, unsigned kind)
{
	return kind * targets->count + target;
}

static void
control_path(const struct proxy_options *options, pid_t pid, char *path, size_t size)
{
	snprintf(path, size, "%s.%d", options->control, (int)pid);
}

/* In a process */

void
proxy_processes_turn(struct proxy *proxy)
{
	uint64_t *counters = rota_process_counters(proxy->process);

	for (size_t i = 0; i < proxy->targets.count; i++) {
		const struct proxy_target *target = &proxy->targets.all[i];

		counters[place(&proxy->targets, i, NOW)] = target->connections;
		counters[place(&proxy->targets, i, CONNECTED)] = target->connected;
		counters[place(&proxy->targets, i, FAILED)] = target->failed;
	}
	if (proxy->control)
		*rota_process_loop_meter(proxy->process) = proxy->meter;
}

int
proxy_processes_ready(struct proxy *proxy)
{
	char reason[256];
	int r = 0;

	if (proxy->tls.clients)
		r = rota_process_share_tickets(proxy->process, proxy->tls.clients);
	if (r >= 0)
		r = rota_process_ready(proxy->process);
	if (r < 0)
		program_fail(&proxy->program, "cannot start: %s",
			program_explain(r, reason, sizeof(reason)));
	return r < 0 ? PROGRAM_FAILED : 0;
}

static int
run(struct program_prefork *prefork, struct rota_process *process)
{
	static char path[PATH_MAX];
	struct master *master = master_of(prefork);
	struct proxy *proxy = master->proxy;
	struct proxy_options *options = master->options;
	unsigned count = prefork->options.processes;

	options->listen_count = program_prefork_addresses(process, options->listens);
	options->admission.max = (options->admission.max + count - 1) / count;
	if (options->control) {
		control_path(options, getpid(), path, sizeof(path));
		options->control = path;
	}
	/* What the master has there are sums of others. */
	memset(&proxy->targets, 0, sizeof(proxy->targets));
	proxy_targets_init(&proxy->targets, options);
	proxy->meter = (struct rota_meter)ROTA_METER_INIT;
	proxy->process = process;
	proxy->is_master = false;
	proxy->control = NULL;
	/* So that no two connections in the log have the same. */
	proxy->last_id = (uint64_t)getpid() * 1000000000;
	return proxy_run(proxy);
}

/* In the master */

void
proxy_processes_refresh(struct proxy *proxy)
{
	struct rota_prefork *processes = proxy->program.prefork->processes;
	struct proxy_targets *targets = &proxy->targets;
	uint64_t counters[KINDS * PROXY_TARGETS];

	if (!processes)
		return;
	rota_prefork_counters(processes, counters, KINDS * targets->count);
	for (size_t i = 0; i < targets->count; i++) {
		targets->all[i].connections = counters[place(targets, i, NOW)];
		targets->all[i].connected = counters[place(targets, i, CONNECTED)];
		targets->all[i].failed = counters[place(targets, i, FAILED)];
	}
	rota_prefork_loop_meter(processes, &proxy->meter);
}

struct view {
	const struct proxy *proxy;
	FILE *out;
	bool json;
	bool has_shown;
};

static void
show_process(const struct rota_prefork_about *about, void *userdata)
{
	static const char *const states[] = { "starting", "ready", "draining" };
	struct view *view = userdata;
	uint64_t connections = 0;

	for (size_t i = 0; i < view->proxy->targets.count; i++)
		connections += about->counters[place(&view->proxy->targets, i, NOW)];
	fprintf(view->out,
		view->json ? "%s{\"process\":%d,\"generation\":%u,\"state\":\"%s\",\"connections\":"
			     "%llu,\"seconds\":%.3f}"
			   : "%s%8d %10u %-10s %12llu %10.3f\n",
		view->json && view->has_shown ? "," : "", (int)about->pid, about->generation,
		states[about->state], (unsigned long long)connections,
		(double)about->age / ROTA_SECOND);
	view->has_shown = true;
}

void
proxy_processes_show(struct proxy *proxy, bool json, FILE *out)
{
	struct view view = { .proxy = proxy, .out = out, .json = json };

	fprintf(out, json ? "{\"processes\":[" : "%8s %10s %-10s %12s %10s\n", "PROCESS",
		"GENERATION", "STATE", "CONNECTIONS", "SECONDS");
	if (proxy->is_master && proxy->program.prefork->processes)
		rota_prefork_each(proxy->program.prefork->processes, show_process, &view);
	if (json)
		fprintf(out, "]}\n");
}

static int
open_master(struct program_prefork *prefork)
{
	struct proxy *proxy = master_of(prefork)->proxy;

	return proxy->options->control ? proxy_control_open(proxy) : 0;
}

/* One that was killed leaves its path behind. */
static void
forget_process(struct program_prefork *prefork, pid_t pid)
{
	const struct proxy_options *options = master_of(prefork)->options;
	char path[PATH_MAX];

	if (!options->control)
		return;
	control_path(options, pid, path, sizeof(path));
	unlink(path);
}

int
proxy_processes_run(struct proxy *proxy, struct proxy_options *options)
{
	static struct master master;
	struct program_prefork *prefork = &master.prefork;

	program_prefork_init(prefork, &proxy->program, options->processes, options->drain);
	prefork->run = run;
	prefork->open = open_master;
	prefork->forget = forget_process;
	prefork->addresses = options->listens;
	prefork->address_count = options->listen_count;
	prefork->options.counters = KINDS * proxy->targets.count;
	prefork->options.gauges = proxy->targets.count;
	master.proxy = proxy;
	master.options = options;
	proxy->is_master = true;
	return program_prefork_run(prefork, PROXY_NAME);
}
