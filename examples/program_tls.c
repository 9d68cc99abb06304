/* SPDX-License-Identifier: MIT */
/*
 * program_tls.c - see program_tls.h. Messages name the file that is wrong, as Rota tells it.
 */
#include "program_tls.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

int
program_tls_file(const char *name, const char *option, const char *path, const char **files,
	size_t *count)
{
	if (path[0] == '\0')
		return program_misuse(name, "%s '': it wants a file", option);
	if (*count == PROGRAM_CERTIFICATES)
		return program_misuse(name, "%s: no more than %d times", option,
			PROGRAM_CERTIFICATES);
	files[(*count)++] = path;
	return 0;
}

static bool
is_numeric(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* What Rota says of a value: change is one of the calls that take a text. */
static bool
is_taken(int (*change)(struct rota_tls_config *config, const char *text), const char *text)
{
	struct rota_tls_config *config;
	int r = rota_tls_config_new(&config);

	if (r < 0)
		return false;
	r = change(config, text);
	rota_tls_config_unref(config);
	return r >= 0;
}

int
program_tls_name(const char *name, const char *option, const char *text)
{
	/* A star would be several hosts, a colon none. */
	if (is_numeric(text) ||
		(!strpbrk(text, "*:") && is_taken(rota_tls_config_add_peer_name, text)))
		return 0;
	return program_misuse(name, "%s wants the name of a host, not '%s'", option, text);
}

int
program_tls_peer(const char *name, const char *option, const char *text,
	struct program_tls *options)
{
	if (options->peer_name_count == PROGRAM_PEER_NAMES)
		return program_misuse(name, "%s: no more than %d times", option,
			PROGRAM_PEER_NAMES);
	if (!is_taken(rota_tls_config_add_peer_name, text))
		return program_misuse(name,
			"%s wants db.example, *.example, uri:…, email:… or cn:…, not '%s'", option,
			text);
	options->peer_names[options->peer_name_count++] = text;
	return 0;
}

int
program_tls_alpn(const char *name, const char *option, const char *text)
{
	if (is_taken(rota_tls_config_set_alpn, text))
		return 0;
	return program_misuse(name, "%s wants protocols like h2,http/1.1, not '%s'", option, text);
}

int
program_tls_pairs(const char *name, const char *option, const struct program_tls *options)
{
	if (options->certificate_count == options->key_count)
		return 0;
	return program_misuse(name,
		"each --%s-cert FILE needs a --%s-key FILE, and each key one of those", option,
		option);
}

/* What the last call had to say. False if that was a failure. */
static bool
tell(const char *name, const struct rota_tls_config *config, int r)
{
	const char *problem = rota_tls_config_problem(config);
	char reason[256];

	if (r >= 0 && problem[0] != '\0')
		fprintf(stderr, "%s: warning: %s\n", name, problem);
	else if (r < 0)
		fprintf(stderr, "%s: TLS: %s\n", name,
			problem[0] != '\0' ? problem : program_explain(r, reason, sizeof(reason)));
	return r >= 0;
}

static bool
add_certificates(const char *name, const struct program_tls *options,
	struct rota_tls_config *config)
{
	size_t i;

	for (i = 0; i < options->certificate_count; i++) {
		if (!tell(name, config,
			    rota_tls_config_add_certificate(config, options->certificates[i],
				    options->keys[i])))
			return false;
	}
	return true;
}

static bool
add_trust(const char *name, const struct program_tls *options, struct rota_tls_config *config)
{
	size_t i;

	if (options->ca && !tell(name, config, rota_tls_config_add_ca(config, options->ca)))
		return false;
	if (options->requires_peer && !tell(name, config, rota_tls_config_require_peer(config)))
		return false;
	if (options->no_verification &&
		!tell(name, config, rota_tls_config_insecure_no_verification(config)))
		return false;
	if (options->no_name && !tell(name, config, rota_tls_config_insecure_no_name(config)))
		return false;
	for (i = 0; i < options->peer_name_count; i++) {
		const char *peer = options->peer_names[i];

		if (!tell(name, config, rota_tls_config_add_peer_name(config, peer)))
			return false;
	}
	return true;
}

/*
 * The soft limit only, so that who debugs the process may raise it (prlimit --core). Its memory can
 * be read by who may trace it, as before.
 */
static void
forbid_core_dumps(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return;
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &limit);
}

int
program_tls_make(const char *name, const struct program_tls *options,
	struct rota_tls_config **ret_config)
{
	struct rota_tls_config *config;
	char reason[256];
	int r = rota_tls_config_new(&config);

	if (r < 0) {
		fprintf(stderr, "%s: TLS: %s\n", name, program_explain(r, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	if (options->certificate_count > 0)
		forbid_core_dumps();
	if (add_certificates(name, options, config) && add_trust(name, options, config) &&
		(!options->alpn ||
			tell(name, config, rota_tls_config_set_alpn(config, options->alpn)))) {
		*ret_config = config;
		return 0;
	}
	rota_tls_config_unref(config);
	return PROGRAM_FAILED;
}

const char *
program_tls_word(const char *text, char *buffer, size_t size)
{
	char *end = buffer;

	for (; *text && end + 5 < buffer + size; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == ' ')
			*end++ = '-';
		else if (byte > ' ' && byte <= '~' && !strchr("\"'=()\\", byte))
			*end++ = (char)byte;
		else
			end += sprintf(end, "\\x%02x", byte);
	}
	*end = '\0';
	return buffer;
}

/* Bytes that peers chose. Those of text that is escaped already stay as they are. */
static char *
put_fact(char *at, const char *prefix, const char *name, const char *text, bool is_escaped)
{
	at += sprintf(at, " %s%s=", prefix, name);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		const char *kept = is_escaped ? "\\" : "";

		if (byte > ' ' && byte <= '~' && (strchr(kept, byte) || !strchr("\"'=\\", byte)))
			*at++ = (char)byte;
		else
			at += sprintf(at, "\\x%02x", byte);
	}
	*at = '\0';
	return at;
}

const char *
program_tls_facts(const struct rota_stream *stream, const char *prefix,
	char buffer[PROGRAM_TLS_FACTS])
{
	struct rota_tls_info info;
	char *at = buffer;

	*at = '\0';
	if (rota_tls_info(stream, &info) < 0)
		return buffer;
	at = put_fact(at, prefix, "tls", info.version, true);
	at = put_fact(at, prefix, "cipher", info.cipher, true);
	if (info.sni[0] != '\0')
		at = put_fact(at, prefix, "sni", info.sni, false);
	if (info.alpn[0] != '\0')
		at = put_fact(at, prefix, "alpn", info.alpn, false);
	at = put_fact(at, prefix, "resumed", info.is_resumed ? "yes" : "no", true);
	if (info.is_verified)
		put_fact(at, prefix, "peer", info.names[0] != '\0' ? info.names : "-", true);
	return buffer;
}
