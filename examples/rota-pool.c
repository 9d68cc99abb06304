/* SPDX-License-Identifier: MIT */
/*
 * rota-pool.c - the command line of rota-pool: a command for each line, several at a time.
 *
 *   ls *.wav | rota-pool -j 4 -- flac --silent {}
 *   find . -name '*.c' -print0 | rota-pool -0 wc -l
 *
 * What the commands print comes out whole, one after the other; which of them have failed is told
 * on stderr at the end.
 */
#include "pool_run.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: rota-pool [-j N] [--retries N] [--timeout S] [--ordered] [--progress]\n"
	"                 [--stop] [-0] [-a FILE] [--output BYTES] [--] COMMAND [ARGUMENT...]\n"
	"       rota-pool --help | --version\n"
	"\n"
	"Runs COMMAND once for each line of standard input, several at a time. {} in any word stands\n"
	"for the line; without one the line is the last argument. There is no shell in between: for\n"
	"one, sh -c 'COMMAND \"$1\"' sh {}. What a command prints comes out whole when it has ended.\n"
	"\n"
	"  -j, --jobs N       so many at a time [one for each processor]\n"
	"  --retries N        a command that fails is run up to N times more [0]\n"
	"  --timeout S        a command that takes longer is ended, with all that it has started\n"
	"  --ordered          what they print comes out in the order of the lines\n"
	"  --progress         show on standard error how far it is\n"
	"  --stop             after the first failure begin no more\n"
	"  -0, --null         lines end with NUL, as find -print0 has them\n"
	"  -a, --arg-file FILE  read the lines from there\n"
	"  --output BYTES     the most that one command may print, up to 1G [64M]\n"
	"\n"
	"SIGINT and SIGTERM begin no more commands and let those that run end; a second one ends\n"
	"them, a third one kills them.\n"
	"\n"
	"Exit status: 0 all went well, 123 a command has failed, 126 COMMAND cannot be run, 127 it\n"
	"was not found, 1 something else went wrong, 2 the arguments are wrong.\n";

#define JOBS_MOST ROTA_POOL_WORKERS
#define RETRIES_MOST 1000
#define TIMEOUT_MOST (ROTA_MINUTE * 60 * 24 * 365)
#define OUTPUT ((uint64_t)64 << 20)
#define OUTPUT_MOST ((uint64_t)1 << 30)

enum {
	RETRIES = 256,
	TIMEOUT,
	ORDERED,
	PROGRESS,
	STOP,
	MOST,
};

/* 4096, 64K, 16M, 1G */
static int
read_bytes(const char *value, uint64_t *ret_bytes)
{
	static const char units[] = "KMG";
	char number[32];
	size_t len = strlen(value);
	const char *unit = len > 0 ? strchr(units, value[len - 1]) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	int r;

	if (unit)
		len--;
	snprintf(number, sizeof(number), "%.*s", (int)len, value);
	r = program_number(POOL_NAME, "--output", number, 1, OUTPUT_MOST >> shift, ret_bytes);
	*ret_bytes <<= shift;
	return r;
}

static int
read_option(struct pool_options *options, int option, const char *value)
{
	switch (option) {
	case 'j':
		return program_number(POOL_NAME, "--jobs", value, 1, JOBS_MOST, &options->jobs);
	case RETRIES:
		return program_number(POOL_NAME, "--retries", value, 0, RETRIES_MOST,
			&options->retries);
	case TIMEOUT:
		return program_seconds(POOL_NAME, "--timeout", value, ROTA_MILLISECOND,
			TIMEOUT_MOST, &options->timeout);
	case MOST:
		return read_bytes(value, &options->most);
	case 'a':
		options->file = value;
		return 0;
	case '0':
		options->separator = '\0';
		return 0;
	case ORDERED:
		options->in_order = true;
		return 0;
	case PROGRESS:
		options->has_progress = true;
		return 0;
	default:
		options->stops = true;
		return 0;
	}
}

/* Up to the command, whose options are its own. */
static int
read_options(int argc, char **argv, struct pool_options *options)
{
	static const struct option names[] = {
		{ "jobs", required_argument, NULL, 'j' },
		{ "retries", required_argument, NULL, RETRIES },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "ordered", no_argument, NULL, ORDERED },
		{ "progress", no_argument, NULL, PROGRESS },
		{ "stop", no_argument, NULL, STOP },
		{ "null", no_argument, NULL, '0' },
		{ "arg-file", required_argument, NULL, 'a' },
		{ "output", required_argument, NULL, MOST },
		{ NULL, 0, NULL, 0 },
	};

	opterr = 0;
	for (;;) {
		int at = optind;
		int option = getopt_long(argc, argv, "+:j:0a:", names, NULL);
		int r;

		if (option < 0)
			return 0;
		if (option == '?')
			return program_misuse(POOL_NAME, "there is no option '%s'", argv[at]);
		if (option == ':')
			return program_misuse(POOL_NAME, "%s needs a value", argv[at]);
		r = read_option(options, option, optarg);
		if (r != 0)
			return r;
	}
}

/* --help is the command's, when it stands behind it. */
static bool
is_asked(int argc, char **argv)
{
	return argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0);
}

static void
see_environment(struct pool_command *command)
{
	struct sigaction action;

	/* Before program_open changes them: commands get them as they were. */
	if (getrlimit(RLIMIT_NOFILE, &command->descriptors) < 0)
		command->descriptors = (struct rlimit){ RLIM_INFINITY, RLIM_INFINITY };
	command->ignores_pipe =
		sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int
main(int argc, char **argv)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	struct pool_options options = {
		.jobs = processors > 0 ? (uint64_t)processors : 1,
		.most = OUTPUT,
		.separator = '\n',
	};
	int status;

	if (is_asked(argc, argv) && program_answers(POOL_NAME, help, 2, argv, &status))
		return status;
	status = read_options(argc, argv, &options);
	if (status != 0)
		return status;
	if (optind >= argc)
		return program_misuse(POOL_NAME, "say which command to run");
	if (options.jobs > JOBS_MOST)
		options.jobs = JOBS_MOST;
	options.command.words = argv + optind;
	options.command.count = (size_t)(argc - optind);
	options.command.most = options.most;
	options.command.attempts = (unsigned)options.retries + 1;
	options.command.tells = options.has_progress;
	see_environment(&options.command);
	return pool_run(&options);
}
