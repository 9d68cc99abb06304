/* SPDX-License-Identifier: MIT */
/*
 * The rig: see rig.h.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"

#define PATIENCE 10000 /* turns that look for a millisecond */

static void
tell(struct end *end, enum end_event event)
{
	bool is_outermost = !end->is_in_act;

	end->told[event]++;
	if (end->act == NULL)
		return;
	end->is_in_act = true;
	end->act(end, event);
	if (is_outermost)
		end->is_in_act = false;
}

static void
check_told(const struct end *end, const struct rota_stream *stream)
{
	assert_int_equal(end->told[END_CLOSE], 0);
	assert_ptr_equal(end->stream, stream);
	assert_false(end->is_in_act);
}

static void
on_open(struct rota_stream *stream, void *userdata)
{
	struct end *end = userdata;

	check_told(end, stream);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->told[END_DATA], 0);
	tell(end, END_OPEN);
}

static void
keep(struct end *end, const void *bytes, size_t len)
{
	if (!end->forgets) {
		end->bytes = realloc(end->bytes, end->len + len);
		assert_non_null(end->bytes);
		memcpy(end->bytes + end->len, bytes, len);
	}
	end->len += len;
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct end *end = userdata;

	check_told(end, stream);
	assert_int_equal(end->told[END_END], 0);
	if (!end->takes_nothing) {
		keep(end, bytes, len);
		if (end->echoes && rota_stream_send(stream, bytes, len) < 0)
			end->refused += len;
	}
	tell(end, END_DATA);
	return end->takes_nothing ? 0 : (ssize_t)len;
}

static void
on_drain(struct rota_stream *stream, void *userdata)
{
	check_told(userdata, stream);
	tell(userdata, END_DRAIN);
}

static void
on_end(struct rota_stream *stream, void *userdata)
{
	struct end *end = userdata;

	check_told(end, stream);
	assert_int_equal(end->told[END_END], 0);
	if (end->echoes)
		rota_stream_end(stream);
	tell(end, END_END);
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct end *end = userdata;

	check_told(end, stream);
	end->why = *why;
	assert_non_null(why->text);
	strncpy(end->text, why->text, sizeof end->text - 1);
	end->why.text = end->text;
	tell(end, END_CLOSE);
	end->stream = NULL;
}

const struct rota_stream_handlers end_handlers = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = on_drain,
	.on_end = on_end,
	.on_close = on_close,
};

struct rota_stream_options
end_options(void)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;

	options.handlers = &end_handlers;
	return options;
}

int
end_connect(struct rota_context *ctx, struct end *end, const char *text,
	const struct rota_stream_options *options)
{
	const struct rota_stream_options defaults = end_options();

	return rota_connect(ctx, text, options != NULL ? options : &defaults, end, &end->stream);
}

int
end_connect_host(struct rota_context *ctx, struct end *end, const char *host,
	const struct door *door, const struct rota_stream_options *options)
{
	char text[ROTA_ADDRESS_TEXT + 300];

	snprintf(text, sizeof text, "%s%s", host, door != NULL ? strrchr(door->text, ':') : ":80");
	return end_connect(ctx, end, text, options);
}

void
end_adopt(struct end *end, struct rota_stream *stream)
{
	end->stream = stream;
	rota_stream_set_handlers(stream, &end_handlers, end);
}

/* What make_ends and make_door made, to be freed after the context. */
static struct made {
	struct made *next;
	struct end *ends;
	size_t count;
	struct door door;
} * all_made;

static struct made *
make(void)
{
	struct made *made = calloc(1, sizeof *made);

	assert_non_null(made);
	made->next = all_made;
	all_made = made;
	return made;
}

struct end *
make_ends(size_t count)
{
	struct made *made = make();

	made->ends = calloc(count, sizeof *made->ends);
	assert_non_null(made->ends);
	made->count = count;
	return made->ends;
}

struct end *
make_echoes(size_t count)
{
	struct end *ends = make_ends(count);

	for (size_t i = 0; i < count; i++)
		ends[i].echoes = true;
	return ends;
}

struct door *
make_door(struct end *ends, size_t room)
{
	struct made *made = make();

	made->door.ends = ends;
	made->door.room = room;
	return &made->door;
}

void
forget_made(void)
{
	while (all_made != NULL) {
		struct made *made = all_made;

		all_made = made->next;
		for (size_t i = 0; i < made->count; i++)
			free(made->ends[i].bytes);
		free(made->ends);
		free(made);
	}
}

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct door *door = userdata;
	size_t number = (size_t)door->accepted++;

	assert_ptr_equal(door->listener, listener);
	if (number < door->room) {
		door->ends[number].stream = stream;
		rota_stream_set_userdata(stream, &door->ends[number]);
	} else {
		rota_stream_set_handlers(stream, NULL, NULL);
		rota_stream_abort(stream);
	}
	if (door->on_accept != NULL)
		door->on_accept(door, stream);
}

static void
on_paused(struct rota_listener *listener, int error, void *userdata)
{
	struct door *door = userdata;

	assert_ptr_equal(door->listener, listener);
	door->paused++;
	door->paused_error = error;
	if (door->on_paused != NULL)
		door->on_paused(door, NULL);
}

static void
on_listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct door *door = userdata;

	assert_ptr_equal(door->listener, listener);
	assert_int_equal(door->closed, 0);
	assert_non_null(why->text);
	door->closed++;
	door->why = *why;
	if (door->on_close != NULL)
		door->on_close(door, NULL);
	door->listener = NULL;
}

const struct rota_listener_handlers door_handlers = {
	.on_accept = on_accept,
	.on_paused = on_paused,
	.on_close = on_listener_close,
};

struct rota_listener_options
door_options(void)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;

	options.stream.handlers = &end_handlers;
	return options;
}

int
door_open(struct rota_context *ctx, struct door *door, const char *text,
	const struct rota_listener_options *options)
{
	const struct rota_listener_options defaults = door_options();
	struct rota_address address;
	int r;

	if (options == NULL)
		options = &defaults;
	r = rota_listen(ctx, text, options, &door_handlers, door, &door->listener);
	if (r < 0)
		return r;
	if (rota_listener_address(door->listener, &address) == 0)
		rota_address_format(&address, door->text, sizeof door->text);
	return 0;
}

/* Turns */

struct number {
	const int *number;
	int value;
};

static bool
is_as_large(struct rota_context *ctx, void *userdata)
{
	const struct number *wanted = userdata;

	(void)ctx;
	return *wanted->number >= wanted->value;
}

void
wait_for(struct rota_context *ctx, const int *number, int value)
{
	struct number wanted = { number, value };

	assert_int_equal(turn_until(ctx, is_as_large, &wanted), 0);
}

void
end_fails(struct rota_context *ctx, struct end *end, enum rota_phase phase, enum rota_reason reason,
	int error)
{
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->why.phase, phase);
	assert_int_equal(end->why.reason, reason);
	assert_int_equal(end->why.error, error);
}

struct size {
	const size_t *size;
	size_t value;
};

static bool
is_size_as_large(struct rota_context *ctx, void *userdata)
{
	const struct size *wanted = userdata;

	(void)ctx;
	return *wanted->size >= wanted->value;
}

void
wait_for_size(struct rota_context *ctx, const size_t *size, size_t value)
{
	struct size wanted = { size, value };

	assert_int_equal(turn_until(ctx, is_size_as_large, &wanted), 0);
}

/* Turns that wait for a peer which is not in the context do so by looking at it, for a while. */
void
wait_for_input(struct rota_context *ctx, int fd)
{
	for (int i = 0; i < PATIENCE && !raw_has_input(fd, 0); i++) {
		spin(ctx, 1);
		if (raw_has_input(fd, 1))
			break;
	}
	assert_true(raw_has_input(fd, 0));
}

void
spin(struct rota_context *ctx, int turns)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	assert_int_equal(take_turns(ctx, &vars, turns), ROTA_CONTINUE);
}

void
expect_end(struct rota_context *ctx, int fd, int expected)
{
	char byte;

	wait_for_input(ctx, fd);
	assert_int_equal(raw_receive(fd, &byte, 1), expected);
}

void
expect_bytes(struct rota_context *ctx, int fd, const void *bytes, size_t len)
{
	char *received = malloc(len);
	size_t have = 0;

	assert_non_null(received);
	while (have < len) {
		ssize_t n;

		wait_for_input(ctx, fd);
		n = raw_receive(fd, received + have, len - have);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_memory_equal(received, bytes, len);
	free(received);
}

/* Faults */

static struct {
	uint64_t at;
	bool is_of_memory;
	bool for_ever;
	enum faulty_call call;
	int error;
	uint64_t failed;
} fault;

void
begin_fault(void)
{
	if (fault.is_of_memory)
		faulty_allocator_fail(fault.at, fault.for_ever);
	else
		faulty_sys_fail(fault.call, fault.at, fault.for_ever, fault.error);
}

void
lift_fault(void)
{
	fault.failed += faulty_allocator_failed() + faulty_sys_failed();
	faulty_allocator_reset();
	faulty_sys_reset();
}

/* With the first, the second … until there is no such any more. Returns how many there were. */
static uint64_t
run_with_each(scenario_fn *scenario)
{
	static struct fixture fixture;

	fault.at = 0;
	do {
		fixture_open(&fixture, FIXTURE_LIBEV);
		fault.failed = 0;
		fault.at++;
		begin_fault();
		scenario(&fixture);
		lift_fault();
		if (fixture_close(&fixture) < 0)
			fail_msg("something was left behind");
		forget_made();
	} while (fault.failed > 0);
	return fault.at - 1;
}

void
with_failing_allocations(scenario_fn *scenario, bool for_ever)
{
	fault.is_of_memory = true;
	fault.for_ever = for_ever;
	assert_true(run_with_each(scenario) > 0);
}

void
with_failing_calls(scenario_fn *scenario)
{
	fault.is_of_memory = false;
	fault.for_ever = false;
	for (fault.call = 0; fault.call < FAULTY_ANY; fault.call++) {
		const int *errors = faulty_sys_errors(fault.call);

		for (size_t i = 0; errors[i] != 0; i++) {
			fault.error = errors[i];
			(void)run_with_each(scenario);
		}
	}
}

struct rota_context *
context_of(void **state)
{
	return ((struct fixture *)*state)->ctx;
}

int
rig_teardown(void **state)
{
	int r = fixture_teardown(state);

	forget_made();
	return r;
}
