/* SPDX-License-Identifier: MIT */
/*
 * What a meter says, as text. Numbers are put together from integers: floating point would lose
 * nanoseconds after a hundred days, and its decimal point is the locale's.
 */
#include <rota/meter.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LAST (ROTA_METER_BUCKETS - 1)

/* As long as a time can be, and as a name may be. */
#define TIME_MAX 40
#define NAME_MAX 64

/* What is written to, as far as there is room, and how long it would be. */
struct text {
	char *buffer;
	size_t size;
	size_t len;
};

/* A time as text. */
struct duration {
	char text[TIME_MAX];
};

struct name {
	char text[2 * NAME_MAX];
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct text *text, const char *format, ...)
{
	bool has_room = text->len < text->size;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(has_room ? text->buffer + text->len : NULL,
		has_room ? text->size - text->len : 0, format, arguments);
	va_end(arguments);
	text->len += length > 0 ? (size_t)length : 0;
}

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

/* As it stands between the quotes of JSON, and of a label of OpenMetrics. */
static struct name
quoted(const char *name)
{
	struct name quoted = { "" };
	char *to = quoted.text;

	for (size_t i = 0; i < NAME_MAX - 1 && name[i] != '\0'; i++) {
		if (name[i] == '"' || name[i] == '\\')
			*to++ = '\\';
		*to++ = (char)(name[i] >= ' ' && name[i] <= '~' ? name[i] : '?');
	}
	return quoted;
}

/* The longest duration that a bucket counts; the last one's has no end. */
static rota_time
longest(int bucket)
{
	return ((rota_time)2 << bucket) - 1;
}

/* Text for people */

static void
add_text(struct text *text, const struct rota_meter *meter)
{
	add(text, "turns            %" PRIu64 "\n", meter->turns);
	add(text, "handlers         %" PRIu64 ", at most %" PRIu64 " in a turn\n", meter->handlers,
		meter->most_handlers);
	add(text, "time in waits    %s\n", rounded(meter->waiting).text);
	add(text, "time in handlers %s\n", rounded(meter->busy).text);
	add(text, "slowest handler  ");
	if (meter->slowest_name != NULL)
		add(text, "%s, %s\n", rounded(meter->slowest).text,
			quoted(meter->slowest_name).text);
	else
		add(text, "none\n");
	add(text, "accept pauses    %" PRIu64 "\n", meter->accept_pauses);
	add(text, "drops            %" PRIu64 "\n", meter->drops);
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		bool is_last = i == LAST;

		if (meter->durations[i] > 0)
			add(text, "%s %-10s %" PRIu64 " handlers\n", is_last ? "from " : "below",
				rounded((rota_time)1 << (is_last ? i : i + 1)).text,
				meter->durations[i]);
	}
}

/* JSON */

static void
add_json_durations(struct text *text, const struct rota_meter *meter)
{
	const char *comma = "";

	add(text, "\"durations\":[");
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		if (meter->durations[i] == 0)
			continue;
		add(text, "%s{\"to\":%s,\"handlers\":%" PRIu64 "}", comma,
			i < LAST ? seconds(longest(i)).text : "null", meter->durations[i]);
		comma = ",";
	}
	add(text, "]");
}

static void
add_json(struct text *text, const struct rota_meter *meter)
{
	add(text, "{\"turns\":%" PRIu64 ",\"handlers\":%" PRIu64 ",\"most_handlers\":%" PRIu64 ",",
		meter->turns, meter->handlers, meter->most_handlers);
	add(text, "\"waiting\":%s,\"busy\":%s,", seconds(meter->waiting).text,
		seconds(meter->busy).text);
	add(text, "\"slowest\":%s,", seconds(meter->slowest).text);
	if (meter->slowest_name != NULL)
		add(text, "\"slowest_name\":\"%s\",", quoted(meter->slowest_name).text);
	else
		add(text, "\"slowest_name\":null,");
	add(text, "\"accept_pauses\":%" PRIu64 ",\"drops\":%" PRIu64 ",", meter->accept_pauses,
		meter->drops);
	add_json_durations(text, meter);
	add(text, "}\n");
}

/* OpenMetrics */

static void
add_family(struct text *text, const char *name, const char *type, const char *unit,
	const char *help)
{
	add(text, "# TYPE %s %s\n", name, type);
	if (unit != NULL)
		add(text, "# UNIT %s %s\n", name, unit);
	add(text, "# HELP %s %s\n", name, help);
}

static void
add_counter(struct text *text, const char *name, const char *help, uint64_t value)
{
	add_family(text, name, "counter", NULL, help);
	add(text, "%s_total %" PRIu64 "\n", name, value);
}

static void
add_time(struct text *text, const char *name, const char *help, rota_time value)
{
	add_family(text, name, "counter", "seconds", help);
	add(text, "%s_total %s\n", name, seconds(value).text);
}

/* Its buckets count all up to their end, those of smaller ones included. */
static void
add_histogram(struct text *text, const struct rota_meter *meter)
{
	static const char name[] = "rota_handler_duration_seconds";
	uint64_t count = 0;

	add_family(text, name, "histogram", "seconds", "How long handlers took.");
	for (int i = 0; i < ROTA_METER_BUCKETS; i++) {
		count += meter->durations[i];
		add(text, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
			i < LAST ? seconds(longest(i)).text : "+Inf", count);
	}
	add(text, "%s_count %" PRIu64 "\n", name, count);
	add(text, "%s_sum %s\n", name, seconds(meter->busy).text);
}

static void
add_openmetrics(struct text *text, const struct rota_meter *meter)
{
	add_counter(text, "rota_turns", "Turns that were taken.", meter->turns);
	add_time(text, "rota_wait_seconds", "Time spent in waits.", meter->waiting);
	add_histogram(text, meter);
	add_family(text, "rota_turn_handlers_max", "gauge", NULL, "Most handlers of a turn.");
	add(text, "rota_turn_handlers_max %" PRIu64 "\n", meter->most_handlers);
	add_family(text, "rota_slowest_handler_seconds", "gauge", "seconds",
		"The longest that a handler took.");
	if (meter->slowest_name != NULL)
		add(text, "rota_slowest_handler_seconds{handler=\"%s\"} %s\n",
			quoted(meter->slowest_name).text, seconds(meter->slowest).text);
	add_counter(text, "rota_accept_pauses", "Times a listener paused.", meter->accept_pauses);
	add_counter(text, "rota_drops", "Connections that could not be kept.", meter->drops);
	add(text, "# EOF\n");
}

size_t
rota_meter_format(const struct rota_meter *meter, enum rota_meter_format format, char *buffer,
	size_t size)
{
	struct text text = { .buffer = buffer, .size = size };

	if (size > 0)
		buffer[0] = '\0';
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
