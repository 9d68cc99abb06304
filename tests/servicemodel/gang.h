/* SPDX-License-Identifier: MIT */
/*
 * What the tests of pools share: workers that do what a task's text says, as "echo x", "kill 9" or
 * "spin"; and a pool of them with what its master was told.
 */
#ifndef ROTA_TESTS_GANG_H
#define ROTA_TESTS_GANG_H

#include <rota/pool.h>

#include "../tcp/rig.h"

#define GANG_RESULTS 512
#define GANG_TEXT 128

/*
 * Of those that fork. A worker's arguments are told by "arguments", but for "die", "refuse",
 * "hang" and "once PATH" (dies if there is such a file, which it makes), which its init does. In tasks:
 *   echo TEXT      replies that
 *   big N          replies N bytes
 *   sum            replies the length and a checksum of the whole payload
 *   arguments, index, pid, inits, attempt
 *   fail TEXT      fails with -EINVAL
 *   error          fails with -EDOM and no text
 *   progress N     tells progress N times, and replies nothing
 *   stderr TEXT    writes that there, and replies it
 *   kill N, exit N, abort, oom: its process ends so
 *   die-once PATH  is killed unless there is such a file, which it makes
 *   nap N          takes N milliseconds
 *   pause-once PATH  pauses unless there is such a file, which it makes
 *   stray          ignores SIGTERM, leaves its process group, and pauses
 *   spin, pause    write a dot to standard error, and never return; patient: the same, and
 *                  SIGTERM is ignored
 *   stop           stops its own process
 *   late           writes a dot, too, and returns as soon as there is SIGTERM
 *   brood          starts a process that pauses, replies its number
 *   exile          starts a program in a session of its own, replies its number
 *   brood-die      the same as brood, says the number on standard error, and is killed
 *   close          closes all that it has
 *   garbage N      sends something that is none of the protocol, and pauses
 *   look           replies what of the master's it has, "" when all is well
 */
extern const struct rota_worker_kind gang_kind;
/* The same by another name, whose replies begin with "other ". */
extern const struct rota_worker_kind gang_other_kind;

struct gang_result {
	struct rota_pool_result result; /* without what it points to */
	char bytes[GANG_TEXT];
	char text[GANG_TEXT];
	char tail[GANG_TEXT];
};

struct gang;
typedef void gang_act_fn(struct gang *gang, const struct rota_pool_result *result);

struct gang {
	struct rota_pool_options options;
	struct rota_pool *pool;
	gang_act_fn *act; /* in on_result, last */
	void *userdata;

	int results;
	struct gang_result told[GANG_RESULTS];
	int ends[ROTA_POOL_POISON + 1]; /* how often */
	int drains;
	int given_up;
	unsigned places;
	unsigned left;
	char given_up_text[GANG_TEXT];
	int stopped;
	struct rota_pool_report report;
	/* as its monitor */
	int added;
	int ready;
	int deaths;
	int causes[ROTA_POOL_STOPPED + 1];
	struct rota_child_end death;
	char death_text[GANG_TEXT];
	rota_time again;
	int tasks;
	int attached;
	int retried;
	int progress;
	uint64_t done, total;
	char note[GANG_TEXT];
	size_t stderr_len;
};

/* Where there is no pidfd_open the test is skipped. */
void gang_init(struct gang *gang);
/* The same, which may fail: then gang->pool may be there or not. */
int gang_try(struct rota_context *ctx, struct gang *gang, int workers);
/* Makes the pool, with so many workers. */
void gang_start(struct rota_context *ctx, struct gang *gang, int workers);
/* The same; and waits until they are ready. */
void gang_open(struct rota_context *ctx, struct gang *gang, int workers);
/* The same after gang_init, for one worker that is given up to eight tasks at once. */
void gang_open_line(struct rota_context *ctx, struct gang *gang);
/* gang_start without on_result: results are to be taken. */
void gang_open_taking(struct rota_context *ctx, struct gang *gang, int workers);
void gang_add(struct gang *gang, const struct rota_worker_kind *kind, const char *arguments);
/* Returns its number. */
uint64_t gang_submit(struct gang *gang, const char *text);
uint64_t gang_submit_with(struct gang *gang, const char *text,
	const struct rota_pool_task_options *options);
/* The same so often. */
void gang_submit_many(struct gang *gang, const char *text, int count);
struct rota_pool_task_options gang_task(void);
struct rota_pool_task_options gang_task_within(rota_time deadline);
void gang_wait(struct rota_context *ctx, const struct gang *gang, int results);
/* The result of a task; it must be there. */
const struct gang_result *gang_result(const struct gang *gang, uint64_t id);
/* It must be there, and have ended so. */
void gang_expect(const struct gang *gang, uint64_t id, enum rota_pool_end end);
/* Submits one, and waits for its result alone. */
const struct gang_result *gang_do(struct rota_context *ctx, struct gang *gang, const char *text);
/* Waits until that one process is no more. */
void gang_wait_for_end(pid_t pid);
/* Stops it; all must add up. Frees it. */
void gang_close(struct rota_context *ctx, struct gang *gang);
void gang_check_counts(const struct gang *gang);

#define gang_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, rig_teardown)

#endif
