/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what a TLS configuration is given, for libFuzzer. The first byte of an input says to which
 * call the rest goes: texts in PEM, of which the second is behind a NUL, protocols, names, or the
 * keys of tickets. What is refused has a reason in words and one of the errors that are documented,
 * and the configuration serves afterwards as it did before.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/tls.h>

#include "certificates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* A failure says why, in one line; a success says nothing. */
static void
check_problem(const struct rota_tls_config *config, int r)
{
	const char *problem = rota_tls_config_problem(config);

	require((problem[0] != '\0') == (r < 0));
	require(strchr(problem, '\n') == NULL && strlen(problem) < 1024);
}

static char *
copy_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static int
add_certificate(struct rota_tls_config *config, const uint8_t *data, size_t size)
{
	const struct certificate *good = certificate_of(CERTIFICATE_SERVER);
	const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t len = nul != NULL ? (size_t)(nul - data) : size;
	int r;

	/* Without a key of its own it is given one that is not its own. */
	if (nul != NULL)
		r = rota_tls_config_add_certificate_pem(config, data, len, nul + 1, size - len - 1);
	else
		r = rota_tls_config_add_certificate_pem(config, data, len, good->key_pem,
			strlen(good->key_pem));
	require(r == 0 || r == -ROTA_ETLS);
	return r;
}

static int
set_keys(struct rota_tls_config *config, const uint8_t *data, size_t size)
{
	unsigned char before[ROTA_TLS_TICKET_KEYS];
	unsigned char keys[ROTA_TLS_TICKET_KEYS] = { 0 };
	unsigned char after[ROTA_TLS_TICKET_KEYS];
	int r;

	if (size > 0)
		memcpy(keys, data, size < sizeof keys ? size : sizeof keys);
	rota_tls_config_get_ticket_keys(config, before);
	r = rota_tls_config_set_ticket_keys(config, keys);
	require(r == 0 || r == -EINVAL);
	rota_tls_config_get_ticket_keys(config, after);
	require(memcmp(after, r == 0 ? keys : before, sizeof after) == 0);
	return r;
}

static void
give(struct rota_tls_config *config, const uint8_t *data, size_t size)
{
	char *text = copy_text(data + 1, size - 1);
	int r;

	switch (data[0]) {
	case 'c':
		check_problem(config, add_certificate(config, data + 1, size - 1));
		break;
	case 'a':
		r = rota_tls_config_add_ca_pem(config, data + 1, size - 1);
		require(r == 0 || r == -ROTA_ETLS);
		check_problem(config, r);
		break;
	case 'p':
		r = rota_tls_config_set_alpn(config, text);
		require(r == 0 || r == -EINVAL);
		check_problem(config, r);
		break;
	case 'n':
		r = rota_tls_config_add_peer_name(config, text);
		require(r == 0 || r == -EINVAL);
		check_problem(config, r);
		break;
	default:
		(void)set_keys(config, data + 1, size - 1);
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct certificate *good = certificate_of(CERTIFICATE_SERVER);
	struct rota_tls_config *config;

	if (size == 0)
		return -1;
	require(rota_tls_config_new(&config) == 0);
	give(config, data, size);
	require(rota_tls_config_add_certificate_pem(config, good->pem, strlen(good->pem),
			good->key_pem, strlen(good->key_pem)) == 0);
	check_problem(config, 0);
	rota_tls_config_unref(config);
	return 0;
}
