/* SPDX-License-Identifier: MIT */
/*
 * Beginning TLS on a stream, from its start or later, and what became of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "allocator.h"
#include "listener.h"
#include "tls_config.h"

static int
need_shared(struct rota_context *ctx)
{
	struct rota__tcp *tcp = rota__tcp(ctx);

	if (tcp->tls == NULL)
		tcp->tls = rota__calloc(sizeof *tcp->tls);
	return tcp->tls != NULL ? 0 : -ENOMEM;
}

void
rota__tls_shared_free(struct rota__tcp *tcp)
{
	rota__free(tcp->tls);
	tcp->tls = NULL;
}

/* Gives it what OpenSSL needs. 0 or a negative error. */
static int
set_up(struct rota__tls *tls, enum rota_tls_role role, const char *name)
{
	size_t size;
	BIO *bio;
	int r;

	tls->ssl = SSL_new(tls->config->ssl);
	bio = tls->ssl != NULL ? rota__tls_bio_new(tls) : NULL;
	if (bio == NULL)
		return -ENOMEM;
	SSL_set_bio(tls->ssl, bio, bio);
	r = rota__tls_verify(tls->config, tls->ssl, role, name);
	if (r < 0)
		return r;
	if (role == ROTA_TLS_SERVER) {
		SSL_set_accept_state(tls->ssl);
		return 0;
	}
	SSL_set_connect_state(tls->ssl);
	if (name == NULL)
		return 0;
	size = strlen(name) + 1;
	tls->name = rota__malloc(size);
	if (tls->name == NULL)
		return -ENOMEM;
	memcpy(tls->name, name, size);
	rota__tls_session_use(tls->config, tls->ssl, name);
	return 0;
}

static int
make(struct rota_stream *stream, struct rota_tls_config *config, enum rota_tls_role role,
	const char *name, struct rota__tls **ret_tls)
{
	struct rota__tls *tls;
	int r = need_shared(stream->ctx);

	if (r < 0)
		return r;
	tls = rota__calloc(sizeof *tls);
	if (tls == NULL)
		return -ENOMEM;
	tls->transport.ops = &rota__tls_ops;
	tls->stream = stream;
	tls->config = rota__tls_config_take(config);
	tls->is_client = role == ROTA_TLS_CLIENT;
	ERR_clear_error();
	r = set_up(tls, role, name);
	ERR_clear_error();
	if (r < 0) {
		rota__tls_free(tls);
		return r;
	}
	*ret_tls = tls;
	return 0;
}

/* From here on it shakes hands, within its time. */
static void
begin(struct rota_stream *stream, struct rota__tls *tls)
{
	tls->is_shaking = true;
	if (!tls->is_client)
		stream->options->handshakes++;
	stream->transport = &tls->transport;
	stream->state = ROTA__CONNECTING;
	stream->phase = ROTA_PHASE_HANDSHAKE;
}

static void
limit_time(struct rota_stream *stream)
{
	stream->deadline = rota__time_add(rota_context_now(stream->ctx),
		stream->options->values.handshake_timeout);
	rota__stream_due_by(stream, stream->deadline);
}

int
rota__tls_begin(struct rota_stream *stream, struct rota_tls_config *config, enum rota_tls_role role,
	const char *name)
{
	struct rota__tls *tls;
	int r = make(stream, config, role, name, &tls);

	if (r < 0)
		return r;
	begin(stream, tls);
	if (role == ROTA_TLS_CLIENT)
		limit_time(stream);
	return 0;
}

static int
check_start(const struct rota_stream *stream, const struct rota_tls_config *config,
	enum rota_tls_role role, const char *name)
{
	if ((stream->flags & ROTA__OPENING) == 0 && stream->transport->ops == &rota__tls_ops)
		return -EALREADY;
	if (stream->state != ROTA__OPEN || (stream->flags & (ROTA__FAILED | ROTA__ENDING)) != 0)
		return -ENOTCONN;
	if ((stream->flags & ROTA__RELAYED) != 0)
		return -EBUSY;
	if (role == ROTA_TLS_SERVER)
		return name == NULL && rota__tls_config_serves(config) ? 0 : -EINVAL;
	if (name == NULL)
		return rota__tls_config_needs_name(config) ? -EINVAL : 0;
	return rota__tls_check_name(name);
}

int
rota_stream_start_tls(struct rota_stream *stream, struct rota_tls_config *config,
	enum rota_tls_role role, const char *name)
{
	struct rota__tls *tls;
	int r = check_start(stream, config, role, name);

	if (r >= 0)
		r = make(stream, config, role, name, &tls);
	if (r < 0)
		return r;
	rota__output_write_gathered(stream);
	if ((stream->flags & ROTA__FAILED) != 0) {
		rota__tls_free(tls); /* on_close tells what that write met */
		return 0;
	}
	tls->plain_left = rota_stream_unsent(stream);
	begin(stream, tls);
	limit_time(stream);
	rota__stream_make_busy(stream);
	return 0;
}

/* Writes a name, and what separates it from those before. */
static bool
put_name(const char *kind, const char *name, size_t len, void *userdata)
{
	static const char hex[] = "0123456789abcdef";
	struct rota_tls_info *info = userdata;
	size_t used = strlen(info->names);
	size_t start = used;
	size_t size = sizeof info->names;

	if (strcmp(kind, "cn") == 0 && used > 0)
		return true; /* the others are meant instead */
	used += (size_t)snprintf(info->names + used, size - used, "%s%s:", used > 0 ? "," : "",
		kind);
	for (size_t i = 0; i < len && used + 5 < size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c > ' ' && c <= '~' && c != ',' && c != '\\') {
			info->names[used++] = (char)c;
			continue;
		}
		memcpy(info->names + used, (char[4]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
		used += 4;
	}
	if (used + 5 >= size) {
		info->names[start] = '\0'; /* half a name would be another */
		return false;
	}
	info->names[used] = '\0';
	return true;
}

static void
copy_text(char *to, size_t size, const char *text, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(to, text, len);
	to[len] = '\0';
}

int
rota_tls_info(const struct rota_stream *stream, struct rota_tls_info *ret_info)
{
	struct rota_tls_info info = { .version = "", .cipher = "" };
	const unsigned char *alpn;
	const char *sni;
	unsigned len;
	SSL *ssl;
	X509 *peer;

	if ((stream->flags & ROTA__OPENING) != 0)
		return -ENOTCONN;
	if (stream->transport->ops != &rota__tls_ops)
		return -ENOTSUP;
	ssl = rota__tls_of(stream)->ssl;
	if (!SSL_is_init_finished(ssl))
		return -ENOTCONN;
	info.version = SSL_get_version(ssl);
	info.cipher = SSL_get_cipher_name(ssl);
	info.is_resumed = SSL_session_reused(ssl) == 1;
	SSL_get0_alpn_selected(ssl, &alpn, &len);
	if (len > 0)
		copy_text(info.alpn, sizeof info.alpn, (const char *)alpn, len);
	sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (sni != NULL)
		copy_text(info.sni, sizeof info.sni, sni, strlen(sni));
	peer = SSL_get0_peer_certificate(ssl);
	info.is_verified = peer != NULL && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0 &&
		SSL_get_verify_result(ssl) == X509_V_OK;
	if (peer != NULL)
		rota__tls_each_name(peer, put_name, &info);
	ERR_clear_error();
	*ret_info = info;
	return 0;
}
