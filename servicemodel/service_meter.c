/* SPDX-License-Identifier: MIT */
/*
 * What services count: added up, and as text.
 */
#include <rota/service_meter.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_MAX 64

/* The counts that are one number each. */
static const struct count {
	const char *name; /* in JSON */
	const char *text; /* for people */
	const char *family;
	const char *type;
	const char *help;
	size_t offset;
} counts[] = {
#define COUNT(name, text, family, type, help) \
	{ \
#name, text, "rota_service_" family, type, help, \
			offsetof(struct rota_service_meter, name) \
	}
	COUNT(accepted, "accepted  ", "accepted", "counter", "Sessions."),
	COUNT(opened, "opened    ", "opened", "counter", "Sessions that were opened."),
	COUNT(sessions, "sessions  ", "sessions", "gauge", "Sessions now."),
	COUNT(most, "most      ", "sessions_max", "gauge", "Most sessions at once."),
	COUNT(refused, "refused   ", "refused", "counter", "Connections of sources with too many."),
	COUNT(paused, "paused    ", "paused", "counter", "Times that accepting was put off."),
	COUNT(frames_in, "frames in ", "frames_in", "counter", "Frames that came."),
	COUNT(frames_out, "frames out", "frames_out", "counter", "Frames that were sent."),
	COUNT(bytes_in, "bytes in  ", "bytes_in", "counter", "Bytes that frames or data took."),
	COUNT(bytes_out, "bytes out ", "bytes_out", "counter", "Bytes that were sent."),
	COUNT(bad_frames, "bad frames", "bad_frames", "counter", "Sessions ended by a bad frame."),
#undef COUNT
};

#define COUNTS (sizeof counts / sizeof counts[0])

/* What is written to, as far as there is room, and how long it would be. */
struct text {
	char *buffer;
	size_t size;
	size_t len;
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

static uint64_t
value_of(const struct rota_service_meter *meter, const struct count *count)
{
	return *(const uint64_t *)(const void *)((const char *)meter + count->offset);
}

static void
add_text(struct text *text, const struct rota_service_meter *meter, const char *name)
{
	add(text, "service    %s\n", name);
	for (size_t i = 0; i < COUNTS; i++)
		add(text, "%s %" PRIu64 "\n", counts[i].text, value_of(meter, &counts[i]));
	for (int i = 0; i < ROTA_REASON_COUNT; i++) {
		if (meter->closed[i] > 0)
			add(text, "closed     %" PRIu64 ", %s\n", meter->closed[i],
				rota_reason_name((enum rota_reason)i));
	}
}

static void
add_json(struct text *text, const struct rota_service_meter *meter, const char *name)
{
	const char *comma = "";

	add(text, "{\"name\":\"%s\",", name);
	for (size_t i = 0; i < COUNTS; i++)
		add(text, "\"%s\":%" PRIu64 ",", counts[i].name, value_of(meter, &counts[i]));
	add(text, "\"closed\":{");
	for (int i = 0; i < ROTA_REASON_COUNT; i++) {
		if (meter->closed[i] == 0)
			continue;
		add(text, "%s\"%s\":%" PRIu64, comma, rota_reason_name((enum rota_reason)i),
			meter->closed[i]);
		comma = ",";
	}
	add(text, "}}\n");
}

static void
add_family(struct text *text, const char *family, const char *type, const char *help)
{
	add(text, "# TYPE %s %s\n", family, type);
	add(text, "# HELP %s %s\n", family, help);
}

static void
add_openmetrics(struct text *text, const struct rota_service_meter *meter, const char *name)
{
	static const char closed[] = "rota_service_closed";

	for (size_t i = 0; i < COUNTS; i++) {
		bool is_counter = counts[i].type[0] == 'c';

		add_family(text, counts[i].family, counts[i].type, counts[i].help);
		add(text, "%s%s{service=\"%s\"} %" PRIu64 "\n", counts[i].family,
			is_counter ? "_total" : "", name, value_of(meter, &counts[i]));
	}
	add_family(text, closed, "counter", "Sessions that ended, by reason.");
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		add(text, "%s_total{service=\"%s\",reason=\"%s\"} %" PRIu64 "\n", closed, name,
			rota_reason_name((enum rota_reason)i), meter->closed[i]);
	add(text, "# EOF\n");
}

void
rota_service_meter_add(struct rota_service_meter *sum, const struct rota_service_meter *part)
{
	sum->accepted += part->accepted;
	sum->opened += part->opened;
	sum->sessions += part->sessions;
	sum->most += part->most;
	sum->refused += part->refused;
	sum->paused += part->paused;
	sum->frames_in += part->frames_in;
	sum->frames_out += part->frames_out;
	sum->bytes_in += part->bytes_in;
	sum->bytes_out += part->bytes_out;
	sum->bad_frames += part->bad_frames;
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		sum->closed[i] += part->closed[i];
}

size_t
rota_service_meter_format(const struct rota_service_meter *meter, const char *name,
	enum rota_meter_format format, char *buffer, size_t size)
{
	struct text text = { .buffer = buffer, .size = size };
	struct name shown = quoted(name != NULL ? name : "");

	if (size > 0)
		buffer[0] = '\0';
	switch (format) {
	case ROTA_METER_TEXT:
		add_text(&text, meter, shown.text);
		break;
	case ROTA_METER_JSON:
		add_json(&text, meter, shown.text);
		break;
	case ROTA_METER_OPENMETRICS:
		add_openmetrics(&text, meter, shown.text);
		break;
	}
	return text.len;
}
