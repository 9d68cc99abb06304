/* SPDX-License-Identifier: MIT */
/*
 * The table of scenarios and what multiplies it: see scenario_table.h. One row is some thousand
 * runs.
 */
#include "scenario_table.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "hosted.h"
#include "scenario_tls.h"

const struct scenario scenario_table[] = {
	{
		.name = "one_message",
		.client = { .says = 100, .ending = ENDS_WHEN_SAID },
		.server = { .ending = ENDS_AT_END },
		.is_exact = true,
	},
	{
		.name = "echo",
		.client = { .says = 1000, .ending = ENDS_WHEN_SAID },
		.server = { .echoes = true, .ending = ENDS_AT_END },
		.is_exact = true,
	},
	{
		.name = "bulk_through_the_marks",
		.client = { .says = 400000, .message = 60000, .ending = ENDS_WHEN_SAID },
		.server = { .ending = CLOSES_AT_END },
		.is_exact = true,
		.output_high = 10,
		.output_low = 3,
	},
	{
		.name = "lent_both_ways",
		.client = { .says = 5000, .message = 900, .lends = true, .ending = ENDS_WHEN_SAID },
		.server = { .says = 4000, .message = 700, .lends = true, .ending = ENDS_WHEN_SAID },
		.is_exact = true,
	},
	{
		.name = "said_before_it_is_open",
		.client = { .says = 500, .is_early = true, .ending = ENDS_WHEN_SAID },
		.server = { .says = 300, .is_early = true, .ending = ENDS_WHEN_SAID },
		.is_exact = true,
	},
	{
		.name = "both_close",
		.client = { .says = 500, .ending = CLOSES_WHEN_SAID },
		.server = { .says = 500, .ending = CLOSES_WHEN_SAID },
	},
	{
		.name = "server_greets_and_closes",
		.client = { .ending = ENDS_AT_END },
		.server = { .says = 100, .ending = CLOSES_WHEN_SAID },
		.is_exact = true,
	},
	{
		.name = "no_end_handlers",
		.client = { .says = 100, .has_no_end = true, .ending = ENDS_WHEN_SAID },
		.server = { .says = 200, .has_no_end = true },
		.is_exact = true,
	},
	{
		.name = "in_parts",
		.client = { .says = 100, .takes = 3, .ending = ENDS_WHEN_SAID },
		.server = { .says = 50, .needs = 20, .takes = 9, .ending = ENDS_WHEN_SAID },
		.is_exact = true,
	},
	{
		.name = "pauses",
		.client = { .says = 300, .pauses = 10, .ending = ENDS_WHEN_SAID },
		.server = { .echoes = true, .pauses = 1, .ending = ENDS_AT_END },
		.is_exact = true,
	},
	{
		.name = "client_aborts",
		.client = { .says = 100, .ending = ABORTS_WHEN_SAID },
		.server = { .says = 50, .ending = ENDS_AT_END },
		.client_reason = ROTA_REASON_LOCAL,
		.server_reason = ROTA_REASON_RESET,
	},
	{
		.name = "server_aborts_when_it_has_heard_enough",
		.client = { .says = 100, .message = 10, .ending = ENDS_AT_END },
		.server = { .hears = 20, .ending = ABORTS_WHEN_HEARD },
		.client_reason = ROTA_REASON_RESET,
		.server_reason = ROTA_REASON_LOCAL,
	},
	{
		.name = "server_refuses_what_it_hears",
		.client = { .says = 100, .message = 10, .ending = ENDS_AT_END },
		.server = { .says = 30, .hears = 5, .ending = REFUSES_WHEN_HEARD },
		.client_reason = ROTA_REASON_RESET,
		.server_reason = ROTA_REASON_LOCAL,
	},
	{
		.name = "server_closes_when_it_has_heard_enough",
		.client = { .says = 100, .message = 10, .ending = ENDS_AT_END },
		.server = { .says = 30, .hears = 5, .ending = CLOSES_WHEN_HEARD },
	},
	{
		.name = "server_takes_nothing",
		.client = { .says = 100, .ending = ENDS_AT_END },
		.server = { .takes = SIZE_MAX, .ending = ENDS_AT_END },
		.client_reason = ROTA_REASON_RESET,
		.server_reason = ROTA_REASON_LIMIT,
		.input_limit = 20,
	},
	{
		.name = "nobody_says_anything",
		.client = { .ending = ENDS_AT_END },
		.server = { .ending = ENDS_AT_END },
		.client_reason = ROTA_REASON_TIMEOUT_IDLE,
		.server_reason = ROTA_REASON_TIMEOUT_IDLE,
		.is_long = true,
	},
	{ .name = NULL },
};

/*
 * Two ports for all runs, each kept by a socket that is bound to it and does not listen. With new
 * ones for each, thousands of runs a minute leave no port of the system's that is not in TIME_WAIT,
 * and a run fails by EADDRINUSE or EADDRNOTAVAIL. Another is taken when somebody else listens
 * there: who had the port before may come back to it.
 */
static struct port {
	struct sockaddr_in address;
	int keeper;
} ports[2] = { { .keeper = -1 }, { .keeper = -1 } };

/* A socket bound to the port, 0 for any, and perhaps listening; -1 when it is somebody else's. */
static int
bind_port(const struct port *port, bool listens)
{
	const socklen_t length = sizeof port->address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		bind(fd, (const struct sockaddr *)&port->address, length) == 0 &&
		(!listens || listen(fd, 1) == 0))
		return fd;
	close(fd);
	return -1;
}

static void
keep_another(struct port *port)
{
	socklen_t length = sizeof port->address;
	int fd;

	port->address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	fd = bind_port(port, false);
	(void)getsockname(fd, (struct sockaddr *)&port->address, &length);
	if (port->keeper < 0) {
		port->keeper = fd;
	} else {
		(void)dup3(fd, port->keeper, O_CLOEXEC);
		close(fd);
	}
}

static void
tcp_address(char *text, size_t size, bool is_relay)
{
	struct port *port = &ports[is_relay];
	int probe = bind_port(port, true);

	if (probe < 0)
		keep_another(port);
	else
		close(probe);
	snprintf(text, size, "127.0.0.1:%u", ntohs(port->address.sin_port));
}

static void
unix_address(char *text, size_t size, bool is_relay)
{
	static unsigned count;

	(void)is_relay;
	snprintf(text, size, "unix:@rota-test-scenario-%d-%u", (int)getpid(), count++);
}

const struct transport scenario_transports[SCENARIO_TRANSPORTS] = {
	{ .name = "tcp", .address = tcp_address },
	{ .name = "unix", .address = unix_address, .cannot_reset = true },
	{
		.name = "tls",
		.address = tcp_address,
		.is_sealed = true,
		.open = scenario_tls_open,
		.close = scenario_tls_close,
		.prepare = scenario_tls_prepare,
	},
	{
		.name = "tls_unix",
		.address = unix_address,
		.cannot_reset = true,
		.is_sealed = true,
		.open = scenario_tls_open,
		.close = scenario_tls_close,
		.prepare = scenario_tls_prepare,
	},
};

const struct host scenario_simulated = {
	.name = "simulated",
	.kind = FIXTURE_SIMULATED,
	.timeout = 300 * ROTA_MILLISECOND,
};

const struct host scenario_native = {
	.name = "native",
	.kind = FIXTURE_LIBEV,
	.timeout = 50 * ROTA_MILLISECOND,
};

/* What a program runs */

#define MOST_TESTS 4096

static struct CMUnitTest tests[MOST_TESTS];
static size_t test_count;

static char *
name_of(const struct scenario *scenario, const struct setting *setting, const char *outcome)
{
	static const char *const passages[] = { "", "_copied", "_spliced" };
	char *name = NULL;

	if (asprintf(&name, "%s__%s%s_%s_%s%s__%s", scenario->name, setting->transport->name,
		    passages[setting->passage], setting->host->name,
		    setting->is_cut ? "byte_by_byte" : "whole",
		    setting->order != 0 ? "_in_any_order" : "", outcome) < 0)
		abort();
	return name;
}

void
scenario_add(const struct scenario *scenario, const struct setting *setting,
	CMUnitTestFunction function, const char *outcome)
{
	struct scenario_case *of;

	/* Virtual time is no host's, and was tried without. */
	if (host_is_ambient() && setting->host != &scenario_native)
		return;
	of = malloc(sizeof *of);
	if (of == NULL || test_count == MOST_TESTS)
		abort();
	*of = (struct scenario_case){ scenario, *setting };
	tests[test_count++] = (struct CMUnitTest){
		.name = name_of(scenario, setting, outcome),
		.test_func = function,
		.initial_state = of,
	};
}

unsigned
scenario_effort(const char *name)
{
	const char *text = getenv(name);

	return text != NULL ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void
free_tests(void)
{
	while (test_count-- > 0) {
		free((char *)tests[test_count].name);
		free(tests[test_count].initial_state);
	}
}

int
scenario_main(const char *name)
{
	const struct scenario_counts *counts = &scenario_counts;
	int r;

	keep_another(&ports[0]);
	keep_another(&ports[1]);
	faulty_allocator_install();
	r = _cmocka_run_group_tests(name, tests, test_count, NULL, NULL);
	print_message("%s: %llu runs, %llu with an allocation that failed, %llu with a call, "
		      "%llu with two faults\n",
		name, (unsigned long long)counts->runs, (unsigned long long)counts->of_memory,
		(unsigned long long)counts->of_the_system, (unsigned long long)counts->of_two);
	free_tests();
	return r;
}
