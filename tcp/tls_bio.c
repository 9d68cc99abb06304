/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL's way to the socket: a BIO that goes through sys, so that there is no SIGPIPE and tests
 * can fail each call. More is taken from the socket than OpenSSL asks for, into a buffer that all
 * streams of the context share; what is not used up when OpenSSL is done with this stream is kept
 * with it (rota__tls_keep_ahead).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <openssl/err.h>

#include "allocator.h"
#include "tls_config.h"

/* 0 when there is nothing, with the reason noted. */
static size_t
take(struct rota__tls *tls, size_t size)
{
	const struct rota_sys_ops *sys = tls->stream->ctx->sys;
	struct rota__tls_shared *shared = rota__tls_shared(tls->stream);
	ssize_t n;

	/* Once in each call of OpenSSL, or a peer could keep it busy with what is no data. */
	if (tls->is_ended || tls->is_drained)
		return 0;
	tls->is_drained = true;
	do
		n = sys->recv(tls->stream->target.fd, shared->raw, size, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		tls->error = -errno;
	if (n == 0)
		tls->is_ended = true;
	shared->raw_start = 0;
	shared->raw_end = n > 0 ? (size_t)n : 0;
	return shared->raw_end;
}

static size_t
read_ahead(struct rota__tls *tls, char *bytes, size_t size)
{
	size_t left = tls->ahead_end - tls->ahead_start;
	size_t n = size < left ? size : left;

	memcpy(bytes, tls->ahead + tls->ahead_start, n);
	tls->ahead_start += n;
	if (n == left) {
		rota__free(tls->ahead);
		tls->ahead = NULL;
		tls->ahead_start = tls->ahead_end = 0;
	}
	return n;
}

static int
bio_read(BIO *bio, char *bytes, size_t size, size_t *ret_n)
{
	struct rota__tls *tls = BIO_get_data(bio);
	struct rota__tls_shared *shared = rota__tls_shared(tls->stream);
	size_t left = shared->raw_end - shared->raw_start;

	BIO_clear_retry_flags(bio);
	if (tls->ahead != NULL) {
		*ret_n = read_ahead(tls, bytes, size);
		return 1;
	}
	if (left == 0)
		left = take(tls, ROTA__TLS_RAW);
	if (left == 0) {
		if (!tls->is_ended && tls->error == 0)
			BIO_set_retry_read(bio);
		*ret_n = 0;
		return 0;
	}
	*ret_n = size < left ? size : left;
	memcpy(bytes, shared->raw + shared->raw_start, *ret_n);
	shared->raw_start += *ret_n;
	return 1;
}

/* As send, but a negative error. */
static ssize_t
send_bytes(const struct rota__tls *tls, const char *bytes, size_t size)
{
	const struct rota_sys_ops *sys = tls->stream->ctx->sys;
	ssize_t n;

	do
		n = sys->send(tls->stream->target.fd, bytes, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int
rota__tls_flush(struct rota__tls *tls)
{
	while (tls->held != NULL) {
		ssize_t n = send_bytes(tls, tls->held + tls->held_start,
			tls->held_end - tls->held_start);

		if (n < 0)
			return (int)n;
		tls->held_start += (size_t)n;
		if (tls->held_start < tls->held_end)
			continue;
		rota__free(tls->held);
		tls->held = NULL;
		tls->held_start = tls->held_end = 0;
	}
	return 0;
}

/*
 * Holds the rest of a record, behind what TLS itself had to say before it. Without memory OpenSSL
 * does, which then can say nothing else.
 */
static bool
hold(struct rota__tls *tls, const char *bytes, size_t size)
{
	char *held = rota__realloc(tls->held, tls->held_end + size);

	if (held == NULL)
		return false;
	memcpy(held + tls->held_end, bytes, size);
	tls->held = held;
	tls->held_end += size;
	return true;
}

/*
 * OpenSSL is not left with a part of a record, since it could not answer the peer in between (a key
 * update, say) and would fail.
 */
static int
bio_write(BIO *bio, const char *bytes, size_t size, size_t *ret_n)
{
	struct rota__tls *tls = BIO_get_data(bio);
	ssize_t n = rota__tls_flush(tls);

	BIO_clear_retry_flags(bio);
	if (n >= 0)
		n = send_bytes(tls, bytes, size);
	*ret_n = n > 0 ? (size_t)n : 0;
	if (n < 0 && n != -EAGAIN) {
		/* OpenSSL has failed already: it is an alert, and what that tells of came first. */
		if (ERR_peek_error() == 0)
			tls->error = (int)n;
		return 0;
	}
	if (tls->is_writing && *ret_n < size && hold(tls, bytes + *ret_n, size - *ret_n))
		*ret_n = size;
	if (*ret_n == 0)
		BIO_set_retry_write(bio);
	return *ret_n > 0;
}

static long
bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct rota__tls *tls = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return tls->is_ended;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void
make_method(void)
{
	int type = BIO_get_new_index();

	method = type > 0 ? BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "rota stream") : NULL;
	if (method == NULL)
		return;
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_control);
}

BIO *
rota__tls_bio_new(struct rota__tls *tls)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, make_method);
	bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	return bio;
}

bool
rota__tls_has_input(const struct rota__tls *tls)
{
	const struct rota__tls_shared *shared = rota__tls_shared(tls->stream);

	return shared->raw_start < shared->raw_end || tls->ahead != NULL ||
		SSL_pending(tls->ssl) > 0;
}

int
rota__tls_keep_ahead(struct rota__tls *tls)
{
	struct rota__tls_shared *shared = rota__tls_shared(tls->stream);
	size_t left = shared->raw_end - shared->raw_start;
	size_t kept = tls->ahead_end - tls->ahead_start;
	char *ahead;

	if (left == 0)
		return 0;
	/* Nothing is taken from the socket before what was kept is used up. */
	assert(kept == 0);
	ahead = rota__malloc(left);
	if (ahead != NULL)
		memcpy(ahead, shared->raw + shared->raw_start, left);
	shared->raw_start = shared->raw_end = 0;
	if (ahead == NULL)
		return -ENOMEM;
	tls->ahead = ahead;
	tls->ahead_start = 0;
	tls->ahead_end = left;
	return 0;
}
