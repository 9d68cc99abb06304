/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes PROXY protocol headers, for libFuzzer. An input is parsed whole, and some beginnings of it
 * too, each in a block of its exact size. What is said of a beginning must hold for the whole, so
 * that a header is the same wherever it is split; none is longer than its limit; what it says can
 * be written and is read back the same, in both versions, as far as they can tell it.
 */
#include <rota/proxy_protocol.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SPLITS 3

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static ssize_t
parse_alone(const void *data, size_t len, struct rota_proxy_header *ret_header)
{
	struct rota_proxy_header header;
	struct rota_proxy_header untouched;
	void *alone = malloc(len);
	ssize_t r;

	require(alone != NULL || len == 0);
	if (len > 0)
		memcpy(alone, data, len);
	memset(&header, 0xa5, sizeof header);
	untouched = header;
	r = rota_proxy_parse(alone, len, &header);
	free(alone);
	require(r == -ROTA_EPROXY || (r >= 0 && (size_t)r <= len && r <= ROTA_PROXY_LIMIT));
	if (r > 0)
		*ret_header = header;
	else
		require(memcmp(&header, &untouched, sizeof header) == 0);
	return r;
}

static bool
is_same(const struct rota_proxy_header *a, const struct rota_proxy_header *b)
{
	if (a->is_local || b->is_local)
		return a->is_local && b->is_local;
	return rota_address_is_equal(&a->source, &b->source) &&
		rota_address_is_equal(&a->destination, &b->destination);
}

/* Local headers have no addresses, others those of one family. */
static void
check_said(const struct rota_proxy_header *header)
{
	sa_family_t family = header->source.socket.any.sa_family;

	require(header->source.fd == -1 && header->destination.fd == -1);
	require(header->destination.socket.any.sa_family == family);
	if (header->is_local)
		require(family == AF_UNSPEC && header->source.length == 0);
	else
		require(family == AF_INET || family == AF_INET6 || family == AF_UNIX);
}

static void
check_written(const struct rota_proxy_header *header, int version)
{
	char bytes[ROTA_PROXY_BYTES];
	ssize_t len = rota_proxy_format(version, header, bytes, sizeof bytes);
	struct rota_proxy_header back;

	require(len > 0 && (version == 2 || len <= 107));
	require(parse_alone(bytes, (size_t)len, &back) == len);
	if (version == 1 && header->source.socket.any.sa_family == AF_UNIX)
		require(back.is_local);
	else
		require(is_same(header, &back));
	require(rota_proxy_format(version, header, bytes, (size_t)len - 1) == -ENOSPC);
	require(rota_proxy_format(version, header, bytes, (size_t)len) == len);
}

/* A split that the input itself chooses, so that a finding can be repeated. */
static size_t
choose(const uint8_t *data, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ data[i]) * 16777619u;
	return seed % (size + 1);
}

/* r and header are what was said of more than the first len bytes. */
static void
check_beginning(const uint8_t *data, size_t len, ssize_t r, const struct rota_proxy_header *header)
{
	struct rota_proxy_header beginning;
	ssize_t earlier = parse_alone(data, len, &beginning);

	require(earlier == 0 || earlier == r);
	if (earlier > 0)
		require(is_same(&beginning, header));
	if (r > 0)
		require((earlier > 0) == (len >= (size_t)r));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rota_proxy_header header = { .is_local = false };
	ssize_t r = parse_alone(data, size, &header);

	for (uint32_t seed = 1; seed <= SPLITS; seed++)
		check_beginning(data, choose(data, size, seed), r, &header);
	if (r > 0) {
		check_beginning(data, (size_t)r - 1, r, &header);
		check_beginning(data, (size_t)r, r, &header);
		check_said(&header);
		check_written(&header, 1);
		check_written(&header, 2);
	}
	return 0;
}
