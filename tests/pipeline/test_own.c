/* SPDX-License-Identifier: MIT */
/*
 * Commands, dispatchers and kinds of stores of a program's own: they are found by their aliases,
 * also in place of the library's, are used as the library's are, by rota_pipeline_main too, and
 * what they do wrong is told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "faulty_allocator.h"
#include "plumbing.h"

/* twice: adds a command, and runs the whole two times */

static int
add_add(struct rota_run *run)
{
	struct rota_pipeline *pipeline = rota_run_pipeline(run);
	struct rota_step *step;
	int r;

	if (rota_pipeline_count(pipeline) > 2)
		return 0;
	r = rota_pipeline_append(pipeline, "add", &step);
	if (r == 0)
		r = rota_step_set(step, "number", "100");
	return r < 0 ? r : rota_pipeline_build(pipeline, NULL);
}

static int
run_twice(struct rota_run *run)
{
	int r = rota_run_here(run);

	return r < 0 ? r : rota_run_here(run);
}

static int
plan_twice(struct rota_run *run, struct rota_plan *plan)
{
	plan->layer_count = 2;
	plan->layers[1] = plan->layers[0];
	return rota_pipeline_count(rota_run_pipeline(run)) == plan->layers[0].end ? 0 : -EINVAL;
}

static const char *const twice_aliases[] = { "twice", "double", NULL };
static const struct rota_dispatcher twice = {
	.size = sizeof twice,
	.aliases = twice_aliases,
	.summary = "Two times",
	.prepare = add_add,
	.plan = plan_twice,
	.dispatch = run_twice,
};

static int
sink_all(struct rota_record *record, void *userdata)
{
	return plumbing_sink(record, userdata);
}

/* Runs main, with what comes out in the plumbing. */
static int
run_by(struct plumbing *plumbing, const char *dispatcher, struct rota_run_result *result)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;

	plumbing->out_len = 0;
	memset(plumbing->out, 0, sizeof plumbing->out);
	options.on_record = sink_all;
	options.processes = 2;
	options.userdata = plumbing;
	return rota_dispatch(plumbing->context, dispatcher, &options, result);
}

static void
a_dispatcher__of_ones_own__runs_pipelines(void **state)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_run_result result;
	struct plumbing plumbing;
	struct rota_plan plan;

	(void)state;
	plumbing_open(&plumbing);
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &twice), 0);
	plumbing_parse(&plumbing, "numbers 3 | hold");
	assert_int_equal(run_by(&plumbing, "double", &result), 0);
	assert_string_equal(plumbing.out, "100 101 102 100 101 102");
	assert_int_equal(result.records, 6);
	assert_int_equal(rota_plan(plumbing.context, "twice", NULL, &plan, NULL), 0);
	assert_int_equal(rota_plan_format(&plan, &buffer), 0);
	assert_int_equal(rota_buffer_add(&buffer, "", 1), 0);
	assert_string_equal(buffer.bytes,
		"main by twice\n  layer 1, 1 process\n    numbers count=3\n    hold\n"
		"    add number=100\n  layer 2, 1 process\n    numbers count=3\n    hold\n"
		"    add number=100\n");
	rota_buffer_fini(&buffer);
	plumbing_close(&plumbing);
}

static int
run_nothing(struct rota_run *run)
{
	assert_non_null(rota_run_context(run));
	assert_int_equal(rota_run_options(run)->processes, 2);
	rota_run_result(run)->records = 7;
	return 0;
}

static void
a_dispatcher__of_a_name_that_is_there__takes_it(void **state)
{
	static const char *const aliases[] = { "nothing", "local", NULL };
	const struct rota_dispatcher nothing = {
		.size = sizeof nothing, .aliases = aliases, .dispatch = run_nothing
	};
	struct rota_run_result result;
	struct plumbing plumbing;
	size_t count = 0;

	(void)state;
	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers 3");
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &nothing), 0);
	assert_ptr_equal(rota_registry_dispatcher(plumbing.registry, "local"), &nothing);
	while (rota_registry_dispatcher_at(plumbing.registry, count) != NULL)
		count++;
	assert_ptr_equal(rota_registry_dispatcher_at(plumbing.registry, count - 1), &nothing);
	assert_int_equal(run_by(&plumbing, "local", &result), 0);
	assert_string_equal(plumbing.out, "");
	assert_int_equal(result.records, 7);
	assert_int_equal(run_by(&plumbing, "local_test", &result), 0);
	assert_int_equal(result.kept_count, 3);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

/* In a process of its own, which has the store's file to open for itself. */
static int
run_forked(struct rota_run *run)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		struct rota_store *store = rota_pipeline_context_store(rota_run_context(run));

		rota_run_forked(run);
		_exit(rota_store_put(store, "mine", "x", 1) < 0 || rota_run_here(run) < 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return rota_run_fail(run, -EIO, "it has ended with %d", status);
	return 0;
}

static void
a_dispatcher__that_forks__uses_the_store(void **state)
{
	static const char *const aliases[] = { "forking", NULL };
	const struct rota_dispatcher forking = {
		.size = sizeof forking, .aliases = aliases, .dispatch = run_forked
	};
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	char name[] = "/tmp/rota-own.XXXXXX", where[40];
	struct rota_run_result result;
	struct plumbing plumbing;
	struct rota_store *store;

	(void)state;
	close(mkstemp(name));
	snprintf(where, sizeof where, "sqlite:%s", name);
	plumbing_open(&plumbing);
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &forking), 0);
	plumbing_parse(&plumbing, "numbers 3");
	assert_int_equal(rota_store_open(plumbing.registry, where, &store), 0);
	rota_pipeline_context_set_store(plumbing.context, store);
	assert_int_equal(run_by(&plumbing, "forking", &result), 0);
	assert_int_equal(rota_store_enter(store), 0);
	assert_int_equal(rota_store_get(store, "mine", &buffer), 0);
	rota_store_leave(store);
	rota_buffer_fini(&buffer);
	plumbing_close(&plumbing);
	assert_int_equal(unlink(name), 0);
}

/* Dispatchers that fail in one way each */

static int
spoil(struct rota_run *run)
{
	struct rota_step *step;

	return rota_pipeline_append(rota_run_pipeline(run), "odd", &step);
}

static int
refuse(struct rota_run *run)
{
	(void)run;
	return -EPERM;
}

static int
fail_with_words(struct rota_run *run)
{
	rota_run_fail(run, -EPERM, "it is %d o'clock", 5);
	return rota_run_fail(run, -EPERM, "another thing");
}

static int
nest(struct rota_run *run)
{
	struct rota_run_result result;
	int r = rota_dispatch(rota_run_context(run), "local", NULL, &result);

	return rota_run_fail(run, r, "inside: %s", result.error.text);
}

static void
expect_failure(int (*prepare)(struct rota_run *), int (*dispatch)(struct rota_run *), int error,
	const char *text)
{
	static const char *const aliases[] = { "odd_one", NULL };
	const struct rota_dispatcher dispatcher = { .size = sizeof dispatcher,
		.aliases = aliases,
		.prepare = prepare,
		.dispatch = dispatch };
	struct rota_run_result result;
	struct plumbing plumbing;

	plumbing_open(&plumbing);
	plumbing_parse(&plumbing, "numbers 3");
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &dispatcher), 0);
	assert_int_equal(run_by(&plumbing, "odd_one", &result), error);
	assert_int_equal(result.error.code, error);
	assert_string_equal(result.error.text, text);
	/* The context is free again. */
	if (error != -ROTA_EUNBUILT)
		assert_int_equal(run_by(&plumbing, "local", &result), 0);
	rota_run_result_fini(&result);
	plumbing_close(&plumbing);
}

static void
a_dispatcher__that_fails__is_told(void **state)
{
	(void)state;
	expect_failure(spoil, run_twice, -ROTA_EUNBUILT,
		"odd_one has changed the pipeline, and not built it");
	expect_failure(refuse, run_twice, -EPERM, "odd_one cannot run this: EPERM");
	expect_failure(fail_with_words, run_twice, -EPERM, "it is 5 o'clock");
	expect_failure(NULL, refuse, -EPERM, "odd_one failed: EPERM");
	expect_failure(NULL, fail_with_words, -EPERM, "it is 5 o'clock");
	expect_failure(NULL, nest, -EBUSY, "inside: the context is being run");
}

static void
tables__that_make_no_sense__are_refused(void **state)
{
	static const char *const aliases[] = { "a b", NULL };
	struct rota_dispatcher odd = twice, idle = twice, sized = twice, nameless = twice;
	struct rota_registry *registry;
	struct rota_store_kind kind;

	(void)state;
	odd.aliases = aliases;
	nameless.aliases = aliases + 1;
	idle.dispatch = NULL;
	sized.size--;
	assert_int_equal(rota_registry_new(&registry), 0);
	assert_int_equal(rota_registry_add_dispatcher(registry, &odd), -EINVAL);
	assert_int_equal(rota_registry_add_dispatcher(registry, &nameless), -EINVAL);
	assert_int_equal(rota_registry_add_dispatcher(registry, &idle), -EINVAL);
	assert_int_equal(rota_registry_add_dispatcher(registry, &sized), -EINVAL);
	kind = *rota_registry_store(registry, "memory");
	kind.compare_and_set = NULL;
	assert_int_equal(rota_registry_add_store(registry, &kind), -EINVAL);
	kind = *rota_registry_store(registry, "memory");
	kind.size = 1;
	assert_int_equal(rota_registry_add_store(registry, &kind), -EINVAL);
	rota_registry_free(registry);
}

/* A kind of store: memory, which counts */

static const struct rota_store_kind *memory;
static int entered, left, has_entered, enter_result;

static int
enter(void *state)
{
	(void)state;
	if (enter_result < 0)
		return enter_result;
	entered++;
	has_entered++;
	return 0;
}

static void
leave(void *state)
{
	(void)state;
	entered--;
	left++;
}

static int
look_at_store(struct rota_run *run)
{
	struct rota_store *store = rota_pipeline_context_store(rota_run_context(run));

	assert_int_equal(entered, 1);
	assert_int_equal(rota_store_enter(store), 0);
	assert_int_equal(rota_store_put(store, "mine", "x", 1), 0);
	rota_store_leave(store);
	assert_int_equal(entered, 1);
	return rota_run_here(run);
}

static void
a_store__of_ones_own__is_entered_and_left_around_runs(void **state)
{
	static const char *const aliases[] = { "counting", NULL },
				 *const looks[] = { "looks", NULL };
	const struct rota_dispatcher dispatcher = {
		.size = sizeof dispatcher, .aliases = looks, .dispatch = look_at_store
	};
	struct rota_store_kind kind;
	struct rota_run_result result;
	struct plumbing plumbing;
	struct rota_store *store;

	(void)state;
	plumbing_open(&plumbing);
	memory = rota_registry_store(plumbing.registry, "memory");
	kind = *memory;
	kind.aliases = aliases;
	kind.enter = enter;
	kind.leave = leave;
	assert_int_equal(rota_registry_add_store(plumbing.registry, &kind), 0);
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &dispatcher), 0);
	assert_int_equal(rota_store_open(plumbing.registry, "counting", &store), 0);
	rota_pipeline_context_set_store(plumbing.context, store);
	plumbing_parse(&plumbing, "numbers 3");
	has_entered = left = 0;
	assert_int_equal(run_by(&plumbing, "looks", &result), 0);
	assert_int_equal(run_by(&plumbing, "multiproc", &result), 0);
	assert_int_equal(has_entered, 2);
	assert_int_equal(left, 2);
	enter_result = -EACCES;
	assert_int_equal(run_by(&plumbing, "looks", &result), -EACCES);
	assert_string_equal(result.error.text, "the store cannot be used: EACCES");
	assert_string_equal(plumbing.out, "");
	enter_result = 0;
	plumbing_close(&plumbing);
}

/* rota_pipeline_main with these words, then NULL; what it prints is in a file. */
static char printed[8192];

static int
call_main(const struct rota_registry *registry, ...)
{
	int out = dup(STDOUT_FILENO), argc = 0, r;
	FILE *file = tmpfile();
	char copies[8][100], *argv[9] = { NULL };
	const char *word;
	va_list words;
	ssize_t n;

	va_start(words, registry);
	while ((word = va_arg(words, const char *)) != NULL) {
		snprintf(copies[argc], sizeof copies[argc], "%s", word);
		argv[argc] = copies[argc];
		argc++;
	}
	va_end(words);
	fflush(stdout);
	assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
	r = rota_pipeline_main(argc, argv, registry);
	fflush(stdout);
	assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
	close(out);
	n = pread(fileno(file), printed, sizeof printed - 1, 0);
	printed[n < 0 ? 0 : n] = '\0';
	fclose(file);
	return r;
}

static void
a_program__of_ones_own__has_them_all(void **state)
{
	struct plumbing plumbing;
	const struct rota_registry *registry;

	(void)state;
	plumbing_open(&plumbing);
	registry = plumbing.registry;
	assert_int_equal(rota_registry_add_dispatcher(plumbing.registry, &twice), 0);
	assert_int_equal(call_main(registry, "x/mine", "list", NULL), 0);
	assert_non_null(strstr(printed, "  numbers, series "));
	assert_non_null(strstr(printed, "  twice, double                Two times\n"));
	assert_int_equal(call_main(registry, "mine", "help", "add", NULL), 0);
	assert_string_equal(printed,
		"add (streaming): Adds a number\n  number, required  (whole number)\n"
		"      What is added.\n");
	assert_int_equal(call_main(registry, "mine", "run", "-d", "multiproc", "-j2",
				 "numbers 4 | add 1 | output format=csv", NULL),
		0);
	assert_string_equal(printed, "n\n1\n2\n3\n4\n");
	assert_int_equal(call_main(registry, "mine", "run", "-d", "twice", "--plan", "numbers 4",
				 NULL),
		0);
	assert_non_null(strstr(printed, "layer 2"));
	assert_int_equal(call_main(registry, "mine", "run", "-d", "multiproc",
				 "numbers | die at=3 how=fail", NULL),
		1);
	assert_int_equal(call_main(registry, "mine", "run", "-p", "other",
				 "numbers; other := numbers 2 | output format=csv", NULL),
		0);
	assert_string_equal(printed, "n\n0\n1\n");
	plumbing_close(&plumbing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(a_dispatcher__of_ones_own__runs_pipelines),
		fixture_test(a_dispatcher__of_a_name_that_is_there__takes_it),
		fixture_test(a_dispatcher__that_forks__uses_the_store),
		fixture_test(a_dispatcher__that_fails__is_told),
		fixture_test(tables__that_make_no_sense__are_refused),
		fixture_test(a_store__of_ones_own__is_entered_and_left_around_runs),
		fixture_test(a_program__of_ones_own__has_them_all),
	};

	/* Processes of a run are known by theirs. */
	if (!has_pidfd())
		return 77;
	faulty_allocator_install();
	return cmocka_run_group_tests_name("own", tests, NULL, NULL);
}
