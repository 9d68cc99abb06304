/* SPDX-License-Identifier: MIT */
/*
 * Properties of records, drawn from a seed: what is put in a batch is read from it the same, with
 * another table too; batches with a byte changed or cut off do no harm; the order of values is one.
 * What is printed when one fails repeats it, as ROTA_SEED.
 */
#include <rota/record.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "fixture.h"
#include "random.h"

#define DRAWS 400
#define RECORDS 20

static char noise[70000];

static struct rota_value
draw_value(uint64_t *seed)
{
	size_t len = random_below(seed, random_percent(seed, 1) ? sizeof noise : 40);
	const char *text = noise + random_below(seed, sizeof noise - len);
	uint64_t bits = random_next(seed) >> random_below(seed, 64);
	double number;

	memcpy(&number, &bits, sizeof number);
	switch (random_below(seed, 8)) {
	case 0:
		return rota_value_null();
	case 1:
		return rota_value_bool(random_percent(seed, 50));
	case 2:
		return rota_value_int((int64_t)bits);
	case 3:
		return rota_value_int(-(int64_t)(bits >> 1));
	case 4:
		return rota_value_double(number);
	case 5:
		return rota_value_double((double)(int64_t)bits);
	case 6:
		return rota_value_bytes(text, len);
	default:
		return rota_value_text(text, len);
	}
}

static void
draw_record(uint64_t *seed, struct rota_record *record)
{
	size_t count = random_below(seed, 12);

	rota_record_reset(record);
	for (size_t i = 0; i < count; i++) {
		struct rota_value value = draw_value(seed);
		char text[16];
		rota_name name;

		snprintf(text, sizeof text, "field%u", (unsigned)random_below(seed, 200));
		assert_int_equal(rota_names_add(record->names, text, strlen(text), &name), 0);
		assert_int_equal(rota_record_set_copy(record, name, &value), 0);
	}
}

static void
read_all_of(const unsigned char *bytes, size_t len, struct rota_names *names)
{
	struct rota_batch_reader reader;
	struct rota_record record;
	unsigned char *alone = malloc(len + 1);
	int r;

	assert_non_null(alone);
	memcpy(alone, bytes, len);
	rota_record_init(&record, names);
	rota_batch_reader_init(&reader, names);
	rota_batch_reader_begin(&reader, alone, len);
	do
		r = rota_batch_reader_next(&reader, &record);
	while (r > 0);
	assert_true(r == 0 || r == -ROTA_EPACK || r == -ROTA_ELIMIT);
	rota_batch_reader_fini(&reader);
	rota_record_fini(&record);
	free(alone);
}

static void
check_damaged(uint64_t *seed, const struct rota_batch *batch)
{
	unsigned char *bytes = malloc(batch->bytes.len + 1);
	struct rota_names *names;

	assert_non_null(bytes);
	assert_int_equal(rota_names_new(&names), 0);
	memcpy(bytes, batch->bytes.bytes, batch->bytes.len);
	for (int i = 0; i < 5; i++) {
		bytes[random_below(seed, batch->bytes.len)] = (unsigned char)random_next(seed);
		read_all_of(bytes, batch->bytes.len, names);
		read_all_of(bytes, random_below(seed, batch->bytes.len), names);
	}
	rota_names_free(names);
	free(bytes);
}

static void
batches__drawn__are_read_as_they_were_written(void **state)
{
	struct rota_names *names, *others;
	struct rota_record records[RECORDS], back;
	struct rota_batch batch;
	struct rota_batch_reader reader;
	uint64_t seed = make_seed(__func__);

	(void)state;
	assert_int_equal(rota_names_new(&names), 0);
	assert_int_equal(rota_names_new(&others), 0);
	for (int i = 0; i < RECORDS; i++)
		rota_record_init(&records[i], names);
	rota_record_init(&back, others);
	rota_batch_init(&batch, names, 4 << 20);
	rota_batch_reader_init(&reader, others);
	for (int draw = 0; draw < DRAWS; draw++) {
		size_t count = 1 + random_below(&seed, RECORDS);

		rota_batch_reset(&batch);
		for (size_t i = 0; i < count; i++) {
			draw_record(&seed, &records[i]);
			assert_int_equal(rota_batch_add(&batch, &records[i]), 0);
		}
		rota_batch_reader_begin(&reader, batch.bytes.bytes, batch.bytes.len);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(rota_batch_reader_next(&reader, &back), 1);
			assert_true(rota_record_is_equal(&back, &records[i]));
		}
		assert_int_equal(rota_batch_reader_next(&reader, &back), 0);
		check_damaged(&seed, &batch);
	}
	rota_batch_reader_fini(&reader);
	rota_batch_fini(&batch);
	rota_record_fini(&back);
	for (int i = 0; i < RECORDS; i++)
		rota_record_fini(&records[i]);
	rota_names_free(names);
	rota_names_free(others);
}

static int
sign(int r)
{
	return (r > 0) - (r < 0);
}

/* Numbers near each other are the hard ones: an int, and doubles on both sides of it. */
static struct rota_value
draw_near(uint64_t *seed, uint64_t base)
{
	int64_t integer = (int64_t)(base + random_below(seed, 5));

	if (random_percent(seed, 40))
		return rota_value_int(integer);
	if (random_percent(seed, 70))
		return rota_value_double((double)integer + (double)random_below(seed, 3) / 2);
	return draw_value(seed);
}

static void
values__drawn__have_one_order(void **state)
{
	uint64_t seed = make_seed(__func__);

	(void)state;
	for (int draw = 0; draw < 100000; draw++) {
		uint64_t base = random_next(&seed) >> random_below(&seed, 64);
		struct rota_value a = draw_near(&seed, base), b = draw_near(&seed, base),
				  c = draw_near(&seed, base);
		int ab = sign(rota_value_compare(&a, &b)), bc = sign(rota_value_compare(&b, &c));

		assert_int_equal(rota_value_compare(&a, &a), 0);
		assert_int_equal(sign(rota_value_compare(&b, &a)), -ab);
		if (ab == bc || bc == 0)
			assert_int_equal(sign(rota_value_compare(&a, &c)), ab);
		if (ab == 0)
			assert_true(rota_value_hash(&a) == rota_value_hash(&b));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches__drawn__are_read_as_they_were_written),
		cmocka_unit_test(values__drawn__have_one_order),
	};

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * 7919 >> 3);
	faulty_allocator_install();
	return cmocka_run_group_tests_name("record_random", tests, NULL, NULL);
}
