/* SPDX-License-Identifier: MIT */
/*
 * program_prefork.c - see program_prefork.h.
 */
#include "program_prefork.h"

#include <rota/systemd.h>

#include <signal.h>
#include <stdio.h>

static void
on_drained(struct rota_prefork *processes, const struct rota_prefork_report *report, void *userdata)
{
	struct program_prefork *prefork = userdata;

	(void)processes;
	prefork->program->held = false;
	if (report->killed > 0)
		program_warn(prefork->program, "killed %zu processes that had not ended in time",
			report->killed);
}

/* What a second SIGTERM does to a program of one process, it does to all. */
static int
on_second(struct rota_context *ctx, struct rota_signal *sig, void *userdata)
{
	struct program_prefork *prefork = userdata;
	int number = sig->number;

	rota_signal_stop(ctx, sig);
	rota_prefork_free(prefork->processes);
	prefork->processes = NULL;
	signal(number, SIG_DFL);
	raise(number);
	return 0;
}

static void
master_drain(struct program *program)
{
	struct program_prefork *prefork = program->prefork;
	static const int numbers[] = { SIGINT, SIGTERM };

	rota_systemd_stopping(program->ctx);
	for (size_t i = 0; i < 2; i++)
		(void)rota_signal_start(program->ctx, &prefork->second[i], numbers[i], on_second,
			prefork);
	if (prefork->processes == NULL ||
		rota_prefork_drain(prefork->processes, prefork->options.drain_timeout, on_drained,
			prefork) < 0)
		program->held = false;
}

static int
on_hangup(struct rota_context *ctx, struct rota_signal *sig, void *userdata)
{
	struct program_prefork *prefork = userdata;
	char reason[256];
	int r = rota_prefork_reload(prefork->processes);

	(void)sig;
	if (r >= 0)
		rota_systemd_reloading(ctx);
	if (r < 0)
		program_warn(prefork->program, "cannot start new processes: %s",
			program_explain(r, reason, sizeof(reason)));
	return 0;
}

static void
tell_addresses(const struct program_prefork *prefork)
{
	char text[ROTA_ADDRESS_TEXT];
	struct rota_address address;

	for (size_t i = 0; rota_prefork_address(prefork->processes, i, &address) == 0; i++)
		fprintf(stderr, "listening on %s\n",
			rota_address_format(&address, text, sizeof(text)));
}

static void
on_ready(struct rota_prefork *processes, unsigned index, pid_t pid, void *userdata)
{
	struct program_prefork *prefork = userdata;

	(void)processes;
	(void)index;
	(void)pid;
	if (++prefork->ready < prefork->options.processes || prefork->has_started)
		return;
	prefork->has_started = true;
	tell_addresses(prefork);
	rota_systemd_ready(prefork->program->ctx, NULL);
}

/* One that cannot start once, as there is no such file, will not do it the next time. */
static void
on_death(struct rota_prefork *processes, const struct rota_prefork_death *death, void *userdata)
{
	struct program_prefork *prefork = userdata;
	struct program *program = prefork->program;

	(void)processes;
	if (prefork->forget && death->end->pid > 0)
		prefork->forget(prefork, death->end->pid);
	if (death->cause == ROTA_PREFORK_DRAINED)
		return;
	if (!prefork->has_started && !program->draining) {
		program_fail(program, "cannot start: %s", death->text);
		program_drain(program);
	} else {
		program_warn(program, "%s", death->text);
	}
}

static void
on_given_up(struct rota_prefork *processes, unsigned index, unsigned places, const char *text,
	void *userdata)
{
	struct program_prefork *prefork = userdata;

	(void)processes;
	(void)index;
	program_fail(prefork->program, "%s", text);
	if (places == 0)
		program_drain(prefork->program);
}

static void
on_reloaded(struct rota_prefork *processes, int error, const char *text, void *userdata)
{
	struct program_prefork *prefork = userdata;

	(void)processes;
	rota_systemd_ready(prefork->program->ctx, NULL);
	if (error == 0)
		fprintf(stderr, "%s: %s\n", prefork->program->name, text);
	else
		program_warn(prefork->program, "the old processes go on: %s", text);
}

static int
run_process(struct rota_process *process, void *userdata)
{
	struct program_prefork *prefork = userdata;
	int status = prefork->run(prefork, process);

	return program_flush(prefork->program->name) != 0 ? PROGRAM_FAILED : status;
}

static const struct rota_prefork_ops process_ops = {
	.run = run_process,
	.on_ready = on_ready,
	.on_death = on_death,
	.on_given_up = on_given_up,
	.on_reloaded = on_reloaded,
};

void
program_prefork_init(struct program_prefork *prefork, struct program *program, uint64_t processes,
	rota_time drain)
{
	*prefork = (struct program_prefork){
		.options = ROTA_PREFORK_OPTIONS_INIT,
		.program = program,
	};
	prefork->options.processes = (unsigned)processes;
	prefork->options.drain_timeout = drain;
}

/* Binds and forks. Returns 0, or PROGRAM_FAILED after saying why. */
static int
start(struct program_prefork *prefork)
{
	static char texts[PROGRAM_ADDRESSES][ROTA_ADDRESS_TEXT];
	const char *listen[PROGRAM_ADDRESSES + 1] = { NULL };
	char reason[256];
	int r;

	for (size_t i = 0; i < prefork->address_count; i++)
		listen[i] = rota_address_format(&prefork->addresses[i], texts[i], sizeof(texts[i]));
	prefork->options.listen = listen;
	r = rota_prefork_start(prefork->program->ctx, &prefork->options, &process_ops, prefork,
		&prefork->processes);
	prefork->options.listen = NULL;
	if (r >= 0)
		r = rota_signal_start(prefork->program->ctx, &prefork->hangup, SIGHUP, on_hangup,
			prefork);
	if (r < 0)
		program_fail(prefork->program, "cannot start the processes: %s",
			program_explain(r, reason, sizeof(reason)));
	return r < 0 ? PROGRAM_FAILED : 0;
}

int
program_prefork_run(struct program_prefork *prefork, const char *name)
{
	int status = program_open(prefork->program, name, master_drain);

	if (status != 0)
		return status;
	prefork->program->prefork = prefork;
	prefork->program->held = true;
	status = start(prefork);
	if (status == 0 && prefork->open)
		status = prefork->open(prefork);
	if (status == 0)
		status = program_run(prefork->program);
	rota_prefork_free(prefork->processes);
	prefork->processes = NULL;
	program_close(prefork->program);
	return status;
}

static void
process_drain(struct rota_process *process, rota_time timeout, void *userdata)
{
	(void)process;
	(void)timeout;
	program_drain(userdata);
}

int
program_prefork_open(struct program *program, const char *name, program_drain_fn *drain,
	struct rota_process *process)
{
	/* A terminal that is gone tells the master, and the master tells the processes. */
	signal(SIGHUP, SIG_IGN);
	rota_process_on_drain(process, process_drain, program);
	return program_open_on(program, name, drain, rota_process_context(process));
}

size_t
program_prefork_addresses(const struct rota_process *process,
	struct rota_address ret_addresses[PROGRAM_ADDRESSES])
{
	const char *const *texts = rota_process_listen(process);
	size_t count = 0;

	while (count < PROGRAM_ADDRESSES && texts[count] &&
		rota_address_parse(texts[count], &ret_addresses[count]) == 0)
		count++;
	return count;
}
