/* SPDX-License-Identifier: MIT */
/*
 * Topics: checked, matched, and found by a hash. Only topics that somebody is registered for are in
 * the table, as many as options allow, so what is requested makes it no larger, and the hash need
 * not be a secret one. Patterns are no part of it: they are in lists.
 */
#include "gather.h"

#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"

#define TABLE_FIRST ((size_t)64)

/* Checking */

struct problem {
	const char *text;
	size_t word; /* from 1; 0: it is about all */
};

static bool
is_wild(const char *byte)
{
	return *byte == '*' || *byte == '>';
}

static bool
is_printable(const char *byte)
{
	return (unsigned char)*byte > ' ' && *byte != 0x7f;
}

static const char *
end_of_word(const char *text)
{
	while (*text != '\0' && *text != '.')
		text++;
	return text;
}

/* What is wrong with a word; NULL: nothing. */
static const char *
check_word(const char *word, const char *end, bool is_pattern)
{
	if (word == end)
		return "is empty";
	for (const char *byte = word; byte < end; byte++) {
		if (!is_printable(byte))
			return "has a space or a control character";
		if (!is_wild(byte))
			continue;
		if (!is_pattern)
			return "has * or >, which are for patterns only";
		if (end - word > 1)
			return "has * or > beside something else";
		if (*byte == '>' && *end != '\0')
			return "is >, and not the last";
	}
	return NULL;
}

static bool
is_sound(const char *text, bool is_pattern, struct problem *problem)
{
	const char *word = text;

	*problem = (struct problem){ "it is too long", 0 };
	if (strnlen(text, ROTA_TOPIC_MOST + 1) > ROTA_TOPIC_MOST)
		return false;
	do {
		const char *end = end_of_word(word);

		problem->word++;
		problem->text = check_word(word, end, is_pattern);
		if (problem->text == NULL && *end == '\0')
			return true;
		word = end + 1;
	} while (problem->text == NULL);
	return false;
}

int
rota_topic_check(const char *text, bool is_pattern, char *why, size_t size)
{
	struct problem problem;

	if (is_sound(text, is_pattern, &problem))
		return 0;
	if (why != NULL && problem.word == 0)
		snprintf(why, size, "%s", problem.text);
	else if (why != NULL)
		snprintf(why, size, "word %zu %s", problem.word, problem.text);
	return -ROTA_ETOPIC;
}

bool
rota__topic_is_pattern(const char *text)
{
	return strpbrk(text, "*>") != NULL;
}

/* Matching */

bool
rota_topic_matches(const char *pattern, const char *topic)
{
	for (;;) {
		if (*pattern == '>')
			return true;
		if (*pattern == '*') {
			pattern++;
			topic = end_of_word(topic);
		}
		while (*pattern == *topic && *pattern != '\0' && *pattern != '.') {
			pattern++;
			topic++;
		}
		if (*pattern != *topic)
			return false;
		if (*pattern == '\0')
			return true;
		pattern++;
		topic++;
	}
}

/* The table */

/* FNV-1a. */
static uint32_t
hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

static struct rota__topic *
find(const struct rota_gather *gather, const char *text, uint32_t hash)
{
	struct rota__topic *topic;

	if (gather->table_count == 0)
		return NULL;
	topic = gather->table[hash & (gather->table_size - 1)];
	while (topic != NULL && (topic->hash != hash || strcmp(topic->text, text) != 0))
		topic = topic->chain;
	return topic;
}

struct rota__topic *
rota__topic_find(const struct rota_gather *gather, const char *text)
{
	return find(gather, text, hash_of(text));
}

static void
put(struct rota_gather *gather, struct rota__topic *topic)
{
	struct rota__topic **place = &gather->table[topic->hash & (gather->table_size - 1)];

	topic->chain = *place;
	*place = topic;
}

/* As many places as topics, if there is memory for them; some at least. */
static bool
grow(struct rota_gather *gather)
{
	struct rota__topic **before = gather->table;
	size_t size_before = gather->table_size;
	size_t size = size_before > 0 ? 2 * size_before : TABLE_FIRST;
	struct rota__topic **table;

	if (gather->table_count < size_before)
		return true;
	table = rota__calloc(size * sizeof(struct rota__topic *));
	if (table == NULL)
		return before != NULL;
	gather->table = table;
	gather->table_size = size;
	for (size_t i = 0; i < size_before; i++) {
		while (before[i] != NULL) {
			struct rota__topic *topic = before[i];

			before[i] = topic->chain;
			put(gather, topic);
		}
	}
	rota__free(before);
	return true;
}

struct rota__topic *
rota__topic_get(struct rota_gather *gather, const char *text)
{
	uint32_t hash = hash_of(text);
	struct rota__topic *topic = find(gather, text, hash);
	size_t size = strlen(text) + 1;

	if (topic != NULL || !grow(gather))
		return topic;
	topic = rota__calloc(sizeof *topic + size);
	if (topic == NULL)
		return NULL;
	rota__list_init(&topic->producers);
	rota__list_init(&topic->listeners);
	topic->hash = hash;
	memcpy(topic->text, text, size);
	put(gather, topic);
	gather->table_count++;
	gather->topics++;
	return topic;
}

void
rota__topic_remove(struct rota_gather *gather, struct rota__topic *topic)
{
	struct rota__topic **place = &gather->table[topic->hash & (gather->table_size - 1)];

	while (*place != topic)
		place = &(*place)->chain;
	*place = topic->chain;
	gather->table_count--;
	gather->topics++;
	rota__free(topic);
}
