/* SPDX-License-Identifier: MIT */
/* Layers: where a pipeline is divided for several processes, and how many each part has. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* The first that has to see all records; behind the last when none has. */
static size_t
find_merging(const struct rota_pipeline *pipeline)
{
	size_t i = 0;

	while (i < pipeline->count && pipeline->steps[i]->command->kind != ROTA_COMMAND_MERGING)
		i++;
	return i;
}

static unsigned
count_processes(const struct rota_run *run)
{
	const struct rota_command *command = run->pipeline->steps[0]->command;
	long online;

	if (command->kind != ROTA_COMMAND_GENERATING ||
		(command->flags & ROTA_COMMAND_CHUNKED) == 0)
		return 1;
	if (run->options.processes > 0)
		return run->options.processes;
	online = sysconf(_SC_NPROCESSORS_ONLN);
	if (online < 1)
		return 1;
	return online > ROTA_RUN_PROCESSES ? ROTA_RUN_PROCESSES : (unsigned)online;
}

int
rota__plan_layers(struct rota_run *run, struct rota_plan *plan)
{
	const struct rota_pipeline *pipeline = run->pipeline;
	size_t merging = find_merging(pipeline);

	if (merging == 0)
		return 0;
	plan->layers[0].processes = count_processes(run);
	plan->layers[0].end = merging;
	if (merging == pipeline->count)
		return 0;
	plan->layers[0].is_partial =
		(pipeline->steps[merging]->command->flags & ROTA_COMMAND_PARTIAL) != 0;
	plan->layer_count = 2;
	plan->layers[1].processes = 1;
	plan->layers[1].first = merging;
	plan->layers[1].end = pipeline->count;
	return 0;
}

/* Plans as text */

static int
add(struct rota_buffer *buffer, const char *text)
{
	return rota_buffer_add(buffer, text, strlen(text));
}

static int
add_step(const struct rota_pipeline *pipeline, size_t index, const char *note,
	struct rota_buffer *buffer)
{
	struct rota_pipeline one = *pipeline;
	struct rota_step *steps[1] = { pipeline->steps[index] };
	int r = add(buffer, "    ");

	one.steps = steps;
	one.count = 1;
	if (r == 0)
		r = rota_pipeline_format(&one, buffer);
	if (r == 0)
		r = add(buffer, note);
	return r < 0 ? r : add(buffer, "\n");
}

static int
add_layer(const struct rota_plan *plan, size_t index, struct rota_buffer *buffer)
{
	const struct rota_plan_layer *layer = &plan->layers[index];
	char line[64];
	int r;

	snprintf(line, sizeof line, "  layer %zu, %u process%s\n", index + 1, layer->processes,
		layer->processes == 1 ? "" : "es");
	r = add(buffer, line);
	for (size_t i = layer->first; r == 0 && i < layer->end; i++)
		r = add_step(plan->pipeline, i, "", buffer);
	if (r == 0 && layer->is_partial)
		r = add_step(plan->pipeline, layer->end, " (its part)", buffer);
	return r;
}

int
rota_plan_format(const struct rota_plan *plan, struct rota_buffer *buffer)
{
	char line[128];
	int r;

	snprintf(line, sizeof line, "%.60s by %.40s\n", rota_pipeline_name(plan->pipeline),
		plan->dispatcher);
	r = add(buffer, line);
	for (size_t i = 0; r == 0 && i < plan->layer_count; i++)
		r = add_layer(plan, i, buffer);
	return r;
}
