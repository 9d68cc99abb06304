/* SPDX-License-Identifier: MIT */
/*
 * load.c - the load generator of the benchmarks: raw epoll, one thread, no library; linked with
 * tls-link.c instead of plain-link.c it is tls-load, the same over TLS.
 *
 * It is not a load tester: it keeps a fixed number of things under way. While measuring it never
 * sleeps (unless told to): waking it would be charged to the server, and more often to a fast
 * server than to a slow one. With --origin it also is the server behind a proxy. One JSON line
 * tells the result. Every run is bounded by an alarm.
 */
#include "load.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "link.h"

static void
on_alarm(int signo)
{
	static const char text[] = "load: not finished within its time limit\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)signo;
	(void)n;
	_exit(1);
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static double
percentile_us(const struct outcome *outcome, double share)
{
	if (!outcome->latency)
		return 0;
	return (double)histogram_percentile(outcome->latency, share) / 1e3;
}

static void
report(const struct load_options *o, const struct outcome *outcome)
{
	const struct link_counts *links = links_counts();

	printf("{\"count\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, "
	       "\"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f, "
	       "\"active\": %u, \"idle\": %u, \"size\": %zu, \"depth\": %u, "
	       "\"full\": %" PRIu64 ", \"resumed\": %" PRIu64 ", \"finished\": %" PRIu64 ", "
	       "\"truncated\": %" PRIu64 "}\n",
		outcome->count, outcome->bytes, outcome->seconds, percentile_us(outcome, 0.5),
		percentile_us(outcome, 0.99), percentile_us(outcome, 0.999),
		percentile_us(outcome, 1), o->active, o->idle, o->size, o->depth, links->full,
		links->resumed, links->finished, links->truncated);
}

int
main(int argc, char **argv)
{
	struct load_options options;
	struct outcome outcome;

	load_options_parse(&options, argc, argv);
	signal(SIGALRM, on_alarm);
	alarm(options.limit);
	raise_descriptor_limit();
	links_init(&options);
	switch (options.mode) {
	case MODE_MESSAGES:
		outcome = messages_run(&options);
		break;
	case MODE_CONNECTIONS:
		outcome = connections_run(&options);
		break;
	default:
		outcome = transfer_run(&options);
	}
	report(&options, &outcome);
	pass_gate(&options, NULL);
	links_say_goodbye();
	return 0;
}
