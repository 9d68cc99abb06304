/* SPDX-License-Identifier: MIT */
/*
 * read: the lines of a file. One of several processes has the lines that begin in its part of the
 * bytes, so that each line is read by one, whatever the file ends with. They share a descriptor,
 * so they read the same file, and it has the length that it had when that was opened, whoever
 * appends to it or puts another in its place. What is no regular file is read by the first process
 * alone, to its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/record.h>

#include "allocator.h"
#include "commands.h"
#include "files.h"

/* The buffer at first; it grows for a line that is longer. It should stay in a core's cache. */
#define SIZE_FIRST ((size_t)256 << 10)

/* Of what is no regular file. */
#define SIZE_UNKNOWN UINT64_MAX

struct reading {
	rota_name field;
	const char *path;
	const char *shown; /* in errors */
	size_t longest;
	int fd;         /* -1: not open */
	bool is_shared; /* the descriptor is the run's */
	bool is_regular;
	bool has_ended;
	bool is_inside;  /* of a line that is another's */
	uint64_t begin;  /* of this part */
	uint64_t end;    /* lines that begin here are another's */
	uint64_t offset; /* where reading goes on */
	char *bytes;
	size_t size;
	size_t at; /* bytes before it are done with */
	size_t len;
	struct rota_record record;
};

static int
init(struct rota_stage *stage, void *state)
{
	struct reading *reading = state;
	const char *field = rota_stage_text(stage, "field");
	int r;

	reading->fd = -1;
	reading->path = rota_stage_text(stage, "path");
	reading->shown = strcmp(reading->path, "-") == 0 ? "standard input" : reading->path;
	reading->longest = (size_t)rota_stage_int(stage, "longest");
	rota_record_init(&reading->record, rota_stage_names(stage));
	r = rota_names_add(rota_stage_names(stage), field, strlen(field), &reading->field);
	if (r < 0)
		return rota_stage_fail_at(stage, "field", 0, r, "this is no name of a field");
	return 0;
}

/* The part of the file: from the first line that begins at begin or behind it. */
static void
set_part(struct rota_stage *stage, struct reading *reading, uint64_t size)
{
	unsigned index, count;

	rota_stage_chunk(stage, &index, &count);
	if (!reading->is_regular) {
		reading->end = index == 0 ? UINT64_MAX : 0;
		return;
	}
	reading->begin = size / count * index + size % count * index / count;
	reading->end = size / count * (index + 1) + size % count * (index + 1) / count;
	reading->offset = reading->begin;
	/* The byte before tells whether a line begins here. */
	if (reading->begin > 0) {
		reading->offset--;
		reading->is_inside = true;
	}
}

/* Standard input is open, and may stand anywhere in a file, which its offset knows. */
static int
open_file(struct rota_stage *stage, void *state, struct rota_share *share)
{
	const struct rota_sys_ops *sys = rota__files_sys();
	struct reading *reading = state;
	struct stat status;
	int error = 0;

	share->size = SIZE_UNKNOWN;
	if (strcmp(reading->path, "-") == 0)
		return 0;
	share->fd = sys->open(reading->path, O_RDONLY | O_CLOEXEC);
	if (share->fd < 0 || sys->fstat(share->fd, &status) < 0)
		error = rota_stage_fail(stage, -errno, "%.150s cannot be opened: %s",
			reading->shown, strerror(errno));
	else if (S_ISDIR(status.st_mode))
		error = rota_stage_fail(stage, -EISDIR, "%.150s is a directory", reading->shown);
	else if (S_ISREG(status.st_mode))
		share->size = (uint64_t)status.st_size;
	if (error < 0 && share->fd >= 0)
		sys->close(share->fd);
	return error;
}

static int
start(struct rota_stage *stage, void *state)
{
	const struct rota_share *share = rota_stage_share(stage);
	struct rota_share own = { .fd = -1 };
	struct reading *reading = state;
	int r;

	if (share == NULL) {
		r = open_file(stage, state, &own);
		if (r < 0)
			return r;
		share = &own;
	}
	reading->is_shared = share != &own;
	reading->fd = share->fd < 0 ? STDIN_FILENO : share->fd;
	reading->is_regular = share->size != SIZE_UNKNOWN;
	set_part(stage, reading, share->size);
	reading->size = SIZE_FIRST;
	reading->bytes = rota__malloc(reading->size);
	return reading->bytes == NULL ? -ENOMEM : 0;
}

/* The line that begins at that offset. */
static int
refuse(struct rota_stage *stage, const struct reading *reading, uint64_t offset)
{
	return rota_stage_fail(stage, -EMSGSIZE,
		"%.100s: the line at byte %llu is longer than %zu bytes (longest=…)",
		reading->shown, (unsigned long long)offset, reading->longest);
}

/* Makes room behind what is left of a line. */
static int
make_room(struct rota_stage *stage, struct reading *reading)
{
	size_t left = reading->len - reading->at;
	char *bytes;

	if (reading->at > 0) {
		memmove(reading->bytes, reading->bytes + reading->at, left);
		reading->at = 0;
		reading->len = left;
	}
	if (left > reading->longest)
		return refuse(stage, reading, reading->offset - left);
	if (left < reading->size)
		return 0;
	bytes = rota__realloc(reading->bytes, 2 * reading->size);
	if (bytes == NULL)
		return -ENOMEM;
	reading->bytes = bytes;
	reading->size *= 2;
	return 0;
}

/* What is read of a part ends with the line that begins before its end. */
static int
fill(struct rota_stage *stage, struct reading *reading)
{
	const struct rota_sys_ops *sys = rota__files_sys();
	ssize_t r;

	do {
		char *place = reading->bytes + reading->len;
		size_t room = reading->size - reading->len;

		r = reading->is_regular
			? sys->pread(reading->fd, place, room, (off_t)reading->offset)
			: sys->read(reading->fd, place, room);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return rota_stage_fail(stage, -errno, "%.150s cannot be read: %s", reading->shown,
			strerror(errno));
	reading->has_ended = r == 0;
	reading->len += (size_t)r;
	reading->offset += (uint64_t)r;
	return 0;
}

static int
emit(struct rota_stage *stage, struct reading *reading, const char *line, size_t len)
{
	struct rota_value value;

	/* As a line ends on some systems. */
	if (len > 0 && line[len - 1] == '\r')
		len--;
	value = rota_value_text(line, len);
	rota_record_reset(&reading->record);
	if (rota_record_set(&reading->record, reading->field, &value) < 0)
		return -ENOMEM;
	return rota_stage_emit(stage, &reading->record);
}

/* The file's offset of the line that is next. */
static uint64_t
offset_of_line(const struct reading *reading)
{
	return reading->offset - (reading->len - reading->at);
}

/* The whole lines in the buffer. Returns as rota_stage_emit. */
static int
take_lines(struct rota_stage *stage, struct reading *reading)
{
	int r = 0;

	while (r == 0 && reading->at < reading->len && offset_of_line(reading) < reading->end) {
		const char *line = reading->bytes + reading->at;
		const char *newline = memchr(line, '\n', reading->len - reading->at);

		if (newline == NULL)
			break;
		if (!reading->is_inside && (size_t)(newline - line) > reading->longest)
			return refuse(stage, reading, offset_of_line(reading));
		reading->at = (size_t)(newline + 1 - reading->bytes);
		if (reading->is_inside)
			reading->is_inside = false;
		else
			r = emit(stage, reading, line, (size_t)(newline - line));
	}
	return r;
}

/* Of the line of another nothing is kept but where it ends. */
static void
skip(struct reading *reading)
{
	if (reading->is_inside &&
		memchr(reading->bytes + reading->at, '\n', reading->len - reading->at) == NULL)
		reading->at = reading->len;
}

static int
generate(struct rota_stage *stage, void *state)
{
	struct reading *reading = state;
	int r = 0;

	/* Inside of another's line the next one begins still later. */
	if (offset_of_line(reading) >= reading->end)
		return 0;
	skip(reading);
	r = make_room(stage, reading);
	if (r == 0)
		r = fill(stage, reading);
	if (r == 0)
		r = take_lines(stage, reading);
	if (r < 0 || r == ROTA_STOP)
		return r;
	rota_stage_progress(stage, offset_of_line(reading) - reading->begin,
		reading->is_regular ? reading->end - reading->begin : 0);
	if (!reading->has_ended)
		return ROTA_STAGE_MORE;
	/* The last line has no end of its own. */
	if (reading->at == reading->len || reading->is_inside ||
		offset_of_line(reading) >= reading->end)
		return r;
	if (reading->len - reading->at > reading->longest)
		return refuse(stage, reading, offset_of_line(reading));
	return emit(stage, reading, reading->bytes + reading->at, reading->len - reading->at);
}

static void
fini(struct rota_stage *stage, void *state)
{
	struct reading *reading = state;

	(void)stage;
	if (reading->fd > STDIN_FILENO && !reading->is_shared)
		rota__files_sys()->close(reading->fd);
	rota__free(reading->bytes);
	rota_record_fini(&reading->record);
}

static const struct rota_argument arguments[] = {
	{ "path", ROTA_ARGUMENT_TEXT, ROTA_ARGUMENT_REQUIRED | ROTA_ARGUMENT_POSITIONAL, NULL,
		"The file; - is standard input.", NULL, 0, 0 },
	{ "field", ROTA_ARGUMENT_FIELD, 0, "line", "The field that a line is put in.", NULL, 0, 0 },
	{ "longest", ROTA_ARGUMENT_INT, 0, "1M",
		"Bytes of the longest line; a longer one ends the run with an error.", NULL, 1,
		INT32_MAX },
	{ NULL, ROTA_ARGUMENT_BOOL, 0, NULL, NULL, NULL, 0, 0 },
};

static const char *const aliases[] = { "read", NULL };

const struct rota_command rota__command_read = {
	.size = sizeof(struct rota_command),
	.aliases = aliases,
	.kind = ROTA_COMMAND_GENERATING,
	.flags = ROTA_COMMAND_CHUNKED,
	.summary = "Makes a record of each line of a file",
	.help = "Lines end with a newline, or with a carriage return before it, which are not part of\n"
		"them; the last one may have none. Several processes share the bytes of a file evenly:\n"
		"each has the lines that begin in its share. What is no file, as a pipe or standard\n"
		"input, is read by one of them.",
	.arguments = arguments,
	.state_size = sizeof(struct reading),
	.init = init,
	.start = start,
	.generate = generate,
	.fini = fini,
	.share = open_file,
};
