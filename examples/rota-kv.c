/* SPDX-License-Identifier: MIT */
/*
 * rota-kv.c - the command line of rota-kv, keys and values in memory for redis' clients.
 *
 *   rota-kv
 *   redis-cli -p 7379 set wheel rota
 *
 * It prints one line on stderr when it is ready, and, when it ends, one on stdout about what it
 * did.
 */
#include "kv.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define ADDRESS_DEFAULT "127.0.0.1:7379"

static const char help[] =
	"usage: rota-kv [--listen ADDRESS]... [--memory BYTES] [--command BYTES] [--clients N]\n"
	"               [--tls-cert FILE --tls-key FILE [--tls-client-ca FILE]]\n"
	"       rota-kv --help | --version\n"
	"\n"
	"Keeps keys and values in memory, and passes messages on, for redis' clients (RESP2).\n"
	"\n"
	"  --listen ADDRESS    where to serve; port 0 is any free port, fd:N an inherited listener\n"
	"                      [" ADDRESS_DEFAULT "]\n"
	"  --memory BYTES      most that keys and values may take [256M]\n"
	"  --command BYTES     the longest command [1M]\n"
	"  --clients N         at once; more are told so and cut off [10000]\n"
	"  --tls-cert FILE     serve with TLS: a certificate and its chain, in PEM; several are chosen\n"
	"                      from by the name that is asked for\n"
	"  --tls-key FILE      the private key of the certificate in the same place\n"
	"  --tls-client-ca FILE  clients must have a certificate by one of these authorities\n"
	"\n"
	"BYTES may end in K, M or G. An ADDRESS is 127.0.0.1:7379, [::1]:7379, unix:/path or\n"
	"unix:@name. SIGINT and SIGTERM end it in order; a second one at once.\n"
	"\n"
	"Exit status: 0 all went well, 1 it did not, 2 the arguments are wrong.\n";

enum {
	LISTEN = 1,
	MEMORY,
	COMMAND,
	CLIENTS,
	TLS_CERT,
	TLS_KEY,
	TLS_CLIENT_CA,
};

/* A number of bytes, perhaps with a letter that multiplies it. */
static int
read_bytes(const char *option, const char *text, uint64_t least, uint64_t most, uint64_t *ret_bytes)
{
	static const char units[] = "KMG";
	size_t len = strlen(text);
	const char *unit = len > 0 ? strchr(units, text[len - 1]) : NULL;
	const unsigned shift = unit && *unit ? 10 * (unsigned)(unit - units + 1) : 0;
	char digits[24];
	uint64_t number = 0;
	int r;

	snprintf(digits, sizeof(digits), "%.*s", (int)(len - (shift > 0)), text);
	r = program_number(KV_NAME, option, digits, 1, most, &number);
	if (r != 0)
		return r;
	if (number > most >> shift || number << shift < least)
		return program_misuse(KV_NAME, "%s: '%s' is not from %llu to %llu", option, text,
			(unsigned long long)least, (unsigned long long)most);
	*ret_bytes = number << shift;
	return 0;
}

static int
add_address(struct kv_options *options, const char *value)
{
	int r;

	if (options->count == KV_LISTENERS)
		return program_misuse(KV_NAME, "--listen: no more than %d times", KV_LISTENERS);
	r = program_address(KV_NAME, "--listen", value, &options->addresses[options->count]);
	if (r == 0)
		options->count++;
	return r;
}

static int
on_option(int option, const char *value, void *userdata)
{
	struct kv_options *options = userdata;

	switch (option) {
	case LISTEN:
		return add_address(options, value);
	case MEMORY:
		return read_bytes("--memory", value, 1u << 20, 1ull << 40, &options->memory);
	case COMMAND:
		return read_bytes("--command", value, 1u << 10, ROTA_FRAMING_MOST,
			&options->command);
	case CLIENTS:
		return program_number(KV_NAME, "--clients", value, 1, 1000000, &options->clients);
	case TLS_CERT:
		return program_tls_file(KV_NAME, "--tls-cert", value, options->tls.certificates,
			&options->tls.certificate_count);
	case TLS_KEY:
		return program_tls_file(KV_NAME, "--tls-key", value, options->tls.keys,
			&options->tls.key_count);
	default:
		options->tls.ca = value;
		options->tls.requires_peer = true;
		return 0;
	}
}

int
main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "listen", required_argument, NULL, LISTEN },
		{ "memory", required_argument, NULL, MEMORY },
		{ "command", required_argument, NULL, COMMAND },
		{ "clients", required_argument, NULL, CLIENTS },
		{ "tls-cert", required_argument, NULL, TLS_CERT },
		{ "tls-key", required_argument, NULL, TLS_KEY },
		{ "tls-client-ca", required_argument, NULL, TLS_CLIENT_CA },
		{ NULL, 0, NULL, 0 },
	};
	struct kv_options options = { .memory = 256u << 20, .command = 1u << 20, .clients = 10000 };
	int r;

	if (program_answers(KV_NAME, help, argc, argv, &r))
		return r;
	r = program_options(KV_NAME, argc, argv, names, on_option, &options);
	if (r == 0 && options.count == 0)
		r = add_address(&options, ADDRESS_DEFAULT);
	if (r == 0)
		r = program_tls_pairs(KV_NAME, "tls", &options.tls);
	if (r != 0)
		return r;
	if (options.tls.ca && options.tls.certificate_count == 0)
		return program_misuse(KV_NAME, "--tls-client-ca needs --tls-cert and --tls-key");
	return kv_serve(&options);
}
