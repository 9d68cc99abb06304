/* SPDX-License-Identifier: MIT */
/*
 * TLS configurations from inside, and what the tls_*.c share. A configuration is one SSL_CTX for
 * both roles, and what OpenSSL asks for by callbacks. After its first use only what is behind the
 * lock changes: the keys of tickets, and sessions to resume by.
 */
#ifndef ROTA_PRIVATE_TLS_CONFIG_H
#define ROTA_PRIVATE_TLS_CONFIG_H

#include <pthread.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "stream.h"
#include "tls.h"

struct rota__tls_certificate {
	X509 *certificate;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};

/* A name of a certificate, by which a client may ask for it. */
struct rota__tls_named {
	char *name; /* in lower case; "*.example" stands for one label more */
	unsigned certificate;
};

struct rota__tls_ticket_key {
	unsigned char name[16];
	unsigned char cipher[32];
	unsigned char mac[32];
};

/* In a page of their own, which core dumps leave out. */
struct rota__tls_tickets {
	struct rota__tls_ticket_key current;
	struct rota__tls_ticket_key previous;
	rota_time since; /* when the current ones were first used; 0: not yet */
};

struct rota__tls_session;

#define ROTA__TLS_SESSIONS 64
#define ROTA__TLS_PEER_NAMES 1000

struct rota_tls_config {
	unsigned references; /* atomic */
	bool is_used;        /* atomic: nothing more may be changed */
	bool asks_peer;
	bool is_insecure;
	bool is_nameless;
	bool has_authorities; /* of its own */
	bool has_system;      /* the system's */
	SSL_CTX *ssl;

	/* In the order of their names, then as they were added. */
	struct rota__tls_certificate *certificates;
	unsigned certificate_count;
	struct rota__tls_named *named;
	size_t named_count;

	char **peer_names;
	size_t peer_name_count;
	unsigned char *alpn; /* as on the wire */
	unsigned alpn_len;
	/* of all that decides whom it believes: who was believed by another is not resumed here */
	unsigned char identity[32];

	pthread_mutex_t lock;
	struct rota__tls_tickets *tickets;
	EVP_CIPHER *ticket_cipher; /* looked up once, for each ticket would do it otherwise */
	struct rota__tls_session *sessions[ROTA__TLS_SESSIONS];

	char problem[256];
};

/* tls_config.c */

/* Notes what went wrong, with OpenSSL's reason; returns error. path may be NULL. */
int rota__tls_problem(struct rota_tls_config *config, int error, const char *path,
	const char *what);
/* Clears the problem. 0, or -EBUSY, noted, when it is in use already. */
int rota__tls_change(struct rota_tls_config *config);
/* Makes what was added to the configuration a part of its identity. */
void rota__tls_identify(struct rota_tls_config *config, const void *bytes, size_t len);
/* The text of a file, of at most 16 MiB, with a NUL behind it. 0 or a negative errno. */
int rota__tls_read_file(const char *path, bool is_key, mode_t *ret_mode, char **ret_text,
	size_t *ret_len);

/* tls_certificates.c */
void rota__tls_certificates_free(struct rota_tls_config *config);
/* For SSL_CTX_set_cert_cb: shows the client what it asks for. */
int rota__tls_choose_certificate(SSL *ssl, void *config);

/* tls_names.c */

/* Is given each name: "dns", "ip", "uri", "email" or "cn". Whether to go on. */
typedef bool rota__tls_name_fn(const char *kind, const char *name, size_t len, void *userdata);
void rota__tls_each_name(X509 *certificate, rota__tls_name_fn *visit, void *userdata);
/* Whether a host name has no bytes but those it may, and sane lengths. A star: of a pattern. */
bool rota__tls_is_host(const char *name, bool may_have_star);

/* tls_verify.c */

/* Sets up whom one connection believes. 0, -EINVAL or -ENOMEM. */
int rota__tls_verify(struct rota_tls_config *config, SSL *ssl, enum rota_tls_role role,
	const char *name);

/* tls_tickets.c */
struct rota__tls_tickets *rota__tls_tickets_new(void);
void rota__tls_tickets_free(struct rota__tls_tickets *tickets);
int rota__tls_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seals);

/* tls_sessions.c */

/* For SSL_CTX_sess_set_new_cb: keeps the session. */
int rota__tls_session_new(SSL *ssl, SSL_SESSION *session);
/* Has a client resume what it has for the name, if there is anything. */
void rota__tls_session_use(struct rota_tls_config *config, SSL *ssl, const char *name);
void rota__tls_sessions_free(struct rota_tls_config *config);

/* The transport. */

/*
 * Most that is taken from the socket at once: no more than a turn's share together with a record
 * that OpenSSL holds the beginning of, so that what was taken is mostly used up at once.
 */
#define ROTA__TLS_RAW ((size_t)48 << 10)
#define ROTA__TLS_RECORD ((size_t)16 << 10)

/* What the TLS streams of a context share, because only one of them is at work at a time. */
struct rota__tls_shared {
	size_t raw_start;
	size_t raw_end;
	char raw[ROTA__TLS_RAW];
	char record[ROTA__TLS_RECORD];
};

struct rota__tls {
	struct rota__transport transport; /* the first member */
	SSL *ssl;
	struct rota_stream *stream;
	struct rota_tls_config *config;
	char *name;  /* of whom a client connected to; NULL */
	char *ahead; /* taken from the socket, and not used yet */
	size_t ahead_start;
	size_t ahead_end;
	char *held; /* of a record that the kernel took a part of, the rest */
	size_t held_start;
	size_t held_end;
	size_t unreported;    /* bytes that this record has, which are not told as written yet */
	size_t plain_left;    /* what was sent before TLS began, and is not written yet */
	unsigned long reason; /* OpenSSL's, of what failed */
	int error;            /* of the socket, or what failed */
	bool is_client;
	bool is_shaking; /* and counted so, if it is a server */
	bool has_failed; /* OpenSSL is not to be called again */
	bool has_more;   /* the last read left some, or met an end */
	bool is_drained; /* the socket is not asked again in this call */
	bool is_writing; /* a record, not what TLS says by itself */
	bool is_ended;   /* the peer's end was met */
	bool read_wants_write;
	bool write_wants_read;
};

static inline struct rota__tls *
rota__tls_of(const struct rota_stream *stream)
{
	return (struct rota__tls *)stream->transport;
}

/* By its BIO, as what OpenSSL keeps for its user costs each connection two allocations. */
static inline struct rota__tls *
rota__tls_of_ssl(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

static inline struct rota__tls_shared *
rota__tls_shared(const struct rota_stream *stream)
{
	return rota__tcp(stream->ctx)->tls;
}

extern const struct rota__transport_ops rota__tls_ops;

/* tls_bio.c */

/* A BIO for a stream; NULL without memory. */
BIO *rota__tls_bio_new(struct rota__tls *tls);

/* Writes what is held. 0, -EAGAIN, or another negative error. */
int rota__tls_flush(struct rota__tls *tls);

/* Whether there are bytes that OpenSSL has opened, or that were taken for it and not used. */
bool rota__tls_has_input(const struct rota__tls *tls);

/* Keeps what was taken from the socket and not used. 0 or -ENOMEM. */
int rota__tls_keep_ahead(struct rota__tls *tls);

/* tls.c */
void rota__tls_free(struct rota__tls *tls);

#endif
