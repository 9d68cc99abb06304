/* SPDX-License-Identifier: MIT */
/*
 * The table of stats: groups in an array, found by a hash table with open addressing; keys, texts
 * and figures in blocks of memory that go all at once.
 */
#include "stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "hash.h"

#define BLOCK ((size_t)64 << 10)
#define SLOTS_FIRST ((size_t)256)

struct block {
	struct block *older;
	size_t size;
	size_t used;
	_Alignas(16) char bytes[];
};

struct figures {
	size_t keys;
	size_t figures;
	size_t limit;
	size_t bytes; /* of all blocks and arrays */
	struct block *newest;
	struct group **groups;
	uint32_t *slots; /* an index + 1, or 0 */
	size_t count;
	size_t size; /* of slots; groups has room for half of them */
};

int
rota__figures_new(size_t keys, size_t figures, size_t limit, struct figures **ret_figures)
{
	struct figures *made = rota__calloc(sizeof(*made));

	if (made == NULL)
		return -ENOMEM;
	made->keys = keys;
	made->figures = figures;
	made->limit = limit;
	*ret_figures = made;
	return 0;
}

void
rota__figures_clear(struct figures *figures)
{
	while (figures->newest != NULL) {
		struct block *block = figures->newest;

		figures->newest = block->older;
		rota__free(block);
	}
	rota__free(figures->groups);
	rota__free(figures->slots);
	figures->groups = NULL;
	figures->slots = NULL;
	figures->count = 0;
	figures->size = 0;
	figures->bytes = 0;
}

void
rota__figures_free(struct figures *figures)
{
	if (figures == NULL)
		return;
	rota__figures_clear(figures);
	rota__free(figures);
}

size_t
rota__figures_count(const struct figures *figures)
{
	return figures->count;
}

size_t
rota__figures_bytes(const struct figures *figures)
{
	return figures->bytes;
}

struct group *
rota__figures_at(const struct figures *figures, size_t index)
{
	return figures->groups[index];
}

/* Memory of the table's, all zero. */
static int
allocate(struct figures *figures, size_t len, void **ret_memory)
{
	struct block *block = figures->newest;
	size_t rounded = (len + 15) & ~(size_t)15;

	if (block == NULL || rounded > block->size - block->used) {
		size_t size = rounded > BLOCK ? rounded : BLOCK;

		if (figures->bytes + size > figures->limit)
			return -EMSGSIZE;
		block = rota__calloc(sizeof(*block) + size);
		if (block == NULL)
			return -ENOMEM;
		block->size = size;
		block->older = figures->newest;
		figures->newest = block;
		figures->bytes += sizeof(*block) + size;
	}
	*ret_memory = block->bytes + block->used;
	block->used += rounded;
	return 0;
}

static void
put_slot(struct figures *figures, uint64_t hash, size_t index)
{
	size_t slot = hash & (figures->size - 1);

	while (figures->slots[slot] != 0)
		slot = (slot + 1) & (figures->size - 1);
	figures->slots[slot] = (uint32_t)index + 1;
}

static int
grow(struct figures *figures)
{
	size_t size = figures->size == 0 ? SLOTS_FIRST : 2 * figures->size;
	size_t more = size / 2 * sizeof(struct group *) + size * sizeof(*figures->slots);
	uint32_t *slots;
	struct group **groups;

	if (figures->bytes + more > figures->limit)
		return -EMSGSIZE;
	slots = rota__calloc(size * sizeof(*slots));
	groups = slots == NULL ? NULL
			       : rota__realloc(figures->groups, size / 2 * sizeof(struct group *));
	if (groups == NULL) {
		rota__free(slots);
		return -ENOMEM;
	}
	rota__free(figures->slots);
	figures->bytes += more - more / 2 * (figures->size != 0);
	figures->slots = slots;
	figures->groups = groups;
	figures->size = size;
	for (size_t i = 0; i < figures->count; i++)
		put_slot(figures, groups[i]->hash, i);
	return 0;
}

static uint64_t
hash_keys(const struct rota_value *keys, size_t count)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < count; i++)
		hash = rota__hash_number(hash + i, rota_value_hash(&keys[i]));
	return hash;
}

/* Also of those that are worth the same: the int before the double, -0.0 before 0.0. */
static int
compare_exactly(const struct rota_value *a, const struct rota_value *b)
{
	int order = rota_value_compare(a, b);

	if (order == 0)
		order = (int)a->type - (int)b->type;
	if (order == 0 && a->type == ROTA_TYPE_DOUBLE)
		order = !signbit(a->is.number) - !signbit(b->is.number);
	return order;
}

/* The same, and of the same types: 1 and 1.0 are two groups. */
static bool
has_keys(const struct group *group, const struct rota_value *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (group->keys[i].type != keys[i].type ||
			rota_value_compare(&group->keys[i], &keys[i]) != 0)
			return false;
	return true;
}

static bool
is_string(const struct rota_value *value)
{
	return value->type == ROTA_TYPE_TEXT || value->type == ROTA_TYPE_BYTES;
}

static int
add_group(struct figures *figures, const struct rota_value *keys, uint64_t hash,
	struct group **ret_group)
{
	size_t key_bytes = figures->keys * sizeof(*keys);
	size_t head = (sizeof(struct group) + key_bytes + 15) & ~(size_t)15;
	size_t len = head + figures->figures * sizeof(struct figure);
	struct group *group;
	char *text;
	void *memory;
	int r;

	for (size_t i = 0; i < figures->keys; i++)
		len += is_string(&keys[i]) ? keys[i].len : 0;
	r = allocate(figures, len, &memory);
	if (r < 0)
		return r;
	group = memory;
	group->hash = hash;
	group->keys = (struct rota_value *)(void *)(group + 1);
	group->figures = (struct figure *)(void *)((char *)memory + head);
	text = (char *)(group->figures + figures->figures);
	for (size_t i = 0; i < figures->keys; i++) {
		group->keys[i] = keys[i];
		/* The group of -0.0, too, which may have come first. */
		if (keys[i].type == ROTA_TYPE_DOUBLE && keys[i].is.number == 0)
			group->keys[i].is.number = 0;
		if (!is_string(&keys[i]) || keys[i].len == 0)
			continue;
		memcpy(text, keys[i].is.bytes, keys[i].len);
		group->keys[i].is.bytes = text;
		text += keys[i].len;
	}
	*ret_group = group;
	return 0;
}

int
rota__figures_find(struct figures *figures, const struct rota_value *keys, struct group **ret_group)
{
	uint64_t hash = hash_keys(keys, figures->keys);
	size_t slot;
	int r;

	for (slot = hash & (figures->size - 1); figures->size > 0;
		slot = (slot + 1) & (figures->size - 1)) {
		struct group *group;

		if (figures->slots[slot] == 0)
			break;
		group = figures->groups[figures->slots[slot] - 1];
		if (group->hash == hash && has_keys(group, keys, figures->keys)) {
			*ret_group = group;
			return 0;
		}
	}
	if (figures->count == figures->size / 2) {
		r = grow(figures);
		if (r < 0)
			return r;
	}
	r = add_group(figures, keys, hash, &figures->groups[figures->count]);
	if (r < 0)
		return r;
	*ret_group = figures->groups[figures->count];
	put_slot(figures, hash, figures->count);
	figures->count++;
	return 0;
}

static int
compare_groups(const void *a_, const void *b_, void *figures_)
{
	const struct figures *figures = figures_;
	const struct group *const *a = a_, *const *b = b_;

	for (size_t i = 0; i < figures->keys; i++) {
		int order = compare_exactly(&(*a)->keys[i], &(*b)->keys[i]);

		if (order != 0)
			return order;
	}
	return 0;
}

/* The slots say nothing any more. */
void
rota__figures_sort(struct figures *figures)
{
	if (figures->count > 1)
		qsort_r(figures->groups, figures->count, sizeof(struct group *), compare_groups,
			figures);
}

/* Figures */

static int
make_room(struct figures *figures, struct exact *exact, unsigned low, unsigned end)
{
	void *memory;
	int r = allocate(figures, (end - low) * sizeof(int64_t), &memory);

	if (r == 0)
		rota__exact_move(exact, memory, low, end);
	return r;
}

static int
add_double(struct figures *figures, struct figure *figure, double number)
{
	unsigned low, end;
	int r = 0;

	if (!rota__exact_has_room(&figure->exact, number, &low, &end))
		r = make_room(figures, &figure->exact, low, end);
	if (r < 0)
		return r;
	rota__exact_add(&figure->exact, number);
	figure->has_doubles = true;
	return 0;
}

static int
merge_doubles(struct figures *figures, struct figure *figure, const struct rota_value *digits,
	const struct rota_value *shape)
{
	int64_t memory[EXACT_DIGITS];
	struct exact other;
	unsigned low, end;
	int r = 0;

	if (digits->type == ROTA_TYPE_NULL)
		return 0;
	if (digits->type != ROTA_TYPE_BYTES || shape->type != ROTA_TYPE_INT ||
		!rota__exact_unpack(&other, digits->is.bytes, digits->len, shape->is.integer,
			memory))
		return -EINVAL;
	if (!rota__exact_has_room_for(&figure->exact, &other, &low, &end))
		r = make_room(figures, &figure->exact, low, end);
	if (r < 0)
		return r;
	rota__exact_merge(&figure->exact, &other);
	figure->has_doubles = true;
	return 0;
}

/* Keeps a value, with room for texts of growing length. */
static int
keep_best(struct figures *figures, struct figure *figure, const struct rota_value *value)
{
	void *memory;
	char *bytes;
	int r;

	if (!is_string(value)) {
		figure->best = *value;
		figure->room = 0;
		return 0;
	}
	if (figure->room == 0 || value->len > figure->room) {
		uint32_t room = value->len < 16 ? 16 : value->len;

		r = allocate(figures, room, &memory);
		if (r < 0)
			return r;
		bytes = memory;
		figure->room = room;
	} else {
		bytes = (char *)(uintptr_t)figure->best.is.bytes;
	}
	if (value->len > 0)
		memcpy(bytes, value->is.bytes, value->len);
	figure->best = *value;
	figure->best.is.bytes = bytes;
	return 0;
}

int
rota__figure_add(struct figures *figures, struct figure *figure, enum figure_kind kind,
	const struct rota_value *value)
{
	int order, r = 0;

	if (value->type == ROTA_TYPE_NULL)
		return 0;
	switch (kind) {
	case FIGURE_COUNT:
		figure->count++;
		return 0;
	case FIGURE_SUM:
	case FIGURE_AVG:
		if (value->type == ROTA_TYPE_INT)
			figure->whole += value->is.integer;
		else if (value->type == ROTA_TYPE_DOUBLE)
			r = add_double(figures, figure, value->is.number);
		else
			return 0;
		figure->count += r == 0;
		return r;
	default:
		order = figure->count == 0 ? 0 : compare_exactly(value, &figure->best);
		if (figure->count++ == 0 || (kind == FIGURE_MIN ? order < 0 : order > 0))
			return keep_best(figures, figure, value);
		return 0;
	}
}

static struct rota_value
sum_of(const struct figure *figure)
{
	if (!figure->has_doubles && figure->whole >= INT64_MIN && figure->whole <= INT64_MAX)
		return rota_value_int((int64_t)figure->whole);
	return rota_value_double(rota__exact_value(&figure->exact, figure->whole));
}

struct rota_value
rota__figure_value(const struct figure *figure, enum figure_kind kind)
{
	struct rota_value sum;

	switch (kind) {
	case FIGURE_COUNT:
		return rota_value_int(figure->count);
	case FIGURE_SUM:
		return sum_of(figure);
	case FIGURE_AVG:
		if (figure->count == 0)
			return rota_value_null();
		sum = sum_of(figure);
		return rota_value_double((sum.type == ROTA_TYPE_INT ? (double)sum.is.integer
								    : sum.is.number) /
			(double)figure->count);
	default:
		return figure->count == 0 ? rota_value_null() : figure->best;
	}
}

void
rota__figure_split(struct figure *figure, struct rota_value parts[FIGURE_PARTS])
{
	const struct exact *exact = &figure->exact;

	rota__exact_pack(&figure->exact);
	parts[0] = rota_value_int(figure->count);
	parts[1] = rota_value_int((int64_t)(figure->whole >> 64));
	parts[2] = rota_value_int((int64_t)(uint64_t)figure->whole);
	parts[3] = figure->has_doubles
		? rota_value_bytes(exact->digits, exact->count * sizeof(*exact->digits))
		: rota_value_null();
	parts[4] = rota_value_int(rota__exact_shape(exact));
	parts[5] = figure->best;
}

int
rota__figure_merge(struct figures *figures, struct figure *figure, enum figure_kind kind,
	const struct rota_value parts[FIGURE_PARTS])
{
	int64_t count = figure->count;
	int r;

	for (int i = 0; i < 3; i++)
		if (parts[i].type != ROTA_TYPE_INT)
			return -EINVAL;
	figure->whole += (wide_int)((unsigned __int128)(uint64_t)parts[1].is.integer << 64 |
		(uint64_t)parts[2].is.integer);
	r = merge_doubles(figures, figure, &parts[3], &parts[4]);
	if (r == 0 && (kind == FIGURE_MIN || kind == FIGURE_MAX))
		r = rota__figure_add(figures, figure, kind, &parts[5]);
	figure->count = count + parts[0].is.integer;
	return r;
}
