/* SPDX-License-Identifier: MIT */
/*
 * events-zmq.c - messages over ZeroMQ's PUSH and PULL, by ipc://, each side with its thread as
 * ZeroMQ has it. It puts messages together by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "../common.h"
#include "../events.h"

static char directory[] = "/tmp/events-zmq-XXXXXX";
static char address[64];

static void
choose(const struct events *events)
{
	(void)events;
	if (mkdtemp(directory) == NULL)
		die("mkdtemp");
	snprintf(address, sizeof(address), "ipc://%s/socket", directory);
}

static void
send_all(const struct events *events)
{
	void *context = zmq_ctx_new();
	void *push = zmq_socket(context, ZMQ_PUSH);
	char payload[EVENT_SIZE] = { 1 };

	if (zmq_connect(push, address) < 0)
		die("zmq_connect");
	for (uint64_t i = 0; i < events->count; i++) {
		if (zmq_send(push, payload, sizeof(payload), 0) < 0)
			die("zmq_send");
	}
	zmq_close(push);
	zmq_ctx_term(context);
}

static void
receive_all(const struct events *events)
{
	void *context = zmq_ctx_new();
	void *pull = zmq_socket(context, ZMQ_PULL);
	char payload[EVENT_SIZE];

	if (zmq_bind(pull, address) < 0)
		die("zmq_bind");
	for (uint64_t i = 0; i < events->count; i++) {
		if (zmq_recv(pull, payload, sizeof(payload), 0) != EVENT_SIZE)
			die("zmq_recv");
	}
	zmq_close(pull);
	zmq_ctx_term(context);
	rmdir(directory);
}

int
main(int argc, char **argv)
{
	static const struct events_mode modes[] = {
		{ "batch", choose, send_all, receive_all },
		{ .name = NULL },
	};

	return events_main(argc, argv, modes);
}
