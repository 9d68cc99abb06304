/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets of a prefork. They are listeners of the master's context that are paused
 * for ever, so that all there is to unix paths and ports is done as for any listener; the processes
 * accept from the sockets. The master keeps them, so that what waits in the backlog of a process
 * that died is there for the next one.
 */
#include "prefork.h"

#include <errno.h>

#include <rota/listener.h>

#include "allocator.h"

static void
on_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct rota__prefork_socket *socket = userdata;

	(void)listener;
	(void)why;
	if (socket->place != NULL)
		*socket->place = NULL;
	rota__free(socket);
}

static const struct rota_listener_handlers listener_handlers = { .on_close = on_close };

static int
open_socket(struct rota_prefork *prefork, size_t i, bool is_shared,
	struct rota__prefork_socket **place)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota__prefork_socket *socket = rota__calloc(sizeof *socket);
	int r;

	if (socket == NULL)
		return -ENOMEM;
	options.backlog = prefork->options.backlog;
	options.v6_only = prefork->options.v6_only;
	options.unix_mode = prefork->addresses[i].socket.any.sa_family == AF_UNIX
		? prefork->options.unix_mode
		: 0;
	options.reuse_port = !is_shared;
	r = rota_listen_address(prefork->ctx, &prefork->addresses[i], &options, &listener_handlers,
		socket, &socket->listener);
	if (r < 0) {
		rota__free(socket);
		return r;
	}
	rota_listener_pause(socket->listener);
	socket->place = place;
	*place = socket;
	/* For port 0 the one that it got, which the other places are to have too. */
	return rota_listener_address(socket->listener, &prefork->addresses[i]);
}

static void
close_socket(struct rota__prefork_socket **place)
{
	struct rota__prefork_socket *socket = *place;

	if (socket == NULL)
		return;
	*place = NULL;
	socket->place = NULL;
	rota_listener_close(socket->listener);
}

int
rota__prefork_bind_slot(struct rota_prefork *prefork, struct rota__prefork_slot *slot)
{
	int r = 0;

	for (size_t i = 0; i < prefork->address_count && r >= 0; i++) {
		if (!prefork->is_shared[i] && slot->sockets[i] == NULL)
			r = open_socket(prefork, i, false, &slot->sockets[i]);
	}
	return r;
}

/* An address as its text says it, before it is bound. */
static int
read_address(struct rota_prefork *prefork, const char *text)
{
	struct rota_address *address = &prefork->addresses[prefork->address_count];
	int r;

	if (prefork->address_count == ROTA_PREFORK_ADDRESSES)
		return -EINVAL;
	r = rota_address_parse(text, address);
	if (r < 0)
		return r;
	prefork->is_shared[prefork->address_count++] = prefork->options.shared_listener ||
		address->fd >= 0 || address->socket.any.sa_family == AF_UNIX;
	return 0;
}

int
rota__prefork_bind(struct rota_prefork *prefork)
{
	const char *const *texts = prefork->options.listen;
	int r = 0;

	for (; texts != NULL && *texts != NULL && r >= 0; texts++)
		r = read_address(prefork, *texts);
	prefork->options.listen = NULL; /* it was not copied */
	for (size_t i = 0; i < prefork->address_count && r >= 0; i++) {
		if (prefork->is_shared[i])
			r = open_socket(prefork, i, true, &prefork->sockets[i]);
	}
	for (unsigned i = 0; i < prefork->options.processes && r >= 0; i++)
		r = rota__prefork_bind_slot(prefork, &prefork->slots[i]);
	return r;
}

void
rota__prefork_close_slot(struct rota_prefork *prefork, struct rota__prefork_slot *slot)
{
	for (size_t i = 0; i < prefork->address_count; i++)
		close_socket(&slot->sockets[i]);
}

void
rota__prefork_close_all(struct rota_prefork *prefork)
{
	for (size_t i = 0; i < prefork->address_count; i++)
		close_socket(&prefork->sockets[i]);
	for (unsigned i = 0; i < prefork->options.processes; i++)
		rota__prefork_close_slot(prefork, &prefork->slots[i]);
}

int
rota__prefork_listening(const struct rota_prefork *prefork, const struct rota__prefork_slot *slot,
	size_t address)
{
	const struct rota__prefork_socket *socket =
		prefork->is_shared[address] ? prefork->sockets[address] : slot->sockets[address];
	int fd = socket != NULL ? rota_listener_fd(socket->listener) : -1;

	return fd < 0 ? -1 : fd;
}

int
rota_prefork_address(const struct rota_prefork *prefork, size_t index,
	struct rota_address *ret_address)
{
	if (index >= prefork->address_count)
		return -ENOENT;
	*ret_address = prefork->addresses[index];
	return 0;
}
