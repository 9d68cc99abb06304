/* SPDX-License-Identifier: MIT */
/*
 * Expressions over a record's fields, for where and eval: compiled once, evaluated for each record.
 *
 *     status >= 500 and match(path, /^\/api\//) or lower(host) .. ":" .. str(port) == {the peer}
 *
 *     or  and  not                       of bools
 *     == (or =)  !=  <  <=  >  >=        of two numbers, texts, bytes or bools
 *     in (1, 2, 3)   is null   is not null
 *     ..                                 joins texts
 *     +  -  *  /  %  and - before one    of numbers
 *     f(x, …)   (x)   12  1.5  "text"  'text'  true  false  null  field  {any field}
 *
 * each line binding more closely than those above; not, and what compares, stand as Python has
 * them. A field is a word of letters, digits, '_' and '.' inside; others stand in braces. In text,
 * \n, \t, \r, \0, \xHH and a backslash before anything else stand for themselves as in C.
 *
 * What is null, or not of a type that an operation takes, makes its result null, so that a line
 * that is not like the others ends nothing: this holds for arithmetic, comparison (also of
 * different kinds, as a number with a text), joining and functions. 'and' and 'or' are
 * three-valued: false and null is false, true or null is true. Ints that overflow become doubles;
 * / gives a double; / and % by 0 give null. What cannot be right for any record is an error when
 * it is compiled.
 */
#ifndef ROTA_PRIVATE_PIPELINE_EXPRESSION_H
#define ROTA_PRIVATE_PIPELINE_EXPRESSION_H

#include <rota/record.h>

/* How deep it may be nested, and how many operations and operands it may have. */
#define EXPRESSION_DEPTH 64
#define EXPRESSION_NODES 2000
#define EXPRESSION_TEXT 200

struct expression;

struct expression_error {
	size_t offset; /* the byte of the text where it shows */
	char text[EXPRESSION_TEXT];
};

/*
 * Compiles len bytes of text. Fields' names go into the table, which must live as long as the
 * expression; the text need not. Returns 0; -EINVAL, with ret_error set; -ENOMEM; what
 * rota_names_add returns.
 */
int rota__expression_compile(const char *text, size_t len, struct rota_names *names,
	struct expression_error *ret_error, struct expression **ret_expression);

/*
 * The same, of an expression that something else follows: ret_end is where that begins, a comma or
 * the end of the text.
 */
int rota__expression_compile_first(const char *text, size_t len, struct rota_names *names,
	struct expression_error *ret_error, struct expression **ret_expression, size_t *ret_end);
void rota__expression_free(struct expression *expression);

/* Whether it can be of one of these types at all: bits, 1 << ROTA_TYPE_…. */
unsigned rota__expression_types(const struct expression *expression);

/* Calls back with each field that it reads, some more than once. */
typedef void expression_field_fn(rota_name name, void *userdata);
void rota__expression_fields(const struct expression *expression, expression_field_fn *fn,
	void *userdata);

/*
 * The expression's value for a record. New text is stored by the record, until its reset; other
 * text is that of a field, or lives as long as the expression. Returns 0, or what
 * rota_record_store returns.
 */
int rota__expression_evaluate(struct expression *expression, struct rota_record *record,
	struct rota_value *ret_value);

#endif
