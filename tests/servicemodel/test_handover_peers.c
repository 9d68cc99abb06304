/* SPDX-License-Identifier: MIT */
/*
 * New processes at the socket of a handover that are not what they should be: they say something
 * else, nothing, or are another user's. Nothing is left open, and the old process serves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "handing.h"
#include "sim_context.h"

#define ASK "rota-takeover 1 ask"
#define READY "rota-takeover 1 ready"
/* longer than any packet that is one */
#define LONG ASK " " ASK " " ASK " " ASK " " ASK

/* The connection ends, and that is told as this error, if it is told. */
static void
check_failed(struct rota_context *ctx, struct handing *old, int fd, int error)
{
	char packet[64];
	int count;

	old->failed = 0;
	assert_true(handing_hear(ctx, fd, packet, sizeof packet, &count) <= 0);
	close(fd);
	spin(ctx, 3);
	assert_int_equal(old->failed, error != 0);
	if (error != 0)
		assert_int_equal(old->error, error);
	assert_int_equal(old->taken, 0);
}

/* A new process that has got the listeners. */
static int
started(struct rota_context *ctx, const struct handing *old)
{
	char packet[1024];
	char expected[1024];
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	int fd = handing_say(ASK);
	int count;

	assert_true(handing_hear(ctx, fd, packet, sizeof packet, &count) > 0);
	assert_int_equal(rota_listener_address(old->listeners[0], &address), 0);
	rota_address_format(&address, text, sizeof text);
	snprintf(expected, sizeof expected, "rota-handover 1 1\n- %s\n", text);
	assert_string_equal(packet, expected);
	assert_int_equal(count, 1);
	return fd;
}

static void
handover__peer_says_something_else__is_told_and_serves_the_next(void **state)
{
	static const char *const texts[] = {
		"x",
		"rota-takeover 1 as",
		ASK "\n",
		READY,
		"rota-takeover 2 ask",
		LONG,
	};
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_offer_one(ctx, &old);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		check_failed(ctx, &old, handing_say(texts[i]), -EPROTO);
	assert_int_equal(old.asked, 0);
	fd = started(ctx, &old);
	raw_send(fd, ASK, strlen(ASK));
	check_failed(ctx, &old, fd, -EPROTO);
	fd = started(ctx, &old);
	raw_send(fd, READY "!", strlen(READY) + 1);
	check_failed(ctx, &old, fd, -EPROTO);
	close(started(ctx, &old));
	rota_handover_free(old.handover);
}

static void
handover__peer_leaves__is_told_if_it_had_asked(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;

	handing_offer_one(ctx, &old);
	close(handing_say(NULL));
	spin(ctx, 3);
	assert_int_equal(old.failed, 0);
	close(started(ctx, &old));
	spin(ctx, 3);
	assert_int_equal(old.failed, 1);
	assert_int_equal(old.error, -ECONNRESET);
	close(handing_say(ASK));
	wait_for(ctx, &old.failed, 2);
	assert_int_equal(old.error, -ECONNRESET);
	rota_handover_free(old.handover);
}

/* It is ready, but was gone when that was heard: nobody would serve. */
static void
handover__peer_is_ready_and_leaves__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_offer_one(ctx, &old);
	fd = started(ctx, &old);
	raw_send(fd, READY, strlen(READY));
	close(fd);
	wait_for(ctx, &old.failed, 1);
	assert_int_equal(old.error, -ECONNRESET);
	assert_int_equal(old.taken, 0);
	rota_handover_free(old.handover);
}

static void
handover__peer_brings_descriptors__are_closed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .bytes = "" };
	struct iovec part = { .iov_base = (char *)ASK, .iov_len = strlen(ASK) };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	int fd;

	handing_offer_one(ctx, &old);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	fd = handing_say(NULL);
	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	assert_true(sendmsg(fd, &message, 0) > 0);
	wait_for(ctx, &old.asked, 1);
	close(fd);
	wait_for(ctx, &old.failed, 1);
	rota_handover_free(old.handover);
}

static void
handover__two_peers__one_at_a_time(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	char packet[64];
	int count;
	int first;
	int second;

	handing_offer_one(ctx, &old);
	first = started(ctx, &old);
	second = handing_say(ASK);
	spin(ctx, 5);
	expect_silence(second);
	assert_int_equal(old.asked, 1);
	close(first);
	assert_true(handing_hear(ctx, second, packet, sizeof packet, &count) > 0);
	raw_send(second, READY, strlen(READY));
	assert_true(handing_hear(ctx, second, packet, sizeof packet, &count) > 0);
	assert_string_equal(packet, "rota-handover 1 taken");
	assert_int_equal(old.taken, 1);
	/* Nobody is served any more; until the new one offers itself they wait. */
	first = handing_say(ASK);
	spin(ctx, 5);
	expect_silence(first);
	close(second);
	assert_true(handing_hear(ctx, first, packet, sizeof packet, &count) <= 0);
	close(first);
	assert_int_equal(old.asked, 3);
	rota_handover_free(old.handover);
	assert_true(handing_is_there(handing_path));
	unlink(handing_path);
}

/* Time */

static void
handover__peer_is_not_ready_in_time__is_given_up(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_init(ctx, &old);
	(void)handing_listen(&old, "127.0.0.1:0");
	old.options.start_timeout = 7 * ROTA_SECOND;
	assert_int_equal(handing_offer(&old), 0);
	for (int i = 1; i <= 2; i++) {
		fd = started(ctx, &old);
		sim_advance(ctx, 7 * ROTA_SECOND - 1);
		spin(ctx, 2);
		assert_int_equal(old.failed, i - 1);
		sim_advance(ctx, 1);
		spin(ctx, 2);
		assert_int_equal(old.failed, i);
		assert_int_equal(old.error, -ETIMEDOUT);
		assert_int_equal(old.pid, getpid());
		close(fd);
	}
	/* Ready in the very turn is in time. */
	fd = started(ctx, &old);
	raw_send(fd, READY, strlen(READY));
	sim_advance(ctx, ROTA_MINUTE);
	spin(ctx, 2);
	assert_int_equal(old.taken, 1);
	/* And from then on there is no time to be kept. */
	sim_advance(ctx, 60 * ROTA_MINUTE);
	spin(ctx, 2);
	assert_int_equal(old.failed, 2);
	close(fd);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
handover__peer_does_not_ask__is_given_up_after_5_s(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_offer_one(ctx, &old);
	fd = handing_say(NULL);
	spin(ctx, 2);
	sim_advance(ctx, 5 * ROTA_SECOND - 1);
	spin(ctx, 2);
	assert_int_equal(old.failed, 0);
	sim_advance(ctx, 1);
	spin(ctx, 2);
	assert_int_equal(old.failed, 1);
	assert_int_equal(old.error, -ETIMEDOUT);
	close(fd);
	close(started(ctx, &old));
	rota_handover_free(old.handover);
}

/* No descriptor for a peer: it waits, and so does the old process, without going round. */
static void
handover__no_descriptor_for_a_peer__serves_it_later(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_offer_one(ctx, &old);
	fd = handing_say(ASK);
	faulty_sys_fail(FAULTY_ACCEPT4, 1, true, EMFILE);
	spin(ctx, 10);
	assert_int_equal(faulty_sys_calls(FAULTY_ACCEPT4), 1);
	faulty_sys_reset();
	spin(ctx, 2);
	assert_int_equal(old.asked, 0);
	sim_advance(ctx, 100 * ROTA_MILLISECOND);
	spin(ctx, 3);
	assert_int_equal(old.asked, 1);
	close(fd);
	rota_handover_free(old.handover);
}

/* The listening socket is no longer watched: it is watched again after a moment. */
static void
handover__the_kernel_stops_watching__goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	int fd;

	handing_offer_one(ctx, &old);
	/* The one with the highest descriptor is the last that was opened. */
	sim_of(ctx)->losing = ctx->targets[ctx->target_slots - 1];
	assert_string_equal(sim_of(ctx)->losing->ops->name, "handover");
	spin(ctx, 1);
	fd = handing_say(ASK);
	spin(ctx, 5);
	assert_int_equal(old.asked, 0);
	sim_advance(ctx, 100 * ROTA_MILLISECOND);
	spin(ctx, 5);
	assert_int_equal(old.asked, 1);
	close(fd);
	rota_handover_free(old.handover);
}

/* Users */

static uid_t pretended;

static int
pretending_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int r = faulty_sys_ops.getsockopt(fd, level, name, value, length);

	if (r == 0 && name == SO_PEERCRED)
		((struct ucred *)value)->uid = pretended;
	return r;
}

static void
handover__peer_of_another_user__is_refused_unheard(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_sys_ops pretending = faulty_sys_ops;
	struct rota_takeover *takeover = NULL;
	struct handing old;

	pretending.getsockopt = pretending_getsockopt;
	ctx->sys = &pretending;
	handing_offer_one(ctx, &old);
	pretended = geteuid() + 1;
	check_failed(ctx, &old, handing_say(ASK), -EPERM);
	assert_int_equal(old.asked, 0);
	assert_int_equal(old.pid, getpid());
	/* The new one looks at the old one's, too. */
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), -EPERM);
	assert_null(takeover);
	spin(ctx, 2);
	assert_int_equal(old.asked, 0);
	/* Root may. */
	pretended = 0;
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), 0);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	ctx->sys = &faulty_sys_ops;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(handover__peer_says_something_else__is_told_and_serves_the_next),
		rig_test_exact(handover__peer_leaves__is_told_if_it_had_asked),
		rig_test_exact(handover__peer_is_ready_and_leaves__goes_on),
		rig_test_exact(handover__peer_brings_descriptors__are_closed),
		rig_test_exact(handover__two_peers__one_at_a_time),
		rig_test_simulated(handover__peer_is_not_ready_in_time__is_given_up),
		rig_test_simulated(handover__peer_does_not_ask__is_given_up_after_5_s),
		rig_test_simulated(handover__no_descriptor_for_a_peer__serves_it_later),
		rig_test_simulated(handover__the_kernel_stops_watching__goes_on),
		rig_test_exact(handover__peer_of_another_user__is_refused_unheard),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, handing_make_directory, scratch_remove);
}
