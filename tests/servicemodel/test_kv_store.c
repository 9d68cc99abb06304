/* SPDX-License-Identifier: MIT */
/*
 * rota-kv's keys and values, without a server: what is found, what is refused for want of memory,
 * what expires and when, and what is left of what was flushed. On the simulated clock.
 */
#include "../../examples/kv_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "sim_context.h"

#define LIMIT ((size_t)4 << 20)
/* Keys of the model, and what is done with them. */
#define MODEL_KEYS 500
#define MODEL_STEPS 60000

struct scene {
	struct fixture fixture;
	struct kv_store store;
	size_t empty; /* bytes that are used without keys */
};

static int
setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	if (!scene)
		return -1;
	fixture_open(&scene->fixture, FIXTURE_SIMULATED);
	if (kv_store_init(&scene->store, scene->fixture.ctx, LIMIT) < 0)
		return -1;
	scene->empty = scene->store.used;
	*state = scene;
	return 0;
}

/* Whatever a test leaves in the store, its memory and timers go with it. */
static int
teardown(void **state)
{
	struct scene *scene = *state;
	size_t used;
	int r;

	kv_store_free(&scene->store);
	used = scene->store.used;
	r = fixture_close(&scene->fixture);
	free(scene);
	return r < 0 || used != 0 ? -1 : 0;
}

static struct kv_text
text_of(const char *text)
{
	return (struct kv_text){ text, strlen(text) };
}

static int
put(struct kv_store *store, const char *key, const char *value)
{
	struct kv_text name = text_of(key);
	struct kv_text what = text_of(value);
	struct kv_entry *entry = NULL;
	int r = kv_store_put(store, &name, &what, &entry);

	if (r == 0) {
		assert_int_equal(entry->len, what.len);
		assert_memory_equal(entry->value, value, what.len);
	}
	return r;
}

static struct kv_entry *
find(struct kv_store *store, const char *key)
{
	struct kv_text name = text_of(key);

	return kv_store_find(store, &name);
}

/* NULL: it is not there. */
static void
expect(struct kv_store *store, const char *key, const char *value)
{
	struct kv_entry *entry = find(store, key);

	if (!value) {
		assert_null(entry);
		return;
	}
	assert_non_null(entry);
	assert_int_equal(entry->len, strlen(value));
	assert_memory_equal(entry->value, value, entry->len);
}

static void
put_many(struct kv_store *store, size_t count, const char *value)
{
	char key[32];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "key %zu", i);
		assert_int_equal(put(store, key, value), 0);
	}
}

/* A turn at an instant that does not wait. */
static void
turn_at(struct scene *scene, rota_time now)
{
	sim_of(scene->fixture.ctx)->now = now;
	assert_true(rota_dispatch_once(scene->fixture.ctx, 0, NULL) >= 0);
}

static void
turns(struct scene *scene, int count)
{
	while (count-- > 0)
		turn_at(scene, sim_of(scene->fixture.ctx)->now);
}

static void
put__keys_and_values__are_found(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;

	expect(store, "a", NULL);
	assert_int_equal(put(store, "a", "1"), 0);
	assert_int_equal(put(store, "", "of no name"), 0);
	assert_int_equal(put(store, "b", ""), 0);
	assert_int_equal(put(store, "a", "another"), 0);
	expect(store, "a", "another");
	expect(store, "", "of no name");
	expect(store, "b", "");
	assert_int_equal(store->table->keys, 3);
	kv_store_remove(find(store, "a"));
	expect(store, "a", NULL);
	assert_int_equal(store->table->keys, 2);
}

static void
find__keys_that_differ_anywhere__are_others(void **state)
{
	struct scene *scene = *state;
	char key[41];
	char other[41];
	size_t len;
	size_t i;

	memset(key, 'x', sizeof(key));
	for (len = 1; len < sizeof(key); len++) {
		key[len] = '\0';
		assert_int_equal(put(&scene->store, key, "1"), 0);
		key[len] = 'x';
	}
	key[40] = '\0';
	for (i = 0; i < 40; i++) {
		memcpy(other, key, sizeof(key));
		other[i] = 'y';
		expect(&scene->store, other, NULL);
	}
	assert_int_equal(scene->store.table->keys, 40);
}

static void
put__values_of_all_sizes__are_counted_exactly(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	char *value = malloc(5001);
	size_t once;
	size_t i;

	assert_non_null(value);
	memset(value, 'v', 5000);
	value[5000] = '\0';
	assert_int_equal(put(store, "a", ""), 0);
	once = store->used;
	for (i = 0; i < 5000; i += 7)
		assert_int_equal(put(store, "a", value + i), 0);
	/* A small value's room may stay. */
	assert_true(store->used <= once + 128);
	assert_int_equal(put(store, "a", value), 0);
	assert_int_equal(store->used, once + 5000);
	kv_store_remove(find(store, "a"));
	assert_int_equal(store->used, scene->empty);
	free(value);
}

static void
put__what_does_not_fit__changes_nothing(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	char *large = calloc(1, LIMIT);
	const struct kv_text pairs[] = { text_of("x"), { large, LIMIT - 8192 }, text_of("y"),
		text_of("1") };
	struct kv_text value = { large, LIMIT };
	struct kv_text key = text_of("kept");
	struct kv_entry *entry = NULL;
	size_t used;

	assert_non_null(large);
	assert_int_equal(put(store, "kept", "1"), 0);
	used = store->used;
	assert_int_equal(kv_store_put(store, &key, &value, &entry), -ENOMEM);
	assert_int_equal(kv_store_set(find(store, "kept"), &value), -ENOMEM);
	key = text_of("new");
	assert_int_equal(kv_store_put(store, &key, &value, &entry), -ENOMEM);
	assert_null(entry);
	expect(store, "new", NULL);
	expect(store, "kept", "1");
	assert_null(kv_store_malloc(store, LIMIT));
	assert_int_equal(store->used, used);
	assert_int_equal(kv_store_reserve(store, pairs, 2), -ENOMEM);
	assert_int_equal(kv_store_reserve(store, &pairs[2], 1), 0);
	assert_int_equal(store->used, used);
	free(large);
}

static void
put__until_it_is_full__stays_within_the_limit(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	char key[32];
	size_t count = 0;

	for (;; count++) {
		snprintf(key, sizeof(key), "%zu", count);
		if (put(store, key, "value") < 0)
			break;
	}
	assert_true(store->used <= LIMIT && store->used > LIMIT - 300);
	assert_true(count > 20000 && count == store->table->keys);
	expect(store, key, NULL);
	expect(store, "0", "value");
	kv_store_remove(find(store, "0"));
	assert_int_equal(put(store, "0", "value"), 0);
}

static void
expire__at_its_time__and_not_before(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	rota_time begin = rota_context_now(scene->fixture.ctx);

	put_many(store, 3, "1");
	assert_int_equal(kv_store_expire(find(store, "key 0"), 2 * ROTA_SECOND), 0);
	assert_int_equal(kv_store_expire(find(store, "key 1"), ROTA_SECOND), 0);
	assert_int_equal(kv_store_expire(find(store, "key 1"), 3 * ROTA_SECOND), 0);
	assert_int_equal(store->table->expiring, 2);
	assert_int_equal(kv_store_left(find(store, "key 0")), 2 * ROTA_SECOND);
	assert_int_equal(kv_store_left(find(store, "key 2")), -1);
	turn_at(scene, begin + 2 * ROTA_SECOND - 1);
	assert_int_equal(store->table->keys, 3);
	turn_at(scene, begin + 2 * ROTA_SECOND);
	assert_int_equal(store->table->keys, 2);
	expect(store, "key 0", NULL);
	turn_at(scene, begin + 3 * ROTA_SECOND);
	assert_int_equal(store->table->keys, 1);
	assert_int_equal(store->expired, 2);
	assert_int_equal(store->table->expiring, 0);
}

/* As in a turn in which a command comes before the timers. */
static void
expire__before_the_timer_was_called__it_is_gone(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;

	put_many(store, 2, "1");
	assert_int_equal(kv_store_expire(find(store, "key 0"), ROTA_SECOND), 0);
	assert_int_equal(kv_store_expire(find(store, "key 1"), ROTA_SECOND), 0);
	sim_advance(scene->fixture.ctx, ROTA_SECOND);
	expect(store, "key 0", NULL);
	assert_int_equal(store->expired, 1);
	assert_int_equal(put(store, "key 1", "2"), 0);
	turn_at(scene, sim_of(scene->fixture.ctx)->now + ROTA_MINUTE);
	expect(store, "key 1", "2");
	assert_int_equal(store->expired, 1);
}

static void
expire__what_is_put_or_kept__stays(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	struct kv_text value = text_of("2");
	size_t i;

	put_many(store, 3, "1");
	for (i = 0; i < 3; i++) {
		char key[] = "key ?";

		key[4] = (char)('0' + i);
		assert_int_equal(kv_store_expire(find(store, key), ROTA_SECOND), 0);
	}
	assert_int_equal(put(store, "key 0", "2"), 0);
	kv_store_persist(find(store, "key 1"));
	kv_store_persist(find(store, "key 1"));
	assert_int_equal(kv_store_set(find(store, "key 2"), &value), 0);
	assert_int_equal(store->table->expiring, 1);
	turn_at(scene, sim_of(scene->fixture.ctx)->now + ROTA_MINUTE);
	expect(store, "key 0", "2");
	expect(store, "key 1", "1");
	expect(store, "key 2", NULL);
}

static void
flush__of_many__is_over_at_once_and_freed_in_parts(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	size_t full;

	put_many(store, 5000, "1");
	full = store->used;
	kv_store_flush(store);
	assert_int_equal(store->table->keys, 0);
	expect(store, "key 7", NULL);
	assert_true(store->used >= full);
	assert_int_equal(put(store, "key 7", "2"), 0);
	turns(scene, 1);
	assert_true(store->used < full && store->used > scene->empty + full / 2);
	turns(scene, 5);
	expect(store, "key 7", "2");
	kv_store_remove(find(store, "key 7"));
	assert_int_equal(store->used, scene->empty);
	assert_null(store->discarded);
}

static void
flush__of_few__is_done_at_once(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	int i;

	for (i = 0; i < 3; i++) {
		put_many(store, 100, "1");
		kv_store_flush(store);
		assert_int_equal(store->used, scene->empty);
		assert_int_equal(store->table->keys, 0);
		expect(store, "key 7", NULL);
	}
}

/*
 * A key that was flushed, but has not been freed, is due: another of its name is there meanwhile.
 */
static void
flush__keys_that_expire_meanwhile__are_nobody_elses(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	char key[32];
	int i;

	put_many(store, 3000, "1");
	for (i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		assert_int_equal(kv_store_expire(find(store, key), ROTA_SECOND), 0);
	}
	kv_store_flush(store);
	put_many(store, 3000, "2");
	turn_at(scene, sim_of(scene->fixture.ctx)->now + ROTA_SECOND);
	assert_int_equal(store->table->keys, 3000);
	assert_int_equal(store->expired, 0);
	assert_int_equal(store->table->expiring, 0);
	expect(store, "key 7", "2");
	kv_store_flush(store);
	turns(scene, 4);
	assert_int_equal(store->used, scene->empty);
}

static void
flush__when_memory_is_wanted__gives_it_at_once(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	size_t i;

	for (i = 0; i < 5; i++) {
		put_many(store, 15000, "1");
		kv_store_flush(store);
	}
	assert_true(store->used <= LIMIT);
	/* The task that frees the rest may be left over, or not. */
	turns(scene, 40);
	assert_int_equal(store->used, scene->empty);
	put_many(store, 2000, "1");
	kv_store_flush(store);
	turns(scene, 3);
	assert_int_equal(store->used, scene->empty);
}

/* The same done to an array as to the store. */
static void
store__whatever_is_done__is_as_a_table_would_be(void **state)
{
	struct scene *scene = *state;
	struct kv_store *store = &scene->store;
	int model[MODEL_KEYS];
	unsigned seed = 7;
	char value[32];
	char key[32];
	int step;
	int i;

	memset(model, -1, sizeof(model));
	for (step = 0; step < MODEL_STEPS; step++) {
		int which = rand_r(&seed) % MODEL_KEYS;
		struct kv_entry *entry;

		snprintf(key, sizeof(key), "%d", which);
		snprintf(value, sizeof(value), "%d", model[which]);
		expect(store, key, model[which] < 0 ? NULL : value);
		entry = find(store, key);
		if (entry && rand_r(&seed) % 3 == 0) {
			kv_store_remove(entry);
			model[which] = -1;
		} else {
			snprintf(value, sizeof(value), "%d", step);
			assert_int_equal(put(store, key, value), 0);
			model[which] = step;
		}
	}
	for (i = 0; i < MODEL_KEYS; i++) {
		snprintf(key, sizeof(key), "%d", i);
		if (model[i] >= 0)
			kv_store_remove(find(store, key));
	}
	assert_int_equal(store->table->keys, 0);
	assert_int_equal(store->used, scene->empty);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(put__keys_and_values__are_found),
		TEST(find__keys_that_differ_anywhere__are_others),
		TEST(put__values_of_all_sizes__are_counted_exactly),
		TEST(put__what_does_not_fit__changes_nothing),
		TEST(put__until_it_is_full__stays_within_the_limit),
		TEST(expire__at_its_time__and_not_before),
		TEST(expire__before_the_timer_was_called__it_is_gone),
		TEST(expire__what_is_put_or_kept__stays),
		TEST(flush__of_many__is_over_at_once_and_freed_in_parts),
		TEST(flush__of_few__is_done_at_once),
		TEST(flush__keys_that_expire_meanwhile__are_nobody_elses),
		TEST(flush__when_memory_is_wanted__gives_it_at_once),
		TEST(store__whatever_is_done__is_as_a_table_would_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
