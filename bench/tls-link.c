/* SPDX-License-Identifier: MIT */
/*
 * tls-link.c - see link.h: links that speak TLS 1.3 as clients, by OpenSSL.
 *
 * All servers meet the same client: TLS_AES_128_GCM_SHA256, X25519, and a certificate with a key
 * on P-256; anything else ends the program. With --handshake resumed every link brings a session
 * that one before it was given, and must be let in by it; only the first links, as many as are
 * open at a time, come without.
 */
#include "link.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load-options.h"

#define SESSIONS_KEPT 4096u
#define RECORD_MAX 16384u
#define TRANSFER_READ 131072u /* what a link in bulk takes from the kernel at once */

#define AES_128_GCM_SHA256 0x1301

struct tls_state {
	LIST_ENTRY(tls_state) entry; /* in tls.open */
	SSL *ssl;
	SSL_SESSION *session; /* the newest that the server gave, or NULL */
	bool resumes;
	bool is_connected;
	bool is_within_record;
	bool is_finishing;
};

static struct {
	const struct load_options *options;
	SSL_CTX *context;
	struct link_counts counts;
	LIST_HEAD(, tls_state) open;
	uint64_t begun;                       /* links, if they are to resume */
	SSL_SESSION *sessions[SESSIONS_KEPT]; /* the newest last */
	unsigned int kept;
} tls;

static _Noreturn void
die_tls(const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : strerror(errno);

	die("%s: %s", what, reason ? reason : "unknown error");
}

/* Called for each ticket. Returns whether it was taken over. */
static int
session_came(SSL *ssl, SSL_SESSION *session)
{
	struct tls_state *state = SSL_get_app_data(ssl);

	SSL_SESSION_free(state->session);
	state->session = session;
	return 1;
}

void
links_init(const struct load_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	bool resumed = options->handshake == HANDSHAKE_RESUMED;

	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
		SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
		SSL_CTX_set1_groups_list(context, "X25519") != 1)
		die_tls("the TLS context");
	/* No chain is looked at, it is one certificate; that the server has its key, is. */
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_mode(context,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	if (options->mode == MODE_UPLOAD || options->mode == MODE_DOWNLOAD)
		SSL_CTX_set_default_read_buffer_len(context, TRANSFER_READ);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (resumed)
		SSL_CTX_set_session_cache_mode(context,
			SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, session_came);
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL. */
	tls.options = options;
	tls.context = context;
}

const struct link_counts *
links_counts(void)
{
	return &tls.counts;
}

void
link_begin(struct link *link, const struct load_options *options, int epoll, struct watch *watch)
{
	struct tls_state *state = allocate(1, sizeof(*state));
	SSL_SESSION *session;

	link->tls = state;
	link->fd = start_connection(options, epoll, watch);
	state->ssl = SSL_new(tls.context);
	if (!state->ssl || SSL_set_fd(state->ssl, link->fd) != 1)
		die_tls("a TLS connection");
	SSL_set_connect_state(state->ssl);
	SSL_set_app_data(state->ssl, state);
	LIST_INSERT_HEAD(&tls.open, state, entry);
	if (options->handshake != HANDSHAKE_RESUMED || tls.begun++ < options->active)
		return;
	if (tls.kept == 0)
		die("the server gave no session to resume, after %" PRIu64 " that it resumed",
			tls.counts.resumed);
	session = tls.sessions[--tls.kept];
	state->resumes = true;
	if (SSL_set_session(state->ssl, session) != 1)
		die_tls("a session to resume");
	SSL_SESSION_free(session);
}

static void
check_key(SSL *ssl)
{
	char group[32] = "no key";
	const X509 *certificate = SSL_get0_peer_certificate(ssl);

	if (certificate)
		EVP_PKEY_get_group_name(X509_get0_pubkey(certificate), group, sizeof(group), NULL);
	if (strcmp(group, "prime256v1") != 0)
		die("the key of the server's certificate is not on P-256: %s", group);
}

static void
check_handshake(const struct tls_state *state)
{
	SSL *ssl = state->ssl;

	if (SSL_version(ssl) != TLS1_3_VERSION ||
		SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)) != AES_128_GCM_SHA256 ||
		SSL_get_negotiated_group(ssl) != NID_X25519)
		die("not TLS 1.3 with AES-128-GCM and X25519 but %s, %s", SSL_get_version(ssl),
			SSL_get_cipher_name(ssl));
	if (state->resumes != (SSL_session_reused(ssl) == 1))
		die("the server did not resume a session, after %" PRIu64 " that it did",
			tls.counts.resumed);
	if (state->resumes) {
		tls.counts.resumed++;
	} else {
		check_key(ssl);
		tls.counts.full++;
	}
}

/* Whether a call that did not succeed is to be made again when the socket is ready. */
static bool
is_waiting(const struct tls_state *state, int result)
{
	int error = SSL_get_error(state->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

bool
link_is_up(struct link *link)
{
	struct tls_state *state = link->tls;
	int result;

	if (!state->is_connected)
		check_connected(link->fd);
	state->is_connected = true;
	result = SSL_do_handshake(state->ssl);
	if (result == 1)
		check_handshake(state);
	else if (!is_waiting(state, result))
		die_tls("the handshake");
	return result == 1;
}

/* What is left of a record is sent alone, so that a sender that is to stop gets to its end. */
ssize_t
link_send(struct link *link, const void *bytes, size_t len)
{
	struct tls_state *state = link->tls;
	size_t done = 0;
	bool only_rest;

	if (!state)
		return plain_send(link->fd, bytes, len);
	only_rest = state->is_within_record;
	while (done < len) {
		size_t n = 0;
		int result = SSL_write_ex(state->ssl, (const char *)bytes + done, len - done, &n);

		if (result != 1 && !is_waiting(state, result))
			die_tls("SSL_write");
		state->is_within_record = result != 1;
		if (result != 1)
			break;
		done += n;
		if (only_rest)
			break;
	}
	if (done > 0)
		return (ssize_t)done;
	errno = EAGAIN;
	return -1;
}

/*
 * One read of the kernel brings many records, and one SSL_read takes one of them. When none is
 * left and all together would not have filled the buffer, the kernel had no more: a read that
 * finds nothing is saved.
 */
ssize_t
link_recv(struct link *link, void *bytes, size_t len, int flags)
{
	struct tls_state *state = link->tls;
	size_t done = 0;

	if (!state)
		return plain_recv(link->fd, bytes, len, flags);
	while (done < len) {
		size_t n = 0;
		int result = SSL_read_ex(state->ssl, (char *)bytes + done, len - done, &n);

		if (result != 1 && SSL_get_error(state->ssl, result) == SSL_ERROR_ZERO_RETURN)
			return (ssize_t)done; /* If not 0, the next call tells. */
		if (result != 1 && !is_waiting(state, result))
			die_tls("SSL_read");
		if (result != 1)
			break;
		done += n;
		if (done < RECORD_MAX / 4 && !SSL_has_pending(state->ssl))
			break;
	}
	if (done > 0)
		return (ssize_t)done;
	errno = EAGAIN;
	return -1;
}

bool
link_is_within_record(const struct link *link)
{
	return link->tls && link->tls->is_within_record;
}

static void
keep_session(SSL_SESSION *session)
{
	if (!session)
		return;
	if (tls.kept < SESSIONS_KEPT)
		tls.sessions[tls.kept++] = session;
	else
		SSL_SESSION_free(session);
}

/* Ours is told by close_notify and FIN; the server's end, in whichever way, ends the link. */
bool
link_finish(struct link *link)
{
	struct tls_state *state = link->tls;
	char byte;
	int result;

	if (!state->is_finishing) {
		if (SSL_shutdown(state->ssl) < 0)
			die_tls("SSL_shutdown");
		shutdown(link->fd, SHUT_WR);
		state->is_finishing = true;
	}
	result = SSL_read(state->ssl, &byte, 1);
	if (result > 0)
		die("more bytes came back than were sent");
	if (is_waiting(state, result))
		return false;
	if (SSL_get_error(state->ssl, result) != SSL_ERROR_ZERO_RETURN)
		tls.counts.truncated++;
	ERR_clear_error();
	tls.counts.finished++;
	keep_session(state->session);
	LIST_REMOVE(state, entry);
	SSL_free(state->ssl);
	free(state);
	close(link->fd);
	return true;
}

void
link_leave_no_trace(const struct link *link)
{
	(void)link;
}

void
links_say_goodbye(void)
{
	struct tls_state *state;

	LIST_FOREACH(state, &tls.open, entry)
	SSL_shutdown(state->ssl);
}
