/* SPDX-License-Identifier: MIT */
/*
 * What a peer may send that is no packet, shortages, and every call failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "wire.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

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

static void
send_head(struct wire *wire, uint64_t len, int fd, size_t count)
{
	unsigned char head[ROTA__PACKET_HEAD] = { ROTA__PACKET_MEMFD };

	for (int i = 0; i < 8; i++)
		head[1 + i] = (unsigned char)(len >> 8 * (7 - i));
	wire_send_raw(wire, head, sizeof head, fd, count);
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
	wire_open(&wire, 0);
	for (size_t i = 0; i < sizeof seals / sizeof *seals; i++) {
		fd = make_memfd(100000, seals[i]);
		send_head(&wire, 100000, fd, 1);
		close(fd);
		assert_int_equal(wire_receive(&wire), -EBADMSG);
	}
	fd = make_memfd(100000, SEALS);
	send_head(&wire, 100001, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, 99999, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, 0, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, UINT64_MAX, fd, 1);
	assert_int_equal(wire_receive(&wire), -EMSGSIZE);
	send_head(&wire, 100000, fd, 2);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, 100000, fd, 1);
	assert_int_equal(wire_receive(&wire), 1);
	close(fd);
	wire_close(&wire);
}

static void
packet__with_another_descriptor__is_refused_and_closes_it(void **state)
{
	struct wire wire;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int directory = open("/", O_RDONLY | O_CLOEXEC);

	(void)state;
	wire_open(&wire, 0);
	send_head(&wire, 100000, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, 100000, directory, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	wire_send_raw(&wire, "plain", 5, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	wire_send_raw(&wire, "plain", 5, fd, 8);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	wire_send_raw(&wire, "\xfd", 1, fd, 1);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	wire_send_raw(&wire, "\xfd", 1, -1, 0);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	send_head(&wire, 100000, -1, 0);
	assert_int_equal(wire_receive(&wire), -EBADMSG);
	close(fd);
	close(directory);
	wire_close(&wire);
}

static void
packet__longer_than_any_that_travels_so__is_refused(void **state)
{
	unsigned char *bytes = wire_pattern(100000);
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	wire_send_raw(&wire, bytes, 64 * KIB + 1, -1, 0);
	assert_int_equal(wire_receive(&wire), -EMSGSIZE);
	wire_send_raw(&wire, bytes, 100000, -1, 0);
	assert_int_equal(wire_receive(&wire), -EMSGSIZE);
	assert_int_equal(wire_send(&wire, bytes, 3), 0);
	wire_expect(&wire, bytes, 3);
	free(bytes);
	wire_close(&wire);
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

/* No descriptor is free meanwhile. */
struct shortage {
	struct rlimit before;
	int fds[FEW + 1];
	size_t count;
};

static void
begin_shortage(struct shortage *shortage)
{
	struct rlimit few = { FEW, FEW };

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &shortage->before), 0);
	few.rlim_max = shortage->before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	shortage->count = use_up(shortage->fds, FEW);
	assert_int_equal(errno, EMFILE);
}

static void
end_shortage(struct shortage *shortage)
{
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &shortage->before), 0);
	while (shortage->count > 0)
		close(shortage->fds[--shortage->count]);
}

static void
packet__with_no_descriptor_free__takes_the_spare_ones_place(void **state)
{
	unsigned char *bytes = wire_pattern(MIB);
	struct shortage shortage;
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(wire_send(&wire, bytes, MIB), 0);
	begin_shortage(&shortage);
	/* And again: the place was taken back. */
	for (int i = 0; i < 2; i++) {
		wire_expect(&wire, bytes, MIB);
		rota__packet_rest(&wire.receiver);
		assert_int_equal(use_up(shortage.fds + shortage.count, 1), 0);
	}
	end_shortage(&shortage);
	free(bytes);
	wire_close(&wire);
}

static void
packet__without_a_spare_descriptor__is_told_lost(void **state)
{
	unsigned char *bytes = wire_pattern(MIB);
	struct shortage shortage;
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	assert_int_equal(wire_send(&wire, bytes, MIB), 0);
	assert_int_equal(wire_send(&wire, bytes, 5), 0);
	close(wire.receiver.spare);
	wire.receiver.spare = -1;
	begin_shortage(&shortage);
	assert_int_equal(wire_receive(&wire), -ROTA_ELOST);
	wire_expect(&wire, bytes, 5);
	end_shortage(&shortage);
	free(bytes);
	wire_close(&wire);
}

static void
packet__call_that_fails__is_told_and_leaves_nothing(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_MEMFD_CREATE, FAULTY_WRITE, FAULTY_FCNTL,
		FAULTY_SENDMSG };
	unsigned char *bytes = wire_pattern(MIB);
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		for (const int *error = faulty_sys_errors(calls[i]); *error != 0; error++) {
			int told = *error == EINTR && calls[i] == FAULTY_SENDMSG ? EAGAIN
				: *error == ECONNRESET                           ? EPIPE
										 : *error;

			faulty_sys_fail(calls[i], 1, false, *error);
			assert_int_equal(wire_send(&wire, bytes, MIB), -told);
			faulty_sys_reset();
			assert_int_equal(wire_receive(&wire), -EAGAIN);
		}
	}
	free(bytes);
	wire_close(&wire);
}

static void
packet__receiving_that_fails__is_told_and_leaves_nothing(void **state)
{
	static const enum faulty_call calls[] = { FAULTY_FSTAT, FAULTY_MMAP_FILE };
	unsigned char *bytes = wire_pattern(MIB);
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		assert_int_equal(wire_send(&wire, bytes, MIB), 0);
		faulty_sys_fail(calls[i], 1, false, 0);
		assert_int_equal(wire_receive(&wire), -ROTA_ELOST);
		faulty_sys_reset();
		assert_int_equal(wire_receive(&wire), -EAGAIN);
	}
	faulty_sys_fail(FAULTY_RECVMSG, 1, true, ECONNRESET);
	assert_int_equal(wire_receive(&wire), -ECONNRESET);
	faulty_sys_fail(FAULTY_RECVMSG, 1, false, EINTR);
	assert_int_equal(wire_receive(&wire), -EAGAIN);
	faulty_sys_fail(FAULTY_RECVMSG, 1, false, ENOMEM);
	assert_int_equal(wire_receive(&wire), -ENOMEM);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	{
		struct rota__packet_receiver other;

		assert_int_equal(rota__packet_receiver_init(&other, &faulty_sys_ops, wire.to, 0),
			-ENOMEM);
	}
	free(bytes);
	wire_close(&wire);
}

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packet__with_a_memfd_that_is_not_as_it_should_be__is_refused),
		TEST(packet__with_another_descriptor__is_refused_and_closes_it),
		TEST(packet__longer_than_any_that_travels_so__is_refused),
		TEST(packet__with_no_descriptor_free__takes_the_spare_ones_place),
		TEST(packet__without_a_spare_descriptor__is_told_lost),
		TEST(packet__call_that_fails__is_told_and_leaves_nothing),
		TEST(packet__receiving_that_fails__is_told_and_leaves_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
