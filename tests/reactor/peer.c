/* SPDX-License-Identifier: MIT */
/*
 * A target on one end of a pair: see peer.h.
 */
#include "peer.h"

#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"
#include "trace.h"

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct peer *peer = rota_container_of(target, struct peer, target);

	peer->calls++;
	if ((events & ROTA_LOST) != 0) {
		peer->lost++;
		trace("%s:lost", peer->word);
	} else {
		trace("%s:%d", peer->word, read_all(target->fd));
	}
	return peer->then != NULL ? peer->then(ctx, NULL) : 0;
}

static const struct rota_target_ops peer_ops = { .name = "peer", .on_ready = on_ready };

void
peer_open(struct rota_context *ctx, struct peer *peer, const char *word)
{
	*peer = (struct peer){ .word = word };
	make_pair(peer->pair);
	rota_target_init(&peer->target, &peer_ops, peer->pair[0]);
	assert_int_equal(rota_target_start(ctx, &peer->target, ROTA_READABLE), 0);
}

void
peer_close(struct rota_context *ctx, struct peer *peer)
{
	rota_target_stop(ctx, &peer->target);
	close_pair(peer->pair);
}

void
peer_reopen(struct peer *peer)
{
	int pair[2];

	make_pair(pair);
	for (int i = 0; i < 2; i++)
		assert_int_equal(dup3(pair[i], peer->pair[i], O_CLOEXEC), peer->pair[i]);
	close_pair(pair);
}

bool
peer_is_called(struct rota_context *ctx, void *userdata)
{
	struct peer *peer = userdata;

	(void)ctx;
	return peer->calls > 0;
}
