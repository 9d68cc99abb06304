/* SPDX-License-Identifier: MIT */
/*
 * How clients end: freed, in each handler too, drained, with their context, in a forked child. And
 * how their servers do, one after the other, while there are calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "forking.h"
#include "sim_context.h"

/* Freed */

static void
free__with_calls__cancels_each_before_it_returns(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct ask asks[3];
	struct desk desk;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	for (int i = 0; i < 3; i++)
		ask_make(client, &asks[i], "k");
	assert_int_equal(rota_call_cancel(&asks[1].call), 0);
	rota_client_free(client);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(asks[i].told, 1);
		assert_int_equal(asks[i].outcome, ROTA_CALL_CANCELLED);
	}
	desk_end(ctx, &desk, NULL);
}

enum way {
	WAY_FREE,
	WAY_DRAIN,
	WAY_CANCEL_ALL,
	WAY_CALL,
	WAY_WAIT,
	WAYS,
};

struct scene {
	struct rota_context *ctx;
	struct rota_client *client;
	struct desk desk;
	struct ask asks[4];
	enum way way;
	int done;
};

/* Each thing that may be done to a client, in a handler of its own. */
static void
do_it(struct scene *scene)
{
	struct rota_reply reply = { NULL, 0, 0, ROTA_CALL_REPLIED, 0, "" };
	struct ask *extra;

	if (scene->done++ > 0)
		return;
	switch (scene->way) {
	case WAY_FREE:
		rota_client_free(scene->client);
		scene->client = NULL;
		break;
	case WAY_DRAIN:
		assert_int_equal(rota_client_drain(scene->client, NULL, NULL), 0);
		break;
	case WAY_CANCEL_ALL:
		for (int i = 0; i < 4; i++)
			(void)rota_call_cancel(&scene->asks[i].call);
		break;
	case WAY_CALL:
		extra = &scene->asks[3];
		if (!rota_call_is_running(&extra->call))
			assert_int_equal(ask_call(scene->client, extra), 0);
		break;
	default:
		assert_int_equal(rota_call_wait(scene->client, "e", 1, 0, &reply), -EDEADLK);
		break;
	}
}

static void
act_on_done(struct ask *ask)
{
	do_it(ask->userdata);
}

static void
act_on_state(struct rota_client *client, size_t index, const struct rota_close_info *why,
	void *userdata)
{
	struct scene *scene = userdata;

	(void)client;
	(void)index;
	if (scene->client != NULL && (why != NULL) == (scene->asks[0].body[0] == 'x'))
		do_it(scene);
}

static void
act_on_notice(struct rota_client *client, const void *bytes, size_t len, void *userdata)
{
	(void)client;
	(void)bytes;
	(void)len;
	do_it(userdata);
}

static const struct rota_client_handlers acts_on_state = { .on_state = act_on_state };
static const struct rota_client_handlers acts_on_notice = { .on_notice = act_on_notice };

static void
run_scene(struct rota_context *ctx, enum way way, const char *letter,
	const struct rota_client_handlers *handlers)
{
	struct scene *scene = calloc(1, sizeof *scene);
	struct rota_client_options options;
	const char *targets[2];

	assert_non_null(scene);
	scene->ctx = ctx;
	scene->way = way;
	desk_start(ctx, &scene->desk, ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, scene->desk.address);
	options.handlers = handlers;
	options.userdata = scene;
	scene->client = make_client(ctx, &options);
	for (int i = 0; i < 4; i++) {
		ask_init(&scene->asks[i], i < 3 ? letter : "e");
		if (handlers == NULL)
			scene->asks[i].act = act_on_done;
		scene->asks[i].userdata = scene;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(ask_call(scene->client, &scene->asks[i]), 0);
	spin(ctx, 10);
	if (scene->desk.last != NULL && handlers == &acts_on_notice)
		(void)rota_dialog_notify(scene->desk.last, "n", 1);
	for (int i = 0; i < 40; i++)
		spin(ctx, 1), sim_advance(ctx, 50 * ROTA_MILLISECOND);
	assert_true(scene->done > 0);
	rota_client_free(scene->client);
	for (int i = 0; i < 3; i++)
		assert_int_equal(scene->asks[i].told, 1);
	desk_close(ctx, &scene->desk);
	free(scene);
}

static void
handlers__whatever_they_do_to_their_client__work(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int way = 0; way < WAYS; way++) {
		run_scene(ctx, (enum way)way, "e", NULL);
		run_scene(ctx, (enum way)way, "r", NULL);
		run_scene(ctx, (enum way)way, "x", NULL);
		run_scene(ctx, (enum way)way, "c", NULL);
		run_scene(ctx, (enum way)way, "e", &acts_on_state);
		run_scene(ctx, (enum way)way, "x", &acts_on_state);
		run_scene(ctx, (enum way)way, "e", &acts_on_notice);
	}
}

/* Drained */

static void
note_drained(struct rota_client *client, void *userdata)
{
	(void)client;
	(*(int *)userdata)++;
}

static void
drain__with_calls__finishes_them_and_takes_no_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client *client;
	struct ask asks[2];
	struct desk desk;
	int drained = 0;

	client = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	ask_make(client, &asks[0], "k");
	wait_for_size(ctx, &desk.kept_count, 1);
	assert_int_equal(rota_client_drain(client, note_drained, &drained), 0);
	assert_int_equal(rota_client_drain(client, note_drained, &drained), -EALREADY);
	ask_init(&asks[1], "e");
	assert_int_equal(ask_call(client, &asks[1]), -ECANCELED);
	spin(ctx, 5);
	assert_int_equal(drained, 0);
	desk_reply(&desk, 0, "");
	ask_expect(ctx, &asks[0], ROTA_CALL_REPLIED);
	wait_for(ctx, &drained, 1);
	assert_int_equal(desk.closed, 1);
	assert_int_equal(desk.reason, ROTA_REASON_CLEAN);
	spin(ctx, 3);
	assert_int_equal(drained, 1);
	desk_end(ctx, &desk, client);
}

static void
drain__with_nothing_to_do__is_told_in_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_client_options options;
	struct rota_client *client;
	const char *targets[2];
	int drained = 0;

	options = desk_client(ROTA_DIALOG_BY_ID, targets, "127.0.0.1:1");
	client = make_client(ctx, &options);
	assert_int_equal(rota_client_drain(client, note_drained, &drained), 0);
	assert_int_equal(drained, 0);
	spin(ctx, 1);
	assert_int_equal(drained, 1);
	rota_client_free(client);
}

/* Servers that drain under load */

struct load {
	struct rota_client *client;
	struct ask asks[64];
	int made;
	int outcomes[ROTA_OUTCOME_COUNT];
};

static void
goes_on(struct ask *ask)
{
	struct load *load = ask->userdata;

	load->outcomes[ask->outcome]++;
	if (load->made < 20000) {
		load->made++;
		assert_int_equal(ask_call(load->client, ask), 0);
	}
}

static void
drain__of_servers_under_load__loses_no_call(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct load *load = calloc(1, sizeof *load);
	struct rota_client_options options;
	const char *targets[3] = { 0 };
	struct desk desks[2];

	assert_non_null(load);
	for (int i = 0; i < 2; i++)
		desk_start(ctx, &desks[i], ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desks[0].address);
	targets[1] = desks[1].address;
	options.connections = 2;
	options.retry_percent = options.retry_reserve = 0;
	load->client = make_client(ctx, &options);
	for (int i = 0; i < 64; i++) {
		ask_init(&load->asks[i], "e");
		load->asks[i].act = goes_on;
		load->asks[i].userdata = load;
		load->made++;
		assert_int_equal(ask_call(load->client, &load->asks[i]), 0);
	}
	/* A server after the other is replaced by one at the same address. */
	for (int i = 0; rota_client_running(load->client) > 0; i++) {
		struct desk *desk = &desks[i % 2];
		int until = load->outcomes[ROTA_CALL_REPLIED] + 1000;
		char address[ROTA_ADDRESS_TEXT];

		while (load->outcomes[ROTA_CALL_REPLIED] < until &&
			rota_client_running(load->client) > 0)
			rota_dispatch_once(ctx, ROTA_SECOND, NULL);
		memcpy(address, desk->address, sizeof address);
		assert_int_equal(rota_service_drain(desk->service, ROTA_NEVER, NULL, NULL), 0);
		while (rota_service_sessions(desk->service) > 0)
			spin(ctx, 1);
		desk_close(ctx, desk);
		desk_init(desk, ROTA_DIALOG_BY_ID);
		desk_open(ctx, desk, address);
	}
	assert_int_equal(load->outcomes[ROTA_CALL_REPLIED], load->made);
	assert_int_equal(load->made, 20000);
	rota_client_free(load->client);
	desk_close(ctx, &desks[0]);
	desk_close(ctx, &desks[1]);
	free(load);
}

/* With the context */

static void
context_free__with_calls__tells_each_and_the_client_may_be_freed_after(void **state)
{
	struct fixture *fixture = *state;
	struct rota_context *ctx = fixture->ctx;
	struct rota_client_options options;
	struct rota_client *clients[2];
	char down[ROTA_ADDRESS_TEXT];
	const char *targets[2];
	struct ask asks[4];
	struct desk desk;

	clients[0] = desk_start_client(ctx, &desk, ROTA_DIALOG_BY_ID);
	raw_unused_address(down);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, down);
	clients[1] = make_client(ctx, &options);
	ask_make(clients[0], &asks[0], "k");
	ask_make_safe(clients[0], &asks[1], "k");
	wait_for_size(ctx, &desk.kept_count, 2);
	ask_make(clients[1], &asks[2], "e");
	ask_make_for(clients[1], &asks[3], "e", ROTA_SECOND);
	spin(ctx, 3);
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	for (int i = 0; i < 4; i++)
		assert_int_equal(asks[i].told, 1);
	assert_int_equal(asks[0].outcome, ROTA_CALL_LOST);
	assert_int_equal(asks[2].outcome, ROTA_CALL_CANCELLED);
	assert_int_equal(asks[3].outcome, ROTA_CALL_CANCELLED);
	assert_int_equal(desk.cancelled[ROTA_CANCEL_CLOSED], 2);
	assert_null(rota_client_context(clients[0]));
	assert_int_equal(ask_call(clients[0], &asks[0]), -ECANCELED);
	assert_int_equal(rota_client_drain(clients[0], NULL, NULL), -ECANCELED);
	rota_client_free(clients[0]);
	rota_client_free(clients[1]);
	rota_service_free(desk.service);
}

struct family {
	struct desk desk;
	struct rota_client *client;
	struct ask asks[2];
};

static bool
in_child(struct fixture *fixture, void *argument)
{
	struct rota_context *ctx = fixture->ctx;
	struct family *family = argument;
	struct ask *asks = family->asks;

	CHECK(rota_context_forked(ctx, 0) == 0);
	CHECK(asks[0].told == 0);
	for (int i = 0; i < 3; i++)
		CHECK(rota_dispatch_once(ctx, 0, NULL) >= 0);
	CHECK(asks[0].told == 1);
	CHECK(asks[0].outcome == ROTA_CALL_LOST);
	/* What may be done twice is begun anew, on a connection of its own. */
	CHECK(asks[1].told == 0);
	CHECK(rota_client_meter(family->client)->retries == 1);
	CHECK(rota_client_meter(family->client)->connects == 2);
	rota_client_free(family->client);
	CHECK(asks[1].told == 1);
	rota_service_free(family->desk.service);
	return true;
}

static void
fork__child__loses_its_parents_calls_and_makes_its_own(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct family family;
	struct child child;

	desk_start(ctx, &family.desk, ROTA_DIALOG_BY_ID);
	family.client = desk_connect(ctx, &family.desk);
	ask_make(family.client, &family.asks[0], "k");
	ask_make_safe(family.client, &family.asks[1], "k");
	wait_for_size(ctx, &family.desk.kept_count, 2);
	child = fork_child(*state, in_child, &family);
	desk_reply_all(&family.desk, "still here");
	for (int i = 0; i < 2; i++) {
		ask_expect(ctx, &family.asks[i], ROTA_CALL_REPLIED);
		assert_string_equal(family.asks[i].reply, "still here");
	}
	release_child(child);
	rota_client_free(family.client);
	family.desk.kept_count = 0;
	rota_service_free(family.desk.service);
	spin(ctx, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(free__with_calls__cancels_each_before_it_returns),
		rig_test_simulated(handlers__whatever_they_do_to_their_client__work),
		rig_test(drain__with_calls__finishes_them_and_takes_no_more),
		rig_test(drain__with_nothing_to_do__is_told_in_a_turn),
		rig_test_simulated(drain__of_servers_under_load__loses_no_call),
		rig_test(context_free__with_calls__tells_each_and_the_client_may_be_freed_after),
		rig_test_exact(fork__child__loses_its_parents_calls_and_makes_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
