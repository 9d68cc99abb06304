/* SPDX-License-Identifier: MIT */
/*
 * program.h - what the installed programs do the same way: arguments with bounds, errors that say
 * what to do, and a life that ends in order: the first SIGINT or SIGTERM drains, a second one ends
 * the process at once.
 *
 * A program has one struct program, one context and one thread. Its exit status is 0 when all went
 * well, PROGRAM_FAILED when it did not, and PROGRAM_MISUSED when its arguments were wrong.
 */
#ifndef EXAMPLES_PROGRAM_H
#define EXAMPLES_PROGRAM_H

#include <rota/rota.h>

#define PROGRAM_FAILED 1
#define PROGRAM_MISUSED 2

struct program;

/* Take no new work, and end what there is: the program is over when its last stream is. */
typedef void program_drain_fn(struct program *program);

/* Called before each wait: write what was gathered meanwhile. */
typedef void program_turn_fn(struct program *program);

struct program {
	const char *name; /* begins every line on stderr: "rota-echo" */
	struct rota_context *ctx;
	program_drain_fn *drain;
	program_turn_fn *turn; /* NULL unless set between program_open and program_run */
	bool draining;
	bool failed;
	struct program_prefork *prefork; /* that it is the master of, or NULL */
	bool held;                       /* drained, it goes on until this is false */
	/* called at each further signal, which then does not end the process; NULL: it does */
	program_drain_fn *again;
	int signal; /* that has come first, or 0 */
	bool quiet; /* program_listen tells no address: somebody else has */
	/* What follows is program.c's. */
	struct rota_signal interrupt;
	struct rota_signal terminate;
	rota_time warned; /* when the present second of warnings began */
	unsigned warnings;
};

/*
 * Fills the struct and makes its context; ignores SIGPIPE, raises the soft limit of descriptors to
 * the hard one, and starts both signals. Returns 0, or PROGRAM_FAILED after saying why.
 */
int program_open(struct program *program, const char *name, program_drain_fn *drain);
/* The same on a context that is there, which is the program's from now on. */
int program_open_on(struct program *program, const char *name, program_drain_fn *drain,
	struct rota_context *ctx);

/*
 * Turns until the program is drained. Returns 0, or PROGRAM_FAILED when anything was told by
 * program_fail.
 */
int program_run(struct program *program);

/* Calls the program's drain, the first time. The signals do the same. */
void program_drain(struct program *program);

/* Aborts what is still open, and frees the context. */
void program_close(struct program *program);

/* How many descriptors this process may have open. */
uint64_t program_descriptors(void);

/* A line on stderr; the program will exit with PROGRAM_FAILED. */
void program_fail(struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line on stderr about what peers can cause: no more than 10 of them a second. */
void program_warn(struct program *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * What is the matter, and what to do about it: "address already in use (EADDRINUSE): choose another
 * port or stop what listens there". Both write into the caller's buffer and return it.
 */
const char *program_explain(int error, char *buffer, size_t size);
const char *program_explain_close(const struct rota_close_info *why, char *buffer, size_t size);

/*
 * Listens, and tells the address on stderr once it is ready: for port 0, the port that it got.
 * Returns 0, or PROGRAM_FAILED after saying why not.
 */
int program_listen(struct program *program, const struct rota_address *address,
	const struct rota_listener_options *options, const struct rota_listener_handlers *handlers,
	void *userdata, struct rota_listener **ret_listener);

/* Flushes stdout. Returns 0, or PROGRAM_FAILED after saying that what was printed is not there. */
int program_flush(const char *name);

/*
 * The command line. program_answers: whether an argument is --help or --version; then it is
 * printed, and *ret_status is the exit status. program_options calls on_option for each option,
 * with the val and the value it has, until one fails; operands are refused. Returns 0, what
 * on_option returned, or PROGRAM_MISUSED after saying why.
 */
struct option; /* <getopt.h> */
typedef int program_option_fn(int option, const char *value, void *userdata);
bool program_answers(const char *name, const char *help, int argc, char **argv, int *ret_status);
int program_options(const char *name, int argc, char **argv, const struct option *options,
	program_option_fn *on_option, void *userdata);

/* The values of options. Each returns 0, or PROGRAM_MISUSED after saying what the option wants. */
int program_number(const char *name, const char *option, const char *text, uint64_t least,
	uint64_t most, uint64_t *ret_number);
int program_seconds(const char *name, const char *option, const char *text, rota_time least,
	rota_time most, rota_time *ret_duration);
/* A port alone, 7000 or :7000, is 127.0.0.1's. */
int program_address(const char *name, const char *option, const char *text,
	struct rota_address *ret_address);

/* Says what is wrong with the arguments, and where to read about them. Returns PROGRAM_MISUSED. */
int program_misuse(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
