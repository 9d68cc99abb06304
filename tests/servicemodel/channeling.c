/* SPDX-License-Identifier: MIT */
/*
 * Channels for tests: see channeling.h.
 */
#include "channeling.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int
hear(struct rota_receiver *receiver, const struct rota_event *event, void *heard_)
{
	struct heard *heard = heard_;
	struct rota_text text = { event->bytes, event->len };
	size_t len = strlen(heard->log);

	(void)receiver;
	heard->count++;
	heard->bytes += event->len;
	if (event->is_packed && event->len > 0)
		assert_true(rota_event_unpack(event, NULL, "t *", &text) >= 0);
	if (text.len < 64)
		snprintf(heard->log + len, HEARD - len, "%s:%.*s ", event->name, (int)text.len,
			text.bytes);
	return heard->answer;
}

int
count_up(struct rota_receiver *receiver, const struct rota_event *event, void *next_)
{
	int *next = next_;
	int number = -1;

	(void)receiver;
	assert_true(rota_event_unpack(event, NULL, "i", &number) > 0);
	assert_int_equal(number, *next);
	++*next;
	return 0;
}

struct rota_channel *
open_channel(const struct rota_channel_options *options)
{
	struct rota_channel *channel = NULL;

	assert_int_equal(rota_channel_new(options, &channel), 0);
	channel->sys = &faulty_sys_ops;
	return channel;
}

void
open_line(struct line *line, const struct rota_channel_options *options)
{
	struct rota_channel *channel = open_channel(options);

	assert_int_equal(rota_channel_sender(channel, &line->sender), 0);
	assert_int_equal(rota_channel_receiver(channel, &line->receiver), 0);
	rota_channel_free(channel);
}

void
open_hearing(struct line *line, const struct rota_channel_options *options, const char *name,
	struct heard *heard)
{
	memset(heard, 0, sizeof *heard);
	open_line(line, options);
	assert_int_equal(rota_receiver_connect(line->receiver, name, hear, heard), 0);
}

void
leave_sender(struct line *line)
{
	rota_sender_close(line->sender);
	line->sender = NULL;
}

void
leave_receiver(struct line *line)
{
	rota_receiver_close(line->receiver);
	line->receiver = NULL;
}

void
close_line(struct line *line)
{
	leave_sender(line);
	leave_receiver(line);
}

struct rota_sender *
take_sender(struct rota_channel *channel)
{
	struct rota_sender *sender = NULL;

	assert_int_equal(rota_channel_sender(channel, &sender), 0);
	rota_channel_free(channel);
	return sender;
}

struct rota_receiver *
take_receiver(struct rota_channel *channel)
{
	struct rota_receiver *receiver = NULL;

	assert_int_equal(rota_channel_receiver(channel, &receiver), 0);
	rota_channel_free(channel);
	return receiver;
}

int
fire_text(struct rota_sender *sender, const char *name, const char *text)
{
	return rota_sender_fire(sender, name, "s", text);
}

void
fire_texts(struct rota_sender *sender, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(fire_text(sender, "n", "x"), 0);
}

void
fire_packet(struct rota_sender *sender, unsigned count)
{
	rota_sender_gather(sender, true);
	fire_texts(sender, count);
	assert_int_equal(rota_sender_flush(sender), 0);
}

unsigned
fire_until_full(struct rota_sender *sender, int *ret_r)
{
	static const char bytes[1000];
	unsigned fired = 0;

	while ((*ret_r = rota_sender_fire_bytes(sender, "fill", bytes, sizeof bytes)) == 0)
		fired++;
	return fired;
}

pid_t
in_child(int (*act)(void *argument), void *argument)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(30);
		exit_child(act(argument));
	}
	return pid;
}

int
status_of(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct rota_context *
channel_context(void **state)
{
	return ((struct fixture *)*state)->ctx;
}
