/* SPDX-License-Identifier: MIT */
/*
 * The functions of expressions:
 *
 *     lower(text)  upper(text)      the letters A to Z; others stay
 *     len(text)                     characters of UTF-8; of bytes: bytes
 *     trim(text)                    without white space around
 *     substr(text, start[, len])    characters, the first is 1; start below 0 counts from the end
 *     contains(text, part)  starts(text, part)  ends(text, part)
 *     match(text, /pattern/i[, group])   PCRE2; what gives up, too costly, is null
 *     int(x)  float(x)  str(x)      int cuts a double, and reads text; str writes numbers and bools
 *     abs(n)  floor(n)  ceil(n)  round(n)   the last three give ints, where one is large enough
 *     min(a, …)  max(a, …)          of numbers; nulls are left out
 *     if(condition, a[, b])         b, or null, also when the condition is null
 *     coalesce(a, …)                the first that is not null
 *     type(x)                       "null", "bool", "int", "double", "text", "bytes"
 */
#include "expression_node.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "number.h"

#define INT_LIMIT 9223372036854775808.0

/* What a function of one text is given; false when it is none. */
static bool
take_text(const struct node *node, struct evaluation *evaluation, struct rota_value *value)
{
	*value = evaluate(node, evaluation);
	return value->type == ROTA_TYPE_TEXT;
}

static struct rota_value
change_case(const struct node *node, struct evaluation *evaluation, char first, int by)
{
	struct rota_value text;
	char *bytes;

	if (!take_text(node->first, evaluation, &text))
		return rota_value_null();
	bytes = rota__evaluation_text(evaluation, text.len);
	if (bytes == NULL)
		return rota_value_null();
	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.is.bytes[i];

		bytes[i] = (char)(c >= first && c < first + 26 ? c + by : c);
	}
	return rota_value_text(bytes, text.len);
}

static struct rota_value
lower(const struct node *node, struct evaluation *evaluation)
{
	return change_case(node, evaluation, 'A', 'a' - 'A');
}

static struct rota_value
upper(const struct node *node, struct evaluation *evaluation)
{
	return change_case(node, evaluation, 'a', 'A' - 'a');
}

/* Whether a byte begins a character. */
static bool
is_first(char c)
{
	return ((unsigned char)c & 0xc0) != 0x80;
}

static int64_t
count_characters(const struct rota_value *text)
{
	int64_t count = 0;

	for (uint32_t i = 0; i < text->len; i++)
		count += is_first(text->is.bytes[i]);
	return count;
}

static struct rota_value
length(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node->first, evaluation);

	if (value.type == ROTA_TYPE_BYTES)
		return rota_value_int(value.len);
	return value.type == ROTA_TYPE_TEXT ? rota_value_int(count_characters(&value))
					    : rota_value_null();
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct rota_value
trim(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text;

	if (!take_text(node->first, evaluation, &text))
		return rota_value_null();
	while (text.len > 0 && is_space(text.is.bytes[text.len - 1]))
		text.len--;
	while (text.len > 0 && is_space(*text.is.bytes)) {
		text.is.bytes++;
		text.len--;
	}
	return text;
}

/* Where so many characters are over. */
static uint32_t
skip_characters(const struct rota_value *text, int64_t count)
{
	uint32_t at = 0;

	for (; at < text->len; at++)
		if (is_first(text->is.bytes[at]) && count-- == 0)
			break;
	return at;
}

static struct rota_value
substr(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text, start = evaluate(node->first->next, evaluation);
	struct rota_value count = rota_value_int(INT64_MAX);
	int64_t before;
	uint32_t skipped;

	if (node->first->next->next != NULL)
		count = evaluate(node->first->next->next, evaluation);
	if (!take_text(node->first, evaluation, &text) || start.type != ROTA_TYPE_INT ||
		count.type != ROTA_TYPE_INT)
		return rota_value_null();
	before = start.is.integer - (start.is.integer > 0);
	if (before < 0) {
		before += count_characters(&text);
		before = before < 0 ? 0 : before;
	}
	skipped = skip_characters(&text, before);
	text.is.bytes += skipped;
	text.len -= skipped;
	if (count.is.integer <= 0)
		text.len = 0;
	else
		text.len = skip_characters(&text, count.is.integer);
	return text;
}

/* The two texts of a function that looks for one in the other. */
static bool
take_texts(const struct node *node, struct evaluation *evaluation, struct rota_value *text,
	struct rota_value *part)
{
	bool is_text = take_text(node->first, evaluation, text);

	return take_text(node->first->next, evaluation, part) && is_text;
}

static struct rota_value
contains(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text, part;

	if (!take_texts(node, evaluation, &text, &part))
		return rota_value_null();
	return rota_value_bool(part.len == 0 ||
		(text.len > 0 && memmem(text.is.bytes, text.len, part.is.bytes, part.len) != NULL));
}

static bool
is_part(const struct rota_value *text, const struct rota_value *part, bool at_end)
{
	const char *from = text->is.bytes;

	if (part->len == 0 || part->len > text->len)
		return part->len == 0;
	if (at_end)
		from += text->len - part->len;
	return memcmp(from, part->is.bytes, part->len) == 0;
}

static struct rota_value
starts(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text, part;

	if (!take_texts(node, evaluation, &text, &part))
		return rota_value_null();
	return rota_value_bool(is_part(&text, &part, false));
}

static struct rota_value
ends(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text, part;

	if (!take_texts(node, evaluation, &text, &part))
		return rota_value_null();
	return rota_value_bool(is_part(&text, &part, true));
}

struct rota_value
rota__evaluate_match(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value text = evaluate(node->first, evaluation);
	const PCRE2_SIZE *place = pcre2_get_ovector_pointer(node->matched);
	int r;

	if (text.type != ROTA_TYPE_TEXT && text.type != ROTA_TYPE_BYTES)
		return rota_value_null();
	r = rota__regexp_match(node->pattern, text.is.bytes, text.len, node->matched, node->limits);
	if (r == PCRE2_ERROR_NOMEMORY && evaluation->error == 0)
		evaluation->error = -ENOMEM;
	if (r < 0 && r != PCRE2_ERROR_NOMATCH)
		return rota_value_null();
	if (node->detail < 0)
		return rota_value_bool(r > 0);
	place += 2 * (size_t)node->detail;
	if (r <= node->detail || place[0] == PCRE2_UNSET || place[0] > place[1])
		return rota_value_null();
	if (text.len == 0)
		return rota_value_text("", 0);
	return rota_value_text(text.is.bytes + place[0], place[1] - place[0]);
}

/* Numbers */

/* An int, if one is that large. */
static struct rota_value
whole(double number)
{
	if (number >= -INT_LIMIT && number < INT_LIMIT)
		return rota_value_int((int64_t)number);
	return rota_value_double(number);
}

static struct rota_value
to_number(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node->first, evaluation);
	struct rota_value number;

	switch (value.type) {
	case ROTA_TYPE_BOOL:
		return rota_value_int(value.is.boolean);
	case ROTA_TYPE_INT:
	case ROTA_TYPE_DOUBLE:
		return value;
	case ROTA_TYPE_TEXT:
		if (rota__number_parse(value.is.bytes, value.len, &number))
			return number;
		return rota_value_null();
	default:
		return rota_value_null();
	}
}

static struct rota_value
to_int(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = to_number(node, evaluation);

	if (value.type == ROTA_TYPE_DOUBLE)
		value = whole(trunc(value.is.number));
	return value.type == ROTA_TYPE_INT ? value : rota_value_null();
}

static struct rota_value
to_float(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = to_number(node, evaluation);

	return value.type == ROTA_TYPE_INT ? rota_value_double((double)value.is.integer) : value;
}

static struct rota_value
to_text(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node->first, evaluation);
	char text[NUMBER_TEXT];
	size_t len;
	char *bytes;

	switch (value.type) {
	case ROTA_TYPE_BOOL:
		return value.is.boolean ? rota_value_text("true", 4) : rota_value_text("false", 5);
	case ROTA_TYPE_INT:
	case ROTA_TYPE_DOUBLE:
		len = rota__number_format(&value, text);
		bytes = rota__evaluation_text(evaluation, len);
		if (bytes == NULL)
			return rota_value_null();
		memcpy(bytes, text, len);
		return rota_value_text(bytes, len);
	case ROTA_TYPE_BYTES:
		value.type = ROTA_TYPE_TEXT;
		return value;
	default:
		return value;
	}
}

static struct rota_value
absolute(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = evaluate(node->first, evaluation);

	if (value.type == ROTA_TYPE_DOUBLE)
		return rota_value_double(fabs(value.is.number));
	if (value.type != ROTA_TYPE_INT)
		return rota_value_null();
	if (value.is.integer == INT64_MIN)
		return rota_value_double(INT_LIMIT);
	return rota_value_int(value.is.integer < 0 ? -value.is.integer : value.is.integer);
}

static struct rota_value
make_whole(const struct node *node, struct evaluation *evaluation, double (*how)(double))
{
	struct rota_value value = evaluate(node->first, evaluation);

	if (value.type == ROTA_TYPE_DOUBLE)
		return whole(how(value.is.number));
	return value.type == ROTA_TYPE_INT ? value : rota_value_null();
}

static struct rota_value
floor_of(const struct node *node, struct evaluation *evaluation)
{
	return make_whole(node, evaluation, floor);
}

static struct rota_value
ceil_of(const struct node *node, struct evaluation *evaluation)
{
	return make_whole(node, evaluation, ceil);
}

static struct rota_value
round_of(const struct node *node, struct evaluation *evaluation)
{
	return make_whole(node, evaluation, round);
}

/* The least if sign is 1, the largest if it is -1. */
static struct rota_value
extreme(const struct node *node, struct evaluation *evaluation, int sign)
{
	struct rota_value best = rota_value_null();

	for (const struct node *operand = node->first; operand != NULL; operand = operand->next) {
		struct rota_value value = evaluate(operand, evaluation);

		if (value.type != ROTA_TYPE_INT && value.type != ROTA_TYPE_DOUBLE)
			continue;
		if (best.type == ROTA_TYPE_NULL || sign * rota_value_compare(&value, &best) < 0)
			best = value;
	}
	return best;
}

static struct rota_value
least_of(const struct node *node, struct evaluation *evaluation)
{
	return extreme(node, evaluation, 1);
}

static struct rota_value
most_of(const struct node *node, struct evaluation *evaluation)
{
	return extreme(node, evaluation, -1);
}

/* Choices */

static struct rota_value
if_then(const struct node *node, struct evaluation *evaluation)
{
	const struct node *then = node->first->next;
	struct rota_value condition = evaluate(node->first, evaluation);

	if (condition.type == ROTA_TYPE_BOOL && condition.is.boolean)
		return evaluate(then, evaluation);
	return then->next != NULL ? evaluate(then->next, evaluation) : rota_value_null();
}

static struct rota_value
coalesce(const struct node *node, struct evaluation *evaluation)
{
	struct rota_value value = rota_value_null();

	for (const struct node *operand = node->first;
		operand != NULL && value.type == ROTA_TYPE_NULL; operand = operand->next)
		value = evaluate(operand, evaluation);
	return value;
}

static struct rota_value
type_of(const struct node *node, struct evaluation *evaluation)
{
	const char *name = rota_type_name(evaluate(node->first, evaluation).type);

	return rota_value_text(name, strlen(name));
}

/* clang-format off */
#define WRITTEN (OF_BOOL | OF_NUMBER | OF_TEXT | OF_BYTES)
#define READ (OF_BOOL | OF_NUMBER | OF_TEXT)
#define STRING (OF_TEXT | OF_BYTES)

static const struct function functions[] = {
	{ "abs", absolute, 1, 1, { OF_NUMBER, 0, 0 }, OF_NUMBER, 0 },
	{ "ceil", ceil_of, 1, 1, { OF_NUMBER, 0, 0 }, OF_NUMBER, 0 },
	{ "coalesce", coalesce, 1, 16, { OF_ANY, OF_ANY, OF_ANY }, 0, 0 },
	{ "contains", contains, 2, 2, { OF_TEXT, OF_TEXT, 0 }, OF_BOOL, 0 },
	{ "ends", ends, 2, 2, { OF_TEXT, OF_TEXT, 0 }, OF_BOOL, 0 },
	{ "float", to_float, 1, 1, { READ, 0, 0 }, OF_DOUBLE, 0 },
	{ "floor", floor_of, 1, 1, { OF_NUMBER, 0, 0 }, OF_NUMBER, 0 },
	{ "if", if_then, 2, 3, { OF_BOOL, OF_ANY, OF_ANY }, 0, 1 },
	{ "int", to_int, 1, 1, { READ, 0, 0 }, OF_INT, 0 },
	{ "len", length, 1, 1, { STRING, 0, 0 }, OF_INT, 0 },
	{ "lower", lower, 1, 1, { OF_TEXT, 0, 0 }, OF_TEXT, 0 },
	{ "max", most_of, 1, 16, { OF_NUMBER, OF_NUMBER, OF_NUMBER }, OF_NUMBER, 0 },
	{ "min", least_of, 1, 16, { OF_NUMBER, OF_NUMBER, OF_NUMBER }, OF_NUMBER, 0 },
	{ "round", round_of, 1, 1, { OF_NUMBER, 0, 0 }, OF_NUMBER, 0 },
	{ "starts", starts, 2, 2, { OF_TEXT, OF_TEXT, 0 }, OF_BOOL, 0 },
	{ "str", to_text, 1, 1, { WRITTEN, 0, 0 }, OF_TEXT, 0 },
	{ "substr", substr, 2, 3, { OF_TEXT, OF_INT, OF_INT }, OF_TEXT, 0 },
	{ "trim", trim, 1, 1, { OF_TEXT, 0, 0 }, OF_TEXT, 0 },
	{ "type", type_of, 1, 1, { OF_ANY, 0, 0 }, OF_TEXT, 0 },
	{ "upper", upper, 1, 1, { OF_TEXT, 0, 0 }, OF_TEXT, 0 },
};
/* clang-format on */

const struct function *
rota__function_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
			return &functions[i];
	return NULL;
}
