/* SPDX-License-Identifier: MIT */
/*
 * When and how output of streams is written: what is gathered, what is not copied, when bytes that
 * were lent are given back. Writes are counted by the calls of send and sendmsg.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <rota/connect.h>
#include <rota/errors.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "scenario_line.h"
#include "trace.h"

/* Handlers that send; what is written while they run is counted. */

static uint64_t writes_inside;

static void
send_thrice(struct side *side)
{
	begin_counting();
	for (int i = 0; i < 3; i++)
		assert_int_equal(side_send(side, 100), 0);
	writes_inside = writes();
}

static ssize_t
data_sends_thrice(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	send_thrice(side);
	return (ssize_t)len;
}

static void
check_one_write(struct line *line, size_t len)
{
	line_settle(line);
	assert_int_equal(writes_inside, 0);
	assert_int_equal(writes(), 1);
	peer_receive(line, len);
}

static void
write__sends_in_on_data__is_one_when_it_returns(void **state)
{
	struct line *line = *state;

	line->side.at_data = data_sends_thrice;
	line_open(line);
	peer_say(line, "x");
	check_one_write(line, 300);
}

static void
write__sends_in_on_open__is_one_when_it_returns(void **state)
{
	struct line *line = *state;

	line->side.at_open = send_thrice;
	line_open(line);
	check_one_write(line, 300);
}

static void
write__sends_in_on_end__is_one_when_it_returns(void **state)
{
	struct line *line = *state;

	line->side.at_end = send_thrice;
	line_open(line);
	peer_end(line);
	check_one_write(line, 300);
}

static void
write__sends_in_on_drain__is_one_when_it_returns(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line->options.output_high = 50000;
	line->options.output_low = 1;
	line->side.at_drain = send_thrice;
	line_open(line);
	while (side_send(&line->side, 1000) == 0) {
		/* Until it is full. */
	}
	line_until(line, peer_read_some(line) == 0 && line->side.drains > 0);
	check_one_write(line, line->side.said - line->received);
}

static ssize_t
sends_100_kb_in_parts(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	begin_counting();
	for (size_t i = 1; i <= 100; i++) {
		assert_int_equal(side_send(side, 1024), 0);
		assert_int_equal(writes(), i * 1024 / 65536);
	}
	return (ssize_t)len;
}

static void
write__64_kib_gathered__does_not_wait_for_the_handler(void **state)
{
	struct line *line = *state;

	line->side.at_data = sends_100_kb_in_parts;
	line_open(line);
	peer_say(line, "x");
	line_settle(line);
	assert_int_equal(writes(), 2);
	peer_receive(line, 102400);
}

/* Large messages, which are not gathered */

#define LARGE ((size_t)200000)

static void
send_large(struct side *side)
{
	assert_int_equal(side_send(side, LARGE), 0);
}

static ssize_t
data_sends_large(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	send_large(side);
	return (ssize_t)len;
}

static void
write__of_a_large_message_in_on_open__leaves_in_that_turn(void **state)
{
	struct line *line = *state;

	line->side.at_open = send_large;
	line_open(line);
	peer_receive(line, LARGE);
}

static void
write__of_a_large_message_in_on_data__leaves_in_that_turn(void **state)
{
	struct line *line = *state;

	line->side.at_data = data_sends_large;
	line_open(line);
	peer_say(line, "x");
	line_turn(line, 1);
	assert_true(peer_read_some(line) > 0);
	peer_receive(line, LARGE - line->received);
}

static ssize_t
second_offer_sends_large(struct side *side, const char *bytes, size_t len)
{
	(void)bytes;
	if (side->offers == 1)
		return 0;
	send_large(side);
	return (ssize_t)len;
}

static void
write__of_a_large_message_in_on_data_of_kept_bytes__leaves_soon(void **state)
{
	struct line *line = *state;

	line->side.at_data = second_offer_sends_large;
	line_open(line);
	peer_say(line, "x");
	line_settle(line);
	rota_stream_resume(line->side.stream);
	line_settle(line);
	assert_int_equal(line->side.offers, 2);
	peer_receive(line, LARGE);
}

static void
write__of_a_large_message_in_on_end__leaves_soon(void **state)
{
	struct line *line = *state;

	line->side.at_end = send_large;
	line_open(line);
	peer_end(line);
	line_settle(line);
	peer_receive(line, LARGE);
}

static void
write__of_a_large_message_in_on_drain__leaves_soon(void **state)
{
	struct line *line = *state;

	line->has_small_buffers = true;
	line->options.output_high = 50000;
	line->options.output_low = 1;
	line->side.at_drain = send_large;
	line_open(line);
	while (side_send(&line->side, 1000) == 0) {
		/* Until it is full. */
	}
	peer_receive(line, line->side.said);
	line_until(line, line->side.drains == 1);
	peer_receive(line, LARGE);
}

/* Streams that are not called back */

static ssize_t
sends_on_the_other(struct side *side, const char *bytes, size_t len)
{
	struct line *other = side->userdata;

	(void)bytes;
	send_thrice(&other->side);
	return (ssize_t)len;
}

static void
write__on_another_stream__is_one_at_the_end_of_the_phase(void **state)
{
	struct line *line = *state;
	struct line other = line_beside(line);

	line_open(line);
	line_open(&other);
	line->side.userdata = &other;
	line->side.at_data = sends_on_the_other;
	peer_say(line, "x");
	line_turn(line, 1);
	assert_int_equal(writes_inside, 0);
	assert_int_equal(writes(), 1);
	peer_receive(&other, 300);
	peer_reset(&other);
	line_closes(&other, ROTA_REASON_RESET, ROTA_PHASE_OPEN);
	side_fini(&other.side);
}

struct sending_task {
	struct rota_task task;
	struct side *side;
};

static int
on_run(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	send_thrice(rota_container_of(task, struct sending_task, task)->side);
	return 0;
}

static void
write__in_a_task__is_one_at_the_end_of_the_phase(void **state)
{
	struct line *line = *state;
	struct sending_task task = { .side = &line->side };

	line_open(line);
	rota_task_init(&task.task, on_run);
	assert_int_equal(rota_task_add(line->ctx, &task.task), 0);
	line_turn(line, 1);
	assert_int_equal(writes_inside, 0);
	assert_int_equal(writes(), 1);
	peer_receive(line, 300);
}

static void
send_on_the_other(struct side *side)
{
	sends_on_the_other(side, NULL, 0);
}

static void
write__in_on_close_of_another_stream__leaves_with_that_turn(void **state)
{
	struct line *line = *state;
	struct line other = line_beside(line);

	line_open(line);
	line_open(&other);
	other.side.userdata = line;
	other.side.at_close = send_on_the_other;
	rota_stream_abort(other.side.stream);
	line_turn(line, 1);
	assert_int_equal(other.side.closes, 1);
	assert_int_equal(writes(), 1);
	peer_receive(line, 300);
	peer_end_close(&other);
}

static void
write__outside_of_turns__is_at_once(void **state)
{
	struct line *line = *state;

	line_open(line);
	begin_counting();
	assert_int_equal(side_send(&line->side, 100), 0);
	assert_int_equal(writes(), 1);
	assert_int_equal(rota_stream_unsent(line->side.stream), 0);
	assert_int_equal(peer_read_some(line), 100);
	assert_int_equal(side_send(&line->side, 100), 0);
	assert_int_equal(writes(), 2);
	assert_int_equal(peer_read_some(line), 100);
}

static void
write__before_it_is_open__waits_and_is_one(void **state)
{
	struct line *line = *state;
	char text[64];
	int fd = listen_alone(text, 4);

	assert_int_equal(rota_connect(line->ctx, text, &line->options, &line->side,
				 &line->side.stream),
		0);
	begin_counting();
	for (int i = 0; i < 3; i++)
		assert_int_equal(side_send(&line->side, 100), 0);
	assert_int_equal(writes(), 0);
	line_settle(line);
	assert_int_equal(writes(), 1);
	line->peer = accept(fd, NULL, NULL);
	peer_receive(line, 300);
	close(fd);
}

/* What is copied */

static struct rota_sys_ops spying_ops;
static const void *written[8];
static size_t written_count;

static ssize_t
spying_send(int fd, const void *bytes, size_t size, int flags)
{
	if (written_count < 8)
		written[written_count++] = bytes;
	return faulty_sys_ops.send(fd, bytes, size, flags);
}

static void
spy(struct line *line)
{
	spying_ops = faulty_sys_ops;
	spying_ops.send = spying_send;
	written_count = 0;
	line->ctx->sys = &spying_ops;
}

static const char *given;

static ssize_t
echoes_in_parts(struct side *side, const char *bytes, size_t len)
{
	given = bytes;
	assert_int_equal(rota_stream_send(side->stream, bytes, 2), 0);
	assert_int_equal(rota_stream_send(side->stream, bytes + 2, len - 2), 0);
	return (ssize_t)len;
}

static void
send__of_the_bytes_given__is_written_from_there(void **state)
{
	struct line *line = *state;

	line->side.at_data = echoes_in_parts;
	line_open(line);
	spy(line);
	peer_send(line, 5000);
	line_settle(line);
	assert_int_equal(written_count, 1);
	assert_ptr_equal(written[0], given);
	peer_receive(line, 5000);
}

static ssize_t
echoes_and_more(struct side *side, const char *bytes, size_t len)
{
	char more[] = { pattern_at(5), pattern_at(6) };

	assert_int_equal(rota_stream_send(side->stream, bytes, len), 0);
	assert_int_equal(rota_stream_send(side->stream, more, 2), 0);
	more[0] = more[1] = '!';
	return (ssize_t)len;
}

static void
send__of_the_bytes_given_and_others__is_one_write_in_order(void **state)
{
	struct line *line = *state;

	line->side.at_data = echoes_and_more;
	line_open(line);
	begin_counting();
	peer_send(line, 5);
	line_settle(line);
	assert_int_equal(writes(), 1);
	peer_receive(line, 7);
}

static ssize_t
sends_backwards(struct side *side, const char *bytes, size_t len)
{
	for (size_t i = len; i > 0; i--)
		assert_int_equal(rota_stream_send(side->stream, bytes + i - 1, 1), 0);
	return (ssize_t)len;
}

static void
send__of_the_bytes_given_in_another_order__keeps_the_order_of_the_sends(void **state)
{
	struct line *line = *state;
	char bytes[4];

	line->side.at_data = sends_backwards;
	line_open(line);
	peer_say(line, "abcd");
	line_settle(line);
	assert_int_equal(recv(line->peer, bytes, 4, 0), 4);
	assert_memory_equal(bytes, "dcba", 4);
}

static void
send__of_the_bytes_given_cut_to_one_byte__arrives_whole(void **state)
{
	struct line *line = *state;

	line->side.at_data = echoes_and_more;
	line_open(line);
	assert_int_equal(rota_stream_need(line->side.stream, 5), 0);
	faulty_sys_cut(1);
	peer_send(line, 5);
	peer_receive(line, 7);
}

static void
send__outside_of_turns__copies(void **state)
{
	struct line *line = *state;
	char bytes[2000];

	line->has_small_buffers = true;
	line_open(line);
	for (size_t i = 0; i < 100; i++) {
		pattern_fill(bytes, i * sizeof bytes, sizeof bytes);
		assert_int_equal(rota_stream_send(line->side.stream, bytes, sizeof bytes), 0);
		memset(bytes, 0, sizeof bytes);
	}
	assert_true(rota_stream_unsent(line->side.stream) > 0);
	peer_receive(line, 100 * sizeof bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		line_test_exact(write__sends_in_on_data__is_one_when_it_returns),
		line_test_exact(write__sends_in_on_open__is_one_when_it_returns),
		line_test_exact(write__sends_in_on_end__is_one_when_it_returns),
		line_test_exact(write__sends_in_on_drain__is_one_when_it_returns),
		line_test_exact(write__64_kib_gathered__does_not_wait_for_the_handler),
		line_test(write__of_a_large_message_in_on_open__leaves_in_that_turn),
		line_test_exact(write__of_a_large_message_in_on_data__leaves_in_that_turn),
		line_test(write__of_a_large_message_in_on_data_of_kept_bytes__leaves_soon),
		line_test(write__of_a_large_message_in_on_end__leaves_soon),
		line_test(write__of_a_large_message_in_on_drain__leaves_soon),
		line_test_exact(write__on_another_stream__is_one_at_the_end_of_the_phase),
		line_test(write__in_a_task__is_one_at_the_end_of_the_phase),
		line_test(write__in_on_close_of_another_stream__leaves_with_that_turn),
		line_test_exact(write__outside_of_turns__is_at_once),
		line_test_exact(write__before_it_is_open__waits_and_is_one),
		line_test_exact(send__of_the_bytes_given__is_written_from_there),
		line_test_exact(send__of_the_bytes_given_and_others__is_one_write_in_order),
		line_test(send__of_the_bytes_given_in_another_order__keeps_the_order_of_the_sends),
		line_test(send__of_the_bytes_given_cut_to_one_byte__arrives_whole),
		line_test(send__outside_of_turns__copies),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
