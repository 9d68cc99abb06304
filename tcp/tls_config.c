/* SPDX-License-Identifier: MIT */
/*
 * TLS configurations: making them, what they are by default, and the calls that change them before
 * their first use.
 */
#include "tls_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "allocator.h"
#include "sys.h"

#define FILE_LIMIT ((off_t)16 << 20)

/* TLS 1.2: ECDHE with AEAD only. OpenSSL's own list still has CBC and RSA key exchange. */
#define SUITES_1_2 \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:" \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
#define GROUPS "X25519:P-256:P-384"
#define SECURITY_LEVEL 2

/* For as long as the keys of a ticket are sure to be there. */
#define SESSION_SECONDS (6L * 60 * 60)

int
rota__tls_problem(struct rota_tls_config *config, int error, const char *path, const char *what)
{
	unsigned long reason = ERR_peek_error();
	const char *text = reason != 0 ? ERR_reason_error_string(reason) : NULL;
	char buffer[96];

	if (text == NULL && error != -ROTA_ETLS && error < 0)
		text = rota_strerror(error, buffer, sizeof buffer);
	snprintf(config->problem, sizeof config->problem, "%s%s%s%s%s", path != NULL ? path : "",
		path != NULL ? ": " : "", what, text != NULL ? ": " : "", text != NULL ? text : "");
	ERR_clear_error();
	return error;
}

int
rota__tls_change(struct rota_tls_config *config)
{
	ERR_clear_error();
	config->problem[0] = '\0';
	if (__atomic_load_n(&config->is_used, __ATOMIC_ACQUIRE))
		return rota__tls_problem(config, -EBUSY, NULL,
			"it is in use, so it cannot be changed");
	return 0;
}

static int
read_all(int fd, char *text, size_t size, size_t *ret_len)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size) {
		n = rota__sys.read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			len += (size_t)n;
	}
	*ret_len = len;
	return n < 0 ? -errno : 0;
}

/* Of one that is open. A key that everybody may read is none any more. */
static int
read_open(int fd, bool is_key, mode_t *ret_mode, char **ret_text, size_t *ret_len)
{
	struct stat status;
	char *text;
	int r;

	if (rota__sys.fstat(fd, &status) < 0)
		return -errno;
	*ret_mode = status.st_mode;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (is_key && (status.st_mode & S_IRWXO) != 0)
		return -EPERM;
	if (status.st_size > FILE_LIMIT)
		return -EFBIG;
	/* What is no regular file tells no size. */
	if (!S_ISREG(status.st_mode))
		status.st_size = 1 << 20;
	text = rota__malloc((size_t)status.st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	r = read_all(fd, text, (size_t)status.st_size, ret_len);
	if (r < 0) {
		OPENSSL_cleanse(text, (size_t)status.st_size);
		rota__free(text);
		return r;
	}
	text[*ret_len] = '\0';
	*ret_text = text;
	return 0;
}

int
rota__tls_read_file(const char *path, bool is_key, mode_t *ret_mode, char **ret_text,
	size_t *ret_len)
{
	int fd = rota__sys.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = read_open(fd, is_key, ret_mode, ret_text, ret_len);
	rota__sys.close(fd);
	return r;
}

void
rota__tls_identify(struct rota_tls_config *config, const void *bytes, size_t len)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	/* Without it what was before is resumed: that is no more than was believed before. */
	if (digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
		EVP_DigestUpdate(digest, config->identity, sizeof config->identity) == 1 &&
		EVP_DigestUpdate(digest, bytes, len) == 1)
		(void)EVP_DigestFinal_ex(digest, config->identity, NULL);
	EVP_MD_CTX_free(digest);
	(void)SSL_CTX_set_session_id_context(config->ssl, config->identity,
		sizeof config->identity);
}

/* The first of the server's own that the client offers; an alert if there is none. */
static int
choose_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
	const unsigned char *offered, unsigned offered_len, void *userdata)
{
	const struct rota_tls_config *config = userdata;
	unsigned char *name;

	(void)ssl;
	if (config->alpn == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	if (SSL_select_next_proto(&name, ret_len, config->alpn, config->alpn_len, offered,
		    offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_name = name;
	return SSL_TLSEXT_ERR_OK;
}

/* Having one makes OpenSSL tell the client that its name was understood. */
static int
note_name(SSL *ssl, int *alert, void *userdata)
{
	(void)ssl;
	(void)alert;
	(void)userdata;
	return SSL_TLSEXT_ERR_OK;
}

static bool
set_defaults(struct rota_tls_config *config, SSL_CTX *ssl)
{
	SSL_CTX_set_options(ssl,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
			SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_mode(ssl,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
	SSL_CTX_set_read_ahead(ssl, 0); /* the BIO does */
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_timeout(ssl, SESSION_SECONDS);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, rota__tls_session_new);
	SSL_CTX_set_cert_cb(ssl, rota__tls_choose_certificate, config);
	SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, config);
	SSL_CTX_set_tlsext_servername_callback(ssl, note_name);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, rota__tls_ticket_key);
	return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
		SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_cipher_list(ssl, SUITES_1_2) == 1 &&
		SSL_CTX_set_ciphersuites(ssl, SUITES_1_3) == 1 &&
		SSL_CTX_set1_groups_list(ssl, GROUPS) == 1;
}

int
rota_tls_config_new(struct rota_tls_config **ret_config)
{
	struct rota_tls_config *config = rota__calloc(sizeof *config);

	if (config == NULL)
		return -ENOMEM;
	config->references = 1;
	pthread_mutex_init(&config->lock, NULL);
	ERR_clear_error();
	config->ssl = SSL_CTX_new(TLS_method());
	config->tickets = rota__tls_tickets_new();
	config->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (config->ssl == NULL || config->tickets == NULL || config->ticket_cipher == NULL ||
		SSL_CTX_set_app_data(config->ssl, config) != 1 ||
		!set_defaults(config, config->ssl)) {
		ERR_clear_error();
		rota_tls_config_unref(config);
		return -ENOMEM;
	}
	rota__tls_identify(config, "", 0);
	*ret_config = config;
	return 0;
}

int
rota_tls_config_load(const char *certificate_path, const char *key_path,
	struct rota_tls_config **ret_config)
{
	struct rota_tls_config *config;
	int r = rota_tls_config_new(&config);

	if (r < 0)
		return r;
	r = rota_tls_config_add_certificate(config, certificate_path, key_path);
	if (r < 0)
		rota_tls_config_unref(config);
	else
		*ret_config = config;
	return r;
}

struct rota_tls_config *
rota_tls_config_ref(struct rota_tls_config *config)
{
	__atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
	return config;
}

struct rota_tls_config *
rota__tls_config_take(struct rota_tls_config *config)
{
	if (config == NULL)
		return NULL;
	__atomic_store_n(&config->is_used, true, __ATOMIC_RELEASE);
	return rota_tls_config_ref(config);
}

void
rota_tls_config_unref(struct rota_tls_config *config)
{
	if (config == NULL || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	SSL_CTX_free(config->ssl);
	rota__tls_certificates_free(config);
	rota__tls_sessions_free(config);
	rota__tls_tickets_free(config->tickets);
	EVP_CIPHER_free(config->ticket_cipher);
	for (size_t i = 0; i < config->peer_name_count; i++)
		rota__free(config->peer_names[i]);
	rota__free(config->peer_names);
	rota__free(config->alpn);
	pthread_mutex_destroy(&config->lock);
	rota__free(config);
}

const char *
rota_tls_config_problem(const struct rota_tls_config *config)
{
	return config->problem;
}

bool
rota__tls_config_serves(const struct rota_tls_config *config)
{
	return config->certificate_count > 0 && (!config->asks_peer || config->has_authorities);
}

bool
rota__tls_config_needs_name(const struct rota_tls_config *config)
{
	return !config->is_insecure && !config->is_nameless;
}

/* Writes the names as on the wire, each behind its length. -EINVAL for one that is none. */
static int
pack_alpn(const char *protocols, unsigned char *packed)
{
	for (;;) {
		size_t len = strcspn(protocols, ",");

		if (len == 0 || len > 255)
			return -EINVAL;
		*packed++ = (unsigned char)len;
		memcpy(packed, protocols, len);
		packed += len;
		protocols += len;
		if (*protocols == '\0')
			return 0;
		protocols++;
	}
}

int
rota_tls_config_set_alpn(struct rota_tls_config *config, const char *protocols)
{
	size_t len = strlen(protocols) + 1;
	unsigned char *packed;
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	if (len > 4096)
		return rota__tls_problem(config, -EINVAL, NULL, "the protocols for ALPN");
	packed = rota__malloc(len);
	if (packed == NULL)
		return -ENOMEM;
	r = pack_alpn(protocols, packed);
	/* For clients; it returns 0 when all is well, unlike the rest of OpenSSL. */
	if (r >= 0 && SSL_CTX_set_alpn_protos(config->ssl, packed, (unsigned)len) != 0)
		r = -ENOMEM;
	if (r < 0) {
		rota__free(packed);
		return rota__tls_problem(config, r, NULL, "the protocols for ALPN");
	}
	rota__free(config->alpn);
	config->alpn = packed;
	config->alpn_len = (unsigned)len;
	return 0;
}

int
rota_tls_config_set_versions(struct rota_tls_config *config, enum rota_tls_version lowest,
	enum rota_tls_version highest)
{
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	if (lowest < ROTA_TLS_1_2 || highest > ROTA_TLS_1_3 || lowest > highest)
		return rota__tls_problem(config, -EINVAL, NULL, "the versions of TLS");
	SSL_CTX_set_min_proto_version(config->ssl, lowest);
	SSL_CTX_set_max_proto_version(config->ssl, highest);
	return 0;
}

/* What is added to the identity by a word of its own, and noted. */
static int
set_flag(struct rota_tls_config *config, bool *flag, const char *word)
{
	int r = rota__tls_change(config);

	if (r < 0)
		return r;
	if (!*flag)
		rota__tls_identify(config, word, strlen(word));
	*flag = true;
	return 0;
}

int
rota_tls_config_require_peer(struct rota_tls_config *config)
{
	return set_flag(config, &config->asks_peer, "require peer");
}

int
rota_tls_config_insecure_no_verification(struct rota_tls_config *config)
{
	return set_flag(config, &config->is_insecure, "no verification");
}

int
rota_tls_config_insecure_no_name(struct rota_tls_config *config)
{
	return set_flag(config, &config->is_nameless, "no name");
}
