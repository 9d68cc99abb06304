/* SPDX-License-Identifier: MIT */
/*
 * Records and their names: what is set is found in its order and place, limits hold, and what a
 * record allocated serves those after it. Then batches: bytes that are none are refused.
 */
#include <rota/record.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "fixture.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static struct rota_names *names;

static int
begin(void **state)
{
	(void)state;
	faulty_allocator_reset();
	return rota_names_new(&names);
}

static int
end(void **state)
{
	(void)state;
	faulty_allocator_reset();
	rota_names_free(names);
	names = NULL;
	return faulty_allocator_live() == 0 ? 0 : -1;
}

static rota_name
name_of(const char *text)
{
	rota_name name;

	assert_int_equal(rota_names_add(names, text, strlen(text), &name), 0);
	return name;
}

static void
set_int(struct rota_record *record, const char *name, int64_t integer)
{
	struct rota_value value = rota_value_int(integer);

	assert_int_equal(rota_record_set(record, name_of(name), &value), 0);
}

static void
set_text(struct rota_record *record, const char *name, const char *text)
{
	struct rota_value value = rota_value_text(text, strlen(text));

	assert_int_equal(rota_record_set(record, name_of(name), &value), 0);
}

static void
names__many__have_numbers_in_order(void **state)
{
	char text[16];
	rota_name name;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "n%u", i);
		assert_int_equal(name_of(text), i);
	}
	for (unsigned i = 0; i < 5000; i++) {
		struct rota_text back = rota_names_text(names, i);

		snprintf(text, sizeof text, "n%u", i);
		assert_string_equal(back.bytes, text);
		assert_int_equal(back.len, strlen(text));
		assert_int_equal(rota_names_find(names, text, strlen(text), &name), 0);
		assert_int_equal(name, i);
		assert_int_equal(name_of(text), i);
	}
	assert_int_equal(rota_names_count(names), 5000);
	assert_int_equal(rota_names_find(names, "other", 5, &name), -ENOENT);
}

static void
names__beyond_their_limits__are_refused(void **state)
{
	char text[ROTA_NAME_MAX + 1];
	rota_name name = 77;

	(void)state;
	memset(text, 'x', sizeof text);
	assert_int_equal(rota_names_find(names, "a", 1, &name), -ENOENT);
	assert_int_equal(rota_names_add(names, "", 0, &name), -EINVAL);
	assert_int_equal(rota_names_add(names, text, sizeof text, &name), -EINVAL);
	assert_int_equal(name, 77);
	assert_int_equal(rota_names_add(names, text, ROTA_NAME_MAX, &name), 0);
	for (unsigned i = 1; i < ROTA_NAMES_MAX; i++)
		assert_int_equal(rota_names_add(names, (char *)&i, sizeof i, &name), 0);
	name = 77;
	assert_int_equal(rota_names_add(names, "one more", 8, &name), -ROTA_ELIMIT);
	assert_int_equal(name, 77);
	assert_int_equal(rota_names_add(names, text, ROTA_NAME_MAX, &name), 0);
	assert_int_equal(name, 0);
}

static void
record__fields__keep_their_order(void **state)
{
	struct rota_record record;

	(void)state;
	rota_record_init(&record, names);
	set_int(&record, "b", 1);
	set_int(&record, "a", 2);
	set_int(&record, "c", 3);
	set_text(&record, "b", "one");
	assert_int_equal(record.count, 3);
	assert_int_equal(record.fields[0].name, name_of("b"));
	assert_int_equal(record.fields[0].value.type, ROTA_TYPE_TEXT);
	assert_true(rota_record_remove(&record, name_of("a")));
	assert_false(rota_record_remove(&record, name_of("a")));
	assert_int_equal(record.count, 2);
	assert_int_equal(record.fields[1].name, name_of("c"));
	assert_int_equal(rota_record_get(&record, name_of("c"))->is.integer, 3);
	assert_null(rota_record_get(&record, name_of("a")));
	rota_record_reset(&record);
	assert_null(rota_record_get(&record, name_of("c")));
	rota_record_fini(&record);
}

static void
record__more_fields_than_allowed__are_refused(void **state)
{
	struct rota_record record;
	struct rota_value value = rota_value_null();

	(void)state;
	rota_record_init(&record, names);
	for (unsigned i = 0; i < ROTA_RECORD_FIELDS_MAX; i++)
		assert_int_equal(rota_record_set(&record, i, &value), 0);
	assert_int_equal(rota_record_set(&record, ROTA_RECORD_FIELDS_MAX, &value), -ROTA_ELIMIT);
	assert_int_equal(rota_record_set(&record, 3, &value), 0);
	assert_int_equal(record.count, ROTA_RECORD_FIELDS_MAX);
	rota_record_fini(&record);
}

static void
store__beyond_its_limit__is_refused(void **state)
{
	struct rota_record record;
	size_t stored = 0;
	char *bytes;

	(void)state;
	rota_record_init(&record, names);
	while (rota_record_store(&record, 100000, &bytes) == 0) {
		memset(bytes, 1, 100000);
		stored += 100000;
	}
	assert_in_range(stored, ROTA_RECORD_STORE_MAX / 2, ROTA_RECORD_STORE_MAX);
	assert_int_equal(rota_record_store(&record, SIZE_MAX, &bytes), -EMSGSIZE);
	assert_int_equal(rota_record_store(&record, ROTA_RECORD_STORE_MAX, &bytes), -EMSGSIZE);
	rota_record_reset(&record);
	assert_int_equal(rota_record_store(&record, ROTA_RECORD_STORE_MAX + 1, &bytes), -EMSGSIZE);
	assert_int_equal(rota_record_store(&record, ROTA_RECORD_STORE_MAX, &bytes), 0);
	rota_record_fini(&record);
}

static void
record__filled_again__allocates_nothing(void **state)
{
	struct rota_record record, copy;
	struct rota_batch batch;
	struct rota_batch_reader reader;
	uint64_t calls = 0;

	(void)state;
	rota_record_init(&record, names);
	rota_record_init(&copy, names);
	rota_batch_init(&batch, names, 0);
	rota_batch_reader_init(&reader, names);
	for (int round = 0; round < 5; round++) {
		char text[3000];
		struct rota_value value = rota_value_text(text, sizeof text);

		memset(text, 'a' + round, sizeof text);
		if (round == 2)
			calls = faulty_allocator_calls();
		rota_record_reset(&record);
		rota_batch_reset(&batch);
		set_int(&record, "n", round);
		assert_int_equal(rota_record_set_copy(&record, name_of("t"), &value), 0);
		assert_int_equal(rota_record_set_copy(&record, name_of("u"), &value), 0);
		assert_int_equal(rota_record_copy(&copy, &record), 0);
		memset(text, 0, sizeof text);
		assert_true(rota_record_is_equal(&copy, &record));
		assert_int_equal(rota_batch_add(&batch, &copy), 0);
		rota_batch_reader_begin(&reader, batch.bytes.bytes, batch.bytes.len);
		assert_int_equal(rota_batch_reader_next(&reader, &copy), 1);
		assert_true(rota_record_is_equal(&copy, &record));
	}
	assert_int_equal(faulty_allocator_calls(), calls);
	rota_batch_reader_fini(&reader);
	rota_batch_fini(&batch);
	rota_record_fini(&record);
	rota_record_fini(&copy);
}

static void
values__in_order__compare_so(void **state)
{
	const struct rota_value order[] = {
		rota_value_null(),
		rota_value_bool(false),
		rota_value_bool(true),
		rota_value_double(NAN),
		rota_value_double(-INFINITY),
		rota_value_double(-9223372036854777856.0),
		rota_value_int(INT64_MIN),
		rota_value_int(-2),
		rota_value_double(-1.5),
		rota_value_int(-1),
		rota_value_int(0),
		rota_value_double(0.5),
		rota_value_int(1),
		rota_value_double(9007199254740992.0),
		rota_value_int(9007199254740993),
		rota_value_double(9007199254740994.0),
		rota_value_int(INT64_MAX),
		rota_value_double(9223372036854775808.0),
		rota_value_double(INFINITY),
		rota_value_text("", 0),
		rota_value_text("a", 1),
		rota_value_text("a\0", 2),
		rota_value_text("b", 1),
		rota_value_text("\xff", 1),
		rota_value_bytes("", 0),
		rota_value_bytes("a", 1),
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(order); i++)
		for (size_t j = 0; j < LENGTH(order); j++) {
			int r = rota_value_compare(&order[i], &order[j]);

			assert_int_equal((r > 0) - (r < 0), (i > j) - (i < j));
		}
}

static void
values__that_are_equal__have_the_same_hash(void **state)
{
	const struct rota_value same[][2] = {
		{ rota_value_int(0), rota_value_double(-0.0) },
		{ rota_value_int(1), rota_value_double(1) },
		{ rota_value_int(INT64_MIN), rota_value_double(-9223372036854775808.0) },
		{ rota_value_double(NAN), rota_value_double(-NAN) },
		{ rota_value_text("abc", 3), rota_value_text("abc", 3) },
	};
	const struct rota_value text = rota_value_text("", 0), bytes = rota_value_bytes("", 0);

	(void)state;
	for (size_t i = 0; i < LENGTH(same); i++) {
		assert_int_equal(rota_value_compare(&same[i][0], &same[i][1]), 0);
		assert_true(rota_value_hash(&same[i][0]) == rota_value_hash(&same[i][1]));
	}
	assert_true(rota_value_hash(&text) != rota_value_hash(&bytes));
	assert_string_equal(rota_type_name(ROTA_TYPE_BYTES), "bytes");
}

static void
batch__of_many__has_each_name_once(void **state)
{
	static const char wanted[] = "\xa1"
				     "n\xa4text\x82\0\1\1\xa1x\x82\0\2\1\xa1x\xa1o\x81\2\xc0";
	struct rota_record record;
	struct rota_batch batch;
	struct rota_value null = rota_value_null();

	(void)state;
	name_of("not in it");
	rota_record_init(&record, names);
	rota_batch_init(&batch, names, 0);
	set_int(&record, "n", 1);
	set_text(&record, "text", "x");
	for (int round = 0; round < 2; round++) {
		rota_batch_reset(&batch);
		set_int(&record, "n", 1);
		assert_int_equal(rota_batch_add(&batch, &record), 0);
		set_int(&record, "n", 2);
		assert_int_equal(rota_batch_add(&batch, &record), 0);
	}
	rota_record_reset(&record);
	assert_int_equal(rota_record_set(&record, name_of("o"), &null), 0);
	assert_int_equal(rota_batch_add(&batch, &record), 0);
	assert_int_equal(batch.records, 3);
	assert_int_equal(batch.bytes.len, sizeof wanted - 1);
	assert_memory_equal(batch.bytes.bytes, wanted, sizeof wanted - 1);
	rota_batch_fini(&batch);
	rota_record_fini(&record);
}

/* A record that does not fit leaves no trace, and its names come with the next that has them. */
static void
batch__at_its_limit__is_as_it_was(void **state)
{
	struct rota_record record;
	struct rota_batch batch;
	size_t before;

	(void)state;
	rota_record_init(&record, names);
	rota_batch_init(&batch, names, 16);
	set_int(&record, "a", 1);
	assert_int_equal(rota_batch_add(&batch, &record), 0);
	before = batch.bytes.len;
	set_text(&record, "b", "0123456789");
	assert_int_equal(rota_batch_add(&batch, &record), -EMSGSIZE);
	assert_int_equal(batch.bytes.len, before);
	assert_int_equal(batch.records, 1);
	set_text(&record, "b", "x");
	assert_int_equal(rota_batch_add(&batch, &record), 0);
	assert_memory_equal(batch.bytes.bytes + before,
		"\xa1"
		"b\x82\0\1\1\xa1x",
		8);
	rota_batch_fini(&batch);
	rota_record_fini(&record);
}

/* What is no batch. */
static const struct rota_text bad_batches[] = {
	{ "\xa5name", 5 }, /* a name without its end */
	{ "\xa0", 1 },     /* one that is empty */
	{ "\xc0", 1 },     /* neither name nor record */
	{ "\x01", 1 },
	{ "\xc1", 1 },
	{ "\x91\0", 2 },
	{ "\x81\0\1", 3 }, /* a name's number that there is not */
	{ "\xa1"
	  "a\x81\1\1",
		5 },
	{ "\xa1"
	  "a\x81\0",
		4 }, /* no value */
	{ "\xa1"
	  "a\x81\xa1"
	  "a\1",
		6 }, /* a name for a number */
	{ "\xa1"
	  "a\x81\0\x90",
		5 }, /* values that are none here */
	{ "\xa1"
	  "a\x81\0\x80",
		5 },
	{ "\xa1"
	  "a\x81\0\xca\0\0\0\0",
		9 },
	{ "\xa1"
	  "a\x81\0\xd4\1\1",
		7 },
	{ "\xa1"
	  "a\x81\0\xcf\x80\0\0\0\0\0\0\0",
		13 },
	{ "\xa1"
	  "a\x82\0\1\0\2",
		7 }, /* a field twice */
	{ "\xa1"
	  "a\xa1"
	  "a\x82\0\1\1\2",
		9 },
	{ "\xdf\xff\xff\xff\xff", 5 }, /* fields beyond the limit */
	{ "\xa1"
	  "a\x81\0\xdb\xff\xff\xff\xff"
	  "abc",
		12 },
};

static void
batch__that_is_none__is_refused(void **state)
{
	struct rota_record record;
	struct rota_batch_reader reader;

	(void)state;
	rota_record_init(&record, names);
	rota_batch_reader_init(&reader, names);
	for (size_t i = 0; i < LENGTH(bad_batches); i++) {
		char *alone = malloc(bad_batches[i].len);

		assert_non_null(alone);
		memcpy(alone, bad_batches[i].bytes, bad_batches[i].len);
		rota_batch_reader_begin(&reader, alone, bad_batches[i].len);
		assert_int_equal(rota_batch_reader_next(&reader, &record), -ROTA_EPACK);
		assert_int_equal(record.count, 0);
		assert_int_equal(rota_batch_reader_next(&reader, &record), 0);
		free(alone);
	}
	rota_batch_reader_fini(&reader);
	rota_record_fini(&record);
}

static void
use_all(const struct rota_record *record)
{
	struct rota_batch batch;
	struct rota_batch_reader reader;
	struct rota_record back;
	struct rota_names *others = NULL;

	rota_batch_init(&batch, names, 0);
	if (rota_names_new(&others) == 0) {
		rota_record_init(&back, others);
		rota_batch_reader_init(&reader, others);
		if (rota_batch_add(&batch, record) == 0) {
			rota_batch_reader_begin(&reader, batch.bytes.bytes, batch.bytes.len);
			if (rota_batch_reader_next(&reader, &back) == 1)
				assert_true(rota_record_is_equal(record, &back));
			else
				assert_int_equal(back.count, 0);
		} else {
			assert_int_equal(batch.bytes.len, 0);
		}
		rota_batch_reader_fini(&reader);
		rota_record_fini(&back);
	}
	rota_names_free(others);
	rota_batch_fini(&batch);
}

static void
allocation__each_fails__nothing_is_lost_or_left(void **state)
{
	struct rota_record record;

	(void)state;
	rota_record_init(&record, names);
	set_text(&record, "a", "text");
	for (int i = 0; i < 40; i++) {
		char text[16];

		snprintf(text, sizeof text, "f%d", i);
		set_int(&record, text, i);
	}
	for (uint64_t at = 1;; at++) {
		faulty_allocator_reset();
		faulty_allocator_fail(at, false);
		use_all(&record);
		if (faulty_allocator_failed() == 0)
			break;
		assert_in_range(at, 1, 200);
	}
	rota_record_fini(&record);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(names__many__have_numbers_in_order),
		test(names__beyond_their_limits__are_refused),
		test(record__fields__keep_their_order),
		test(record__more_fields_than_allowed__are_refused),
		test(store__beyond_its_limit__is_refused),
		test(record__filled_again__allocates_nothing),
		test(values__in_order__compare_so),
		test(values__that_are_equal__have_the_same_hash),
		test(batch__of_many__has_each_name_once),
		test(batch__at_its_limit__is_as_it_was),
		test(batch__that_is_none__is_refused),
		test(allocation__each_fails__nothing_is_lost_or_left),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
