/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of streams: what two of them do to each other, multiplied by transports, hosts,
 * sizes and faults. One row here is some hundred runs.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "fixture.h"
#include "scenario.h"

static const struct scenario scenarios[] = {
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
};

/*
 * One port for all runs, kept by a socket that is bound to it and does not listen. With a new one
 * for each, thousands of runs a minute leave no port of the system's that is not in TIME_WAIT, and
 * a run fails by EADDRINUSE or EADDRNOTAVAIL. Another is taken when somebody else listens there:
 * who had the port before may come back to it.
 */
static struct sockaddr_in port;
static int keeper = -1;

/* A socket bound to the port, 0 for any, and perhaps listening; -1 when it is somebody else's. */
static int
bind_port(bool listens)
{
	const socklen_t length = sizeof port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
		bind(fd, (struct sockaddr *)&port, length) == 0 && (!listens || listen(fd, 1) == 0))
		return fd;
	close(fd);
	return -1;
}

static void
keep_another_port(void)
{
	socklen_t length = sizeof port;
	int fd;

	port = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	fd = bind_port(false);
	(void)getsockname(fd, (struct sockaddr *)&port, &length);
	if (keeper < 0) {
		keeper = fd;
	} else {
		(void)dup3(fd, keeper, O_CLOEXEC);
		close(fd);
	}
}

static void
tcp_address(char *text, size_t size)
{
	int probe = bind_port(true);

	if (probe < 0)
		keep_another_port();
	else
		close(probe);
	snprintf(text, size, "127.0.0.1:%u", ntohs(port.sin_port));
}

static void
unix_address(char *text, size_t size)
{
	static unsigned count;

	snprintf(text, size, "unix:@rota-test-scenario-%d-%u", (int)getpid(), count++);
}

static const struct transport transports[] = {
	{ .name = "tcp", .address = tcp_address },
	{ .name = "unix", .address = unix_address, .cannot_reset = true },
};

static const struct host simulated = {
	.name = "simulated",
	.kind = FIXTURE_SIMULATED,
	.timeout = 300 * ROTA_MILLISECOND,
};

static const struct host native = {
	.name = "native",
	.kind = FIXTURE_LIBEV,
	.timeout = 50 * ROTA_MILLISECOND,
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MOST_TESTS (COUNT(scenarios) * COUNT(transports) * 2 * 2 * 3)

static struct scenario_case cases[MOST_TESTS];
static char names[MOST_TESTS][128];
static struct CMUnitTest tests[MOST_TESTS];
static size_t test_count;

static void
add(const struct scenario_case *of, CMUnitTestFunction function, const char *outcome)
{
	const struct setting *setting = &of->setting;
	size_t i = test_count++;

	cases[i] = *of;
	snprintf(names[i], sizeof names[i], "%s__%s_%s_%s__%s", of->scenario->name,
		setting->transport->name, setting->host->name,
		setting->is_cut ? "byte_by_byte" : "whole", outcome);
	tests[i] = (struct CMUnitTest){
		.name = names[i],
		.test_func = function,
		.initial_state = &cases[i],
	};
}

/* A host's real time is dear: faults are run on one transport there. */
static void
add_case(const struct scenario *scenario, const struct setting *setting)
{
	const struct scenario_case of = { scenario, *setting };

	add(&of, scenario_runs_without_faults, "goes_as_written");
	if (setting->host != &simulated && setting->transport != &transports[0])
		return;
	add(&of, scenario_survives_the_system, "survives_the_system");
	add(&of, scenario_survives_want_of_memory, "survives_want_of_memory");
}

static void
add_scenario(const struct scenario *scenario, const struct host *host)
{
	for (size_t i = 0; i < COUNT(transports); i++) {
		for (int is_cut = 0; is_cut < 2; is_cut++) {
			const struct setting setting = { &transports[i], host, is_cut };

			add_case(scenario, &setting);
		}
	}
}

int
main(void)
{
	int r;

	keep_another_port();
	for (size_t i = 0; i < COUNT(scenarios); i++) {
		add_scenario(&scenarios[i], &simulated);
		if (!scenarios[i].is_long)
			add_scenario(&scenarios[i], &native);
	}
	faulty_allocator_install();
	r = _cmocka_run_group_tests("scenarios", tests, test_count, NULL, NULL);
	print_message("%llu runs\n", (unsigned long long)scenario_runs());
	return r;
}
