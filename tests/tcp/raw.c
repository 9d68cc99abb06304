/* SPDX-License-Identifier: MIT */
/*
 * Sockets without the library: see raw.h.
 */
#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

#define PATIENCE 10000 /* milliseconds */

bool
raw_has_input(int fd, int patience)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };

	return poll(&polled, 1, patience) > 0;
}

static struct rota_address
parse(const char *text)
{
	struct rota_address address;

	assert_int_equal(rota_address_parse(text, &address), 0);
	return address;
}

static int
make_socket(const struct rota_address *address, int flags)
{
	int fd = socket(address->socket.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	return fd;
}

static void
format_local(int fd, char ret_text[ROTA_ADDRESS_TEXT])
{
	struct sockaddr_storage local;
	socklen_t length = sizeof local;
	struct rota_address address;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&local, &length), 0);
	assert_int_equal(rota_address_from_sockaddr((struct sockaddr *)&local, length, &address),
		0);
	rota_address_format(&address, ret_text, ROTA_ADDRESS_TEXT);
}

int
raw_listen(const char *text, int backlog, char ret_text[ROTA_ADDRESS_TEXT])
{
	struct rota_address address = parse(text);
	int fd = make_socket(&address, SOCK_NONBLOCK);

	assert_int_equal(bind(fd, &address.socket.any, address.length), 0);
	assert_int_equal(listen(fd, backlog), 0);
	format_local(fd, ret_text);
	return fd;
}

int
raw_accept(int fd)
{
	int accepted;

	assert_true(raw_has_input(fd, PATIENCE));
	accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(accepted >= 0);
	return accepted;
}

int
raw_begin_connect(const char *text)
{
	struct rota_address address = parse(text);
	int fd = make_socket(&address, SOCK_NONBLOCK);
	int error;

	if (connect(fd, &address.socket.any, address.length) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	return -error;
}

/* 0 or the errno that connecting ended with. */
static int
await_connected(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t length = sizeof error;

	assert_int_equal(poll(&polled, 1, PATIENCE), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
	return error;
}

int
raw_connect(const char *text)
{
	int fd = raw_begin_connect(text);

	assert_true(fd >= 0);
	assert_int_equal(await_connected(fd), 0);
	return fd;
}

void
raw_connect_all(int *peers, int count, const char *text)
{
	for (int i = 0; i < count; i++)
		peers[i] = raw_connect(text);
}

void
raw_close_all(const int *peers, int count)
{
	for (int i = 0; i < count; i++)
		close(peers[i]);
}

bool
raw_is_refused(const char *text)
{
	int fd = raw_begin_connect(text);
	int error;

	if (fd < 0)
		return fd == -ECONNREFUSED;
	error = await_connected(fd);
	close(fd);
	return error == ECONNREFUSED;
}

void
raw_unused_address(char ret_text[ROTA_ADDRESS_TEXT])
{
	close(raw_listen("127.0.0.1:0", 1, ret_text));
}

void
raw_send(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

ssize_t
raw_receive(int fd, void *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, 0);

	return n < 0 ? -errno : n;
}

void
raw_reset(int fd)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	close(fd);
}

void
expect_silence(int fd)
{
	char byte;

	assert_int_equal(raw_receive(fd, &byte, 1), -EAGAIN);
}
