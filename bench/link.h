/* SPDX-License-Identifier: MIT */
/*
 * link.h - the load's end of a connection to the server: plain in `load` (plain-link.c), TLS in
 * `tls-load` (tls-link.c). Everything else is the same in both programs.
 *
 * A link is edge-triggered: after a short link_recv nothing is left, neither in the socket nor in
 * what was decrypted, and whatever comes later is a new edge.
 */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common.h"

struct link {
	int fd;
	struct tls_state *tls; /* NULL: plain, and so are all links of `load` */
};

/* What links were; all of it 0 if they are plain. */
struct link_counts {
	uint64_t full;      /* full handshakes */
	uint64_t resumed;   /* handshakes that resumed a session */
	uint64_t finished;  /* links that were ended by link_finish */
	uint64_t truncated; /* those of them where no close_notify came before the end */
};

/* Comes first, once. */
void links_init(const struct load_options *options);

const struct link_counts *links_counts(void);

/* What the origin has accepted is a plain link too, in both programs. */
static inline struct link
link_accepted(int fd)
{
	return (struct link){ .fd = fd };
}

/* Begins to connect to the server; `watch` is told of every edge. */
void link_begin(struct link *link, const struct load_options *options, int epoll,
	struct watch *watch);

/* Goes on with connecting; returns whether that is done. Ends the program if it failed. */
bool link_is_up(struct link *link);

/* Like send and recv: -1 and EAGAIN if nothing can be done now. Other errors end the program. */
ssize_t link_send(struct link *link, const void *bytes, size_t len);
ssize_t link_recv(struct link *link, void *bytes, size_t len, int flags);

/* Whether a part of a record is written: its sender has to go on before it may fall silent. */
bool link_is_within_record(const struct link *link);

/* Ends this side, in the way of the protocol; returns false if the link is to be called again. */
bool link_finish(struct link *link);

/*
 * For one of thousands of links that the program's end closes: plain ones then reset, as so many
 * TIME_WAITs would slow down the next run. TLS has no clean end that leaves none.
 */
void link_leave_no_trace(const struct link *link);

/* Tells the server of the end of all links that the program's end is about to close. */
void links_say_goodbye(void);

#endif
