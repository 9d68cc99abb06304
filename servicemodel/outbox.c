/* SPDX-License-Identifier: MIT */
/*
 * Outboxes: see outbox.h.
 */
#include "outbox.h"

#include <errno.h>

#include <rota/errors.h>

#include "allocator.h"
#include "channel.h"

/* What waits for room. */
struct kept {
	struct rota_link link;
	const char *name;
	struct rota_buffer packed;
};

void
rota__outbox_init(struct rota__outbox *outbox, struct rota_sender *sender, size_t kept_max,
	rota__outbox_lost_fn *on_lost)
{
	*outbox = (struct rota__outbox){
		.sender = sender,
		.on_lost = on_lost,
		.kept_max = kept_max,
	};
	rota__list_init(&outbox->kept);
}

/* What a kept event takes of the limit. */
static size_t
size_of(const struct kept *kept)
{
	return sizeof *kept + kept->packed.len;
}

static void
forget(struct rota__outbox *outbox, struct kept *kept)
{
	rota__list_remove(&kept->link);
	outbox->kept_bytes -= size_of(kept);
	rota_buffer_fini(&kept->packed);
	rota__free(kept);
}

static struct kept *
first(struct rota__outbox *outbox)
{
	if (rota__list_is_empty(&outbox->kept))
		return NULL;
	return rota_container_of(outbox->kept.next, struct kept, link);
}

void
rota__outbox_fini(struct rota__outbox *outbox)
{
	struct kept *kept;

	while ((kept = first(outbox)) != NULL)
		forget(outbox, kept);
}

static int
refuse(struct rota__outbox *outbox)
{
	outbox->refused++;
	return -ROTA_EFULL;
}

static int
keep(struct rota__outbox *outbox, const char *name, const char *pattern, va_list arguments)
{
	struct kept *kept;
	int r;

	if (outbox->kept_bytes + sizeof *kept >= outbox->kept_max)
		return refuse(outbox);
	kept = rota__calloc(sizeof *kept);
	if (kept == NULL)
		return -ENOMEM;
	kept->name = name;
	kept->packed.limit = outbox->sender->event_max;
	r = rota_pack_va(&kept->packed, pattern, arguments);
	if (r >= 0 && outbox->kept_bytes + size_of(kept) > outbox->kept_max)
		r = refuse(outbox);
	if (r < 0) {
		rota_buffer_fini(&kept->packed);
		rota__free(kept);
		return r;
	}
	rota__list_append(&outbox->kept, &kept->link);
	outbox->kept_bytes += size_of(kept);
	outbox->delayed++;
	return 0;
}

int
rota__outbox_fire(struct rota__outbox *outbox, const char *name, const char *pattern, ...)
{
	int r = rota__outbox_drain(outbox);
	va_list arguments;

	if (r < 0)
		return r;
	r = -ROTA_EFULL;
	if (rota__list_is_empty(&outbox->kept)) {
		va_start(arguments, pattern);
		r = rota_sender_fire_va(outbox->sender, name, pattern, arguments);
		va_end(arguments);
	}
	if (r != -ROTA_EFULL)
		return r;
	va_start(arguments, pattern);
	r = keep(outbox, name, pattern, arguments);
	va_end(arguments);
	return r;
}

int
rota__outbox_drain(struct rota__outbox *outbox)
{
	struct kept *kept;

	while ((kept = first(outbox)) != NULL) {
		const struct rota_bytes packed = { kept->packed.bytes, kept->packed.len };
		int r = rota_sender_fire(outbox->sender, kept->name, "v", &packed);

		if (r == -ROTA_EFULL)
			return 0;
		if (r == -EPIPE)
			return r;
		if (r < 0)
			outbox->on_lost(outbox, kept->name, &packed, r);
		forget(outbox, kept);
	}
	return 0;
}
