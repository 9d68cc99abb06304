/* SPDX-License-Identifier: MIT */
/*
 * Pipelines that name each other: however many do, building takes no more than one look at each;
 * and a run is no deeper than brackets could make it.
 */
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "plumbing.h"

static char text[65536];

/* numbers | each p0, where each of so many names the next so many times. */
static void
write_chain(int count, int times, bool is_last_first)
{
	size_t len = (size_t)sprintf(text, "%s", is_last_first ? "" : "numbers | each p0; ");

	for (int i = 0; i <= count; i++) {
		int which = is_last_first ? count - i : i;

		len += (size_t)sprintf(text + len, "p%d := ", which);
		for (int k = 0; which < count && k < times; k++)
			len += (size_t)sprintf(text + len, "%seach p%d", k == 0 ? "" : " | ",
				which + 1);
		len += (size_t)sprintf(text + len, "%s%s", which < count ? "" : "odd",
			i < count ? "; " : "");
	}
	if (is_last_first)
		sprintf(text + len, "; main := numbers | each p0");
}

static void
names__of_names__are_looked_at_once(void **state)
{
	struct plumbing plumbing;
	struct rota_pipeline *pipeline;

	(void)state;
	for (int i = 0; i < 2; i++) {
		/* Each look at each name would be 20 to the power of 15. */
		write_chain(ROTA_PIPELINE_DEPTH - 1, 20, i == 1);
		plumbing_open(&plumbing);
		plumbing_parse(&plumbing, text);
		pipeline = rota_pipeline_find(plumbing.context, "main");
		assert_true(rota_pipeline_is_built(pipeline));
		plumbing_close(&plumbing);
	}
}

static void
names__of_names_too_deep__are_refused(void **state)
{
	(void)state;
	write_chain(ROTA_PIPELINE_DEPTH, 1, false);
	plumbing_expect_error(text,
		"line 1, column 268: each: expected at most 17 pipelines in each other");
	write_chain(ROTA_PIPELINE_DEPTH, 1, true);
	plumbing_expect_error(text,
		"line 1, column 289: each: expected at most 17 pipelines in each other");
	write_chain(2000, 1, true);
	plumbing_expect_error(text,
		"line 1, column 365: each: expected at most 17 pipelines in each other");
}

static void
a_change__of_one_within__unbuilds_those_around(void **state)
{
	struct rota_pipeline *main_, *last, *inner;
	struct plumbing plumbing;
	struct rota_step *step;

	(void)state;
	write_chain(3, 2, false);
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, text);
	main_ = rota_pipeline_find(plumbing.context, "main");
	last = rota_pipeline_find(plumbing.context, "p3");
	assert_true(rota_pipeline_is_built(main_));
	assert_int_equal(rota_pipeline_append(last, "odd", &step), 0);
	assert_false(rota_pipeline_is_built(main_));
	assert_int_equal(rota_pipeline_build(last, &plumbing.error), 0);
	assert_true(rota_pipeline_is_built(main_));
	rota_pipeline_free(last);
	assert_false(rota_pipeline_is_built(main_));
	assert_int_equal(rota_pipeline_new(plumbing.context, "p3", &last), 0);
	/* One that is higher than that before. */
	assert_int_equal(rota_pipeline_append(last, "each", &step), 0);
	assert_int_equal(rota_step_set_pipeline(step, "pipeline", &inner), 0);
	assert_int_equal(rota_pipeline_append(inner, "odd", &step), 0);
	assert_int_equal(rota_pipeline_build(last, &plumbing.error), 0);
	assert_false(rota_pipeline_is_built(main_));
	assert_int_equal(rota_pipeline_build(main_, &plumbing.error), 0);
	assert_true(rota_pipeline_is_built(main_));
	plumbing_close(&plumbing);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names__of_names__are_looked_at_once),
		cmocka_unit_test(names__of_names_too_deep__are_refused),
		cmocka_unit_test(a_change__of_one_within__unbuilds_those_around),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
