/* SPDX-License-Identifier: MIT */
/*
 * Batches of records: msgpack-c writes them; they are read by the heads of their objects, so that
 * text stays where it is and nothing is allocated for a record.
 */
#include <rota/record.h>

#include <errno.h>
#include <string.h>

#include <msgpack/pack.h>

#include <rota/errors.h>

#include "allocator.h"
#include "msgpack_head.h"

/* A number of this batch has its generation in the upper half. */
struct writing {
	struct rota_batch *batch;
	msgpack_packer packer;
	int error;
};

void
rota_batch_init(struct rota_batch *batch, struct rota_names *names, size_t limit)
{
	*batch = (struct rota_batch){ .names = names, .generation = 1 };
	batch->bytes.limit = limit;
}

void
rota_batch_fini(struct rota_batch *batch)
{
	rota_buffer_fini(&batch->bytes);
	rota__free(batch->numbers);
	batch->numbers = NULL;
	batch->room = 0;
}

void
rota_batch_reset(struct rota_batch *batch)
{
	rota_buffer_reset(&batch->bytes);
	batch->records = 0;
	batch->next_number = 0;
	batch->generation++;
	if (batch->generation == 0) {
		batch->generation = 1;
		if (batch->numbers != NULL)
			memset(batch->numbers, 0, 2 * batch->room * sizeof(*batch->numbers));
	}
}

static int
put(void *writing_, const char *bytes, size_t len)
{
	struct writing *writing = writing_;

	if (writing->error == 0)
		writing->error = rota_buffer_add(&writing->batch->bytes, bytes, len);
	return writing->error;
}

/* Two words for each name: its number, and the generation that this is of. */
static int
make_room(struct rota_batch *batch, size_t least)
{
	size_t room = batch->room == 0 ? 32 : batch->room;
	uint32_t *numbers;

	while (room < least)
		room *= 2;
	if (room == batch->room)
		return 0;
	numbers = rota__realloc(batch->numbers, 2 * room * sizeof(*numbers));
	if (numbers == NULL)
		return -ENOMEM;
	memset(numbers + 2 * batch->room, 0, 2 * (room - batch->room) * sizeof(*numbers));
	batch->numbers = numbers;
	batch->room = room;
	return 0;
}

/* Writes the names that the batch does not have yet. */
static void
put_names(struct writing *writing, const struct rota_record *record)
{
	struct rota_batch *batch = writing->batch;

	for (size_t i = 0; i < record->count && writing->error == 0; i++) {
		uint32_t *number = &batch->numbers[2 * (size_t)record->fields[i].name];
		struct rota_text text;

		if (number[1] == batch->generation)
			continue;
		text = rota_names_text(record->names, record->fields[i].name);
		msgpack_pack_str_with_body(&writing->packer, text.bytes, text.len);
		number[0] = batch->next_number++;
		number[1] = batch->generation;
	}
}

static void
put_value(msgpack_packer *packer, const struct rota_value *value)
{
	switch (value->type) {
	case ROTA_TYPE_NULL:
		msgpack_pack_nil(packer);
		break;
	case ROTA_TYPE_BOOL:
		if (value->is.boolean)
			msgpack_pack_true(packer);
		else
			msgpack_pack_false(packer);
		break;
	case ROTA_TYPE_INT:
		msgpack_pack_int64(packer, value->is.integer);
		break;
	case ROTA_TYPE_DOUBLE:
		msgpack_pack_double(packer, value->is.number);
		break;
	case ROTA_TYPE_TEXT:
		msgpack_pack_str_with_body(packer, value->is.bytes, value->len);
		break;
	case ROTA_TYPE_BYTES:
		msgpack_pack_bin_with_body(packer, value->is.bytes, value->len);
		break;
	}
}

/* Names that did not get into the batch after all are forgotten: their numbers begin here. */
static void
forget_names(struct rota_batch *batch, const struct rota_record *record, uint32_t first)
{
	for (size_t i = 0; i < record->count; i++) {
		uint32_t *number = &batch->numbers[2 * (size_t)record->fields[i].name];

		if (number[1] == batch->generation && number[0] >= first)
			number[1] = 0;
	}
	batch->next_number = first;
}

int
rota_batch_add(struct rota_batch *batch, const struct rota_record *record)
{
	struct writing writing = { .batch = batch };
	size_t before = batch->bytes.len;
	uint32_t first = batch->next_number;
	int r = make_room(batch, rota_names_count(record->names));

	if (r < 0)
		return r;
	msgpack_packer_init(&writing.packer, &writing, put);
	put_names(&writing, record);
	msgpack_pack_map(&writing.packer, record->count);
	for (size_t i = 0; i < record->count && writing.error == 0; i++) {
		const struct rota_field *field = &record->fields[i];

		msgpack_pack_uint32(&writing.packer, batch->numbers[2 * (size_t)field->name]);
		put_value(&writing.packer, &field->value);
	}
	if (writing.error < 0) {
		batch->bytes.len = before;
		forget_names(batch, record, first);
		return writing.error;
	}
	batch->records++;
	return 0;
}

void
rota_batch_reader_init(struct rota_batch_reader *reader, struct rota_names *names)
{
	*reader = (struct rota_batch_reader){ .names = names };
}

void
rota_batch_reader_fini(struct rota_batch_reader *reader)
{
	rota__free(reader->of_number);
	rota_batch_reader_init(reader, reader->names);
}

void
rota_batch_reader_begin(struct rota_batch_reader *reader, const void *bytes, size_t len)
{
	reader->place = bytes;
	reader->end = len == 0 ? reader->place : reader->place + len;
	reader->count = 0;
}

/* The head of the next object, whose body is there. */
static int
read_head(struct rota_batch_reader *reader, struct msgpack_head *head)
{
	size_t left = (size_t)(reader->end - reader->place);

	if (left == 0 || rota__msgpack_head(reader->place, left, head) == 0 ||
		head->body > left - head->size)
		return -ROTA_EPACK;
	reader->place += head->size;
	return 0;
}

static int
read_name(struct rota_batch_reader *reader, const struct msgpack_head *head)
{
	const char *text = (const char *)reader->place;
	int r;

	if (reader->count == reader->room) {
		size_t room = reader->room == 0 ? 32 : 2 * reader->room;
		rota_name *of_number = rota__realloc(reader->of_number, room * sizeof(*of_number));

		if (of_number == NULL)
			return -ENOMEM;
		reader->of_number = of_number;
		reader->room = room;
	}
	/* The same name over and over would be without end otherwise. */
	if (head->body == 0 || reader->count == ROTA_NAMES_MAX)
		return -ROTA_EPACK;
	r = rota_names_add(reader->names, text, (size_t)head->body,
		&reader->of_number[reader->count]);
	if (r < 0)
		return r == -EINVAL ? -ROTA_EPACK : r;
	reader->count++;
	reader->place += head->body;
	return 0;
}

static int
read_value(struct rota_batch_reader *reader, struct rota_value *value)
{
	struct msgpack_head head;
	int r = read_head(reader, &head);

	if (r < 0)
		return r;
	switch (head.kind) {
	case MSGPACK_KIND_NIL:
		*value = rota_value_null();
		break;
	case MSGPACK_KIND_BOOL:
		*value = rota_value_bool(head.value != 0);
		break;
	case MSGPACK_KIND_UNSIGNED:
		if (head.value > INT64_MAX)
			return -ROTA_EPACK;
		*value = rota_value_int((int64_t)head.value);
		break;
	case MSGPACK_KIND_SIGNED:
		*value = rota_value_int((int64_t)head.value);
		break;
	case MSGPACK_KIND_FLOAT64:
		*value = rota_value_double(0);
		memcpy(&value->is.number, &head.value, sizeof value->is.number);
		break;
	case MSGPACK_KIND_TEXT:
		*value = rota_value_text((const char *)reader->place, (size_t)head.body);
		break;
	case MSGPACK_KIND_BYTES:
		*value = rota_value_bytes(reader->place, (size_t)head.body);
		break;
	default:
		return -ROTA_EPACK;
	}
	reader->place += head.body;
	return 0;
}

static int
read_fields(struct rota_batch_reader *reader, struct rota_record *record, uint64_t count)
{
	if (count > ROTA_RECORD_FIELDS_MAX)
		return -ROTA_EPACK;
	for (uint64_t i = 0; i < count; i++) {
		struct msgpack_head head;
		struct rota_value value;
		int r = read_head(reader, &head);

		if (r == 0 && (head.kind != MSGPACK_KIND_UNSIGNED || head.value >= reader->count))
			r = -ROTA_EPACK;
		if (r == 0)
			r = read_value(reader, &value);
		if (r == 0)
			r = rota_record_set(record, reader->of_number[head.value], &value);
		if (r < 0)
			return r;
		if (record->count != i + 1)
			return -ROTA_EPACK;
	}
	return 0;
}

int
rota_batch_reader_next(struct rota_batch_reader *reader, struct rota_record *record)
{
	rota_record_reset(record);
	while (reader->place < reader->end) {
		struct msgpack_head head;
		int r = read_head(reader, &head);

		if (r == 0 && head.kind == MSGPACK_KIND_MAP) {
			r = read_fields(reader, record, head.value);
			if (r == 0)
				return 1;
		} else if (r == 0) {
			r = head.kind == MSGPACK_KIND_TEXT ? read_name(reader, &head) : -ROTA_EPACK;
		}
		if (r < 0) {
			reader->place = reader->end;
			rota_record_reset(record);
			return r;
		}
	}
	return 0;
}
