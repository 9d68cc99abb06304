/* SPDX-License-Identifier: MIT */
/*
 * Words of small languages: see clause.h.
 */
#include "clause.h"

#include <errno.h>
#include <string.h>

#define SIGNS "(),=-"

int
rota__clause_fail(struct clause *clause, const char *wanted)
{
	if (rota__clause_has_ended(clause))
		return rota_stage_fail_at(clause->stage, clause->argument, clause->offset, -EINVAL,
			"want %s, have the end", wanted);
	return rota_stage_fail_at(clause->stage, clause->argument, clause->offset, -EINVAL,
		"want %s, have %.*s", wanted, (int)(clause->len < 40 ? clause->len : 40),
		clause->word);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* And comments, which stand behind a blank. */
static void
skip_spaces(struct clause *clause)
{
	const char *text = clause->text;

	for (;;) {
		if (is_space(text[clause->at]))
			clause->at++;
		else if (text[clause->at] == '#' && clause->at > 0 &&
			is_space(text[clause->at - 1]))
			clause->at += strcspn(text + clause->at, "\n");
		else
			return;
	}
}

/* What is in braces or quotes is a word whatever it contains. */
static int
read_closed(struct clause *clause, char closing)
{
	const char *begin = clause->text + clause->at + 1;
	const char *end = strchr(begin, closing);

	if (end == NULL || end == begin)
		return rota_stage_fail_at(clause->stage, clause->argument, clause->offset, -EINVAL,
			end == NULL ? "want the closing %c" : "want a name before %c", closing);
	clause->word = begin;
	clause->len = (size_t)(end - begin);
	clause->at += clause->len + 2;
	return 0;
}

int
rota__clause_next(struct clause *clause)
{
	const char *text = clause->text;
	char c;

	skip_spaces(clause);
	clause->offset = clause->at;
	clause->word = text + clause->at;
	clause->len = 0;
	clause->sign = '\0';
	c = text[clause->at];
	if (c == '\0')
		return 0;
	if (c == '{')
		return read_closed(clause, '}');
	if (c == '"' || c == '\'')
		return read_closed(clause, c);
	if (strchr(SIGNS, c) != NULL) {
		clause->sign = c;
		clause->len = 1;
		clause->at++;
		return 0;
	}
	clause->len = strcspn(clause->word, " \t\r\n{\"'(),=");
	clause->at += clause->len;
	return 0;
}

int
rota__clause_begin(struct clause *clause, struct rota_stage *stage, const char *argument)
{
	*clause = (struct clause){
		.stage = stage, .argument = argument, .text = rota_stage_text(stage, argument)
	};
	return rota__clause_next(clause);
}

bool
rota__clause_has_ended(const struct clause *clause)
{
	return clause->len == 0;
}

bool
rota__clause_is(const struct clause *clause, const char *word)
{
	return clause->sign == '\0' && clause->word == clause->text + clause->offset &&
		clause->len == strlen(word) && memcmp(clause->word, word, clause->len) == 0;
}

int
rota__clause_skip(struct clause *clause, char sign, bool *ret_has)
{
	bool has = clause->sign == sign;

	if (ret_has != NULL)
		*ret_has = has;
	return has ? rota__clause_next(clause) : 0;
}

int
rota__clause_field(struct clause *clause, rota_name *ret_name)
{
	int r;

	if (rota__clause_has_ended(clause) || clause->sign != '\0')
		return rota__clause_fail(clause, "a field");
	r = rota_names_add(rota_stage_names(clause->stage), clause->word, clause->len, ret_name);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return rota__clause_fail(clause, "a field's name");
	return rota__clause_next(clause);
}
