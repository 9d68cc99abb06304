/* SPDX-License-Identifier: MIT */
/*
 * The small languages of stats, sort, rename and eval: words, fields and signs, one behind the
 * other, in an argument of the type ROTA_ARGUMENT_EXPRESSION.
 */
#ifndef ROTA_PRIVATE_PIPELINE_CLAUSE_H
#define ROTA_PRIVATE_PIPELINE_CLAUSE_H

#include <rota/command.h>
#include <rota/record.h>

/* Where an argument is read, and the word there. */
struct clause {
	struct rota_stage *stage;
	const char *argument; /* its name */
	const char *text;
	size_t at;        /* behind the word */
	size_t offset;    /* of it */
	const char *word; /* without quotes or braces */
	size_t len;       /* 0: the end */
	char sign;        /* it is this: one of ( ) , = - ; or NUL for a word */
};

/*
 * Begins, and reads the first word. Returns 0 or, as all of these, a negative error that was told.
 */
int rota__clause_begin(struct clause *clause, struct rota_stage *stage, const char *argument);
int rota__clause_next(struct clause *clause);

bool rota__clause_has_ended(const struct clause *clause);

/* Whether the word there is this one, bare. */
bool rota__clause_is(const struct clause *clause, const char *word);

/* Goes on behind a sign if it is there; ret_has may be NULL. */
int rota__clause_skip(struct clause *clause, char sign, bool *ret_has);

/* The field there, and goes on. */
int rota__clause_field(struct clause *clause, rota_name *ret_name);

/* Says what was expected at the word. */
int rota__clause_fail(struct clause *clause, const char *wanted);

#endif
