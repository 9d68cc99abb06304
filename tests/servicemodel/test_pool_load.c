/* SPDX-License-Identifier: MIT */
/*
 * The load of a real pool: what it counts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rota/pool_load.h>

#include "faulty_allocator.h"
#include "showing.h"

static void
load__tasks_of_all_ends__counted(void **state)
{
	struct rota_pool_load load;
	struct show show;
	char line[200], wanted_line[200];
	size_t len;

	show_open(&show, state, 2);
	assert_int_equal(rota_pool_load_start(&load, show.pool), 0);
	assert_int_equal(rota_pool_load_start(&load, show.pool), -EEXIST);
	assert_int_equal(load.places, 2);
	for (const char *what = "nnnfkn"; *what != '\0'; what++)
		show_submit(&show, *what);
	assert_int_equal(load.queued, 6);
	show_take(&show, 6);
	assert_int_equal(load.load, 0);
	assert_in_range(load.peak, 1, 2);
	assert_int_equal(load.queued, 0);
	assert_int_equal(load.most_queued, 6);
	assert_int_equal(load.total, 6);
	assert_int_equal(load.ended, 6);
	assert_int_equal(load.ends[ROTA_POOL_DONE], 4);
	assert_int_equal(load.ends[ROTA_POOL_FAILED], 1);
	assert_int_equal(load.ends[ROTA_POOL_KILLED], 1);
	assert_int_equal(load.lost, 1);
	assert_int_equal(load.given_up, 0);
	len = rota_pool_load_format(&load, line, sizeof line);
	snprintf(wanted_line, sizeof wanted_line,
		"6 of 6 ended: 4 done, 1 failed, 1 killed; load 0 of 2, peak %u; 1 lost",
		(unsigned)load.peak);
	assert_string_equal(line, wanted_line);
	assert_int_equal(len, strlen(line));
	assert_int_equal(rota_pool_load_format(&load, line, 5), len);
	assert_string_equal(line, "6 of");
	rota_pool_load_stop(&load, show.pool);
	show_submit(&show, 'n');
	assert_int_equal(load.total, 6);
	show_close(&show);
}

static void
load__pool_stops__nobody_is_lost(void **state)
{
	struct rota_pool_load load;
	struct show show;

	show_open(&show, state, 3);
	assert_int_equal(rota_pool_load_start(&load, show.pool), 0);
	show_submit(&show, 'n');
	assert_int_equal(rota_pool_stop_wait(show.pool, ROTA_NEVER, ROTA_NEVER), 0);
	assert_int_equal(load.ended, 1);
	assert_int_equal(load.lost, 0);
	assert_int_equal(load.given_up, 0);
	show_close(&show);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(load__tasks_of_all_ends__counted),
		fixture_test(load__pool_stops__nobody_is_lost),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
