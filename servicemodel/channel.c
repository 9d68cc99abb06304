/* SPDX-License-Identifier: MIT */
/*
 * A channel is a pair of sockets, of which all senders hold the one and all receivers the other.
 * The kernel is all that knows who they are: an end is gone when its last descriptor is closed, in
 * whatever process and for whatever reason.
 */
#include "channel.h"
#include "descriptors.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "allocator.h"

struct rota_channel *
rota__channel_make(const struct rota_sys_ops *sys, int from, int to, bool several_receivers,
	size_t event_max)
{
	struct rota_channel *channel = rota__malloc(sizeof *channel);

	if (channel == NULL)
		return NULL;
	*channel = (struct rota_channel){
		.sys = sys,
		.from = from,
		.to = to,
		.had_from = from >= 0,
		.had_to = to >= 0,
		.several_receivers = several_receivers,
		.event_max = event_max != 0 ? event_max : ROTA__EVENT_MAX,
	};
	return channel;
}

/* What the kernel may hold: as much as it lets, so that who is slower is less often waited for. */
static void
widen(const struct rota_sys_ops *sys, int from)
{
	int size = ROTA__CHANNEL_ROOM;

	(void)sys->setsockopt(from, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

int
rota_channel_new(const struct rota_channel_options *options, struct rota_channel **ret_channel)
{
	struct rota_channel_options chosen = ROTA_CHANNEL_OPTIONS_INIT;
	const struct rota_sys_ops *sys = rota__default_sys();
	struct rota_channel *channel;
	int pair[2];

	if (options != NULL &&
		(options->size < sizeof chosen || options->event_max > ROTA__EVENT_MOST))
		return -EINVAL;
	if (options != NULL)
		chosen = *options;
	if (sys->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	widen(sys, pair[0]);
	channel = rota__channel_make(sys, pair[0], pair[1], chosen.several_receivers,
		chosen.event_max);
	if (channel != NULL) {
		*ret_channel = channel;
		return 0;
	}
	sys->close(pair[0]);
	sys->close(pair[1]);
	return -ENOMEM;
}

int
rota_channel_sender(struct rota_channel *channel, struct rota_sender **ret_sender)
{
	struct rota_sender *sender;

	if (channel->from < 0)
		return channel->had_from ? -EALREADY : -ENOENT;
	sender = rota__sender_make(channel);
	if (sender == NULL)
		return -ENOMEM;
	channel->from = -1;
	*ret_sender = sender;
	return 0;
}

int
rota_channel_receiver(struct rota_channel *channel, struct rota_receiver **ret_receiver)
{
	struct rota_receiver *receiver;

	if (channel->to < 0)
		return channel->had_to ? -EALREADY : -ENOENT;
	receiver = rota__receiver_make(channel);
	if (receiver == NULL)
		return -ENOMEM;
	channel->to = -1;
	*ret_receiver = receiver;
	return 0;
}

void
rota__channel_descriptors(const struct rota_channel *channel, int ret_fds[2])
{
	ret_fds[0] = channel->from;
	ret_fds[1] = channel->to;
}

void
rota_channel_free(struct rota_channel *channel)
{
	if (channel == NULL)
		return;
	if (channel->from >= 0)
		channel->sys->close(channel->from);
	if (channel->to >= 0)
		channel->sys->close(channel->to);
	rota__free(channel);
}

/* Either end does: what one has shut down the other sees, and each in both directions. */
void
rota_channel_close(struct rota_channel *channel)
{
	int fd = channel->from >= 0 ? channel->from : channel->to;

	if (fd >= 0)
		(void)channel->sys->shutdown(fd, SHUT_RDWR);
}

static rota_time
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (rota_time)time.tv_sec * ROTA_SECOND + time.tv_nsec;
}

rota_time
rota__channel_deadline(rota_time timeout)
{
	rota_time from;

	if (timeout == ROTA_NEVER)
		return ROTA_NEVER;
	from = now();
	return timeout >= ROTA_NEVER - from ? ROTA_NEVER : from + timeout;
}

rota_time
rota__channel_left(rota_time deadline)
{
	rota_time left;

	if (deadline == ROTA_NEVER)
		return ROTA_NEVER;
	left = deadline - now();
	return left > 0 ? left : 0;
}
