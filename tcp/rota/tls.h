/* SPDX-License-Identifier: MIT */
/*
 * Rota: TLS on streams, by OpenSSL. A configuration says what this side shows (certificates) and
 * what it asks of the other. Put it into rota_stream_options.tls: the streams of a listener are
 * then servers, those of rota_connect are clients, on_open comes after the handshake, and nothing
 * else about them changes. Or begin TLS on an open stream with rota_stream_start_tls.
 *
 * The defaults are the safe ones: TLS 1.2 (ECDHE with AEAD only) and 1.3, security level 2, X25519,
 * P-256 and P-384, no renegotiation, no compression, no early data. Clients verify the chain, and
 * the name they were told to connect to. What weakens this has insecure in its name.
 *
 * A configuration is made, set up, and immutable from the first stream or listener on that uses it:
 * then what changes it returns -EBUSY. To reload is to make a new one and give it to the listener
 * (rota_listener_set_tls). Its references are counted, and may be taken and dropped by any thread;
 * contexts of several threads may use one. OpenSSL's own memory does not come from
 * rota_set_allocator.
 */
#ifndef ROTA_TLS_H
#define ROTA_TLS_H

#include <rota/api.h>
#include <rota/stream.h>

ROTA_BEGIN_DECLS

struct rota_listener;
struct rota_tls_config;

/* A configuration with the defaults, and one reference. 0 or -ENOMEM. */
ROTA_API int rota_tls_config_new(struct rota_tls_config **ret_config);

/*
 * The same with one certificate, as by rota_tls_config_add_certificate: what a simple server needs.
 * To learn what is wrong with the files in words, make it in two steps.
 */
ROTA_API int rota_tls_config_load(const char *certificate_path, const char *key_path,
	struct rota_tls_config **ret_config);

/* One more reference; returns config. */
ROTA_API struct rota_tls_config *rota_tls_config_ref(struct rota_tls_config *config);

/* One less; the last frees it, and wipes its keys. NULL does nothing. */
ROTA_API void rota_tls_config_unref(struct rota_tls_config *config);

/*
 * What the last call that changed the configuration, or tried to, had to say: why it failed, with
 * the file's name and OpenSSL's reason, or a warning (a key that its group may read). "" if
 * nothing. Good until the next such call.
 */
ROTA_API const char *rota_tls_config_problem(const struct rota_tls_config *config);

/*
 * Adds a certificate with its chain, and its private key: files in PEM. Clients get the one whose
 * names (subjectAltName, or else the common name) have the name they ask for (SNI, RFC 6066),
 * exactly, or else by a wildcard in the place of its first label; of those with the same name the
 * one whose key suits them. Who asks for none, or for an unknown one, gets the first that was
 * added. A client shows the first when it is asked for one.
 *
 * 0; -ENOENT, -EACCES or another errno of reading; -EPERM for a key that others may read;
 * -ROTA_ETLS for files that are not what they should be, a key that is not the certificate's, one
 * with a passphrase, or one that is too weak; -ENOSPC beyond ROTA_TLS_CERTIFICATES; -ENOMEM;
 * -EBUSY. After a failure the configuration is as before.
 */
ROTA_API int rota_tls_config_add_certificate(struct rota_tls_config *config,
	const char *certificate_path, const char *key_path);

/* The same of PEM text in memory. */
ROTA_API int rota_tls_config_add_certificate_pem(struct rota_tls_config *config,
	const void *certificate, size_t certificate_len, const void *key, size_t key_len);

#define ROTA_TLS_CERTIFICATES 10000

/*
 * Whom to believe: the certificates of authorities in a file in PEM, instead of the system's, and
 * in addition to what was added before. Errors as above.
 */
ROTA_API int rota_tls_config_add_ca(struct rota_tls_config *config, const char *path);
ROTA_API int rota_tls_config_add_ca_pem(struct rota_tls_config *config, const void *text,
	size_t len);

/*
 * Servers ask their clients for a certificate, by an authority that was added (there must be one:
 * the system's are not meant for clients), and refuse those without. Clients always verify. 0 or
 * -EBUSY.
 */
ROTA_API int rota_tls_config_require_peer(struct rota_tls_config *config);

/*
 * A name that the peer's certificate may have; it must have at least one of those added. A host
 * name ("db.example", or "*.db.example" for whatever stands in the place of the star, but no dot),
 * "uri:" with a URI ("uri:spiffe://example/db") or "email:" with an address, each in its
 * subjectAltName; "cn:" with its common name. Clients verify the name that they connected to in any
 * case. 0; -EINVAL for none of these; -ENOSPC beyond 1,000; -ENOMEM; -EBUSY.
 */
ROTA_API int rota_tls_config_add_peer_name(struct rota_tls_config *config, const char *name);

/*
 * The application protocols in the order of preference, separated by commas: "h2,http/1.1" (ALPN,
 * RFC 7301). A server chooses the first of its own that the client offers; a client that offers
 * none is served without; one that offers only others is refused with an alert. A client is told
 * by rota_tls_info what was chosen, if anything. 0; -EINVAL for names that are empty or longer than
 * 255 bytes, or all too long; -ENOMEM; -EBUSY.
 */
ROTA_API int rota_tls_config_set_alpn(struct rota_tls_config *config, const char *protocols);

enum rota_tls_version {
	ROTA_TLS_1_2 = 0x0303,
	ROTA_TLS_1_3 = 0x0304,
};

/* The versions that are spoken, both included. 0; -EINVAL for no version; -EBUSY. */
ROTA_API int rota_tls_config_set_versions(struct rota_tls_config *config,
	enum rota_tls_version lowest, enum rota_tls_version highest);

/*
 * Tickets let a client resume without a full handshake. They are sealed with keys of this
 * configuration's own, which are replaced after 6 hours and forgotten after 12. To share them
 * between processes, or to keep them over a reload, get the keys here and set them there: those in
 * use, the previous ones, and since when they are used, by the contexts' clock, so that they are
 * replaced as soon as if they had stayed. Then each configuration makes its own: who shares them
 * sets new ones before. Unlike all else they may be set at any time, by any thread. 0; -EINVAL for
 * keys that were not got so.
 */
#define ROTA_TLS_TICKET_KEYS 176
ROTA_API void rota_tls_config_get_ticket_keys(struct rota_tls_config *config,
	unsigned char ret_keys[ROTA_TLS_TICKET_KEYS]);
ROTA_API int rota_tls_config_set_ticket_keys(struct rota_tls_config *config,
	const unsigned char keys[ROTA_TLS_TICKET_KEYS]);

/*
 * Keys for several processes that are handed them by one, which alone replaces them, before they
 * are 6 hours old: made new, in use from now on, an instant of rota_context_now; prepared, so that
 * tickets of the keys that are to come are good beside those in use, while those of the previous
 * ones no longer are; and turned, so that those are in use and the ones before them are still good.
 * Whoever has turned seals what all can open who have prepared. 0; -EINVAL for keys that are none;
 * -ROTA_ETLS when there is no randomness. From any thread. Wipe what you keep.
 */
ROTA_API int rota_tls_ticket_keys_make(unsigned char ret_keys[ROTA_TLS_TICKET_KEYS], rota_time now);
ROTA_API int rota_tls_ticket_keys_prepare(unsigned char keys[ROTA_TLS_TICKET_KEYS], rota_time now);
ROTA_API int rota_tls_ticket_keys_turn(unsigned char keys[ROTA_TLS_TICKET_KEYS], rota_time now);

/*
 * Whoever answers is believed: neither chain nor name are verified. Whoever stands between can read
 * and change everything. 0 or -EBUSY.
 */
ROTA_API int rota_tls_config_insecure_no_verification(struct rota_tls_config *config);

/* The chain is verified, the name is not: whoever has any valid certificate is believed. */
ROTA_API int rota_tls_config_insecure_no_name(struct rota_tls_config *config);

/*
 * Connections that are accepted from now on use config (NULL: none, they are plain); those that
 * there are keep theirs. 0; -EINVAL for a configuration that cannot serve (without certificate);
 * -ENOMEM, and nothing has changed.
 */
ROTA_API int rota_listener_set_tls(struct rota_listener *listener, struct rota_tls_config *config);

enum rota_tls_role {
	ROTA_TLS_SERVER,
	ROTA_TLS_CLIENT,
};

/*
 * Begins TLS on an open stream (STARTTLS, or an upgrade). What was sent before goes out first, as
 * it is; what is sent from now on is part of TLS, and waits for the handshake. Input that on_data
 * has not taken, also what it leaves when it is called just now, is taken for the beginning of TLS:
 * so nothing that somebody put there before is taken for a part of what is protected. on_open comes
 * again, after the handshake, which is bounded by handshake_timeout; until then the stream is in
 * the phase handshake, and its failure is its on_close.
 *
 * name, for a client, is what the peer's certificate must be for: a host name or a numeric address;
 * NULL only for an insecure configuration. It is copied. A server needs a certificate.
 *
 * 0; -EINVAL for a name or configuration that will not do; -ENOTCONN unless the stream is open, and
 * not ending; -EALREADY where TLS was begun; -EBUSY for one that a relay has; -ENOMEM.
 */
ROTA_API int rota_stream_start_tls(struct rota_stream *stream, struct rota_tls_config *config,
	enum rota_tls_role role, const char *name);

/* What a handshake agreed on. Texts are cut where they are too long, and "" where there is none. */
struct rota_tls_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* "TLS_AES_128_GCM_SHA256" */
	bool is_resumed;     /* by a ticket: no certificate was shown */
	bool is_verified;    /* the peer showed a certificate, then or first, and it is good */
	char alpn[256];
	char sni[256]; /* the name that the client asked for */
	/*
	 * The names of the peer's certificate, separated by commas: "dns:db.example", "ip:…",
	 * "uri:…", "email:…"; without any "cn:…". Bytes that are no plain text, and commas, are
	 * written as \xHH.
	 */
	char names[512];
};

/* 0; -ENOTCONN before the handshake is over; -ENOTSUP for a plain stream. */
ROTA_API int rota_tls_info(const struct rota_stream *stream, struct rota_tls_info *ret_info);

ROTA_END_DECLS

#endif
