/* SPDX-License-Identifier: MIT */
/*
 * Children of tests: see forking.h.
 */
#include "forking.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits until the parent has closed its end. */
static void
await_release(int fd)
{
	char byte;

	while (read(fd, &byte, 1) < 0 && errno == EINTR) {
		/* Again. */
	}
}

struct child
fork_child(struct fixture *fixture, child_fn *work, void *argument)
{
	int pair[2];
	struct child child;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(pair[0]);
		byte = work == NULL || work(fixture, argument) ? 'y' : 'n';
		if (write(pair[1], &byte, 1) == 1)
			await_release(pair[1]);
		exit_child(0);
	}
	close(pair[1]);
	child.lifeline = pair[0];
	assert_int_equal(read(child.lifeline, &byte, 1), 1);
	assert_int_equal(byte, 'y');
	return child;
}

void
release_child(struct child child)
{
	close(child.lifeline);
	assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
}

int
open_echo(struct rota_context *ctx, struct door *door, const char *text)
{
	int peer;

	assert_int_equal(door_open(ctx, door, text, NULL), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	return peer;
}

void
hang_up(int peer)
{
	(void)shutdown(peer, SHUT_RDWR);
	close(peer);
}

void
expect_echo(struct rota_context *ctx, int peer)
{
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
}

const char *
unix_text(void)
{
	static char text[64];

	snprintf(text, sizeof text, "unix:/tmp/rota-fork-%d", (int)getpid());
	return text;
}
