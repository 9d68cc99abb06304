/* SPDX-License-Identifier: MIT */
/*
 * Handing over: which sockets the new process has, and when; starts that fail; handlers that free;
 * faults. Paths are test_handover_paths.c's, what peers can say test_handover_peers.c's and
 * test_takeover.c's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/service.h>
#include <rota/task.h>

#include "faulty_allocator.h"
#include "handing.h"

/* Sockets */

static void
takeover__its_sockets__are_the_old_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	struct rota_takeover *takeover;
	struct door *doors[2];
	struct door *news[2];

	handing_init(ctx, &old);
	doors[0] = handing_listen(&old, "127.0.0.1:0");
	doors[1] = handing_listen(&old, handing_unix);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_takeover_pid(takeover), getpid());
	for (int i = 0; i < 2; i++)
		news[i] = handing_take(ctx, takeover, doors[i]->text, 1);
	assert_int_equal(old.taken, 0);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_int_equal(old.taken, 1);
	assert_int_equal(old.pid, getpid());
	for (int i = 0; i < 2; i++) {
		rota_listener_close(doors[i]->listener);
		handing_check_echo(ctx, doors[i]->text);
		assert_int_equal(news[i]->accepted, 1);
	}
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	assert_int_equal(old.failed, 0);
	/* Of a process that was taken the path is left to the new one. */
	assert_true(handing_is_there(handing_path));
	unlink(handing_path);
	unlink(handing_unix + 5);
}

static void
takeover__peers_in_the_backlog__are_the_new_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	struct rota_takeover *takeover;
	struct door *door;
	struct door *new;
	int peer;

	handing_init(ctx, &old);
	door = handing_listen(&old, "127.0.0.1:0");
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	new = handing_take(ctx, takeover, door->text, 1);
	rota_listener_pause(door->listener);
	rota_listener_pause(new->listener);
	peer = raw_connect(door->text);
	raw_send(peer, "ping", 4);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	rota_listener_close(door->listener);
	rota_listener_resume(new->listener);
	expect_bytes(ctx, peer, "ping", 4);
	assert_int_equal(door->accepted, 0);
	close(peer);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
take__the_configuration_decides(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct handing old;
	struct rota_takeover *takeover;
	struct door *doors[3];
	char found[ROTA_ADDRESS_TEXT];
	char port[32];

	handing_init(ctx, &old);
	doors[0] = handing_listen(&old, "127.0.0.1:0");
	doors[1] = handing_listen(&old, "127.0.0.1:0");
	doors[2] = handing_listen(&old, "[::1]:0");
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	/* What is new is itself; so are other descriptors. What is no address is an error. */
	assert_int_equal(rota_takeover_take(takeover, "127.0.0.1:1", found, sizeof found), 0);
	assert_string_equal(found, "127.0.0.1:1");
	assert_int_equal(rota_takeover_take(takeover, "fd:3", found, sizeof found), 0);
	assert_string_equal(found, "fd:3");
	assert_int_equal(rota_takeover_take(takeover, "nonsense", found, sizeof found),
		-ROTA_EADDRESS);
	assert_int_equal(rota_takeover_take(takeover, doors[1]->text, found, 4), -ENAMETOOLONG);
	(void)handing_take(ctx, takeover, doors[1]->text, 1);
	/* Each is given once. */
	assert_int_equal(rota_takeover_take(takeover, doors[1]->text, found, sizeof found), 0);
	assert_string_equal(found, doors[1]->text);
	/* With port 0 any that is left of the same host will do. */
	assert_string_equal(handing_take(ctx, takeover, "127.0.0.1:0", 1)->text, doors[0]->text);
	assert_int_equal(rota_takeover_take(takeover, "127.0.0.1:0", found, sizeof found), 0);
	assert_int_equal(rota_takeover_take(takeover, "127.0.0.2:0", found, sizeof found), 0);
	snprintf(port, sizeof port, "127.0.0.1%s", strrchr(doors[2]->text, ':'));
	assert_int_equal(rota_takeover_take(takeover, port, found, sizeof found), 0);
	/* The third is not wanted any more: nobody listens there when the old one closes. */
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	for (int i = 0; i < 3; i++)
		rota_listener_close(doors[i]->listener);
	assert_true(raw_is_refused(doors[2]->text));
	handing_check_echo(ctx, doors[0]->text);
	handing_check_echo(ctx, doors[1]->text);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
take__nothing_was_taken_over__is_the_address_itself(void **state)
{
	struct rota_address address;
	struct rota_address found;
	char text[ROTA_ADDRESS_TEXT];

	(void)state;
	assert_int_equal(rota_takeover_take(NULL, "127.0.0.1:7", text, sizeof text), 0);
	assert_string_equal(text, "127.0.0.1:7");
	assert_int_equal(rota_address_parse("[::1]:0", &address), 0);
	assert_int_equal(rota_takeover_take_address(NULL, &address, &found), 0);
	assert_true(rota_address_is_equal(&address, &found));
	rota_takeover_free(NULL);
	rota_handover_free(NULL);
}

static void
offer__listeners_of_a_service__are_taken_over(void **state)
{
	static const char *const listen[] = { "127.0.0.1:0", NULL };
	static const struct rota_protocol protocol = { .name = "nothing" };
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_context *ctx = context_of(state);
	struct rota_service *services[2];
	struct rota_takeover *takeover;
	struct rota_address address;
	char text[ROTA_ADDRESS_TEXT];
	char found[ROTA_ADDRESS_TEXT];
	struct handing old;
	int peer;

	handing_init(ctx, &old);
	options.listen = listen;
	assert_int_equal(rota_serve(ctx, &options, &protocol, NULL, &services[0]), 0);
	old.listeners[old.count++] = rota_service_listener(services[0], 0);
	assert_int_equal(rota_listener_address(old.listeners[0], &address), 0);
	rota_address_format(&address, text, sizeof text);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_serve(ctx, NULL, &protocol, NULL, &services[1]), 0);
	assert_int_equal(rota_takeover_take(takeover, text, found, sizeof found), 1);
	assert_int_equal(rota_service_listen(services[1], found), 0);
	assert_int_equal(rota_takeover_ready(takeover, ROTA_NEVER), 0);
	assert_int_equal(rota_service_drain(services[0], ROTA_SECOND, NULL, NULL), 0);
	spin(ctx, 3);
	peer = raw_connect(text);
	spin(ctx, 5);
	assert_int_equal(rota_service_sessions(services[1]), 1);
	close(peer);
	rota_service_free(services[0]);
	rota_service_free(services[1]);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
closes_one(struct handing *handing, enum handing_event event)
{
	if (event == HANDING_ASKED)
		rota_listener_close(handing->listeners[7]);
}

static void
offer__most_listeners__are_all_taken_over(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;

	handing_init(ctx, &old);
	for (int i = 0; i < ROTA_HANDOVER_LISTENERS; i++)
		(void)handing_listen(&old, "127.0.0.1:0");
	/* Too large a count is that of the room. */
	old.count = SIZE_MAX;
	/* A listener that is closed is left out. */
	old.act = closes_one;
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	for (int i = 0; i < ROTA_HANDOVER_LISTENERS - 1; i++)
		(void)handing_take(ctx, takeover, "127.0.0.1:0", 1);
	(void)handing_take(ctx, takeover, "127.0.0.1:0", 0);
	old.count = 0;
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
}

static void
offer__no_listeners__can_be_taken_over(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;

	handing_init(ctx, &old);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_int_equal(old.taken, 1);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), -EALREADY);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

/* A start that fails */

static void
takeover__freed_before_it_is_ready__the_old_one_goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct door *door;
	struct handing old;

	handing_init(ctx, &old);
	door = handing_listen(&old, "127.0.0.1:0");
	assert_int_equal(handing_offer(&old), 0);
	for (int i = 1; i <= 3; i++) {
		takeover = handing_take_over(ctx);
		rota_takeover_free(takeover);
		wait_for(ctx, &old.failed, i);
		assert_int_equal(old.error, -ECONNRESET);
		assert_int_equal(old.pid, getpid());
		handing_check_echo(ctx, door->text);
	}
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_int_equal(old.taken, 1);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
takeover__old_one_ends_meanwhile__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;

	handing_init(ctx, &old);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	rota_handover_free(old.handover);
	assert_false(handing_is_there(handing_path));
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), -ECONNRESET);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), -EALREADY);
	rota_takeover_free(takeover);
	assert_int_equal(old.taken + old.failed, 0);
}

static void
takeover__context_is_freed_before__can_be_freed(void **state)
{
	struct fixture *fixture = *state;
	struct rota_takeover *takeover;
	struct handing old;

	handing_init(fixture->ctx, &old);
	(void)handing_listen(&old, "127.0.0.1:0");
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(fixture->ctx);
	rota_handover_free(old.handover);
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	rota_takeover_free(takeover);
}

/* Handlers */

static void
frees(struct handing *handing, enum handing_event event)
{
	if (handing->userdata != NULL && event != *(enum handing_event *)handing->userdata)
		return;
	rota_handover_free(handing->handover);
	rota_handover_free(handing->handover);
}

static void
handlers__free_the_handover__nothing_more_is_called(void **state)
{
	struct rota_context *ctx = context_of(state);

	for (enum handing_event event = HANDING_ASKED; event <= HANDING_FAILED; event++) {
		struct rota_takeover *takeover = NULL;
		struct handing old;
		int r;

		handing_init(ctx, &old);
		(void)handing_listen(&old, "127.0.0.1:0");
		old.act = frees;
		old.userdata = &event;
		assert_int_equal(handing_offer(&old), 0);
		r = rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover);
		if (event == HANDING_ASKED) {
			/* It finds nobody when it tries again. */
			assert_int_equal(r, -ENOENT);
			continue;
		}
		assert_int_equal(r, 0);
		if (event == HANDING_TAKEN)
			assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
		rota_takeover_free(takeover);
		spin(ctx, 5);
		assert_int_equal(old.taken, event == HANDING_TAKEN);
		assert_int_equal(old.failed, event == HANDING_FAILED);
		assert_int_equal(handing_is_there(handing_path), event == HANDING_TAKEN);
	}
	unlink(handing_path);
}

static void
frees_when_taken(struct handing *handing, enum handing_event event)
{
	/* The second time it is asked it was taken. */
	if (event == HANDING_ASKED && handing->asked == 2)
		rota_handover_free(handing->handover);
}

static void
handlers__free_the_handover_when_asked_again__is_not_told(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;

	handing_init(ctx, &old);
	(void)handing_listen(&old, "127.0.0.1:0");
	old.act = frees_when_taken;
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_int_equal(old.taken, 0);
	rota_takeover_free(takeover);
	unlink(handing_path);
}

struct nested {
	struct rota_task task;
	struct rota_takeover *takeover;
	int results[2];
};

static int
on_nested(struct rota_context *ctx, struct rota_task *task)
{
	struct nested *nested = rota_container_of(task, struct nested, task);
	struct rota_takeover *other;

	nested->results[0] = rota_takeover(ctx, handing_path, ROTA_SECOND, &other);
	nested->results[1] = rota_takeover_ready(nested->takeover, ROTA_SECOND);
	return 0;
}

static void
takeover__in_a_handler__is_refused_and_says_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct nested nested;
	struct handing old;

	handing_init(ctx, &old);
	assert_int_equal(handing_offer(&old), 0);
	nested.takeover = handing_take_over(ctx);
	rota_task_init(&nested.task, on_nested);
	assert_int_equal(rota_task_add(ctx, &nested.task), 0);
	spin(ctx, 5);
	assert_int_equal(nested.results[0], -EDEADLK);
	assert_int_equal(nested.results[1], -EDEADLK);
	assert_int_equal(old.asked, 1);
	assert_int_equal(old.taken + old.failed, 0);
	assert_int_equal(rota_takeover_ready(nested.takeover, 10 * ROTA_SECOND), 0);
	rota_takeover_free(nested.takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

/* Faults: who says that it has the sockets has them, and the other one does not. */

static void
hand_over(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct rota_takeover *takeover = NULL;
	struct door *door = make_door(make_echoes(4), 4);
	struct door *new = make_door(make_echoes(4), 4);
	char found[ROTA_ADDRESS_TEXT];
	struct handing old;
	int r;

	handing_init(ctx, &old);
	lift_fault();
	door = handing_listen(&old, handing_unix);
	begin_fault();
	r = handing_offer(&old);
	if (r >= 0)
		r = rota_takeover(ctx, handing_path, 10 * ROTA_SECOND, &takeover);
	if (r >= 0) {
		assert_int_equal(rota_takeover_take(takeover, door->text, found, sizeof found), 1);
		r = door_open(ctx, new, found, NULL);
		if (r < 0)
			close(atoi(found + 3));
	}
	if (r >= 0)
		r = rota_takeover_ready(takeover, 10 * ROTA_SECOND);
	assert_int_equal(old.taken, r >= 0);
	assert_int_equal(rota_listener_owns_path(door->listener), r < 0);
	lift_fault();
	rota_listener_close(r >= 0              ? door->listener
			: new->listener != NULL ? new->listener
						: door->listener);
	if (r >= 0 || new->listener != NULL)
		handing_check_echo(ctx, handing_unix);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	(void)unlink(handing_path);
	(void)unlink(handing_unix + 5);
}

static void
hand_over__something_fails__both_know_whose_the_sockets_are(void **state)
{
	(void)state;
	with_failing_allocations(hand_over, false);
	with_failing_allocations(hand_over, true);
	with_failing_calls(hand_over);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(takeover__its_sockets__are_the_old_ones),
		rig_test_exact(takeover__peers_in_the_backlog__are_the_new_ones),
		rig_test_exact(take__the_configuration_decides),
		rig_test_exact(take__nothing_was_taken_over__is_the_address_itself),
		rig_test_exact(offer__listeners_of_a_service__are_taken_over),
		rig_test_exact(offer__most_listeners__are_all_taken_over),
		rig_test_exact(offer__no_listeners__can_be_taken_over),
		rig_test_exact(takeover__freed_before_it_is_ready__the_old_one_goes_on),
		rig_test_exact(takeover__old_one_ends_meanwhile__says_so),
		rig_test_exact(takeover__context_is_freed_before__can_be_freed),
		rig_test_exact(handlers__free_the_handover__nothing_more_is_called),
		rig_test_exact(handlers__free_the_handover_when_asked_again__is_not_told),
		rig_test_exact(takeover__in_a_handler__is_refused_and_says_nothing),
		cmocka_unit_test(hand_over__something_fails__both_know_whose_the_sockets_are),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, handing_make_directory, scratch_remove);
}
