/* SPDX-License-Identifier: MIT */
/*
 * Lines: see scenario_line.h.
 */
#include "scenario_line.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/listener.h>

#include "faulty_sys.h"
#include "sim_context.h"
#include "stream.h"

#define MOST_TIME (8 * ROTA_SECOND)
#define SMALL_BUFFER 4096

static int
setup(void **state, unsigned kind)
{
	struct line *line = calloc(1, sizeof *line);

	assert_non_null(line);
	fixture_open(&line->fixture, kind);
	line->ctx = line->fixture.ctx;
	line->options = (struct rota_stream_options)ROTA_STREAM_OPTIONS_INIT;
	line->options.handlers = &side_handlers;
	strcpy(line->address, "127.0.0.1:0");
	line->peer = -1;
	side_reset();
	*state = line;
	return 0;
}

int
line_setup(void **state)
{
	return setup(state, FIXTURE_LIBEV | FIXTURE_FAULTS);
}

int
line_setup_exact(void **state)
{
	return setup(state, FIXTURE_LIBEV);
}

int
line_setup_simulated(void **state)
{
	return setup(state, FIXTURE_SIMULATED);
}

int
line_teardown(void **state)
{
	struct line *line = *state;
	int r;

	peer_end_close(line);
	side_reset();
	/* What is still open ends by this; how is told to nobody. */
	if (line->side.stream != NULL)
		rota_stream_set_handlers(line->side.stream, NULL, NULL);
	r = fixture_close(&line->fixture);
	side_fini(&line->side);
	free(line);
	return r;
}

void
line_use_unix(struct line *line)
{
	static unsigned count;

	snprintf(line->address, sizeof line->address, "unix:@rota-test-line-%d-%u", (int)getpid(),
		count++);
}

struct line
line_beside(const struct line *line)
{
	struct line other = { .ctx = line->ctx, .options = line->options, .peer = -1 };

	strcpy(other.address, line->address);
	return other;
}

static void
set_size(int fd, int name, int size)
{
	assert_int_equal(setsockopt(fd, SOL_SOCKET, name, &size, sizeof size), 0);
}

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct line *line = userdata;

	(void)listener;
	if (!are_connected(stream->target.fd, line->peer)) {
		dismiss(stream);
		return;
	}
	line->side.stream = stream;
	rota_stream_set_userdata(stream, &line->side);
	if (line->has_small_buffers)
		set_size(stream->target.fd, SO_SNDBUF, SMALL_BUFFER);
	if (line->at_accept != NULL)
		line->at_accept(&line->side);
}

static const struct rota_listener_handlers listener_handlers = { .on_accept = on_accept };

static int
make_socket(struct line *line, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (line->has_small_buffers)
		set_size(fd, SO_RCVBUF, SMALL_BUFFER);
	return fd;
}

void
line_open(struct line *line)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	struct rota_listener *listener;
	struct rota_address address;
	int r;

	options.stream = line->options;
	assert_int_equal(rota_listen(line->ctx, line->address, &options, &listener_handlers, line,
				 &listener),
		0);
	assert_int_equal(rota_listener_address(listener, &address), 0);
	line->peer = make_socket(line, address.socket.any.sa_family);
	r = connect(line->peer, &address.socket.any, address.length);
	assert_true(r == 0 || errno == EINPROGRESS);
	line_until(line, line->side.stream != NULL || line->side.closes > 0);
	rota_listener_close(listener);
	if (!line->is_left_unopened)
		line_until(line, line->side.opens > 0 || line->side.closes > 0);
	line_settle(line);
}

int
listen_alone(char text[64], int backlog)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &length), 0);
	snprintf(text, 64, "127.0.0.1:%u", ntohs(in.sin_port));
	return fd;
}

void
line_connect(struct line *line)
{
	char text[64];
	int fd = listen_alone(text, 8);

	if (line->has_small_buffers)
		set_size(fd, SO_RCVBUF, SMALL_BUFFER);
	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
	if (line->has_small_buffers)
		set_size(line->side.stream->target.fd, SO_SNDBUF, SMALL_BUFFER);
	line_until(line, line->side.opens > 0);
	while (line->peer < 0)
		line->peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(fd);
	line_settle(line);
}

void
line_turn(struct line *line, int count)
{
	while (count-- > 0)
		assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
}

void
line_settle(struct line *line)
{
	int idle = 0;

	for (int turns = 0; idle < 4; turns++) {
		struct pollfd none = { .fd = -1 };
		int r = rota_dispatch_once(line->ctx, 0, NULL);

		assert_true(r >= 0);
		assert_true(turns < 100000);
		idle = r > 0 ? 0 : idle + 1;
		/* Lets the kernel deliver, on whichever processor it does that. */
		(void)poll(&none, 1, 0);
	}
}

void
line_take_one(struct line *line, int turns, const char *what, const char *file, int at)
{
	static rota_time since;

	if (turns == 0)
		since = real_time();
	if ((turns & 63) == 63 && real_time() - since > MOST_TIME) {
		print_error("%s:%d: it did not come to %s\n", file, at, what);
		_fail(file, at);
	}
	assert_true(rota_dispatch_once(line->ctx, 0, NULL) >= 0);
}

void
line_check_close(struct line *line, enum rota_reason reason, enum rota_phase phase,
	const char *file, int at)
{
	const struct rota_close_info *why = &line->side.why;

	for (int turns = 0; line->side.closes == 0; turns++)
		line_take_one(line, turns, "on_close", file, at);
	if (why->reason == reason && why->phase == phase)
		return;
	print_error("%s:%d: closed as %s, error %d, while %s; not as %s while %s\n", file, at,
		rota_reason_name(why->reason), why->error, rota_phase_name(why->phase),
		rota_reason_name(reason), rota_phase_name(phase));
	_fail(file, at);
}

int
side_send(struct side *side, size_t len)
{
	char *bytes = malloc(len + 1);
	int r;

	assert_non_null(bytes);
	pattern_fill(bytes, side->said, len);
	r = rota_stream_send(side->stream, bytes, len);
	if (r == 0)
		side->said += len;
	free(bytes);
	return r;
}

/* The peer */

void
peer_say(struct line *line, const char *text)
{
	assert_int_equal(send(line->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void
peer_send(struct line *line, size_t len)
{
	char *bytes = malloc(len);

	assert_non_null(bytes);
	pattern_fill(bytes, line->sent, len);
	assert_int_equal(send(line->peer, bytes, len, MSG_NOSIGNAL), len);
	line->sent += len;
	free(bytes);
}

/* One read of the peer's, checked. Bytes, 0 at the end, or a negative errno. */
static ssize_t
peer_read(struct line *line, size_t most)
{
	char bytes[65536];
	ssize_t n = recv(line->peer, bytes, most < sizeof bytes ? most : sizeof bytes, 0);

	if (n < 0)
		return -errno;
	assert_int_equal(pattern_check(bytes, line->received, (size_t)n), n);
	line->received += (size_t)n;
	return n;
}

void
peer_receive(struct line *line, size_t len)
{
	size_t all = line->received + len;

	for (int turns = 0; line->received < all; turns++) {
		ssize_t n = peer_read(line, all - line->received);

		if (n == -EAGAIN)
			line_take_one(line, turns, "what the peer waits for", __FILE__, __LINE__);
		else
			assert_true(n > 0);
	}
}

size_t
peer_read_some(struct line *line)
{
	size_t before = line->received;

	while (peer_read(line, SIZE_MAX) > 0) {
		/* Until there is no more. */
	}
	return line->received - before;
}

static void
peer_sees(struct line *line, ssize_t what)
{
	ssize_t n;

	for (int turns = 0; (n = peer_read(line, 1)) == -EAGAIN; turns++)
		line_take_one(line, turns, "the peer's end", __FILE__, __LINE__);
	assert_int_equal(n, what);
}

void
peer_sees_end(struct line *line)
{
	peer_sees(line, 0);
}

void
peer_sees_reset(struct line *line)
{
	peer_sees(line, -ECONNRESET);
}

void
peer_end(struct line *line)
{
	assert_int_equal(shutdown(line->peer, SHUT_WR), 0);
}

void
peer_end_close(struct line *line)
{
	if (line->peer >= 0)
		close(line->peer);
	line->peer = -1;
}

void
peer_reset(struct line *line)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(line->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	peer_end_close(line);
}

/* Counts */

void
begin_counting(void)
{
	faulty_sys_fail(FAULTY_ANY, 0, false, 0);
}

uint64_t
writes(void)
{
	return faulty_sys_calls(FAULTY_SEND) + faulty_sys_calls(FAULTY_SENDMSG);
}

uint64_t
reads(void)
{
	return faulty_sys_calls(FAULTY_RECV);
}
