/* SPDX-License-Identifier: MIT */
/*
 * What operators of expressions do. Each takes what its operands are as it finds them: what it
 * cannot take makes its result null.
 */
#include "expression_node.h"

#include <math.h>
#include <string.h>

struct rota_value
rota__evaluate_constant(const struct node *node, struct evaluation *evaluation)
{
	(void)evaluation;
	return node->constant;
}

struct rota_value
rota__evaluate_field(const struct node *node, struct evaluation *evaluation)
{
	const struct rota_value *value = rota_record_get(evaluation->record, node->name);

	return value != NULL ? *value : rota_value_null();
}

/* Three values: what is no bool is as unknown as null. */
enum truth { IS_FALSE, IS_TRUE, IS_UNKNOWN };

static enum truth
truth_of(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node, evaluation);

	if (value.type != ROTA_TYPE_BOOL)
		return IS_UNKNOWN;
	return value.is.boolean ? IS_TRUE : IS_FALSE;
}

static struct rota_value
value_of(enum truth truth)
{
	return truth == IS_UNKNOWN ? rota_value_null() : rota_value_bool(truth == IS_TRUE);
}

struct rota_value
rota__evaluate_and(const struct node *node, struct evaluation *evaluation)
{
	enum truth left = truth_of(node->first, evaluation);
	enum truth right;

	if (left == IS_FALSE)
		return value_of(IS_FALSE);
	right = truth_of(node->first->next, evaluation);
	return value_of(right == IS_FALSE || left == IS_TRUE ? right : left);
}

struct rota_value
rota__evaluate_or(const struct node *node, struct evaluation *evaluation)
{
	enum truth left = truth_of(node->first, evaluation);
	enum truth right;

	if (left == IS_TRUE)
		return value_of(IS_TRUE);
	right = truth_of(node->first->next, evaluation);
	return value_of(right == IS_TRUE || left == IS_FALSE ? right : left);
}

struct rota_value
rota__evaluate_not(const struct node *node, struct evaluation *evaluation)
{
	enum truth truth = truth_of(node->first, evaluation);

	return value_of(truth == IS_UNKNOWN ? truth : truth == IS_TRUE ? IS_FALSE : IS_TRUE);
}

struct rota_value
rota__evaluate_is_null(const struct node *node, struct evaluation *evaluation)
{
	return rota_value_bool(evaluate(node->first, evaluation).type == ROTA_TYPE_NULL);
}

struct rota_value
rota__evaluate_is_not_null(const struct node *node, struct evaluation *evaluation)
{
	return rota_value_bool(evaluate(node->first, evaluation).type != ROTA_TYPE_NULL);
}

static bool
is_number(const struct rota_value *value)
{
	return value->type == ROTA_TYPE_INT || value->type == ROTA_TYPE_DOUBLE;
}

static bool
is_nan(const struct rota_value *value)
{
	return value->type == ROTA_TYPE_DOUBLE && isnan(value->is.number);
}

/* Null is compared with nothing, nor is what is of different kinds, nor is what is no number. */
static bool
can_compare(const struct rota_value *a, const struct rota_value *b)
{
	if (is_number(a) && is_number(b))
		return !is_nan(a) && !is_nan(b);
	return a->type == b->type && a->type != ROTA_TYPE_NULL;
}

struct rota_value
rota__evaluate_comparison(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value left = evaluate(node->first, evaluation);
	struct rota_value right = evaluate(node->first->next, evaluation);
	int order;

	if (!can_compare(&left, &right))
		return rota_value_null();
	order = rota_value_compare(&left, &right);
	switch (node->detail) {
	case OPERATOR_EQUAL:
		return rota_value_bool(order == 0);
	case OPERATOR_DIFFERENT:
		return rota_value_bool(order != 0);
	case OPERATOR_LESS:
		return rota_value_bool(order < 0);
	case OPERATOR_AT_MOST:
		return rota_value_bool(order <= 0);
	case OPERATOR_MORE:
		return rota_value_bool(order > 0);
	default:
		return rota_value_bool(order >= 0);
	}
}

/* As == with one after the other, joined by or. */
struct rota_value
rota__evaluate_in(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value left = evaluate(node->first, evaluation);
	enum truth truth = IS_FALSE;

	for (const struct node *member = node->first->next; member != NULL; member = member->next) {
		struct rota_value right = evaluate(member, evaluation);

		if (!can_compare(&left, &right))
			truth = IS_UNKNOWN;
		else if (rota_value_compare(&left, &right) == 0)
			return value_of(IS_TRUE);
	}
	return value_of(truth);
}

struct rota_value
rota__evaluate_join(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value left = evaluate(node->first, evaluation);
	struct rota_value right = evaluate(node->first->next, evaluation);
	char *bytes;

	if (left.type != ROTA_TYPE_TEXT || right.type != ROTA_TYPE_TEXT)
		return rota_value_null();
	if (left.len == 0 || right.len == 0)
		return right.len == 0 ? left : right;
	bytes = rota__evaluation_text(evaluation, (size_t)left.len + right.len);
	if (bytes == NULL)
		return rota_value_null();
	memcpy(bytes, left.is.bytes, left.len);
	memcpy(bytes + left.len, right.is.bytes, right.len);
	return rota_value_text(bytes, (size_t)left.len + right.len);
}

char *
rota__evaluation_text(struct evaluation *evaluation, size_t len)
{
	char *bytes;
	int r = evaluation->error;

	if (r == 0)
		r = rota_record_store(evaluation->record, len, &bytes);
	if (r == 0)
		return bytes;
	evaluation->error = r;
	return NULL;
}

/* Arithmetic */

static double
double_of(const struct rota_value *value)
{
	return value->type == ROTA_TYPE_INT ? (double)value->is.integer : value->is.number;
}

static struct rota_value
calculate_ints(int operator_, int64_t a, int64_t b)
{
	int64_t result = 0;
	bool is_over;

	switch (operator_) {
	case OPERATOR_ADD:
		is_over = __builtin_add_overflow(a, b, &result);
		return is_over ? rota_value_double((double)a + (double)b) : rota_value_int(result);
	case OPERATOR_SUBTRACT:
		is_over = __builtin_sub_overflow(a, b, &result);
		return is_over ? rota_value_double((double)a - (double)b) : rota_value_int(result);
	case OPERATOR_MULTIPLY:
		is_over = __builtin_mul_overflow(a, b, &result);
		return is_over ? rota_value_double((double)a * (double)b) : rota_value_int(result);
	case OPERATOR_DIVIDE:
		return b == 0 ? rota_value_null() : rota_value_double((double)a / (double)b);
	default:
		if (b == 0)
			return rota_value_null();
		return rota_value_int(b == -1 ? 0 : a % b);
	}
}

static struct rota_value
calculate_doubles(int operator_, double a, double b)
{
	switch (operator_) {
	case OPERATOR_ADD:
		return rota_value_double(a + b);
	case OPERATOR_SUBTRACT:
		return rota_value_double(a - b);
	case OPERATOR_MULTIPLY:
		return rota_value_double(a * b);
	case OPERATOR_DIVIDE:
		return b == 0 ? rota_value_null() : rota_value_double(a / b);
	default:
		return b == 0 ? rota_value_null() : rota_value_double(fmod(a, b));
	}
}

struct rota_value
rota__evaluate_arithmetic(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value left = evaluate(node->first, evaluation);
	struct rota_value right = evaluate(node->first->next, evaluation);

	if (!is_number(&left) || !is_number(&right))
		return rota_value_null();
	if (left.type == ROTA_TYPE_INT && right.type == ROTA_TYPE_INT)
		return calculate_ints(node->detail, left.is.integer, right.is.integer);
	return calculate_doubles(node->detail, double_of(&left), double_of(&right));
}

struct rota_value
rota__evaluate_minus(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node->first, evaluation);

	if (!is_number(&value))
		return rota_value_null();
	if (value.type == ROTA_TYPE_INT)
		return calculate_ints(OPERATOR_SUBTRACT, 0, value.is.integer);
	return rota_value_double(-value.is.number);
}
