/* SPDX-License-Identifier: MIT */
/*
 * The TLS transport. Each of its calls enters OpenSSL with an empty error queue, and leaves it with
 * one answer (outcome), which says what is waited for. Reading goes on until all that was taken
 * from the socket is used up, or there is no room; only in the second case is the stream ready
 * without the kernel saying so.
 */
#include "tls_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "allocator.h"
#include "listener.h"

static void
enter(struct rota__tls *tls)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error(); /* which is dear, and mostly there is none */
	tls->is_drained = false;
	tls->error = 0;
}

/*
 * OpenSSL's reason: the first, unless it is that of a certificate, which comes last, behind what
 * went wrong with it.
 */
static unsigned long
failure(void)
{
	unsigned long last = ERR_peek_last_error();

	return ERR_GET_REASON(last) == SSL_R_CERTIFICATE_VERIFY_FAILED ? last : ERR_peek_error();
}

/* OpenSSL must not be called again. Returns the error. */
static int
fail(struct rota__tls *tls)
{
	tls->has_failed = true;
	if (tls->error == 0 && tls->is_ended) {
		tls->error = -ROTA_ETRUNCATED;
	} else if (tls->error == 0) {
		tls->reason = failure();
		tls->error = -ROTA_ETLS;
		if (ERR_GET_REASON(tls->reason) == ERR_R_MALLOC_FAILURE)
			tls->error = -ENOMEM;
	}
	ERR_clear_error();
	return tls->error;
}

/*
 * What a call that returned r came to: 0 at the peer's end, -EAGAIN with what it waits for noted in
 * *wants_other, whose direction is not the call's own, or another negative error.
 */
static int
outcome(struct rota__tls *tls, int r, int own, bool *wants_other)
{
	int want = SSL_get_error(tls->ssl, r);

	*wants_other = false;
	switch (want) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		*wants_other = want != own;
		return -EAGAIN;
	default:
		return fail(tls);
	}
}

/* Leaves OpenSSL with r, or with what keeping input that was not used fails with. */
static int
leave(struct rota__tls *tls, int r)
{
	int kept = rota__tls_keep_ahead(tls);

	if (kept < 0) {
		tls->has_failed = true;
		tls->error = kept;
	}
	return kept < 0 ? kept : r;
}

/* No longer one of the handshakes that are under way. */
static void
note_shaken(struct rota__tls *tls)
{
	if (!tls->is_shaking)
		return;
	tls->is_shaking = false;
	if (!tls->is_client)
		rota__listeners_handshake_over(tls->stream->ctx, tls->stream->options);
}

/* Writes what was sent before TLS began. Whether that is done. */
static bool
is_flushed(struct rota__tls *tls)
{
	if (tls->plain_left > 0)
		rota__output_flush(tls->stream);
	if (tls->plain_left > 0)
		return false;
	/* It is what follows that may not be written yet. */
	tls->stream->flags &= (uint16_t)~ROTA__BLOCKED;
	return true;
}

/* What was read and not taken before TLS began is where TLS begins. 0 or -ENOMEM. */
static int
take_kept(struct rota__tls *tls)
{
	struct rota__input *input = tls->stream->input;

	if (input == NULL || input->len == 0)
		return 0;
	tls->ahead = rota__malloc(input->len);
	if (tls->ahead == NULL)
		return -ENOMEM;
	memcpy(tls->ahead, input->bytes + input->start, input->len);
	tls->ahead_end = input->len;
	input->start = input->len = 0;
	if (input->need <= 1)
		rota__input_free(tls->stream);
	return 0;
}

static int
tls_shake(struct rota_stream *stream)
{
	struct rota__tls *tls = rota__tls_of(stream);
	int r;

	if (!tls->is_shaking)
		return 1;
	if (!is_flushed(tls))
		return (stream->flags & ROTA__FAILED) != 0 ? stream->error : 0;
	r = take_kept(tls);
	if (r < 0)
		return r;
	enter(tls);
	r = SSL_do_handshake(tls->ssl);
	if (r != 1) {
		r = outcome(tls, r, SSL_ERROR_WANT_READ, &tls->read_wants_write);
		r = r == 0 ? -ROTA_ETRUNCATED : r;
	}
	r = leave(tls, r);
	if (r == -EAGAIN)
		return 0;
	/* What the handshake waited for last is not what the next read waits for. */
	tls->read_wants_write = false;
	note_shaken(tls);
	return r;
}

static ssize_t
tls_read(struct rota_stream *stream, void *bytes, size_t size)
{
	struct rota__tls *tls = rota__tls_of(stream);
	size_t total = 0;
	int r;

	if (tls->has_failed)
		return tls->error;
	enter(tls);
	do {
		size_t n;

		r = SSL_read_ex(tls->ssl, (char *)bytes + total, size - total, &n);
		total += r > 0 ? n : 0;
	} while (r > 0 && total < size && rota__tls_has_input(tls));
	tls->has_more = r > 0 && rota__tls_has_input(tls);
	tls->read_wants_write = false;
	if (r <= 0) {
		r = outcome(tls, r, SSL_ERROR_WANT_READ, &tls->read_wants_write);
		/* What came before an end is told first, and the end the next time. */
		tls->has_more = total > 0 && r != -EAGAIN;
	}
	r = leave(tls, r);
	return total > 0 ? (ssize_t)total : r;
}

/* The next record's bytes: from one part where that has enough, or else gathered from several. */
static const char *
next_record(struct rota_stream *stream, const struct iovec *part, const struct iovec *end,
	size_t skip, size_t *ret_len)
{
	struct rota__tls_shared *shared = rota__tls_shared(stream);
	const char *first = (const char *)part->iov_base + skip;
	size_t len = part->iov_len - skip;

	if (len >= ROTA__TLS_RECORD || part + 1 == end) {
		*ret_len = len < ROTA__TLS_RECORD ? len : ROTA__TLS_RECORD;
		return first;
	}
	memcpy(shared->record, first, len);
	while (++part < end && len < ROTA__TLS_RECORD) {
		size_t room = ROTA__TLS_RECORD - len;
		size_t n = part->iov_len < room ? part->iov_len : room;

		memcpy(shared->record + len, part->iov_base, n);
		len += n;
	}
	*ret_len = len;
	return shared->record;
}

/* Steps over bytes that are in a record. */
static const struct iovec *
step(const struct iovec *part, const struct iovec *end, size_t n, size_t *skip)
{
	for (*skip += n; part < end && *skip >= part->iov_len; part++)
		*skip -= part->iov_len;
	return part;
}

/*
 * What is not told as written is there again the next time, at the front, as nothing leaves a queue
 * before it was written: so a record whose rest is held is stepped over and told once that is gone.
 */
static ssize_t
write_records(struct rota__tls *tls, const struct iovec *parts, int count)
{
	const struct iovec *end = parts + count;
	size_t total = tls->unreported;
	size_t skip = 0;
	int r = 1;

	tls->unreported = 0;
	tls->write_wants_read = false;
	parts = step(parts, end, total, &skip);
	tls->is_writing = true;
	while (parts < end && tls->unreported == 0) {
		size_t len;
		const char *bytes = next_record(tls->stream, parts, end, skip, &len);
		size_t n;

		r = SSL_write_ex(tls->ssl, bytes, len, &n);
		if (r <= 0)
			break;
		if (tls->held != NULL)
			tls->unreported = n;
		else
			total += n;
		parts = step(parts, end, n, &skip);
	}
	tls->is_writing = false;
	if (r <= 0)
		r = outcome(tls, r, SSL_ERROR_WANT_WRITE, &tls->write_wants_read);
	r = leave(tls, r == 0 ? -EPIPE : r);
	if (tls->unreported > 0)
		r = -EAGAIN;
	return total > 0 ? (ssize_t)total : r;
}

/* Of what was sent before TLS began: as it is. */
static ssize_t
write_plain(struct rota__tls *tls, const struct iovec *parts)
{
	struct iovec part = *parts;
	ssize_t n;

	if (part.iov_len > tls->plain_left)
		part.iov_len = tls->plain_left;
	n = rota__plain.ops->write(tls->stream, &part, 1);
	if (n > 0)
		tls->plain_left -= (size_t)n;
	return n;
}

static ssize_t
tls_write(struct rota_stream *stream, const struct iovec *parts, int count)
{
	struct rota__tls *tls = rota__tls_of(stream);
	int r;

	if (tls->plain_left > 0)
		return write_plain(tls, parts);
	r = tls->has_failed ? tls->error : rota__tls_flush(tls);
	if (r < 0)
		return r;
	enter(tls);
	return write_records(tls, parts, count);
}

/* After close_notify nothing can be written, so TCP can end as well. */
static int
tls_end(struct rota_stream *stream, bool is_last)
{
	struct rota__tls *tls = rota__tls_of(stream);
	int r;

	if (tls->has_failed || tls->is_shaking)
		return 0;
	enter(tls);
	r = SSL_shutdown(tls->ssl);
	/* Asked again, it does not tell that there still is no room for it. */
	if (r < 0 || SSL_want_write(tls->ssl))
		r = outcome(tls, r, SSL_ERROR_WANT_WRITE, &tls->write_wants_read);
	r = leave(tls, r < 0 ? r : 0);
	if (r < 0)
		return r == -EPIPE || r == -ECONNRESET ? -ENOTCONN : r;
	return rota__plain.ops->end(stream, is_last);
}

static unsigned
tls_interest(const struct rota_stream *stream, unsigned wanted)
{
	const struct rota__tls *tls = rota__tls_of(stream);
	unsigned interest = 0;

	if (tls->plain_left > 0)
		return ROTA_WRITABLE;
	if (tls->is_shaking)
		return tls->read_wants_write ? ROTA_WRITABLE : ROTA_READABLE;
	if ((wanted & ROTA_READABLE) != 0)
		interest |= tls->read_wants_write ? ROTA_WRITABLE : ROTA_READABLE;
	if ((wanted & ROTA_WRITABLE) != 0)
		interest |= tls->write_wants_read ? ROTA_READABLE : ROTA_WRITABLE;
	return interest;
}

static bool
tls_has_more(const struct rota_stream *stream)
{
	const struct rota__tls *tls = rota__tls_of(stream);

	/* What waits until it can write has nothing to do before that. */
	return !tls->read_wants_write && (tls->has_more || tls->ahead != NULL);
}

static void
tls_explain(const struct rota_stream *stream, char *text, size_t size)
{
	const struct rota__tls *tls = rota__tls_of(stream);
	const char *reason = ERR_reason_error_string(tls->reason);
	long verified = SSL_get_verify_result(tls->ssl);
	const char *what = X509_verify_cert_error_string(verified);

	if (ERR_GET_REASON(tls->reason) != SSL_R_CERTIFICATE_VERIFY_FAILED || verified == X509_V_OK)
		snprintf(text, size, "%s", reason != NULL ? reason : "TLS failed");
	else if (tls->name != NULL &&
		(verified == X509_V_ERR_HOSTNAME_MISMATCH ||
			verified == X509_V_ERR_IP_ADDRESS_MISMATCH))
		snprintf(text, size, "%s: %s, asked for %s", reason, what, tls->name);
	else
		snprintf(text, size, "%s: %s", reason, what);
}

void
rota__tls_free(struct rota__tls *tls)
{
	note_shaken(tls);
	SSL_free(tls->ssl);
	rota_tls_config_unref(tls->config);
	rota__free(tls->ahead);
	rota__free(tls->held);
	rota__free(tls->name);
	rota__free(tls);
}

static void
tls_free(struct rota_stream *stream)
{
	rota__tls_free(rota__tls_of(stream));
	stream->transport = &rota__plain;
}

const struct rota__transport_ops rota__tls_ops = {
	.shake = tls_shake,
	.read = tls_read,
	.write = tls_write,
	.end = tls_end,
	.interest = tls_interest,
	.has_more = tls_has_more,
	.explain = tls_explain,
	.free = tls_free,
};
