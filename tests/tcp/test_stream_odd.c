/* SPDX-License-Identifier: MIT */
/*
 * Streams and what hardly ever happens: a kernel that gives up watching, or that ends no side; a
 * handler that takes more than there is; addresses without a name.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/un.h>

#include <rota/connect.h>
#include <rota/listener.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "sim_context.h"
#include "stream.h"
#include "trace.h"

static void
kernel__watches_no_more__closes_for_want_of_memory(void **state)
{
	struct line *line = *state;

	line_open(line);
	sim_of(line->ctx)->losing = &line->side.stream->target;
	line_closes(line, ROTA_REASON_SYSTEM, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ENOMEM);
	assert_trace("open close:system");
}

static void
kernel__does_not_end_a_side__closes_with_its_error(void **state)
{
	struct line *line = *state;

	line_open(line);
	faulty_sys_fail(FAULTY_SHUTDOWN, 1, false, ENOBUFS);
	rota_stream_end(line->side.stream);
	line_closes(line, ROTA_REASON_SYSTEM, ROTA_PHASE_OPEN);
	assert_int_equal(line->side.why.error, -ENOBUFS);
	assert_trace("open close:system");
}

static ssize_t
take_too_much(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	(void)stream;
	(void)bytes;
	(void)userdata;
	return (ssize_t)len + 1;
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	(void)stream;
	*(struct rota_close_info *)userdata = *why;
}

static const struct rota_stream_handlers greedy = {
	.on_data = take_too_much,
	.on_close = on_close,
};

static void
on_data__takes_more_than_there_is__closes(void **state)
{
	struct line *line = *state;
	struct rota_close_info why = { .error = 0 };

	line_open(line);
	rota_stream_set_handlers(line->side.stream, &greedy, &why);
	line->side.stream = NULL;
	peer_say(line, "abc");
	line_until(line, why.error != 0);
	assert_int_equal(why.reason, ROTA_REASON_LOCAL);
	assert_int_equal(why.error, -EINVAL);
	assert_int_equal(why.unread, 3);
	trace_clear();
}

static void
address__without_a_name__is_refused(void **state)
{
	const struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct line *line = *state;
	struct rota_listener *listener;
	struct rota_stream *stream;
	struct rota_address unnamed;

	assert_int_equal(rota_address_from_sockaddr((const struct sockaddr *)&un,
				 offsetof(struct sockaddr_un, sun_path), &unnamed),
		0);
	assert_int_equal(rota_connect_address(line->ctx, &unnamed, NULL, NULL, &stream), -EINVAL);
	assert_int_equal(rota_listen_address(line->ctx, &unnamed, NULL, NULL, NULL, &listener),
		-EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test_simulated(kernel__watches_no_more__closes_for_want_of_memory),
		line_test_exact(kernel__does_not_end_a_side__closes_with_its_error),
		line_test_exact(on_data__takes_more_than_there_is__closes),
		line_test(address__without_a_name__is_refused),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
