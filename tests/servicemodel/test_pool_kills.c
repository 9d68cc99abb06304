/* SPDX-License-Identifier: MIT */
/*
 * SIGKILL at each system call of each process of a pool: its workers', of those that take their
 * places and that they have started, its keeper's, and its master's. While the master lives every
 * task ends exactly once, as what it can be, and one at most for the kill; the counts add up, and
 * nobody and nothing is left. Without it nobody goes on.
 *
 * With ROTA_FULL in the environment that is each call, otherwise some by lot.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "../reactor/pidfd.h"
#include "gang.h"
#include "random.h"
#include "striker.h"

#define CAN(end) (1u << ROTA_POOL_##end)
/* How a master ends that is content: so many of its tasks were killed. More is something else. */
#define ALL_WELL 0
#define ONE_KILLED 1
#define UNWELL 2
/* One of so many calls is enough without ROTA_FULL. */
#define STRIDE 40

/* What is done, and how it ends when nobody is killed from outside. */
static const struct deed {
	const char *text;
	unsigned ends;
	unsigned attempts;
	rota_time deadline;
} deeds[] = {
	{ "echo x", CAN(DONE), 1, ROTA_NEVER },
	{ "echo x", CAN(DONE), 3, ROTA_NEVER },
	{ "big 100000", CAN(DONE), 1, ROTA_NEVER },
	{ "fail", CAN(FAILED), 1, ROTA_NEVER },
	{ "progress 2", CAN(DONE), 1, ROTA_NEVER },
	{ "kill 9", CAN(POISON), 2, ROTA_NEVER },
	{ "pause", CAN(TIMED_OUT), 1, 2 * ROTA_MILLISECOND },
	{ "echo x", CAN(DONE), 3, ROTA_NEVER },
	/* Somebody cancels it, who may be quicker or later than its worker. */
	{ "pause", CAN(CANCELLED), 1, ROTA_NEVER },
	{ "stderr oh", CAN(DONE), 1, ROTA_NEVER },
	/* It leaves a process behind, which goes with its group. */
	{ "brood", CAN(DONE), 1, ROTA_NEVER },
	{ "echo x", CAN(DONE), 1, ROTA_NEVER },
};

#define DEEDS (sizeof deeds / sizeof deeds[0])
#define TO_CANCEL 9u

struct scene {
	unsigned credit;
	const struct rota_worker_kind *kind;
	/* The master's: */
	unsigned seen[DEEDS + 1];
	unsigned killed;
	const char *wrong; /* NULL: nothing */
};

static void
note(struct scene *scene, bool is_right, const char *what)
{
	if (!is_right && scene->wrong == NULL)
		scene->wrong = what;
}

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct scene *scene = userdata;
	const struct deed *deed = &deeds[result->id - 1];

	note(scene, scene->seen[result->id]++ == 0, "a task ended twice");
	if ((deed->ends & 1u << result->end) == 0) {
		scene->killed++;
		note(scene, result->end == ROTA_POOL_KILLED && deed->attempts == 1, deed->text);
	}
	if (result->id == 1)
		(void)rota_pool_cancel(pool, TO_CANCEL);
}

static const struct rota_pool_handlers handlers = { .on_result = on_result };

static void
check_counts(struct scene *scene, const struct rota_pool *pool)
{
	struct rota_pool_counts counts;

	rota_pool_counts(pool, &counts);
	note(scene, counts.submitted == DEEDS && counts.queued == 0 && counts.running == 0,
		"a task is left");
	note(scene,
		counts.done + counts.failed + counts.killed + counts.timed_out + counts.cancelled +
				counts.poison ==
			DEEDS,
		"the counts do not add up");
	for (unsigned id = 1; id <= DEEDS; id++)
		note(scene, scene->seen[id] == 1, "a task has no result");
}

/* How many of the first descriptors are open. */
static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int
use_pool(struct rota_context *ctx, struct scene *scene)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	struct rota_pool *pool;
	int r;

	options.credit = scene->credit;
	options.first_backoff = options.most_backoff = ROTA_MILLISECOND;
	options.kill_grace = 20 * ROTA_MILLISECOND;
	r = rota_pool_new(ctx, &options, &handlers, scene, &pool);
	for (int i = 0; i < 2 && r >= 0; i++)
		r = rota_pool_add_worker(pool, scene->kind, "", 0, NULL);
	for (size_t i = 0; i < DEEDS && r >= 0; i++) {
		struct rota_pool_task_options task = gang_task();

		task.attempts = deeds[i].attempts;
		task.deadline = deeds[i].deadline;
		r = rota_pool_submit(pool, deeds[i].text, strlen(deeds[i].text), &task, NULL);
	}
	if (r >= 0)
		r = rota_pool_stop_wait(pool, 10 * ROTA_SECOND, ROTA_SECOND);
	if (r >= 0)
		check_counts(scene, pool);
	rota_pool_free(pool);
	return r;
}

/* In a process of its own, where nothing may be asserted. */
static int
be_master(void *scene_)
{
	struct scene *scene = scene_;
	struct rota_context *ctx;
	int descriptors = count_descriptors();
	int r;

	alarm(20);
	r = rota_context_new(&ctx);
	if (r >= 0)
		r = use_pool(ctx, scene);
	note(scene, r >= 0, "a call has failed");
	note(scene, rota_context_free(ctx) == 0, "the context cannot be freed");
	note(scene, waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD, "a process is left");
	note(scene, count_descriptors() == descriptors, "a descriptor is left");
	if (scene->wrong == NULL)
		return scene->killed == 0 ? ALL_WELL : ONE_KILLED - 1 + (int)scene->killed;
	fprintf(stderr, "wrong: %s\n", scene->wrong);
	return 100;
}

static void
check(const struct strike *strike)
{
	int most = strike->has_struck ? ONE_KILLED : ALL_WELL;

	if (strike->after >= 2 * ROTA_SECOND)
		fail_msg("process %u was killed at its call %d: others went on for %d ms",
			strike->role, (int)strike->at, (int)(strike->after / ROTA_MILLISECOND));
	if (strike->has_struck && strike->role == 0)
		assert_true(WIFSIGNALED(strike->status) && WTERMSIG(strike->status) == SIGKILL);
	else if (!WIFEXITED(strike->status) || WEXITSTATUS(strike->status) > most)
		fail_msg("process %u was killed at its call %d: the master ended with %x",
			strike->role, (int)strike->at, (unsigned)strike->status);
}

/* Each process, at each call. Returns how many times. */
static unsigned
kill_each(const struct scene *scene, uint64_t *random)
{
	uint64_t stride = getenv("ROTA_FULL") != NULL ? 1 : STRIDE;
	struct strike blow = { .roles = 1 };
	unsigned struck = 0;

	for (; blow.role < blow.roles; blow.role++) {
		blow.at = 0;
		do {
			struct scene copy = *scene;

			blow.at += 1 + random_below(random, 2 * stride - 1);
			alarm(60);
			strike(&blow, be_master, &copy);
			check(&blow);
			struck += blow.has_struck;
		} while (blow.has_struck);
	}
	print_message("%u processes, killed at %u of their calls\n", blow.roles, struck);
	return struck;
}

static void
check_scene(const struct rota_worker_kind *kind, unsigned credit)
{
	const struct scene scene = { .credit = credit, .kind = kind };
	uint64_t random;

	if (!has_pidfd() || getenv("ROTA_UNDER_VALGRIND") != NULL || !striker_is_possible())
		skip();
	random = make_seed("kills");
	/* In each of two workers, where no call is left out. */
	assert_true(kill_each(&scene, &random) > 8);
}

static void
processes__of_credit_1__killed_at_each_call(void **state)
{
	(void)state;
	check_scene(&gang_kind, 1);
}

static void
processes__of_much_credit__killed_at_each_call(void **state)
{
	(void)state;
	check_scene(&gang_kind, 8);
}

static const char *command[2];
static const struct rota_worker_kind program_kind = { "gang", NULL, command, NULL };

static void
processes__of_programs__killed_at_each_call(void **state)
{
	(void)state;
	/* Leaks cannot be looked for in who is traced. */
	assert_int_equal(setenv("ASAN_OPTIONS", "detect_leaks=0", 1), 0);
	check_scene(&program_kind, 1);
}

int
main(int argc, char **argv)
{
	const struct rota_worker_kind *const kinds[] = { &gang_kind, NULL };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(processes__of_credit_1__killed_at_each_call),
		cmocka_unit_test(processes__of_much_credit__killed_at_each_call),
		cmocka_unit_test(processes__of_programs__killed_at_each_call),
	};
	int status = rota_worker_main(argc, argv, kinds);

	if (status != -ENOTCONN)
		return status;
	command[0] = argv[0];
	return cmocka_run_group_tests_name("pool kills", tests, NULL, NULL);
}
