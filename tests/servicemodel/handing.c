/* SPDX-License-Identifier: MIT */
#include "handing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

char handing_path[64];
char handing_unix[80];

static void
note(struct handing *handing, enum handing_event event, int *count)
{
	++*count;
	if (handing->act != NULL)
		handing->act(handing, event);
}

static size_t
on_listeners(struct rota_handover *handover, struct rota_listener **listeners, size_t room,
	void *userdata)
{
	struct handing *handing = userdata;
	size_t count = handing->count;

	assert_ptr_equal(handover, handing->handover);
	assert_int_equal(room, ROTA_HANDOVER_LISTENERS);
	for (size_t i = 0; i < count && i < room; i++)
		listeners[i] = handing->listeners[i];
	note(handing, HANDING_ASKED, &handing->asked);
	return count;
}

static void
on_taken(struct rota_handover *handover, pid_t pid, void *userdata)
{
	struct handing *handing = userdata;

	assert_ptr_equal(handover, handing->handover);
	handing->pid = pid;
	note(handing, HANDING_TAKEN, &handing->taken);
}

static void
on_failed(struct rota_handover *handover, pid_t pid, int error, void *userdata)
{
	struct handing *handing = userdata;

	assert_ptr_equal(handover, handing->handover);
	handing->pid = pid;
	handing->error = error;
	note(handing, HANDING_FAILED, &handing->failed);
}

const struct rota_handover_handlers handing_handlers = {
	.listeners = on_listeners,
	.on_taken = on_taken,
	.on_failed = on_failed,
};

void
handing_init(struct rota_context *ctx, struct handing *handing)
{
	*handing = (struct handing){
		.ctx = ctx,
		.options = ROTA_HANDOVER_OPTIONS_INIT,
	};
}

struct door *
handing_listen(struct handing *handing, const char *text)
{
	struct door *door = make_door(make_echoes(4), 4);

	assert_int_equal(door_open(handing->ctx, door, text, NULL), 0);
	handing->listeners[handing->count++] = door->listener;
	return door;
}

int
handing_offer(struct handing *handing)
{
	return rota_handover_offer(handing->ctx, handing_path, &handing->options, &handing_handlers,
		handing, &handing->handover);
}

void
handing_offer_one(struct rota_context *ctx, struct handing *handing)
{
	handing_init(ctx, handing);
	(void)handing_listen(handing, "127.0.0.1:0");
	assert_int_equal(handing_offer(handing), 0);
}

struct rota_takeover *
handing_take_over(struct rota_context *ctx)
{
	struct rota_takeover *takeover;

	assert_int_equal(rota_takeover(ctx, handing_path, 10 * ROTA_SECOND, &takeover), 0);
	return takeover;
}

struct door *
handing_take(struct rota_context *ctx, struct rota_takeover *takeover, const char *text,
	int expected)
{
	struct door *door = make_door(make_echoes(4), 4);
	char found[ROTA_ADDRESS_TEXT];

	assert_int_equal(rota_takeover_take(takeover, text, found, sizeof found), expected);
	assert_int_equal(strncmp(found, "fd:", 3) == 0, expected);
	assert_int_equal(door_open(ctx, door, found, NULL), 0);
	return door;
}

bool
handing_is_there(const char *path)
{
	struct stat status;

	return lstat(strncmp(path, "unix:", 5) == 0 ? path + 5 : path, &status) == 0;
}

int
handing_say(const char *text)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, handing_path, strlen(handing_path));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	if (text != NULL)
		raw_send(fd, text, strlen(text));
	return fd;
}

ssize_t
handing_hear(struct rota_context *ctx, int fd, char *packet, size_t size, int *ret_count)
{
	union {
		char bytes[CMSG_SPACE(ROTA_HANDOVER_LISTENERS * sizeof(int))];
		struct cmsghdr header;
	} control;
	struct iovec part = { .iov_base = packet, .iov_len = size - 1 };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	const struct cmsghdr *header;
	ssize_t n;

	*ret_count = 0;
	wait_for_input(ctx, fd);
	n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	packet[n] = '\0';
	header = CMSG_FIRSTHDR(&message);
	if (header != NULL) {
		int fds[ROTA_HANDOVER_LISTENERS];

		*ret_count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(header), (size_t)*ret_count * sizeof(int));
		for (int i = 0; i < *ret_count; i++)
			close(fds[i]);
	}
	return n;
}

void
handing_check_echo(struct rota_context *ctx, const char *text)
{
	int peer = raw_connect(text);

	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
	spin(ctx, 3);
}

int
handing_make_directory(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	snprintf(handing_path, sizeof handing_path, "%s", scratch_path("handover"));
	snprintf(handing_unix, sizeof handing_unix, "unix:%s", scratch_path("socket"));
	return 0;
}
