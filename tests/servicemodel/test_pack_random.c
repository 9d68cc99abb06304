/* SPDX-License-Identifier: MIT */
/*
 * Properties of packed values, drawn from a seed: what is packed is unpacked the same; msgpack-c,
 * as another reader, finds the same values, and the same end, in any bytes; hostile bytes do no
 * harm and take no more time than honest ones. What is printed when one fails repeats it, as
 * ROTA_SEED.
 */
#include <rota/pack.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include <rota/errors.h>
#include <rota/framing.h>

#include "fixture.h"
#include "random.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define DRAWS 20000

/* Numbers near the ends of every width come as often as others. */
static uint64_t
draw_number(uint64_t *seed)
{
	uint64_t number = random_next(seed) >> random_below(seed, 64);

	switch (random_below(seed, 4)) {
	case 0:
		return number;
	case 1:
		return 0 - number;
	default:
		return ((uint64_t)1 << random_below(seed, 64)) + random_below(seed, 3) - 1;
	}
}

static bool
has_same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

static void
values__drawn__are_unpacked_as_they_were_packed(void **state)
{
	static const char pattern[] = "I [U {i: i, u: u}] d {s: [b y]} t v";
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		unsigned char bytes[300];
		int64_t I = (int64_t)draw_number(&seed), I_back;
		uint64_t U = draw_number(&seed), U_back, bits = draw_number(&seed);
		int number = (int)draw_number(&seed), number_back;
		unsigned u = (unsigned)draw_number(&seed), u_back;
		double d, d_back;
		bool b = random_percent(&seed, 50), b_back;
		struct rota_bytes y = { bytes, random_below(&seed, sizeof bytes) }, y_back;
		struct rota_text t = { (char *)bytes, random_below(&seed, sizeof bytes) }, t_back;
		struct rota_bytes v = { "\x92\xc0\1", 3 }, v_back;

		memset(bytes, (int)seed, sizeof bytes);
		memcpy(&d, &bits, sizeof d);
		rota_buffer_reset(&buffer);
		assert_int_equal(rota_pack(&buffer, pattern, I, U, number, u, d, "key", b, &y, &t,
					 &v),
			0);
		assert_int_equal(rota_unpack(buffer.bytes, buffer.len, NULL, pattern, &I_back,
					 &U_back, &number_back, &u_back, &d_back, "key", &b_back,
					 &y_back, &t_back, &v_back),
			buffer.len);
		assert_true(I_back == I && U_back == U && number_back == number && u_back == u);
		assert_true(has_same_bits(d, d_back) && b_back == b);
		assert_int_equal(y_back.len, y.len);
		assert_memory_equal(y_back.bytes, y.bytes, y.len);
		assert_int_equal(t_back.len, t.len);
		assert_memory_equal(t_back.bytes, t.bytes, t.len);
		assert_int_equal(v_back.len, 3);
	}
	rota_buffer_fini(&buffer);
}

/* Every number is read by each letter that has it, and refused by the others. */
static void
numbers__drawn__fit_exactly_what_has_them(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < DRAWS; i++) {
		bool is_signed = random_percent(&seed, 50);
		uint64_t bits = draw_number(&seed);
		bool is_negative = is_signed && (int64_t)bits < 0;
		int64_t I;
		uint64_t U;
		unsigned u;
		int number;

		rota_buffer_reset(&buffer);
		assert_int_equal(rota_pack(&buffer, is_signed ? "I" : "U", bits), 0);
		assert_int_equal(rota_unpack(buffer.bytes, buffer.len, NULL, "I", &I) > 0,
			is_signed || bits <= INT64_MAX);
		assert_int_equal(rota_unpack(buffer.bytes, buffer.len, NULL, "U", &U) > 0,
			!is_negative);
		assert_int_equal(rota_unpack(buffer.bytes, buffer.len, NULL, "u", &u) > 0,
			!is_negative && bits <= UINT_MAX);
		assert_int_equal(rota_unpack(buffer.bytes, buffer.len, NULL, "i", &number) > 0,
			is_negative ? (int64_t)bits >= INT_MIN : bits <= INT_MAX);
	}
	rota_buffer_fini(&buffer);
}

static void
draw_object(uint64_t *seed, msgpack_packer *packer, int depth)
{
	size_t count = random_below(seed, 5);
	char bytes[40] = "";

	switch (random_below(seed, depth > 0 ? 9 : 7)) {
	case 0:
		msgpack_pack_nil(packer);
		break;
	case 1:
		msgpack_pack_true(packer);
		break;
	case 2:
		msgpack_pack_int64(packer, (int64_t)draw_number(seed));
		break;
	case 3:
		msgpack_pack_float(packer, (float)random_below(seed, 100) / 8);
		break;
	case 4:
		msgpack_pack_str_with_body(packer, bytes, random_below(seed, sizeof bytes));
		break;
	case 5:
		msgpack_pack_bin_with_body(packer, bytes, random_below(seed, sizeof bytes));
		break;
	case 6:
		msgpack_pack_ext_with_body(packer, bytes, random_below(seed, sizeof bytes), 5);
		break;
	case 7:
		msgpack_pack_array(packer, count);
		for (size_t i = 0; i < count; i++)
			draw_object(seed, packer, depth - 1);
		break;
	default:
		msgpack_pack_map(packer, count);
		for (size_t i = 0; i < 2 * count; i++)
			draw_object(seed, packer, depth - 1);
		break;
	}
}

/* What msgpack-c, which believes it, would allocate gigabytes for. */
static bool
may_claim_much(const char *bytes, size_t len)
{
	return memchr(bytes, 0xdd, len) != NULL || memchr(bytes, 0xdf, len) != NULL;
}

/* Both readers say where the first object ends, or that it has no end. */
static void
expect_same_end(const char *bytes, size_t len)
{
	static const struct rota_framing framing = { &rota_framing_msgpack, 1 << 20, NULL, 0, NULL,
		0 };
	struct rota_framing_state where = { 0, 0, 0 };
	struct rota_unpack_error error;
	struct rota_frame frame;
	msgpack_unpacked theirs;
	struct rota_bytes ours;
	size_t end = 0;
	char *alone = malloc(len);
	ssize_t r;

	assert_non_null(alone);
	memcpy(alone, bytes, len);
	r = rota_unpack(alone, len, &error, "v *", &ours);
	msgpack_unpacked_init(&theirs);
	if (r < 0 && may_claim_much(bytes, len))
		assert_int_equal(r, -ROTA_EPACK);
	else if (msgpack_unpack_next(&theirs, bytes, len, &end) == MSGPACK_UNPACK_SUCCESS) {
		assert_int_equal(r, end);
		assert_int_equal(ours.len, end);
		assert_int_equal(rota_framing_find(&framing, &where, alone, len, &frame), end);
	} else {
		assert_int_equal(r, -ROTA_EPACK);
		assert_true(error.offset <= len);
		assert_true(rota_framing_find(&framing, &where, alone, len, &frame) <= 0);
	}
	msgpack_unpacked_destroy(&theirs);
	free(alone);
}

static void
objects__drawn__end_where_another_reader_says(void **state)
{
	msgpack_sbuffer buffer;
	msgpack_packer packer;
	uint64_t seed = make_seed(__func__);

	(void)state;
	msgpack_sbuffer_init(&buffer);
	msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
	for (int i = 0; i < DRAWS; i++) {
		msgpack_sbuffer_clear(&buffer);
		draw_object(&seed, &packer, 5);
		expect_same_end(buffer.data, buffer.size);
		if (buffer.size > 1)
			expect_same_end(buffer.data, 1 + random_below(&seed, buffer.size - 1));
		/* A count that is a little off, or another type, more often than not. */
		buffer.data[random_below(&seed, buffer.size)] ^=
			(char)(1 << random_below(&seed, 8));
		if (buffer.size < 1000)
			expect_same_end(buffer.data, buffer.size);
	}
	msgpack_sbuffer_destroy(&buffer);
}

/* Whatever the bytes are, each pattern has them or refuses them. */
static void
bytes__drawn__do_no_harm(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int i = 0; i < 5 * DRAWS; i++) {
		static const unsigned char often[] = { 0x80, 0x81, 0x82, 0x90, 0x91, 0x92, 0xa0,
			0xa1, 'a', 'b', 0xc0, 0xc1, 0xc3, 0xc4, 0xc7, 0xcb, 0xcf, 0xd3, 0xd9, 0xdc,
			0xdd, 0xde, 0xdf, 0x00, 0x01, 0xff };
		struct rota_unpack_error error;
		struct rota_members members;
		struct rota_text text;
		size_t len = random_below(&seed, 24);
		unsigned char *bytes = malloc(len);
		int64_t I = 0;
		double d;
		ssize_t r;
		bool b;

		assert_true(bytes != NULL || len == 0);
		for (size_t j = 0; j < len; j++)
			bytes[j] = often[random_below(&seed, LENGTH(often))];
		error.text[0] = '\0';
		r = rota_unpack(bytes, len, &error, "[I? *]? {a: d, b: [b]? s: s?}? m? *", &I, &d,
			&b, "", &text, &members);
		assert_true(r == -ROTA_EPACK || (r >= 0 && (size_t)r <= len));
		assert_int_equal(error.text[0] != '\0', r < 0);
		assert_true(error.text[0] == '\0' || error.offset <= len);
		free(bytes);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values__drawn__are_unpacked_as_they_were_packed),
		cmocka_unit_test(numbers__drawn__fit_exactly_what_has_them),
		cmocka_unit_test(objects__drawn__end_where_another_reader_says),
		cmocka_unit_test(bytes__drawn__do_no_harm),
	};

	return cmocka_run_group_tests_name("pack_random", tests, NULL, NULL);
}
