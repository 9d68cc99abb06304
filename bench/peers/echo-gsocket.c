/* SPDX-License-Identifier: MIT */
/*
 * echo-gsocket.c - the echo server on GLib, as its programs do it who want no streams: a GSocket
 * that does not block, and a source per connection (g_socket_create_source).
 *
 * The source asks for G_IO_OUT instead of G_IO_IN only while the kernel is full. GLib's own way to
 * change what a source asks for is to replace it.
 */
#include "peer.h"

#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct connection {
	GSocket *socket;
	char *rest; /* what the kernel did not take; while there is some, nothing is read */
	gsize len;
	gsize done;
};

static char buffer[PEER_READ_SIZE];

static void
connection_free(struct connection *c)
{
	g_socket_close(c->socket, NULL);
	g_object_unref(c->socket);
	g_free(c->rest);
	g_free(c);
}

static void
watch(struct connection *c, GIOCondition condition, GSocketSourceFunc on_ready)
{
	GSource *source = g_socket_create_source(c->socket, condition, NULL);

	g_source_set_callback(source, G_SOURCE_FUNC(on_ready), c, NULL);
	g_source_attach(source, NULL);
	g_source_unref(source);
}

/* Whether that was all that is wrong. */
static gboolean
would_block(GError *error)
{
	gboolean r = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

	g_error_free(error);
	return r;
}

static gboolean on_readable(GSocket *socket, GIOCondition condition, gpointer userdata);

static gboolean
on_writable(GSocket *socket, GIOCondition condition, gpointer userdata)
{
	struct connection *c = userdata;
	GError *error = NULL;
	gssize put = g_socket_send(socket, c->rest + c->done, c->len - c->done, NULL, &error);

	(void)condition;
	if (put < 0) {
		if (would_block(error))
			return G_SOURCE_CONTINUE;
		connection_free(c);
		return G_SOURCE_REMOVE;
	}
	c->done += (gsize)put;
	if (c->done < c->len)
		return G_SOURCE_CONTINUE;
	g_clear_pointer(&c->rest, g_free);
	watch(c, G_IO_IN, on_readable);
	return G_SOURCE_REMOVE;
}

/* Keeps what the kernel did not take. */
static void
keep(struct connection *c, const char *bytes, gsize len)
{
	c->rest = g_memdup2(bytes, len);
	c->len = len;
	c->done = 0;
	watch(c, G_IO_OUT, on_writable);
}

static gboolean
on_readable(GSocket *socket, GIOCondition condition, gpointer userdata)
{
	struct connection *c = userdata;
	GError *error = NULL;
	gssize got = g_socket_receive(socket, buffer, sizeof(buffer), NULL, &error);
	gssize put;

	(void)condition;
	if (got < 0 && would_block(error))
		return G_SOURCE_CONTINUE;
	if (got <= 0) {
		connection_free(c);
		return G_SOURCE_REMOVE;
	}
	put = g_socket_send(socket, buffer, (gsize)got, NULL, &error);
	if (put == got)
		return G_SOURCE_CONTINUE;
	if (put < 0 && !would_block(error)) {
		connection_free(c);
		return G_SOURCE_REMOVE;
	}
	if (put < 0)
		put = 0;
	keep(c, buffer + put, (gsize)(got - put));
	return G_SOURCE_REMOVE;
}

static gboolean
on_connection(GSocket *listener, GIOCondition condition, gpointer userdata)
{
	GError *error = NULL;
	GSocket *socket = g_socket_accept(listener, NULL, &error);
	struct connection *c;

	(void)condition;
	(void)userdata;
	if (!socket) {
		if (!would_block(error))
			peer_die("accept");
		return G_SOURCE_CONTINUE;
	}
	g_socket_set_blocking(socket, FALSE);
	g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
	c = g_new0(struct connection, 1);
	c->socket = socket;
	watch(c, G_IO_IN, on_readable);
	return G_SOURCE_CONTINUE;
}

int
main(int argc, char **argv)
{
	GSocket *listener = g_socket_new_from_fd(peer_listen(argc, argv), NULL);
	GSource *source;

	if (!listener)
		peer_die("g_socket_new_from_fd");
	g_socket_set_blocking(listener, FALSE);
	source = g_socket_create_source(listener, G_IO_IN, NULL);
	g_source_set_callback(source, G_SOURCE_FUNC(on_connection), NULL, NULL);
	g_source_attach(source, NULL);
	g_main_loop_run(g_main_loop_new(NULL, FALSE));
	return 0;
}
