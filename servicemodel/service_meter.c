/* SPDX-License-Identifier: MIT */
/*
 * What services count: added up, and as text.
 */
#include <rota/service_meter.h>

#include <inttypes.h>

#include "text.h"

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

static uint64_t *
count_of(struct rota_service_meter *meter, const struct count *count)
{
	return (uint64_t *)(void *)((char *)meter + count->offset);
}

static uint64_t
value_of(const struct rota_service_meter *meter, const struct count *count)
{
	return *count_of((struct rota_service_meter *)meter, count);
}

static void
add_text(struct rota__text *text, const struct rota_service_meter *meter, const char *name)
{
	rota__text_add(text, "service    %s\n", name);
	for (size_t i = 0; i < COUNTS; i++)
		rota__text_add(text, "%s %" PRIu64 "\n", counts[i].text,
			value_of(meter, &counts[i]));
	for (int i = 0; i < ROTA_REASON_COUNT; i++) {
		if (meter->closed[i] > 0)
			rota__text_add(text, "closed     %" PRIu64 ", %s\n", meter->closed[i],
				rota_reason_name((enum rota_reason)i));
	}
}

static void
add_json(struct rota__text *text, const struct rota_service_meter *meter, const char *name)
{
	const char *comma = "";

	rota__text_add(text, "{\"name\":\"%s\",", name);
	for (size_t i = 0; i < COUNTS; i++)
		rota__text_add(text, "\"%s\":%" PRIu64 ",", counts[i].name,
			value_of(meter, &counts[i]));
	rota__text_add(text, "\"closed\":{");
	for (int i = 0; i < ROTA_REASON_COUNT; i++) {
		if (meter->closed[i] == 0)
			continue;
		rota__text_add(text, "%s\"%s\":%" PRIu64, comma,
			rota_reason_name((enum rota_reason)i), meter->closed[i]);
		comma = ",";
	}
	rota__text_add(text, "}}\n");
}

static void
add_family(struct rota__text *text, const char *family, const char *type, const char *help)
{
	rota__text_add(text, "# TYPE %s %s\n", family, type);
	rota__text_add(text, "# HELP %s %s\n", family, help);
}

static void
add_openmetrics(struct rota__text *text, const struct rota_service_meter *meter, const char *name)
{
	static const char closed[] = "rota_service_closed";

	for (size_t i = 0; i < COUNTS; i++) {
		bool is_counter = counts[i].type[0] == 'c';

		add_family(text, counts[i].family, counts[i].type, counts[i].help);
		rota__text_add(text, "%s%s{service=\"%s\"} %" PRIu64 "\n", counts[i].family,
			is_counter ? "_total" : "", name, value_of(meter, &counts[i]));
	}
	add_family(text, closed, "counter", "Sessions that ended, by reason.");
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		rota__text_add(text, "%s_total{service=\"%s\",reason=\"%s\"} %" PRIu64 "\n", closed,
			name, rota_reason_name((enum rota_reason)i), meter->closed[i]);
	rota__text_add(text, "# EOF\n");
}

void
rota_service_meter_add(struct rota_service_meter *sum, const struct rota_service_meter *part)
{
	for (size_t i = 0; i < COUNTS; i++)
		*count_of(sum, &counts[i]) += value_of(part, &counts[i]);
	for (int i = 0; i < ROTA_REASON_COUNT; i++)
		sum->closed[i] += part->closed[i];
}

size_t
rota_service_meter_format(const struct rota_service_meter *meter, const char *name,
	enum rota_meter_format format, char *buffer, size_t size)
{
	struct rota__text text = rota__text_begin(buffer, size);
	struct rota__name shown = rota__text_quoted(name != NULL ? name : "");

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
