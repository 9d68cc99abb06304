/* SPDX-License-Identifier: MIT */
/*
 * Rota: the PROXY protocol, versions 1 and 2. A proxy says in a header, before everything else on a
 * connection, whom it speaks for. What is said here of the format is HAProxy's specification,
 * https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt.
 *
 * A header is to be believed only when it comes from a proxy that one knows, and is then required:
 * whoever may choose to send one may choose an address. So ask for it where the peer is in a list
 * (<rota/cidr.h>), and nowhere else.
 */
#ifndef ROTA_PROXY_PROTOCOL_H
#define ROTA_PROXY_PROTOCOL_H

#include <rota/address.h>
#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_stream;

/* The longest header that rota_proxy_format writes. */
#define ROTA_PROXY_BYTES 239

/*
 * The longest header that is accepted. Headers without attachments (TLVs) have 232 bytes at most;
 * those that a proxy adds of a TLS connection some hundred.
 */
#define ROTA_PROXY_LIMIT 4096

/* Who is spoken for. */
struct rota_proxy_header {
	/*
	 * The connection is the sender's own (version 2: LOCAL), or of what has no addresses here
	 * (version 1: UNKNOWN; version 2: UNSPEC, or datagrams). Those of the connection itself
	 * apply; source and destination are empty.
	 */
	bool is_local;
	struct rota_address source;      /* who connected to the first proxy */
	struct rota_address destination; /* and to where */
};

/*
 * Looks for a header at the start of what has come of a connection, len bytes. Returns the header's
 * length, and what it says; 0 when more must come before it is whole; -ROTA_EPROXY when this is
 * none, told as soon as it is certain. It keeps nothing and allocates nothing; from any thread.
 *
 * It is strict, as section 2 wants: version 1 is one line of at most 107 bytes that ends in CRLF,
 * with single spaces and no zeros in front of numbers. Version 2 has a known command, family and
 * protocol, its attachments fill it exactly, and a checksum among them (PP2_TYPE_CRC32C) is right;
 * others are skipped. Of LOCAL nothing but its length and a checksum matters (2.2). Unix paths end
 * in a NUL, so they have at most 107 bytes; the NULs that an abstract name ends in are not part of
 * it, because the format does not tell its length.
 */
ROTA_API ssize_t rota_proxy_parse(const void *bytes, size_t len,
	struct rota_proxy_header *ret_header);

/*
 * Writes a header of version 1 or 2 into a buffer of size bytes: send it first on the connection.
 * Version 1 can tell TCP only, and says UNKNOWN of unix sockets; version 2 has a checksum. IPv6
 * scopes are not told. Returns its length; -EINVAL for another version, or when source and
 * destination are not of one family; -ENOSPC when the buffer is too small. From any thread.
 */
ROTA_API ssize_t rota_proxy_format(int version, const struct rota_proxy_header *header,
	void *buffer, size_t size);

/*
 * The header of a stream has come. header is good until this returns. Called in a turn, before the
 * stream's on_open; everything is legal that is in on_accept: to give the stream its handlers, to
 * send, to relay it, to abort it, or to ask for a second header behind this one.
 */
typedef void rota_proxy_fn(struct rota_stream *stream, const struct rota_proxy_header *header,
	void *userdata);

/*
 * Has an accepted stream begin with a header: to be called in on_accept, or behind
 * rota_stream_adopt. The stream is not open before it has come, so until then none of its handlers
 * is called but on_close; it may be given handlers, send (that waits), be paused (that holds from
 * on_open on), relayed, closed or aborted as usual. The header is taken from the connection and
 * given to on_header (NULL: thrown away), then on_open follows, and all that comes behind the
 * header is the stream's input.
 *
 * When there is no header, on_header is not called and the stream is over, in phase handshake: with
 * reason local and error -ROTA_EPROXY when something else came; truncated and the same when the
 * peer ended before; handshake timeout when it took longer than the stream's handshake_timeout;
 * reset; system and -ENOMEM.
 *
 * Returns 0; -EALREADY when a header is being waited for; -EINVAL for a stream that is open, over,
 * or made by rota_connect; -ENOMEM. After a failure the stream is as it was: abort it.
 */
ROTA_API int rota_proxy_receive(struct rota_stream *stream, rota_proxy_fn *on_header,
	void *userdata);

ROTA_END_DECLS

#endif
