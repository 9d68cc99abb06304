/* SPDX-License-Identifier: MIT */
/*
 * What the system knows about a stream beyond its addresses: where it was going to before it was
 * redirected, and who is at its other end.
 */
#include <errno.h>
#include <netinet/in.h>

#include "stream.h"

/*
 * The same number for IPv4 and IPv6; <linux/netfilter_ipv4.h> has it, and does not go with
 * <netinet/in.h> everywhere.
 */
#define ORIGINAL_DST 80

int
rota_stream_fd(const struct rota_stream *stream)
{
	return stream->target.fd >= 0 ? stream->target.fd : -ENOTCONN;
}

/* 0 or a negative errno; *length becomes how much of value there is. */
static int
ask(const struct rota_stream *stream, int level, int name, void *value, socklen_t *length)
{
	int fd = rota_stream_fd(stream);

	if (fd < 0)
		return fd;
	return stream->ctx->sys->getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

/* Of IPv4 too where it came by way of an IPv6 socket: then it is one of IPv4 to the NAT. */
static bool
is_v4(const struct rota_address *local)
{
	return local->socket.any.sa_family == AF_INET ||
		(local->socket.any.sa_family == AF_INET6 &&
			IN6_IS_ADDR_V4MAPPED(&local->socket.in6.sin6_addr));
}

int
rota_stream_original(const struct rota_stream *stream, struct rota_address *ret_address)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	struct rota_address local;
	int r = rota_stream_local(stream, &local);

	if (r < 0)
		return r;
	if (local.socket.any.sa_family == AF_UNIX)
		return -ENOTSUP;
	r = ask(stream, is_v4(&local) ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DST, &address, &length);
	if (r < 0)
		return r;
	return rota_address_from_sockaddr((struct sockaddr *)&address, length, ret_address);
}

int
rota_stream_credentials(const struct rota_stream *stream, struct ucred *ret_credentials)
{
	struct ucred credentials;
	int family = 0;
	socklen_t length = sizeof family;
	int r = ask(stream, SOL_SOCKET, SO_DOMAIN, &family, &length);

	if (r < 0)
		return r;
	if (family != AF_UNIX)
		return -ENOTSUP;
	length = sizeof credentials;
	r = ask(stream, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
	if (r < 0)
		return r;
	/* Nobody, while it is not connected. */
	if (credentials.uid == (uid_t)-1)
		return -ENOTCONN;
	*ret_credentials = credentials;
	return 0;
}
