/* SPDX-License-Identifier: MIT */
/*
 * Certificates: reading them, and finding those that have the name a client asks for. The first one
 * is OpenSSL's default; the others take its place for one connection.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "allocator.h"
#include "tls_config.h"

/* Somebody would be asked for it, and nobody is there to answer. */
static int
refuse_passphrase(char *buffer, int size, int writes, void *userdata)
{
	(void)buffer;
	(void)size;
	(void)writes;
	(void)userdata;
	return -1;
}

static void
dispose(struct rota__tls_certificate *certificate)
{
	X509_free(certificate->certificate);
	EVP_PKEY_free(certificate->key);
	sk_X509_pop_free(certificate->chain, X509_free);
}

/* What ends a file is no error. */
static bool
is_end_of_pem(void)
{
	unsigned long error = ERR_peek_last_error();

	if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

/* The certificate and those behind it. 0 or a negative error. */
static int
parse_certificates(const void *text, size_t len, struct rota__tls_certificate *certificate)
{
	BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;
	X509 *next = NULL;
	bool is_whole = false;

	certificate->chain = sk_X509_new_null();
	if (bio != NULL && certificate->chain != NULL)
		certificate->certificate =
			PEM_read_bio_X509_AUX(bio, NULL, refuse_passphrase, NULL);
	if (certificate->certificate != NULL) {
		while ((next = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL)) != NULL &&
			sk_X509_push(certificate->chain, next) > 0) {
			/* Up to the end of the text. */
		}
		is_whole = next == NULL && is_end_of_pem();
		if (next != NULL)
			X509_free(next);
	}
	BIO_free(bio);
	return is_whole ? 0 : -ROTA_ETLS;
}

static int
parse_key(const void *text, size_t len, EVP_PKEY **ret_key)
{
	BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(text, (int)len) : NULL;

	*ret_key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL) : NULL;
	BIO_free(bio);
	return *ret_key != NULL ? 0 : -ROTA_ETLS;
}

struct naming {
	struct rota_tls_config *config;
	unsigned certificate;
	bool has_dns;
	bool is_out_of_memory;
};

/* Those of the same name stay in the order in which they were added. */
static size_t
place_of(const struct rota_tls_config *config, const char *name, bool behind)
{
	size_t low = 0;
	size_t high = config->named_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(config->named[middle].name, name);

		if (order < 0 || (order == 0 && behind))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static char *
lower_copy(const char *name, size_t len)
{
	char *copy = rota__malloc(len + 1);

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		copy[i] = (char)tolower((unsigned char)name[i]);
	copy[len] = '\0';
	return copy;
}

static bool
add_name(const char *kind, const char *name, size_t len, void *userdata)
{
	struct naming *naming = userdata;
	struct rota_tls_config *config = naming->config;
	struct rota__tls_named *named;
	char *copy;
	size_t at;

	if (strcmp(kind, "dns") != 0 && (strcmp(kind, "cn") != 0 || naming->has_dns))
		return true;
	naming->has_dns = true;
	/* A name with a NUL, or too long, is none that a client could ask for. */
	if (len == 0 || len > 255 || memchr(name, '\0', len) != NULL)
		return true;
	named = rota__realloc(config->named, (config->named_count + 1) * sizeof *named);
	if (named != NULL)
		config->named = named;
	copy = named != NULL ? lower_copy(name, len) : NULL;
	if (copy == NULL) {
		naming->is_out_of_memory = true;
		return false;
	}
	at = place_of(config, copy, true);
	memmove(named + at + 1, named + at, (config->named_count - at) * sizeof *named);
	named[at] = (struct rota__tls_named){ copy, naming->certificate };
	config->named_count++;
	return true;
}

static void
remove_names(struct rota_tls_config *config, unsigned certificate)
{
	size_t kept = 0;

	for (size_t i = 0; i < config->named_count; i++) {
		if (config->named[i].certificate == certificate)
			rota__free(config->named[i].name);
		else
			config->named[kept++] = config->named[i];
	}
	config->named_count = kept;
}

/* Whether OpenSSL would show it: the key is its own, and strong enough. */
static bool
is_usable(struct rota_tls_config *config, const struct rota__tls_certificate *certificate)
{
	SSL *ssl;
	bool is_good;

	if (config->certificate_count == 0)
		return SSL_CTX_use_cert_and_key(config->ssl, certificate->certificate,
			       certificate->key, certificate->chain, 1) == 1;
	ssl = SSL_new(config->ssl);
	is_good = ssl != NULL &&
		SSL_use_cert_and_key(ssl, certificate->certificate, certificate->key,
			certificate->chain, 1) == 1;
	SSL_free(ssl);
	return is_good;
}

/* Adds one that was parsed, and takes it over on success. */
static int
add(struct rota_tls_config *config, const struct rota__tls_certificate *certificate)
{
	struct naming naming = { .config = config, .certificate = config->certificate_count };
	struct rota__tls_certificate *certificates;

	if (config->certificate_count >= ROTA_TLS_CERTIFICATES)
		return -ENOSPC;
	certificates = rota__realloc(config->certificates,
		(config->certificate_count + 1) * sizeof *certificates);
	if (certificates == NULL)
		return -ENOMEM;
	config->certificates = certificates;
	rota__tls_each_name(certificate->certificate, add_name, &naming);
	if (!naming.is_out_of_memory && is_usable(config, certificate)) {
		certificates[config->certificate_count++] = *certificate;
		return 0;
	}
	remove_names(config, naming.certificate);
	return naming.is_out_of_memory ? -ENOMEM : -ROTA_ETLS;
}

/* path, of the file that something is wrong with, or NULL. */
static int
add_parsed(struct rota_tls_config *config, const void *text, size_t len, const void *key,
	size_t key_len, const char *path, const char *key_path)
{
	struct rota__tls_certificate certificate = { .certificate = NULL };
	int r = parse_certificates(text, len, &certificate);

	if (r < 0) {
		rota__tls_problem(config, r, path, "not certificates in PEM");
	} else {
		r = parse_key(key, key_len, &certificate.key);
		if (r < 0)
			rota__tls_problem(config, r, key_path,
				"not a private key in PEM without a passphrase");
		else
			r = add(config, &certificate);
		if (r < 0 && config->problem[0] == '\0')
			rota__tls_problem(config, r, path, "the certificate and its key");
	}
	if (r < 0)
		dispose(&certificate);
	return r;
}

int
rota_tls_config_add_certificate_pem(struct rota_tls_config *config, const void *certificate,
	size_t certificate_len, const void *key, size_t key_len)
{
	int r = rota__tls_change(config);

	if (r >= 0)
		r = add_parsed(config, certificate, certificate_len, key, key_len, NULL, NULL);
	return r;
}

int
rota_tls_config_add_certificate(struct rota_tls_config *config, const char *certificate_path,
	const char *key_path)
{
	char *certificate = NULL;
	size_t certificate_len;
	char *key;
	size_t key_len;
	mode_t mode = 0;
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	r = rota__tls_read_file(certificate_path, false, &mode, &certificate, &certificate_len);
	if (r < 0)
		return rota__tls_problem(config, r, certificate_path, "cannot be read");
	r = rota__tls_read_file(key_path, true, &mode, &key, &key_len);
	if (r < 0) {
		rota__free(certificate);
		return rota__tls_problem(config, r, key_path,
			r == -EPERM ? "everybody may read this key (chmod o=)" : "cannot be read");
	}
	r = add_parsed(config, certificate, certificate_len, key, key_len, certificate_path,
		key_path);
	if (r >= 0 && (mode & S_IRWXG) != 0)
		rota__tls_problem(config, 0, key_path, "a group may read this key");
	OPENSSL_cleanse(key, key_len);
	rota__free(key);
	rota__free(certificate);
	return r;
}

void
rota__tls_certificates_free(struct rota_tls_config *config)
{
	for (unsigned i = 0; i < config->certificate_count; i++)
		dispose(&config->certificates[i]);
	for (size_t i = 0; i < config->named_count; i++)
		rota__free(config->named[i].name);
	rota__free(config->certificates);
	rota__free(config->named);
}

/* Shows those that have this name, the first one of each kind of key. Whether there is any. */
static bool
show(struct rota_tls_config *config, SSL *ssl, const char *name)
{
	size_t first = place_of(config, name, false);
	size_t last = place_of(config, name, true);

	if (first == last)
		return false;
	SSL_certs_clear(ssl);
	while (last > first) {
		const struct rota__tls_certificate *certificate =
			&config->certificates[config->named[--last].certificate];

		(void)SSL_use_cert_and_key(ssl, certificate->certificate, certificate->key,
			certificate->chain, 1);
	}
	return true;
}

int
rota__tls_choose_certificate(SSL *ssl, void *userdata)
{
	struct rota_tls_config *config = userdata;
	char name[256];
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	char *dot;
	size_t len;

	if (!SSL_is_server(ssl) || asked == NULL || config->named_count == 0)
		return 1;
	len = strlen(asked);
	if (len == 0 || len >= sizeof name - 1)
		return 1;
	for (size_t i = 0; i <= len; i++)
		name[i + 1] = (char)tolower((unsigned char)asked[i]);
	dot = strchr(name + 1, '.');
	if (!show(config, ssl, name + 1) && dot != NULL && dot > name + 1) {
		dot[-1] = '*';
		show(config, ssl, dot - 1);
	}
	return 1;
}
