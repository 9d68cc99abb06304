/* SPDX-License-Identifier: MIT */
/*
 * program.c - see program.h. Everything here stands on Rota's public headers, and knows nothing of
 * what a program does: it could be copied into one of yours.
 */
#include "program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WARNINGS_A_SECOND 10

/* What can be done about an error, when listening, accepting or connecting. */
static const struct {
	int error;
	const char *advice;
} advices[] = {
	{ EADDRINUSE, "choose another port or stop what listens there" },
	{ EADDRNOTAVAIL, "it is not this machine's, or no local port is left" },
	{ EACCES,
		"choose a port above 1023 or a path that you may use, or run it as another user" },
	{ EPERM, "a firewall or a sandbox forbids it" },
	{ EAGAIN, "its backlog is full: use fewer connections" },
	{ ECONNREFUSED, "start a server there or check the address" },
	{ ECONNRESET, "the peer ended it: look for the reason there" },
	{ EPIPE, "the peer ended it: look for the reason there" },
	{ EHOSTUNREACH, "check the address and the route to it" },
	{ ENETUNREACH, "check the address and the route to it" },
	{ ETIMEDOUT, "check the address, and what filters between here and there" },
	{ ENOENT, "check the path" },
	{ ENOTDIR, "check the path" },
	{ ENAMETOOLONG, "choose a shorter path" },
	{ EMFILE, "raise the limit of descriptors (ulimit -n)" },
	{ ENFILE, "the system's limit of descriptors is reached: close other programs" },
	{ ENOBUFS, "the system is out of memory for sockets: use fewer connections" },
	{ ENOMEM, "free memory or use fewer connections" },
};

static void
print_line(const char *name, const char *format, va_list arguments)
{
	char line[1024];

	/* One write a line, so that the lines of several processes do not mix. */
	vsnprintf(line, sizeof(line), format, arguments);
	fprintf(stderr, "%s: %s\n", name, line);
}

void
program_fail(struct program *program, const char *format, ...)
{
	va_list arguments;

	program->failed = true;
	va_start(arguments, format);
	print_line(program->name, format, arguments);
	va_end(arguments);
}

static bool
may_warn(struct program *program)
{
	rota_time now = rota_context_now(program->ctx);
	unsigned silent = 0;

	if (now - program->warned >= ROTA_SECOND) {
		if (program->warnings > WARNINGS_A_SECOND)
			silent = program->warnings - WARNINGS_A_SECOND;
		program->warned = now;
		program->warnings = 0;
	}
	if (silent > 0)
		fprintf(stderr, "%s: and %u more of these lines\n", program->name, silent);
	program->warnings++;
	return program->warnings <= WARNINGS_A_SECOND;
}

void
program_warn(struct program *program, const char *format, ...)
{
	va_list arguments;

	if (!may_warn(program))
		return;
	va_start(arguments, format);
	print_line(program->name, format, arguments);
	va_end(arguments);
}

static void
log_line(struct rota_context *ctx, int level, const char *line, void *userdata)
{
	(void)ctx;
	(void)level;
	program_warn(userdata, "%s", line);
}

/* As rota_strerror, to stand within a sentence. */
static const char *
error_text(int error, char *buffer, size_t size)
{
	rota_strerror(error, buffer, size);
	buffer[0] = (char)tolower((unsigned char)buffer[0]);
	return buffer;
}

const char *
program_explain(int error, char *buffer, size_t size)
{
	const char *advice = NULL;
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
		if (advices[i].error == abs(error))
			advice = advices[i].advice;
	}
	error_text(error, text, sizeof(text));
	snprintf(buffer, size, "%s (%s)%s%s", text, rota_error_name(error), advice ? ": " : "",
		advice ? advice : "");
	return buffer;
}

const char *
program_explain_close(const struct rota_close_info *why, char *buffer, size_t size)
{
	if (why->error != 0)
		return program_explain(why->error, buffer, size);
	snprintf(buffer, size, "%s: %s", rota_reason_name(why->reason), why->text);
	return buffer;
}

void
program_drain(struct program *program)
{
	if (program->draining)
		return;
	program->draining = true;
	program->drain(program);
}

/*
 * From here on the signals do what they do without us: the second one ends the process, whatever
 * its handlers are busy with. The disposition that was there may have been to ignore them, as
 * shells do for what they start in the background.
 */
static int
on_signal(struct rota_context *ctx, struct rota_signal *sig, void *userdata)
{
	struct program *program = userdata;

	if (program->signal == 0)
		program->signal = sig->number;
	if (program->again) {
		if (program->draining)
			program->again(program);
		else
			program_drain(program);
		return 0;
	}
	rota_signal_stop(ctx, &program->interrupt);
	rota_signal_stop(ctx, &program->terminate);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	program_drain(program);
	return 0;
}

/*
 * So that no socket gets the number of a standard descriptor that is closed, and is printed into.
 */
static void
fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void
raise_descriptors(void)
{
	struct rlimit limit;

	/* Without it the program runs as well, with fewer connections: nothing to say. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

uint64_t
program_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

int
program_open_on(struct program *program, const char *name, program_drain_fn *drain,
	struct rota_context *ctx)
{
	char reason[256];
	int r = 0;

	*program = (struct program){ .name = name, .drain = drain, .ctx = ctx };
	/* For what is printed into a pipe that nobody reads. Rota's own writes raise none. */
	signal(SIGPIPE, SIG_IGN);
	fill_standard_descriptors();
	raise_descriptors();

	if (!ctx)
		r = rota_context_new(&program->ctx);
	if (r < 0)
		goto fail;
	rota_context_on_log(program->ctx, log_line, program);
	r = rota_signal_start(program->ctx, &program->interrupt, SIGINT, on_signal, program);
	if (r < 0)
		goto fail;
	r = rota_signal_start(program->ctx, &program->terminate, SIGTERM, on_signal, program);
	if (r < 0)
		goto fail;
	return 0;

fail:
	program_fail(program, "cannot start: %s", program_explain(r, reason, sizeof(reason)));
	program_close(program);
	return PROGRAM_FAILED;
}

int
program_open(struct program *program, const char *name, program_drain_fn *drain)
{
	return program_open_on(program, name, drain, NULL);
}

static int
before_wait(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct program *program = vars->userdata;

	if (program->turn)
		program->turn(program);
	return program->draining && !program->held && rota_context_streams(ctx) == 0
		? ROTA_STOP
		: ROTA_CONTINUE;
}

int
program_run(struct program *program)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	char reason[256];
	int r;

	vars.before_dispatch = before_wait;
	vars.userdata = program;
	r = rota_iterate(program->ctx, &vars);
	if (r < 0)
		program_fail(program, "the loop failed: %s",
			program_explain(r, reason, sizeof(reason)));
	return program->failed ? PROGRAM_FAILED : 0;
}

void
program_close(struct program *program)
{
	rota_context_free(program->ctx);
	program->ctx = NULL;
}

int
program_listen(struct program *program, const struct rota_address *address,
	const struct rota_listener_options *options, const struct rota_listener_handlers *handlers,
	void *userdata, struct rota_listener **ret_listener)
{
	struct rota_address real;
	char name[ROTA_ADDRESS_TEXT];
	char reason[256];
	int r;

	r = rota_listen_address(program->ctx, address, options, handlers, userdata, ret_listener);
	if (r >= 0)
		r = rota_listener_address(*ret_listener, &real);
	if (r < 0) {
		program_fail(program, "cannot listen on %s: %s",
			rota_address_format(address, name, sizeof(name)),
			program_explain(r, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	if (!program->quiet)
		fprintf(stderr, "listening on %s\n",
			rota_address_format(&real, name, sizeof(name)));
	return 0;
}

int
program_flush(const char *name)
{
	char reason[256];

	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "%s: cannot print the result: %s\n", name,
		program_explain(errno, reason, sizeof(reason)));
	return PROGRAM_FAILED;
}

int
program_misuse(const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(name, format, arguments);
	va_end(arguments);
	fprintf(stderr, "try: %s --help\n", name);
	return PROGRAM_MISUSED;
}

bool
program_answers(const char *name, const char *help, int argc, char **argv, int *ret_status)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			printf("%s", help);
		else if (strcmp(argv[i], "--version") == 0)
			printf("%s %s\n", name, rota_version());
		else
			continue;
		*ret_status = program_flush(name);
		return true;
	}
	return false;
}

int
program_options(const char *name, int argc, char **argv, const struct option *options,
	program_option_fn *on_option, void *userdata)
{
	int r;

	opterr = 0;
	for (;;) {
		int at = optind;
		int option = getopt_long(argc, argv, "+:", options, NULL);

		if (option < 0)
			break;
		if (option == '?')
			return program_misuse(name, "there is no option '%s'", argv[at]);
		if (option == ':')
			return program_misuse(name, "%s needs a value", argv[at]);
		r = on_option(option, optarg, userdata);
		if (r != 0)
			return r;
	}
	if (optind < argc)
		return program_misuse(name, "'%s' is not an option", argv[optind]);
	return 0;
}

int
program_number(const char *name, const char *option, const char *text, uint64_t least,
	uint64_t most, uint64_t *ret_number)
{
	unsigned long long number;
	char *end = NULL;

	errno = 0;
	number = strtoull(text, &end, 10);
	/* strtoull takes blanks and signs, too. */
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number < least ||
		number > most)
		return program_misuse(name, "%s wants a whole number from %llu to %llu, not '%s'",
			option, (unsigned long long)least, (unsigned long long)most, text);
	*ret_number = number;
	return 0;
}

int
program_seconds(const char *name, const char *option, const char *text, rota_time least,
	rota_time most, rota_time *ret_duration)
{
	double low = (double)least / ROTA_SECOND;
	double high = (double)most / ROTA_SECOND;
	double seconds;
	char *end = NULL;

	seconds = strtod(text, &end);
	/* strtod takes blanks, signs, "inf", "nan" and hexadecimal digits, too. */
	if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0' || *end != '\0' ||
		!(seconds >= low && seconds <= high))
		return program_misuse(name, "%s wants seconds from %g to %.9g, not '%s'", option,
			low, high, text);
	*ret_duration = (rota_time)(seconds * ROTA_SECOND);
	return 0;
}

/* Puts loopback before a port that stands alone. Returns text, or what it made in buffer. */
static const char *
complete_port(const char *text, char *buffer, size_t size)
{
	const char *port = text + (text[0] == ':');

	if (port[0] == '\0' || port[strspn(port, "0123456789")] != '\0')
		return text;
	snprintf(buffer, size, "127.0.0.1:%s", port);
	return buffer;
}

int
program_address(const char *name, const char *option, const char *text,
	struct rota_address *ret_address)
{
	char completed[32];
	char reason[128];
	int r;

	if (strcmp(text, "unix:") == 0)
		return program_misuse(name, "%s '%s': it wants a path or a name", option, text);
	r = rota_address_parse(complete_port(text, completed, sizeof(completed)), ret_address);
	if (r < 0)
		return program_misuse(name, "%s '%s': %s", option, text,
			error_text(r, reason, sizeof(reason)));
	return 0;
}
