/* SPDX-License-Identifier: MIT */
/*
 * The meter as text, compared byte by byte: for people, as JSON (which python's parser reads, where
 * there is one) and as OpenMetrics; and buffers of every size.
 */
#include <rota/meter.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define MOST 8192

static struct rota_meter
example(void)
{
	struct rota_meter meter = ROTA_METER_INIT;

	meter.turns = 12;
	meter.handlers = 7;
	meter.most_handlers = 3;
	meter.waiting = 90 * ROTA_SECOND + 5;
	meter.busy = 1500000;
	meter.durations[0] = 1;
	meter.durations[9] = 2;
	meter.durations[20] = 3;
	meter.durations[ROTA_METER_BUCKETS - 1] = 1;
	meter.slowest = 1234567890;
	meter.slowest_name = "stream";
	meter.accept_pauses = 4;
	meter.drops = UINT64_MAX;
	return meter;
}

/* The whole, in a buffer that the next call uses again. */
static const char *
format(const struct rota_meter *meter, enum rota_meter_format format)
{
	static char buffer[MOST];
	size_t length = rota_meter_format(meter, format, buffer, sizeof buffer);

	assert_in_range(length, 1, sizeof buffer - 1);
	assert_int_equal(strlen(buffer), length);
	assert_int_equal(buffer[length - 1], '\n');
	return buffer;
}

/* Text */

static void
text__is_for_people(void **state)
{
	struct rota_meter meter = example();

	(void)state;
	assert_string_equal(format(&meter, ROTA_METER_TEXT),
		"turns            12\n"
		"handlers         7, at most 3 in a turn\n"
		"time in waits    90.0 s\n"
		"time in handlers 1.5 ms\n"
		"slowest handler  1.2 s, stream\n"
		"accept pauses    4\n"
		"drops            18446744073709551615\n"
		"below 2 ns       1 handlers\n"
		"below 1.0 us     2 handlers\n"
		"below 2.0 ms     3 handlers\n"
		"from  549.7 s    1 handlers\n");
}

static void
text__of_an_empty_meter__has_no_durations(void **state)
{
	struct rota_meter meter = ROTA_METER_INIT;

	(void)state;
	assert_string_equal(format(&meter, ROTA_METER_TEXT),
		"turns            0\n"
		"handlers         0, at most 0 in a turn\n"
		"time in waits    0 ns\n"
		"time in handlers 0 ns\n"
		"slowest handler  none\n"
		"accept pauses    0\n"
		"drops            0\n");
}

/* JSON */

static void
json__is_one_object_on_a_line(void **state)
{
	struct rota_meter meter = example();

	(void)state;
	assert_string_equal(format(&meter, ROTA_METER_JSON),
		"{\"turns\":12,\"handlers\":7,\"most_handlers\":3,"
		"\"waiting\":90.000000005,\"busy\":0.001500000,"
		"\"slowest\":1.234567890,\"slowest_name\":\"stream\","
		"\"accept_pauses\":4,\"drops\":18446744073709551615,"
		"\"durations\":[{\"to\":0.000000001,\"handlers\":1},"
		"{\"to\":0.000001023,\"handlers\":2},"
		"{\"to\":0.002097151,\"handlers\":3},"
		"{\"to\":null,\"handlers\":1}]}\n");
}

static void
json__of_an_empty_meter__has_everything(void **state)
{
	struct rota_meter meter = ROTA_METER_INIT;

	(void)state;
	assert_string_equal(format(&meter, ROTA_METER_JSON),
		"{\"turns\":0,\"handlers\":0,\"most_handlers\":0,"
		"\"waiting\":0.000000000,\"busy\":0.000000000,"
		"\"slowest\":0.000000000,\"slowest_name\":null,"
		"\"accept_pauses\":0,\"drops\":0,\"durations\":[]}\n");
}

/* Asks python whether it is JSON, and whether the name is that of the environment. */
static void
check_with_python(const struct rota_meter *meter)
{
	FILE *python = popen("python3 -c 'import json,os,sys\n"
			     "meter = json.load(sys.stdin)\n"
			     "assert meter[\"slowest_name\"] == os.environ.get(\"NAME\"), meter\n"
			     "assert len(meter) == 10, meter' 2>&1",
		"w");

	assert_non_null(python);
	assert_true(fputs(format(meter, ROTA_METER_JSON), python) >= 0);
	assert_int_equal(pclose(python), 0);
}

static void
json__is_read_by_another_parser(void **state)
{
	struct rota_meter meter = example();

	(void)state;
	if (system("python3 -c 'import json' 2>/dev/null") != 0) {
		print_message("no python3 here\n");
		skip();
	}
	assert_int_equal(setenv("NAME", "stream", 1), 0);
	check_with_python(&meter);
	meter.slowest_name = "a \"name\" \\ with\n\x7f \xc3\xa9";
	assert_int_equal(setenv("NAME", "a \"name\" \\ with?? ??", 1), 0);
	check_with_python(&meter);
	meter = (struct rota_meter)ROTA_METER_INIT;
	assert_int_equal(unsetenv("NAME"), 0);
	check_with_python(&meter);
}

/* OpenMetrics */

static const char openmetrics[] =
	"# TYPE rota_turns counter\n"
	"# HELP rota_turns Turns that were taken.\n"
	"rota_turns_total 12\n"
	"# TYPE rota_wait_seconds counter\n"
	"# UNIT rota_wait_seconds seconds\n"
	"# HELP rota_wait_seconds Time spent in waits.\n"
	"rota_wait_seconds_total 90.000000005\n"
	"# TYPE rota_handler_duration_seconds histogram\n"
	"# UNIT rota_handler_duration_seconds seconds\n"
	"# HELP rota_handler_duration_seconds How long handlers took.\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000001\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000003\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000007\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000015\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000031\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000063\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000127\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000255\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000000511\"} 1\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000001023\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000002047\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000004095\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000008191\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000016383\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000032767\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000065535\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000131071\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000262143\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.000524287\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.001048575\"} 3\n"
	"rota_handler_duration_seconds_bucket{le=\"0.002097151\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.004194303\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.008388607\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.016777215\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.033554431\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.067108863\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.134217727\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.268435455\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"0.536870911\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"1.073741823\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"2.147483647\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"4.294967295\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"8.589934591\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"17.179869183\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"34.359738367\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"68.719476735\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"137.438953471\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"274.877906943\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"549.755813887\"} 6\n"
	"rota_handler_duration_seconds_bucket{le=\"+Inf\"} 7\n"
	"rota_handler_duration_seconds_count 7\n"
	"rota_handler_duration_seconds_sum 0.001500000\n"
	"# TYPE rota_turn_handlers_max gauge\n"
	"# HELP rota_turn_handlers_max Most handlers of a turn.\n"
	"rota_turn_handlers_max 3\n"
	"# TYPE rota_slowest_handler_seconds gauge\n"
	"# UNIT rota_slowest_handler_seconds seconds\n"
	"# HELP rota_slowest_handler_seconds The longest that a handler took.\n"
	"rota_slowest_handler_seconds{handler=\"stream\"} 1.234567890\n"
	"# TYPE rota_accept_pauses counter\n"
	"# HELP rota_accept_pauses Times a listener paused.\n"
	"rota_accept_pauses_total 4\n"
	"# TYPE rota_drops counter\n"
	"# HELP rota_drops Connections that could not be kept.\n"
	"rota_drops_total 18446744073709551615\n"
	"# EOF\n";

static void
openmetrics__has_a_family_for_each_figure(void **state)
{
	struct rota_meter meter = example();

	(void)state;
	assert_string_equal(format(&meter, ROTA_METER_OPENMETRICS), openmetrics);
}

static void
openmetrics__no_handler_yet__has_no_sample_of_the_slowest(void **state)
{
	struct rota_meter meter = ROTA_METER_INIT;
	const char *text = format(&meter, ROTA_METER_OPENMETRICS);

	(void)state;
	assert_null(strstr(text, "handler=\""));
	assert_non_null(strstr(text, "_bucket{le=\"+Inf\"} 0\n"));
	assert_non_null(strstr(text, "\nrota_handler_duration_seconds_count 0\n"));
}

static void
openmetrics__name_with_quotes__is_escaped_in_the_label(void **state)
{
	struct rota_meter meter = example();

	(void)state;
	meter.slowest_name = "a \"name\"\n\\";
	assert_non_null(strstr(format(&meter, ROTA_METER_OPENMETRICS),
		"\nrota_slowest_handler_seconds{handler=\"a \\\"name\\\"?\\\\\"} 1.234567890\n"));
}

/* Figures */

static void
name__is_long__is_cut(void **state)
{
	struct rota_meter meter = example();
	char name[1000];
	char expected[200];

	(void)state;
	memset(name, '"', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	meter.slowest_name = name;
	memcpy(expected, "\"slowest_name\":\"", 16);
	for (size_t i = 0; i < 63; i++)
		memcpy(expected + 16 + 2 * i, "\\\"", 2);
	memcpy(expected + 16 + (size_t)2 * 63, "\",", 3);
	assert_non_null(strstr(format(&meter, ROTA_METER_JSON), expected));
}

static void
times__at_the_limits__are_exact(void **state)
{
	struct rota_meter meter = ROTA_METER_INIT;
	const char *text;

	(void)state;
	meter.waiting = INT64_MAX;
	meter.busy = INT64_MIN;
	text = format(&meter, ROTA_METER_JSON);
	assert_non_null(strstr(text, "\"waiting\":9223372036.854775807,"));
	assert_non_null(strstr(text, "\"busy\":-9223372036.854775808,"));
}

static void
durations__are_rounded_down_to_a_unit(void **state)
{
	static const struct {
		rota_time duration;
		const char *line;
	} cases[] = { { 999, "\ntime in waits    999 ns\n" },
		{ 1000, "\ntime in waits    1.0 us\n" }, { 1999, "\ntime in waits    1.9 us\n" },
		{ 999999, "\ntime in waits    999.9 us\n" },
		{ 1000000, "\ntime in waits    1.0 ms\n" },
		{ 999999999, "\ntime in waits    999.9 ms\n" },
		{ ROTA_MINUTE, "\ntime in waits    60.0 s\n" } };
	struct rota_meter meter = ROTA_METER_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		meter.waiting = cases[i].duration;
		assert_non_null(strstr(format(&meter, ROTA_METER_TEXT), cases[i].line));
	}
}

/* Locales with another decimal point are not on every machine. */
static void
locale__does_not_matter(void **state)
{
	static const char *const names[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8" };
	struct rota_meter meter = example();

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (setlocale(LC_ALL, names[i]) == NULL)
			continue;
		assert_string_equal(format(&meter, ROTA_METER_OPENMETRICS), openmetrics);
	}
	assert_non_null(setlocale(LC_ALL, "C"));
}

/* Buffers */

static void
buffer__of_every_size__has_as_much_as_fits(void **state)
{
	struct rota_meter meter = example();
	char whole[MOST];

	(void)state;
	for (enum rota_meter_format form = ROTA_METER_TEXT; form <= ROTA_METER_OPENMETRICS;
		form++) {
		size_t length = rota_meter_format(&meter, form, whole, sizeof whole);

		assert_int_equal(rota_meter_format(&meter, form, NULL, 0), length);
		for (size_t size = 1; size <= length + 2; size++) {
			char *buffer = malloc(size);

			assert_non_null(buffer);
			assert_int_equal(rota_meter_format(&meter, form, buffer, size), length);
			assert_int_equal(strlen(buffer), size <= length ? size - 1 : length);
			assert_memory_equal(buffer, whole, strlen(buffer));
			free(buffer);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text__is_for_people),
		cmocka_unit_test(text__of_an_empty_meter__has_no_durations),
		cmocka_unit_test(json__is_one_object_on_a_line),
		cmocka_unit_test(json__of_an_empty_meter__has_everything),
		cmocka_unit_test(json__is_read_by_another_parser),
		cmocka_unit_test(openmetrics__has_a_family_for_each_figure),
		cmocka_unit_test(openmetrics__no_handler_yet__has_no_sample_of_the_slowest),
		cmocka_unit_test(openmetrics__name_with_quotes__is_escaped_in_the_label),
		cmocka_unit_test(name__is_long__is_cut),
		cmocka_unit_test(times__at_the_limits__are_exact),
		cmocka_unit_test(durations__are_rounded_down_to_a_unit),
		cmocka_unit_test(locale__does_not_matter),
		cmocka_unit_test(buffer__of_every_size__has_as_much_as_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
