/* SPDX-License-Identifier: MIT */
/*
 * Ends by name: who gets them, and what a stranger may answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/child.h>
#include <rota/context.h>
#include <rota/iterate.h>

#include "channeling.h"
#include "context.h"
#include "scratch.h"

static char path[64];
static char address[sizeof path + 8];

static int
make_directory(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	snprintf(path, sizeof path, "%s", scratch_path("channel"));
	snprintf(address, sizeof address, "unix:%s", path);
	return 0;
}

static struct rota_channel_binding *
bind_channel(struct rota_context *ctx, struct rota_channel *channel)
{
	struct rota_channel_binding *binding = NULL;

	assert_int_equal(rota_channel_bind(channel, ctx, address, 0, &binding), 0);
	return binding;
}

static int
on_child_end(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *status)
{
	(void)ctx;
	(void)child;
	*(int *)status = WIFEXITED(end->status) ? WEXITSTATUS(end->status) : -1;
	return 0;
}

static bool
has_ended(struct rota_context *ctx, void *status)
{
	(void)ctx;
	return *(int *)status != -2;
}

/* Serves what a child does, by turns, until it has ended: its status. */
static int
serve(struct rota_context *ctx, int (*act)(void *argument), void *argument)
{
	struct rota_child child = ROTA_CHILD_INIT;
	int status = -2;

	assert_int_equal(rota_child_start(ctx, &child, in_child(act, argument), on_child_end,
				 &status),
		0);
	assert_int_equal(turn_until(ctx, has_ended, &status), 0);
	return status;
}

static int
connects_and_fires(void *unused)
{
	struct rota_channel *channel = NULL;
	struct rota_sender *sender;
	struct rota_receiver *receiver;

	(void)unused;
	if (rota_channel_connect(address, ROTA_CHANNEL_SENDER, 10 * ROTA_SECOND, &channel) < 0)
		return 2;
	if (rota_channel_receiver(channel, &receiver) != -ENOENT ||
		rota_channel_sender(channel, &sender) < 0)
		return 3;
	rota_channel_free(channel);
	if (!sender->several_receivers || sender->event_max != 77)
		return 4;
	if (fire_text(sender, "n", "hello") < 0)
		return 5;
	rota_sender_close(sender);
	return 0;
}

static void
name__connected_sender__fires_to_the_holders_of_the_channel(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;
	struct rota_channel *channel;
	struct rota_channel_binding *binding;
	struct rota_receiver *receiver;
	struct heard heard = { .count = 0 };
	struct stat status;

	options.several_receivers = true;
	options.event_max = 77;
	channel = open_channel(&options);
	binding = bind_channel(ctx, channel);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	receiver = take_receiver(channel);
	rota_receiver_connect(receiver, "n", hear, &heard);
	assert_int_equal(serve(ctx, connects_and_fires, NULL), 0);
	assert_int_equal(rota_receiver_handle_pending(receiver), 1);
	assert_string_equal(heard.log, "n:hello ");
	/* The binding holds both ends. */
	assert_int_equal(rota_receiver_handle_next(receiver, 0), 0);
	rota_channel_unbind(binding);
	rota_channel_unbind(NULL);
	assert_int_equal(rota_receiver_handle_next(receiver, 0), -ROTA_ECLOSED);
	assert_int_equal(stat(path, &status), -1);
	rota_receiver_close(receiver);
}

static int
connects_and_hears(void *unused)
{
	struct rota_channel *channel = NULL;
	struct rota_receiver *receiver;
	struct heard heard = { .count = 0 };

	(void)unused;
	if (rota_channel_connect(address, ROTA_CHANNEL_RECEIVER | ROTA_CHANNEL_SENDER,
		    10 * ROTA_SECOND, &channel) < 0)
		return 2;
	if (rota_channel_receiver(channel, &receiver) < 0)
		return 3;
	rota_receiver_connect(receiver, "n", hear, &heard);
	if (rota_receiver_handle_next(receiver, 10 * ROTA_SECOND) != 1)
		return 4;
	rota_receiver_close(receiver);
	rota_channel_free(channel);
	return strcmp(heard.log, "n:hello ") == 0 ? 0 : 5;
}

static void
name__connected_receiver__hears_what_was_fired_before(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding = bind_channel(ctx, channel);
	struct rota_sender *sender;

	sender = take_sender(channel);
	assert_int_equal(fire_text(sender, "n", "hello"), 0);
	assert_int_equal(serve(ctx, connects_and_hears, NULL), 0);
	rota_channel_unbind(binding);
	assert_int_equal(fire_text(sender, "n", "none"), -EPIPE);
	rota_sender_close(sender);
}

static void
name__that_cannot_be__is_refused(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding = NULL;
	struct rota_channel_binding *other;
	struct rota_sender *sender;

	assert_int_equal(rota_channel_bind(channel, ctx, "127.0.0.1:1", 0, &binding),
		-ROTA_EADDRESS);
	assert_int_equal(rota_channel_bind(channel, ctx, "unix:@name", 0, &binding),
		-ROTA_EADDRESS);
	assert_int_equal(rota_channel_bind(channel, ctx, address, 1u << 9, &binding), -EINVAL);
	assert_int_equal(rota_channel_bind(channel, ctx, "unix:/nowhere/x", 0, &binding), -ENOENT);
	assert_null(binding);
	assert_int_equal(rota_channel_connect("name", ROTA_CHANNEL_SENDER, 0, &channel),
		-ROTA_EADDRESS);
	assert_int_equal(rota_channel_connect(address, 0, 0, &channel), -EINVAL);
	assert_int_equal(rota_channel_connect(address, ROTA_CHANNEL_SENDER, 0, &channel), -ENOENT);
	binding = bind_channel(ctx, channel);
	assert_int_equal(rota_channel_bind(channel, ctx, address, 0, &other), -EADDRINUSE);
	/* Nobody serves it meanwhile, so it is not answered. */
	assert_int_equal(rota_channel_connect(address, ROTA_CHANNEL_SENDER, ROTA_MILLISECOND,
				 &channel),
		-ETIMEDOUT);
	rota_channel_unbind(binding);
	assert_int_equal(rota_channel_sender(channel, &sender), 0);
	assert_int_equal(rota_channel_bind(channel, ctx, address, 0, &binding), -ENOENT);
	rota_sender_close(sender);
	rota_channel_free(channel);
}

static void
name__of_a_context_that_is_freed__is_removed(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct stat status;

	(void)bind_channel(ctx, channel);
	rota_channel_free(channel);
	assert_int_equal(rota_context_free(ctx), 0);
	((struct fixture *)*state)->ctx = NULL;
	assert_int_equal(stat(path, &status), -1);
}

static int
frees_its_context(void *ctx)
{
	struct stat status;

	if (rota_context_forked(ctx, 0) < 0 || rota_context_free(ctx) < 0)
		return 1;
	return stat(path, &status) == 0 ? 0 : 2;
}

static void
name__in_a_forked_child__stays_the_parents(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding = bind_channel(ctx, channel);

	assert_int_equal(status_of(in_child(frees_its_context, ctx)), 0);
	rota_channel_unbind(binding);
	rota_channel_free(channel);
}

static void
name__any_user__may_connect(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding;
	struct stat status;

	assert_int_equal(rota_channel_bind(channel, ctx, address, ROTA_CHANNEL_ANY_USER, &binding),
		0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0666);
	rota_channel_unbind(binding);
	rota_channel_free(channel);
}

/* Credentials that the kernel says, of somebody else. */
static struct rota_sys_ops strange;

static int
strange_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int r = rota__sys.getsockopt(fd, level, name, value, length);

	if (r == 0 && level == SOL_SOCKET && name == SO_PEERCRED)
		((struct ucred *)value)->uid = geteuid() + 1;
	return r;
}

static int
is_refused(void *unused)
{
	struct rota_channel *channel;

	(void)unused;
	return rota_channel_connect(address, ROTA_CHANNEL_SENDER, 10 * ROTA_SECOND, &channel) ==
			-EPERM
		? 0
		: 1;
}

static void
name__another_user__is_refused(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding;

	strange = faulty_sys_ops;
	strange.getsockopt = strange_getsockopt;
	ctx->sys = &strange;
	binding = bind_channel(ctx, channel);
	assert_int_equal(serve(ctx, is_refused, NULL), 0);
	rota_channel_unbind(binding);
	rota_channel_free(channel);
	ctx->sys = &faulty_sys_ops;
}

/* What somebody else may answer */

struct answer {
	const char *text;
	int fds[2];
	size_t count;
};

static int listening;

static void *
answer_once(void *answer_)
{
	struct answer *answer = answer_;
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr header;
	} control = { .bytes = "" };
	struct iovec part = { .iov_base = (void *)answer->text, .iov_len = strlen(answer->text) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fd = accept(listening, NULL, NULL);

	if (answer->count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(answer->count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), answer->fds, answer->count * sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(answer->count * sizeof(int));
	}
	if (part.iov_len > 0)
		(void)!sendmsg(fd, &message, 0);
	close(fd);
	return NULL;
}

static int
connect_to_answer(struct answer *answer)
{
	struct rota_channel *channel = NULL;
	pthread_t thread;
	int r;

	assert_int_equal(pthread_create(&thread, NULL, answer_once, answer), 0);
	r = rota_channel_connect(address, ROTA_CHANNEL_SENDER, 10 * ROTA_SECOND, &channel);
	pthread_join(thread, NULL);
	rota_channel_free(channel);
	return r;
}

static void
answer__that_is_none__is_refused_and_leaves_nothing(void **state)
{
	static const char good[] = "rota-channel 1 0 100";
	static const char *const bad[] = { "x", "rota-channel 2 0 100", "rota-channel 1 2 100",
		"rota-channel 1 0 0", "rota-channel 1 0 100 ", "rota-channel 1 0 99999999999",
		"rota-channel 1 -1 100", "rota-channel 1 0 0100" };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct answer answer = { .text = good };
	int pair[2];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(connect_to_answer(&answer), -EPROTO);
	answer.fds[0] = answer.fds[1] = pair[0];
	answer.count = 1;
	assert_int_equal(connect_to_answer(&answer), -EPROTO);
	answer.count = 2;
	assert_int_equal(connect_to_answer(&answer), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		answer.text = bad[i];
		assert_int_equal(connect_to_answer(&answer), -EPROTO);
	}
	answer.text = good;
	answer.fds[1] = null;
	assert_int_equal(connect_to_answer(&answer), -EPROTO);
	close(null);
	close_pair(pair);
	make_pair(pair);
	answer.fds[0] = answer.fds[1] = pair[0];
	assert_int_equal(connect_to_answer(&answer), -EPROTO);
	answer.text = "";
	assert_int_equal(connect_to_answer(&answer), -EPERM);
	close_pair(pair);
	close(listening);
	assert_int_equal(unlink(path), 0);
}

static void
name__call_that_fails__is_told_and_leaves_nothing(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct stat status;
	uint64_t at = 0;
	int r;

	do {
		struct rota_channel_binding *binding = NULL;

		faulty_sys_fail(FAULTY_ANY, ++at, false, EMFILE);
		r = rota_channel_bind(channel, ctx, address, ROTA_CHANNEL_ANY_USER, &binding);
		if (faulty_sys_failed() == 0)
			assert_int_equal(r, 0);
		faulty_sys_reset();
		rota_channel_unbind(binding);
		assert_int_equal(stat(path, &status), -1);
	} while (at < 20);
	for (unsigned k = 1; k < 4; k++) {
		struct rota_channel_binding *binding = NULL;

		faulty_allocator_reset();
		faulty_allocator_fail(k, false);
		r = rota_channel_bind(channel, ctx, address, 0, &binding);
		assert_true(r == 0 || r == -ENOMEM);
		faulty_allocator_reset();
		rota_channel_unbind(binding);
	}
	rota_channel_free(channel);
}

/* Whoever connects waits, and nobody is kept busy meanwhile. */
static void
name__in_a_shortage_of_descriptors__pauses(void **state)
{
	struct rota_context *ctx = channel_context(state);
	struct rota_channel *channel = open_channel(NULL);
	struct rota_channel_binding *binding = bind_channel(ctx, channel);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct pollfd polled = { .events = POLLIN };

	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	polled.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(polled.fd, (struct sockaddr *)&at, sizeof at), 0);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	for (int i = 0; i < 20; i++)
		assert_true(rota_dispatch_once(ctx, 0, NULL) >= 0);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), 1);
	faulty_sys_reset();
	while (poll(&polled, 1, 0) == 0)
		assert_true(rota_dispatch_once(ctx, ROTA_SECOND, NULL) >= 0);
	close(polled.fd);
	rota_channel_unbind(binding);
	rota_channel_free(channel);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(name__connected_sender__fires_to_the_holders_of_the_channel),
		TEST(name__connected_receiver__hears_what_was_fired_before),
		TEST(name__that_cannot_be__is_refused),
		TEST(name__of_a_context_that_is_freed__is_removed),
		TEST(name__in_a_forked_child__stays_the_parents),
		TEST(name__in_a_shortage_of_descriptors__pauses),
		TEST(name__any_user__may_connect),
		TEST(name__another_user__is_refused),
		TEST(answer__that_is_none__is_refused_and_leaves_nothing),
		TEST(name__call_that_fails__is_told_and_leaves_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, make_directory, scratch_remove);
}
