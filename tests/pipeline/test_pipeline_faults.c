/* SPDX-License-Identifier: MIT */
/*
 * Each allocation fails while pipelines are parsed, made by calls, built, formatted, planned and
 * run in this process: that is told, nothing is left of it, and the next try does all.
 */
#include <errno.h>
#include <string.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "plumbing.h"

/* A bit of everything that texts have. */
static const char text[] = "odds := where n % 2 == 1 | eval t = \"a\\n\" .. str(n); # a comment\n"
			   "main := make count={n} from=1 | foreach odds |\n"
			   "  foreach [ fields n, t | foreach [ rename t as {u v} ] ] |\n"
			   "  parse pattern '^(?<x>.)' field='u v' keep=yes otherwise=keep |\n"
			   "  stats count, max(n) as n by x | sort -n, x | fields n | tail 3;\n";

static int
set_initial(struct rota_pipeline_context *context)
{
	struct rota_value value = rota_value_int(6);
	struct rota_record record;
	rota_name name;
	int r;

	rota_record_init(&record, rota_pipeline_context_names(context));
	r = rota_names_add(record.names, "n", 1, &name);
	if (r == 0)
		r = rota_record_set(&record, name, &value);
	if (r == 0)
		r = rota_pipeline_context_set_initial(context, &record);
	rota_record_fini(&record);
	return r;
}

static int
look_at_text(struct rota_pipeline_context *context, struct rota_buffer *buffer)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_plan plan;
	int r;

	options.processes = 2;
	r = rota_pipeline_format(rota_pipeline_find(context, "main"), buffer);
	if (r == 0)
		r = rota_plan(context, "multiproc", &options, &plan, NULL);
	return r < 0 ? r : rota_plan_format(&plan, buffer);
}

static int
make_by_calls(struct rota_pipeline_context *context)
{
	struct rota_pipeline *pipeline, *inner;
	struct rota_step *step;
	int r = rota_pipeline_new(context, "calls", &pipeline);

	if (r < 0)
		return r;
	r = rota_pipeline_append(pipeline, "foreach", &step);
	if (r == 0)
		r = rota_step_set_pipeline(step, "pipeline", &inner);
	if (r == 0)
		r = rota_pipeline_append(inner, "fields", &step);
	if (r == 0)
		r = rota_step_set(step, "names", "n, \"a b\"");
	if (r == 0)
		r = rota_pipeline_insert(pipeline, 0, "make", &step);
	if (r == 0)
		r = rota_step_set(step, "count", "3");
	if (r == 0)
		r = rota_pipeline_build(pipeline, NULL);
	/* What could not be finished is as it was, and can be taken away. */
	if (r < 0) {
		assert_false(rota_pipeline_is_built(pipeline));
		rota_pipeline_free(pipeline);
	}
	return r;
}

static int
run(struct plumbing *plumbing, const char *dispatcher)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	int r;

	plumbing->out_len = 0;
	options.on_record = plumbing_sink;
	options.userdata = plumbing;
	r = rota_dispatch(plumbing->context, dispatcher, &options, &result);
	assert_int_equal(result.error.code, r);
	rota_run_result_fini(&result);
	return r;
}

/* Which of them failed is in step. */
static int
do_all(struct plumbing *plumbing, struct rota_buffer *buffer, const char **step)
{
	int r = 0;

	rota_buffer_reset(buffer);
	*step = "initial";
	if (rota_pipeline_context_initial(plumbing->context) == NULL)
		r = set_initial(plumbing->context);
	*step = "parse";
	if (r == 0 && rota_pipeline_find(plumbing->context, "main") == NULL)
		r = rota_pipeline_parse(plumbing->context, text, sizeof text - 1, NULL);
	*step = "calls";
	if (r == 0 && rota_pipeline_find(plumbing->context, "calls") == NULL)
		r = make_by_calls(plumbing->context);
	*step = "text";
	if (r == 0)
		r = look_at_text(plumbing->context, buffer);
	*step = "run";
	return r < 0 ? r : run(plumbing, "local");
}

static void
allocations__each_that_fails__is_told_and_all_can_be_done_again(void **state)
{
	struct rota_buffer wanted = ROTA_BUFFER_INIT, buffer = ROTA_BUFFER_INIT;
	struct plumbing plumbing;
	bool has_failed = true;
	const char *step;
	int failures = 0;

	(void)state;
	plumbing_open(&plumbing);
	assert_int_equal(do_all(&plumbing, &wanted, &step), 0);
	assert_memory_equal(plumbing.out, "5", 1);
	plumbing_close(&plumbing);
	for (uint64_t at = 1; has_failed; at++) {
		int r;

		plumbing_open(&plumbing);
		faulty_allocator_fail(at, false);
		r = do_all(&plumbing, &buffer, &step);
		has_failed = faulty_allocator_failed() > 0;
		faulty_allocator_reset();
		/* Some do without: PCRE2 without its compiler, a run without knowing needs. */
		if (r != 0 && r != -ENOMEM)
			fail_msg("allocation %d, %s: %d", (int)at, step, r);
		failures += r < 0;
		if (r < 0 && strcmp(step, "parse") == 0)
			assert_null(rota_pipeline_at(plumbing.context, 0));
		assert_int_equal(do_all(&plumbing, &buffer, &step), 0);
		assert_int_equal(buffer.len, wanted.len);
		assert_memory_equal(buffer.bytes, wanted.bytes, wanted.len);
		assert_int_equal(plumbing.out_len, 1);
		assert_int_equal(plumbing.out[0], '5');
		plumbing_close(&plumbing);
	}
	assert_true(failures > 200);
	rota_buffer_fini(&wanted);
	rota_buffer_fini(&buffer);
}

static void
allocations__that_all_fail_from_one_on__are_told(void **state)
{
	bool has_failed = true;

	(void)state;
	for (uint64_t at = 1; has_failed; at += 3) {
		struct rota_pipeline_context *context = NULL;
		struct rota_registry *registry = NULL;
		int r;

		faulty_allocator_fail(at, true);
		r = rota_registry_new(&registry);
		if (r == 0)
			r = rota_pipeline_context_new(registry, &context);
		if (r == 0)
			r = rota_pipeline_parse(context, text, sizeof text - 1, NULL);
		has_failed = faulty_allocator_failed() > 0;
		rota_pipeline_context_free(context);
		rota_registry_free(registry);
		assert_int_equal(r, has_failed ? -ENOMEM : 0);
		faulty_allocator_reset();
	}
}

/* It may be changed only if there is memory for that; then it is as it was. */
static void
changes__without_memory__change_nothing(void **state)
{
	struct rota_buffer before = ROTA_BUFFER_INIT, after = ROTA_BUFFER_INIT;
	struct rota_pipeline *pipeline;
	struct plumbing plumbing;
	struct rota_step *step;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "make 3 | head 2");
	pipeline = rota_pipeline_find(plumbing.context, "main");
	assert_int_equal(rota_pipeline_format(pipeline, &before), 0);
	faulty_allocator_fail(1, true);
	assert_int_equal(rota_pipeline_append(pipeline, "tail", &step), -ENOMEM);
	assert_int_equal(rota_pipeline_insert(pipeline, 1, "tail", &step), -ENOMEM);
	assert_int_equal(rota_step_set(rota_pipeline_step(pipeline, 0), "count", "9"), -ENOMEM);
	assert_int_equal(rota_pipeline_new(plumbing.context, "other", &pipeline), -ENOMEM);
	faulty_allocator_reset();
	assert_int_equal(rota_pipeline_build(pipeline, NULL), 0);
	assert_int_equal(rota_pipeline_format(pipeline, &after), 0);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.bytes, before.bytes, before.len);
	assert_int_equal(run(&plumbing, "local"), 0);
	assert_memory_equal(plumbing.out, "1 2", 3);
	rota_buffer_fini(&before);
	rota_buffer_fini(&after);
	plumbing_close(&plumbing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(allocations__each_that_fails__is_told_and_all_can_be_done_again),
		fixture_test(allocations__that_all_fail_from_one_on__are_told),
		fixture_test(changes__without_memory__change_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests_name("pipeline_faults", tests, NULL, NULL);
}
