/* SPDX-License-Identifier: MIT */
/*
 * Clients short of memory and of the system's help: each call has one outcome whichever allocation
 * or system call fails; and a steady state allocates nothing.
 */
#include <stdlib.h>

#include "desk.h"
#include "faulty_allocator.h"

/* Faults */

static void
fault_scenario(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct rota_client_options options;
	struct rota_client *client = NULL;
	const char *targets[2];
	const char *letters[6] = { "e", "k", "r", "e", "k", "e" };
	struct ask asks[6];
	struct desk desk;
	int made = 0;
	int told = 0;

	lift_fault();
	desk_start(ctx, &desk, ROTA_DIALOG_BY_ID);
	options = desk_client(ROTA_DIALOG_BY_ID, targets, desk.address);
	options.backoff_first = ROTA_MILLISECOND;
	begin_fault();
	if (rota_client_new(ctx, &options, &client) == 0) {
		for (int i = 0; i < 6; i++) {
			ask_init(&asks[i], letters[i]);
			asks[i].call.is_safe = i % 2 == 0;
			if (i == 3)
				asks[i].call.timeout = ROTA_SECOND;
			made += ask_call(client, &asks[i]) == 0;
		}
		for (int i = 0; i < 20; i++) {
			spin(ctx, 1);
			if (desk.kept_count > 0)
				rota_request_refuse(desk.kept[--desk.kept_count], 300, "k");
		}
	}
	lift_fault();
	if (client != NULL) {
		struct rota_reply reply = { .bytes = NULL };

		/* Unless it was the listener that has ended. */
		if (rota_service_listener(desk.service, 0) != NULL)
			assert_int_equal(rota_call_wait(client, "", 0, 0, &reply), 0);
	}
	rota_client_free(client);
	for (int i = 0; client != NULL && i < 6; i++)
		told += asks[i].told;
	assert_int_equal(told, made);
	desk_close(ctx, &desk);
}

static void
faults__each_allocation_fails__each_call_has_one_outcome(void **state)
{
	(void)state;
	with_failing_allocations(fault_scenario, false);
}

static void
faults__each_system_call_fails__each_call_has_one_outcome(void **state)
{
	(void)state;
	with_failing_calls(fault_scenario);
}

/* Memory */

static void
again(struct ask *ask)
{
	struct rota_client *client = ask->userdata;

	if (ask->told < 200 && ask->body[0] != '\0')
		assert_int_equal(ask_call(client, ask), 0);
}

static bool
nothing_runs(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return rota_client_running(userdata) == 0;
}

static void
run_round(struct rota_context *ctx, struct rota_client *client, struct desk *desk, struct ask *asks)
{
	for (int i = 0; i < 32; i++) {
		ask_init(&asks[i], i % 4 == 0 ? "k" : "e");
		asks[i].act = again;
		asks[i].userdata = client;
		if (i % 8 == 1)
			asks[i].call.timeout = ROTA_MINUTE;
		assert_int_equal(ask_call(client, &asks[i]), 0);
	}
	while (!nothing_runs(ctx, client)) {
		spin(ctx, 1);
		desk_reply_all(desk, "later");
	}
}

static void
memory__in_a_steady_state__is_not_allocated(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (int order = 0; order < 2; order++) {
		struct rota_client *client;
		struct ask asks[32];
		struct desk desk;
		int rounds = 0;

		client = desk_start_client(ctx, &desk, (enum rota_dialog_order)order);
		/* As many requests wait, and as many replies, as ever will, after some rounds. */
		do {
			rounds++;
			faulty_allocator_reset();
			run_round(ctx, client, &desk, asks);
		} while (faulty_allocator_calls() > 0 && rounds < 10);
		assert_int_equal(faulty_allocator_calls(), 0);
		assert_int_equal(rota_client_meter(client)->calls, rounds * 32 * 200 + 1);
		desk_end(ctx, &desk, client);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults__each_allocation_fails__each_call_has_one_outcome),
		cmocka_unit_test(faults__each_system_call_fails__each_call_has_one_outcome),
		rig_test_exact(memory__in_a_steady_state__is_not_allocated),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
