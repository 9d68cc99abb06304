/* SPDX-License-Identifier: MIT */
/*
 * own_pipeline.c - rota-pipeline with commands and a dispatcher of one's own. doc/PIPELINES.md
 * explains it, part by part.
 *
 *     files, which makes records; words, which takes them one by one; share, which needs all
 *     guarded, which runs a pipeline in a process that may use so much of the processor's time
 *
 *   own_pipeline run "read notes.txt | words | stats count by word | share count | output"
 *   own_pipeline run -d guarded "files /etc | sort -size | head 3 | output"
 */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/pipeline.h>

/* What the commands need: the number of the field that an argument names. */
static int
take_field(struct rota_stage *stage, const char *argument, rota_name *ret_name)
{
	const char *text = rota_stage_text(stage, argument);
	int r = rota_names_add(rota_stage_names(stage), text, strlen(text), ret_name);

	return r < 0 ? rota_stage_fail_at(stage, argument, 0, r, "this is no name of a field") : 0;
}

/* words */

struct words {
	rota_name field;
	rota_name into;
	size_t shortest;
	struct rota_record record;
};

static int
words_init(struct rota_stage *stage, void *state)
{
	struct words *words = state;
	int r = take_field(stage, "field", &words->field);

	if (r == 0)
		r = take_field(stage, "into", &words->into);
	words->shortest = (size_t)rota_stage_int(stage, "shortest");
	rota_record_init(&words->record, rota_stage_names(stage));
	return r;
}

static int
words_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct words *words = state;
	const struct rota_value *text = rota_record_get(record, words->field);
	uint32_t end, begin = 0;
	int r = 0;

	if (text == NULL || text->type != ROTA_TYPE_TEXT)
		return 0;
	for (; r == 0 && begin < text->len; begin = end + 1) {
		struct rota_value word;

		for (end = begin; end < text->len && isalnum((unsigned char)text->is.bytes[end]);)
			end++;
		if (end == begin || end - begin < words->shortest)
			continue;
		word = rota_value_text(text->is.bytes + begin, end - begin);
		rota_record_reset(&words->record);
		r = rota_record_set(&words->record, words->into, &word);
		if (r == 0)
			r = rota_stage_emit(stage, &words->record);
	}
	return r;
}

static void
words_needs(struct rota_stage *stage, void *state, struct rota_needs *needs)
{
	const struct words *words = state;

	(void)stage;
	rota_needs_none(needs);
	rota_needs_add(needs, words->field);
}

static void
words_fini(struct rota_stage *stage, void *state)
{
	struct words *words = state;

	(void)stage;
	rota_record_fini(&words->record);
}

static const struct rota_argument words_arguments[] = {
	{ .name = "field",
		.type = ROTA_ARGUMENT_FIELD,
		.flags = ROTA_ARGUMENT_POSITIONAL,
		.default_value = "line",
		.help = "The field with the text." },
	{ .name = "into",
		.type = ROTA_ARGUMENT_FIELD,
		.default_value = "word",
		.help = "The field that a word is put in." },
	{ .name = "shortest",
		.type = ROTA_ARGUMENT_INT,
		.default_value = "1",
		.help = "Bytes of the shortest word that counts.",
		.min = 1,
		.max = 1000 },
	{ .name = NULL },
};

static const char *const words_aliases[] = { "words", "split", NULL };

static const struct rota_command words_command = {
	.size = sizeof(struct rota_command),
	.aliases = words_aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Makes a record of each word of a text",
	.arguments = words_arguments,
	.state_size = sizeof(struct words),
	.init = words_init,
	.process = words_process,
	.fini = words_fini,
	.needs = words_needs,
};

/* share */

#define SHARE_MOST 100000

struct share {
	rota_name field;
	rota_name into;
	struct rota_record *records;
	size_t count;
	double sum;
};

static int
share_init(struct rota_stage *stage, void *state)
{
	struct share *share = state;
	int r = take_field(stage, "field", &share->field);

	return r == 0 ? take_field(stage, "into", &share->into) : r;
}

static double
number_of(const struct rota_value *value)
{
	if (value != NULL && value->type == ROTA_TYPE_INT)
		return (double)value->is.integer;
	return value != NULL && value->type == ROTA_TYPE_DOUBLE ? value->is.number : 0;
}

static int
share_process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	struct share *share = state;
	struct rota_record *records;

	if (share->count == SHARE_MOST)
		return rota_stage_fail(stage, -ROTA_ELIMIT, "more than %d records", SHARE_MOST);
	/* It doubles whenever the count is a power of two. */
	if ((share->count & (share->count - 1)) == 0) {
		size_t room = share->count == 0 ? 1 : 2 * share->count;

		records = realloc(share->records, room * sizeof(*records));
		if (records == NULL)
			return -ENOMEM;
		share->records = records;
	}
	rota_record_init(&share->records[share->count], rota_stage_names(stage));
	share->sum += number_of(rota_record_get(record, share->field));
	return rota_record_copy(&share->records[share->count++], record);
}

static int
share_finish(struct rota_stage *stage, void *state)
{
	struct share *share = state;
	int r = 0;

	for (size_t i = 0; r == 0 && i < share->count; i++) {
		struct rota_record *record = &share->records[i];
		double number = number_of(rota_record_get(record, share->field));
		struct rota_value part = rota_value_null();

		if (share->sum > 0)
			part = rota_value_double(number / share->sum);
		r = rota_record_set(record, share->into, &part);
		if (r == 0)
			r = rota_stage_emit(stage, record);
	}
	return r < 0 ? r : 0;
}

static void
share_fini(struct rota_stage *stage, void *state)
{
	struct share *share = state;

	(void)stage;
	for (size_t i = 0; i < share->count; i++)
		rota_record_fini(&share->records[i]);
	free(share->records);
}

static const struct rota_argument share_arguments[] = {
	{ .name = "field",
		.type = ROTA_ARGUMENT_FIELD,
		.flags = ROTA_ARGUMENT_POSITIONAL | ROTA_ARGUMENT_REQUIRED,
		.help = "The field with the number." },
	{ .name = "into",
		.type = ROTA_ARGUMENT_FIELD,
		.default_value = "share",
		.help = "The field that the share is put in." },
	{ .name = NULL },
};

static const char *const share_aliases[] = { "share", NULL };

static const struct rota_command share_command = {
	.size = sizeof(struct rota_command),
	.aliases = share_aliases,
	.kind = ROTA_COMMAND_MERGING,
	.summary = "Sets a field to the share that a number has in the sum of all",
	.arguments = share_arguments,
	.state_size = sizeof(struct share),
	.init = share_init,
	.process = share_process,
	.finish = share_finish,
	.fini = share_fini,
};

/* files */

#define FILES_AT_ONCE 1000

struct files {
	rota_name name;
	rota_name size;
	const char *path;
	DIR *folder;
	struct rota_record record;
};

static int
files_init(struct rota_stage *stage, void *state)
{
	struct files *files = state;
	struct rota_names *names = rota_stage_names(stage);
	int r = rota_names_add(names, "name", strlen("name"), &files->name);

	if (r == 0)
		r = rota_names_add(names, "size", strlen("size"), &files->size);
	files->path = rota_stage_text(stage, "path");
	rota_record_init(&files->record, names);
	return r;
}

static int
files_start(struct rota_stage *stage, void *state)
{
	struct files *files = state;

	files->folder = opendir(files->path);
	if (files->folder == NULL)
		return rota_stage_fail_at(stage, "path", 0, -errno, "%.150s cannot be read: %s",
			files->path, strerror(errno));
	return 0;
}

static int
files_generate(struct rota_stage *stage, void *state)
{
	struct files *files = state;
	int r = 0;

	for (int i = 0; r == 0 && i < FILES_AT_ONCE; i++) {
		const struct dirent *entry = readdir(files->folder);
		struct rota_value name, size;
		struct stat status;

		if (entry == NULL)
			return 0;
		if (fstatat(dirfd(files->folder), entry->d_name, &status, 0) < 0 ||
			!S_ISREG(status.st_mode))
			continue;
		name = rota_value_text(entry->d_name, strlen(entry->d_name));
		size = rota_value_int(status.st_size);
		rota_record_reset(&files->record);
		r = rota_record_set(&files->record, files->name, &name);
		if (r == 0)
			r = rota_record_set(&files->record, files->size, &size);
		if (r == 0)
			r = rota_stage_emit(stage, &files->record);
	}
	return r == 0 ? ROTA_STAGE_MORE : r;
}

static void
files_fini(struct rota_stage *stage, void *state)
{
	struct files *files = state;

	(void)stage;
	if (files->folder != NULL)
		closedir(files->folder);
	rota_record_fini(&files->record);
}

static const struct rota_argument files_arguments[] = {
	{ .name = "path",
		.type = ROTA_ARGUMENT_TEXT,
		.flags = ROTA_ARGUMENT_POSITIONAL,
		.default_value = ".",
		.help = "The directory." },
	{ .name = NULL },
};

static const char *const files_aliases[] = { "files", NULL };

static const struct rota_command files_command = {
	.size = sizeof(struct rota_command),
	.aliases = files_aliases,
	.kind = ROTA_COMMAND_GENERATING,
	.summary = "Makes a record of each file in a directory: name, size",
	.arguments = files_arguments,
	.state_size = sizeof(struct files),
	.init = files_init,
	.start = files_start,
	.generate = files_generate,
	.fini = files_fini,
};

/* guarded */

static void
live_guarded(struct rota_run *run, int to)
{
	const char *text = getenv("GUARDED_SECONDS");
	rlim_t seconds = text == NULL ? 60 : strtoul(text, NULL, 10);
	struct rlimit limit = { .rlim_cur = seconds, .rlim_max = seconds + 1 };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rota_run_forked(run);
	if (setrlimit(RLIMIT_CPU, &limit) < 0)
		_exit(1);
	r = rota_run_here(run);
	if (r == 0 && fflush(NULL) != 0)
		r = rota_run_fail(run, -errno, "stdout cannot be written: %s", strerror(errno));
	if (r < 0) {
		const struct rota_pipeline_error *error = &rota_run_result(run)->error;

		if (write(to, error, sizeof(*error)) != sizeof(*error))
			_exit(1);
	}
	_exit(r < 0 ? 1 : 0);
}

static int
dispatch_guarded(struct rota_run *run)
{
	struct rota_pipeline_error error;
	int pair[2], status;
	ssize_t n;
	pid_t pid;

	if (rota_run_options(run)->on_record != NULL)
		return rota_run_fail(run, -ENOTSUP, "guarded brings no records back");
	if (pipe2(pair, O_CLOEXEC) < 0)
		return rota_run_fail(run, -errno, "there is no pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		live_guarded(run, pair[1]);
	close(pair[1]);
	n = pid < 0 ? 0 : read(pair[0], &error, sizeof error);
	close(pair[0]);
	if (pid < 0)
		return rota_run_fail(run, -EAGAIN, "there is no process for it");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == sizeof error) {
		rota_run_result(run)->error = error;
		return error.code;
	}
	if (WIFSIGNALED(status))
		return rota_run_fail(run, -ROTA_ELOST, "its process was killed by signal %d",
			WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return rota_run_fail(run, -ROTA_ELOST, "its process ended with status %d",
			WEXITSTATUS(status));
	return 0;
}

static const char *const guarded_aliases[] = { "guarded", NULL };

static const struct rota_dispatcher guarded = {
	.size = sizeof(struct rota_dispatcher),
	.aliases = guarded_aliases,
	.summary = "In a process that may use $GUARDED_SECONDS [60] of the processor's time",
	.dispatch = dispatch_guarded,
};

/* The program */

int
main(int argc, char **argv)
{
	struct rota_registry *registry;
	int r = rota_registry_new(&registry), status = 1;

	if (r < 0)
		return status;
	r = rota_registry_add_command(registry, &files_command);
	if (r == 0)
		r = rota_registry_add_command(registry, &share_command);
	if (r == 0)
		r = rota_registry_add_command(registry, &words_command);
	if (r == 0)
		r = rota_registry_add_dispatcher(registry, &guarded);
	if (r == 0)
		status = rota_pipeline_main(argc, argv, registry);
	rota_registry_free(registry);
	return status;
}
