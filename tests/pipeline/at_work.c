/* SPDX-License-Identifier: MIT */
/*
 * Commands at work: see at_work.h. Chunks are run by chains, as dispatchers do.
 */
#include "at_work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/dispatcher.h>

#include "chain.h"
#include "files.h"
#include "number.h"

struct collecting {
	char *out;
	size_t size;
	size_t len;
};

const struct rota_command *const *at_work_commands;

static struct fixture fixture;
static char folder[64];
static char text_out[AT_WORK_TEXT];

int
at_work_begin(void **state)
{
	(void)state;
	fixture_open(&fixture, FIXTURE_LIBEV);
	rota__files_sys_for_tests = NULL;
	at_work_commands = NULL;
	snprintf(folder, sizeof folder, "/tmp/rota-at-work-XXXXXX");
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

int
at_work_end(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	if (chdir("/") != 0 || system(command) != 0)
		return -1;
	if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) {
		print_error("a process is left\n");
		return -1;
	}
	return fixture_close(&fixture);
}

static void
put(struct collecting *collecting, const char *text, size_t len)
{
	assert_true(collecting->len + len < collecting->size);
	if (len > 0)
		memcpy(collecting->out + collecting->len, text, len);
	collecting->len += len;
	collecting->out[collecting->len] = '\0';
}

static void
put_value(struct collecting *collecting, const struct rota_value *value)
{
	char number[NUMBER_TEXT];

	switch (value->type) {
	case ROTA_TYPE_NULL:
		put(collecting, "null", 4);
		break;
	case ROTA_TYPE_BOOL:
		put(collecting, value->is.boolean ? "true" : "false", value->is.boolean ? 4 : 5);
		break;
	case ROTA_TYPE_INT:
	case ROTA_TYPE_DOUBLE:
		put(collecting, number, rota__number_format(value, number));
		break;
	default:
		put(collecting, "'", 1);
		put(collecting, value->is.bytes, value->len);
		put(collecting, "'", 1);
		break;
	}
}

static int
collect(struct rota_record *record, void *collecting_)
{
	struct collecting *collecting = collecting_;

	if (collecting->len > 0)
		put(collecting, " ", 1);
	for (size_t i = 0; i < record->count; i++) {
		struct rota_text name = rota_names_text(record->names, record->fields[i].name);

		if (i > 0)
			put(collecting, ",", 1);
		put(collecting, name.bytes, name.len);
		put(collecting, "=", 1);
		put_value(collecting, &record->fields[i].value);
	}
	return 0;
}

int
at_work_try(const char *dispatcher, unsigned processes, const char *text,
	struct rota_pipeline_error *error)
{
	struct collecting collecting = { text_out, sizeof text_out, 0 };
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct rota_registry *registry;
	struct rota_pipeline_context *context;
	int r;

	text_out[0] = '\0';
	assert_int_equal(rota_registry_new(&registry), 0);
	for (size_t i = 0; at_work_commands != NULL && at_work_commands[i] != NULL; i++)
		assert_int_equal(rota_registry_add_command(registry, at_work_commands[i]), 0);
	assert_int_equal(rota_pipeline_context_new(registry, &context), 0);
	r = rota_pipeline_parse(context, text, strlen(text), error);
	if (r == 0) {
		options.on_record = collect;
		options.processes = processes;
		options.userdata = &collecting;
		r = rota_dispatch(context, dispatcher, &options, &result);
		*error = result.error;
		rota_run_result_fini(&result);
	}
	rota_pipeline_context_free(context);
	rota_registry_free(registry);
	return r;
}

const char *
at_work_run_by(const char *dispatcher, unsigned processes, const char *text)
{
	struct rota_pipeline_error error;

	if (at_work_try(dispatcher, processes, text, &error) < 0)
		fail_msg("%s by %s: %s", text, dispatcher, error.text);
	return text_out;
}

const char *
at_work_run(const char *text)
{
	return at_work_run_by("local", 0, text);
}

void
at_work_expect(const char *text, const char *wanted)
{
	const char *have = at_work_run(text);

	if (strcmp(have, wanted) != 0)
		fail_msg("%s:\nwant %s\nhave %s", text, wanted, have);
}

void
at_work_refuse(const char *text, const char *message)
{
	struct rota_pipeline_error error;

	if (at_work_try("local", 0, text, &error) == 0)
		fail_msg("%s: is taken", text);
	if (strcmp(error.text, message) != 0)
		fail_msg("%s:\nwant %s\nhave %s", text, message, error.text);
}

void
at_work_run_chunk(const char *text, unsigned index, unsigned count, char *out, size_t size)
{
	struct collecting collecting = { out, size, strlen(out) };
	struct rota__execution execution = { .chunks = 1 };
	struct rota_registry *registry;
	struct rota_pipeline *pipeline;
	struct rota__chain *chain;

	assert_int_equal(rota_registry_new(&registry), 0);
	assert_int_equal(rota_pipeline_context_new(registry, &execution.context), 0);
	assert_int_equal(rota_pipeline_parse(execution.context, text, strlen(text), NULL), 0);
	pipeline = rota_pipeline_find(execution.context, ROTA_PIPELINE_MAIN);
	assert_int_equal(rota__chain_new(&execution, pipeline, 0, rota_pipeline_count(pipeline),
				 &chain),
		0);
	chain->chunk = index;
	chain->chunks = count;
	chain->sink = collect;
	chain->userdata = &collecting;
	if (rota__chain_begin(chain) < 0 || rota__chain_generate(chain, NULL) < 0 ||
		rota__chain_finish(chain) < 0)
		fail_msg("%s: %s", text, execution.error.text);
	rota__chain_free(chain);
	rota_pipeline_context_free(execution.context);
	rota_registry_free(registry);
}

void
at_work_write_file(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

const char *
at_work_read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(text_out, 1, sizeof text_out - 1, file);
	text_out[len] = '\0';
	fclose(file);
	return text_out;
}
