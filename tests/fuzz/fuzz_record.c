/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes batches of records, and lines of access logs, for libFuzzer. An input is read as both, in
 * a block of its exact size. Records that are read are written again, and read the same. The parts
 * of a line lie within it.
 */
#include "formats.h"

#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>
#include <rota/record.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

struct fuzzing {
	struct rota_names *names;
	struct rota_names *others;
	struct rota_record record;
	struct rota_record again;
	struct rota_batch batch;
	struct rota_batch_reader reader;
	struct rota_batch_reader second;
};

static void
check_record(struct fuzzing *fuzzing)
{
	rota_batch_reset(&fuzzing->batch);
	require(rota_batch_add(&fuzzing->batch, &fuzzing->record) == 0);
	require(rota_batch_add(&fuzzing->batch, &fuzzing->record) == 0);
	rota_batch_reader_begin(&fuzzing->second, fuzzing->batch.bytes.bytes,
		fuzzing->batch.bytes.len);
	for (int i = 0; i < 2; i++) {
		require(rota_batch_reader_next(&fuzzing->second, &fuzzing->again) == 1);
		require(rota_record_is_equal(&fuzzing->record, &fuzzing->again));
	}
	require(rota_batch_reader_next(&fuzzing->second, &fuzzing->again) == 0);
}

static void
check_batch(const void *bytes, size_t len)
{
	struct fuzzing fuzzing;
	int r;

	require(rota_names_new(&fuzzing.names) == 0 && rota_names_new(&fuzzing.others) == 0);
	rota_record_init(&fuzzing.record, fuzzing.names);
	rota_record_init(&fuzzing.again, fuzzing.others);
	rota_batch_init(&fuzzing.batch, fuzzing.names, 64 << 20);
	rota_batch_reader_init(&fuzzing.reader, fuzzing.names);
	rota_batch_reader_init(&fuzzing.second, fuzzing.others);
	rota_batch_reader_begin(&fuzzing.reader, bytes, len);
	do {
		r = rota_batch_reader_next(&fuzzing.reader, &fuzzing.record);
		if (r > 0)
			check_record(&fuzzing);
	} while (r > 0);
	require(r == 0 || r == -ROTA_EPACK || r == -ROTA_ELIMIT);
	require(fuzzing.record.count == 0);
	rota_batch_reader_fini(&fuzzing.second);
	rota_batch_reader_fini(&fuzzing.reader);
	rota_batch_fini(&fuzzing.batch);
	rota_record_fini(&fuzzing.again);
	rota_record_fini(&fuzzing.record);
	rota_names_free(fuzzing.others);
	rota_names_free(fuzzing.names);
}

static void
check_line(const char *line, size_t len)
{
	struct rota_text parts[COMBINED_PARTS];

	if (!rota__combined_split(line, len, parts))
		return;
	for (int i = 0; i < COMBINED_PARTS; i++) {
		if (parts[i].bytes == NULL)
			continue;
		require(parts[i].bytes >= line && parts[i].bytes <= line + len);
		require(parts[i].len <= (size_t)(line + len - parts[i].bytes));
	}
	require(parts[COMBINED_HOST].bytes == line && parts[COMBINED_PATH].bytes != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *alone = malloc(size + (size == 0));

	require(alone != NULL);
	if (size > 0)
		memcpy(alone, data, size);
	check_batch(alone, size);
	check_line(alone, size);
	free(alone);
	return 0;
}
