/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes what reads packed values, for libFuzzer. An input is a pattern, a NUL, and bytes. They are
 * read by the pattern, and by patterns of the fuzzer's own, each in a block of its exact size. A
 * call must say what its contract allows, with a text that is ended, and store nothing when it
 * fails; what is stored points into the bytes, is whole, and is written the same again.
 */
#include <rota/pack.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So many arguments a pattern of the input's may have: more of them are not read. */
#define ARGUMENTS 8
#define PATTERN_MAX 64

/* Room for whatever a letter stores; also the text of a key. */
union place {
	char key[16];
	int64_t number;
	double real;
	struct rota_text text;
	struct rota_bytes bytes;
	struct rota_members members;
};

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* At most as many as there are places: a letter takes one, a key that is an argument another. */
static size_t
count_arguments(const char *pattern)
{
	size_t count = 0;

	for (; *pattern != '\0'; pattern++)
		count += strchr(" ,[]{}:?*!n_", *pattern) == NULL;
	return count;
}

static void
check_said(ssize_t r, size_t len, const struct rota_unpack_error *error, size_t pattern_len)
{
	require((r >= 0 && (size_t)r <= len) || r == -ROTA_EPACK || r == -EINVAL);
	if (r < 0) {
		require(memchr(error->text, '\0', sizeof error->text) != NULL);
		require(error->text[0] != '\0');
		require(error->offset <= (r == -EINVAL ? pattern_len : len));
	}
}

static void
read_by_its_pattern(const char *pattern, const void *bytes, size_t len)
{
	union place places[ARGUMENTS];
	union place before[ARGUMENTS];
	struct rota_unpack_error error = { 0, "" };
	ssize_t r;

	memset(places, 0, sizeof places);
	for (size_t i = 0; i < ARGUMENTS; i++)
		places[i].key[0] = (char)('a' + i);
	memcpy(before, places, sizeof before);
	r = rota_unpack(bytes, len, &error, pattern, &places[0], &places[1], &places[2], &places[3],
		&places[4], &places[5], &places[6], &places[7]);
	check_said(r, len, &error, strlen(pattern));
	if (r < 0)
		require(memcmp(places, before, sizeof before) == 0);
}

static bool
is_within(const void *part, size_t part_len, const void *bytes, size_t len)
{
	uintptr_t from = (uintptr_t)part;
	uintptr_t whole = (uintptr_t)bytes;

	return part_len <= len && from >= whole && from - whole <= len - part_len;
}

/* Any value, which is one again where it is packed. */
static void
read_value(const void *bytes, size_t len)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_unpack_error error = { 0, "" };
	struct rota_members members;
	struct rota_bytes value;
	ssize_t r = rota_unpack(bytes, len, &error, "v *", &value);
	int packed;

	check_said(r, len, &error, 0);
	if (r < 0)
		return;
	require(value.bytes == bytes && value.len == (size_t)r);
	require(rota_pack(&buffer, "v", &value) == 0);
	require(buffer.len == value.len && memcmp(buffer.bytes, bytes, value.len) == 0);
	rota_buffer_reset(&buffer);
	packed = rota_pack(&buffer, "[[v]]", &value);
	require(packed == 0 || packed == -ROTA_EPACK);
	rota_buffer_fini(&buffer);
	if (rota_unpack(bytes, len, NULL, "a *", &members) >= 0 ||
		rota_unpack(bytes, len, NULL, "m *", &members) >= 0)
		require(is_within(members.bytes, members.len, bytes, len) &&
			members.count <= members.len);
}

/* Typed values are the same when they were packed and read again. */
static void
read_typed(const void *bytes, size_t len)
{
	static const char pattern[] = "I {a: t, b: [U y]} d";
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_text text, text_again;
	struct rota_bytes some, some_again;
	uint64_t U, U_again;
	int64_t I, I_again;
	double d, d_again;

	if (rota_unpack(bytes, len, NULL, pattern, &I, &text, &U, &some, &d) < 0)
		return;
	require(is_within(text.bytes, text.len, bytes, len));
	require(is_within(some.bytes, some.len, bytes, len));
	require(rota_pack(&buffer, pattern, I, &text, U, &some, d) == 0);
	require(rota_unpack(buffer.bytes, buffer.len, NULL, pattern, &I_again, &text_again,
			&U_again, &some_again, &d_again) == (ssize_t)buffer.len);
	require(I == I_again && U == U_again && memcmp(&d, &d_again, sizeof d) == 0);
	require(text.len == text_again.len && some.len == some_again.len);
	require(memcmp(text.bytes, text_again.bytes, text.len) == 0);
	require(memcmp(some.bytes, some_again.bytes, some.len) == 0);
	rota_buffer_fini(&buffer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
	size_t len;
	void *bytes;

	if (end == NULL || end - data > PATTERN_MAX)
		return 0;
	len = size - (size_t)(end + 1 - data);
	bytes = malloc(len);
	require(bytes != NULL);
	memcpy(bytes, end + 1, len);
	if (count_arguments((const char *)data) <= ARGUMENTS)
		read_by_its_pattern((const char *)data, bytes, len);
	read_value(bytes, len);
	read_typed(bytes, len);
	free(bytes);
	return 0;
}
