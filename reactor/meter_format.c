/* SPDX-License-Identifier: MIT */
/*
 * What a meter says, as text. Numbers are put together from integers: floating point would lose
 * nanoseconds after a hundred days, and its decimal point is the locale's.
 */
#include <rota/meter.h>

#include <inttypes.h>
#include <stdio.h>

#include "text.h"

#define LAST (ROTA_METER_BUCKETS - 1)

/* As long as a time can be. */
#define TIME_MAX 40

/* A time as text. */
struct duration {
	char text[TIME_MAX];
};

static struct duration
seconds(rota_time time)
{
	uint64_t size = time < 0 ? 0 - (uint64_t)time : (uint64_t)time;
	struct duration text;

	snprintf(text.text, sizeof text.text, "%s%" PRIu64 ".%09" PRIu64, time < 0 ? "-" : "",
		size / ROTA_SECOND, size % ROTA_SECOND);
	return text;
}

/* In the largest unit of which there is one, with one digit behind its point. */
static struct duration
rounded(rota_time time)
{
	static const struct {
		const char *name;
		rota_time size;
	} units[] = { { "s", ROTA_SECOND }, { "ms", ROTA_MILLISECOND },
		{ "us", ROTA_MICROSECOND } };
	struct duration text;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		rota_time size = units[i].size;

		if (time < size)
			continue;
		snprintf(text.text, sizeof text.text, "%" PRId64 ".%" PRId64 " %s", time / size,
			time % size / (size / 10), units[i].name);
		return text;
	}
	snprintf(text.text, sizeof text.text, "%" PRId64 " ns", time);
	return text;
}

/* The longest duration that a bucket counts; the last one's has no end. */
static rota_time
longest(int bucket)
{
	return ((rota_time)2 << bucket) - 1;
}

/* Text for people */

static void
add_text(struct rota__text *text, const struct rota_meter *meter)
{
	rota__text_add(text, "turns            %" PRIu64 "\n", meter->turns);
	rota__text_add(text, "handlers         %" PRIu64 ", at most %" PRIu64 " in a turn\n",
		meter->handlers, meter->most_handlers);
	rota__text_add(text, "time in waits    %s\n", rounded(meter->waiting).text);
	rota__text_add(text, "time in handlers %s\n", rounded(meter->busy).text);
	rota__text_add(text, "slowest handler  ");
	if (meter->slowest_name != NULL)
		rota__text_add(text, "%s, %s\n", rounded(meter->slowest).text,
			rota__text_quoted(meter->slowest_name).text);
	else
		rota__text_add(text, "none\n");
	rota__text_add(text, "accept pauses    %" PRIu64 "\n", meter->accept_pauses);
	rota__text_add(text, "drops            %" PRIu64 "\n", meter->drops);
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		bool is_last = i == LAST;

		if (meter->durations[i] > 0)
			rota__text_add(text, "%s %-10s %" PRIu64 " handlers\n",
				is_last ? "from " : "below",
				rounded((rota_time)1 << (is_last ? i : i + 1)).text,
				meter->durations[i]);
	}
}

/* JSON */

static void
add_json_durations(struct rota__text *text, const struct rota_meter *meter)
{
	const char *comma = "";

	rota__text_add(text, "\"durations\":[");
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		if (meter->durations[i] == 0)
			continue;
		rota__text_add(text, "%s{\"to\":%s,\"handlers\":%" PRIu64 "}", comma,
			i < LAST ? seconds(longest(i)).text : "null", meter->durations[i]);
		comma = ",";
	}
	rota__text_add(text, "]");
}

static void
add_json(struct rota__text *text, const struct rota_meter *meter)
{
	rota__text_add(text,
		"{\"turns\":%" PRIu64 ",\"handlers\":%" PRIu64 ",\"most_handlers\":%" PRIu64 ",",
		meter->turns, meter->handlers, meter->most_handlers);
	rota__text_add(text, "\"waiting\":%s,\"busy\":%s,", seconds(meter->waiting).text,
		seconds(meter->busy).text);
	rota__text_add(text, "\"slowest\":%s,", seconds(meter->slowest).text);
	if (meter->slowest_name != NULL)
		rota__text_add(text, "\"slowest_name\":\"%s\",",
			rota__text_quoted(meter->slowest_name).text);
	else
		rota__text_add(text, "\"slowest_name\":null,");
	rota__text_add(text, "\"accept_pauses\":%" PRIu64 ",\"drops\":%" PRIu64 ",",
		meter->accept_pauses, meter->drops);
	add_json_durations(text, meter);
	rota__text_add(text, "}\n");
}

/* OpenMetrics */

static void
add_family(struct rota__text *text, const char *name, const char *type, const char *unit,
	const char *help)
{
	rota__text_add(text, "# TYPE %s %s\n", name, type);
	if (unit != NULL)
		rota__text_add(text, "# UNIT %s %s\n", name, unit);
	rota__text_add(text, "# HELP %s %s\n", name, help);
}

static void
add_counter(struct rota__text *text, const char *name, const char *help, uint64_t value)
{
	add_family(text, name, "counter", NULL, help);
	rota__text_add(text, "%s_total %" PRIu64 "\n", name, value);
}

static void
add_time(struct rota__text *text, const char *name, const char *help, rota_time value)
{
	add_family(text, name, "counter", "seconds", help);
	rota__text_add(text, "%s_total %s\n", name, seconds(value).text);
}

/* Its buckets count all up to their end, those of smaller ones included. */
static void
add_histogram(struct rota__text *text, const struct rota_meter *meter)
{
	static const char name[] = "rota_handler_duration_seconds";
	uint64_t count = 0;

	add_family(text, name, "histogram", "seconds", "How long handlers took.");
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		count += meter->durations[i];
		rota__text_add(text, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
			i < LAST ? seconds(longest(i)).text : "+Inf", count);
	}
	rota__text_add(text, "%s_count %" PRIu64 "\n", name, count);
	rota__text_add(text, "%s_sum %s\n", name, seconds(meter->busy).text);
}

static void
add_openmetrics(struct rota__text *text, const struct rota_meter *meter)
{
	add_counter(text, "rota_turns", "Turns that were taken.", meter->turns);
	add_time(text, "rota_wait_seconds", "Time spent in waits.", meter->waiting);
	add_histogram(text, meter);
	add_family(text, "rota_turn_handlers_max", "gauge", NULL, "Most handlers of a turn.");
	rota__text_add(text, "rota_turn_handlers_max %" PRIu64 "\n", meter->most_handlers);
	add_family(text, "rota_slowest_handler_seconds", "gauge", "seconds",
		"The longest that a handler took.");
	if (meter->slowest_name != NULL)
		rota__text_add(text, "rota_slowest_handler_seconds{handler=\"%s\"} %s\n",
			rota__text_quoted(meter->slowest_name).text, seconds(meter->slowest).text);
	add_counter(text, "rota_accept_pauses", "Times a listener paused.", meter->accept_pauses);
	add_counter(text, "rota_drops", "Connections that could not be kept.", meter->drops);
	rota__text_add(text, "# EOF\n");
}

size_t
rota_meter_format(const struct rota_meter *meter, enum rota_meter_format format, char *buffer,
	size_t size)
{
	struct rota__text text = rota__text_begin(buffer, size);

	switch (format) {
	case ROTA_METER_TEXT:
		add_text(&text, meter);
		break;
	case ROTA_METER_JSON:
		add_json(&text, meter);
		break;
	case ROTA_METER_OPENMETRICS:
		add_openmetrics(&text, meter);
		break;
	}
	return text.len;
}
