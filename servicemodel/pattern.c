/* SPDX-License-Identifier: MIT */
/*
 * Patterns, checked and walked through.
 */
#include "pattern.h"

#include <string.h>

#include <rota/pack.h>

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_' || c == '-' || c == '.';
}

const char *
rota__pattern_next(const char *place)
{
	return place + strspn(place, " ,");
}

/* Behind the key at place; NULL when there is none. */
static const char *
read_key(const char *place, struct pattern_key *key)
{
	const char *end = place;

	if (*place == '\'') {
		end = strchr(place + 1, '\'');
		if (end == NULL)
			return NULL;
		*key = (struct pattern_key){ place + 1, (size_t)(end - place - 1) };
		return end + 1;
	}
	while (is_word(*end))
		end++;
	if (end == place)
		return NULL;
	*key = (struct pattern_key){ place, (size_t)(end - place) };
	if (key->len == 1 && *place == 's')
		key->bytes = NULL;
	return end;
}

const char *
rota__pattern_key(const char *place, struct pattern_key *ret_key)
{
	const char *colon = rota__pattern_next(read_key(place, ret_key));

	return rota__pattern_next(colon + 1);
}

/* Where a check is. */
struct check {
	const char *place;
	const char *letters;
	const char *ends;
	unsigned depth;
	char open[ROTA_PACK_DEPTH + 1]; /* the brackets around, the first for none */
	unsigned char keys[ROTA_PACK_DEPTH + 1];
};

static bool
is_one_of(char c, const char *some)
{
	return c != '\0' && strchr(some, c) != NULL;
}

/* What closes the bracket that is open; a NUL closes the whole. */
static char
closing(const struct check *check)
{
	char open = check->open[check->depth];

	return (char)(open == '[' ? ']' : open == '{' ? '}' : '\0');
}

static bool
check_end(struct check *check)
{
	if (*check->place == '!' && check->open[check->depth] != '{')
		return false;
	if (*check->place == '*' && check->open[check->depth] == '{')
		return false;
	check->place = rota__pattern_next(check->place + 1);
	return *check->place == closing(check);
}

static bool
check_key(struct check *check)
{
	struct pattern_key unused;
	const char *end = read_key(check->place, &unused);

	if (end == NULL || check->keys[check->depth]++ == ROTA_PACK_KEYS)
		return false;
	check->place = rota__pattern_next(end);
	if (*check->place != ':')
		return false;
	check->place = rota__pattern_next(check->place + 1);
	return true;
}

static void
pass(struct check *check)
{
	check->place++;
	check->place += *check->place == '?';
}

static bool
check_value(struct check *check)
{
	char c = *check->place;

	if (c == '[' || c == '{') {
		if (check->depth == ROTA_PACK_DEPTH)
			return false;
		check->depth++;
		check->open[check->depth] = c;
		check->keys[check->depth] = 0;
		check->place++;
		return true;
	}
	if (!is_one_of(c, check->letters))
		return false;
	pass(check);
	return true;
}

const char *
rota__pattern_fault(const char *pattern, const char *letters, const char *ends)
{
	struct check check = { pattern, letters, ends, 0, { '\0' }, { 0 } };

	for (;;) {
		check.place = rota__pattern_next(check.place);
		if (is_one_of(*check.place, ends) && !check_end(&check))
			return check.place;
		if (*check.place == closing(&check)) {
			if (check.depth == 0)
				return NULL;
			check.depth--;
			pass(&check);
			continue;
		}
		if (check.open[check.depth] == '{' && !check_key(&check))
			return check.place;
		if (!check_value(&check))
			return check.place;
	}
}

const char *
rota__pattern_close(const char *place, unsigned *ret_members)
{
	bool is_map = *place == '{';
	unsigned depth = 1;
	unsigned members = 0;

	while (depth > 0) {
		char c = *++place;

		if (c == '\'')
			place = strchr(place + 1, '\'');
		else if (c == ']' || c == '}')
			depth--;
		else if (depth == 1 && is_map)
			members += c == ':';
		else if (depth == 1)
			members += c == '[' || c == '{' || is_word(c);
		depth += c == '[' || c == '{';
	}
	*ret_members = members;
	return place + 1;
}
