/* SPDX-License-Identifier: MIT */
/*
 * Listeners that have an admission: they accept while there is room, wait without a turn, tell it
 * once, and share it; and when its memory goes.
 */
#include <rota/admission.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/meter.h>

#include "faulty_allocator.h"
#include "rig.h"
#include "sim_context.h"

#define LIMIT 3
#define PEERS 10

static struct rota_admission *
make_admission(struct rota_context *ctx, size_t max, size_t max_per_source)
{
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_admission *admission;

	options.max = max;
	options.max_per_source = max_per_source;
	assert_int_equal(rota_admission_new(ctx, &options, &admission), 0);
	return admission;
}

/* A listener of whose streams each is entered, and leaves in its on_close. */

struct guarded {
	struct rota_admission *admission;
	struct door *door;
	struct end *ends;
	struct rota_source *sources[PEERS];
	int refused;
};

static void
leaves(struct end *end, enum end_event event)
{
	struct guarded *guarded = end->userdata;

	if (event == END_CLOSE)
		rota_admission_leave(guarded->admission, guarded->sources[end - guarded->ends]);
}

static void
enters(struct door *door, struct rota_stream *stream)
{
	struct guarded *guarded = door->userdata;
	struct rota_address peer;
	size_t number = (size_t)door->accepted - 1;

	if (rota_stream_peer(stream, &peer) < 0 ||
		rota_admission_enter(guarded->admission, &peer, &guarded->sources[number]) < 0) {
		guarded->refused++;
		rota_stream_abort(stream);
	}
}

/* What door_open returns. */
static int
try_guarded(struct rota_context *ctx, struct guarded *guarded, struct rota_admission *admission)
{
	struct rota_listener_options options = door_options();

	memset(guarded, 0, sizeof *guarded);
	guarded->admission = admission;
	guarded->ends = make_echoes(PEERS);
	for (int i = 0; i < PEERS; i++) {
		guarded->ends[i].act = leaves;
		guarded->ends[i].userdata = guarded;
	}
	guarded->door = make_door(guarded->ends, PEERS);
	guarded->door->on_accept = enters;
	guarded->door->userdata = guarded;
	options.admission = admission;
	return door_open(ctx, guarded->door, "127.0.0.1:0", &options);
}

static void
open_guarded(struct rota_context *ctx, struct guarded *guarded, struct rota_admission *admission)
{
	assert_int_equal(try_guarded(ctx, guarded, admission), 0);
}

static void
listener__admission_is_full__leaves_peers_in_the_backlog(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, LIMIT, 0);
	struct rota_meter meter = ROTA_METER_INIT;
	static struct guarded guarded;
	int peers[PEERS];

	rota_context_set_meter(ctx, &meter);
	open_guarded(ctx, &guarded, admission);
	raw_connect_all(peers, PEERS, guarded.door->text);
	spin(ctx, 5);
	assert_int_equal(guarded.door->accepted, LIMIT);
	assert_int_equal(guarded.door->paused, 1);
	assert_int_equal(guarded.door->paused_error, -ROTA_ELIMIT);
	assert_int_equal(meter.accept_pauses, 1);
	rota_context_set_meter(ctx, NULL);
	expect_silence(peers[LIMIT]);
	raw_close_all(peers, PEERS);
	rota_context_free(ctx);
	((struct fixture *)*state)->ctx = NULL;
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
listener__admission_is_full__waits_without_a_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, LIMIT, 0);
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	static struct guarded guarded;
	int peers[PEERS];
	uint64_t waits;

	open_guarded(ctx, &guarded, admission);
	raw_connect_all(peers, PEERS, guarded.door->text);
	spin(ctx, 5);
	waits = sim_of(ctx)->waits;
	vars.deadline = rota_context_now(ctx) + 20 * ROTA_SECOND;
	assert_int_equal(rota_iterate(ctx, &vars), ROTA_ENDED_DEADLINE);
	assert_in_range(sim_of(ctx)->waits - waits, 0, 2);
	assert_int_equal(guarded.door->accepted, LIMIT);
	raw_close_all(peers, PEERS);
	rota_admission_free(admission);
}

/* Whoever leaves is followed by the next, at once and without end. */
static void
listener__somebody_leaves__accepts_the_next_and_tells_once(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, LIMIT, 0);
	static struct guarded guarded;
	rota_time begun = rota_context_now(ctx);
	int peers[PEERS];

	open_guarded(ctx, &guarded, admission);
	raw_connect_all(peers, PEERS, guarded.door->text);
	spin(ctx, 2);
	for (int i = 0; i < PEERS; i++) {
		int all = i + LIMIT < PEERS ? i + LIMIT : PEERS;

		assert_int_equal(guarded.door->accepted, all);
		assert_int_equal(rota_admission_connections(admission), all - i);
		raw_send(peers[i], "ping", 4);
		expect_bytes(ctx, peers[i], "ping", 4);
		close(peers[i]);
		spin(ctx, 4);
	}
	assert_int_equal(rota_context_now(ctx), begun);
	assert_int_equal(guarded.door->paused, 1);
	assert_int_equal(guarded.refused, 0);
	rota_admission_free(admission);
}

static void
listener__full_again_after_the_backlog_was_empty__tells_anew(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, 1, 0);
	static struct guarded guarded;

	open_guarded(ctx, &guarded, admission);
	for (int i = 1; i <= 3; i++) {
		int peers[2];

		raw_connect_all(peers, 2, guarded.door->text);
		spin(ctx, 3);
		assert_int_equal(guarded.door->paused, i);
		raw_close_all(peers, 2);
		spin(ctx, 10);
		assert_int_equal(guarded.door->accepted, 2 * i);
	}
	rota_admission_free(admission);
}

static void
listeners__share_an_admission__have_no_more_together(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, LIMIT, 0);
	static struct guarded guarded[2];
	int peers[2][PEERS];

	for (int i = 0; i < 2; i++) {
		open_guarded(ctx, &guarded[i], admission);
		raw_connect_all(peers[i], PEERS, guarded[i].door->text);
	}
	spin(ctx, 5);
	assert_int_equal(guarded[0].door->accepted + guarded[1].door->accepted, LIMIT);
	assert_int_equal(guarded[0].door->paused, 1);
	assert_int_equal(guarded[1].door->paused, 1);
	for (int i = 0; i < 2; i++)
		raw_close_all(peers[i], PEERS);
	for (int i = 0;
		i < 100 && guarded[0].door->accepted + guarded[1].door->accepted < 2 * PEERS; i++) {
		spin(ctx, 1);
		assert_in_range(rota_admission_connections(admission), 0, LIMIT);
	}
	assert_int_equal(guarded[0].door->accepted, PEERS);
	assert_int_equal(guarded[1].door->accepted, PEERS);
	assert_int_equal(guarded[0].refused + guarded[1].refused, 0);
	rota_admission_free(admission);
}

static void
listener__source_has_its_share__goes_on_accepting_others(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, PEERS, 2);
	static struct guarded guarded;
	int peers[4];

	open_guarded(ctx, &guarded, admission);
	raw_connect_all(peers, 4, guarded.door->text);
	spin(ctx, 3);
	assert_int_equal(guarded.door->accepted, 4);
	assert_int_equal(guarded.refused, 2);
	assert_int_equal(rota_admission_refused(admission), 2);
	assert_int_equal(guarded.door->paused, 0);
	expect_end(ctx, peers[2], -ECONNRESET);
	expect_silence(peers[0]);
	raw_close_all(peers, 4);
	spin(ctx, 5);
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
listener__admission_of_another_context__is_refused(void **state)
{
	struct rota_listener_options options = door_options();
	struct rota_context *other;
	struct door *door = make_door(NULL, 0);

	assert_int_equal(rota_context_new(&other), 0);
	options.admission = make_admission(other, 1, 0);
	assert_int_equal(door_open(context_of(state), door, "127.0.0.1:0", &options), -EINVAL);
	assert_int_equal(rota_context_free(other), 0);
	rota_admission_free(options.admission);
}

/* What on_paused may do */

static void
closes_listener(struct door *door, struct rota_stream *stream)
{
	(void)stream;
	rota_listener_close(door->listener);
}

static void
leaves_first(struct door *door, struct rota_stream *stream)
{
	struct guarded *guarded = door->userdata;

	(void)stream;
	rota_stream_abort(guarded->ends[0].stream);
}

static void
on_paused__by_the_limit__may_close_the_listener(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, 1, 0);
	static struct guarded guarded;
	int peers[2];

	open_guarded(ctx, &guarded, admission);
	guarded.door->on_paused = closes_listener;
	raw_connect_all(peers, 2, guarded.door->text);
	spin(ctx, 3);
	assert_int_equal(guarded.door->closed, 1);
	assert_int_equal(guarded.door->accepted, 1);
	raw_close_all(peers, 2);
	spin(ctx, 3);
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
on_paused__by_the_limit__may_make_room(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission = make_admission(ctx, 1, 0);
	static struct guarded guarded;
	int peers[2];

	open_guarded(ctx, &guarded, admission);
	guarded.door->on_paused = leaves_first;
	raw_connect_all(peers, 2, guarded.door->text);
	spin(ctx, 4);
	assert_int_equal(guarded.door->accepted, 2);
	assert_int_equal(guarded.ends[0].told[END_CLOSE], 1);
	raw_send(peers[1], "ping", 4);
	expect_bytes(ctx, peers[1], "ping", 4);
	raw_close_all(peers, 2);
	rota_admission_free(admission);
}

/* Its memory */

static void
admission_free__while_in_use__goes_with_the_last_user(void **state)
{
	struct fixture *fixture = *state;
	struct rota_admission *admission = make_admission(fixture->ctx, 1, 0);
	static struct guarded guarded;
	struct rota_source *source;
	int peers[2];

	open_guarded(fixture->ctx, &guarded, admission);
	raw_connect_all(peers, 2, guarded.door->text);
	spin(fixture->ctx, 3);
	rota_admission_free(admission);
	/* It is kept to all the same. */
	assert_int_equal(guarded.door->accepted, 1);
	close(peers[0]);
	spin(fixture->ctx, 5);
	assert_int_equal(guarded.door->accepted, 2);
	rota_context_free(fixture->ctx);
	close(peers[1]);
	fixture_open(fixture, FIXTURE_LIBEV);

	/* The last user may be a connection, when even the context is gone. */
	admission = make_admission(fixture->ctx, 1, 0);
	assert_int_equal(rota_admission_enter(admission, NULL, &source), 0);
	rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	rota_admission_free(admission);
	rota_admission_leave(admission, source);
}

/* Faults: whatever fails, everything that entered leaves, and there is room for the next. */

static void
serve(struct fixture *fixture)
{
	struct rota_context *ctx = fixture->ctx;
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	static struct guarded guarded;
	int peers[4] = { -1, -1, -1, -1 };
	struct rota_admission *admission;

	options.max_per_source = LIMIT;
	if (rota_admission_new(ctx, &options, &admission) < 0) {
		lift_fault();
		assert_int_equal(rota_admission_new(ctx, &options, &admission), 0);
	}
	if (try_guarded(ctx, &guarded, admission) == 0 && guarded.door->text[0] != '\0') {
		for (int i = 0; i < 4; i++) {
			peers[i] = raw_begin_connect(guarded.door->text);
			spin(ctx, 2);
		}
	}
	lift_fault();
	for (int i = 0; i < 4; i++) {
		if (peers[i] >= 0)
			close(peers[i]);
	}
	assert_int_equal(rota_context_free(ctx), 0);
	fixture->ctx = NULL;
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
admission__an_allocation_fails__goes_on(void **state)
{
	(void)state;
	with_failing_allocations(serve, false);
	with_failing_allocations(serve, true);
}

static void
admission__a_call_fails__goes_on(void **state)
{
	(void)state;
	with_failing_calls(serve);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(listener__admission_is_full__leaves_peers_in_the_backlog),
		rig_test_simulated(listener__admission_is_full__waits_without_a_turn),
		rig_test_simulated(listener__somebody_leaves__accepts_the_next_and_tells_once),
		rig_test(listener__full_again_after_the_backlog_was_empty__tells_anew),
		rig_test(listeners__share_an_admission__have_no_more_together),
		rig_test(listener__source_has_its_share__goes_on_accepting_others),
		rig_test(listener__admission_of_another_context__is_refused),
		rig_test(on_paused__by_the_limit__may_close_the_listener),
		rig_test(on_paused__by_the_limit__may_make_room),
		rig_test(admission_free__while_in_use__goes_with_the_last_user),
		cmocka_unit_test(admission__an_allocation_fails__goes_on),
		cmocka_unit_test(admission__a_call_fails__goes_on),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
