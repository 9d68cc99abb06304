/* SPDX-License-Identifier: MIT */
/*
 * Several peers of TLS: see tls_peers.h.
 */
#include "tls_peers.h"

#define MOST_STEPS 100000

void
tls_peers_step(struct rota_context *ctx, struct tls_peer *peers, int count)
{
	spin(ctx, 1);
	for (int i = 0; i < count; i++)
		(void)tls_peer_step(&peers[i]);
}

bool
tls_peers_have(const struct tls_peer *peers, int count, size_t len)
{
	for (int i = 0; i < count; i++) {
		assert_int_equal(peers[i].end, TLS_PEER_OPEN);
		if (!peers[i].is_open || peers[i].received_len < len)
			return false;
	}
	return true;
}

void
tls_peers_until(struct rota_context *ctx, struct tls_peer *peers, int count, size_t len)
{
	for (int steps = 0; !tls_peers_have(peers, count, len); steps++) {
		assert_true(steps < MOST_STEPS);
		tls_peers_step(ctx, peers, count);
	}
}

bool
tls_peer_is_shown(const struct tls_peer *peer, enum certificate_kind kind)
{
	X509 *shown = SSL_get0_peer_certificate(peer->ssl);

	return shown != NULL && X509_cmp(shown, certificate_of(kind)->x509) == 0;
}
