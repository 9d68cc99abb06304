/* SPDX-License-Identifier: MIT */
/*
 * Packets: sizes, the end, and no room.
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

/* Sizes */

static void
packet__of_any_size__arrives_whole(void **state)
{
	static const size_t sizes[] = { 1, 2, 9, 64, 4096, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1,
		MIB, 64 * MIB };
	struct wire wire;
	unsigned char *bytes = wire_pattern(64 * MIB);

	(void)state;
	wire_open(&wire, 0);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		assert_int_equal(wire_send(&wire, bytes, sizes[i]), 0);
		wire_expect(&wire, bytes, sizes[i]);
	}
	assert_int_equal(wire_receive(&wire), -EAGAIN);
	free(bytes);
	wire_close(&wire);
}

static void
packet__of_parts__is_these_one_behind_the_other(void **state)
{
	struct wire wire;
	unsigned char *bytes = wire_pattern(2 * MIB);

	(void)state;
	wire_open(&wire, 0);
	for (size_t len = 1000; len <= 2 * MIB; len *= 2) {
		struct iovec parts[3] = { { bytes, 1 }, { bytes + 1, 499 },
			{ bytes + 500, len - 500 } };

		assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, 3), 0);
		wire_expect(&wire, bytes, len);
	}
	free(bytes);
	wire_close(&wire);
}

static void
packet__empty_or_of_too_many_parts__is_refused(void **state)
{
	struct iovec parts[ROTA__PACKET_PARTS + 1];
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	for (size_t i = 0; i <= ROTA__PACKET_PARTS; i++)
		parts[i] = (struct iovec){ .iov_base = (void *)"x", .iov_len = 1 };
	assert_int_equal(wire_send(&wire, "", 0), -EINVAL);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, 0), -EINVAL);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts,
				 ROTA__PACKET_PARTS + 1),
		-EINVAL);
	assert_int_equal(wire_receive(&wire), -EAGAIN);
	assert_int_equal(rota__packet_send(&faulty_sys_ops, wire.from, parts, ROTA__PACKET_PARTS),
		0);
	wire_expect(&wire, "xxxxxxxxxxxxxxxx", ROTA__PACKET_PARTS);
	wire_close(&wire);
}

static void
packet__over_the_limit__is_thrown_away_alone(void **state)
{
	unsigned char *bytes = wire_pattern(MIB);
	static const size_t limits[] = { 100, MIB - 1 };
	struct wire wire;

	(void)state;
	for (int i = 0; i < 2; i++) {
		wire_open(&wire, limits[i]);
		assert_int_equal(wire_send(&wire, bytes, limits[i]), 0);
		assert_int_equal(wire_send(&wire, bytes, limits[i] + 1), 0);
		assert_int_equal(wire_send(&wire, "behind", 6), 0);
		wire_expect(&wire, bytes, limits[i]);
		assert_int_equal(wire_receive(&wire), -EMSGSIZE);
		wire_expect(&wire, "behind", 6);
		wire_close(&wire);
	}
	free(bytes);
}

static void
packet__sealed_once__can_be_sent_again(void **state)
{
	unsigned char *bytes = wire_pattern(MIB);
	struct iovec part = { .iov_base = bytes, .iov_len = MIB };
	struct wire wire;
	int memfd;

	(void)state;
	wire_open(&wire, 0);
	memfd = rota__packet_seal(&faulty_sys_ops, &part, 1);
	assert_true(memfd >= 0);
	assert_true((fcntl(memfd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(fcntl(memfd, F_GET_SEALS) & SEALS, SEALS);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota__packet_send_sealed(&faulty_sys_ops, wire.from, memfd, MIB),
			0);
		wire_expect(&wire, bytes, MIB);
	}
	close(memfd);
	free(bytes);
	wire_close(&wire);
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
	wire_open(&wire, 0);
	assert_int_equal(wire_receive(&wire), -EAGAIN);
	while ((r = wire_send(&wire, bytes, sizeof bytes)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(fcntl(wire.from, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fcntl(wire.to, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(rota__packet_wait(&faulty_sys_ops, wire.from, POLLOUT, ROTA_MILLISECOND),
		-ETIMEDOUT);
	for (int i = 0; i < sent; i++)
		wire_expect(&wire, bytes, sizeof bytes);
	assert_int_equal(rota__packet_wait(&faulty_sys_ops, wire.from, POLLOUT, ROTA_NEVER), 0);
	wire_close(&wire);
}

static void
packet__end__comes_behind_what_is_queued(void **state)
{
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	assert_int_equal(wire_send(&wire, "last", 4), 0);
	close(wire.from);
	wire.from = -1;
	wire_expect(&wire, "last", 4);
	assert_int_equal(wire_receive(&wire), 0);
	assert_int_equal(wire_receive(&wire), 0);
	wire_close(&wire);
}

static void
packet__reset__is_no_end(void **state)
{
	struct wire wire;

	(void)state;
	wire_open(&wire, 0);
	/* The peer ends with something unread, so the kernel says reset first. */
	assert_int_equal(send(wire.to, "unread", 6, 0), 6);
	assert_int_equal(wire_send(&wire, "last", 4), 0);
	close(wire.from);
	wire.from = -1;
	wire_expect(&wire, "last", 4);
	assert_int_equal(wire_receive(&wire), 0);
	wire_close(&wire);
}

static void
packet__without_a_receiver__is_refused_with_epipe(void **state)
{
	struct wire wire;
	int from;

	(void)state;
	wire_open(&wire, 0);
	assert_int_equal(wire_send(&wire, "lost", 4), 0);
	from = dup(wire.from);
	wire_close(&wire);
	wire.from = from;
	for (int i = 0; i < 3; i++)
		assert_int_equal(wire_send(&wire, "none", 4), -EPIPE);
	close(from);
}

/* Shortages */

#define TEST(name) fixture_test(name)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packet__of_any_size__arrives_whole),
		TEST(packet__of_parts__is_these_one_behind_the_other),
		TEST(packet__empty_or_of_too_many_parts__is_refused),
		TEST(packet__over_the_limit__is_thrown_away_alone),
		TEST(packet__sealed_once__can_be_sent_again),
		TEST(packet__sockets__never_block),
		TEST(packet__end__comes_behind_what_is_queued),
		TEST(packet__reset__is_no_end),
		TEST(packet__without_a_receiver__is_refused_with_epipe),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
