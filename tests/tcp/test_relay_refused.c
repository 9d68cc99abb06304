/* SPDX-License-Identifier: MIT */
/*
 * What rota_relay refuses: then nothing has changed, and the streams are still their users'.
 */
#include <rota/relay.h>

#include <errno.h>

#include "faulty_allocator.h"
#include "relay_rig.h"

static int
refusal(struct rota_stream *a, struct rota_stream *b, const struct rota_relay_options *options)
{
	static struct relayed unused;
	int r = rota_relay(a, b, options, relayed_on_done, &unused, &unused.relay);

	assert_true(r < 0);
	assert_null(unused.relay);
	assert_int_equal(unused.done, 0);
	return r;
}

static void
relay__what_makes_no_sense__is_refused_and_nothing_changes(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_relay_options options = ROTA_RELAY_OPTIONS_INIT;
	static struct relayed relayed;
	struct end *other = make_ends(1);

	relayed_open(ctx, &relayed, NULL);
	assert_int_equal(end_connect(ctx, other, relayed.text, NULL), 0);
	assert_int_equal(refusal(relayed.a->stream, relayed.a->stream, NULL), -EINVAL);
	options.window = 0;
	assert_int_equal(refusal(relayed.a->stream, relayed.b->stream, &options), -EINVAL);
	options = (struct rota_relay_options)ROTA_RELAY_OPTIONS_INIT;
	options.size = 0;
	assert_int_equal(refusal(relayed.a->stream, relayed.b->stream, &options), -EINVAL);
	/* Their handlers are still called. */
	raw_send(relayed.peer_a, "hello", 5);
	wait_for_size(ctx, &relayed.a->len, 5);
	relayed_start(&relayed, 0);
	assert_int_equal(refusal(relayed.a->stream, other->stream, NULL), -EINVAL);
	assert_int_equal(refusal(other->stream, relayed.b->stream, NULL), -EINVAL);
	assert_int_equal(refusal(relayed.b->stream, relayed.a->stream, NULL), -EINVAL);
	rota_relay_abort(relayed.relay);
	rota_stream_abort(other->stream);
	relayed_wait(&relayed);
	relayed_close(&relayed);
}

static void
relay__streams_of_two_contexts__are_refused(void **state)
{
	struct rota_context *other_ctx;
	static struct relayed relayed;
	struct end *other = make_ends(1);

	relayed_open(context_of(state), &relayed, NULL);
	assert_int_equal(rota_context_new(&other_ctx), 0);
	assert_int_equal(end_connect(other_ctx, other, relayed.text, NULL), 0);
	assert_int_equal(refusal(relayed.a->stream, other->stream, NULL), -EINVAL);
	assert_int_equal(rota_context_free(other_ctx), 0);
	assert_int_equal(other->told[END_CLOSE], 1);
	relayed_close(&relayed);
}

static void
check_over(struct rota_context *ctx, void (*end)(struct rota_stream *), bool is_a)
{
	static struct relayed relayed;

	relayed_open(ctx, &relayed, NULL);
	end(is_a ? relayed.a->stream : relayed.b->stream);
	assert_int_equal(refusal(relayed.a->stream, relayed.b->stream, NULL), -ENOTCONN);
	rota_stream_abort(relayed.a->stream);
	rota_stream_abort(relayed.b->stream);
	spin(ctx, 1);
	/* The streams were as they were: their handlers are told. */
	assert_int_equal(relayed.a->told[END_CLOSE], 1);
	assert_int_equal(relayed.b->told[END_CLOSE], 1);
	relayed_close(&relayed);
}

static void
relay__stream_that_is_over_or_closing__is_refused(void **state)
{
	static void (*const ends[])(struct rota_stream *) = { rota_stream_abort, rota_stream_close,
		rota_stream_end };

	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		check_over(context_of(state), ends[i], true);
		check_over(context_of(state), ends[i], false);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(relay__what_makes_no_sense__is_refused_and_nothing_changes),
		rig_test(relay__streams_of_two_contexts__are_refused),
		rig_test(relay__stream_that_is_over_or_closing__is_refused),
	};
	int failed;

	faulty_allocator_install();
	failed = cmocka_run_group_tests_name("copied", tests, NULL, NULL);
	let_relays_splice(true);
	return failed + cmocka_run_group_tests_name("spliced", tests, NULL, NULL);
}
