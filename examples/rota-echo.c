/* SPDX-License-Identifier: MIT */
/*
 * rota-echo.c - the command line of rota-echo.
 *
 *   rota-echo server --listen 127.0.0.1:7000
 *   rota-echo client --connect 127.0.0.1:7000 --connections 64 --duration 5
 *
 * The server prints one line on stderr when it is ready; the client a line while it runs, if stderr
 * is a terminal, and a summary on stdout.
 */
#include "echo.h"
#include "program.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"usage: rota-echo server --listen ADDRESS [--listen ADDRESS]...\n"
	"       rota-echo client --connect ADDRESS [--connections N] [--size BYTES] [--depth N]\n"
	"                        [--duration SECONDS] [--json]\n"
	"       rota-echo --help | --version\n"
	"\n"
	"The server sends back what it gets. The client loads such a server, checks every byte that\n"
	"comes back, and prints how many messages came back and how long each took.\n"
	"\n"
	"  --listen ADDRESS    where to serve; port 0 is any free port, fd:N an inherited listener\n"
	"  --connect ADDRESS   where the server is\n"
	"  --connections N     connections to open [64]\n"
	"  --size BYTES        of a message [64]\n"
	"  --depth N           messages that each connection keeps on their way [1]\n"
	"  --duration SECONDS  how long to send [5]\n"
	"  --json              print one JSON object instead of the summary\n"
	"\n"
	"An ADDRESS is 127.0.0.1:7000, [::1]:7000, unix:/path or unix:@name. SIGINT and SIGTERM end\n"
	"what goes on in order; a second one ends the program at once.\n"
	"\n"
	"Exit status: 0 all went well, 1 it did not, 2 the arguments are wrong.\n";

enum { LISTEN = 1, CONNECT, CONNECTIONS, SIZE, DEPTH, DURATION, JSON };

static int
server_option(int option, const char *value, void *userdata)
{
	struct echo_server_options *options = userdata;
	int r;

	(void)option;
	if (options->count == ECHO_LISTENERS)
		return program_misuse(ECHO_NAME, "--listen: no more than %d times", ECHO_LISTENERS);
	r = program_address(ECHO_NAME, "--listen", value, &options->addresses[options->count]);
	if (r == 0)
		options->count++;
	return r;
}

static int
run_server(int argc, char **argv)
{
	static const struct option names[] = {
		{ "listen", required_argument, NULL, LISTEN },
		{ NULL, 0, NULL, 0 },
	};
	struct echo_server_options options = { .count = 0 };
	int r = program_options(ECHO_NAME, argc, argv, names, server_option, &options);

	if (r != 0)
		return r;
	if (options.count == 0)
		return program_misuse(ECHO_NAME, "server needs --listen ADDRESS");
	return echo_serve(&options);
}

static int
client_option(int option, const char *value, void *userdata)
{
	struct echo_client_options *options = userdata;

	switch (option) {
	case CONNECT:
		return program_address(ECHO_NAME, "--connect", value, &options->address);
	case CONNECTIONS:
		return program_number(ECHO_NAME, "--connections", value, 1, 1000000,
			&options->connections);
	case SIZE:
		return program_number(ECHO_NAME, "--size", value, 1, 16u << 20, &options->size);
	case DEPTH:
		return program_number(ECHO_NAME, "--depth", value, 1, 65536, &options->depth);
	case DURATION:
		return program_seconds(ECHO_NAME, "--duration", value, ROTA_SECOND / 10,
			ROTA_MINUTE * 60 * 24, &options->duration);
	default:
		options->json = true;
		return 0;
	}
}

static int
run_client(int argc, char **argv)
{
	static const struct option names[] = {
		{ "connect", required_argument, NULL, CONNECT },
		{ "connections", required_argument, NULL, CONNECTIONS },
		{ "size", required_argument, NULL, SIZE },
		{ "depth", required_argument, NULL, DEPTH },
		{ "duration", required_argument, NULL, DURATION },
		{ "json", no_argument, NULL, JSON },
		{ NULL, 0, NULL, 0 },
	};
	struct echo_client_options options = {
		.address = { .fd = -1, .length = 0 },
		.connections = 64,
		.size = 64,
		.depth = 1,
		.duration = 5 * ROTA_SECOND,
	};
	int r = program_options(ECHO_NAME, argc, argv, names, client_option, &options);

	if (r != 0)
		return r;
	if (options.address.fd >= 0)
		return program_misuse(ECHO_NAME, "--connect: fd:N is for listening only");
	if (options.address.length == 0)
		return program_misuse(ECHO_NAME, "client needs --connect ADDRESS");
	return echo_load(&options);
}

int
main(int argc, char **argv)
{
	int status;

	if (program_answers(ECHO_NAME, help, argc, argv, &status))
		return status;
	if (argc > 1 && strcmp(argv[1], "server") == 0)
		return run_server(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "client") == 0)
		return run_client(argc - 1, argv + 1);
	if (argc > 1)
		return program_misuse(ECHO_NAME, "'%s' is neither server nor client", argv[1]);
	return program_misuse(ECHO_NAME, "say whether to be a server or a client");
}
