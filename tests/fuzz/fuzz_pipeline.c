/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes texts of pipelines, for libFuzzer. What is one is formatted, and that must be parsed to
 * what is formatted the same; what is none must say where, inside of the text, and leave nothing
 * behind. Nothing is run: commands look at their arguments only.
 */
#include <rota/pipeline.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
look_at_error(const struct rota_pipeline_error *error, const char *text, size_t size)
{
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	require(error->text[0] != '\0' && strlen(error->text) < sizeof error->text);
	require(error->line <= lines && error->column <= size + 1);
	require((error->line == 0) == (error->column == 0));
}

static void
format_again(const struct rota_registry *registry, const struct rota_pipeline *pipeline)
{
	struct rota_buffer first = ROTA_BUFFER_INIT, second = ROTA_BUFFER_INIT;
	struct rota_pipeline_context *context;
	struct rota_pipeline_error error;

	first.limit = second.limit = 4 * ROTA_PIPELINE_TEXT;
	require(rota_pipeline_format(pipeline, &first) == 0);
	require(rota_pipeline_context_new(registry, &context) == 0);
	/* It may name others, which are not there. */
	if (rota_pipeline_parse(context, (const char *)first.bytes, first.len, &error) == 0) {
		require(rota_pipeline_format(rota_pipeline_at(context, 0), &second) == 0);
		require(first.len == second.len &&
			memcmp(first.bytes, second.bytes, first.len) == 0);
	}
	rota_pipeline_context_free(context);
	rota_buffer_fini(&first);
	rota_buffer_fini(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rota_pipeline_context *context;
	struct rota_pipeline_error error;
	struct rota_registry *registry;
	/* Of its size exactly, so that a byte behind it is found out. */
	char *text = malloc(size == 0 ? 1 : size);

	require(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	require(rota_registry_new(&registry) == 0);
	require(rota_pipeline_context_new(registry, &context) == 0);
	if (rota_pipeline_parse(context, text, size, &error) < 0) {
		look_at_error(&error, text, size);
		require(rota_pipeline_at(context, 0) == NULL);
	} else {
		require(rota_pipeline_is_built(rota_pipeline_at(context, 0)));
		format_again(registry, rota_pipeline_at(context, 0));
	}
	rota_pipeline_context_free(context);
	rota_registry_free(registry);
	free(text);
	return 0;
}
