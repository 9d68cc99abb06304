/* SPDX-License-Identifier: MIT */
/* What pipelines have in common: registry, names, names of fields, what a run begins with. */
#include "pipeline.h"

#include <errno.h>
#include <string.h>

#include "allocator.h"
#include "store.h"

int
rota_pipeline_context_new(const struct rota_registry *registry,
	struct rota_pipeline_context **ret_context)
{
	struct rota_pipeline_context *context = rota__calloc(sizeof(*context));
	int r;

	if (context == NULL)
		return -ENOMEM;
	r = rota_names_new(&context->names);
	if (r < 0) {
		rota__free(context);
		return r;
	}
	r = rota_store_open(registry, "memory", &context->store);
	if (r < 0) {
		rota_names_free(context->names);
		rota__free(context);
		return r;
	}
	context->registry = registry;
	context->changes = 1;
	rota__list_init(&context->pipelines);
	rota_record_init(&context->initial, context->names);
	*ret_context = context;
	return 0;
}

void
rota_pipeline_context_free(struct rota_pipeline_context *context)
{
	if (context == NULL)
		return;
	while (!rota__list_is_empty(&context->pipelines))
		rota__pipeline_destroy(rota_pipeline_at(context, 0));
	rota_record_fini(&context->initial);
	rota_names_free(context->names);
	rota_store_close(context->store);
	rota__free(context);
}

const struct rota_registry *
rota_pipeline_context_registry(const struct rota_pipeline_context *context)
{
	return context->registry;
}

struct rota_names *
rota_pipeline_context_names(const struct rota_pipeline_context *context)
{
	return context->names;
}

void
rota_pipeline_context_set_store(struct rota_pipeline_context *context, struct rota_store *store)
{
	rota_store_close(context->store);
	context->store = store;
}

struct rota_store *
rota_pipeline_context_store(const struct rota_pipeline_context *context)
{
	return context->store;
}

int
rota_pipeline_context_set_initial(struct rota_pipeline_context *context,
	const struct rota_record *record)
{
	struct rota_record copy;
	int r;

	rota_record_init(&copy, context->names);
	if (record != NULL) {
		r = rota_record_copy(&copy, record);
		if (r < 0) {
			rota_record_fini(&copy);
			return r;
		}
	}
	rota_record_fini(&context->initial);
	context->initial = copy;
	context->has_initial = record != NULL;
	return 0;
}

const struct rota_record *
rota_pipeline_context_initial(const struct rota_pipeline_context *context)
{
	return context->has_initial ? &context->initial : NULL;
}

struct rota_pipeline *
rota_pipeline_at(const struct rota_pipeline_context *context, size_t index)
{
	const struct rota_link *link = context->pipelines.next;

	while (link != &context->pipelines && index-- > 0)
		link = link->next;
	if (link == &context->pipelines)
		return NULL;
	return rota_container_of(link, struct rota_pipeline, link);
}

struct rota_pipeline *
rota_pipeline_find(const struct rota_pipeline_context *context, const char *name)
{
	struct rota_pipeline *pipeline;

	for (const struct rota_link *link = context->pipelines.next; link != &context->pipelines;
		link = link->next) {
		pipeline = rota_container_of(link, struct rota_pipeline, link);
		if (strcmp(pipeline->name, name) == 0)
			return pipeline;
	}
	return NULL;
}
