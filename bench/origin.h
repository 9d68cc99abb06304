/* SPDX-License-Identifier: MIT */
/*
 * origin.h - the servers behind a proxy, in the process of the load: both ends of what a proxy
 * passes on then share one core that never sleeps, and no third process disturbs the proxy's.
 *
 * It accepts from a listener that it has inherited, so that the proxy could be told the address
 * before this program began.
 */
#ifndef BENCH_ORIGIN_H
#define BENCH_ORIGIN_H

#include <stdint.h>

#include "common.h"

struct origin {
	struct watch watch;
	int epoll;
	int listener;
	void (*accepted)(struct origin *origin, int fd);
	uint64_t ended; /* connections that origin_echo has seen the end of, and closed */
};

/* Does nothing if the options name no listener. */
void origin_init(struct origin *origin, const struct load_options *options, int epoll,
	void (*accepted)(struct origin *origin, int fd));

/* An `accepted` that sends back what comes, which must be few enough bytes to fit the kernel's. */
void origin_echo(struct origin *origin, int fd);

#endif
