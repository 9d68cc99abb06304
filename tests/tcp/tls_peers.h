/* SPDX-License-Identifier: MIT */
/*
 * Several peers of TLS at once, of streams that a context serves.
 */
#ifndef ROTA_TESTS_TLS_PEERS_H
#define ROTA_TESTS_TLS_PEERS_H

#include "certificates.h"
#include "rig.h"
#include "tls_peer.h"

/* A turn of the context, and a step of each. */
void tls_peers_step(struct rota_context *ctx, struct tls_peer *peers, int count);

/* Whether all are open and have received so much; none has ended. */
bool tls_peers_have(const struct tls_peer *peers, int count, size_t len);

/* Steps until they have. */
void tls_peers_until(struct rota_context *ctx, struct tls_peer *peers, int count, size_t len);

/* Whether it was shown that certificate. */
bool tls_peer_is_shown(const struct tls_peer *peer, enum certificate_kind kind);

#endif
