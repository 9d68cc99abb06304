/* SPDX-License-Identifier: MIT */
/*
 * The words of expressions, one after the other.
 */
#include "expression_lexer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "number.h"

int
rota__expression_fail(struct expression_error *error, size_t offset, const char *format, ...)
{
	va_list arguments;

	error->offset = offset;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

bool
rota__expression_is(const struct token *token, const char *sign_or_word)
{
	return (token->kind == TOKEN_SIGN || token->kind == TOKEN_NAME) &&
		token->len == strlen(sign_or_word) &&
		memcmp(token->bytes, sign_or_word, token->len) == 0;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		(unsigned char)c >= 0x80;
}

/* 0 behind the end. */
static char
look(const struct lexer *lexer, size_t ahead)
{
	return (char)(ahead < lexer->len - lexer->at ? lexer->text[lexer->at + ahead] : '\0');
}

/* And comments, which stand behind a blank. */
static void
skip_spaces(struct lexer *lexer)
{
	while (lexer->at < lexer->len) {
		if (is_space(look(lexer, 0)))
			lexer->at++;
		else if (look(lexer, 0) == '#' && lexer->at > 0 &&
			is_space(lexer->text[lexer->at - 1]))
			while (lexer->at < lexer->len && look(lexer, 0) != '\n')
				lexer->at++;
		else
			return;
	}
}

/* A point is part of it between two digits, a sign only behind e. */
static int
read_number(struct lexer *lexer)
{
	size_t begin = lexer->at;
	struct token *token = &lexer->token;

	while (is_digit(look(lexer, 0)))
		lexer->at++;
	if (look(lexer, 0) == '.' && is_digit(look(lexer, 1)))
		for (lexer->at++; is_digit(look(lexer, 0));)
			lexer->at++;
	if (look(lexer, 0) == 'e' || look(lexer, 0) == 'E') {
		size_t sign = look(lexer, 1) == '-' || look(lexer, 1) == '+';

		if (is_digit(look(lexer, 1 + sign)))
			for (lexer->at += 1 + sign; is_digit(look(lexer, 0));)
				lexer->at++;
	}
	if (is_letter(look(lexer, 0)))
		return rota__expression_fail(lexer->error, lexer->at,
			"want an operator behind the number");
	token->kind = TOKEN_NUMBER;
	if (!rota__number_parse(lexer->text + begin, lexer->at - begin, &token->value))
		return rota__expression_fail(lexer->error, begin, "the number is too long");
	return 0;
}

static int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands behind a backslash: one byte. */
static int
read_escape(struct lexer *lexer, char *ret_byte)
{
	char c = look(lexer, 0);
	int high, low;

	lexer->at++;
	switch (c) {
	case 'n':
		*ret_byte = '\n';
		return 0;
	case 't':
		*ret_byte = '\t';
		return 0;
	case 'r':
		*ret_byte = '\r';
		return 0;
	case '0':
		*ret_byte = '\0';
		return 0;
	case 'x':
		high = hex_digit(look(lexer, 0));
		low = high < 0 ? -1 : hex_digit(look(lexer, 1));
		if (low < 0)
			return rota__expression_fail(lexer->error, lexer->at,
				"want two hexadecimal digits behind \\x");
		lexer->at += 2;
		*ret_byte = (char)(high * 16 + low);
		return 0;
	default:
		*ret_byte = c;
		return 0;
	}
}

/* How many bytes the text has at most: what stands before its closing quote. */
static size_t
text_room(const struct lexer *lexer, char quote)
{
	size_t at = lexer->at;

	while (at < lexer->len && lexer->text[at] != quote)
		at += lexer->text[at] == '\\' ? 2 : 1;
	return at - lexer->at;
}

static int
read_text(struct lexer *lexer, char quote)
{
	size_t begin = lexer->at++;
	size_t len = 0;
	char *bytes;
	int r = rota_record_store(lexer->store, text_room(lexer, quote), &bytes);

	if (r < 0)
		return r;
	while (lexer->at < lexer->len && look(lexer, 0) != quote) {
		char c = look(lexer, 0);

		lexer->at++;
		if (c == '\\' && lexer->at < lexer->len) {
			r = read_escape(lexer, &c);
			if (r < 0)
				return r;
		}
		bytes[len++] = c;
	}
	if (lexer->at == lexer->len)
		return rota__expression_fail(lexer->error, begin, "the text has no closing %c",
			quote);
	lexer->at++;
	lexer->token.kind = TOKEN_TEXT;
	lexer->token.value = rota_value_text(bytes, len);
	return 0;
}

static int
read_field(struct lexer *lexer)
{
	const char *begin = lexer->text + lexer->at + 1;
	const char *end = memchr(begin, '}', lexer->len - lexer->at - 1);

	if (end == NULL)
		return rota__expression_fail(lexer->error, lexer->at,
			"the field's name has no closing }");
	lexer->token.kind = TOKEN_FIELD;
	lexer->token.bytes = begin;
	lexer->token.len = (size_t)(end - begin);
	lexer->at = (size_t)(end - lexer->text) + 1;
	if (lexer->token.len == 0 || lexer->token.len > ROTA_NAME_MAX)
		return rota__expression_fail(lexer->error, lexer->token.offset,
			"a field's name has 1 to %d bytes", ROTA_NAME_MAX);
	return 0;
}

static int
read_name(struct lexer *lexer)
{
	while (is_letter(look(lexer, 0)) || is_digit(look(lexer, 0)) ||
		(look(lexer, 0) == '.' && is_letter(look(lexer, 1))))
		lexer->at++;
	lexer->token.kind = TOKEN_NAME;
	if (lexer->at - lexer->token.offset > ROTA_NAME_MAX)
		return rota__expression_fail(lexer->error, lexer->token.offset,
			"a name has at most %d bytes", ROTA_NAME_MAX);
	return 0;
}

static int
read_sign(struct lexer *lexer)
{
	static const char *const signs[] = { "==", "!=", "<=", ">=", "..", "=", "<", ">", "+", "-",
		"*", "/", "%", "(", ")", "," };

	lexer->token.kind = TOKEN_SIGN;
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		size_t len = strlen(signs[i]);

		if (len <= lexer->len - lexer->at &&
			memcmp(lexer->text + lexer->at, signs[i], len) == 0) {
			lexer->at += len;
			return 0;
		}
	}
	return rota__expression_fail(lexer->error, lexer->at,
		"a character that no expression has here");
}

int
rota__expression_next(struct lexer *lexer)
{
	struct token *token = &lexer->token;
	char c;
	int r;

	skip_spaces(lexer);
	*token = (struct token){ .kind = TOKEN_END, .offset = lexer->at };
	token->bytes = lexer->text + lexer->at;
	if (lexer->at == lexer->len)
		return 0;
	c = look(lexer, 0);
	if (c == '{')
		return read_field(lexer);
	if (is_digit(c))
		r = read_number(lexer);
	else if (c == '"' || c == '\'')
		r = read_text(lexer, c);
	else if (is_letter(c))
		r = read_name(lexer);
	else
		r = read_sign(lexer);
	token->len = lexer->at - token->offset;
	return r;
}

int
rota__expression_pattern(struct lexer *lexer, struct rota_text *ret_pattern,
	struct rota_text *ret_flags)
{
	size_t begin = lexer->token.offset + 1;
	size_t end;

	for (end = begin; end < lexer->len && lexer->text[end] != '/'; end++)
		if (lexer->text[end] == '\\' && end + 1 < lexer->len)
			end++;
	if (end >= lexer->len)
		return rota__expression_fail(lexer->error, begin - 1,
			"the pattern has no closing /");
	*ret_pattern = (struct rota_text){ lexer->text + begin, end - begin };
	lexer->at = end + 1;
	while (is_letter(look(lexer, 0)))
		lexer->at++;
	*ret_flags = (struct rota_text){ lexer->text + end + 1, lexer->at - end - 1 };
	return rota__expression_next(lexer);
}
