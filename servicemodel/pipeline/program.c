/* SPDX-License-Identifier: MIT */
/* The command line of rota-pipeline. It keeps nothing between two calls. */
#include <rota/pipeline_program.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/pipeline.h>
#include <rota/version.h>

#include "allocator.h"
#include "program_work.h"
#include "program_stdio.h"
#include "sys.h"

static const char help[] =
	"usage: %s run [-d DISPATCHER] [-j N] [-p NAME] [--plan] [--progress] [--store STORE] TEXT | -f FILE\n"
	"       %s list\n"
	"       %s help COMMAND\n"
	"       %s status | cleanup --store STORE\n"
	"       %s --help | --version\n"
	"\n"
	"Runs pipelines of commands: read access.log | parse combined | stats count by status | output\n"
	"\n"
	"  -d, --dispatcher DISPATCHER  how it is run: list shows them [local]\n"
	"  -j, --processes N            for a dispatcher with several processes [one a processor]\n"
	"  -f, --file FILE              the text is in a file; - is stdin\n"
	"  -p, --pipeline NAME          of a text with several [main]\n"
	"      --plan                   show layers, processes and commands, and run nothing\n"
	"      --progress               tell on stderr how far it is\n"
	"      --store STORE            memory, or sqlite:PATH for all runs [$ROTA_PIPELINE_STORE, memory]\n";

int
rota__program_misuse(const struct work *work, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", work->arguments.program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "; --help tells more\n");
	return MISUSED;
}

int
rota__program_fail(const struct work *work, const char *what, const char *why)
{
	if (work->has_progress)
		fputc('\n', stderr);
	fprintf(stderr, "%s: %s%s%s\n", work->arguments.program, what, why[0] == '\0' ? "" : ": ",
		why);
	return FAILED;
}

int
rota__program_fail_code(const struct work *work, const char *what, int error)
{
	char text[128];

	return rota__program_fail(work, what, rota_strerror(error, text, sizeof text));
}

/* What is written must have arrived. */
int
rota__program_flush(const struct work *work)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return rota__program_fail(work, "standard output cannot be written",
		errno == 0 ? "" : strerror(errno));
}

/* The store */

/* In the work's context. */
static int
open_store(struct work *work)
{
	const char *name = work->arguments.store;
	struct rota_store *store;
	int r;

	if (name == NULL)
		name = getenv("ROTA_PIPELINE_STORE");
	if (name == NULL || name[0] == '\0')
		return 0;
	r = rota_store_open(work->registry, name, &store);
	if (r == -ENOENT || r == -EINVAL)
		return rota__program_misuse(work,
			"no store is called \"%s\": memory, or sqlite:PATH", name);
	if (r < 0)
		return rota__program_fail_code(work, name, r);
	rota_pipeline_context_set_store(work->context, store);
	work->has_store = true;
	/* What is wrong with it is told with its name, which a run does not know. */
	r = rota_store_enter(store);
	if (r == -EUCLEAN)
		return rota__program_fail(work, name,
			"the file is there, and is no database of SQLite's");
	if (r < 0)
		return rota__program_fail_code(work, name, r);
	rota_store_leave(store);
	return 0;
}

static void
print_time(int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[40] = "-";
	struct tm parts;

	if (seconds > 0 && gmtime_r(&time, &parts) != NULL)
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
	printf("%-20s  ", text);
}

static void
print_run(const struct rota_run_status *status, void *userdata)
{
	(void)userdata;
	printf("%-9s %8d  ", rota_run_state_name(status->state), (int)status->pid);
	print_time(status->started);
	print_time(status->ended);
	printf("%s by %s\n", status->pipeline, status->dispatcher);
}

static int
with_runs(struct work *work, bool is_cleanup)
{
	struct rota_store *store = rota_pipeline_context_store(work->context);
	const char *word = is_cleanup ? "cleanup" : "status";
	int r;

	if (work->arguments.rest_count != 0)
		return rota__program_misuse(work, "%s takes no argument, not \"%s\"", word,
			work->arguments.rest[0]);
	if (!work->has_store)
		return rota__program_misuse(work,
			"%s wants --store, or $ROTA_PIPELINE_STORE: which runs?", word);
	r = rota_store_enter(store);
	if (r < 0)
		return rota__program_fail_code(work, "the store", r);
	r = is_cleanup ? rota_runs_cleanup(store) : rota_runs_status(store, print_run, NULL);
	rota_store_leave(store);
	if (r < 0)
		return rota__program_fail_code(work, "the store", r);
	if (is_cleanup)
		printf("%d removed\n", r);
	return rota__program_flush(work);
}

/* run */

static int
read_file(struct work *work)
{
	const struct rota_sys_ops *sys = rota__default_sys();
	const char *name = work->arguments.file;
	bool is_stdin = strcmp(name, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : sys->open(name, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t n = fd < 0 ? -1 : 1;
	int r = 0;

	while (r == 0 && n > 0) {
		n = sys->read(fd, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			r = rota_buffer_add(&work->text, bytes, (size_t)n);
	}
	if (n < 0)
		r = -errno;
	if (fd >= 0 && !is_stdin)
		sys->close(fd);
	return r < 0 ? rota__program_fail_code(work, name, r) : 0;
}

static int
read_text(struct work *work)
{
	const struct arguments *arguments = &work->arguments;

	if (arguments->rest_count > 1)
		return rota__program_misuse(work,
			"run takes one text: put quotes around the pipeline");
	if ((arguments->file != NULL) == (arguments->rest_count == 1))
		return rota__program_misuse(work, "run takes one text of a pipeline, or -f FILE");
	if (arguments->file != NULL)
		return read_file(work);
	if (rota_buffer_add(&work->text, arguments->rest[0], strlen(arguments->rest[0])) < 0)
		return rota__program_fail_code(work, "the text", -ENOMEM);
	return 0;
}

/* Where a line is not ours alone to go back in: few ones, each whole. */
static void
tell_progress(struct work *work, const struct rota_progress *progress)
{
	uint64_t percent;

	if (progress->total > 0) {
		percent = (uint64_t)(100.0 * (double)progress->done / (double)progress->total);
		if (percent > work->told)
			fprintf(stderr, "%s: %" PRIu64 " %%\n", progress->command, percent);
		work->told = percent > work->told ? percent : work->told;
	} else if (progress->done / 2 >= work->told) {
		fprintf(stderr, "%s: %" PRIu64 "\n", progress->command, progress->done);
		work->told = progress->done;
	}
}

static void
show_progress(const struct rota_progress *progress, void *userdata)
{
	struct work *work = userdata;

	/* What the pipeline writes would stand behind it, on a terminal that both go to. */
	if (!isatty(STDERR_FILENO) || isatty(STDOUT_FILENO)) {
		tell_progress(work, progress);
		return;
	}
	work->has_progress = true;
	if (progress->total > 0)
		fprintf(stderr, "\r%s: %3.0f %%", progress->command,
			100.0 * (double)progress->done / (double)progress->total);
	else
		fprintf(stderr, "\r%s: %" PRIu64, progress->command, progress->done);
}

static int
show_plan(struct work *work, const struct rota_run_options *options)
{
	struct rota_buffer buffer = ROTA_BUFFER_INIT;
	struct rota_pipeline_error error;
	struct rota_plan plan;
	int r = rota_plan(work->context, work->arguments.dispatcher, options, &plan, &error);

	if (r < 0)
		return rota__program_fail(work, error.text, "");
	r = rota_plan_format(&plan, &buffer);
	if (r == 0)
		fwrite(buffer.bytes, 1, buffer.len, stdout);
	rota_buffer_fini(&buffer);
	return r < 0 ? rota__program_fail_code(work, "the plan", r) : rota__program_flush(work);
}

/* Whether it can be run at all, as far as the arguments have to do with it. */
static int
check_run(const struct work *work)
{
	const char *name = work->arguments.pipeline;
	const struct rota_pipeline *pipeline;

	if (rota_registry_dispatcher(work->registry, work->arguments.dispatcher) == NULL)
		return rota__program_misuse(work, "there is no dispatcher \"%s\", list shows them",
			work->arguments.dispatcher);
	if (name == NULL)
		name = ROTA_PIPELINE_MAIN;
	pipeline = rota_pipeline_find(work->context, name);
	if (pipeline == NULL)
		return rota__program_misuse(work, "there is no pipeline \"%s\" in the text", name);
	if (rota_step_command(rota_pipeline_step(pipeline, 0))->kind != ROTA_COMMAND_GENERATING)
		return rota__program_misuse(work,
			"%s has no records: it should begin with a command that makes them, as read",
			name);
	return 0;
}

static int
dispatch(struct work *work)
{
	struct rota_run_options options = ROTA_RUN_OPTIONS_INIT;
	struct rota_run_result result;
	struct sigaction before;
	int r = check_run(work);

	if (r != 0)
		return r;
	options.pipeline = work->arguments.pipeline;
	options.processes = work->arguments.processes;
	options.on_progress = work->arguments.is_progress ? show_progress : NULL;
	options.userdata = work;
	if (work->arguments.is_plan)
		return show_plan(work, &options);
	rota__stdio_hold_sigpipe(&before);
	r = rota_dispatch(work->context, work->arguments.dispatcher, &options, &result);
	rota__stdio_release_sigpipe(&before);
	if (r < 0) {
		r = rota__program_fail(work, result.error.text, "");
	} else {
		if (work->has_progress)
			fputc('\n', stderr);
		if (result.pid > 0)
			printf("%d\n", (int)result.pid);
		r = rota__program_flush(work);
	}
	rota_run_result_fini(&result);
	return r;
}

static int
run(struct work *work)
{
	struct rota_pipeline_error error;
	int r = read_text(work);

	if (r != 0)
		return r;
	r = rota_pipeline_parse(work->context, (const char *)work->text.bytes, work->text.len,
		&error);
	if (r < 0) {
		rota__program_fail(work, error.text, "");
		return MISUSED;
	}
	return dispatch(work);
}

/* Arguments */

enum { PLAN = 256, PROGRESS, STORE, HELP, VERSION };

static const struct option options[] = {
	{ "dispatcher", required_argument, NULL, 'd' },
	{ "processes", required_argument, NULL, 'j' },
	{ "file", required_argument, NULL, 'f' },
	{ "pipeline", required_argument, NULL, 'p' },
	{ "plan", no_argument, NULL, PLAN },
	{ "progress", no_argument, NULL, PROGRESS },
	{ "store", required_argument, NULL, STORE },
	{ "help", no_argument, NULL, HELP },
	{ "version", no_argument, NULL, VERSION },
	{ NULL, 0, NULL, 0 },
};

static int
take_processes(struct work *work, const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end != '\0' || number < 1 || number > ROTA_RUN_PROCESSES)
		return rota__program_misuse(work, "-j takes a number from 1 to %d, not \"%s\"",
			ROTA_RUN_PROCESSES, text);
	work->arguments.processes = (unsigned)number;
	return 0;
}

/* -1: go on; otherwise the exit status. */
static int
take_option(struct work *work, int option)
{
	const char *name = work->arguments.program;

	switch (option) {
	case 'd':
		work->arguments.dispatcher = optarg;
		return -1;
	case 'j':
		return take_processes(work, optarg) == 0 ? -1 : MISUSED;
	case 'f':
		work->arguments.file = optarg;
		return -1;
	case 'p':
		work->arguments.pipeline = optarg;
		return -1;
	case PLAN:
		work->arguments.is_plan = true;
		return -1;
	case PROGRESS:
		work->arguments.is_progress = true;
		return -1;
	case STORE:
		work->arguments.store = optarg;
		return -1;
	case HELP:
		printf(help, name, name, name, name, name);
		return rota__program_flush(work);
	case VERSION:
		printf("%s %s\n", name, rota_version());
		return rota__program_flush(work);
	default:
		return MISUSED;
	}
}

/* What getopt_long has not liked of an argument. */
static int
refuse_option(const struct work *work, int option, const char *argument)
{
	if (option == ':')
		return rota__program_misuse(work, "%s wants a value", argument);
	if (optopt != 0 && argument[1] != '-')
		return rota__program_misuse(work, "there is no option -%c", optopt);
	return rota__program_misuse(work, "%s is no option, or none that takes a value", argument);
}

static int
do_word(struct work *work, const char *word)
{
	int r;

	if (strcmp(word, "list") == 0)
		return rota__program_list(work);
	if (strcmp(word, "help") == 0)
		return rota__program_help(work);
	r = open_store(work);
	if (r != 0)
		return r;
	if (strcmp(word, "run") == 0)
		return run(work);
	if (strcmp(word, "status") == 0 || strcmp(word, "cleanup") == 0)
		return with_runs(work, word[0] == 'c');
	return rota__program_misuse(work, "expected run, list, help, status or cleanup, not \"%s\"",
		word);
}

static int
do_arguments(struct work *work, int argc, char **argv)
{
	int option, r = -1;

	optind = 1;
	opterr = 0;
	for (;;) {
		option = getopt_long(argc, argv, ":d:j:f:p:", options, NULL);
		if (option == -1)
			break;
		r = option == '?' || option == ':' ? refuse_option(work, option, argv[optind - 1])
						   : take_option(work, option);
		if (r >= 0)
			break;
	}
	if (r >= 0)
		return r;
	if (optind == argc)
		return rota__program_misuse(work, "expected run, list, help, status or cleanup");
	work->arguments.rest = argv + optind + 1;
	work->arguments.rest_count = argc - optind - 1;
	return do_word(work, argv[optind]);
}

int
rota_pipeline_main(int argc, char **argv, const struct rota_registry *registry)
{
	struct work work = { .arguments = { .dispatcher = "local" } };
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	struct rota_registry *own = NULL;
	int r = 0;

	rota__stdio_fill();
	work.arguments.program = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "rota-pipeline";
	work.text.limit = ROTA_PIPELINE_TEXT + 1;
	if (registry == NULL)
		r = rota_registry_new(&own);
	work.registry = registry == NULL ? own : registry;
	if (r == 0)
		r = rota_pipeline_context_new(work.registry, &work.context);
	r = r < 0 ? rota__program_fail_code(&work, "it cannot begin", r)
		  : do_arguments(&work, argc, argv);
	rota_pipeline_context_free(work.context);
	rota_registry_free(own);
	rota_buffer_fini(&work.text);
	return r;
}
