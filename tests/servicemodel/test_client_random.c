/* SPDX-License-Identifier: MIT */
/*
 * Clients by chance: from a seed, two desks that reply, are silent, late, refuse, close, reset and
 * go away; a client with options of its own; calls that are made, cancelled and abandoned, inside
 * of handlers and outside, on a clock that jumps. What must hold: each call has exactly one
 * outcome, a reply is that to the call it is told to, none times out early and all come to an end,
 * counters add up, and nothing is left.
 */
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <rota/errors.h>

#include "desk.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
#include "sim_context.h"

#define ASKS 24
#define DESKS 2
#define STEPS 60

struct world {
	struct rota_context *ctx;
	uint64_t seed;
	struct rota_client_options options;
	struct rota_client *client;
	struct desk desks[DESKS];
	bool is_there[DESKS];
	struct ask asks[ASKS];
	uint32_t number[ASKS]; /* of the call, told in its body */
	uint32_t last;
	rota_time deadline[ASKS];
	uint64_t made;
	uint64_t told;
	uint64_t refused;
	bool is_freed;
};

/* Of all runs: a test of what never happens shows nothing. */
static struct rota_client_meter all;

static unsigned
chance(struct world *world, unsigned bound)
{
	return (unsigned)random_below(&world->seed, bound);
}

static void make_call(struct world *world, struct ask *ask);

/* In on_done: the reply is its own, and in time. */
static void
check(struct ask *ask)
{
	struct world *world = ask->userdata;
	size_t index = (size_t)(ask - world->asks);
	char own[16];

	world->told++;
	if (ask->outcome == ROTA_CALL_REPLIED) {
		snprintf(own, sizeof own, "%u", (unsigned)world->number[index]);
		assert_string_equal(ask->reply + 1, own);
	}
	if (ask->outcome == ROTA_CALL_TIMED_OUT)
		assert_true(rota_context_now(world->ctx) >= world->deadline[index]);
	if (world->is_freed)
		return;
	switch (chance(world, 12)) {
	case 0:
	case 1:
	case 2:
		make_call(world, ask);
		break;
	case 3:
		(void)rota_call_cancel(&world->asks[chance(world, ASKS)].call);
		break;
	default:
		break;
	}
}

static void
make_call(struct world *world, struct ask *ask)
{
	static const char letters[] = "eeeeekkkkrxc";
	size_t index = (size_t)(ask - world->asks);
	rota_time timeout = world->options.timeout;
	char body[32];
	int r;

	if (rota_call_is_running(&ask->call)) {
		assert_int_equal(ask_call(world->client, ask), -EALREADY);
		return;
	}
	snprintf(body, sizeof body, "%c%u", letters[chance(world, sizeof letters - 1)],
		(unsigned)++world->last);
	ask_init(ask, body);
	ask->act = check;
	ask->userdata = world;
	ask->call.is_safe = chance(world, 2) == 0;
	if (chance(world, 3) == 0)
		timeout = ask->call.timeout = 1 + chance(world, 3000) * ROTA_MILLISECOND;
	world->number[index] = world->last;
	world->deadline[index] = rota_context_now(world->ctx) + timeout;
	r = ask_call(world->client, ask);
	if (r == 0)
		world->made++;
	else
		assert_int_equal(r, -ROTA_ELIMIT);
	world->refused += r != 0;
	assert_int_equal(ask->told, 0);
}

static void
reply_some(struct world *world, struct desk *desk)
{
	while (desk->kept_count > 0 && chance(world, 3) != 0) {
		size_t index = chance(world, (unsigned)desk->kept_count);
		struct rota_request *request = desk->kept[index];
		const char *body = rota_request_data(request);
		char text[64];

		snprintf(text, sizeof text, "%s", body != NULL ? body : "");
		memmove(&desk->kept[index], &desk->kept[index + 1],
			(desk->kept_count - index - 1) * sizeof desk->kept[0]);
		desk->kept_count--;
		free(rota_request_data(request));
		if (desk->table.order == ROTA_DIALOG_BY_ID && chance(world, 8) == 0)
			rota_request_refuse(request, 300, "no");
		else
			assert_int_equal(rota_request_reply(request, text, strlen(text)), 0);
	}
}

/* As the desk's own, but what is kept remembers its body. */
static int (*desk_on_request)(struct rota_request *, const void *, size_t, void *);
static void (*desk_on_cancel)(struct rota_request *, enum rota_cancel, void *);

static int
on_request(struct rota_request *request, const void *bytes, size_t len, void *userdata)
{
	struct desk *desk = userdata;
	size_t before = desk->kept_count;
	int r = desk_on_request(request, bytes, len, userdata);
	char *text;

	if (desk->kept_count > before) {
		text = malloc(len + 1);
		assert_non_null(text);
		memcpy(text, bytes, len);
		text[len] = '\0';
		rota_request_set_data(request, text);
	}
	return r;
}

static void
on_cancel(struct rota_request *request, enum rota_cancel why, void *userdata)
{
	free(rota_request_data(request));
	desk_on_cancel(request, why, userdata);
}

static void
open_world_desk(struct world *world, size_t index, const char *address)
{
	struct desk *desk = &world->desks[index];

	desk_init(desk, world->options.order);
	desk_on_request = desk->table.on_request;
	desk_on_cancel = desk->table.on_cancel;
	desk->table.on_request = on_request;
	desk->table.on_cancel = on_cancel;
	desk->table.max_in_flight = 1 + chance(world, 20);
	desk_open(world->ctx, desk, address);
	world->is_there[index] = true;
}

static void
close_world_desk(struct world *world, size_t index)
{
	struct desk *desk = &world->desks[index];

	rota_service_free(desk->service);
	world->is_there[index] = false;
	for (int i = 0; i < 3; i++)
		rota_dispatch_once(world->ctx, 0, NULL);
	assert_int_equal(desk->kept_count, 0);
	assert_int_equal(desk->opened, desk->closed);
}

static void
come_and_go(struct world *world)
{
	size_t index = chance(world, DESKS);
	char address[ROTA_ADDRESS_TEXT];

	memcpy(address, world->desks[index].address, sizeof address);
	if (!world->is_there[index])
		open_world_desk(world, index, address);
	else if (chance(world, 2) == 0)
		close_world_desk(world, index);
	else
		(void)rota_service_drain(world->desks[index].service, ROTA_SECOND, NULL, NULL);
}

static void
step(struct world *world)
{
	switch (chance(world, 16)) {
	case 0:
		come_and_go(world);
		break;
	case 1:
	case 2:
		(void)rota_call_cancel(&world->asks[chance(world, ASKS)].call);
		break;
	case 3:
		sim_advance(world->ctx, chance(world, 2000) * ROTA_MILLISECOND);
		break;
	case 4:
	case 5:
		for (size_t i = 0; i < DESKS; i++) {
			if (world->is_there[i])
				reply_some(world, &world->desks[i]);
		}
		break;
	case 6:
	case 7:
	case 8:
		rota_dispatch_once(world->ctx, chance(world, 4) == 0 ? ROTA_SECOND : 0, NULL);
		break;
	default:
		make_call(world, &world->asks[chance(world, ASKS)]);
		break;
	}
}

static void
choose_options(struct world *world, const char **targets)
{
	world->options = desk_client((enum rota_dialog_order)chance(world, 2), targets, NULL);
	world->options.choice = (enum rota_client_choice)chance(world, 2);
	world->options.connections = 1 + chance(world, 3);
	world->options.keep_warm = chance(world, 2) == 0;
	world->options.max_in_flight = 1 + chance(world, 8);
	world->options.max_waiting = chance(world, 16);
	world->options.timeout = (1 + chance(world, 20)) * ROTA_SECOND;
	world->options.idle = (1 + chance(world, 60)) * ROTA_SECOND;
	world->options.silence = (1 + chance(world, 20)) * ROTA_SECOND;
	world->options.retry_reserve = chance(world, 4);
	world->options.seed = world->seed;
}

static void
check_counts(const struct world *world)
{
	const struct rota_client_meter *meter = rota_client_meter(world->client);
	uint64_t outcomes = 0;

	for (int i = 0; i < ROTA_OUTCOME_COUNT; i++)
		outcomes += meter->outcomes[i];
	assert_int_equal(outcomes, world->told);
	assert_int_equal(meter->calls, world->made);
	assert_int_equal(meter->refused, world->refused);
	assert_int_equal(world->told + rota_client_running(world->client), world->made);
	assert_true(meter->retries * 100 <=
		world->options.retry_reserve * 100 + meter->calls * world->options.retry_percent);
	assert_true(meter->most_waiting <= world->options.max_waiting + ASKS);
	assert_true(meter->opened <= meter->connects);
}

static void
add_up(const struct rota_client_meter *meter)
{
	for (int i = 0; i < ROTA_OUTCOME_COUNT; i++)
		all.outcomes[i] += meter->outcomes[i];
	all.refused += meter->refused;
	all.retries += meter->retries;
	all.moved += meter->moved;
	all.late += meter->late;
	all.lost += meter->lost;
	all.opened += meter->opened;
}

/* Nothing happens any more but time. */
static void
let_all_end(struct world *world)
{
	for (int i = 0; i < 400 && rota_client_running(world->client) > 0; i++) {
		rota_dispatch_once(world->ctx, ROTA_SECOND, NULL);
		sim_advance(world->ctx, 100 * ROTA_MILLISECOND);
	}
	assert_int_equal(rota_client_running(world->client), 0);
}

static void
play(uint64_t seed)
{
	static struct fixture fixture;
	const char *targets[DESKS + 1] = { 0 };
	struct world *world = calloc(1, sizeof *world);
	size_t running;

	assert_non_null(world);
	fixture_open(&fixture, FIXTURE_SIMULATED);
	sim_of(fixture.ctx)->patience = 0;
	world->ctx = fixture.ctx;
	world->seed = seed;
	choose_options(world, targets);
	for (size_t i = 0; i < DESKS; i++) {
		open_world_desk(world, i, NULL);
		targets[i] = world->desks[i].address;
	}
	if (chance(world, 3) == 0)
		faulty_sys_at_random(seed, 10);
	assert_int_equal(rota_client_new(world->ctx, &world->options, &world->client), 0);
	for (int i = 0; i < ASKS; i++)
		ask_init(&world->asks[i], "e");
	for (int i = 0; i < STEPS; i++)
		step(world);
	check_counts(world);
	world->is_freed = true;
	if (chance(world, 2) == 0)
		let_all_end(world);
	check_counts(world);
	running = rota_client_running(world->client);
	add_up(rota_client_meter(world->client));
	world->told = 0;
	rota_client_free(world->client);
	assert_int_equal(world->told, running);
	for (size_t i = 0; i < DESKS; i++) {
		if (world->is_there[i])
			close_world_desk(world, i);
	}
	if (fixture_close(&fixture) < 0)
		fail_msg("something was left behind");
	free(world);
}

static void
client__whatever_happens__gives_each_call_one_outcome(void **state)
{
	uint64_t seed = make_seed("clients");

	(void)state;
	for (int i = 0; i < 600; i++)
		play(seed + (uint64_t)i);
	for (int i = 0; i < ROTA_OUTCOME_COUNT; i++)
		print_message("%s %llu, ", rota_outcome_name((enum rota_outcome)i),
			(unsigned long long)all.outcomes[i]);
	print_message("not taken %llu, retries %llu, moved %llu, late %llu, lost %llu of %llu\n",
		(unsigned long long)all.refused, (unsigned long long)all.retries,
		(unsigned long long)all.moved, (unsigned long long)all.late,
		(unsigned long long)all.lost, (unsigned long long)all.opened);
	for (int i = 0; i < ROTA_OUTCOME_COUNT; i++)
		assert_true(all.outcomes[i] > 0);
	assert_true(all.refused > 0 && all.retries > 0 && all.moved > 0 && all.late > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client__whatever_happens__gives_each_call_one_outcome),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
