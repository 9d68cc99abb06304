/* SPDX-License-Identifier: MIT */
/*
 * A service's meter: its sum, and the meter as text, compared byte by byte: for people, as JSON and
 * as OpenMetrics; and buffers of every size.
 */
#include <rota/service_meter.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define MOST 8192

static struct rota_service_meter
example(void)
{
	struct rota_service_meter meter = { .accepted = 12,
		.opened = 11,
		.sessions = 3,
		.most = 7,
		.refused = 2,
		.paused = 1,
		.frames_in = 100,
		.frames_out = 99,
		.bytes_in = 4096,
		.bytes_out = UINT64_MAX,
		.bad_frames = 4 };

	meter.closed[ROTA_REASON_CLEAN] = 5;
	meter.closed[ROTA_REASON_LIMIT] = 4;
	return meter;
}

/* The whole, in a buffer that the next call uses again. */
static const char *
format(const struct rota_service_meter *meter, const char *name, enum rota_meter_format format)
{
	static char buffer[MOST];
	size_t length = rota_service_meter_format(meter, name, format, buffer, sizeof buffer);

	assert_in_range(length, 1, sizeof buffer - 1);
	assert_int_equal(strlen(buffer), length);
	assert_int_equal(buffer[length - 1], '\n');
	return buffer;
}

static void
sum__has_every_count_of_both(void **state)
{
	struct rota_service_meter sum;
	struct rota_service_meter part;
	uint64_t *counts = (uint64_t *)&sum;

	(void)state;
	memset(&sum, 1, sizeof sum);
	memset(&part, 2, sizeof part);
	rota_service_meter_add(&sum, &part);
	for (size_t i = 0; i < sizeof sum / sizeof *counts; i++)
		assert_int_equal(counts[i], 0x0303030303030303);
}

static void
text__is_for_people(void **state)
{
	struct rota_service_meter meter = example();

	(void)state;
	assert_string_equal(format(&meter, "echo", ROTA_METER_TEXT),
		"service    echo\n"
		"accepted   12\n"
		"opened     11\n"
		"sessions   3\n"
		"most       7\n"
		"refused    2\n"
		"paused     1\n"
		"frames in  100\n"
		"frames out 99\n"
		"bytes in   4096\n"
		"bytes out  18446744073709551615\n"
		"bad frames 4\n"
		"closed     5, clean\n"
		"closed     4, limit\n");
}

static void
json__is_one_object_on_a_line(void **state)
{
	struct rota_service_meter meter = example();

	(void)state;
	assert_string_equal(format(&meter, "a \"name\"\n\\", ROTA_METER_JSON),
		"{\"name\":\"a \\\"name\\\"?\\\\\",\"accepted\":12,\"opened\":11,\"sessions\":3,"
		"\"most\":7,\"refused\":2,\"paused\":1,\"frames_in\":100,\"frames_out\":99,"
		"\"bytes_in\":4096,\"bytes_out\":18446744073709551615,\"bad_frames\":4,"
		"\"closed\":{\"clean\":5,\"limit\":4}}\n");
}

static void
json__of_an_empty_meter__has_everything(void **state)
{
	struct rota_service_meter meter = { .accepted = 0 };

	(void)state;
	assert_string_equal(format(&meter, NULL, ROTA_METER_JSON),
		"{\"name\":\"\",\"accepted\":0,\"opened\":0,\"sessions\":0,\"most\":0,"
		"\"refused\":0,\"paused\":0,\"frames_in\":0,\"frames_out\":0,\"bytes_in\":0,"
		"\"bytes_out\":0,\"bad_frames\":0,\"closed\":{}}\n");
}

static void
json__is_read_by_another_parser(void **state)
{
	struct rota_service_meter meter = example();
	FILE *python;

	(void)state;
	if (system("python3 -c 'import json' 2>/dev/null") != 0) {
		print_message("no python3 here\n");
		skip();
	}
	python = popen("python3 -c 'import json,sys\n"
		       "meter = json.load(sys.stdin)\n"
		       "assert meter[\"name\"] == \"\\\"\\\\?\", meter\n"
		       "assert len(meter) == 13 and len(meter[\"closed\"]) == 2, meter' 2>&1",
		"w");
	assert_non_null(python);
	assert_true(fputs(format(&meter, "\"\\\x7f", ROTA_METER_JSON), python) >= 0);
	assert_int_equal(pclose(python), 0);
}

static void
openmetrics__has_a_family_for_each_count(void **state)
{
	struct rota_service_meter meter = example();
	const char *text = format(&meter, "kv \"1\"", ROTA_METER_OPENMETRICS);
	static const char begin[] = "# TYPE rota_service_accepted counter\n"
				    "# HELP rota_service_accepted Sessions.\n"
				    "rota_service_accepted_total{service=\"kv \\\"1\\\"\"} 12\n"
				    "# TYPE rota_service_opened counter\n"
				    "# HELP rota_service_opened Sessions that were opened.\n"
				    "rota_service_opened_total{service=\"kv \\\"1\\\"\"} 11\n"
				    "# TYPE rota_service_sessions gauge\n"
				    "# HELP rota_service_sessions Sessions now.\n"
				    "rota_service_sessions{service=\"kv \\\"1\\\"\"} 3\n"
				    "# TYPE rota_service_sessions_max gauge\n"
				    "# HELP rota_service_sessions_max Most sessions at once.\n"
				    "rota_service_sessions_max{service=\"kv \\\"1\\\"\"} 7\n";
	size_t families = 0;

	(void)state;
	assert_memory_equal(text, begin, sizeof begin - 1);
	assert_non_null(strstr(text,
		"\nrota_service_closed_total{service=\"kv \\\"1\\\"\",reason=\"clean\"} 5\n"));
	assert_non_null(strstr(text, ",reason=\"reset\"} 0\n"));
	assert_string_equal(text + strlen(text) - 6, "# EOF\n");
	for (; text != NULL; text = strstr(text + 1, "# TYPE "))
		families++;
	assert_int_equal(families, 12);
}

static void
name__too_long__is_cut(void **state)
{
	struct rota_service_meter meter = example();
	char name[200];
	char wanted[200];

	(void)state;
	memset(name, '"', sizeof name);
	name[sizeof name - 1] = '\0';
	strcpy(wanted, "service    ");
	for (int i = 0; i < 63; i++)
		strcat(wanted, "\\\"");
	strcat(wanted, "\naccepted");
	assert_memory_equal(format(&meter, name, ROTA_METER_TEXT), wanted, strlen(wanted));
}

static void
buffer__of_any_size__has_what_fits(void **state)
{
	static const enum rota_meter_format formats[] = { ROTA_METER_TEXT, ROTA_METER_JSON,
		ROTA_METER_OPENMETRICS };
	struct rota_service_meter meter = example();

	(void)state;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		const char *whole = format(&meter, "echo", formats[i]);
		size_t length = strlen(whole);

		assert_int_equal(rota_service_meter_format(&meter, "echo", formats[i], NULL, 0),
			length);
		for (size_t size = 1; size <= length + 1; size++) {
			char *buffer = malloc(size);

			assert_non_null(buffer);
			assert_int_equal(rota_service_meter_format(&meter, "echo", formats[i],
						 buffer, size),
				length);
			assert_memory_equal(buffer, whole, size - 1);
			assert_int_equal(buffer[size - 1], '\0');
			free(buffer);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sum__has_every_count_of_both),
		cmocka_unit_test(text__is_for_people),
		cmocka_unit_test(json__is_one_object_on_a_line),
		cmocka_unit_test(json__of_an_empty_meter__has_everything),
		cmocka_unit_test(json__is_read_by_another_parser),
		cmocka_unit_test(openmetrics__has_a_family_for_each_count),
		cmocka_unit_test(name__too_long__is_cut),
		cmocka_unit_test(buffer__of_any_size__has_what_fits),
	};

	return cmocka_run_group_tests_name("service_meter", tests, NULL, NULL);
}
