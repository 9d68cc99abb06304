/* SPDX-License-Identifier: MIT */
/*
 * Packets: sizes, the end, what a peer may send that is none, shortages, and every call failed.
 */
#include "packet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Two ends, and who receives at the one. */
struct wire {
	int from;
	int to;
	struct rota__packet_receiver receiver;
};

static void
open_wire(struct wire *wire, size_t limit)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	wire->from = pair[0];
	wire->to = pair[1];
	assert_int_equal(rota__packet_receiver_init(&wire->receiver, &faulty_sys_ops, wire->to,
				 limit),
		0);
}

static void
close_wire(struct wire *wire)
{
	rota__packet_receiver_fini(&wire->receiver);
	if (wire->from >= 0)
		close(wire->from);
	close(wire->to);
}

static int
send_bytes(struct wire *wire, const void *bytes, size_t len)
{
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = len };

	return rota__packet_send(&faulty_sys_ops, wire->from, &part, 1);
}

/* Receives, and forgets what it was. */
static int
receive(struct wire *wire)
{
	struct rota__packet packet = { 0 };
	int r = rota__packet_receive(&wire->receiver, &packet);

	if (r == 1)
		rota__packet_release(&wire->receiver, &packet);
	return r;
}

static void
expect(struct wire *wire, const void *bytes, size_t len)
{
	struct rota__packet packet;

	assert_int_equal(rota__packet_receive(&wire->receiver, &packet), 1);
	assert_int_equal(packet.len, len);
	assert_memory_equal(packet.bytes, bytes, len);
	rota__packet_release(&wire->receiver, &packet);
}

static unsigned char *
pattern_of(size_t len)
{
	unsigned char *bytes = malloc(len);

	assert_non_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 31 + i / 997 + 1);
	bytes[0] = 1;
	return bytes;
}

/* A sealed memfd as a peer could make it, or one that lacks some seals. */
static int
make_memfd(size_t len, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Sends bytes and count copies of a descriptor, as it stands. */
static void
send_raw(struct wire *wire, const void *bytes, size_t len, int fd, size_t count)
{
	union {
		char bytes[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr header;
	} control = { .bytes = "" };
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	int fds[8];

	for (size_t i = 0; i < count; i++)
		fds[i] = fd;
	if (count > 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	assert_int_equal(sendmsg(wire->from, &message, 0), (ssize_t)len);
}

static void
send_head(struct wire *wire, uint64_t len, int fd, size_t count)
{
	unsigned char head[ROTA__PACKET_HEAD] = { ROTA__PACKET_MEMFD };

	for (int i = 0; i < 8; i++)
		head[1 + i] = (unsigned char)(len >> 8 * (7 - i));
	send_raw(wire, head, sizeof head, fd, count);
}

/* Sizes */

static void
packet__of_any_size__arrives_whole(void **state)
{
	static const size_t sizes[] = { 1, 2, 9, 64, 4096, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1,
		MIB, 64 * MIB };
	struct wire wire;
	unsigned char *bytes = pattern_of(64 * MIB);

	(void)state;
	open_wire(&wire, 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(send_bytes(&wire, bytes, sizes[i]), 0);
		expect(&wire, bytes, sizes[i]);
	}
	assert_int_equal(receive(&wire), -EAGAIN);
	free(bytes);
	close_wire(&wire);
}

static void
packet__of_parts__is_these_one_behind_the_other(void **state)
{
	struct wire wire;
	unsigned char *bytes = pattern_of(2 * MIB);

	(void)state;
	open_wire(&wire, 0);
	for (size_t len = 1000; len <= 2 * MIB; len *= 2) {
		struct iovec parts[3] = { { bytes, 1 }, { bytes + 1, 499 },
			{ bytes + 500, len - 500 } };

		assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, 3), 0);
		expect(&wire, bytes, len);
	}
	free(bytes);
	close_wire(&wire);
}

static void
packet__empty_or_of_too_many_parts__is_refused(void **state)
{
	struct iovec parts[ROTA__PACKET_PARTS + 1];
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	for (size_t i = 0; i <= ROTA__PACKET_PARTS; i++)
		parts[i] = (struct iovec){ .iov_base = (void *)"x", .iov_len = 1 };
	assert_int_equal(send_bytes(&wire, "", 0), -EINVAL);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, 0), -EINVAL);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts,
				 ROTA__PACKET_PARTS + 1),
		-EINVAL);
	assert_int_equal(receive(&wire), -EAGAIN);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, ROTA__PACKET_PARTS),
		0);
	expect(&wire, "xxxxxxxxxxxxxxxx", ROTA__PACKET_PARTS);
	close_wire(&wire);
}

static void
packet__over_the_limit__is_thrown_away_alone(void **state)
{
	unsigned char *bytes = pattern_of(MIB);
	static const size_t limits[] = { 100, MIB - 1 };
	struct wire wire;

	(void)state;
	for (int i = 0; i < 2; i++) {
		open_wire(&wire, limits[i]);
		assert_int_equal(send_bytes(&wire, bytes, limits[i]), 0);
		assert_int_equal(send_bytes(&wire, bytes, limits[i] + 1), 0);
		assert_int_equal(send_bytes(&wire, "behind", 6), 0);
		expect(&wire, bytes, limits[i]);
		assert_int_equal(receive(&wire), -EMSGSIZE);
		expect(&wire, "behind", 6);
		close_wire(&wire);
	}
	free(bytes);
}

static void
packet__sealed_once__can_be_sent_again(void **state)
{
	unsigned char *bytes = pattern_of(MIB);
	struct iovec part = { .iov_base = bytes, .iov_len = MIB };
	struct wire wire;
	int memfd;

	(void)state;
	open_wire(&wire, 0);
	memfd = rota__packet_seal(&faulty_sys_ops, &part, 1);
	assert_true(memfd >= 0);
	assert_true((fcntl(memfd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(fcntl(memfd, F_GET_SEALS) & SEALS, SEALS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota__packet_send_sealed(&faulty_sys_ops, wire.from, memfd, MIB),
			0);
		expect(&wire, bytes, MIB);
	}
	close(memfd);
	free(bytes);
	close_wire(&wire);
}

/* The end, and no room */

static void
packet__sockets__never_block(void **state)
{
	static unsigned char bytes[64 * 1024] = { 1 };
	struct wire wire;
	int sent = 0;
	int r;

	(void)state;
	open_wire(&wire, 0);
	assert_int_equal(receive(&wire), -EAGAIN);
	while ((r = send_bytes(&wire, bytes, sizeof bytes)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(fcntl(wire.from, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(wire.to, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(rota__packet_wait(&faulty_sys_ops, wire.from, POLLOUT, ROTA_MILLISECOND),
		-ETIMEDOUT);
	for (int i = 0; i < sent; i++)
		expect(&wire, bytes, sizeof bytes);
	assert_int_equal(rota__packet_wait(&faulty_sys_ops, wire.from, POLLOUT, ROTA_NEVER), 0);
	close_wire(&wire);
}

static void
packet__end__comes_behind_what_is_queued(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	assert_int_equal(send_bytes(&wire, "last", 4), 0);
	close(wire.from);
	wire.from = -1;
	expect(&wire, "last", 4);
	assert_int_equal(receive(&wire), 0);
	assert_int_equal(receive(&wire), 0);
	close_wire(&wire);
}

static void
packet__reset__is_no_end(void **state)
{
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	/* The peer ends with something unread, so the kernel says reset first. */
	assert_int_equal(send(wire.to, "unread", 6, 0), 6);
	assert_int_equal(send_bytes(&wire, "last", 4), 0);
	close(wire.from);
	wire.from = -1;
	expect(&wire, "last", 4);
	assert_int_equal(receive(&wire), 0);
	close_wire(&wire);
}

static void
packet__without_a_receiver__is_refused_with_epipe(void **state)
{
	struct wire wire;
	int from;

	(void)state;
	open_wire(&wire, 0);
	assert_int_equal(send_bytes(&wire, "lost", 4), 0);
	from = dup(wire.from);
	close_wire(&wire);
	wire.from = from;
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_bytes(&wire, "none", 4), -EPIPE);
	close(from);
}

/* What is none */

static void
packet__with_a_memfd_that_is_not_as_it_should_be__is_refused(void **state)
{
	static const int seals[] = { F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW,
		F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL,
		F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
		0 };
	struct wire wire;
	int fd;

	(void)state;
	open_wire(&wire, 0);
	for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
		fd = make_memfd(100000, seals[i]);
		send_head(&wire, 100000, fd, 1);
		close(fd);
		assert_int_equal(receive(&wire), -EBADMSG);
	}
	fd = make_memfd(100000, SEALS);
	send_head(&wire, 100001, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, 99999, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, 0, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, UINT64_MAX, fd, 1);
	assert_int_equal(receive(&wire), -EMSGSIZE);
	send_head(&wire, 100000, fd, 2);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, 100000, fd, 1);
	assert_int_equal(receive(&wire), 1);
	close(fd);
	close_wire(&wire);
}

static void
packet__with_another_descriptor__is_refused_and_closes_it(void **state)
{
	struct wire wire;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int directory = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	open_wire(&wire, 0);
	send_head(&wire, 100000, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, 100000, directory, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_raw(&wire, "plain", 5, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_raw(&wire, "plain", 5, fd, 8);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_raw(&wire, "\xfd", 1, fd, 1);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_raw(&wire, "\xfd", 1, -1, 0);
	assert_int_equal(receive(&wire), -EBADMSG);
	send_head(&wire, 100000, -1, 0);
	assert_int_equal(receive(&wire), -EBADMSG);
	close(fd);
	close(directory);
	close_wire(&wire);
}

static void
packet__longer_than_any_that_travels_so__is_refused(void **state)
{
	unsigned char *bytes = pattern_of(100000);
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	send_raw(&wire, bytes, 64 * KIB + 1, -1, 0);
	assert_int_equal(receive(&wire), -EMSGSIZE);
	send_raw(&wire, bytes, 100000, -1, 0);
	assert_int_equal(receive(&wire), -EMSGSIZE);
	assert_int_equal(send_bytes(&wire, bytes, 3), 0);
	expect(&wire, bytes, 3);
	free(bytes);
	close_wire(&wire);
}

/* Shortages */

/* Opens descriptors until there are no more, or so many; returns how many. */
static size_t
use_up(int *fds, size_t most)
{
	size_t count = 0;

	while (count < most) {
		fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (fds[count] < 0)
			break;
		count++;
	}
	return count;
}

#define FEW 64

static void
packet__with_no_descriptor_free__takes_the_spare_ones_place(void **state)
{
	unsigned char *bytes = pattern_of(MIB);
	struct rlimit before;
	struct rlimit few = { FEW, FEW };
	int fds[FEW];
	size_t count;
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(send_bytes(&wire, bytes, MIB), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	count = use_up(fds, FEW);
	assert_int_equal(errno, EMFILE);
	/* And again: the place was taken back. */
	for (int i = 0; i < 2; i++) {
		expect(&wire, bytes, MIB);
		rota__packet_rest(&wire.receiver);
		assert_int_equal(use_up(fds + count, 1), 0);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (count > 0)
		close(fds[--count]);
	free(bytes);
	close_wire(&wire);
}

static void
packet__without_a_spare_descriptor__is_told_lost(void **state)
{
	unsigned char *bytes = pattern_of(MIB);
	struct rlimit before;
	struct rlimit few = { FEW, FEW };
	int fds[FEW];
	size_t count;
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	assert_int_equal(send_bytes(&wire, bytes, MIB), 0);
	assert_int_equal(send_bytes(&wire, bytes, 5), 0);
	close(wire.receiver.spare);
	wire.receiver.spare = -1;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	count = use_up(fds, FEW);
	assert_int_equal(receive(&wire), -ROTA_ELOST);
	expect(&wire, bytes, 5);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	while (count > 0)
		close(fds[--count]);
	free(bytes);
	close_wire(&wire);
}

static void
packet__call_that_fails__is_told_and_leaves_nothing(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_MEMFD_CREATE, FAULTY_WRITE, FAULTY_FCNTL,
		FAULTY_SENDMSG };
	unsigned char *bytes = pattern_of(MIB);
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		for (const int *error = faulty_sys_errors(calls[i]); *error != 0; error++) {
			int told = *error == EINTR && calls[i] == FAULTY_SENDMSG ? EAGAIN
				: *error == ECONNRESET                           ? EPIPE
										 : *error;

			faulty_sys_fail(calls[i], 1, false, *error);
			assert_int_equal(send_bytes(&wire, bytes, MIB), -told);
			faulty_sys_reset();
			assert_int_equal(receive(&wire), -EAGAIN);
		}
	}
	free(bytes);
	close_wire(&wire);
}

static void
packet__receiving_that_fails__is_told_and_leaves_nothing(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_FSTAT, FAULTY_MMAP_FILE };
	unsigned char *bytes = pattern_of(MIB);
	struct wire wire;

	(void)state;
	open_wire(&wire, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		assert_int_equal(send_bytes(&wire, bytes, MIB), 0);
		faulty_sys_fail(calls[i], 1, false, 0);
		assert_int_equal(receive(&wire), -ROTA_ELOST);
		faulty_sys_reset();
		assert_int_equal(receive(&wire), -EAGAIN);
	}
	faulty_sys_fail(FAULTY_RECVMSG, 1, true, ECONNRESET);
	assert_int_equal(receive(&wire), -ECONNRESET);
	faulty_sys_fail(FAULTY_RECVMSG, 1, false, EINTR);
	assert_int_equal(receive(&wire), -EAGAIN);
	faulty_sys_fail(FAULTY_RECVMSG, 1, false, ENOMEM);
	assert_int_equal(receive(&wire), -ENOMEM);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	{
		struct rota__packet_receiver other;

		assert_int_equal(rota__packet_receiver_init(&other, &faulty_sys_ops, wire.to, 0),
			-ENOMEM);
	}
	free(bytes);
	close_wire(&wire);
}

#define TEST(name) fixture_test(packet__##name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_any_size__arrives_whole),
		TEST(of_parts__is_these_one_behind_the_other),
		TEST(empty_or_of_too_many_parts__is_refused),
		TEST(over_the_limit__is_thrown_away_alone),
		TEST(sealed_once__can_be_sent_again),
		TEST(sockets__never_block),
		TEST(end__comes_behind_what_is_queued),
		TEST(reset__is_no_end),
		TEST(without_a_receiver__is_refused_with_epipe),
		TEST(with_a_memfd_that_is_not_as_it_should_be__is_refused),
		TEST(with_another_descriptor__is_refused_and_closes_it),
		TEST(longer_than_any_that_travels_so__is_refused),
		TEST(with_no_descriptor_free__takes_the_spare_ones_place),
		TEST(without_a_spare_descriptor__is_told_lost),
		TEST(call_that_fails__is_told_and_leaves_nothing),
		TEST(receiving_that_fails__is_told_and_leaves_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
