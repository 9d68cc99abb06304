/* SPDX-License-Identifier: MIT */
/*
 * The keys of TLS tickets, which all processes of a prefork have from the master. A key is told to
 * all of them some time before it is used, so that there is never one who is shown a ticket that
 * another has sealed and does not know its key.
 *
 * They are in a page of their own, which core dumps leave out; a process has a copy of it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "prefork.h"

#define SETTLING (10 * ROTA_SECOND)

/* How long all have to learn of the next keys. */
static rota_time
settling(const struct rota_prefork *prefork)
{
	rota_time lifetime = prefork->options.ticket_lifetime;

	return lifetime / 4 < SETTLING ? lifetime / 4 : SETTLING;
}

static void
tell_all(struct rota_prefork *prefork)
{
	for (struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next)
		rota__prefork_tell_tickets(rota_container_of(link, struct rota__prefork_process,
			link));
}

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_prefork *prefork = rota_container_of(timer, struct rota_prefork, ticket_timer);
	rota_time now = rota_context_now(ctx);
	int r = prefork->is_prepared ? rota_tls_ticket_keys_turn(prefork->keys, now)
				     : rota_tls_ticket_keys_prepare(prefork->keys, now);

	/* Without randomness the keys stay until there is some. */
	if (r >= 0) {
		prefork->is_prepared = !prefork->is_prepared;
		tell_all(prefork);
	}
	(void)rota_timer_start(ctx, timer,
		prefork->is_prepared || r < 0 ? settling(prefork)
					      : prefork->options.ticket_lifetime);
	return 0;
}

int
rota__prefork_make_keys(struct rota_prefork *prefork)
{
	int r;

	rota_timer_init(&prefork->ticket_timer, on_due);
	if (prefork->options.ticket_lifetime == 0)
		return 0;
	prefork->keys =
		prefork->sys->mmap(ROTA_TLS_TICKET_KEYS, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	if (prefork->keys == NULL)
		return -ENOMEM;
	(void)prefork->sys->madvise(prefork->keys, ROTA_TLS_TICKET_KEYS, MADV_DONTDUMP);
	r = rota_tls_ticket_keys_make(prefork->keys, rota_context_now(prefork->ctx));
	if (r < 0)
		return r;
	return rota_timer_start(prefork->ctx, &prefork->ticket_timer,
		prefork->options.ticket_lifetime);
}

void
rota__prefork_wipe_keys(struct rota_prefork *prefork)
{
	if (prefork->keys == NULL)
		return;
	explicit_bzero(prefork->keys, ROTA_TLS_TICKET_KEYS);
	(void)prefork->sys->munmap(prefork->keys, ROTA_TLS_TICKET_KEYS);
	prefork->keys = NULL;
}
