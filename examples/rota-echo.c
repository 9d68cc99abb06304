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
#include "program_prefork.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
	"usage: rota-echo server --listen ADDRESS... [--tls-cert FILE --tls-key FILE]\n"
	"                        [--tls-client-ca FILE] [--processes N]\n"
	"       rota-echo client --connect ADDRESS [--connections N] [--size BYTES] [--depth N]\n"
	"                        [--duration SECONDS] [--json] [--tls [--tls-ca FILE] [--tls-name NAME]\n"
	"                        [--tls-cert FILE --tls-key FILE]]\n"
	"       rota-echo --help | --version\n"
	"\n"
	"The server sends back what it gets. The client loads such a server, checks every byte that\n"
	"comes back, and prints how many messages came back and how long each took.\n"
	"\n"
	"  --listen ADDRESS    where to serve; port 0 is any free port, fd:N an inherited listener\n"
	"  --processes N       so many of them serve; SIGHUP exchanges them for new ones [this one]\n"
	"  --connect ADDRESS   where the server is\n"
	"  --connections N     connections to open [64]\n"
	"  --size BYTES        of a message [64]\n"
	"  --depth N           messages that each connection keeps on their way [1]\n"
	"  --duration SECONDS  how long to send [5]\n"
	"  --json              print one JSON object instead of the summary\n"
	"  --tls-cert FILE     serve with TLS: a certificate and its chain, in PEM; several are chosen\n"
	"                      from by the name that is asked for; the client shows its only one\n"
	"  --tls-key FILE      the private key of the certificate in the same place\n"
	"  --tls-client-ca FILE  clients must have a certificate by one of these authorities\n"
	"  --tls               connect with TLS, and verify the server\n"
	"  --tls-ca FILE       whom to believe about it [the system's authorities]\n"
	"  --tls-name NAME     what its certificate must be for [what is connected to]\n"
	"  --insecure-no-verify  believe whoever answers\n"
	"\n"
	"An ADDRESS is 127.0.0.1:7000, [::1]:7000, unix:/path or unix:@name. SIGINT and SIGTERM end\n"
	"what goes on in order; a second one ends the program at once.\n"
	"\n"
	"Exit status: 0 all went well, 1 it did not, 2 the arguments are wrong.\n";

enum {
	LISTEN = 1,
	CONNECT,
	CONNECTIONS,
	SIZE,
	DEPTH,
	DURATION,
	JSON,
	TLS_CERT,
	TLS_KEY,
	TLS_CLIENT_CA,
	TLS,
	TLS_CA,
	TLS_NAME,
	INSECURE_NO_VERIFY,
	PROCESSES,
};

/* A certificate, or its key: the same for both roles. */
static int
read_pair(struct program_tls *tls, int option, const char *value)
{
	if (option == TLS_CERT)
		return program_tls_file(ECHO_NAME, "--tls-cert", value, tls->certificates,
			&tls->certificate_count);
	return program_tls_file(ECHO_NAME, "--tls-key", value, tls->keys, &tls->key_count);
}

static int
server_option(int option, const char *value, void *userdata)
{
	struct echo_server_options *options = userdata;
	int r;

	if (option == TLS_CERT || option == TLS_KEY)
		return read_pair(&options->tls, option, value);
	if (option == TLS_CLIENT_CA) {
		options->tls.ca = value;
		options->tls.requires_peer = true;
		return 0;
	}
	if (option == PROCESSES)
		return program_number(ECHO_NAME, "--processes", value, 1, PROGRAM_PROCESSES,
			&options->processes);
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
		{ "processes", required_argument, NULL, PROCESSES },
		{ "tls-cert", required_argument, NULL, TLS_CERT },
		{ "tls-key", required_argument, NULL, TLS_KEY },
		{ "tls-client-ca", required_argument, NULL, TLS_CLIENT_CA },
		{ NULL, 0, NULL, 0 },
	};
	struct echo_server_options options = { .count = 0 };
	int r = program_options(ECHO_NAME, argc, argv, names, server_option, &options);

	if (r != 0)
		return r;
	if (options.count == 0)
		return program_misuse(ECHO_NAME, "server needs --listen ADDRESS");
	r = program_tls_pairs(ECHO_NAME, "tls", &options.tls);
	if (r != 0)
		return r;
	if (options.tls.ca && options.tls.certificate_count == 0)
		return program_misuse(ECHO_NAME, "--tls-client-ca needs --tls-cert and --tls-key");
	return echo_serve(&options);
}

/* An address, or else a name, whose addresses are looked up when it connects. */
static int
read_target(const char *value, struct echo_client_options *options)
{
	const bool is_name = rota_address_parse(value, &options->address) == -ROTA_ENAME;

	options->name = is_name ? value : NULL;
	return is_name ? 0 : program_address(ECHO_NAME, "--connect", value, &options->address);
}

static int
client_tls_option(int option, const char *value, struct echo_client_options *options)
{
	switch (option) {
	case TLS:
		options->has_tls = true;
		return 0;
	case TLS_CA:
		options->tls.ca = value;
		return 0;
	case TLS_NAME:
		options->tls_name = value;
		return program_tls_name(ECHO_NAME, "--tls-name", value);
	case INSECURE_NO_VERIFY:
		options->tls.no_verification = true;
		return 0;
	default:
		return read_pair(&options->tls, option, value);
	}
}

static int
client_option(int option, const char *value, void *userdata)
{
	struct echo_client_options *options = userdata;

	switch (option) {
	case CONNECT:
		return read_target(value, options);
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
	case JSON:
		options->json = true;
		return 0;
	default:
		return client_tls_option(option, value, options);
	}
}

/* What makes sense together only. */
static int
check_client_tls(const struct echo_client_options *options)
{
	const struct program_tls *tls = &options->tls;
	int r = program_tls_pairs(ECHO_NAME, "tls", tls);

	if (r != 0)
		return r;
	if (!options->has_tls &&
		(tls->ca || tls->certificate_count > 0 || options->tls_name ||
			tls->no_verification))
		return program_misuse(ECHO_NAME, "what is said about TLS needs --tls");
	if (options->has_tls && !options->tls_name && !tls->no_verification && !options->name &&
		options->address.socket.any.sa_family == AF_UNIX)
		return program_misuse(ECHO_NAME,
			"--tls to a unix socket needs --tls-name NAME, for its certificate");
	return 0;
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
		{ "tls-cert", required_argument, NULL, TLS_CERT },
		{ "tls-key", required_argument, NULL, TLS_KEY },
		{ "tls", no_argument, NULL, TLS },
		{ "tls-ca", required_argument, NULL, TLS_CA },
		{ "tls-name", required_argument, NULL, TLS_NAME },
		{ "insecure-no-verify", no_argument, NULL, INSECURE_NO_VERIFY },
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
	if (!options.name && options.address.fd >= 0)
		return program_misuse(ECHO_NAME, "--connect: fd:N is for listening only");
	if (!options.name && options.address.length == 0)
		return program_misuse(ECHO_NAME, "client needs --connect ADDRESS");
	r = check_client_tls(&options);
	return r != 0 ? r : echo_load(&options);
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
