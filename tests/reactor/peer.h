/* SPDX-License-Identifier: MIT */
/*
 * A target on one end of a pair of sockets. Its handler reads all there is, writes "word:bytes"
 * into the trace, and then does as it was told.
 */
#ifndef ROTA_TESTS_PEER_H
#define ROTA_TESTS_PEER_H

#include <rota/iterate.h>
#include <rota/target.h>

struct peer {
	struct rota_target target; /* on pair[0]; a test writes into pair[1] */
	int pair[2];
	const char *word;
	rota_hook_fn *then; /* NULL: nothing */
	unsigned calls;
	unsigned lost; /* of those, with ROTA_LOST */
};

/* Opens the pair and starts the target, for reading. */
void peer_open(struct rota_context *ctx, struct peer *peer, const char *word);
void peer_close(struct rota_context *ctx, struct peer *peer);

/* Another pair under the same numbers. */
void peer_reopen(struct peer *peer);

/* For rota_wait: whether the handler was called; userdata is the peer. */
bool peer_is_called(struct rota_context *ctx, void *userdata);

#endif
