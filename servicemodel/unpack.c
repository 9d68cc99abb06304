/* SPDX-License-Identifier: MIT */
/*
 * Unpacking: a walk through the pattern beside the bytes, twice: once to look, once to store, so
 * that nothing is stored of what is not as it should be. Before any of it is read, each object is
 * looked through once; from then on no length in it can lead outside.
 *
 * msgpack-c is not used to read. What it unpacks are trees of objects in memory of its own, which
 * it allocates by the counts that the bytes claim, for each message, and by malloc, not by the
 * library's allocator. Here the bytes stay where they are.
 */
#include <rota/pack.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "msgpack_head.h"
#include "pattern.h"
#include "unpack_value.h"

#define LETTERS "styiIuUdbnvam_"
#define ENDS "*!"

/* So much of a peer's key is shown. */
#define KEY_SHOWN 40

struct unpacking {
	const unsigned char *bytes;
	const unsigned char *end;
	struct rota_unpack_error *error;
	va_list arguments;
	bool is_storing;
	unsigned passing; /* above 0: what is not there is only passed over */
	int r;
};

/* What is read, for people: a value, and a member or key in it. */
struct where {
	const struct where *above;
	unsigned number;
	const char *key; /* NULL: it has a number */
	size_t key_len;
};

/* A place in the bytes where something is, or is missing. */
struct spot {
	const unsigned char *at;
	bool is_there;
};

/* What is said of an error */

struct line {
	char *text;
	size_t len;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct line *line, const char *format, ...)
{
	size_t room = ROTA_UNPACK_TEXT - line->len;
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(line->text + line->len, room, format, arguments);
	va_end(arguments);
	if (len > 0)
		line->len += (size_t)len < room ? (size_t)len : room - 1;
}

static void
add_where(struct line *line, const struct where *where)
{
	if (where == NULL)
		return;
	add_where(line, where->above);
	if (where->key == NULL) {
		add(line, where->above == NULL ? "value %u" : ", member %u", where->number);
		return;
	}
	add(line, ", key \"");
	for (size_t i = 0; i < where->key_len && i < KEY_SHOWN; i++)
		add(line, "%c", where->key[i] >= ' ' && where->key[i] <= '~' ? where->key[i] : '?');
	add(line, "%s\"", where->key_len > KEY_SHOWN ? "…" : "");
}

static void tell(struct unpacking *unpacking, const struct where *where, const unsigned char *at,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Ends the unpacking. What is said comes between where it is and the byte. */
static void
tell(struct unpacking *unpacking, const struct where *where, const unsigned char *at,
	const char *format, ...)
{
	struct rota_unpack_error *error = unpacking->error;
	struct line line = { NULL, 0 };
	char said[80];
	va_list arguments;

	unpacking->r = -ROTA_EPACK;
	if (error == NULL)
		return;
	line.text = error->text;
	error->offset = (size_t)(at - unpacking->bytes);
	va_start(arguments, format);
	vsnprintf(said, sizeof said, format, arguments);
	va_end(arguments);
	add_where(&line, where);
	add(&line, ": %s (byte %zu)", said, error->offset);
}

/* For what is the program's fault. */
static void
tell_pattern(struct unpacking *unpacking, size_t offset, const char *text)
{
	struct rota_unpack_error *error = unpacking->error;

	unpacking->r = -EINVAL;
	if (error == NULL)
		return;
	error->offset = offset;
	snprintf(error->text, sizeof error->text, "%s", text);
}

/* Values */

/* Whether it is what the letter or bracket wants; tells if it is not. */
static bool
is_wanted(struct unpacking *unpacking, char letter, struct spot spot, const struct where *where)
{
	const char *want = rota__unpack_want(letter);
	struct msgpack_head head;

	if (!spot.is_there) {
		tell(unpacking, where, spot.at, "want %s, there is none", want);
		return false;
	}
	rota__msgpack_head(spot.at, SIZE_MAX, &head);
	if (!rota__unpack_is_kind(letter, &head)) {
		tell(unpacking, where, spot.at, "want %s, have %s", want, rota__unpack_have(&head));
		return false;
	}
	if (rota__unpack_fits(letter, &head))
		return true;
	if (rota__unpack_is_negative(&head))
		tell(unpacking, where, spot.at, "%" PRId64 " does not fit %s", (int64_t)head.value,
			want);
	else
		tell(unpacking, where, spot.at, "%" PRIu64 " does not fit %s", head.value, want);
	return false;
}

static void
read_letter(struct unpacking *unpacking, char letter, struct spot spot, const struct where *where)
{
	bool has_one = unpacking->passing == 0 && is_wanted(unpacking, letter, spot, where);

	rota__unpack_store(letter, has_one && unpacking->is_storing ? spot.at : NULL,
		&unpacking->arguments);
}

static const char *read_one(struct unpacking *unpacking, const char *place, struct spot spot,
	const struct where *where);

/* place is behind the bracket. */
static void
read_array(struct unpacking *unpacking, const char *place, struct spot spot,
	const struct where *where)
{
	struct where member = { where, 0, NULL, 0 };
	struct spot at = spot;
	struct msgpack_head head = { .members = 0 };
	uint64_t left;

	if (unpacking->passing == 0)
		at.at += rota__msgpack_head(spot.at, SIZE_MAX, &head);
	left = head.members;
	for (place = rota__pattern_next(place); *place != ']' && *place != '*';) {
		at.is_there = left > 0;
		member.number++;
		place = rota__pattern_next(read_one(unpacking, place, at, &member));
		if (unpacking->r < 0)
			return;
		if (at.is_there) {
			at.at = rota__msgpack_skip(at.at);
			left--;
		}
	}
	if (left > 0 && *place != '*')
		tell(unpacking, where, spot.at, "want %u member%s, have %" PRIu64, member.number,
			member.number == 1 ? "" : "s", head.members);
}

/* Maps */

/* A map that is read, and the keys of the pattern that were read of it so far. */
struct map {
	const unsigned char *first; /* pair */
	uint64_t pairs;
	const unsigned char *next; /* pair to be looked at; in most maps it is the one wanted */
	uint64_t passed;           /* pairs before that */
	struct pattern_key wanted[ROTA_PACK_KEYS];
	const unsigned char *found[ROTA_PACK_KEYS]; /* in the bytes; NULL: not there */
	unsigned count;
	unsigned found_count;
};

static bool
is_key(const unsigned char *at, const char *bytes, size_t len)
{
	struct msgpack_head head;

	rota__msgpack_head(at, SIZE_MAX, &head);
	return head.kind == MSGPACK_KIND_TEXT && head.body == len &&
		memcmp(at + head.size, bytes, len) == 0;
}

/* The pair that has the key, looked for from where the last was found on, all around. */
static const unsigned char *
find_pair(struct map *map, const struct pattern_key *key)
{
	for (uint64_t i = 0; i < map->pairs; i++) {
		const unsigned char *pair;

		if (map->passed == map->pairs) {
			map->next = map->first;
			map->passed = 0;
		}
		pair = map->next;
		map->next = rota__msgpack_skip(rota__msgpack_skip(pair));
		map->passed++;
		if (is_key(pair, key->bytes, key->len))
			return pair;
	}
	return NULL;
}

/* Takes a key from the pattern or the arguments. Returns the place of its value. */
static const char *
take_key(struct unpacking *unpacking, struct map *map, const char *place)
{
	struct pattern_key *key = &map->wanted[map->count];

	place = rota__pattern_key(place, key);
	if (key->bytes == NULL) {
		key->bytes = va_arg(unpacking->arguments, const char *);
		key->len = key->bytes != NULL ? strlen(key->bytes) : 0;
	}
	if (key->bytes == NULL)
		tell_pattern(unpacking, 0, "a key that is an argument is NULL");
	for (unsigned i = 0; i < map->count && unpacking->r == 0; i++) {
		if (map->wanted[i].len == key->len &&
			memcmp(map->wanted[i].bytes, key->bytes, key->len) == 0)
			tell_pattern(unpacking, 0, "a key is twice in one map of the pattern");
	}
	return place;
}

/* Whether the pair is one that was found; tells if it is another one with such a key. */
static bool
is_found(struct unpacking *unpacking, const struct map *map, const unsigned char *pair,
	const struct where *where)
{
	for (unsigned i = 0; i < map->count; i++) {
		const struct pattern_key *key = &map->wanted[i];
		struct where twice = { where, 0, key->bytes, key->len };

		if (map->found[i] == pair)
			return true;
		if (map->found[i] == NULL || !is_key(pair, key->bytes, key->len))
			continue;
		tell(unpacking, &twice, pair, "is there twice");
		return true;
	}
	return false;
}

static void
tell_unknown(struct unpacking *unpacking, const unsigned char *pair, const struct where *where)
{
	struct msgpack_head head;
	struct where unknown = { where, 0, NULL, 0 };

	rota__msgpack_head(pair, SIZE_MAX, &head);
	if (head.kind != MSGPACK_KIND_TEXT) {
		tell(unpacking, where, pair, "has a key that is %s", rota__unpack_have(&head));
		return;
	}
	unknown.key = (const char *)pair + head.size;
	unknown.key_len = (size_t)head.body;
	tell(unpacking, &unknown, pair, "is not wanted");
}

/* Those that the pattern did not ask for. Where each pair was found, there are none. */
static void
check_others(struct unpacking *unpacking, const struct map *map, bool is_strict,
	const struct where *where)
{
	const unsigned char *pair = map->first;

	if (map->found_count == map->pairs)
		return;
	for (uint64_t i = 0; i < map->pairs && unpacking->r == 0; i++) {
		if (!is_found(unpacking, map, pair, where) && is_strict)
			tell_unknown(unpacking, pair, where);
		pair = rota__msgpack_skip(rota__msgpack_skip(pair));
	}
}

/* place is behind the bracket. */
static void
read_map(struct unpacking *unpacking, const char *place, struct spot spot,
	const struct where *where)
{
	struct msgpack_head head = { .value = 0 };
	struct map map;

	map.first = spot.at;
	if (unpacking->passing == 0)
		map.first += rota__msgpack_head(spot.at, SIZE_MAX, &head);
	map.next = map.first;
	map.pairs = head.value;
	map.passed = 0;
	map.count = 0;
	map.found_count = 0;
	for (place = rota__pattern_next(place); *place != '}' && *place != '!';) {
		struct where value = { where, 0, NULL, 0 };
		struct spot at = spot;
		const unsigned char *pair;

		place = take_key(unpacking, &map, place);
		if (unpacking->r < 0)
			return;
		pair = find_pair(&map, &map.wanted[map.count]);
		at.is_there = pair != NULL;
		if (pair != NULL) {
			at.at = rota__msgpack_skip(pair);
			map.found_count++;
		}
		value.key = map.wanted[map.count].bytes;
		value.key_len = map.wanted[map.count].len;
		map.found[map.count++] = pair;
		place = rota__pattern_next(read_one(unpacking, place, at, &value));
		if (unpacking->r < 0)
			return;
	}
	if (unpacking->passing == 0 && !unpacking->is_storing)
		check_others(unpacking, &map, *place == '!', where);
}

/* The walk */

static bool
is_left(struct spot spot, bool is_optional)
{
	return is_optional && (!spot.is_there || *spot.at == 0xc0);
}

/* Reads the value at place of the pattern. Returns the place behind it. */
static const char *
read_one(struct unpacking *unpacking, const char *place, struct spot spot,
	const struct where *where)
{
	bool is_bracket = *place == '[' || *place == '{';
	unsigned unused;
	const char *end = is_bracket ? rota__pattern_close(place, &unused) : place + 1;
	bool is_passed = is_left(spot, *end == '?');

	unpacking->passing += is_passed;
	if (!is_bracket)
		read_letter(unpacking, *place, spot, where);
	else if (unpacking->passing > 0 || is_wanted(unpacking, *place, spot, where))
		(*place == '[' ? read_array : read_map)(unpacking, place + 1, spot, where);
	unpacking->passing -= is_passed;
	return end + (*end == '?');
}

/* The end of an object that anybody may have made; tells if it has none. */
static const unsigned char *
find_end(struct unpacking *unpacking, const unsigned char *at, const struct where *where)
{
	struct msgpack_extent extent =
		rota__msgpack_extent(at, (size_t)(unpacking->end - at), ROTA_PACK_DEPTH);

	switch (extent.fault) {
	case MSGPACK_CUT:
		tell(unpacking, where, at + extent.len, "ends too early");
		break;
	case MSGPACK_NO_OBJECT:
		tell(unpacking, where, at + extent.len, "0xc1 begins no value");
		break;
	case MSGPACK_TOO_DEEP:
		tell(unpacking, where, at + extent.len, "is nested more than %d deep",
			ROTA_PACK_DEPTH);
		break;
	case MSGPACK_WHOLE:
		break;
	}
	return at + extent.len;
}

/* The values of the pattern, one behind the other. Returns where they end. */
static const unsigned char *
read_all(struct unpacking *unpacking, const char *pattern, va_list arguments, bool is_storing)
{
	struct where value = { NULL, 0, NULL, 0 };
	struct spot spot = { unpacking->bytes, false };
	const char *place = rota__pattern_next(pattern);

	unpacking->is_storing = is_storing;
	va_copy(unpacking->arguments, arguments);
	while (*place != '\0' && *place != '*' && unpacking->r == 0) {
		const unsigned char *end = spot.at;

		value.number++;
		spot.is_there = spot.at < unpacking->end;
		if (spot.is_there)
			end = is_storing ? rota__msgpack_skip(spot.at)
					 : find_end(unpacking, spot.at, &value);
		if (unpacking->r == 0)
			place = rota__pattern_next(read_one(unpacking, place, spot, &value));
		spot.at = end;
	}
	va_end(unpacking->arguments);
	value.number++;
	if (unpacking->r == 0 && *place != '*' && spot.at < unpacking->end)
		tell(unpacking, &value, spot.at, "is not wanted");
	return spot.at;
}

ssize_t
rota_unpack_va(const void *bytes, size_t len, struct rota_unpack_error *error, const char *pattern,
	va_list arguments)
{
	/* A place that is nowhere has none behind it. */
	struct unpacking unpacking = { .bytes = bytes != NULL ? bytes : (const void *)"",
		.error = error };
	const char *fault = rota__pattern_fault(pattern, LETTERS, ENDS);
	const unsigned char *end;

	unpacking.end = unpacking.bytes + len;
	if (fault != NULL) {
		tell_pattern(&unpacking, (size_t)(fault - pattern), "the pattern is not one");
		return unpacking.r;
	}
	end = read_all(&unpacking, pattern, arguments, false);
	if (unpacking.r == 0)
		read_all(&unpacking, pattern, arguments, true);
	return unpacking.r < 0 ? unpacking.r : end - unpacking.bytes;
}

ssize_t
rota_unpack(const void *bytes, size_t len, struct rota_unpack_error *error, const char *pattern,
	...)
{
	va_list arguments;
	ssize_t r;

	va_start(arguments, pattern);
	r = rota_unpack_va(bytes, len, error, pattern, arguments);
	va_end(arguments);
	return r;
}
