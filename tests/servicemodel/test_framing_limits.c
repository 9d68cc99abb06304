/* SPDX-License-Identifier: MIT */
/*
 * Framings' limits: from nothing to what 64 bits can claim, told as soon as it is certain; what
 * cannot be sent; what a framing must be; what is said to people.
 */
#include <rota/framing.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "cutting.h"
#include "fixture.h"

#define BYTES(string) (string), (sizeof(string) - 1)
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define DEFAULT ((size_t)1 << 20)
#define HUGE ROTA_FRAMING_MOST

static const struct rota_framing_ops *const wrapping[] = { &rota_framing_line,
	&rota_framing_delimiter, &rota_framing_length16, &rota_framing_length32,
	&rota_framing_varint, &rota_framing_netstring };

static struct rota_framing
make(const struct rota_framing_ops *ops, size_t limit)
{
	struct rota_framing framing = ROTA_FRAMING_INIT;

	framing.ops = ops;
	framing.limit = limit;
	framing.delimiter = "--";
	framing.delimiter_len = 2;
	return framing;
}

/* What is said of the bytes, given one after the other; how many it took to be said. */
static int
say(const struct rota_framing *framing, const char *bytes, size_t len, size_t *ret_calls,
	size_t *ret_need)
{
	bool is_end[32];
	struct cutting cutting;

	assert_true(len <= LENGTH(is_end));
	memset(is_end, true, sizeof is_end);
	cutting = cut(framing, bytes, len, is_end);
	assert_int_equal(cutting.frames, 0);
	*ret_calls = cutting.calls;
	*ret_need = cutting.need;
	return cutting.error;
}

static void
expect_refused(const struct rota_framing *framing, const char *bytes, size_t len, size_t at)
{
	size_t calls;
	size_t need;

	assert_int_equal(say(framing, bytes, len, &calls, &need), -EMSGSIZE);
	assert_int_equal(calls, at);
}

static void
expect_needed(const struct rota_framing *framing, const char *bytes, size_t len, size_t need)
{
	size_t calls;
	size_t said;

	assert_int_equal(say(framing, bytes, len, &calls, &said), 0);
	assert_int_equal(said, need);
}

/* A payload of that length goes through or is refused, on both ways. */
static void
expect_carried(const struct rota_framing *framing, size_t len)
{
	unsigned char *payload = malloc(len + 1);
	unsigned char *frame = malloc(len + 2 * ROTA_FRAMING_AROUND);
	struct cutting cutting;
	ssize_t r;

	assert_non_null(payload);
	assert_non_null(frame);
	memset(payload, 'x', len);
	r = put_frame(framing, payload, len, frame);
	assert_true(r > 0);
	cutting = cut(framing, frame, (size_t)r, NULL);
	assert_int_equal(cutting.frames, 1);
	assert_int_equal(cutting.len[0], len);
	assert_int_equal(cutting.taken, r);
	assert_memory_equal(frame + cutting.place[0], payload, len);
	free(frame);
	free(payload);
}

/* One that has no limit writes it; the other does not take it. */
static void
expect_not_carried(const struct rota_framing *framing, size_t len)
{
	struct rota_framing any = *framing;
	unsigned char *payload = calloc(1, len);
	unsigned char *frame = malloc(len + 2 * ROTA_FRAMING_AROUND);
	struct rota_framing_around around;
	ssize_t r;

	any.limit = HUGE;
	assert_non_null(payload);
	assert_non_null(frame);
	memset(&around, 0xa5, sizeof around);
	assert_int_equal(rota_framing_wrap(framing, payload, len, &around), -EMSGSIZE);
	assert_int_equal(around.before_len & 0xff, 0xa5);
	r = put_frame(&any, payload, len, frame);
	if (r > 0)
		assert_int_equal(cut(framing, frame, (size_t)r, NULL).error, -EMSGSIZE);
	else
		assert_int_equal(r, -EMSGSIZE);
	free(frame);
	free(payload);
}

static void
payload__of_the_limit__is_carried_and_of_one_more_is_not(void **state)
{
	static const size_t limits[] = { 1, 9, 10, 127, 128, 300, 16383, 16384, 65535 };

	(void)state;
	for (size_t i = 0; i < LENGTH(wrapping); i++) {
		struct rota_framing framing;

		for (size_t j = 0; j < LENGTH(limits); j++) {
			framing = make(wrapping[i], limits[j]);
			expect_carried(&framing, 0);
			expect_carried(&framing, limits[j] - 1);
			expect_carried(&framing, limits[j]);
			expect_not_carried(&framing, limits[j] + 1);
		}
	}
}

static void
limit__of_nothing__is_a_mebibyte_or_what_can_be_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTH(wrapping); i++) {
		struct rota_framing framing = make(wrapping[i], 0);
		size_t limit = wrapping[i] == &rota_framing_length16 ? 65535 : DEFAULT;

		assert_int_equal(rota_framing_limit(&framing), limit);
		expect_carried(&framing, limit);
		expect_not_carried(&framing, limit + 1);
	}
}

static void
limit__is_no_more_than_the_framing_can_tell(void **state)
{
	struct rota_framing framing = make(&rota_framing_length16, 65536);

	(void)state;
	assert_int_equal(rota_framing_limit(&framing), 65535);
	framing = make(&rota_framing_length32, HUGE);
	assert_int_equal(rota_framing_limit(&framing), HUGE);
	framing = make(&rota_framing_varint, SIZE_MAX);
	assert_int_equal(rota_framing_limit(&framing), HUGE);
	framing.limit = 7;
	assert_int_equal(rota_framing_limit(&framing), 7);
}

static void
claim__over_the_limit__is_refused_with_the_byte_that_makes_it(void **state)
{
	struct rota_framing length16 = make(&rota_framing_length16, 1000);
	struct rota_framing length32 = make(&rota_framing_length32, 0);
	struct rota_framing varint = make(&rota_framing_varint, 0);
	struct rota_framing netstring = make(&rota_framing_netstring, 0);

	(void)state;
	expect_refused(&length16, BYTES("\xff\xff"), 2);
	expect_refused(&length32, BYTES("\x80\0\0\0"), 4);
	expect_refused(&length32, BYTES("\xff\xff\xff\xff"), 4);
	expect_refused(&varint, BYTES("\x80\x80\x80\x80\x08"), 3);                     /* 2^31 */
	expect_refused(&varint, BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 3); /* 2^63 */
	expect_refused(&netstring, BYTES("1048577"), 7);
	expect_refused(&netstring, BYTES("2147483648:"), 7);
	expect_refused(&netstring, BYTES("9223372036854775808:"), 7);
	expect_refused(&netstring, BYTES("99999999999999999999999999999999"), 7);
}

static void
claim__of_members__is_refused_before_one_came(void **state)
{
	struct rota_framing framing = make(&rota_framing_msgpack, 0);

	(void)state;
	expect_refused(&framing, BYTES("\xdd\xff\xff\xff\xff"), 5);
	expect_refused(&framing, BYTES("\xdd\x80\0\0\0"), 5);
	expect_refused(&framing, BYTES("\xdf\xff\xff\xff\xff"), 5);
	expect_refused(&framing, BYTES("\xdf\x80\0\0\0"), 5);
	expect_refused(&framing, BYTES("\xdb\xff\xff\xff\xff"), 5);
	expect_refused(&framing, BYTES("\xc6\x80\0\0\0"), 5);
	expect_refused(&framing, BYTES("\xc9\xff\xff\xff\xff"), 5);
	/* 2^20 bytes in all are the head's 5 and the members, one more are too many. */
	expect_needed(&framing, BYTES("\xdd\0\x0f\xff\xfb"), DEFAULT);
	expect_refused(&framing, BYTES("\xdd\0\x0f\xff\xfc"), 5);
	expect_needed(&framing, BYTES("\xdf\0\7\xff\xfd"), DEFAULT - 1);
	expect_refused(&framing, BYTES("\xdf\0\7\xff\xfe"), 5);
	/* What members take more than a byte each adds up. */
	expect_needed(&framing, BYTES("\xdd\0\x0f\xff\xfa\xcc"), DEFAULT);
	expect_refused(&framing, BYTES("\xdd\0\x0f\xff\xfb\xcc"), 6);
	expect_refused(&framing, BYTES("\xdd\0\x0f\xff\xfa\xcc\1\x91"), 8);
}

static void
send_limit__is_another_than_that_of_what_comes(void **state)
{
	struct rota_framing framing = make(&rota_framing_netstring, 3);
	struct rota_framing_around around;

	(void)state;
	assert_int_equal(rota_framing_send_limit(&framing), 3);
	assert_int_equal(rota_framing_wrap(&framing, "four", 4, &around), -EMSGSIZE);
	framing.send_limit = 4;
	assert_int_equal(rota_framing_send_limit(&framing), 4);
	assert_int_equal(rota_framing_limit(&framing), 3);
	assert_int_equal(rota_framing_wrap(&framing, "four", 4, &around), 0);
	assert_int_equal(rota_framing_wrap(&framing, "fives", 5, &around), -EMSGSIZE);
	expect_refused(&framing, BYTES("4"), 1);
	framing = make(&rota_framing_length16, 3);
	framing.send_limit = 65536;
	assert_int_equal(rota_framing_send_limit(&framing), 65535);
	framing.send_limit = HUGE + 1;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
}

/* Where the limit allows it, the sum is right, and nothing is waited for in vain. */
static void
claim__of_much__is_waited_for_exactly(void **state)
{
	struct rota_framing framing = make(&rota_framing_length32, HUGE);

	(void)state;
	expect_needed(&framing, BYTES("\0"), 4);
	expect_needed(&framing, BYTES("\x40\0\0\0"), HUGE + 4);
	expect_refused(&framing, BYTES("\x40\0\0\x01"), 4);
	expect_refused(&framing, BYTES("\xff\xff\xff\xff"), 4);
	framing = make(&rota_framing_length16, 0);
	expect_needed(&framing, BYTES("\xff\xff"), 65537);
	framing = make(&rota_framing_varint, HUGE);
	expect_needed(&framing, BYTES("\x80\x80\x80\x80\x04"), HUGE + 5);
	expect_refused(&framing, BYTES("\x81\x80\x80\x80\x04"), 5);
	expect_refused(&framing, BYTES("\x80\x80\x80\x80\x08"), 5);
	framing = make(&rota_framing_netstring, HUGE);
	expect_needed(&framing, BYTES("1073741824:"), HUGE + 12);
	expect_refused(&framing, BYTES("1073741825"), 10);
	framing = make(&rota_framing_msgpack, HUGE);
	expect_needed(&framing, BYTES("\xdf\x10\0\0\0"), HUGE / 2 + 5);
	expect_needed(&framing, BYTES("\xdf\x08\0\0\0\xdf\x10\0\0\0"), 3 * HUGE / 4 + 9);
	expect_refused(&framing, BYTES("\xdf\x20\0\0\0"), 5);
	expect_needed(&framing, BYTES("\xdb\x3f\xff\xff\xfb"), HUGE);
}

static void
wrap__of_what_would_be_read_otherwise__is_refused(void **state)
{
	struct rota_framing line = make(&rota_framing_line, 0);
	struct rota_framing delimiter = make(&rota_framing_delimiter, 0);
	struct rota_framing_around around;

	(void)state;
	memset(&around, 0xa5, sizeof around);
	assert_int_equal(rota_framing_wrap(&line, BYTES("a\nb"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&line, BYTES("a\n"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&line, BYTES("a\r"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("a--b"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("--"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("a-"), &around), -ROTA_EFRAME);
	assert_int_equal(around.behind[0], 0xa5);
	assert_int_equal(rota_framing_wrap(&line, BYTES("a\rb"), &around), 0);
	assert_int_equal(rota_framing_wrap(&line, NULL, 0, &around), 0);
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("-a-b"), &around), 0);
	delimiter.delimiter = "aba";
	delimiter.delimiter_len = 3;
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("xab"), &around), -ROTA_EFRAME);
	assert_int_equal(rota_framing_wrap(&delimiter, BYTES("xa"), &around), 0);
	assert_int_equal(around.behind_len, 3);
}

static void
wrap__of_an_object__adds_nothing(void **state)
{
	struct rota_framing framing = make(&rota_framing_msgpack, 4);
	struct rota_framing_around around;

	(void)state;
	memset(&around, 0xa5, sizeof around);
	assert_int_equal(rota_framing_wrap(&framing, BYTES("\xa3xyz"), &around), 0);
	assert_int_equal(around.before_len, 0);
	assert_int_equal(around.behind_len, 0);
	assert_int_equal(rota_framing_wrap(&framing, BYTES("\xa4wxyz"), &around), -EMSGSIZE);
}

static void
find__of_nothing__finds_nothing(void **state)
{
	struct rota_framing framing = make(&rota_framing_line, 0);
	struct rota_framing_state where = { 0, 0, 0 };
	struct rota_frame frame;

	(void)state;
	assert_int_equal(rota_framing_find(&framing, &where, NULL, 0, &frame), 0);
	assert_int_equal(rota_framing_find(&framing, &where, "a", 1, &frame), 0);
	assert_int_equal(rota_framing_find(&framing, &where, "a", 1, &frame), 0);
	assert_int_equal(rota_framing_find(&framing, &where, "a\n", 2, &frame), 2);
	assert_int_equal(frame.len, 1);
}

/* A table of one's own, which forgets its limit: all is payload up to where own says. */

static ssize_t
find_own(const struct rota_framing *framing, struct rota_framing_state *state,
	const unsigned char *bytes, size_t len, struct rota_frame *ret_frame)
{
	size_t whole = *(const size_t *)framing->own;

	if (len < whole) {
		state->need = framing->limit == 3 ? whole : 0;
		return 0;
	}
	*ret_frame = (struct rota_frame){ bytes, whole - 1 };
	return (ssize_t)whole;
}

static void
table_of_ones_own__is_held_to_the_limit(void **state)
{
	static const struct rota_framing_ops ops = { .name = "own", .find = find_own, .around = 1 };
	size_t whole = 5;
	struct rota_framing framing = make(&ops, 4);

	(void)state;
	framing.own = &whole;
	assert_int_equal(rota_framing_check(&framing), 0);
	assert_int_equal(cut(&framing, "abcde", 5, NULL).len[0], 4);
	whole = 6;
	assert_int_equal(cut(&framing, "abcdef", 6, NULL).error, -EMSGSIZE);
	assert_int_equal(cut(&framing, "abcd", 4, NULL).error, 0);
	assert_int_equal(cut(&framing, "abcde", 5, NULL).error, -EMSGSIZE);
	framing.limit = 3;
	assert_int_equal(cut(&framing, "a", 1, NULL).error, -EMSGSIZE);
}

static void
check__of_what_cannot_be_used__is_invalid(void **state)
{
	struct rota_framing_ops ops = rota_framing_line;
	struct rota_framing framing = ROTA_FRAMING_INIT;

	(void)state;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	for (size_t i = 0; i < LENGTH(wrapping); i++) {
		framing = make(wrapping[i], 0);
		assert_int_equal(rota_framing_check(&framing), 0);
		framing.limit = HUGE;
		assert_int_equal(rota_framing_check(&framing), 0);
		framing.limit++;
		assert_int_equal(rota_framing_check(&framing), -EINVAL);
	}
	framing = make(&rota_framing_delimiter, 0);
	framing.delimiter_len = 0;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	framing.delimiter_len = 17;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	framing.delimiter_len = 16;
	assert_int_equal(rota_framing_check(&framing), 0);
	framing.delimiter = NULL;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	framing = make(&ops, 0);
	ops.name = NULL;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	ops = rota_framing_line;
	ops.find = NULL;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
	ops = rota_framing_line;
	ops.around = HUGE + 1;
	assert_int_equal(rota_framing_check(&framing), -EINVAL);
}

static void
text__names_the_framing_and_the_limit(void **state)
{
	struct rota_framing framing = make(&rota_framing_line, 4096);
	char text[120];

	(void)state;
	assert_ptr_equal(rota_framing_text(&framing, -EMSGSIZE, text, sizeof text), text);
	assert_string_equal(text, "a frame is longer than the limit of 4096 bytes (line)");
	framing = make(&rota_framing_length16, 0);
	rota_framing_text(&framing, EMSGSIZE, text, sizeof text);
	assert_string_equal(text, "a frame is longer than the limit of 65535 bytes (length16)");
	framing = make(&rota_framing_netstring, 1);
	rota_framing_text(&framing, -EMSGSIZE, text, sizeof text);
	assert_string_equal(text, "a frame is longer than the limit of 1 byte (netstring)");
	rota_framing_text(&framing, -ROTA_EFRAME, text, sizeof text);
	assert_string_equal(text, "what came is no frame (netstring)");
	rota_framing_text(&framing, -ROTA_ETRUNCATED, text, sizeof text);
	assert_string_equal(text, "the peer ended in the middle of a frame (netstring)");
	rota_framing_text(&framing, -ENOMEM, text, sizeof text);
	assert_string_equal(text, "Cannot allocate memory (netstring)");
	rota_framing_text(&framing, -ROTA_EFRAME, text, 5);
	assert_string_equal(text, "what");
	assert_ptr_equal(rota_framing_text(&framing, -EMSGSIZE, text, 0), text);
	assert_string_equal(text, "what");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(payload__of_the_limit__is_carried_and_of_one_more_is_not),
		cmocka_unit_test(limit__of_nothing__is_a_mebibyte_or_what_can_be_told),
		cmocka_unit_test(limit__is_no_more_than_the_framing_can_tell),
		cmocka_unit_test(send_limit__is_another_than_that_of_what_comes),
		cmocka_unit_test(claim__over_the_limit__is_refused_with_the_byte_that_makes_it),
		cmocka_unit_test(claim__of_members__is_refused_before_one_came),
		cmocka_unit_test(claim__of_much__is_waited_for_exactly),
		cmocka_unit_test(wrap__of_what_would_be_read_otherwise__is_refused),
		cmocka_unit_test(wrap__of_an_object__adds_nothing),
		cmocka_unit_test(find__of_nothing__finds_nothing),
		cmocka_unit_test(table_of_ones_own__is_held_to_the_limit),
		cmocka_unit_test(check__of_what_cannot_be_used__is_invalid),
		cmocka_unit_test(text__names_the_framing_and_the_limit),
	};

	return cmocka_run_group_tests_name("framing_limits", tests, NULL, NULL);
}
