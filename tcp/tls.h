/* SPDX-License-Identifier: MIT */
/*
 * The TLS transport as the rest of tcp sees it: nothing of OpenSSL's is in here.
 *
 *   tls_config.c        configurations: making, setting up, their defaults
 *   tls_certificates.c  certificates, and which a client gets
 *   tls_names.c         the names in a certificate
 *   tls_verify.c        whom a configuration believes
 *   tls_tickets.c       the keys that tickets are sealed with
 *   tls_sessions.c      what clients keep to resume by
 *   tls_bio.c           OpenSSL's way to the socket
 *   tls.c               the transport
 *   tls_start.c         beginning TLS on a stream, and what became of it
 */
#ifndef ROTA_PRIVATE_TLS_H
#define ROTA_PRIVATE_TLS_H

#include <rota/tls.h>

struct rota__tcp;

/* Whether a server can use it: it has a certificate, and somebody to believe if it asks for one. */
bool rota__tls_config_serves(const struct rota_tls_config *config);

/* One more reference, of a configuration that is immutable from now on. NULL: NULL. */
struct rota_tls_config *rota__tls_config_take(struct rota_tls_config *config);

/* Whether a client that connects to no name can use it. */
bool rota__tls_config_needs_name(const struct rota_tls_config *config);

/* Checks a name that a client is to verify: a host name or a numeric address. 0 or -EINVAL. */
int rota__tls_check_name(const char *name);

/*
 * Makes TLS the transport of a plain stream, which is then to shake hands. name is copied; NULL for
 * servers. 0, -ENOMEM or -EINVAL.
 */
int rota__tls_begin(struct rota_stream *stream, struct rota_tls_config *config,
	enum rota_tls_role role, const char *name);

/* Frees what the TLS streams of a context share, if there is any. */
void rota__tls_shared_free(struct rota__tcp *tcp);

#endif
