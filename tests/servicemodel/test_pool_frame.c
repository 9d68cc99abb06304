/* SPDX-License-Identifier: MIT */
/*
 * Frames of a pool's display, made of what might be known: what stands in them, that they fit, and
 * that nothing of what others wrote moves a cursor.
 */
#include <stdio.h>
#include <string.h>

#include <rota/pool.h>

#include "fixture.h"
#include "pool_display.h"
#include "pool_text.h"
#include "random.h"

/* Text */

static const char *
fit(size_t columns, const char *from)
{
	static char to[256];

	rota__pool_text_fit(to, sizeof to, columns, from, strlen(from), false);
	return to;
}

static void
text__fits__unchanged(void **state)
{
	(void)state;
	assert_string_equal(fit(5, "hello"), "hello");
	assert_string_equal(fit(5, ""), "");
	assert_string_equal(fit(4, "größ"), "größ");
	assert_string_equal(fit(6, "日本語"), "日本語");
	/* A mark has no column of its own. */
	assert_string_equal(fit(1, "e\xcc\x81"), "e\xcc\x81");
}

static void
text__too_long__cut_at_a_character(void **state)
{
	(void)state;
	assert_string_equal(fit(4, "hello"), "hel~");
	assert_string_equal(fit(1, "hello"), "~");
	assert_string_equal(fit(0, "hello"), "");
	assert_string_equal(fit(3, "größe"), "gr~");
	assert_string_equal(fit(5, "日本語"), "日本~");
	assert_string_equal(fit(4, "日本語"), "日~");
}

static void
text__controls__shown_as_question_marks(void **state)
{
	(void)state;
	assert_string_equal(fit(80, "\033[2J\r\n\t\x7f"), "?[2J????");
	/* C1, which terminals obey too; turning the direction; and none of UTF-8. */
	assert_string_equal(fit(80,
				    "\xc2\x9b"
				    "31m"),
		"?31m");
	assert_string_equal(fit(80,
				    "a\xe2\x80\xae"
				    "b\xe2\x81\xa6"),
		"a?b?");
	assert_string_equal(fit(80, "\xff\xc3(\xe2\x82"),
		"?"
		"?(?"
		"?");
	/* overlong, a surrogate, beyond the last */
	assert_string_equal(fit(80, "\xc0\x9b"), "??");
	assert_string_equal(fit(80, "\xed\xa0\x80"), "???");
	assert_string_equal(fit(80, "\xf4\x90\x80\x80"), "????");
}

static void
text__ascii__nothing_else(void **state)
{
	char to[32];

	(void)state;
	assert_int_equal(rota__pool_text_fit(to, sizeof to, 10, "größe", strlen("größe"), true), 5);
	assert_string_equal(to, "gr??e");
}

static void
text__small_buffer__whole_characters(void **state)
{
	char to[4];

	(void)state;
	rota__pool_text_fit(to, sizeof to, 80, "日本", strlen("日本"), false);
	assert_string_equal(to, "~");
	rota__pool_text_fit(to, 1, 80, "ab", 2, false);
	assert_string_equal(to, "");
}

static void
text__random_bytes__stays_within(void **state)
{
	uint64_t random = make_seed("text");

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char from[40];
		char to[64];
		size_t len = (size_t)random_below(&random, sizeof from);
		size_t columns = (size_t)random_below(&random, 30);
		size_t size = 1 + (size_t)random_below(&random, sizeof to);

		for (size_t k = 0; k < len; k++)
			from[k] = (char)random_below(&random, 256);
		memset(to, 'x', sizeof to);
		assert_in_range(rota__pool_text_fit(to, size, columns, from, len, false), 0,
			columns);
		assert_in_range(strlen(to), 0, size - 1);
		for (const char *c = to; *c != '\0'; c++)
			assert_false((unsigned char)*c < ' ' || *c == 127);
	}
}

/* Frames */

static struct rota__pool_view view;
static char frame[ROTA__POOL_FRAME + 1];

/* Three workers at eight tasks, of which three have ended within a second. */
static void
begin_view(void)
{
	view = (struct rota__pool_view){ .columns = 80, .lines = 24, .row_count = 3 };
	view.load = (struct rota_pool_load){
		.places = 3,
		.load = 2,
		.peak = 3,
		.total = 8,
		.lost = 1,
		.ends = { [ROTA_POOL_DONE] = 2, [ROTA_POOL_FAILED] = 1 },
	};
	rota__pool_view_sample(&view);
	view.load.ended = 3;
	view.now = ROTA_SECOND;
	rota__pool_view_sample(&view);
	view.rows[0] = (struct rota__pool_row){
		.state = ROTA_POOL_BUSY, .task = 4, .done = 1, .total = 2, .note = "half"
	};
	view.rows[1] = (struct rota__pool_row){ .state = ROTA_POOL_IDLE, .tasks = 2 };
	view.rows[2] = (struct rota__pool_row){ .state = ROTA_POOL_EMPTY, .lost = "killed" };
}

static const char *
draw(unsigned drawn, unsigned lines)
{
	unsigned found = 0;
	size_t len = rota__pool_view_draw(&view, drawn, frame, &found);

	assert_in_range(len, 0, ROTA__POOL_FRAME);
	frame[len] = '\0';
	assert_int_equal(found, lines);
	return frame;
}

static void
frame__first__from_the_cursor_down(void **state)
{
	(void)state;
	begin_view();
	assert_string_equal(draw(0, 5),
		"3 of 8: 2 done, 1 failed; load 2 of 3, peak 3; 1 lost; 3.00/s; ETA 0:02\033[K\r\n"
		"[###############-------------------------]  37 %\033[K\r\n"
		"  0 [##########----------]  50 % 0:01 task 4: half\033[K\r\n"
		"  1 idle, 2 tasks done\033[K\r\n"
		"  2 lost: killed\033[K\r\n"
		"\033[J");
}

static void
frame__next__over_the_last(void **state)
{
	char erase[32];

	(void)state;
	begin_view();
	assert_ptr_equal(strstr(draw(7, 5), "\r\033[7A3 of 8"), frame);
	assert_int_equal(rota__pool_view_erase(0, erase), 0);
	assert_int_equal(rota__pool_view_erase(7, erase), strlen("\r\033[7A\033[J"));
	assert_memory_equal(erase, "\r\033[7A\033[J", strlen("\r\033[7A\033[J"));
}

static void
frame__given_a_total__counts_to_it(void **state)
{
	(void)state;
	begin_view();
	view.total = 33;
	assert_non_null(strstr(draw(0, 5), "3 of 33: "));
	assert_non_null(strstr(frame, "ETA 0:10"));
	view.total = 3;
	assert_non_null(strstr(draw(0, 5), "3 of 8: "));
}

static void
frame__all_have_ended__tells_how_long(void **state)
{
	(void)state;
	begin_view();
	view.load.ended = 8;
	view.now = 3725 * ROTA_SECOND;
	assert_non_null(strstr(draw(0, 5), "; in 1:02:05\033[K"));
	assert_null(strstr(frame, "ETA"));
	assert_non_null(strstr(frame, "] 100 %"));
	view.now = 200000 * ROTA_SECOND;
	assert_non_null(strstr(draw(0, 5), "; in 2d 07h\033[K"));
}

static void
frame__unknown_progress__goes_to_and_fro(void **state)
{
	char last[128] = "";

	(void)state;
	begin_view();
	view.rows[0].total = 0;
	view.rows[0].done = 17;
	for (int i = 0; i < 50; i++) {
		const char *bar;

		view.now += ROTA_SECOND / 5;
		bar = strstr(draw(0, 5), "  0 [");
		assert_non_null(bar);
		assert_int_not_equal(strncmp(bar, last, 26), 0);
		snprintf(last, sizeof last, "%.26s", bar);
		assert_ptr_equal(strchr(bar + 5, ']'), bar + 25);
	}
	assert_non_null(strstr(frame, "task 4, 17 done: half"));
}

/* Each line is shorter than the terminal is wide, and there are fewer than it has. */
static void
check_fits(unsigned columns, unsigned lines)
{
	const char *line = frame;
	unsigned count = 0;

	for (const char *end = strstr(line, "\033[K\r\n"); end != NULL;
		end = strstr(line, "\033[K\r\n")) {
		assert_in_range(end - line, 0, columns > 0 ? columns - 1 : 0);
		line = end + strlen("\033[K\r\n");
		count++;
	}
	assert_string_equal(line, "\033[J");
	assert_in_range(count, 1, lines > 2 ? lines - 1 : 1);
}

static void
frame__small_terminal__fits(void **state)
{
	(void)state;
	begin_view();
	view.load.places = 40;
	view.row_count = 32;
	for (unsigned i = 0; i < 32; i++)
		view.rows[i] = view.rows[i % 3];
	for (view.columns = 0; view.columns < 100; view.columns++) {
		for (view.lines = 0; view.lines < 50; view.lines++) {
			unsigned found;
			size_t len = rota__pool_view_draw(&view, 0, frame, &found);

			frame[len] = '\0';
			check_fits(view.columns, view.lines);
		}
	}
}

static void
frame__more_workers_than_rows__told(void **state)
{
	(void)state;
	begin_view();
	view.load.places = 40;
	assert_non_null(strstr(draw(0, 6), "\nand 37 more workers\033[K"));
	view.lines = 6;
	assert_non_null(strstr(draw(0, 5), "\nand 38 more workers\033[K"));
	view.load.places = 3;
	assert_null(strstr(draw(0, 5), "more workers"));
}

static void
frame__note_of_a_worker__not_obeyed(void **state)
{
	(void)state;
	begin_view();
	snprintf(view.rows[0].note, sizeof view.rows[0].note, "\033[2J\nevil");
	assert_non_null(strstr(draw(0, 5), "task 4: ?[2J?evil\033[K"));
	snprintf(view.rows[2].lost, sizeof view.rows[2].lost, "a\rb");
	assert_non_null(strstr(draw(0, 5), "lost: a?b\033[K"));
}

static void
frame__everything_at_its_longest__within_the_buffer(void **state)
{
	(void)state;
	begin_view();
	view.columns = 10000;
	view.lines = 10000;
	view.load.places = 1000;
	view.row_count = ROTA_POOL_DISPLAY_ROWS;
	for (unsigned i = 0; i < ROTA_POOL_DISPLAY_ROWS; i++) {
		view.rows[i] = view.rows[0];
		/* Four bytes, two columns. */
		for (size_t k = 0; k + 4 <= ROTA_WORKER_NOTE; k += 4)
			memcpy(view.rows[i].note + k, "\xf0\x9f\x98\x80", 5);
	}
	draw(99, ROTA_POOL_DISPLAY_ROWS + 3);
}

/* Rates */

static void
rate__steady__known_from_the_second_sample(void **state)
{
	(void)state;
	memset(&view, 0, sizeof view);
	rota__pool_view_sample(&view);
	assert_true(rota__pool_view_rate(&view) == 0);
	for (int i = 0; i < 100; i++) {
		view.now += ROTA_SECOND / 2;
		view.load.ended += 5;
		rota__pool_view_sample(&view);
		assert_true(rota__pool_view_rate(&view) > 9.99);
		assert_true(rota__pool_view_rate(&view) < 10.01);
	}
}

static void
rate__changed__follows(void **state)
{
	(void)state;
	memset(&view, 0, sizeof view);
	for (int i = 0; i < 50; i++) {
		view.now += ROTA_SECOND;
		view.load.ended += 100;
		rota__pool_view_sample(&view);
	}
	for (int i = 0; i < 50; i++) {
		view.now += ROTA_SECOND;
		view.load.ended += 1;
		rota__pool_view_sample(&view);
	}
	assert_true(rota__pool_view_rate(&view) < 1.01);
	/* Many frames a second do not make it shorter. */
	for (int i = 0; i < 100; i++) {
		view.now += ROTA_SECOND / 100;
		rota__pool_view_sample(&view);
	}
	assert_true(rota__pool_view_rate(&view) > 0.9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text__fits__unchanged),
		cmocka_unit_test(text__too_long__cut_at_a_character),
		cmocka_unit_test(text__controls__shown_as_question_marks),
		cmocka_unit_test(text__ascii__nothing_else),
		cmocka_unit_test(text__small_buffer__whole_characters),
		cmocka_unit_test(text__random_bytes__stays_within),
		cmocka_unit_test(frame__first__from_the_cursor_down),
		cmocka_unit_test(frame__next__over_the_last),
		cmocka_unit_test(frame__given_a_total__counts_to_it),
		cmocka_unit_test(frame__all_have_ended__tells_how_long),
		cmocka_unit_test(frame__unknown_progress__goes_to_and_fro),
		cmocka_unit_test(frame__small_terminal__fits),
		cmocka_unit_test(frame__more_workers_than_rows__told),
		cmocka_unit_test(frame__note_of_a_worker__not_obeyed),
		cmocka_unit_test(frame__everything_at_its_longest__within_the_buffer),
		cmocka_unit_test(rate__steady__known_from_the_second_sample),
		cmocka_unit_test(rate__changed__follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
