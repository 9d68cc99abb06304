/* SPDX-License-Identifier: MIT */
/*
 * Records as text.
 *
 * A table and CSV have columns, which must be known before the first line. So the first records
 * are held back, in a batch, and the columns are all of their fields; the widths of a table's
 * columns are those of what is in these records, too. A field that comes later has no column: that
 * is an error, not a loss.
 */
#include "text_output.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "allocator.h"
#include "number.h"
#include "text_json.h"

#define HELD_RECORDS 1000
#define HELD_BYTES ((size_t)1 << 20)
#define WIDEST 80

struct column {
	rota_name name;
	size_t width;
	bool has_numbers; /* and nothing else: they are put to the right */
	bool has_others;
};

struct text_output {
	enum text_format format;
	struct rota_names *names;
	struct column *columns;
	size_t count;
	size_t room;
	bool has_given; /* columns that somebody gave, so that others are left out */
	bool has_begun; /* the heading is written */
	rota_name stranger;
	struct rota_batch held;
	struct rota_record record;
};

int
rota__text_output_new(enum text_format format, struct rota_names *names,
	struct text_output **ret_output)
{
	struct text_output *output = rota__calloc(sizeof(*output));

	if (output == NULL)
		return -ENOMEM;
	output->format = format;
	output->names = names;
	rota_batch_init(&output->held, names, HELD_BYTES);
	rota_record_init(&output->record, names);
	*ret_output = output;
	return 0;
}

void
rota__text_output_free(struct text_output *output)
{
	if (output == NULL)
		return;
	rota_batch_fini(&output->held);
	rota_record_fini(&output->record);
	rota__free(output->columns);
	rota__free(output);
}

const char *
rota__text_output_stranger(const struct text_output *output)
{
	return rota_names_text(output->names, output->stranger).bytes;
}

static struct column *
find_column(const struct text_output *output, rota_name name)
{
	for (size_t i = 0; i < output->count; i++)
		if (output->columns[i].name == name)
			return &output->columns[i];
	return NULL;
}

static size_t
count_characters(const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

static int
add_column(struct text_output *output, rota_name name)
{
	struct rota_text text = rota_names_text(output->names, name);

	if (find_column(output, name) != NULL)
		return 0;
	if (output->count == output->room) {
		size_t room = output->room == 0 ? 16 : 2 * output->room;
		struct column *columns;

		if (room > ROTA_RECORD_FIELDS_MAX)
			return -ROTA_ELIMIT;
		columns = rota__realloc(output->columns, room * sizeof(*columns));
		if (columns == NULL)
			return -ENOMEM;
		output->columns = columns;
		output->room = room;
	}
	output->columns[output->count++] =
		(struct column){ name, count_characters(text.bytes, text.len), false, false };
	return 0;
}

int
rota__text_output_column(struct text_output *output, rota_name name)
{
	output->has_given = true;
	return add_column(output, name);
}

/* A value as text, in a buffer if it is none. */
static struct rota_text
text_of(const struct rota_value *value, char buffer[NUMBER_TEXT])
{
	switch (value->type) {
	case ROTA_TYPE_NULL:
		return (struct rota_text){ "", 0 };
	case ROTA_TYPE_BOOL:
		return value->is.boolean ? (struct rota_text){ "true", 4 }
					 : (struct rota_text){ "false", 5 };
	case ROTA_TYPE_INT:
	case ROTA_TYPE_DOUBLE:
		return (struct rota_text){ buffer, rota__number_format(value, buffer) };
	default:
		return (struct rota_text){ value->is.bytes, value->len };
	}
}

/* JSON */

static int
write_json_value(struct writer *writer, const struct rota_value *value)
{
	char buffer[NUMBER_TEXT];
	struct rota_text text = text_of(value, buffer);

	/* JSON has no number that is none. */
	if (value->type == ROTA_TYPE_NULL ||
		(value->type == ROTA_TYPE_DOUBLE && !isfinite(value->is.number)))
		return rota__writer_write(writer, "null", 4);
	if (value->type == ROTA_TYPE_TEXT || value->type == ROTA_TYPE_BYTES)
		return rota__text_json_write(writer, text.bytes, text.len);
	return rota__writer_write(writer, text.bytes, text.len);
}

static int
write_json_member(const struct text_output *output, struct writer *writer, rota_name name,
	const struct rota_value *value, bool is_first)
{
	struct rota_text text = rota_names_text(output->names, name);
	int r = is_first ? 0 : rota__writer_write(writer, ",", 1);

	if (r == 0)
		r = rota__text_json_write(writer, text.bytes, text.len);
	if (r == 0)
		r = rota__writer_write(writer, ":", 1);
	return r < 0 ? r : write_json_value(writer, value);
}

static int
write_json(const struct text_output *output, struct writer *writer,
	const struct rota_record *record)
{
	const struct rota_value null = rota_value_null();
	int r = rota__writer_write(writer, "{", 1);

	for (size_t i = 0; !output->has_given && i < record->count && r == 0; i++)
		r = write_json_member(output, writer, record->fields[i].name,
			&record->fields[i].value, i == 0);
	for (size_t i = 0; output->has_given && i < output->count && r == 0; i++) {
		const struct rota_value *value = rota_record_get(record, output->columns[i].name);

		r = write_json_member(output, writer, output->columns[i].name,
			value != NULL ? value : &null, i == 0);
	}
	return r < 0 ? r : rota__writer_write(writer, "}\n", 2);
}

/* CSV, RFC 4180 with newlines alone */

static int
write_csv_text(struct writer *writer, const char *text, size_t len)
{
	size_t at = 0;
	int r;

	while (at < len && strchr(",\"\r\n", text[at]) == NULL)
		at++;
	/* strchr finds the NUL, which is written in quotes as well. */
	if (at == len)
		return rota__writer_write(writer, text, len);
	r = rota__writer_write(writer, "\"", 1);
	for (at = 0; at < len && r == 0; at++) {
		if (text[at] == '"')
			r = rota__writer_write(writer, "\"", 1);
		if (r == 0)
			r = rota__writer_write(writer, text + at, 1);
	}
	return r < 0 ? r : rota__writer_write(writer, "\"", 1);
}

/* The value, or, without a record, the name of a column. */
static struct rota_text
cell(const struct text_output *output, size_t column, const struct rota_record *record,
	char buffer[NUMBER_TEXT])
{
	const struct rota_value *value;

	if (record == NULL)
		return rota_names_text(output->names, output->columns[column].name);
	value = rota_record_get(record, output->columns[column].name);
	return value == NULL ? (struct rota_text){ "", 0 } : text_of(value, buffer);
}

static int
write_csv(const struct text_output *output, struct writer *writer, const struct rota_record *record)
{
	char buffer[NUMBER_TEXT];
	int r = 0;

	for (size_t i = 0; i < output->count && r == 0; i++) {
		struct rota_text text = cell(output, i, record, buffer);

		if (i > 0)
			r = rota__writer_write(writer, ",", 1);
		if (r == 0)
			r = write_csv_text(writer, text.bytes, text.len);
	}
	return r < 0 ? r : rota__writer_write(writer, "\n", 1);
}

/* Tables */

static int
write_spaces(struct writer *writer, size_t count)
{
	static const char spaces[] = "                ";
	int r = 0;

	while (count > 0 && r == 0) {
		size_t len = count < sizeof spaces - 1 ? count : sizeof spaces - 1;

		r = rota__writer_write(writer, spaces, len);
		count -= len;
	}
	return r;
}

/* What would move a terminal's cursor is a point. */
static int
write_visible(struct writer *writer, const char *text, size_t len)
{
	size_t done = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		if ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f)
			continue;
		r = rota__writer_write(writer, text + done, i - done);
		if (r == 0)
			r = rota__writer_write(writer, ".", 1);
		done = i + 1;
	}
	if (r == 0 && len > done)
		r = rota__writer_write(writer, text + done, len - done);
	return r;
}

static int
write_row(const struct text_output *output, struct writer *writer, const struct rota_record *record)
{
	char buffer[NUMBER_TEXT];
	int r = 0;

	for (size_t i = 0; i < output->count && r == 0; i++) {
		const struct column *column = &output->columns[i];
		struct rota_text text = cell(output, i, record, buffer);
		size_t width = count_characters(text.bytes, text.len);
		size_t left = width < column->width ? column->width - width : 0;
		bool is_number = column->has_numbers && !column->has_others;

		if (i > 0)
			r = rota__writer_write(writer, "  ", 2);
		if (r == 0 && is_number)
			r = write_spaces(writer, left);
		if (r == 0)
			r = write_visible(writer, text.bytes, text.len);
		/* Nothing stands behind the last column. */
		if (r == 0 && !is_number && i + 1 < output->count)
			r = write_spaces(writer, left);
	}
	return r < 0 ? r : rota__writer_write(writer, "\n", 1);
}

static void
measure(struct text_output *output, const struct rota_record *record)
{
	char buffer[NUMBER_TEXT];

	for (size_t i = 0; i < output->count; i++) {
		struct column *column = &output->columns[i];
		const struct rota_value *value = rota_record_get(record, column->name);
		struct rota_text text;
		size_t width;

		if (value == NULL || value->type == ROTA_TYPE_NULL)
			continue;
		if (value->type != ROTA_TYPE_INT && value->type != ROTA_TYPE_DOUBLE)
			column->has_others = true;
		else
			column->has_numbers = true;
		text = text_of(value, buffer);
		width = count_characters(text.bytes, text.len);
		if (width > WIDEST)
			width = WIDEST;
		if (width > column->width)
			column->width = width;
	}
}

static int
write_line(const struct text_output *output, struct writer *writer,
	const struct rota_record *record)
{
	char buffer[NUMBER_TEXT];
	int r = 0;

	for (size_t i = 0; i < (output->has_given ? output->count : record->count) && r == 0; i++) {
		struct rota_text text = output->has_given
			? cell(output, i, record, buffer)
			: text_of(&record->fields[i].value, buffer);

		if (i > 0)
			r = rota__writer_write(writer, "\t", 1);
		if (r == 0 && text.len > 0)
			r = rota__writer_write(writer, text.bytes, text.len);
	}
	return r < 0 ? r : rota__writer_write(writer, "\n", 1);
}

static int
write_columns(const struct text_output *output, struct writer *writer,
	const struct rota_record *record)
{
	return output->format == TEXT_CSV ? write_csv(output, writer, record)
					  : write_row(output, writer, record);
}

/* The heading, and what was held back. */
static int
begin(struct text_output *output, struct writer *writer)
{
	struct rota_batch_reader reader;
	int r = 0, has;

	output->has_begun = true;
	rota_batch_reader_init(&reader, output->names);
	for (int round = 0; round < 2 && r == 0; round++) {
		if (round == 1 && output->count > 0)
			r = write_columns(output, writer, NULL);
		rota_batch_reader_begin(&reader, output->held.bytes.bytes, output->held.bytes.len);
		for (has = 1; r == 0 && has > 0;) {
			has = rota_batch_reader_next(&reader, &output->record);
			if (has < 0)
				r = has;
			else if (has > 0 && round == 0)
				measure(output, &output->record);
			else if (has > 0)
				r = write_columns(output, writer, &output->record);
		}
	}
	rota_batch_reader_fini(&reader);
	rota_batch_fini(&output->held);
	return r;
}

/* Of a record behind the heading, too, each field has a column, unless columns were given. */
static int
check_columns(struct text_output *output, const struct rota_record *record)
{
	int r = 0;

	if (output->has_given)
		return 0;
	for (size_t i = 0; i < record->count && r == 0; i++) {
		if (!output->has_begun)
			r = add_column(output, record->fields[i].name);
		else if (find_column(output, record->fields[i].name) == NULL) {
			output->stranger = record->fields[i].name;
			return -EOVERFLOW;
		}
	}
	return r;
}

int
rota__text_output_add(struct text_output *output, struct writer *writer,
	const struct rota_record *record)
{
	int r;

	if (output->format == TEXT_JSON)
		return write_json(output, writer, record);
	if (output->format == TEXT_LINES)
		return write_line(output, writer, record);
	r = check_columns(output, record);
	if (r < 0)
		return r;
	if (!output->has_begun) {
		r = output->held.records < HELD_RECORDS ? rota_batch_add(&output->held, record)
							: -EMSGSIZE;
		if (r != -EMSGSIZE)
			return r;
		r = begin(output, writer);
		if (r < 0)
			return r;
	}
	return write_columns(output, writer, record);
}

int
rota__text_output_finish(struct text_output *output, struct writer *writer)
{
	if (output->format == TEXT_JSON || output->format == TEXT_LINES || output->has_begun)
		return 0;
	return begin(output, writer);
}
