/* SPDX-License-Identifier: MIT */
/*
 * Records in one block of memory: see kept.h. Text is found behind the fields, so that a record can
 * be moved.
 */
#include "kept.h"

#include <string.h>

static bool
is_string(const struct rota_value *value)
{
	return value->type == ROTA_TYPE_TEXT || value->type == ROTA_TYPE_BYTES;
}

size_t
rota__kept_size(const struct rota_record *record)
{
	size_t len = sizeof(struct kept) + record->count * sizeof(struct rota_field);

	for (size_t i = 0; i < record->count; i++)
		len += is_string(&record->fields[i].value) ? record->fields[i].value.len : 0;
	return (len + 7) & ~(size_t)7;
}

void
rota__kept_put(char *place, size_t len, const struct rota_record *record)
{
	struct kept *kept = (struct kept *)(void *)place;
	struct rota_field *fields = (struct rota_field *)(void *)(kept + 1);
	char *text = (char *)(fields + record->count);

	kept->len = (uint32_t)len;
	kept->count = (uint32_t)record->count;
	memcpy(fields, record->fields, record->count * sizeof(*fields));
	for (size_t i = 0; i < record->count; i++) {
		const struct rota_value *value = &record->fields[i].value;

		if (!is_string(value) || value->len == 0)
			continue;
		memcpy(text, value->is.bytes, value->len);
		text += value->len;
	}
}

struct rota_value
rota__kept_value(const struct kept *kept, rota_name name)
{
	const struct rota_field *fields = (const struct rota_field *)(const void *)(kept + 1);
	const char *text = (const char *)(fields + kept->count);

	for (uint32_t i = 0; i < kept->count; i++) {
		struct rota_value value = fields[i].value;

		if (is_string(&value)) {
			value.is.bytes = text;
			text += value.len;
		}
		if (fields[i].name == name)
			return value;
	}
	return rota_value_null();
}

int
rota__kept_restore(const struct kept *kept, struct rota_record *record)
{
	const struct rota_field *fields = (const struct rota_field *)(const void *)(kept + 1);
	const char *text = (const char *)(fields + kept->count);
	int r = 0;

	rota_record_reset(record);
	for (uint32_t i = 0; i < kept->count && r == 0; i++) {
		struct rota_value value = fields[i].value;

		if (is_string(&value)) {
			value.is.bytes = text;
			text += value.len;
		}
		r = rota_record_set(record, fields[i].name, &value);
	}
	return r;
}
