/* SPDX-License-Identifier: MIT */
/*
 * Registries: the library's commands are there, a program's own are found by each alias and take
 * names from those before, and tables that make no sense are refused.
 */
#include <rota/pipeline.h>

#include <errno.h>

#include "fixture.h"

static int
process(struct rota_stage *stage, void *state, struct rota_record *record)
{
	(void)state;
	(void)stage;
	(void)record;
	return 0;
}

static const char *const aliases[] = { "pass", "through", NULL };
static const struct rota_command pass = {
	.size = sizeof(pass),
	.aliases = aliases,
	.kind = ROTA_COMMAND_STREAMING,
	.summary = "Lets all through",
	.process = process,
};

static void
commands__are_found_by_each_alias(void **state)
{
	struct rota_registry *registry;
	size_t count = 0;

	(void)state;
	assert_int_equal(rota_registry_new(&registry), 0);
	assert_null(rota_registry_command(registry, "pass"));
	assert_int_equal(rota_registry_add_command(registry, &pass), 0);
	assert_ptr_equal(rota_registry_command(registry, "pass"), &pass);
	assert_ptr_equal(rota_registry_command(registry, "through"), &pass);
	assert_null(rota_registry_command(registry, "pas"));
	while (rota_registry_command_at(registry, count) != NULL)
		count++;
	assert_ptr_equal(rota_registry_command_at(registry, count - 1), &pass);
	rota_registry_free(registry);
}

static void
commands__of_a_name_that_is_there__take_it(void **state)
{
	static const char *const other_aliases[] = { "other", "pass", NULL };
	struct rota_command other = pass;
	struct rota_registry *registry;

	(void)state;
	other.aliases = other_aliases;
	assert_int_equal(rota_registry_new(&registry), 0);
	assert_int_equal(rota_registry_add_command(registry, &pass), 0);
	assert_int_equal(rota_registry_add_command(registry, &other), 0);
	assert_ptr_equal(rota_registry_command(registry, "pass"), &other);
	assert_ptr_equal(rota_registry_command(registry, "through"), &pass);
	rota_registry_free(registry);
}

static void
commands__that_make_no_sense__are_refused(void **state)
{
	static const char *const bad_aliases[] = { "a b", NULL };
	static const struct rota_argument twice[] = { { .name = "x" }, { .name = "x" },
		{ .name = NULL } };
	struct rota_command nameless = pass, odd = pass, idle = pass, doubled = pass, sized = pass;
	struct rota_registry *registry;

	(void)state;
	nameless.aliases = bad_aliases + 1;
	odd.aliases = bad_aliases;
	idle.process = NULL;
	doubled.arguments = twice;
	sized.size = 8;
	assert_int_equal(rota_registry_new(&registry), 0);
	assert_int_equal(rota_registry_add_command(registry, &nameless), -EINVAL);
	assert_int_equal(rota_registry_add_command(registry, &odd), -EINVAL);
	assert_int_equal(rota_registry_add_command(registry, &idle), -EINVAL);
	assert_int_equal(rota_registry_add_command(registry, &doubled), -EINVAL);
	assert_int_equal(rota_registry_add_command(registry, &sized), -EINVAL);
	idle.kind = ROTA_COMMAND_GENERATING;
	assert_int_equal(rota_registry_add_command(registry, &idle), -EINVAL);
	rota_registry_free(registry);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(commands__are_found_by_each_alias),
		fixture_test(commands__of_a_name_that_is_there__take_it),
		fixture_test(commands__that_make_no_sense__are_refused),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
