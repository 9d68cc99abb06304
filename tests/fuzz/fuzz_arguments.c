/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the command lines of rota-echo and rota-proxy, for libFuzzer. An input is words with a NUL
 * between them: the first says which program, "echo" or any other, the rest are its arguments. They
 * are read, and nothing is done: what they are accepted as must be within the limits that the help
 * tells, and what is refused is refused with the status for that.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/proxy.h"

int rota_echo_main(int argc, char **argv);

#define main rota_echo_main
#include "../../examples/rota-echo.c"
#undef main

#define MOST_WORDS 200

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
check_address(const struct rota_address *address, bool listens)
{
	char text[ROTA_ADDRESS_TEXT];
	struct rota_address back;

	require(listens || address->fd < 0);
	require(address->fd >= 0 || address->length > 0);
	rota_address_format(address, text, sizeof(text));
	require(rota_address_parse(text, &back) == 0);
	require(rota_address_is_equal(address, &back));
}

/* Which is connected to: a name, or else an address. */
static void
check_target(const char *name, const struct rota_address *address)
{
	struct rota_address none;

	if (name)
		require(rota_address_parse(name, &none) == -ROTA_ENAME);
	else
		check_address(address, false);
}

static void
check_duration(rota_time duration, rota_time least)
{
	require(duration >= least);
	require(duration == ROTA_NEVER || duration <= 366 * 24 * 60 * ROTA_MINUTE);
}

static void
check_tls(const struct program_tls *tls)
{
	require(tls->certificate_count == tls->key_count);
	require(tls->certificate_count <= PROGRAM_CERTIFICATES);
	for (size_t i = 0; i < tls->certificate_count; i++)
		require(tls->certificates[i][0] != '\0' && tls->keys[i][0] != '\0');
	require(tls->peer_name_count <= PROGRAM_PEER_NAMES);
	require(!tls->requires_peer || tls->ca);
}

/* In place of what rota-echo does. */

int
echo_serve(const struct echo_server_options *options)
{
	require(options->count >= 1 && options->count <= ECHO_LISTENERS);
	for (size_t i = 0; i < options->count; i++)
		check_address(&options->addresses[i], true);
	check_tls(&options->tls);
	return 0;
}

int
echo_load(const struct echo_client_options *options)
{
	check_target(options->name, &options->address);
	require(options->connections >= 1 && options->connections <= 1000000);
	require(options->size >= 1 && options->size <= 16u << 20);
	require(options->depth >= 1 && options->depth <= 65536);
	check_duration(options->duration, ROTA_SECOND / 10);
	check_tls(&options->tls);
	require(options->has_tls || (!options->tls_name && !options->tls.ca));
	return 0;
}

static void
check_proxy(const struct proxy_options *options)
{
	require(options->listen_count >= 1 && options->listen_count <= PROXY_LISTENERS);
	for (size_t i = 0; i < options->listen_count; i++)
		check_address(&options->listens[i], true);
	require(options->target_count <= PROXY_TARGETS);
	require((options->target_count == 0) == options->original);
	for (size_t i = 0; i < options->target_count; i++)
		check_target(options->target_names[i], &options->targets[i]);
	require(options->proxy_count <= PROXY_NETWORKS);
	require(options->send_proxy >= 0 && options->send_proxy <= 2);
	check_tls(&options->tls);
	check_tls(&options->target_tls);
	require(options->has_target_tls || (!options->target_name && !options->target_tls.ca));
	require(options->tls.certificate_count > 0 || (!options->tls.ca && !options->tls.alpn));
	check_duration(options->streams.connect_timeout, ROTA_MILLISECOND);
	check_duration(options->streams.idle_timeout, 1);
	check_duration(options->streams.half_closed_timeout, 1);
	check_duration(options->streams.lifetime, 1);
	check_duration(options->drain, 0);
}

static int
read_arguments(int argc, char **argv)
{
	static struct proxy_options options;
	int status;

	if (strcmp(argv[0], "echo") == 0)
		return rota_echo_main(argc, argv);
	if (program_answers(PROXY_NAME, "", argc, argv, &status))
		return status;
	status = proxy_read_options(&options, argc, argv);
	if (status == 0)
		check_proxy(&options);
	return status;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* What is printed is nobody's to read. */
	stdout = stderr = fopen("/dev/null", "w");
	require(stderr != NULL);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[MOST_WORDS + 1];
	char *text = malloc(size + 1);
	int argc = 0;
	int status;

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at <= size && argc < MOST_WORDS; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	argv[argc] = NULL;
	/* glibc's way to begin anew. */
	optind = 0;
	status = read_arguments(argc, argv);
	require(status == 0 || status == PROGRAM_MISUSED);
	free(text);
	return 0;
}
