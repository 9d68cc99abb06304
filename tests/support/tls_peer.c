/* SPDX-License-Identifier: MIT */
/*
 * Peers of TLS: see tls_peer.h.
 */
#include "tls_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>

#include "fixture.h"

#define AES128_SUITE "TLS_AES_128_GCM_SHA256"

static struct tls_peer *
peer_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

static void
on_info(const SSL *ssl, int where, int value)
{
	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		peer_of(ssl)->alert = value;
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_peer *peer = peer_of(ssl);

	SSL_SESSION_free(peer->session);
	peer->session = session;
	peer->tickets++;
	return 1;
}

static unsigned
hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Lines of "LABEL RANDOM SECRET", in hexadecimal. */
static void
on_keylog(const SSL *ssl, const char *line)
{
	struct tls_peer *peer = peer_of(ssl);
	const char *label =
		SSL_is_server(ssl) ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
	const char *hex = strrchr(line, ' ') + 1;

	if (strncmp(line, label, strlen(label)) != 0)
		return;
	peer->secret_len = strlen(hex) / 2;
	assert_true(peer->secret_len <= sizeof peer->secret);
	for (size_t i = 0; i < peer->secret_len; i++)
		peer->secret[i] =
			(unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
}

static int
on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *len, const unsigned char *offered,
	unsigned int offered_len, void *arg)
{
	const unsigned char *first = arg;

	(void)ssl;
	(void)offered;
	(void)offered_len;
	*chosen = first + 1;
	*len = first[0];
	return SSL_TLSEXT_ERR_OK;
}

static int
believe(int is_good, X509_STORE_CTX *store)
{
	(void)is_good;
	(void)store;
	return 1;
}

static void
show(SSL_CTX *context, const struct certificate *certificate)
{
	BIO *bio = BIO_new_mem_buf(certificate->pem, -1);
	X509 *issuer;

	assert_int_equal(SSL_CTX_use_certificate(context, certificate->x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, certificate->key), 1);
	X509_free(PEM_read_bio_X509(bio, NULL, NULL, NULL));
	while ((issuer = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		assert_int_equal(SSL_CTX_add0_chain_cert(context, issuer), 1);
	ERR_clear_error();
	BIO_free(bio);
}

static void
set_trust(SSL_CTX *context, const struct tls_peer_wish *wish)
{
	if (wish->verifies) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
			certificate_of(CERTIFICATE_CA)->x509);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	} else {
		SSL_CTX_set_verify(context, wish->asks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
			wish->asks ? believe : NULL);
	}
}

static void
set_alpn(SSL_CTX *context, const struct tls_peer_wish *wish)
{
	const unsigned char *protocols = (const unsigned char *)wish->alpn;

	if (wish->alpn == NULL)
		return;
	if (wish->is_server)
		SSL_CTX_set_alpn_select_cb(context, on_alpn, (void *)wish->alpn);
	else
		assert_int_equal(SSL_CTX_set_alpn_protos(context, protocols,
					 (unsigned)strlen(wish->alpn)),
			0);
}

static SSL_CTX *
make_context(const struct tls_peer_wish *wish)
{
	SSL_CTX *context = SSL_CTX_new(wish->is_server ? TLS_server_method() : TLS_client_method());
	const struct certificate *certificate = wish->certificate;

	assert_non_null(context);
	SSL_CTX_set_security_level(context, wish->is_lax ? 0 : 1);
	SSL_CTX_set_min_proto_version(context, wish->lowest);
	SSL_CTX_set_max_proto_version(context, wish->highest);
	if (certificate == NULL && wish->is_server)
		certificate = certificate_of(CERTIFICATE_SERVER);
	if (certificate != NULL)
		show(context, certificate);
	set_trust(context, wish);
	set_alpn(context, wish);
	if (wish->ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(context, wish->ciphers), 1);
	assert_int_equal(SSL_CTX_set_ciphersuites(context, AES128_SUITE ":TLS_AES_256_GCM_SHA384"),
		1);
	if (wish->groups != NULL)
		assert_int_equal(SSL_CTX_set1_groups_list(context, wish->groups), 1);
	SSL_CTX_set_info_callback(context, on_info);
	SSL_CTX_set_keylog_callback(context, on_keylog);
	if (!wish->is_server) {
		SSL_CTX_set_session_cache_mode(context,
			SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(context, on_session);
	}
	return context;
}

void
tls_peer_open(struct tls_peer *peer, int fd, const struct tls_peer_wish *wish)
{
	static const struct tls_peer_wish none;

	if (wish == NULL)
		wish = &none;
	*peer = (struct tls_peer){ .fd = fd, .limit = SIZE_MAX };
	if (wish->context != NULL)
		SSL_CTX_up_ref(wish->context);
	peer->context = wish->context != NULL ? wish->context : make_context(wish);
	peer->ssl = SSL_new(peer->context);
	peer->in = BIO_new(BIO_s_mem());
	peer->out = BIO_new(BIO_s_mem());
	assert_true(peer->ssl != NULL && peer->in != NULL && peer->out != NULL);
	SSL_set_bio(peer->ssl, peer->in, peer->out);
	SSL_set_app_data(peer->ssl, peer);
	/* Without these bytes nothing has come, which is not the end. */
	BIO_set_mem_eof_return(peer->in, -1);
	if (wish->is_server)
		SSL_set_accept_state(peer->ssl);
	else
		SSL_set_connect_state(peer->ssl);
	if (wish->sni != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(peer->ssl, wish->sni), 1);
	if (wish->session != NULL)
		assert_int_equal(SSL_set_session(peer->ssl, wish->session), 1);
}

void
tls_peer_fini(struct tls_peer *peer)
{
	tls_peer_close(peer);
	SSL_SESSION_free(peer->session);
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->context);
	free(peer->received);
	*peer = (struct tls_peer){ .fd = -1 };
}

/* Stepping */

static bool
receive(struct tls_peer *peer)
{
	unsigned char bytes[16384];
	bool has_moved = false;
	ssize_t n;

	while (peer->fd >= 0 && !peer->saw_fin && peer->end != TLS_PEER_RESET) {
		n = recv(peer->fd, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EAGAIN)
			break;
		has_moved = true;
		if (n < 0 && peer->end != TLS_PEER_FAILED)
			peer->end = TLS_PEER_RESET;
		if (n == 0)
			peer->saw_fin = true;
		if (n <= 0)
			break;
		peer->wire_in += (uint64_t)n;
		assert_int_equal(BIO_write(peer->in, bytes, (int)n), n);
	}
	return has_moved;
}

static void
keep(struct tls_peer *peer, const char *bytes, size_t len)
{
	if (!peer->forgets) {
		peer->received = realloc(peer->received, peer->received_len + len);
		assert_non_null(peer->received);
		memcpy(peer->received + peer->received_len, bytes, len);
	}
	peer->received_len += len;
}

/* What a call of OpenSSL's that moved nothing means. */
static void
note(struct tls_peer *peer, int r)
{
	switch (SSL_get_error(peer->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return;
	case SSL_ERROR_ZERO_RETURN:
		if (peer->end == TLS_PEER_OPEN)
			peer->end = TLS_PEER_NOTIFIED;
		return;
	default:
		peer->error = ERR_peek_error();
		if (peer->end == TLS_PEER_OPEN)
			peer->end = TLS_PEER_FAILED;
	}
}

static bool
read_all_of(struct tls_peer *peer)
{
	char bytes[16384];
	bool has_moved = false;
	int n;

	ERR_clear_error();
	while ((n = SSL_read(peer->ssl, bytes, sizeof bytes)) > 0) {
		keep(peer, bytes, (size_t)n);
		has_moved = true;
	}
	note(peer, n);
	peer->is_open |= SSL_is_init_finished(peer->ssl) == 1;
	return has_moved;
}

bool
tls_peer_step(struct tls_peer *peer)
{
	size_t waiting;
	bool has_moved;

	if (peer->ssl == NULL)
		return false;
	waiting = BIO_ctrl_pending(peer->out);
	has_moved = !peer->reads_none && receive(peer);

	if (!peer->reads_none && (peer->end == TLS_PEER_OPEN || peer->end == TLS_PEER_RESET))
		has_moved |= read_all_of(peer);
	if (peer->saw_fin && peer->end == TLS_PEER_OPEN)
		peer->end = TLS_PEER_ENDED;
	has_moved |= BIO_ctrl_pending(peer->out) != waiting;
	waiting = BIO_ctrl_pending(peer->out);
	(void)tls_peer_flush(peer);
	return has_moved || BIO_ctrl_pending(peer->out) != waiting;
}

/* Forgets the first n bytes of what is to go. */
static void
drop(struct tls_peer *peer, size_t n)
{
	char sink[16384];

	while (n > 0)
		n -= (size_t)BIO_read(peer->out, sink, (int)(n < sizeof sink ? n : sizeof sink));
}

bool
tls_peer_flush(struct tls_peer *peer)
{
	while (!peer->holds && peer->fd >= 0 && BIO_ctrl_pending(peer->out) > 0) {
		size_t room = peer->limit > peer->wire_out ? peer->limit - peer->wire_out : 0;
		char *bytes;
		size_t len = (size_t)BIO_get_mem_data(peer->out, &bytes);
		ssize_t n = send(peer->fd, bytes, len < room ? len : room, MSG_NOSIGNAL);

		if (room == 0 || (n < 0 && errno == EAGAIN))
			return false;
		/* Of one that is cut off, nothing will ever go. */
		if (n < 0)
			n = (ssize_t)len;
		peer->wire_out += (size_t)n;
		drop(peer, (size_t)n);
	}
	return BIO_ctrl_pending(peer->out) == 0;
}

void
tls_peer_send(struct tls_peer *peer, const void *bytes, size_t len)
{
	assert_int_equal(SSL_write(peer->ssl, bytes, (int)len), len);
	peer->sent += len;
	(void)tls_peer_flush(peer);
}

unsigned char *
tls_peer_take(struct tls_peer *peer, size_t *ret_len)
{
	size_t len = BIO_ctrl_pending(peer->out);
	unsigned char *bytes = malloc(len + 1);

	assert_non_null(bytes);
	if (len > 0)
		assert_int_equal(BIO_read(peer->out, bytes, (int)len), len);
	*ret_len = len;
	return bytes;
}

void
tls_peer_put(struct tls_peer *peer, const void *bytes, size_t len)
{
	assert_int_equal(send(peer->fd, bytes, len, MSG_NOSIGNAL), len);
}

void
tls_peer_notify(struct tls_peer *peer)
{
	ERR_clear_error();
	assert_true(SSL_shutdown(peer->ssl) >= 0);
	(void)tls_peer_flush(peer);
}

void
tls_peer_end(struct tls_peer *peer)
{
	(void)tls_peer_flush(peer);
	assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
}

void
tls_peer_reset(struct tls_peer *peer)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	tls_peer_close(peer);
}

void
tls_peer_close(struct tls_peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

void
tls_peer_update_keys(struct tls_peer *peer, bool is_requested)
{
	assert_int_equal(SSL_key_update(peer->ssl,
				 is_requested ? SSL_KEY_UPDATE_REQUESTED
					      : SSL_KEY_UPDATE_NOT_REQUESTED),
		1);
	assert_int_equal(SSL_do_handshake(peer->ssl), 1);
	(void)tls_peer_flush(peer);
}

/* Forging: RFC 8446, 5.2, 5.3, 7.1 and 7.3 */

static void
expand(const struct tls_peer *peer, const char *label, unsigned char *out, size_t len)
{
	EVP_PKEY_CTX *hkdf = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	unsigned char info[32] = { 0, (unsigned char)len, (unsigned char)(6 + strlen(label)) };
	size_t info_len = 3;

	memcpy(info + info_len, "tls13 ", 6);
	info_len += 6;
	memcpy(info + info_len, label, strlen(label));
	info_len += strlen(label) + 1;
	assert_true(hkdf != NULL && EVP_PKEY_derive_init(hkdf) == 1);
	EVP_PKEY_CTX_set_hkdf_mode(hkdf, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY);
	EVP_PKEY_CTX_set_hkdf_md(hkdf, EVP_sha256());
	EVP_PKEY_CTX_set1_hkdf_key(hkdf, peer->secret, (int)peer->secret_len);
	EVP_PKEY_CTX_add1_hkdf_info(hkdf, info, (int)info_len);
	assert_int_equal(EVP_PKEY_derive(hkdf, out, &len), 1);
	EVP_PKEY_CTX_free(hkdf);
}

static void
seal(const unsigned char key[16], const unsigned char nonce[12], unsigned char *record,
	const unsigned char *inner, size_t len)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	int n;

	assert_non_null(cipher);
	assert_int_equal(EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(cipher, NULL, &n, record, 5), 1);
	assert_int_equal(EVP_EncryptUpdate(cipher, record + 5, &n, inner, (int)len), 1);
	assert_int_equal(n, len);
	assert_int_equal(EVP_EncryptFinal_ex(cipher, record + 5 + len, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, record + 5 + len),
		1);
	EVP_CIPHER_CTX_free(cipher);
}

size_t
tls_peer_forge(const struct tls_peer *peer, uint64_t sequence, unsigned char type,
	const void *content, size_t len, size_t padding, unsigned char *out)
{
	size_t inner_len = len + 1 + padding;
	unsigned char *inner = calloc(1, inner_len);
	unsigned char key[16];
	unsigned char nonce[12];

	assert_non_null(inner);
	assert_string_equal(SSL_get_cipher_name(peer->ssl), AES128_SUITE);
	expand(peer, "key", key, sizeof key);
	expand(peer, "iv", nonce, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (unsigned char)(sequence >> 8 * i);
	if (len > 0)
		memcpy(inner, content, len);
	inner[len] = type;
	out[0] = 23;
	out[1] = 3;
	out[2] = 3;
	out[3] = (unsigned char)((inner_len + 16) >> 8);
	out[4] = (unsigned char)(inner_len + 16);
	seal(key, nonce, out, inner, inner_len);
	free(inner);
	return inner_len + 16 + 5;
}
