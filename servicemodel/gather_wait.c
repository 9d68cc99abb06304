/* SPDX-License-Identifier: MIT */
/*
 * Requests that are waited for: a façade on rota_wait. What has come of one is copied, in one
 * block, when it ends, and is the caller's from then on.
 */
#include "gather.h"

#include <errno.h>
#include <string.h>

#include <rota/iterate.h>

#include "allocator.h"

struct waited {
	struct rota_gather *gather;
	const char *topic;
	const void *payload;
	size_t len;
	rota_time ttl;
	uint64_t id;
	bool is_begun;
	bool is_done;
	int result;
	struct rota_gather_summary *summary;
};

/* A summary, and behind it what it points at. */
struct block {
	struct rota_gather_summary summary;
	struct rota_gather_result results[];
};

static size_t
size_of(const struct rota_gather_summary *summary)
{
	size_t size = sizeof(struct block) + strlen(summary->topic) + 1;

	for (size_t i = 0; i < summary->count; i++) {
		const struct rota_gather_result *result = &summary->results[i];

		size += sizeof *result + strlen(result->producer) + 1 + strlen(result->text) + 1 +
			result->len + 1;
	}
	return size;
}

/* Puts len bytes and a NUL behind those before. */
static const char *
add(char **end, const void *bytes, size_t len)
{
	char *place = *end;

	if (len > 0)
		memcpy(place, bytes, len);
	place[len] = '\0';
	*end = place + len + 1;
	return place;
}

static struct rota_gather_summary *
copy(const struct rota_gather_summary *summary)
{
	struct block *block = rota__malloc(size_of(summary));
	char *end;

	if (block == NULL)
		return NULL;
	end = (char *)&block->results[summary->count];
	block->summary = *summary;
	block->summary.results = block->results;
	block->summary.topic = add(&end, summary->topic, strlen(summary->topic));
	for (size_t i = 0; i < summary->count; i++) {
		const struct rota_gather_result *from = &summary->results[i];
		struct rota_gather_result *to = &block->results[i];

		*to = *from;
		to->producer = add(&end, from->producer, strlen(from->producer));
		to->text = add(&end, from->text, strlen(from->text));
		to->bytes = add(&end, from->bytes, from->len);
	}
	return &block->summary;
}

static void
on_done(struct rota_gather *gather, const struct rota_gather_summary *summary, void *userdata)
{
	struct waited *waited = userdata;

	(void)gather;
	waited->is_done = true;
	waited->summary = copy(summary);
	waited->result = waited->summary != NULL ? 0 : -ENOMEM;
}

/* Begins it, too: once it is clear that it can be waited for. */
static bool
is_done(struct rota_context *ctx, void *userdata)
{
	struct waited *waited = userdata;

	(void)ctx;
	if (!waited->is_begun) {
		waited->is_begun = true;
		waited->result = rota__gather_begin(waited->gather, waited->topic, waited->payload,
			waited->len, waited->ttl, true, on_done, waited, &waited->id);
		waited->is_done = waited->result < 0;
	}
	return waited->is_done;
}

/* Nobody waits any more. */
static void
abandon(const struct waited *waited)
{
	struct rota__gathering *request = rota__gather_find_any(waited->gather, waited->id);

	request->on_done = NULL;
	(void)rota_gather_cancel(waited->gather, waited->id);
}

int
rota_gather_request_wait(struct rota_gather *gather, const char *topic, const void *payload,
	size_t len, rota_time ttl, struct rota_gather_summary **ret_summary)
{
	struct waited waited = {
		.gather = gather,
		.topic = topic,
		.payload = payload,
		.len = len,
		.ttl = ttl,
	};
	int r;

	if (gather->is_over)
		return -ECANCELED;
	r = rota_wait(gather->ctx, is_done, &waited, ROTA_NEVER);
	if (!waited.is_done) {
		if (waited.is_begun)
			abandon(&waited);
		return r;
	}
	if (waited.result == 0)
		*ret_summary = waited.summary;
	return waited.result;
}

void
rota_gather_summary_free(struct rota_gather_summary *summary)
{
	rota__free(summary);
}
