/* SPDX-License-Identifier: MIT */
/*
 * echo-libevent.c - the echo server on libevent's bufferevents: what was read is moved, not
 * copied, from the input to the output buffer.
 *
 * Reading stops while much waits to be written. A bufferevent asks for EV_WRITE and takes it back
 * around every write; run with EVENT_EPOLL_USE_CHANGELIST in the environment, libevent folds some
 * of that. bench/run does both.
 */
#include "peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#define HIGH_MARK (4 * PEER_READ_SIZE)

static void
on_read(struct bufferevent *bev, void *userdata)
{
	struct evbuffer *output = bufferevent_get_output(bev);

	(void)userdata;
	evbuffer_add_buffer(output, bufferevent_get_input(bev));
	if (evbuffer_get_length(output) > HIGH_MARK)
		bufferevent_disable(bev, EV_READ);
}

static void
on_written(struct bufferevent *bev, void *userdata)
{
	(void)userdata;
	if (!(bufferevent_get_enabled(bev) & EV_READ))
		bufferevent_enable(bev, EV_READ);
}

static void
on_event(struct bufferevent *bev, short what, void *userdata)
{
	(void)userdata;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		bufferevent_free(bev);
}

static void
on_connection(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int len, void *userdata)
{
	struct bufferevent *bev;

	(void)address;
	(void)len;
	(void)userdata;
	peer_nodelay(fd);
	bev = bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev)
		peer_die("bufferevent_socket_new");
	bufferevent_setcb(bev, on_read, on_written, on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
on_accept_error(struct evconnlistener *listener, void *userdata)
{
	(void)listener;
	(void)userdata;
	peer_die("accept");
}

int
main(int argc, char **argv)
{
	int fd = peer_listen(argc, argv);
	struct event_config *config = event_config_new();
	struct event_base *base;
	struct evconnlistener *listener;

	if (!config)
		peer_die("event_config_new");
	/* One thread needs no locks. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (!base)
		peer_die("event_base_new");
	listener = evconnlistener_new(base, on_connection, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener)
		peer_die("evconnlistener_new");
	evconnlistener_set_error_cb(listener, on_accept_error);
	event_base_dispatch(base);
	return 0;
}
