/* SPDX-License-Identifier: MIT */
/*
 * Taking over from old processes that are not what they should be: they answer something else, or
 * nothing, or bring other descriptors than they say. Nothing is left open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rota/errors.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "handing.h"

/* Old processes that are none: what one says to each packet that it hears. */

struct fake {
	struct rota_target target;
	struct rota_target peer;
	const char *answers[2];
	size_t len;                           /* of the first answer; 0: its length */
	int fds[ROTA_HANDOVER_LISTENERS + 2]; /* that go with it */
	int count;
	int heard;
	int accepted;
	void (*act)(struct fake *fake);
	void *userdata;
};

static void
fake_say(struct fake *fake, const char *text, size_t len, int count)
{
	union {
		char bytes[CMSG_SPACE(sizeof fake->fds)];
		struct cmsghdr header;
	} control = { .bytes = "" };
	struct iovec part = { .iov_base = (char *)text, .iov_len = len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	size_t size = (size_t)count * sizeof(int);

	if (count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&control.header), fake->fds, size);
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(size);
	}
	assert_int_equal(sendmsg(fake->peer.fd, &message, MSG_NOSIGNAL), len);
}

static void
fake_end(struct rota_context *ctx, struct rota_target *target)
{
	if (target->fd < 0)
		return;
	rota_target_stop(ctx, target);
	close(target->fd);
	target->fd = -1;
}

static int
on_fake_peer(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct fake *fake = rota_container_of(target, struct fake, peer);
	const char *answer;
	char packet[64];

	(void)events;
	if (recv(target->fd, packet, sizeof packet, 0) <= 0) {
		fake_end(ctx, target);
		return 0;
	}
	answer = fake->heard < 2 ? fake->answers[fake->heard] : NULL;
	fake->heard++;
	if (answer != NULL)
		fake_say(fake, answer,
			fake->len > 0 && fake->heard == 1 ? fake->len : strlen(answer),
			fake->heard == 1 ? fake->count : 0);
	if (fake->act != NULL)
		fake->act(fake);
	else if (answer == NULL)
		fake_end(ctx, target);
	return 0;
}

static int
on_fake(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	static const struct rota_target_ops ops = { .name = "peer", .on_ready = on_fake_peer };
	struct fake *fake = rota_container_of(target, struct fake, target);

	(void)events;
	fake_end(ctx, &fake->peer);
	rota_target_init(&fake->peer, &ops, raw_accept(target->fd));
	fake->accepted++;
	fake->heard = 0;
	return rota_target_start(ctx, &fake->peer, ROTA_READABLE);
}

static void
fake_open(struct rota_context *ctx, struct fake *fake, const char *answer)
{
	static const struct rota_target_ops ops = { .name = "fake", .on_ready = on_fake };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*fake = (struct fake){ .answers = { answer }, .peer.fd = -1 };
	memcpy(address.sun_path, handing_path, strlen(handing_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	rota_target_init(&fake->target, &ops, fd);
	assert_int_equal(rota_target_start(ctx, &fake->target, ROTA_READABLE), 0);
}

static void
fake_close(struct rota_context *ctx, struct fake *fake)
{
	fake_end(ctx, &fake->peer);
	fake_end(ctx, &fake->target);
	unlink(handing_path);
}

/* What the new process says to an answer with so many copies of a descriptor. */
static void
check_answer(struct rota_context *ctx, const char *answer, size_t len, int fd, int count,
	int expected)
{
	struct rota_takeover *takeover = NULL;
	struct fake fake;

	fake_open(ctx, &fake, answer);
	fake.len = len;
	fake.count = count;
	for (int i = 0; i < count; i++)
		fake.fds[i] = fd;
	assert_int_equal(rota_takeover(ctx, handing_path, 10 * ROTA_SECOND, &takeover), expected);
	if (expected < 0)
		assert_null(takeover);
	rota_takeover_free(takeover);
	fake_close(ctx, &fake);
}

static void
takeover__answer_that_is_none__is_refused_and_nothing_is_left_open(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	char good[600];
	char text[2000];
	int fd = raw_listen("127.0.0.1:0", 1, address);

	snprintf(good, sizeof good, "rota-handover 1 1\n- %s\n", address);
	check_answer(ctx, good, 0, fd, 1, 0);
	/* Another number of descriptors than it says. */
	check_answer(ctx, good, 0, fd, 0, -EPROTO);
	check_answer(ctx, good, 0, fd, 2, -EPROTO);
	check_answer(ctx, good, 0, fd, ROTA_HANDOVER_LISTENERS, -EPROTO);
	check_answer(ctx, good, 0, fd, ROTA_HANDOVER_LISTENERS + 2, -EPROTO);
	check_answer(ctx, "rota-handover 1 0\n", 0, fd, 0, 0);
	check_answer(ctx, "rota-handover 1 0\n", 0, fd, 1, -EPROTO);
	check_answer(ctx, "rota-handover 1 65\n", 0, fd, 0, -EPROTO);
	check_answer(ctx, "rota-handover 1 18446744073709551616\n", 0, fd, 0, -EPROTO);
	/* Every part of it, and with something else at each place. */
	for (size_t len = 1; len < strlen(good); len++)
		check_answer(ctx, good, len, fd, 1, -EPROTO);
	for (size_t at = 0; at < strlen(good); at++) {
		snprintf(text, sizeof text, "%s", good);
		text[at] = text[at] == '-' ? '*' : '!';
		check_answer(ctx, text, 0, fd, 1, -EPROTO);
	}
	snprintf(text, sizeof text, "%sx", good);
	check_answer(ctx, text, 0, fd, 1, -EPROTO);
	/* With a NUL in it or behind it. */
	check_answer(ctx, good, strlen(good) + 1, fd, 1, -EPROTO);
	snprintf(text, sizeof text, "%s", good);
	text[5] = '\0';
	check_answer(ctx, text, strlen(good), fd, 1, -EPROTO);
	close(fd);
}

static void
takeover__answer_too_long__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	static char text[60000];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	memset(text, 'x', sizeof text - 1);
	memcpy(text, "rota-handover 1 1\n- ", 20);
	check_answer(ctx, text, 0, fd, 1, -EPROTO);
	close(fd);
}

static void
takeover__descriptors_are_not_what_it_says__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	char other[ROTA_ADDRESS_TEXT];
	char text[600];
	int fd = raw_listen("127.0.0.1:0", 1, address);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int elsewhere = raw_listen("127.0.0.1:0", 1, other);

	snprintf(text, sizeof text, "rota-handover 1 1\n- %s\n", address);
	check_answer(ctx, text, 0, null, 1, -EPROTO);
	check_answer(ctx, text, 0, elsewhere, 1, -EPROTO);
	close(null);
	close(elsewhere);
	/* That it does not listen rota_listen says. */
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check_answer(ctx, "rota-handover 1 1\n- 0.0.0.0:0\n", 0, fd, 1, 0);
	close(fd);
}

static void
takeover__too_few_descriptors__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	char text[4096];
	size_t length;
	struct rlimit limit;
	struct rlimit low;
	int fd;

	/* Which has descriptors of its own. */
	if (getenv("ROTA_UNDER_VALGRIND") != NULL)
		skip();
	fd = raw_listen("127.0.0.1:0", 1, address);
	length = (size_t)snprintf(text, sizeof text, "rota-handover 1 20\n");
	for (int i = 0; i < 20; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, "- %s\n", address);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = (rlim_t)fd + 12;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	check_answer(ctx, text, 0, fd, 20, -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	check_answer(ctx, text, 0, fd, 20, 0);
	close(fd);
}

static void
takeover__descriptors__are_close_on_exec(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct rota_address wanted;
	struct rota_address found;
	struct handing old;

	handing_offer_one(ctx, &old);
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), 0);
	assert_int_equal(rota_address_parse("127.0.0.1:0", &wanted), 0);
	assert_int_equal(rota_takeover_take_address(takeover, &wanted, &found), 1);
	assert_int_equal(fcntl(found.fd, F_GETFD), FD_CLOEXEC);
	close(found.fd);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
}

static void
takeover__old_one_ends_it_each_time__gives_up(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct fake fake;

	fake_open(ctx, &fake, NULL);
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_MINUTE, &takeover), -ECONNRESET);
	assert_int_equal(fake.accepted, 5);
	fake_close(ctx, &fake);
}

static void
says_nothing(struct fake *fake)
{
	(void)fake;
}

static void
takeover__old_one_says_nothing__is_not_waited_for_longer_than_asked(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct fake fake;
	rota_time before = rota_context_now(ctx);

	fake_open(ctx, &fake, NULL);
	fake.act = says_nothing;
	assert_int_equal(rota_takeover(ctx, handing_path, 3 * ROTA_SECOND, &takeover), -ETIMEDOUT);
	assert_true(rota_context_now(ctx) - before == 3 * ROTA_SECOND);
	fake_close(ctx, &fake);
}

static void
takeover__backlog_is_full__tries_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;

	handing_offer_one(ctx, &old);
	faulty_sys_fail(FAULTY_CONNECT, 1, false, EAGAIN);
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), 0);
	assert_int_equal(faulty_sys_failed(), 1);
	rota_takeover_free(takeover);
	faulty_sys_fail(FAULTY_CONNECT, 1, true, EAGAIN);
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), -ETIMEDOUT);
	faulty_sys_reset();
	rota_handover_free(old.handover);
}

/* Being ready */

/* A takeover from it, and what rota_takeover_ready says to its answer. */
static int
ready_at(struct rota_context *ctx, struct fake *fake, const char *answer,
	struct rota_takeover **ret)
{
	fake_open(ctx, fake, "rota-handover 1 0\n");
	fake->answers[1] = answer;
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, ret), 0);
	return rota_takeover_ready(*ret, 10 * ROTA_SECOND);
}

static void
ready__confirmation_that_is_none__is_not_taken(void **state)
{
	static const char *const answers[] = { "x", "rota-handover 1 take",
		"rota-handover 1 taken\n", "rota-handover 2 taken" };
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct fake fake;

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		assert_int_equal(ready_at(ctx, &fake, answers[i], &takeover), -EPROTO);
		rota_takeover_free(takeover);
		fake_close(ctx, &fake);
	}
	assert_int_equal(ready_at(ctx, &fake, "rota-handover 1 taken", &takeover), 0);
	rota_takeover_free(takeover);
	fake_close(ctx, &fake);
	assert_int_equal(ready_at(ctx, &fake, NULL, &takeover), -ECONNRESET);
	rota_takeover_free(takeover);
	fake_close(ctx, &fake);
}

/* The old process says it in the very moment behind the one in which it was not heard. */

static struct {
	int fd;     /* the old process's; -1: not yet */
	int failed; /* how often it could not */
} late;

static ssize_t
late_recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n = faulty_sys_ops.recv(fd, bytes, size, flags);
	int error = errno;

	if (n <= 0 && late.fd >= 0 &&
		send(late.fd, "rota-handover 1 taken", 21, MSG_NOSIGNAL) < 0 && errno == EPIPE)
		late.failed++;
	errno = error;
	return n;
}

static void
stays(struct fake *fake)
{
	if (fake->heard == 2)
		late.fd = fake->peer.fd;
}

/* It is told that nobody hears it any more, so it cannot believe that it was taken. */
static void
ready__old_one_says_nothing__cannot_say_it_later(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_sys_ops spying = faulty_sys_ops;
	struct rota_takeover *takeover;
	struct fake fake;

	spying.recv = late_recv;
	ctx->sys = &spying;
	late.fd = -1;
	late.failed = 0;
	fake_open(ctx, &fake, "rota-handover 1 0\n");
	fake.act = stays;
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), 0);
	assert_int_equal(rota_takeover_ready(takeover, 2 * ROTA_SECOND), -ETIMEDOUT);
	assert_int_equal(late.failed, 1);
	rota_takeover_free(takeover);
	fake_close(ctx, &fake);
	ctx->sys = &faulty_sys_ops;
}

static void
frees_takeover(struct fake *fake)
{
	if (fake->heard < 2)
		return;
	rota_takeover_free(fake->userdata);
	rota_takeover_free(fake->userdata);
}

static void
ready__freed_while_it_waits__is_cancelled(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct fake fake;

	fake_open(ctx, &fake, "rota-handover 1 0\n");
	fake.act = frees_takeover;
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), 0);
	fake.userdata = takeover;
	assert_int_equal(rota_takeover_ready(takeover, ROTA_NEVER), -ECANCELED);
	fake_close(ctx, &fake);
}

static void
stops(struct fake *fake)
{
	rota_context_stop(fake->userdata);
}

static void
takeover__the_loop_is_stopped__ends(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct fake fake;

	fake_open(ctx, &fake, NULL);
	fake.act = stops;
	fake.userdata = ctx;
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_NEVER, &takeover), -ROTA_ESTOPPED);
	fake_close(ctx, &fake);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(takeover__answer_that_is_none__is_refused_and_nothing_is_left_open),
		rig_test_exact(takeover__answer_too_long__is_refused),
		rig_test_exact(takeover__descriptors_are_not_what_it_says__is_refused),
		rig_test_exact(takeover__too_few_descriptors__says_so),
		rig_test_exact(takeover__descriptors__are_close_on_exec),
		rig_test_simulated(takeover__old_one_ends_it_each_time__gives_up),
		rig_test_simulated(
			takeover__old_one_says_nothing__is_not_waited_for_longer_than_asked),
		rig_test_simulated(takeover__backlog_is_full__tries_again),
		rig_test_exact(ready__confirmation_that_is_none__is_not_taken),
		rig_test_simulated(ready__old_one_says_nothing__cannot_say_it_later),
		rig_test_exact(ready__freed_while_it_waits__is_cancelled),
		rig_test_exact(takeover__the_loop_is_stopped__ends),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, handing_make_directory, scratch_remove);
}
