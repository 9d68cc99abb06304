/* SPDX-License-Identifier: MIT */
/*
 * Sorting: records in one block of memory, as kept.h has them, and an array of where they are. A
 * full block is sorted and appended to a file as a run; runs are read back through a small window
 * each.
 */
#include "sort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"
#include "files.h"
#include "kept.h"

#define WINDOW_LEAST ((size_t)16 << 10)
#define RUNS_MAX 256

struct run {
	uint64_t offset; /* in the file, of what was not read */
	uint64_t end;
	char *window;
	size_t size;
	size_t at;
	size_t len;
	struct rota_record record; /* the first that was not given out */
	bool has_record;
};

struct sorter {
	struct rota_names *names;
	const struct sort_key *keys;
	size_t key_count;
	size_t memory;
	char *bytes; /* of the records that are in memory */
	size_t len;
	size_t size;
	uint32_t *places; /* in units of 8 */
	size_t count;
	size_t room;
	size_t next; /* without a file: the place that is given out next */
	int fd;      /* -1: there is no file */
	uint64_t written;
	struct run *runs;
	size_t run_count;
	struct run *given; /* its record was given out */
	struct rota_record record;
};

int
rota__sorter_new(struct rota_names *names, const struct sort_key *keys, size_t count, size_t memory,
	struct sorter **ret_sorter)
{
	struct sorter *sorter = rota__calloc(sizeof(*sorter));

	if (sorter == NULL)
		return -ENOMEM;
	sorter->names = names;
	sorter->keys = keys;
	sorter->key_count = count;
	/* Places are 32 bits, in units of 8 bytes. */
	sorter->memory = memory < (size_t)1 << 34 ? memory : (size_t)1 << 34;
	sorter->fd = -1;
	rota_record_init(&sorter->record, names);
	*ret_sorter = sorter;
	return 0;
}

void
rota__sorter_free(struct sorter *sorter)
{
	if (sorter == NULL)
		return;
	for (size_t i = 0; i < sorter->run_count; i++) {
		rota__free(sorter->runs[i].window);
		rota_record_fini(&sorter->runs[i].record);
	}
	rota__free(sorter->runs);
	if (sorter->fd >= 0)
		rota__files_sys()->close(sorter->fd);
	rota_record_fini(&sorter->record);
	rota__free(sorter->bytes);
	rota__free(sorter->places);
	rota__free(sorter);
}

const char *
rota__sorter_folder(void)
{
	const char *folder = getenv("TMPDIR");

	return folder != NULL && *folder != '\0' ? folder : "/tmp";
}

/* Order */

static int
compare_values(const struct sort_key *key, const struct rota_value *a, const struct rota_value *b)
{
	int order = rota_value_compare(a, b);

	return key->is_descending ? (order < 0) - (order > 0) : order;
}

static int
compare_places(const void *a_, const void *b_, void *sorter_)
{
	const struct sorter *sorter = sorter_;
	const uint32_t *a = a_, *b = b_;
	const struct kept *one =
		(const struct kept *)(const void *)(sorter->bytes + 8 * (size_t)*a);
	const struct kept *other =
		(const struct kept *)(const void *)(sorter->bytes + 8 * (size_t)*b);

	for (size_t i = 0; i < sorter->key_count; i++) {
		const struct sort_key *key = &sorter->keys[i];
		struct rota_value left = rota__kept_value(one, key->name);
		struct rota_value right = rota__kept_value(other, key->name);
		int order = compare_values(key, &left, &right);

		if (order != 0)
			return order;
	}
	return (*a > *b) - (*a < *b);
}

static int
compare_records(const struct sorter *sorter, const struct rota_record *a,
	const struct rota_record *b)
{
	for (size_t i = 0; i < sorter->key_count; i++) {
		const struct rota_value null = rota_value_null();
		const struct sort_key *key = &sorter->keys[i];
		const struct rota_value *left = rota_record_get(a, key->name);
		const struct rota_value *right = rota_record_get(b, key->name);
		int order = compare_values(key, left != NULL ? left : &null,
			right != NULL ? right : &null);

		if (order != 0)
			return order;
	}
	return 0;
}

/* Runs */

static int
write_out(struct sorter *sorter, const char *bytes, size_t len)
{
	sorter->written += len;
	return rota__files_write(sorter->fd, bytes, len);
}

/* Where the file system has no files without a name, one that loses its name at once. */
static int
open_named(const char *folder)
{
	size_t size = strlen(folder) + sizeof "/rota-sort";
	char *path = rota__malloc(size), *name;
	int fd;

	if (path == NULL)
		return -ENOMEM;
	snprintf(path, size, "%s/rota-sort", folder);
	fd = rota__files_create(path, O_RDWR, 0600, &name);
	rota__free(path);
	if (fd >= 0) {
		(void)rota__files_sys()->unlink(name);
		rota__free(name);
	}
	return fd;
}

static int
open_file(struct sorter *sorter)
{
	const char *folder = rota__sorter_folder();
	int fd = rota__files_sys()->create(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_named(folder);
	else if (fd < 0)
		fd = -errno;
	if (fd < 0)
		return fd;
	sorter->fd = fd;
	sorter->runs = rota__calloc(RUNS_MAX * sizeof(*sorter->runs));
	return sorter->runs == NULL ? -ENOMEM : 0;
}

static void
sort_memory(struct sorter *sorter)
{
	if (sorter->count > 1)
		qsort_r(sorter->places, sorter->count, sizeof(*sorter->places), compare_places,
			sorter);
}

/* Puts what is in memory into the file, as a run. */
static int
write_run(struct sorter *sorter)
{
	struct writer writer = { .fd = -1 };
	struct run *run;
	int r = 0;

	if (sorter->fd < 0)
		r = open_file(sorter);
	if (r == 0 && sorter->run_count == RUNS_MAX)
		r = -EFBIG;
	if (r < 0)
		return r;
	writer.size = (size_t)256 << 10;
	writer.fd = sorter->fd;
	writer.bytes = rota__malloc(writer.size);
	if (writer.bytes == NULL)
		return -ENOMEM;
	sort_memory(sorter);
	run = &sorter->runs[sorter->run_count++];
	rota_record_init(&run->record, sorter->names);
	run->offset = sorter->written;
	for (size_t i = 0; i < sorter->count && r == 0; i++) {
		const char *place = sorter->bytes + 8 * (size_t)sorter->places[i];
		size_t len = ((const struct kept *)(const void *)place)->len;

		if (len > writer.size - writer.len) {
			r = write_out(sorter, writer.bytes, writer.len);
			writer.len = 0;
		}
		if (r == 0 && len > writer.size) {
			r = write_out(sorter, place, len);
		} else if (r == 0) {
			memcpy(writer.bytes + writer.len, place, len);
			writer.len += len;
		}
	}
	if (r == 0)
		r = write_out(sorter, writer.bytes, writer.len);
	rota__free(writer.bytes);
	run->end = sorter->written;
	sorter->count = 0;
	sorter->len = 0;
	return r;
}

/* Adding */

static int
grow(void **memory, size_t *size, size_t least, size_t first)
{
	size_t grown = *size == 0 ? first : 2 * *size;
	void *moved;

	if (grown < least)
		grown = least;
	moved = rota__realloc(*memory, grown);
	if (moved == NULL)
		return -ENOMEM;
	*memory = moved;
	*size = grown;
	return 0;
}

static int
make_room(struct sorter *sorter, size_t len)
{
	void *memory = sorter->bytes;
	size_t size = sorter->room * sizeof(*sorter->places);
	int r = 0;

	if (len > sorter->size - sorter->len) {
		r = grow(&memory, &sorter->size, sorter->len + len, 4096);
		if (r == 0)
			sorter->bytes = memory;
	}
	if (r == 0 && sorter->count == sorter->room) {
		memory = sorter->places;
		r = grow(&memory, &size, 0, 1024);
		if (r == 0) {
			sorter->places = memory;
			sorter->room = size / sizeof(*sorter->places);
		}
	}
	return r;
}

int
rota__sorter_add(struct sorter *sorter, const struct rota_record *record)
{
	size_t len = rota__kept_size(record);
	size_t taken = sorter->len + sorter->count * sizeof(*sorter->places);
	int r = 0;

	if (len > UINT32_MAX)
		return -EMSGSIZE;
	if (sorter->count > 0 && taken + len > sorter->memory)
		r = write_run(sorter);
	if (r == 0)
		r = make_room(sorter, len);
	if (r < 0)
		return r;
	rota__kept_put(sorter->bytes + sorter->len, len, record);
	sorter->places[sorter->count++] = (uint32_t)(sorter->len / 8);
	sorter->len += len;
	return 0;
}

/* Reading */

/* At least so many bytes of the run in its window. */
static int
fill(struct sorter *sorter, struct run *run, size_t least)
{
	void *memory = run->window;
	int r;

	if (run->len - run->at >= least)
		return 0;
	if (run->at > 0) {
		memmove(run->window, run->window + run->at, run->len - run->at);
		run->len -= run->at;
		run->at = 0;
	}
	if (least > run->size) {
		r = grow(&memory, &run->size, least, WINDOW_LEAST);
		if (r < 0)
			return r;
		run->window = memory;
	}
	while (run->len < least) {
		size_t room = run->size - run->len;
		size_t left = (size_t)(run->end - run->offset);
		ssize_t got = rota__files_sys()->pread(sorter->fd, run->window + run->len,
			room < left ? room : left, (off_t)run->offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		run->len += (size_t)got;
		run->offset += (uint64_t)got;
	}
	return 0;
}

/* The run's next record, which points into its window. */
static int
advance(struct sorter *sorter, struct run *run)
{
	const struct kept *kept;
	int r;

	run->has_record = false;
	if (run->at == run->len && run->offset == run->end)
		return 0;
	r = fill(sorter, run, sizeof(*kept));
	if (r < 0)
		return r;
	r = fill(sorter, run, ((const struct kept *)(void *)(run->window + run->at))->len);
	if (r < 0)
		return r;
	kept = (const struct kept *)(void *)(run->window + run->at);
	r = rota__kept_restore(kept, &run->record);
	run->at += kept->len;
	run->has_record = r == 0;
	return r;
}

int
rota__sorter_finish(struct sorter *sorter)
{
	int r = 0;

	if (sorter->fd < 0) {
		sort_memory(sorter);
		return 0;
	}
	if (sorter->count > 0)
		r = write_run(sorter);
	rota__free(sorter->bytes);
	rota__free(sorter->places);
	sorter->bytes = NULL;
	sorter->places = NULL;
	sorter->size = 0;
	sorter->room = 0;
	for (size_t i = 0; i < sorter->run_count && r == 0; i++)
		r = advance(sorter, &sorter->runs[i]);
	return r;
}

static int
next_of_runs(struct sorter *sorter, struct rota_record **ret_record)
{
	struct run *least = NULL;
	int r;

	if (sorter->given != NULL) {
		r = advance(sorter, sorter->given);
		sorter->given = NULL;
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < sorter->run_count; i++) {
		struct run *run = &sorter->runs[i];

		/* The earlier run has the earlier of those that are equal. */
		if (run->has_record &&
			(least == NULL ||
				compare_records(sorter, &run->record, &least->record) < 0))
			least = run;
	}
	if (least == NULL)
		return 0;
	sorter->given = least;
	*ret_record = &least->record;
	return 1;
}

int
rota__sorter_next(struct sorter *sorter, struct rota_record **ret_record)
{
	const char *place;
	int r;

	if (sorter->fd >= 0)
		return next_of_runs(sorter, ret_record);
	if (sorter->next == sorter->count)
		return 0;
	place = sorter->bytes + 8 * (size_t)sorter->places[sorter->next++];
	r = rota__kept_restore((const struct kept *)(const void *)place, &sorter->record);
	if (r < 0)
		return r;
	*ret_record = &sorter->record;
	return 1;
}
