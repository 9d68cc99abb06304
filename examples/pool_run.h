/* SPDX-License-Identifier: MIT */
/*
 * pool_run.h - the parts of rota-pool: lines come in (pool_lines.c), become tasks of a pool
 * (pool_feed.c), whose workers run a command for each (pool_command.c); what commands print goes
 * out whole (pool_output.c, pool_errors.c), and what failed is told at the end (pool_failures.c).
 * What holds these together is pool_work.h's.
 */
#ifndef EXAMPLES_POOL_RUN_H
#define EXAMPLES_POOL_RUN_H

#include <stdint.h>
#include <sys/resource.h>

#include <rota/servicemodel.h>

#include "program.h"

#define POOL_NAME "rota-pool"
/* Exit status, as xargs has them: a command failed; cannot be run; was not found. */
#define POOL_FAILED 123
#define POOL_UNRUNNABLE 126
#define POOL_NOT_FOUND 127

/* The longest argument that Linux takes, without its NUL. */
#define POOL_LINE ((size_t)131071)
/* The last of what a command wrote to standard error is told when it has failed. */
#define POOL_TAIL 1024

/* The command, and how it is run: what a worker knows. */
struct pool_command {
	char **words; /* behind the last one NULL */
	size_t count;
	char *path;     /* where the program is; NULL: its name has {} in it */
	bool has_place; /* a word has {} in it */
	bool tells;     /* each line is told as progress */
	size_t most;    /* bytes of output */
	unsigned attempts;
	struct rlimit descriptors; /* as whoever started us had set it */
	bool ignores_pipe;         /* SIGPIPE was ignored by whoever started us */
};

/*
 * Looks for the program as execvp does. 0, or POOL_NOT_FOUND or POOL_UNRUNNABLE after saying so.
 */
int pool_command_find(struct pool_command *command);
/* For who has given a whole command line as the name of a program; otherwise "". */
const char *pool_command_hint(const struct pool_command *command);

/* The workers' kind, for rota_pool_add_worker; it is of this one command. */
const struct rota_worker_kind *pool_command_kind(struct pool_command *command);

/* What has become of a command that was run: behind its output, in the reply of its task. */
struct pool_outcome {
	int32_t error;  /* it could not be run, errno */
	int32_t status; /* as waitpid gives it */
	uint32_t tail;  /* bytes, of standard error's end, before this */
};

/* Takes a reply apart; *ret_out is how much of it is output, the tail is behind that. */
bool pool_outcome_read(const void *reply, size_t len, struct pool_outcome *ret_outcome,
	size_t *ret_out);

/*
 * Input. on_lines is called in turns when there may be more lines, pool_lines_next is then to be
 * called until there is none.
 */
struct pool_lines {
	struct rota_context *ctx;
	struct rota_target target;
	int fd;
	char separator;
	bool is_direct; /* a file, that is always ready */
	bool is_ready;  /* it may be read once without blocking */
	bool has_ended;
	int error;  /* why, negative, or 0 */
	bool skips; /* to the end of a line that is too long */
	void (*on_lines)(void *userdata);
	void *userdata;
	char *buffer;
	size_t begin, end;
	size_t searched; /* from begin on, without a separator */
	uint64_t number; /* of the line that was given last, from 1 */
};

struct pool_line {
	const char *bytes;
	size_t len;
	uint64_t number;
	bool is_too_long; /* of this one there is only the beginning */
};

/* fd is the caller's. 0, or a negative error. */
int pool_lines_open(struct pool_lines *lines, struct rota_context *ctx, int fd, char separator,
	void (*on_lines)(void *userdata), void *userdata);
void pool_lines_close(struct pool_lines *lines);

/* The next line, good until the next call. False: there is none now; or no more, see has_ended. */
bool pool_lines_next(struct pool_lines *lines, struct pool_line *ret_line);

/* How many lines a file has, from where it is read; 0 for what is no file. */
uint64_t pool_lines_count(int fd, char separator);

/* Standard output: a queue that does not block the program. */
struct pool_output {
	struct rota_context *ctx;
	struct rota_target target;
	bool is_direct;
	int error; /* of the first write that failed, negative, or 0 */
	void (*on_room)(void *userdata);
	void *userdata;
	char *bytes;
	size_t begin, end, size;
};

/* on_room: all was written, or the output has failed. */
int pool_output_open(struct pool_output *output, struct rota_context *ctx,
	void (*on_room)(void *userdata), void *userdata);
void pool_output_close(struct pool_output *output);
/* Bytes are copied. 0 or -ENOMEM. After an error they are thrown away. */
int pool_output_put(struct pool_output *output, const void *bytes, size_t len);
/* Writes what can be written. */
void pool_output_flush(struct pool_output *output);
/* What is still to be written. */
size_t pool_output_left(const struct pool_output *output);

/* What failed, kept to be told. */
struct pool_failures {
	struct pool_failure *first, *last;
	uint64_t count;
	uint64_t kept;
};

/* line and tail are copied, cut. */
void pool_failures_add(struct pool_failures *failures, uint64_t number, const char *line,
	const char *text, const void *tail, size_t tail_len);
/* Tells them on standard error, and forgets them. */
void pool_failures_tell(struct pool_failures *failures);

/* Standard error of the workers, by lines. */
struct pool_errors;
int pool_errors_open(struct rota_pool *pool, struct rota_pool_display **display,
	struct pool_errors **ret_errors);
/* Ends the lines that were begun. */
void pool_errors_close(struct pool_errors *errors, struct rota_pool *pool);

struct pool_options {
	uint64_t jobs;
	uint64_t retries;
	uint64_t most;     /* bytes of a command's output */
	rota_time timeout; /* 0: none */
	const char *file;  /* NULL: standard input */
	bool in_order;
	bool has_progress;
	bool stops; /* at the first failure */
	char separator;
	struct pool_command command;
};

/* Returns the exit status. */
int pool_run(struct pool_options *options);

#endif
