/* SPDX-License-Identifier: MIT */
/*
 * What stands at the front of each payload of a dialog by id: see <rota/dialog.h>. For both ends.
 */
#ifndef ROTA_PRIVATE_DIALOG_WIRE_H
#define ROTA_PRIVATE_DIALOG_WIRE_H

#include <string.h>
#include <sys/uio.h>

#include <rota/clock.h>
#include <rota/framing.h>

enum rota__kind {
	ROTA__REQUEST = 1,
	ROTA__REPLY,
	ROTA__REFUSAL,
	ROTA__CANCEL,
	ROTA__NOTICE,
	ROTA__LEAVING,
};

/* A kind and an id; with a deadline or a code besides. */
#define ROTA__HEAD ((size_t)5)
#define ROTA__LONG_HEAD ((size_t)9)

/* Most calls or requests in flight on one connection. */
#define ROTA__MOST_IN_FLIGHT ((size_t)65536)
#define ROTA__IN_FLIGHT ((size_t)1024)

/* Most bytes of a refusal's text. */
#define ROTA__REFUSAL_TEXT ((size_t)255)

static inline void
rota__wire_put(unsigned char *to, uint32_t number)
{
	to[0] = (unsigned char)(number >> 24);
	to[1] = (unsigned char)(number >> 16);
	to[2] = (unsigned char)(number >> 8);
	to[3] = (unsigned char)number;
}

static inline uint32_t
rota__wire_get(const unsigned char *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* Milliseconds, rounded up: who is told must not be done with it before who tells. */
static inline uint32_t
rota__wire_left(rota_time deadline, rota_time now)
{
	rota_time left;

	if (deadline == ROTA_NEVER)
		return 0;
	left = deadline > now ? (deadline - now - 1) / ROTA_MILLISECOND + 1 : 1;
	return left < UINT32_MAX ? (uint32_t)left : 0;
}

/* Whether a framing can carry any bytes, as a header. Those that are not ours say so themselves. */
static inline bool
rota__wire_fits(const struct rota_framing *framing)
{
	return framing->ops != &rota_framing_line && framing->ops != &rota_framing_delimiter &&
		framing->ops != &rota_framing_msgpack &&
		rota_framing_limit(framing) >= ROTA__LONG_HEAD;
}

#endif
