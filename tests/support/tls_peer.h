/* SPDX-License-Identifier: MIT */
/*
 * The other side of a TLS connection, in the same thread: OpenSSL between two buffers, and a socket
 * that does not block. A test lets it step, sees what it would send, and sends that, a part of it,
 * or something else. It knows nothing of the library.
 */
#ifndef ROTA_TESTS_TLS_PEER_H
#define ROTA_TESTS_TLS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "certificates.h"

/* All zero: a client that believes anybody and shows nothing, in any version. */
struct tls_peer_wish {
	bool is_server;
	const struct certificate *certificate; /* a server's: NULL is CERTIFICATE_SERVER */
	bool asks;        /* a server: wants a certificate, and takes any or none */
	bool verifies;    /* by CERTIFICATE_CA */
	const char *sni;  /* a client asks for that name */
	const char *alpn; /* protocols, each behind its length: "\2h2"; a server takes its first */
	int lowest;       /* TLS1_VERSION …; 0: any */
	int highest;
	bool is_lax;          /* security level 0 */
	SSL_SESSION *session; /* to resume */
	SSL_CTX *context;     /* of a peer before it, to be used again; the rest is of no effect */
	const char *ciphers;  /* of TLS 1.2 */
	const char *groups;
};

enum tls_peer_end {
	TLS_PEER_OPEN,
	TLS_PEER_NOTIFIED, /* by close_notify */
	TLS_PEER_ENDED,    /* by a FIN without that */
	TLS_PEER_RESET,
	TLS_PEER_FAILED, /* by TLS: see alert and error */
};

struct tls_peer {
	int fd; /* -1: none (any more) */
	SSL_CTX *context;
	SSL *ssl;
	BIO *in;         /* what has come */
	BIO *out;        /* what is to go */
	bool holds;      /* what is to go stays in out, for tls_peer_take */
	size_t limit;    /* no byte behind so many ever goes; SIZE_MAX */
	bool reads_none; /* neither socket nor TLS is read */
	bool forgets;    /* what was received is counted, not kept */

	/* What happened: */
	bool is_open;
	enum tls_peer_end end;
	bool saw_fin;
	int alert;           /* that came: level << 8 | description; 0: none */
	unsigned long error; /* OpenSSL's */
	char *received;
	size_t received_len;
	size_t sent;          /* by tls_peer_send */
	uint64_t wire_in;     /* bytes that came by the socket */
	size_t wire_out;      /* bytes of out that went by it */
	SSL_SESSION *session; /* the last ticket's; of a client */
	unsigned tickets;
	/* of TLS 1.3, both directions' first traffic secrets: our own and theirs */
	unsigned char secret[64];
	size_t secret_len;
};

/* Takes fd, and begins when it is stepped. */
void tls_peer_open(struct tls_peer *peer, int fd, const struct tls_peer_wish *wish);

/* Closes, if that has not happened, and gives back what it has. */
void tls_peer_fini(struct tls_peer *peer);

/* Receives what there is, answers, and sends what is to go. Whether anything has moved. */
bool tls_peer_step(struct tls_peer *peer);

/* Encrypts, and sends unless it holds. It must be possible. */
void tls_peer_send(struct tls_peer *peer, const void *bytes, size_t len);

/* As much as the socket takes of what is to go. Whether all went. */
bool tls_peer_flush(struct tls_peer *peer);

/* What is to go, which is taken away: *ret_len bytes, to be freed. */
unsigned char *tls_peer_take(struct tls_peer *peer, size_t *ret_len);

/* Sends these bytes as they are, beside TLS. It must be possible. */
void tls_peer_put(struct tls_peer *peer, const void *bytes, size_t len);

/* close_notify; FIN; RST; close. */
void tls_peer_notify(struct tls_peer *peer);
void tls_peer_end(struct tls_peer *peer);
void tls_peer_reset(struct tls_peer *peer);
void tls_peer_close(struct tls_peer *peer);

/* New keys, and asks for the other's if is_requested. TLS 1.3. */
void tls_peer_update_keys(struct tls_peer *peer, bool is_requested);

/*
 * The sequence-th record (from 0) that an open peer could send under its first keys, of TLS 1.3 and
 * TLS_AES_128_GCM_SHA256, with content of this type and len bytes, and so much padding. Returns its
 * length; out has 22 bytes more than content and padding. Nothing is sent. Of those records that
 * the peer sends itself, OpenSSL does the counting.
 */
size_t tls_peer_forge(const struct tls_peer *peer, uint64_t sequence, unsigned char type,
	const void *content, size_t len, size_t padding, unsigned char *out);

#endif
