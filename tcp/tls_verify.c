/* SPDX-License-Identifier: MIT */
/*
 * Whom a configuration believes: the authorities, and the names that a peer must have.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "allocator.h"
#include "tls_config.h"

/* All or none: 0, -ROTA_ETLS or -ENOMEM. */
static int
add_authorities(struct rota_tls_config *config, STACK_OF(X509_INFO) * found)
{
	X509_STORE *store = SSL_CTX_get_cert_store(config->ssl);
	int count = 0;

	for (int i = 0; i < sk_X509_INFO_num(found); i++)
		count += sk_X509_INFO_value(found, i)->x509 != NULL;
	if (count == 0)
		return -ROTA_ETLS;
	for (int i = 0; i < sk_X509_INFO_num(found); i++) {
		X509 *authority = sk_X509_INFO_value(found, i)->x509;

		if (authority != NULL &&
			(X509_STORE_add_cert(store, authority) != 1 ||
				SSL_CTX_add_client_CA(config->ssl, authority) != 1))
			return -ENOMEM;
	}
	/* Who adds one that is no root means it. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(config->ssl), X509_V_FLAG_PARTIAL_CHAIN);
	config->has_authorities = true;
	return 0;
}

static int
add_text(struct rota_tls_config *config, const void *text, size_t len, const char *path)
{
	BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
	STACK_OF(X509_INFO) *found =
		bio != NULL ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
	int r = found != NULL ? add_authorities(config, found) : -ROTA_ETLS;

	if (r < 0)
		rota__tls_problem(config, r, path, "not certificates of authorities in PEM");
	else
		rota__tls_identify(config, text, len);
	sk_X509_INFO_pop_free(found, X509_INFO_free);
	BIO_free(bio);
	return r;
}

int
rota_tls_config_add_ca_pem(struct rota_tls_config *config, const void *text, size_t len)
{
	int r = rota__tls_change(config);

	return r < 0 ? r : add_text(config, text, len, NULL);
}

int
rota_tls_config_add_ca(struct rota_tls_config *config, const char *path)
{
	mode_t mode;
	char *text;
	size_t len;
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	r = rota__tls_read_file(path, false, &mode, &text, &len);
	if (r < 0)
		return rota__tls_problem(config, r, path, "cannot be read");
	r = add_text(config, text, len, path);
	rota__free(text);
	return r;
}

/* Whether it is one that rota_tls_config_add_peer_name takes. */
static bool
is_rule(const char *name)
{
	static const char *const kinds[] = { "uri:", "email:", "cn:" };

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t len = strlen(kinds[i]);

		if (strncmp(name, kinds[i], len) == 0)
			return name[len] != '\0';
	}
	return rota__tls_is_host(name, true);
}

int
rota_tls_config_add_peer_name(struct rota_tls_config *config, const char *name)
{
	size_t size = strlen(name) + 1;
	char **names;
	char *copy;
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	if (!is_rule(name))
		return rota__tls_problem(config, -EINVAL, NULL, "the name of a peer");
	if (config->peer_name_count >= ROTA__TLS_PEER_NAMES)
		return rota__tls_problem(config, -ENOSPC, NULL, "the names of peers");
	names = rota__realloc(config->peer_names, (config->peer_name_count + 1) * sizeof *names);
	if (names == NULL)
		return -ENOMEM;
	config->peer_names = names;
	copy = rota__malloc(size);
	if (copy == NULL)
		return -ENOMEM;
	names[config->peer_name_count++] = memcpy(copy, name, size);
	rota__tls_identify(config, name, size);
	return 0;
}

struct matching {
	const struct rota_tls_config *config;
	bool has_matched;
};

/* Host names know no case; a star is one label, the first. */
static bool
is_host_matched(const char *rule, const char *name, size_t len)
{
	if (rule[0] == '*') {
		const char *dot = memchr(name, '.', len);

		if (dot == NULL || dot == name)
			return false;
		len -= (size_t)(dot - name);
		name = dot;
		rule++;
	}
	return strlen(rule) == len && strncasecmp(rule, name, len) == 0;
}

static bool
is_matched(const char *rule, const char *kind, const char *name, size_t len)
{
	size_t kind_len = strlen(kind);

	if (strcmp(kind, "dns") == 0)
		return strchr(rule, ':') == NULL && is_host_matched(rule, name, len);
	return strncmp(rule, kind, kind_len) == 0 && rule[kind_len] == ':' &&
		strlen(rule + kind_len + 1) == len && memcmp(rule + kind_len + 1, name, len) == 0;
}

static bool
match_name(const char *kind, const char *name, size_t len, void *userdata)
{
	struct matching *matching = userdata;
	const struct rota_tls_config *config = matching->config;

	for (size_t i = 0; i < config->peer_name_count && !matching->has_matched; i++)
		matching->has_matched = is_matched(config->peer_names[i], kind, name, len);
	return !matching->has_matched;
}

/* The chain is good as far as it goes: is the peer one of those that may be? */
static int
check_names(int is_good, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct matching matching = { .config = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) };

	if (is_good != 1 || X509_STORE_CTX_get_error_depth(store) > 0 ||
		matching.config->peer_name_count == 0)
		return is_good;
	rota__tls_each_name(X509_STORE_CTX_get_current_cert(store), match_name, &matching);
	if (!matching.has_matched)
		X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
	return matching.has_matched;
}

static bool
is_numeric(const char *name)
{
	struct in6_addr address;

	return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

int
rota__tls_check_name(const char *name)
{
	return is_numeric(name) || rota__tls_is_host(name, false) ? 0 : -EINVAL;
}

/* Who connects asks for the name, and verifies it. */
static int
verify_name(SSL *ssl, const char *name, bool is_verified)
{
	char host[256];
	size_t len = strlen(name);

	if (is_numeric(name))
		return !is_verified || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
			? 0
			: -ENOMEM;
	if (len >= sizeof host)
		return -EINVAL;
	/* The dot that ends a name in the DNS is no part of it in a certificate, or in SNI. */
	memcpy(host, name, len + 1);
	if (host[len - 1] == '.')
		host[len - 1] = '\0';
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set_tlsext_host_name(ssl, host) != 1)
		return -ENOMEM;
	return !is_verified || SSL_set1_host(ssl, host) == 1 ? 0 : -ENOMEM;
}

/* Those of the system, as long as none was added; they are read as they are needed. */
static int
need_authorities(struct rota_tls_config *config)
{
	int r = 1;

	pthread_mutex_lock(&config->lock);
	if (!config->has_authorities && !config->has_system)
		r = SSL_CTX_set_default_verify_paths(config->ssl);
	if (r == 1)
		config->has_system = true;
	pthread_mutex_unlock(&config->lock);
	return r == 1 ? 0 : -ENOMEM;
}

int
rota__tls_verify(struct rota_tls_config *config, SSL *ssl, enum rota_tls_role role,
	const char *name)
{
	int r = 0;

	if (role == ROTA_TLS_SERVER) {
		if (config->asks_peer)
			SSL_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				check_names);
		return 0;
	}
	if (name == NULL && rota__tls_config_needs_name(config))
		return -EINVAL;
	if (!config->is_insecure) {
		r = need_authorities(config);
		SSL_set_verify(ssl, SSL_VERIFY_PEER, check_names);
	}
	if (r >= 0 && name != NULL)
		r = verify_name(ssl, name, rota__tls_config_needs_name(config));
	return r;
}
