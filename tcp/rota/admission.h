/* SPDX-License-Identifier: MIT */
/*
 * Rota: admission, how many connections there may be, in all and from one source. It counts who has
 * entered and has not left; a listener that is given it (<rota/listener.h>, options.admission)
 * accepts only while there is room. Several listeners of one context may share an admission.
 *
 * A listener enters nobody: only its user knows whose a connection is, and when it is over. Enter
 * in on_accept, with rota_stream_peer, and abort who is refused; leave in on_close, or in a relay's
 * on_done. Where a PROXY header is to tell the source, enter with NULL until it has come, then
 * leave and enter again: nobody else is accepted in between. In a forked child that keeps its
 * listeners, leave for the streams that were dropped there: no on_close tells of them.
 *
 * A source is an IPv4 address, also one that is mapped into IPv6; the /64 network of an IPv6
 * address, which is one customer's; all peers on unix sockets together. Sources are kept in a tree
 * no more than 64 deep, whatever addresses peers choose, 32 bytes each, and only while they have
 * connections. All calls are for the context's own thread, in and outside of turns, and call
 * nothing back.
 */
#ifndef ROTA_ADMISSION_H
#define ROTA_ADMISSION_H

#include <rota/address.h>
#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_context;
struct rota_admission;
struct rota_source;

/* Begin with ROTA_ADMISSION_OPTIONS_INIT, whose values are in brackets. */
struct rota_admission_options {
	size_t size; /* of this struct, set by _INIT */
	/*
	 * Connections in all; 0: what the process's descriptor limit (getrlimit(2), RLIMIT_NOFILE,
	 * as it is when the admission is made) less an eighth allows, with two descriptors for
	 * each, as a proxy needs [0]
	 */
	size_t max;
	size_t max_per_source; /* connections of one source; 0: no limit [0] */
};

#define ROTA_ADMISSION_OPTIONS_INIT \
	{ \
		sizeof(struct rota_admission_options), 0, 0 \
	}

/*
 * Makes an admission for listeners of ctx. options, NULL for the defaults, are copied. Free it with
 * rota_admission_free. Returns 0; -EINVAL for options of another size; -ENOMEM; the errno of
 * getrlimit, when max is 0.
 */
ROTA_API int rota_admission_new(struct rota_context *ctx,
	const struct rota_admission_options *options, struct rota_admission **ret_admission);

/*
 * Gives it up, also after its context is freed: nobody may enter any more. Who is inside may still
 * leave, and listeners that have it keep to it as long as they are open; its memory goes with the
 * last of them. admission NULL does nothing.
 */
ROTA_API void rota_admission_free(struct rota_admission *admission);

/*
 * Counts one more connection, whose source is that of peer (its port does not matter); peer NULL:
 * of no source, which has no limit of its own. *ret_source is what rota_admission_leave wants.
 *
 * Returns 0; -ROTA_ELIMIT when as many are inside as may be, in all or of this source (which counts
 * as refused); -EINVAL for an address of no peer (fd:N); -ENOMEM.
 */
ROTA_API int rota_admission_enter(struct rota_admission *admission, const struct rota_address *peer,
	struct rota_source **ret_source);

/*
 * One connection of source has gone. Listeners that waited for room accept again, from the next
 * turn on. Once for each rota_admission_enter. source NULL does nothing.
 */
ROTA_API void rota_admission_leave(struct rota_admission *admission, struct rota_source *source);

/* Connections that are inside; how many may be; how often somebody was refused, ever. */
ROTA_API size_t rota_admission_connections(const struct rota_admission *admission);
ROTA_API size_t rota_admission_max(const struct rota_admission *admission);
ROTA_API uint64_t rota_admission_refused(const struct rota_admission *admission);

ROTA_END_DECLS

#endif
