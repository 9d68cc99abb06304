/* SPDX-License-Identifier: MIT */
/*
 * prepared_workers.c - workers that prepare once and then take tasks, each with arguments of its
 * own.
 *
 * Two kinds of workers share a pool. Those that count have made a list of primes in their init, up
 * to the number that is their argument; the one that greets was told in which language. A task says
 * which number is the limit, or whom to greet; the results come in the order of the tasks. One task
 * kills its worker, which is replaced, and prepares again.
 *
 *   prepared_workers
 *
 * Prints:
 *
 *   primes below 10: 4
 *   hola, ana
 *   primes below 1000: 168
 *   primes below 5000: failed, the list ends at 2000
 *   primes below 0: killed, after 1 attempt
 *   primes below 2000: 303
 *   hola, bob
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/servicemodel.h>

#define MOST 2000

/* In the workers */

struct primes {
	int limit;
	char is_composite[MOST];
};

/* What takes its time, once. */
static int
make_list(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	static struct primes primes;

	(void)userdata;
	if (len != sizeof primes.limit)
		return -EINVAL;
	memcpy(&primes.limit, arguments, len);
	for (int i = 2; i < primes.limit; i++)
		for (int j = 2 * i; j < primes.limit; j += i)
			primes.is_composite[j] = 1;
	rota_worker_set_userdata(worker, &primes);
	return 0;
}

static int
count_primes(struct rota_worker *worker, struct rota_worker_task *task, const void *payload,
	size_t len, void *userdata)
{
	const struct primes *primes = userdata;
	char text[64];
	int limit;
	int count = 0;

	(void)worker;
	if (len != sizeof limit)
		return rota_worker_task_fail(task, -EINVAL, "not a number");
	memcpy(&limit, payload, len);
	/* It stands for a bug. */
	if (limit == 0)
		raise(SIGKILL);
	if (limit > primes->limit) {
		snprintf(text, sizeof text, "the list ends at %d", primes->limit);
		return rota_worker_task_fail(task, -ERANGE, text);
	}
	for (int i = 2; i < limit; i++)
		count += !primes->is_composite[i];
	snprintf(text, sizeof text, "%d", count);
	return rota_worker_task_reply(task, text, strlen(text));
}

/* The arguments stay where they are, so they can be kept. */
static int
learn_greeting(struct rota_worker *worker, const void *arguments, size_t len, void *userdata)
{
	(void)len;
	(void)userdata;
	rota_worker_set_userdata(worker, (void *)arguments);
	return 0;
}

static int
greet(struct rota_worker *worker, struct rota_worker_task *task, const void *payload, size_t len,
	void *userdata)
{
	(void)worker;
	if (rota_worker_task_reply(task, userdata, strlen(userdata)) < 0 ||
		rota_worker_task_reply(task, ", ", 2) < 0)
		return -ENOMEM;
	return rota_worker_task_reply(task, payload, len);
}

static const struct rota_worker_ops counter_ops = { .init = make_list, .run_task = count_primes };
static const struct rota_worker_ops greeter_ops = { .init = learn_greeting, .run_task = greet };
static const struct rota_worker_kind counter = { "counter", &counter_ops, NULL, NULL };
static const struct rota_worker_kind greeter = { "greeter", &greeter_ops, NULL, NULL };

/* In the master */

static int
add_workers(struct rota_pool *pool)
{
	const int limits[] = { MOST, MOST };
	int r = rota_pool_add_worker(pool, &greeter, "hola", sizeof "hola", NULL);

	for (int i = 0; i < 2 && r >= 0; i++)
		r = rota_pool_add_worker(pool, &counter, &limits[i], sizeof limits[i], NULL);
	return r;
}

static int
ask(struct rota_pool *pool, const char *name, const int *limit)
{
	struct rota_pool_task_options options = ROTA_POOL_TASK_OPTIONS_INIT;

	options.kind = name != NULL ? &greeter : &counter;
	options.userdata = (void *)limit;
	if (name != NULL)
		return rota_pool_submit(pool, name, strlen(name), &options, NULL);
	return rota_pool_submit(pool, limit, sizeof *limit, &options, NULL);
}

static int
ask_all(struct rota_pool *pool)
{
	static const int limits[] = { 10, 1000, 5000, 0, 2000 };
	int r = ask(pool, NULL, &limits[0]);

	if (r >= 0)
		r = ask(pool, "ana", NULL);
	for (int i = 1; i < 5 && r >= 0; i++)
		r = ask(pool, NULL, &limits[i]);
	return r >= 0 ? ask(pool, "bob", NULL) : r;
}

static void
print(const struct rota_pool_result *result)
{
	const int *limit = result->userdata;

	if (limit != NULL)
		printf("primes below %d: ", *limit);
	if (result->end == ROTA_POOL_DONE)
		printf("%.*s\n", (int)result->len, (const char *)result->bytes);
	else if (result->end == ROTA_POOL_FAILED)
		printf("failed, %s\n", result->text);
	else
		printf("%s, after %u attempt\n", rota_pool_end_name(result->end), result->attempts);
}

static int
run(struct rota_context *ctx)
{
	struct rota_pool_options options = ROTA_POOL_OPTIONS_INIT;
	struct rota_pool_result *result;
	struct rota_pool *pool;
	int r;

	options.in_order = true;
	r = rota_pool_new(ctx, &options, NULL, NULL, &pool);
	if (r < 0)
		return r;
	r = add_workers(pool);
	if (r >= 0)
		r = ask_all(pool);
	while (r >= 0) {
		r = rota_pool_next(pool, ROTA_NEVER, &result);
		if (r < 0)
			break;
		print(result);
		rota_pool_result_free(result);
	}
	/* There is neither a task nor a result any more. */
	if (r == -ENOENT)
		r = rota_pool_stop_wait(pool, ROTA_SECOND, ROTA_SECOND);
	rota_pool_free(pool);
	return r;
}

int
main(void)
{
	struct rota_context *ctx;
	char text[96];
	int r = rota_context_new(&ctx);

	if (r >= 0) {
		r = run(ctx);
		rota_context_free(ctx);
	}
	if (r < 0)
		fprintf(stderr, "prepared_workers: %s\n", rota_strerror(r, text, sizeof text));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
