/* SPDX-License-Identifier: MIT */
/*
 * Admission: how many may be inside, in all and of one source; what a source is; listeners that
 * wait for room; and when its memory goes.
 */
#include <rota/admission.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/meter.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
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

static struct rota_address
address_of(const char *text)
{
	struct rota_address address;

	assert_int_equal(rota_address_parse(text, &address), 0);
	return address;
}

/* Enters, which must work. */
static struct rota_source *
enter(struct rota_admission *admission, const char *text)
{
	struct rota_address peer = address_of(text);
	struct rota_source *source;

	assert_int_equal(rota_admission_enter(admission, &peer, &source), 0);
	return source;
}

/* Enters, which must not work. */
static int
refusal(struct rota_admission *admission, const char *text)
{
	struct rota_address peer = address_of(text);
	struct rota_source *source = (void *)&peer;
	int r = rota_admission_enter(admission, &peer, &source);

	assert_true(r < 0);
	assert_ptr_equal(source, &peer);
	return r;
}

static bool
is_one_source(struct rota_admission *admission, const char *a, const char *b)
{
	struct rota_source *first = enter(admission, a);
	struct rota_source *second = enter(admission, b);
	bool is_one = first == second;

	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	return is_one;
}

/* Limits */

static void
enter__all_are_taken__is_refused_until_one_leaves(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 2, 0);
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.2:1");

	assert_int_equal(rota_admission_max(admission), 2);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 0);
	assert_int_equal(refusal(admission, "192.0.2.3:1"), -ROTA_ELIMIT);
	assert_int_equal(refusal(admission, "192.0.2.1:1"), -ROTA_ELIMIT);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 2);
	rota_admission_leave(admission, first);
	assert_int_equal(rota_admission_connections(admission), 1);
	first = enter(admission, "192.0.2.3:1");
	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	assert_int_equal(rota_admission_connections(admission), 0);
	assert_int_equal(rota_admission_refused(admission), 2);
	rota_admission_free(admission);
}

static void
enter__source_has_its_share__is_refused_and_others_are_not(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 10, 2);
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.1:2");
	struct rota_source *other;

	assert_ptr_equal(first, second);
	assert_int_equal(refusal(admission, "192.0.2.1:3"), -ROTA_ELIMIT);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 1);
	other = enter(admission, "192.0.2.2:1");
	rota_admission_leave(admission, second);
	second = enter(admission, "192.0.2.1:3");
	assert_int_equal(refusal(admission, "192.0.2.1:4"), -ROTA_ELIMIT);
	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	rota_admission_leave(admission, other);
	rota_admission_free(admission);
}

static void
enter__of_nobody__counts_in_all_only(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 1);
	struct rota_source *sources[3];
	struct rota_source *one_more;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rota_admission_enter(admission, NULL, &sources[i]), 0);
	assert_int_equal(rota_admission_enter(admission, NULL, &one_more), -ROTA_ELIMIT);
	for (int i = 0; i < 3; i++)
		rota_admission_leave(admission, sources[i]);
	rota_admission_leave(admission, NULL);
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
enter__address_of_no_peer__is_an_error_and_no_refusal(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 1);
	struct rota_address peer = address_of("192.0.2.1:1");
	struct rota_source *source;

	assert_int_equal(refusal(admission, "fd:3"), -EINVAL);
	peer.socket.any.sa_family = AF_NETLINK;
	assert_int_equal(rota_admission_enter(admission, &peer, &source), -EINVAL);
	assert_int_equal(rota_admission_connections(admission), 0);
	assert_int_equal(rota_admission_refused(admission), 0);
	rota_admission_free(admission);
}

/* Sources */

static void
source__is_an_address_or_a_network(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 0);

	assert_true(is_one_source(admission, "192.0.2.1:1", "192.0.2.1:2"));
	assert_false(is_one_source(admission, "192.0.2.1:1", "192.0.2.2:1"));
	assert_false(is_one_source(admission, "192.0.2.1:1", "193.0.2.1:1"));
	assert_true(is_one_source(admission, "192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
	assert_false(is_one_source(admission, "192.0.2.2:1", "[::ffff:192.0.2.1]:1"));
	assert_true(is_one_source(admission, "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2"));
	assert_false(is_one_source(admission, "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"));
	assert_false(is_one_source(admission, "[2001:db8:1:2::1]:1", "[3001:db8:1:2::1]:1"));
	assert_false(is_one_source(admission, "[::1]:1", "127.0.0.1:1"));
	assert_true(is_one_source(admission, "192.0.2.1:1", "[2002:c000:201::7]:1"));
	assert_true(is_one_source(admission, "unix:", "unix:@name"));
	assert_true(is_one_source(admission, "unix:", "unix:/a/path"));
	assert_false(is_one_source(admission, "unix:", "127.0.0.1:1"));
	assert_false(is_one_source(admission, "unix:", "[::1]:1"));
	rota_admission_free(admission);
}

static void
source__without_connections__is_not_kept(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 1000, 0);
	int64_t blocks = faulty_allocator_live();
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.1:1");

	assert_int_equal(faulty_allocator_live(), blocks + 1);
	rota_admission_leave(admission, first);
	assert_int_equal(faulty_allocator_live(), blocks + 1);
	rota_admission_leave(admission, second);
	assert_int_equal(faulty_allocator_live(), blocks);
	rota_admission_free(admission);
}

/* Some are as far from each other as can be, most differ in a few bits at either end. */
static struct rota_address
random_peer(uint64_t *random)
{
	struct rota_address address = address_of("[2001:db8::1]:1");
	uint8_t *bytes = address.socket.in6.sin6_addr.s6_addr;

	bytes[0] = (uint8_t)(0x20 + random_below(random, 4));
	bytes[3] = (uint8_t)random_below(random, 3);
	bytes[7] = (uint8_t)random_below(random, 4);
	if (random_percent(random, 10))
		bytes[5] = (uint8_t)random_next(random);
	if (random_percent(random, 20))
		address.socket.in6.sin6_addr.s6_addr[15] = (uint8_t)random_next(random);
	return address;
}

struct inside {
	struct rota_source *source;
	uint8_t network[8];
};

#define INSIDE 400
#define SHARE 3

static size_t
count_of(const struct inside *inside, size_t count, const uint8_t *network)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += memcmp(inside[i].network, network, 8) == 0;
	return found;
}

/* Against a model: a list of who is inside. */
static void
sources__come_and_go_at_random__are_counted_as_in_a_list(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), INSIDE, SHARE);
	uint64_t random = make_seed("sources");
	static struct inside inside[INSIDE];
	size_t count = 0;

	for (int i = 0; i < 50000; i++) {
		/* It fills and empties in waves. */
		bool enters = random_percent(&random, i / 2000 % 2 == 0 ? 70 : 30);
		struct rota_address peer = random_peer(&random);
		const uint8_t *network = peer.socket.in6.sin6_addr.s6_addr;
		struct rota_source *source;

		if (enters) {
			bool fits = count < INSIDE && count_of(inside, count, network) < SHARE;
			int r = rota_admission_enter(admission, &peer, &source);

			assert_int_equal(r, fits ? 0 : -ROTA_ELIMIT);
			if (r < 0)
				continue;
			inside[count].source = source;
			memcpy(inside[count++].network, network, 8);
		} else if (count > 0) {
			size_t leaving = random_below(&random, count);

			rota_admission_leave(admission, inside[leaving].source);
			inside[leaving] = inside[--count];
		}
		assert_int_equal(rota_admission_connections(admission), count);
	}
	while (count > 0)
		rota_admission_leave(admission, inside[--count].source);
	rota_admission_free(admission);
}

/* The inverse of the factor by which keys are spread: a peer may know it. */
#define UNSPREAD 0xf1de83e19937733du

static void
sources__of_the_worst_peer__are_found_all_the_same(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 100, 1);
	struct rota_source *sources[64];

	/* Each key has one bit more in common with the last one: a single branch. */
	for (int i = 0; i < 64; i++) {
		struct rota_address peer = address_of("[::1]:1");
		uint64_t prefix = ((uint64_t)1 << i) * (uint64_t)UNSPREAD;

		for (int j = 0; j < 8; j++)
			peer.socket.in6.sin6_addr.s6_addr[j] = (uint8_t)(prefix >> (56 - 8 * j));
		assert_int_equal(rota_admission_enter(admission, &peer, &sources[i]), 0);
	}
	for (int i = 0; i < 64; i += 2)
		rota_admission_leave(admission, sources[i]);
	for (int i = 63; i > 0; i -= 2)
		rota_admission_leave(admission, sources[i]);
	rota_admission_free(admission);
}

/* Options */

static void
admission_new__no_max__takes_it_from_the_descriptor_limit(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission;
	struct rlimit before;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 1024;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rota_admission_new(ctx, NULL, &admission), 0);
	assert_int_equal(rota_admission_max(admission), 448);
	rota_admission_free(admission);
	limit.rlim_cur = 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rota_admission_new(ctx, NULL, &admission), 0);
	assert_int_equal(rota_admission_max(admission), 1);
	rota_admission_free(admission);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
admission_new__fails__leaves_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_admission *admission = NULL;

	faulty_sys_fail(FAULTY_GETRLIMIT, 1, false, EPERM);
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -EPERM);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -ENOMEM);
	faulty_allocator_reset();
	options.size--;
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -EINVAL);
	assert_null(admission);
	rota_admission_free(NULL);
}

static void
enter__no_memory__is_told_and_nothing_is_counted(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 10, 0);
	struct rota_source *source = enter(admission, "192.0.2.1:1");

	faulty_allocator_fail(1, false);
	assert_int_equal(refusal(admission, "192.0.2.2:1"), -ENOMEM);
	faulty_allocator_reset();
	assert_int_equal(rota_admission_connections(admission), 1);
	assert_int_equal(rota_admission_refused(admission), 0);
	rota_admission_leave(admission, source);
	rota_admission_free(admission);
}

/* With listeners: each accepted stream is entered, and leaves in its on_close. */

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

static void
open_guarded(struct rota_context *ctx, struct guarded *guarded, struct rota_admission *admission)
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
	assert_int_equal(door_open(ctx, guarded->door, "127.0.0.1:0", &options), 0);
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
	source = enter(admission, "192.0.2.1:1");
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
	struct rota_listener_options listening = door_options();
	static struct guarded guarded;
	int peers[4] = { -1, -1, -1, -1 };
	struct rota_admission *admission;

	memset(&guarded, 0, sizeof guarded);
	options.max_per_source = LIMIT;
	options.max = 0;
	if (rota_admission_new(ctx, &options, &admission) < 0) {
		lift_fault();
		assert_int_equal(rota_admission_new(ctx, &options, &admission), 0);
	}
	guarded.admission = listening.admission = admission;
	guarded.ends = make_echoes(PEERS);
	for (int i = 0; i < PEERS; i++) {
		guarded.ends[i].act = leaves;
		guarded.ends[i].userdata = &guarded;
	}
	guarded.door = make_door(guarded.ends, PEERS);
	guarded.door->on_accept = enters;
	guarded.door->userdata = &guarded;
	if (door_open(ctx, guarded.door, "127.0.0.1:0", &listening) == 0 &&
		guarded.door->text[0] != '\0') {
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
		rig_test(enter__all_are_taken__is_refused_until_one_leaves),
		rig_test(enter__source_has_its_share__is_refused_and_others_are_not),
		rig_test(enter__of_nobody__counts_in_all_only),
		rig_test(enter__address_of_no_peer__is_an_error_and_no_refusal),
		rig_test(source__is_an_address_or_a_network),
		rig_test(source__without_connections__is_not_kept),
		rig_test(sources__come_and_go_at_random__are_counted_as_in_a_list),
		rig_test(sources__of_the_worst_peer__are_found_all_the_same),
		rig_test(admission_new__no_max__takes_it_from_the_descriptor_limit),
		rig_test(admission_new__fails__leaves_nothing),
		rig_test(enter__no_memory__is_told_and_nothing_is_counted),
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
