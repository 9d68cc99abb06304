/* SPDX-License-Identifier: MIT */
/*
 * Texts of pipelines, cut into words. Nothing is allocated until a token's text is asked for, and
 * no byte behind the text is read: it need not end with a NUL.
 */
#include "lexer.h"

#include <ctype.h>
#include <string.h>

#include "allocator.h"

static bool
is_space(char byte)
{
	return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* NUL and its like are not text, wherever they stand. */
static bool
is_control(char byte)
{
	return ((unsigned char)byte < ' ' && !is_space(byte)) || byte == 0x7f;
}

static bool
ends_word(char byte)
{
	return is_space(byte) || is_control(byte) || strchr("\"'|[]{};,=", byte) != NULL;
}

static bool
is_at(const struct rota__lexer *lexer, size_t at, char byte)
{
	return at < lexer->len && lexer->text[at] == byte;
}

/* Also of comments, but for bytes that are not text: an argument with one would end there. */
static void
skip_spaces(struct rota__lexer *lexer)
{
	while (lexer->at < lexer->len) {
		if (is_space(lexer->text[lexer->at])) {
			lexer->at++;
		} else if (lexer->text[lexer->at] == '#') {
			while (lexer->at < lexer->len && lexer->text[lexer->at] != '\n' &&
				!is_control(lexer->text[lexer->at]))
				lexer->at++;
		} else {
			return;
		}
	}
}

/* How many bytes an escape has, 0 for none. */
static size_t
escape_len(const char *text, size_t len)
{
	if (len < 2)
		return 0;
	if (text[1] != '\0' && strchr("\"\\nrt", text[1]) != NULL)
		return 2;
	if (text[1] != 'x' || len < 4 || !isxdigit((unsigned char)text[2]) ||
		!isxdigit((unsigned char)text[3]))
		return 0;
	return text[2] == '0' && text[3] == '0' ? 0 : 4;
}

/* From behind the opening quote to behind the closing one. */
static enum rota__token_kind
take_quoted(struct rota__lexer *lexer, char closing, enum rota__token_kind kind)
{
	size_t escaped;

	for (; lexer->at < lexer->len; lexer->at++) {
		if (lexer->text[lexer->at] == closing) {
			lexer->at++;
			return kind;
		}
		if (is_control(lexer->text[lexer->at]))
			return ROTA__TOKEN_STRANGER;
		if (closing == '"' && lexer->text[lexer->at] == '\\') {
			escaped = escape_len(lexer->text + lexer->at, lexer->len - lexer->at);
			if (escaped == 0)
				return ROTA__TOKEN_ESCAPE;
			lexer->at += escaped - 1;
		}
	}
	return ROTA__TOKEN_UNENDED;
}

static enum rota__token_kind
take_sign(struct rota__lexer *lexer)
{
	char byte = lexer->text[lexer->at++];

	switch (byte) {
	case '"':
	case '\'':
		return take_quoted(lexer, byte, ROTA__TOKEN_STRING);
	case '{':
		return take_quoted(lexer, '}', ROTA__TOKEN_REFERENCE);
	case '|':
		return ROTA__TOKEN_PIPE;
	case '[':
		return ROTA__TOKEN_OPEN;
	case ']':
		return ROTA__TOKEN_CLOSE;
	case ',':
		return ROTA__TOKEN_COMMA;
	case '=':
		return ROTA__TOKEN_EQUAL;
	case ';':
		return ROTA__TOKEN_SEMICOLON;
	default:
		return ROTA__TOKEN_STRANGER;
	}
}

static void
take_word(struct rota__lexer *lexer)
{
	while (lexer->at < lexer->len && !ends_word(lexer->text[lexer->at])) {
		if (lexer->text[lexer->at] == ':' && is_at(lexer, lexer->at + 1, '='))
			return;
		lexer->at++;
	}
}

struct rota__token
rota__lexer_next(struct rota__lexer *lexer)
{
	struct rota__token token = { .kind = ROTA__TOKEN_END };

	skip_spaces(lexer);
	token.offset = lexer->at;
	if (lexer->at < lexer->len) {
		if (is_at(lexer, lexer->at, ':') && is_at(lexer, lexer->at + 1, '=')) {
			lexer->at += 2;
			token.kind = ROTA__TOKEN_ASSIGN;
		} else if (ends_word(lexer->text[lexer->at])) {
			token.kind = take_sign(lexer);
		} else {
			take_word(lexer);
			token.kind = ROTA__TOKEN_WORD;
		}
	}
	token.end = lexer->at;
	return token;
}

struct rota__token
rota__lexer_peek(const struct rota__lexer *lexer)
{
	struct rota__lexer copy = *lexer;

	return rota__lexer_next(&copy);
}

/* In another language a backslash may stand before anything. */
static enum rota__token_kind
skip_quoted(struct rota__lexer *lexer)
{
	char closing = lexer->text[lexer->at++];

	if (closing == '{')
		closing = '}';
	for (; lexer->at < lexer->len; lexer->at++) {
		if (lexer->text[lexer->at] == closing) {
			lexer->at++;
			return ROTA__TOKEN_STRING;
		}
		if (is_control(lexer->text[lexer->at]))
			return ROTA__TOKEN_STRANGER;
		if (closing == '"' && lexer->text[lexer->at] == '\\' &&
			lexer->at + 1 < lexer->len && !is_control(lexer->text[lexer->at + 1]))
			lexer->at++;
	}
	return ROTA__TOKEN_UNENDED;
}

struct rota__token
rota__lexer_rest(struct rota__lexer *lexer)
{
	struct rota__token token = { .kind = ROTA__TOKEN_WORD };
	struct rota__token inner;

	skip_spaces(lexer);
	token.offset = token.end = lexer->at;
	while (lexer->at < lexer->len) {
		char byte = lexer->text[lexer->at];

		if (byte == '|' || byte == ']' || byte == ';')
			return token;
		/* A comment stands behind a blank, so that it is not a part of something. */
		if (byte == '#' && lexer->at > 0 && is_space(lexer->text[lexer->at - 1])) {
			skip_spaces(lexer);
			continue;
		}
		inner.offset = lexer->at;
		inner.kind = ROTA__TOKEN_WORD;
		if (byte == '"' || byte == '\'' || byte == '{')
			inner.kind = skip_quoted(lexer);
		else if (is_control(byte))
			inner.kind = ROTA__TOKEN_STRANGER;
		else
			lexer->at++;
		if (inner.kind == ROTA__TOKEN_UNENDED || inner.kind == ROTA__TOKEN_STRANGER) {
			inner.end = lexer->at;
			return inner;
		}
		if (!is_space(byte))
			token.end = lexer->at;
	}
	return token;
}

/* Places */

struct rota__place
rota__place_behind(struct rota__place place, const char *text, size_t offset)
{
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

struct rota__place
rota__place_of(const char *text, size_t offset)
{
	return rota__place_behind((struct rota__place){ 1, 1 }, text, offset);
}

/* What tokens say */

char *
rota__copy_text(const char *text, size_t len)
{
	char *copy = rota__malloc(len + 1);

	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

static unsigned
hex(char digit)
{
	return digit <= '9' ? (unsigned)(digit - '0') : ((unsigned)digit | 0x20) - 'a' + 10;
}

static char
unescape(const char *text)
{
	switch (text[1]) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'x':
		return (char)(hex(text[2]) << 4 | hex(text[3]));
	default:
		return text[1];
	}
}

char *
rota__token_text(const struct rota__lexer *lexer, const struct rota__token *token)
{
	const char *from = lexer->text + token->offset;
	size_t len = token->end - token->offset, n = 0;
	bool is_escaped = token->kind == ROTA__TOKEN_STRING && from[0] == '"';
	char *copy;

	if (token->kind == ROTA__TOKEN_STRING || token->kind == ROTA__TOKEN_REFERENCE) {
		from++;
		len -= 2;
	}
	copy = rota__copy_text(from, len);
	if (copy == NULL || !is_escaped)
		return copy;
	for (size_t i = 0; i < len; n++) {
		copy[n] = from[i] == '\\' ? unescape(from + i) : from[i];
		i += from[i] == '\\' ? escape_len(from + i, len - i + 1) : 1;
	}
	copy[n] = '\0';
	return copy;
}
