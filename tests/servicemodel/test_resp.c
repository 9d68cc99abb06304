/* SPDX-License-Identifier: MIT */
/*
 * rota-kv's protocol, without a server: what is a frame, wherever it is split, which words are in
 * it, and what answers look like.
 */
#include "../../examples/kv_resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rota/errors.h>

#define LIMIT 4096
#define BYTES(text) (text), sizeof(text) - 1

static struct kv_fault fault;
static const struct rota_framing framing = { &kv_resp_framing, LIMIT, NULL, 0, &fault, 0 };

/*
 * As the service does: the bytes of a stream, of which more come each time, in a block of their
 * own.
 */
static ssize_t
find_in(struct rota_framing_state *state, const char *bytes, size_t len, struct rota_frame *frame)
{
	char *alone = malloc(len);
	ssize_t r;

	assert_non_null(alone);
	memcpy(alone, bytes, len);
	r = rota_framing_find(&framing, state, alone, len, frame);
	if (r > 0) {
		assert_ptr_equal(frame->bytes, alone);
		assert_int_equal(frame->len, r);
	}
	if (r == 0 && state->need > 0)
		assert_true(state->need > len);
	assert_true(state->seen <= len);
	free(alone);
	return r;
}

/* Frame after frame, as when the first bytes of it are there, and step more each time. */
static void
expect_frame(const char *bytes, size_t len, size_t first, size_t step)
{
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	size_t there;

	for (there = first; there < len; there += step)
		assert_int_equal(find_in(&state, bytes, there, &frame), 0);
	assert_int_equal(find_in(&state, bytes, len, &frame), len);
	assert_int_equal(state.seen | state.need | state.own, 0);
}

/* A command is a frame, whatever follows, and however it comes. */
static void
expect_command(const char *bytes, size_t len)
{
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	char followed[LIMIT];
	size_t first;

	for (first = 1; first <= len; first++) {
		expect_frame(bytes, len, first, len);
		expect_frame(bytes, len, first, 1);
	}
	memcpy(followed, bytes, len);
	memcpy(followed + len, "*1\r\n", 4);
	assert_int_equal(find_in(&state, followed, len + 4, &frame), len);
}

/* It is refused, with these words, once its last byte is there and not before. */
static void
expect_fault(const char *bytes, size_t len, const char *text)
{
	struct rota_framing_state state = { 0 };
	struct rota_framing_state whole = { 0 };
	struct rota_frame frame;
	size_t there;

	for (there = 1; there < len; there++)
		assert_int_equal(find_in(&state, bytes, there, &frame), 0);
	memset(&fault, 0, sizeof(fault));
	assert_int_equal(find_in(&state, bytes, len, &frame), -ROTA_EFRAME);
	assert_string_equal(fault.text, text);
	assert_int_equal(find_in(&whole, bytes, len, &frame), -ROTA_EFRAME);
}

static void
framing__arrays__are_frames_at_every_split(void **unused)
{
	(void)unused;
	expect_command(BYTES("*1\r\n$4\r\nPING\r\n"));
	expect_command(BYTES("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"));
	expect_command(BYTES("*2\r\n$3\r\nGET\r\n$0\r\n\r\n"));
	expect_command(BYTES("*2\r\n$4\r\nECHO\r\n$14\r\n*1\r\n$4\r\nPING\r\n\r\n"));
	expect_command(BYTES("*1\r\n$3\r\n\0\r\n\r\n"));
	expect_command(BYTES("*0\r\n"));
	expect_command(BYTES("*-1\r\n"));
	expect_command(BYTES("*-2147483648\r\n"));
}

static void
framing__lines__are_frames_at_every_split(void **unused)
{
	(void)unused;
	expect_command(BYTES("PING\r\n"));
	expect_command(BYTES("\r\n"));
	expect_command(BYTES("\n"));
	expect_command(BYTES("$4\r\n"));
	expect_command(BYTES("set \"a\0b\" 'c\r\n"));
}

static void
framing__bad_headers__are_refused_where_they_go_wrong(void **unused)
{
	static const char multibulk[] = "invalid multibulk length";
	static const char bulk[] = "invalid bulk length";

	(void)unused;
	expect_fault(BYTES("*x"), multibulk);
	expect_fault(BYTES("*-x"), multibulk);
	expect_fault(BYTES("*\r"), multibulk);
	expect_fault(BYTES("*1x"), multibulk);
	expect_fault(BYTES("*1\rx"), multibulk);
	expect_fault(BYTES("*-0"), multibulk);
	expect_fault(BYTES("*01"), multibulk);
	expect_fault(BYTES("*12345678901"), multibulk);
	expect_fault(BYTES("*683\r\n"), multibulk);
	expect_fault(BYTES("*9999999999\r\n"), multibulk);
	expect_fault(BYTES("*1\r\nP"), "expected '$', got 'P'");
	expect_fault(BYTES("*1\r\n\r"), "expected '$', got '?'");
	expect_fault(BYTES("*1\r\n$x"), bulk);
	expect_fault(BYTES("*1\r\n$-1\r\n"), bulk);
	expect_fault(BYTES("*1\r\n$4097\r\n"), bulk);
	expect_fault(BYTES("*1\r\n$9999999999\r\n"), bulk);
	expect_fault(BYTES("*2\r\n$1\r\nx\r\n$01"), bulk);
}

static void
framing__a_word_longer_than_it_says__is_refused(void **unused)
{
	static const char text[] = "a bulk string is longer than it says";

	(void)unused;
	expect_fault(BYTES("*1\r\n$1\r\nxyz"), text);
	expect_fault(BYTES("*1\r\n$1\r\nx\rz"), text);
	expect_fault(BYTES("*1\r\n$0\r\nx\n"), text);
}

/*
 * A command that takes as many bytes as may be, or one more, in a word whose length has so many
 * digits.
 */
static size_t
write_long(char *to, size_t len)
{
	int header = sprintf(to, "*1\r\n$%zu\r\n", len - 13);

	assert_int_equal(header, 11);
	memset(to + header, 'x', len - 13);
	memcpy(to + len - 2, "\r\n", 2);
	return len;
}

static void
framing__the_limit__is_refused_before_it_has_come(void **unused)
{
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	char bytes[LIMIT + 2];

	(void)unused;
	assert_int_equal(write_long(bytes, LIMIT), LIMIT);
	expect_frame(bytes, LIMIT, 1, 1);
	write_long(bytes, LIMIT + 1);
	assert_int_equal(find_in(&state, bytes, 11, &frame), -EMSGSIZE);
}

static void
framing__a_word_on_its_way__tells_what_it_needs(void **unused)
{
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	char bytes[] = "*2\r\n$4\r\nECHO\r\n$100\r\n";

	(void)unused;
	assert_int_equal(find_in(&state, bytes, 6, &frame), 0);
	assert_int_equal(state.need, 0);
	assert_int_equal(find_in(&state, bytes, 9, &frame), 0);
	assert_int_equal(state.need, 14);
	assert_int_equal(find_in(&state, bytes, 14, &frame), 0);
	assert_int_equal(state.need, 0);
	assert_int_equal(find_in(&state, BYTES(bytes), &frame), 0);
	assert_int_equal(state.need, sizeof(bytes) - 1 + 102);
}

static void
framing__a_long_line__is_refused_at_its_limit(void **unused)
{
	static const struct rota_framing wide = { &kv_resp_framing, 1 << 20, NULL, 0, &fault, 0 };
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	char *line = malloc(KV_RESP_LINE + 1);

	(void)unused;
	assert_non_null(line);
	memset(line, 'x', KV_RESP_LINE + 1);
	assert_int_equal(rota_framing_find(&wide, &state, line, KV_RESP_LINE, &frame), 0);
	assert_int_equal(state.seen, KV_RESP_LINE);
	assert_int_equal(rota_framing_find(&wide, &state, line, KV_RESP_LINE + 1, &frame),
		-ROTA_EFRAME);
	assert_string_equal(fault.text, "too big inline request");
	state = (struct rota_framing_state){ 0 };
	line[KV_RESP_LINE - 1] = '\n';
	assert_int_equal(rota_framing_find(&wide, &state, line, KV_RESP_LINE, &frame),
		KV_RESP_LINE);
	state = (struct rota_framing_state){ 0 };
	line[KV_RESP_LINE - 1] = 'x';
	line[KV_RESP_LINE] = '\n';
	assert_int_equal(rota_framing_find(&wide, &state, line, KV_RESP_LINE + 1, &frame),
		-ROTA_EFRAME);
	free(line);
}

/* What was seen is not looked at again: it may have changed, and nothing is found in it. */
static void
framing__what_was_seen__is_not_looked_at_again(void **unused)
{
	struct rota_framing_state state = { 0 };
	struct rota_frame frame;
	char bytes[] = "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n";
	char line[] = "abcdef\n";

	(void)unused;
	assert_int_equal(find_in(&state, bytes, 20, &frame), 0);
	assert_int_equal(state.seen, 14);
	memset(bytes + 1, '?', 13);
	assert_int_equal(find_in(&state, BYTES(bytes), &frame), sizeof(bytes) - 1);
	assert_int_equal(find_in(&state, line, 3, &frame), 0);
	line[1] = '\n';
	assert_int_equal(find_in(&state, BYTES(line), &frame), sizeof(line) - 1);
}

/* The words of a frame, each in brackets. */
static void
expect_words(struct kv_words *words, const char *bytes, size_t len, const char *expected)
{
	char found[1024];
	size_t used = 0;
	size_t i;

	assert_int_equal(kv_resp_split(bytes, len, words), 0);
	found[0] = '\0';
	for (i = 0; i < words->count; i++)
		used += (size_t)sprintf(found + used, "[%.*s]", (int)words->at[i].len,
			words->at[i].bytes);
	assert_string_equal(found, expected);
}

static void
split__arrays__have_their_words_in_place(void **unused)
{
	static const char set[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\nv\r\nue\r\n";
	struct kv_words words = { .count = 0 };
	char many[16 * 40];
	char expected[3 * 40 + 1];
	size_t len = (size_t)sprintf(many, "*40\r\n");
	size_t i;

	(void)unused;
	expect_words(&words, BYTES(set), "[SET][][v\r\nue]");
	assert_ptr_equal(words.at[0].bytes, set + 8);
	expect_words(&words, BYTES("*0\r\n"), "");
	expect_words(&words, BYTES("*-1\r\n"), "");
	for (i = 0; i < 40; i++) {
		len += (size_t)sprintf(many + len, "$1\r\n%c\r\n", (int)('0' + i));
		sprintf(expected + 3 * i, "[%c]", (int)('0' + i));
	}
	expect_words(&words, many, len, expected);
	kv_words_free(&words);
}

static void
split__lines__have_their_words_without_quotes(void **unused)
{
	struct kv_words words = { .count = 0 };

	(void)unused;
	expect_words(&words, BYTES("\r\n"), "");
	expect_words(&words, BYTES(" \t a  b\tc \r\n"), "[a][b][c]");
	expect_words(&words, BYTES("a\n"), "[a]");
	expect_words(&words, BYTES("'' \"\"\n"), "[][]");
	expect_words(&words, BYTES("x\"a b\" y'c d'\n"), "[xa b][yc d]");
	expect_words(&words, BYTES("\"\\x41\\n\\r\\t\\b\\a\\\"\\q\\x4\\xg1\"\n"),
		"[A\n\r\t\b\a\"qx4xg1]");
	expect_words(&words, BYTES("'\\x41\\'\\n'\n"), "[\\x41'\\n]");
	expect_words(&words, BYTES("a\\n\n"), "[a\\n]");
	expect_words(&words, BYTES("\"\\xfF\"\n"), "[\xff]");
	/* A NUL ends what is printed, but no word. */
	expect_words(&words, BYTES("a b\0c d\n"), "[a][b][d]");
	assert_int_equal(words.at[1].len, 3);
	kv_words_free(&words);
}

static void
split__quotes_without_an_end__are_refused(void **unused)
{
	struct kv_words words = { .count = 0 };

	(void)unused;
	assert_int_equal(kv_resp_split(BYTES("a \"b\n"), &words), -ROTA_EFRAME);
	assert_int_equal(kv_resp_split(BYTES("a 'b\n"), &words), -ROTA_EFRAME);
	assert_int_equal(kv_resp_split(BYTES("\"\\\"\n"), &words), -ROTA_EFRAME);
	assert_int_equal(kv_resp_split(BYTES("'\\'\n"), &words), -ROTA_EFRAME);
	assert_int_equal(kv_resp_split(BYTES("\"a\"b\n"), &words), -ROTA_EFRAME);
	assert_int_equal(kv_resp_split(BYTES("'a''b'\n"), &words), -ROTA_EFRAME);
	kv_words_free(&words);
}

static void
expect_number(const char *text, int64_t expected)
{
	const struct kv_text word = { text, strlen(text) };
	int64_t number = -77;

	assert_true(kv_text_number(&word, &number));
	assert_true(number == expected);
}

static void
number__as_redis_writes_them__are_numbers(void **unused)
{
	static const char *const others[] = { "", "-", "+1", "01", "-0", "1 ", " 1", "1x", "0x1",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999", "1.0" };
	int64_t number = -77;
	size_t i;

	(void)unused;
	expect_number("0", 0);
	expect_number("-1", -1);
	expect_number("1234567890", 1234567890);
	expect_number("9223372036854775807", INT64_MAX);
	expect_number("-9223372036854775808", INT64_MIN);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct kv_text word = { others[i], strlen(others[i]) };

		assert_false(kv_text_number(&word, &number));
		assert_true(number == -77);
	}
}

static void
word__in_any_case__is_the_same(void **unused)
{
	(void)unused;
	assert_true(kv_text_is(&(struct kv_text){ BYTES("GeT") }, "get"));
	assert_false(kv_text_is(&(struct kv_text){ BYTES("GE") }, "get"));
	assert_false(kv_text_is(&(struct kv_text){ BYTES("GETS") }, "get"));
	assert_false(kv_text_is(&(struct kv_text){ BYTES("ge\0") }, "ge"));
}

static void
expect_reply(struct kv_reply *reply, const char *expected)
{
	assert_false(reply->failed);
	assert_int_equal(reply->len, strlen(expected));
	assert_memory_equal(reply->bytes, expected, reply->len);
	kv_reply_clear(reply);
}

static void
reply__of_each_kind__is_written(void **unused)
{
	struct kv_reply reply = { .bytes = NULL };

	(void)unused;
	kv_reply_status(&reply, "OK");
	kv_reply_integer(&reply, 0);
	kv_reply_integer(&reply, INT64_MAX);
	kv_reply_integer(&reply, INT64_MIN);
	expect_reply(&reply, "+OK\r\n:0\r\n:9223372036854775807\r\n:-9223372036854775808\r\n");
	kv_reply_array(&reply, 3);
	kv_reply_bulk(&reply, "a\r\n", 3);
	kv_reply_word(&reply, "");
	kv_reply_null(&reply);
	expect_reply(&reply, "*3\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n");
	kv_reply_error(&reply, "ERR '%s'", "a\r\nb");
	kv_reply_error(&reply, "ERR %s", "c\r\n\n");
	kv_reply_error(&reply, "%s", "\r\n");
	expect_reply(&reply, "-ERR 'a  b'\r\n-ERR c\r\n-\r\n");
	kv_reply_free(&reply);
}

static void
reply__up_to_its_limit__grows_and_past_it_fails(void **unused)
{
	struct kv_reply reply = { .bytes = NULL };
	const size_t part = 1 << 20;
	char *bytes = calloc(1, part);
	size_t i;

	(void)unused;
	assert_non_null(bytes);
	for (i = 0; i < KV_REPLY_MOST / part; i++)
		kv_reply_raw(&reply, bytes, part);
	assert_false(reply.failed);
	assert_int_equal(reply.len, KV_REPLY_MOST);
	kv_reply_raw(&reply, bytes, 1);
	assert_true(reply.failed);
	assert_int_equal(reply.len, KV_REPLY_MOST);
	kv_reply_clear(&reply);
	assert_false(reply.failed);
	assert_true(reply.room < part);
	kv_reply_raw(&reply, bytes, 1);
	kv_reply_clear(&reply);
	assert_true(reply.room > 0);
	kv_reply_free(&reply);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(framing__arrays__are_frames_at_every_split),
		cmocka_unit_test(framing__lines__are_frames_at_every_split),
		cmocka_unit_test(framing__bad_headers__are_refused_where_they_go_wrong),
		cmocka_unit_test(framing__a_word_longer_than_it_says__is_refused),
		cmocka_unit_test(framing__the_limit__is_refused_before_it_has_come),
		cmocka_unit_test(framing__a_word_on_its_way__tells_what_it_needs),
		cmocka_unit_test(framing__a_long_line__is_refused_at_its_limit),
		cmocka_unit_test(framing__what_was_seen__is_not_looked_at_again),
		cmocka_unit_test(split__arrays__have_their_words_in_place),
		cmocka_unit_test(split__lines__have_their_words_without_quotes),
		cmocka_unit_test(split__quotes_without_an_end__are_refused),
		cmocka_unit_test(number__as_redis_writes_them__are_numbers),
		cmocka_unit_test(word__in_any_case__is_the_same),
		cmocka_unit_test(reply__of_each_kind__is_written),
		cmocka_unit_test(reply__up_to_its_limit__grows_and_past_it_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
