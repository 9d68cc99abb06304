/* SPDX-License-Identifier: MIT */
/*
 * Admission: counting connections, in all and by source.
 *
 * Sources are in a digital search tree: a source stands at the end of the path that the first bits
 * of its key spell, as far down as it had to go when it came. All below it begin with that same
 * path, so any of them can take its place, and nothing is ever balanced. Keys have 64 bits, which
 * bounds the depth whatever a peer chooses; they are spread first, so that neighbours part soon.
 */
#include "admission.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "listener.h"

#define DESCRIPTORS_EACH 2

struct rota_source {
	struct rota_source *below[2];
	uint64_t key;
	size_t connections;
};

struct rota_admission {
	struct rota_context *ctx; /* alive while anybody waits */
	size_t max;
	size_t max_per_source;
	size_t connections;
	uint64_t refused;
	size_t references; /* its owner's, and one for each listener */
	size_t waiting;    /* listeners */
	struct rota_source *root;
	struct rota_source nobody; /* of connections without a source; not in the tree */
};

/* Every other bit of a key decides where it stands, and none is lost: the factor is odd. */
static uint64_t
spread(uint64_t prefix)
{
	return prefix * 0x9e3779b97f4a7c15u;
}

/*
 * An IPv4 address is keyed as the IPv6 network that goes with it, 2002:V4ADDR::/48 (RFC 3056, 2):
 * who sends from there has the address too.
 */
static uint64_t
v4_prefix(const uint8_t address[4])
{
	uint64_t number = (uint64_t)address[0] << 24 | (uint64_t)address[1] << 16 |
		(uint64_t)address[2] << 8 | address[3];

	return (uint64_t)0x2002 << 48 | number << 16;
}

static uint64_t
v6_prefix(const uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint64_t prefix = 0;

	if (memcmp(address, mapped, sizeof mapped) == 0)
		return v4_prefix(address + sizeof mapped);
	for (int i = 0; i < 8; i++)
		prefix = prefix << 8 | address[i];
	return prefix;
}

/* The key of an address's source. False: it is nobody's. */
static bool
find_key(const struct rota_address *peer, uint64_t *ret_key)
{
	if (peer->fd >= 0)
		return false;
	switch (peer->socket.any.sa_family) {
	case AF_INET:
		*ret_key = spread(v4_prefix((const uint8_t *)&peer->socket.in.sin_addr));
		return true;
	case AF_INET6:
		*ret_key = spread(v6_prefix(peer->socket.in6.sin6_addr.s6_addr));
		return true;
	case AF_UNIX:
		*ret_key = spread(UINT64_MAX); /* a multicast network: no peer's */
		return true;
	default:
		return false;
	}
}

/* Where the source with that key is, or is to be. */
static struct rota_source **
find_place(struct rota_admission *admission, uint64_t key)
{
	struct rota_source **place = &admission->root;

	for (uint64_t path = key; *place != NULL && (*place)->key != key; path <<= 1)
		place = &(*place)->below[path >> 63];
	return place;
}

/* Removes the source that is there; one without any below it takes its place. */
static void
take_out(struct rota_source **place)
{
	struct rota_source *source = *place;
	struct rota_source **last = place;
	struct rota_source *heir;

	assert(source != NULL);
	while ((*last)->below[0] != NULL || (*last)->below[1] != NULL)
		last = &(*last)->below[(*last)->below[0] == NULL];
	heir = *last;
	*last = NULL;
	if (heir != source) {
		memcpy(heir->below, source->below, sizeof heir->below);
		*place = heir;
	}
	rota__free(source);
}

static struct rota_source *
add(struct rota_source **place, uint64_t key)
{
	struct rota_source *source = rota__malloc(sizeof *source);

	if (source != NULL)
		*source = (struct rota_source){ .key = key };
	*place = source;
	return source;
}

static int
max_of_system(const struct rota_sys_ops *sys, size_t *ret_max)
{
	struct rlimit limit;
	rlim_t descriptors;

	if (sys->getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	descriptors = limit.rlim_cur - limit.rlim_cur / 8;
	*ret_max = descriptors > DESCRIPTORS_EACH ? (size_t)descriptors / DESCRIPTORS_EACH : 1;
	return 0;
}

int
rota_admission_new(struct rota_context *ctx, const struct rota_admission_options *options,
	struct rota_admission **ret_admission)
{
	static const struct rota_admission_options defaults = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_admission *admission;
	size_t max;
	int r = 0;

	if (options == NULL)
		options = &defaults;
	if (options->size != sizeof *options)
		return -EINVAL;
	max = options->max;
	if (max == 0)
		r = max_of_system(ctx->sys, &max);
	if (r < 0)
		return r;
	admission = rota__malloc(sizeof *admission);
	if (admission == NULL)
		return -ENOMEM;
	*admission = (struct rota_admission){
		.ctx = ctx,
		.max = max,
		.max_per_source = options->max_per_source > 0 ? options->max_per_source : max,
		.references = 1,
	};
	*ret_admission = admission;
	return 0;
}

static void
dispose_unused(struct rota_admission *admission)
{
	if (admission->references == 0 && admission->connections == 0)
		rota__free(admission);
}

void
rota__admission_unref(struct rota_admission *admission)
{
	if (admission == NULL)
		return;
	admission->references--;
	dispose_unused(admission);
}

void
rota_admission_free(struct rota_admission *admission)
{
	rota__admission_unref(admission);
}

struct rota_admission *
rota__admission_ref(struct rota_admission *admission)
{
	if (admission != NULL)
		admission->references++;
	return admission;
}

bool
rota__admission_is_of(const struct rota_admission *admission, const struct rota_context *ctx)
{
	return admission->ctx == ctx;
}

bool
rota__admission_is_full(const struct rota_admission *admission)
{
	return admission != NULL && admission->connections >= admission->max;
}

void
rota__admission_wait(struct rota_admission *admission, bool waits)
{
	admission->waiting += waits ? 1 : (size_t)-1;
}

static int
enter(struct rota_admission *admission, const struct rota_address *peer,
	struct rota_source **ret_source)
{
	struct rota_source *source;
	struct rota_source **place;
	uint64_t key;

	if (peer != NULL && !find_key(peer, &key))
		return -EINVAL;
	if (rota__admission_is_full(admission))
		return -ROTA_ELIMIT;
	if (peer == NULL) {
		source = &admission->nobody;
	} else {
		place = find_place(admission, key);
		source = *place != NULL ? *place : add(place, key);
		if (source == NULL)
			return -ENOMEM;
		if (source->connections >= admission->max_per_source)
			return -ROTA_ELIMIT;
	}
	source->connections++;
	admission->connections++;
	*ret_source = source;
	return 0;
}

int
rota_admission_enter(struct rota_admission *admission, const struct rota_address *peer,
	struct rota_source **ret_source)
{
	int r = enter(admission, peer, ret_source);

	if (r == -ROTA_ELIMIT)
		admission->refused++;
	return r;
}

void
rota_admission_leave(struct rota_admission *admission, struct rota_source *source)
{
	if (source == NULL)
		return;
	admission->connections--;
	source->connections--;
	if (source->connections == 0 && source != &admission->nobody)
		take_out(find_place(admission, source->key));
	if (admission->waiting > 0)
		rota__listeners_try_again(rota__tcp(admission->ctx));
	dispose_unused(admission);
}

size_t
rota_admission_connections(const struct rota_admission *admission)
{
	return admission->connections;
}

size_t
rota_admission_max(const struct rota_admission *admission)
{
	return admission->max;
}

uint64_t
rota_admission_refused(const struct rota_admission *admission)
{
	return admission->refused;
}
