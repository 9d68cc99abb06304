/* SPDX-License-Identifier: MIT */
/*
 * proxy_options.c - the command line of rota-proxy: read, checked, and nothing done yet.
 */
#include "proxy.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define DAY (ROTA_MINUTE * 60 * 24)

enum {
	LISTEN = 1,
	TARGET,
	BALANCE,
	CONNECT_TIMEOUT,
	IDLE_TIMEOUT,
	HALF_CLOSE_TIMEOUT,
	LIFETIME,
	DRAIN,
	MAX_CONNECTIONS,
	MAX_PER_SOURCE,
	PROXY_FROM,
	SEND_PROXY,
	CONTROL,
	TAKEOVER,
	PROCESSES,
	TLS_CERT,
	TLS_KEY,
	TLS_CLIENT_CA,
	TLS_CLIENT_NAME,
	ALPN,
	TARGET_TLS,
	TARGET_CA,
	TARGET_NAME,
	TARGET_CERT,
	TARGET_KEY,
	INSECURE_TARGET_NO_VERIFY,
	INSECURE_TARGET_NO_NAME,
};

static int
read_listen(struct proxy_options *options, const char *value)
{
	if (options->listen_count == PROXY_LISTENERS)
		return program_misuse(PROXY_NAME, "--listen: no more than %d times",
			PROXY_LISTENERS);
	return program_address(PROXY_NAME, "--listen", value,
		&options->listens[options->listen_count++]);
}

/* An address, or else a name, whose addresses are looked up when it is connected to. */
static int
read_target(struct proxy_options *options, const char *value)
{
	struct rota_address *address = &options->targets[options->target_count];
	bool is_name;
	int r;

	if (strcmp(value, "original") == 0) {
		options->original = true;
		return 0;
	}
	if (options->target_count == PROXY_TARGETS)
		return program_misuse(PROXY_NAME, "--target: no more than %d times", PROXY_TARGETS);
	is_name = rota_address_parse(value, address) == -ROTA_ENAME;
	if (is_name)
		options->target_names[options->target_count] = value;
	r = is_name ? 0 : program_address(PROXY_NAME, "--target", value, address);
	if (r == 0 && !is_name && address->fd >= 0)
		return program_misuse(PROXY_NAME, "--target: fd:N is for listening only");
	options->target_count++;
	return r;
}

static int
read_balance(struct proxy_options *options, const char *value)
{
	options->failover = strcmp(value, "failover") == 0;
	if (options->failover || strcmp(value, "round-robin") == 0)
		return 0;
	return program_misuse(PROXY_NAME, "--balance wants round-robin or failover, not '%s'",
		value);
}

/* 0 is no limit. */
static int
read_limit(const char *option, const char *value, rota_time *ret_duration)
{
	int r = program_seconds(PROXY_NAME, option, value, 0, 365 * DAY, ret_duration);

	if (r == 0 && *ret_duration == 0)
		*ret_duration = ROTA_NEVER;
	return r;
}

static int
read_count(const char *option, const char *value, size_t *ret_count)
{
	uint64_t number;
	int r = program_number(PROXY_NAME, option, value, 1, 100000000, &number);

	if (r == 0)
		*ret_count = number;
	return r;
}

static int
read_network(struct proxy_options *options, const char *value)
{
	char reason[128];
	int r;

	if (options->proxy_count == PROXY_NETWORKS)
		return program_misuse(PROXY_NAME, "--proxy-from: no more than %d times",
			PROXY_NETWORKS);
	r = rota_cidr_parse(value, &options->proxies[options->proxy_count++]);
	if (r < 0)
		return program_misuse(PROXY_NAME, "--proxy-from '%s': %s", value,
			rota_strerror(r, reason, sizeof(reason)));
	return 0;
}

static int
read_version(struct proxy_options *options, const char *value)
{
	if (strcmp(value, "v1") != 0 && strcmp(value, "v2") != 0)
		return program_misuse(PROXY_NAME, "--send-proxy wants v1 or v2, not '%s'", value);
	options->send_proxy = value[1] - '0';
	return 0;
}

static int
read_tls(struct program_tls *tls, int option, const char *value)
{
	switch (option) {
	case TLS_CERT:
		return program_tls_file(PROXY_NAME, "--tls-cert", value, tls->certificates,
			&tls->certificate_count);
	case TLS_KEY:
		return program_tls_file(PROXY_NAME, "--tls-key", value, tls->keys, &tls->key_count);
	case TLS_CLIENT_CA:
		tls->ca = value;
		tls->requires_peer = true;
		return 0;
	case TLS_CLIENT_NAME:
		return program_tls_peer(PROXY_NAME, "--tls-client-name", value, tls);
	default:
		tls->alpn = value;
		return program_tls_alpn(PROXY_NAME, "--alpn", value);
	}
}

static int
read_target_tls(struct proxy_options *options, int option, const char *value)
{
	struct program_tls *tls = &options->target_tls;

	switch (option) {
	case TARGET_TLS:
		options->has_target_tls = true;
		return 0;
	case TARGET_CA:
		tls->ca = value;
		return 0;
	case TARGET_NAME:
		options->target_name = value;
		return program_tls_name(PROXY_NAME, "--target-name", value);
	case TARGET_CERT:
		return program_tls_file(PROXY_NAME, "--target-cert", value, tls->certificates,
			&tls->certificate_count);
	case TARGET_KEY:
		return program_tls_file(PROXY_NAME, "--target-key", value, tls->keys,
			&tls->key_count);
	case INSECURE_TARGET_NO_VERIFY:
		tls->no_verification = true;
		return 0;
	default:
		tls->no_name = true;
		return 0;
	}
}

static int
read_option(int option, const char *value, void *userdata)
{
	struct proxy_options *options = userdata;
	struct rota_stream_options *streams = &options->streams;

	switch (option) {
	case LISTEN:
		return read_listen(options, value);
	case TARGET:
		return read_target(options, value);
	case BALANCE:
		return read_balance(options, value);
	case CONNECT_TIMEOUT:
		return program_seconds(PROXY_NAME, "--connect-timeout", value, ROTA_MILLISECOND,
			DAY, &streams->connect_timeout);
	case IDLE_TIMEOUT:
		return read_limit("--idle-timeout", value, &streams->idle_timeout);
	case HALF_CLOSE_TIMEOUT:
		return read_limit("--half-close-timeout", value, &streams->half_closed_timeout);
	case LIFETIME:
		return read_limit("--lifetime", value, &streams->lifetime);
	case DRAIN:
		return program_seconds(PROXY_NAME, "--drain", value, 0, DAY, &options->drain);
	case MAX_CONNECTIONS:
		return read_count("--max-connections", value, &options->admission.max);
	case MAX_PER_SOURCE:
		return read_count("--max-per-source", value, &options->admission.max_per_source);
	case PROXY_FROM:
		return read_network(options, value);
	case SEND_PROXY:
		return read_version(options, value);
	case CONTROL:
		options->control = value;
		return 0;
	case TAKEOVER:
		options->takeover = value;
		return 0;
	case PROCESSES:
		return program_number(PROXY_NAME, "--processes", value, 1, PROGRAM_PROCESSES,
			&options->processes);
	default:
		return option < TARGET_TLS ? read_tls(&options->tls, option, value)
					   : read_target_tls(options, option, value);
	}
}

static bool
has_unix_target(const struct proxy_options *options)
{
	for (size_t i = 0; i < options->target_count; i++) {
		if (!options->target_names[i] &&
			options->targets[i].socket.any.sa_family == AF_UNIX)
			return true;
	}
	return false;
}

/* What makes sense together only. */
static int
check_tls(const struct proxy_options *options)
{
	const struct program_tls *tls = &options->tls;
	const struct program_tls *to = &options->target_tls;
	int r = program_tls_pairs(PROXY_NAME, "tls", tls);

	if (r == 0)
		r = program_tls_pairs(PROXY_NAME, "target", to);
	if (r != 0)
		return r;
	if (tls->certificate_count == 0 && (tls->ca || tls->peer_name_count > 0 || tls->alpn))
		return program_misuse(PROXY_NAME, "%s needs --tls-cert and --tls-key",
			tls->alpn         ? "--alpn"
				: tls->ca ? "--tls-client-ca"
					  : "--tls-client-name");
	if (tls->peer_name_count > 0 && !tls->ca)
		return program_misuse(PROXY_NAME, "--tls-client-name needs --tls-client-ca");
	if (!options->has_target_tls &&
		(to->ca || options->target_name || to->certificate_count > 0 ||
			to->no_verification || to->no_name))
		return program_misuse(PROXY_NAME,
			"what is said about the targets' TLS needs --target-tls");
	if (options->has_target_tls && !options->target_name && has_unix_target(options) &&
		!to->no_verification && !to->no_name)
		return program_misuse(PROXY_NAME,
			"--target-tls to a unix socket needs --target-name NAME, for its certificate");
	return 0;
}

static const struct option names[] = {
	{ "listen", required_argument, NULL, LISTEN },
	{ "target", required_argument, NULL, TARGET },
	{ "balance", required_argument, NULL, BALANCE },
	{ "connect-timeout", required_argument, NULL, CONNECT_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, IDLE_TIMEOUT },
	{ "half-close-timeout", required_argument, NULL, HALF_CLOSE_TIMEOUT },
	{ "lifetime", required_argument, NULL, LIFETIME },
	{ "drain", required_argument, NULL, DRAIN },
	{ "max-connections", required_argument, NULL, MAX_CONNECTIONS },
	{ "max-per-source", required_argument, NULL, MAX_PER_SOURCE },
	{ "proxy-from", required_argument, NULL, PROXY_FROM },
	{ "send-proxy", required_argument, NULL, SEND_PROXY },
	{ "control", required_argument, NULL, CONTROL },
	{ "takeover", required_argument, NULL, TAKEOVER },
	{ "processes", required_argument, NULL, PROCESSES },
	{ "tls-cert", required_argument, NULL, TLS_CERT },
	{ "tls-key", required_argument, NULL, TLS_KEY },
	{ "tls-client-ca", required_argument, NULL, TLS_CLIENT_CA },
	{ "tls-client-name", required_argument, NULL, TLS_CLIENT_NAME },
	{ "alpn", required_argument, NULL, ALPN },
	{ "target-tls", no_argument, NULL, TARGET_TLS },
	{ "target-ca", required_argument, NULL, TARGET_CA },
	{ "target-name", required_argument, NULL, TARGET_NAME },
	{ "target-cert", required_argument, NULL, TARGET_CERT },
	{ "target-key", required_argument, NULL, TARGET_KEY },
	{ "insecure-target-no-verify", no_argument, NULL, INSECURE_TARGET_NO_VERIFY },
	{ "insecure-target-no-name", no_argument, NULL, INSECURE_TARGET_NO_NAME },
	{ NULL, 0, NULL, 0 },
};

int
proxy_read_options(struct proxy_options *options, int argc, char **argv)
{
	int r;

	*options = (struct proxy_options){ .drain = 30 * ROTA_SECOND };
	options->streams = (struct rota_stream_options)ROTA_STREAM_OPTIONS_INIT;
	options->admission = (struct rota_admission_options)ROTA_ADMISSION_OPTIONS_INIT;
	/*
	 * A peer that takes nothing for a while, or goes on when the other has ended, is these
	 * two's affair: only that no byte comes any more is the end.
	 */
	options->streams.write_stall_timeout = ROTA_NEVER;
	options->streams.half_closed_timeout = ROTA_NEVER;

	r = program_options(PROXY_NAME, argc, argv, names, read_option, options);
	if (r != 0)
		return r;
	if (options->processes > 0 && options->takeover)
		return program_misuse(PROXY_NAME, "--processes excludes --takeover: send SIGHUP");
	/* Or systemd says where. */
	if (options->listen_count == 0 && (!getenv("LISTEN_FDS") || options->processes > 0))
		return program_misuse(PROXY_NAME, "it needs --listen ADDRESS");
	if (options->target_count == 0 && !options->original)
		return program_misuse(PROXY_NAME, "it needs --target ADDRESS");
	if (options->target_count > 0 && options->original)
		return program_misuse(PROXY_NAME, "--target original excludes other targets");
	r = check_tls(options);
	if (r != 0)
		return r;
	/* A client that is to say whose it is has as long as a target. */
	options->streams.handshake_timeout = options->streams.connect_timeout;
	return 0;
}
