/* SPDX-License-Identifier: MIT */
/*
 * Exact sums: what is known beforehand, the edges of doubles, and that neither order nor division
 * shows, with numbers of all sizes.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "fixture.h"

struct sum {
	struct exact exact;
	int64_t memory[2][EXACT_DIGITS];
	int in; /* which memory the digits are in */
};

static void
make_room(struct sum *sum, unsigned low, unsigned end)
{
	assert_in_range(end, low + 1, EXACT_DIGITS);
	sum->in = !sum->in;
	rota__exact_move(&sum->exact, sum->memory[sum->in], low, end);
}

static void
add(struct sum *sum, double number)
{
	unsigned low, end;

	if (!rota__exact_has_room(&sum->exact, number, &low, &end))
		make_room(sum, low, end);
	rota__exact_add(&sum->exact, number);
}

/* As between processes: packed, copied and taken again. */
static void
merge(struct sum *sum, struct sum *from)
{
	int64_t digits[EXACT_DIGITS], memory[EXACT_DIGITS];
	struct exact other;
	unsigned low, end;

	rota__exact_pack(&from->exact);
	memcpy(digits, from->memory[from->in], sizeof digits);
	assert_true(rota__exact_unpack(&other, digits, from->exact.count * sizeof(int64_t),
		rota__exact_shape(&from->exact), memory));
	if (!rota__exact_has_room_for(&sum->exact, &other, &low, &end))
		make_room(sum, low, end);
	rota__exact_merge(&sum->exact, &other);
}

static double
sum_of(const double *numbers, size_t count)
{
	struct sum sum = { .in = 0 };

	for (size_t i = 0; i < count; i++)
		add(&sum, numbers[i]);
	return rota__exact_value(&sum.exact, 0);
}

static void
expect(double a, double b, double c, double wanted)
{
	const double orders[6][3] = { { a, b, c }, { a, c, b }, { b, a, c }, { b, c, a },
		{ c, a, b }, { c, b, a } };

	for (int i = 0; i < 6; i++) {
		double have = sum_of(orders[i], 3);

		if (have != wanted && !(isnan(have) && isnan(wanted)))
			fail_msg("%a + %a + %a is %a, not %a", a, b, c, have, wanted);
	}
}

static void
sum__of_three__is_what_it_is(void **state)
{
	(void)state;
	expect(0, 0, 0, 0);
	expect(-0.0, -0.0, -0.0, 0);
	expect(1, 2, 3, 6);
	expect(1e300, 1, -1e300, 1);
	expect(DBL_MAX, DBL_MAX, -DBL_MAX, DBL_MAX);
	expect(DBL_MAX, DBL_MAX, 0, (double)INFINITY);
	expect(-DBL_MAX, -DBL_MAX, 1, -(double)INFINITY);
	expect(DBL_TRUE_MIN, 0, 0, DBL_TRUE_MIN);
	expect(DBL_TRUE_MIN, DBL_MIN, -DBL_MIN, DBL_TRUE_MIN);
	expect(DBL_MIN, -DBL_TRUE_MIN, 0, DBL_MIN - DBL_TRUE_MIN);
	expect(DBL_MAX, DBL_TRUE_MIN, -DBL_MAX, DBL_TRUE_MIN);
	expect(-1.5, 0.25, 0, -1.25);
	expect((double)INFINITY, 1, 2, (double)INFINITY);
	expect(-(double)INFINITY, DBL_MAX, 2, -(double)INFINITY);
	expect(-(double)INFINITY, (double)INFINITY, 2, (double)NAN);
	expect((double)NAN, (double)INFINITY, 2, (double)NAN);
}

/* One is rounded to the even neighbour only if it is just between. */
static void
sum__between_two_doubles__is_rounded_once(void **state)
{
	double ulp = DBL_EPSILON;

	(void)state;
	expect(1, ulp / 2, 0, 1);
	expect(1, ulp / 2, DBL_TRUE_MIN, 1 + ulp);
	expect(1, ulp / 2, -DBL_TRUE_MIN, 1);
	for (int i = 54; i < 1074; i++) {
		expect(1, ulp / 2, ldexp(1, -i), 1 + ulp);
		expect(1, ulp / 2, -ldexp(1, -i), 1);
	}
	expect(1 + ulp, ulp / 2, 0, 1 + 2 * ulp);
	expect(1 + ulp, ulp / 2, -DBL_TRUE_MIN, 1 + ulp);
	expect(-1, -ulp / 2, -DBL_TRUE_MIN, -1 - ulp);
	expect(DBL_MAX, DBL_MAX * DBL_EPSILON / 4, 0, DBL_MAX);
	expect(0x1p970, DBL_MAX, 0, (double)INFINITY);
	expect(0x1p970, DBL_MAX, -DBL_TRUE_MIN, DBL_MAX);
}

static void
sum__with_a_whole_number__is_exact(void **state)
{
	struct sum sum = { .in = 0 };
	wide_int large = (wide_int)1 << 100;

	(void)state;
	assert_true(rota__exact_value(&sum.exact, large) == 0x1p100);
	assert_true(rota__exact_value(&sum.exact, -large - 1) == -0x1p100);
	assert_true(rota__exact_value(&sum.exact, -7) == -7);
	add(&sum, -0x1p100);
	assert_true(rota__exact_value(&sum.exact, large + 3) == 3);
	add(&sum, 0.5);
	assert_true(rota__exact_value(&sum.exact, large - 3) == -2.5);
}

/* Of any exponent, or of few so that much is carried, and of either sign. */
static double
draw(unsigned *seed, int exponents)
{
	uint64_t bits = (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^
		(uint64_t)rand_r(seed);
	uint64_t exponent = exponents == 0 ? (uint64_t)rand_r(seed) % 2047
					   : 1023 + (uint64_t)(rand_r(seed) % exponents);
	double number;

	bits = (bits & 0x800fffffffffffff) | exponent << 52;
	memcpy(&number, &bits, sizeof number);
	return number;
}

static void
sum__in_any_order_and_division__is_the_same(void **state)
{
	enum { COUNT = 999 };
	static double numbers[COUNT];
	unsigned seed = 5;

	(void)state;
	for (int round = 0; round < 60; round++) {
		struct sum parts[7] = { { .in = 0 } }, whole = { .in = 0 };
		double wanted, have;

		for (size_t i = 0; i < COUNT; i++)
			numbers[i] = draw(&seed, round % 3 * 40);
		wanted = sum_of(numbers, COUNT);
		for (size_t i = COUNT; i > 0; i--)
			add(&parts[(size_t)rand_r(&seed) % 7], numbers[i - 1]);
		for (int i = 0; i < 7; i++)
			merge(&whole, &parts[i]);
		have = rota__exact_value(&whole.exact, 0);
		if (have != wanted)
			fail_msg("round %d: %a and %a", round, wanted, have);
		/* What is taken away again leaves nothing. */
		for (size_t i = 0; i < COUNT; i++)
			add(&whole, -numbers[i]);
		assert_true(rota__exact_value(&whole.exact, 0) == 0);
	}
}

/* Whole numbers below 2^53, which doubles add without rounding, too. */
static void
sum__of_whole_numbers__is_theirs(void **state)
{
	struct sum sum = { .in = 0 };
	unsigned seed = 6;
	double wanted = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		double number = rand_r(&seed) % 2000001 - 1000000;

		wanted += number;
		add(&sum, number);
		if (i % 1000 == 0)
			assert_true(rota__exact_value(&sum.exact, 0) == wanted);
	}
	assert_true(rota__exact_value(&sum.exact, 0) == wanted);
}

static void
digits__of_many_adds__are_carried(void **state)
{
	struct sum sum = { .in = 0 };

	(void)state;
	add(&sum, 1 - DBL_EPSILON / 2);
	/* As after so many of them. */
	for (int i = 0; i < 3; i++) {
		sum.exact.adds = (1u << 30) - 1;
		add(&sum, 1 - DBL_EPSILON / 2);
		assert_int_equal(sum.exact.adds, 0);
		for (unsigned k = 0; k + 1 < sum.exact.count; k++)
			assert_in_range(sum.exact.digits[k], 0, 0xffffffff);
	}
	assert_true(rota__exact_value(&sum.exact, 0) == 4 - 2 * DBL_EPSILON);
}

static void
infinities__are_told_between_processes(void **state)
{
	static const double specials[] = { (double)INFINITY, -(double)INFINITY, (double)NAN };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sum part = { .in = 0 }, whole = { .in = 0 };
		double have;

		add(&part, specials[i]);
		add(&whole, -3);
		merge(&whole, &part);
		have = rota__exact_value(&whole.exact, 7);
		assert_true(have == specials[i] || (isnan(have) && isnan(specials[i])));
	}
}

static void
unpack__of_anything_else__is_refused(void **state)
{
	int64_t digits[EXACT_DIGITS + 1] = { 1, 2, 3 }, memory[EXACT_DIGITS];
	struct exact exact;

	(void)state;
	assert_true(rota__exact_unpack(&exact, digits, 24, 5, memory));
	assert_true(rota__exact_unpack(&exact, digits, 0, 0, memory));
	assert_true(rota__exact_unpack(&exact, digits, 24, EXACT_DIGITS - 3, memory));
	assert_false(rota__exact_unpack(&exact, digits, 24, EXACT_DIGITS - 2, memory));
	assert_false(rota__exact_unpack(&exact, digits, sizeof digits, 0, memory));
	assert_false(rota__exact_unpack(&exact, digits, 23, 5, memory));
	assert_false(rota__exact_unpack(&exact, digits, 24, -1, memory));
	assert_false(rota__exact_unpack(&exact, digits, 24, 8 << 8, memory));
	assert_true(rota__exact_unpack(&exact, digits, 24, 7 << 8, memory));
	digits[2] = -((int64_t)1 << 52);
	assert_true(rota__exact_unpack(&exact, digits, 24, 5, memory));
	digits[2]--;
	assert_false(rota__exact_unpack(&exact, digits, 24, 5, memory));
	digits[2] = ((int64_t)1 << 52) + 1;
	assert_false(rota__exact_unpack(&exact, digits, 24, 5, memory));
	digits[2] = 0;
	digits[1] = -1;
	assert_false(rota__exact_unpack(&exact, digits, 24, 5, memory));
	digits[1] = (int64_t)1 << 32;
	assert_false(rota__exact_unpack(&exact, digits, 24, 5, memory));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum__of_three__is_what_it_is),
		cmocka_unit_test(sum__between_two_doubles__is_rounded_once),
		cmocka_unit_test(sum__with_a_whole_number__is_exact),
		cmocka_unit_test(sum__in_any_order_and_division__is_the_same),
		cmocka_unit_test(sum__of_whole_numbers__is_theirs),
		cmocka_unit_test(digits__of_many_adds__are_carried),
		cmocka_unit_test(infinities__are_told_between_processes),
		cmocka_unit_test(unpack__of_anything_else__is_refused),
	};

	return cmocka_run_group_tests_name("exact", tests, NULL, NULL);
}
