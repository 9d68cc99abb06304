/* SPDX-License-Identifier: MIT */
/*
 * Receivers with more queued than a turn handles, which go on without being watched; and channels
 * whose events are so small that no packet is a memfd, which are received by recv(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/timer.h>

#include "channeling.h"

/* Three turns' worth of packets, and some. */
#define MANY (3 * ROTA__RECEIVER_PACKETS + 5)
/* The largest event that is a packet of 64 KiB with any name, and that packet's descriptor else. */
#define SMALL (ROTA__PACKET_MOST - ROTA__EVENT_AROUND)

struct scene {
	struct line line;
	unsigned heard;
	unsigned last;
	unsigned closes;
	unsigned act_at; /* the event in whose handler act is called; 0: none */
	int (*act)(struct scene *scene);
	struct rota_context *ctx;
};

static int
hear_number(struct rota_receiver *receiver, const struct rota_event *event, void *scene_)
{
	struct scene *scene = scene_;
	unsigned number;

	(void)receiver;
	assert_int_equal(event->len, sizeof number);
	memcpy(&number, event->bytes, sizeof number);
	assert_int_equal(number, scene->last + 1);
	scene->last = number;
	scene->heard++;
	return scene->heard == scene->act_at ? scene->act(scene) : 0;
}

static void
on_close(struct rota_receiver *receiver, void *scene)
{
	(void)receiver;
	((struct scene *)scene)->closes++;
}

static int
says_stop(struct rota_receiver *receiver, const struct rota_event *event, int error, void *scene)
{
	(void)receiver;
	(void)event;
	(void)error;
	(void)scene;
	return ROTA_STOP;
}

static const struct rota_receiver_handlers handlers = { .on_close = on_close,
	.error_in_handler = says_stop };

static void
fire_numbers(struct scene *scene, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		assert_int_equal(rota_sender_fire_bytes(scene->line.sender, "n", &i, sizeof i), 0);
}

/* A channel with so many numbers queued, each in a packet of its own, and an attached receiver. */
static void
open_scene(void **state, struct scene *scene, unsigned queued)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;

	*scene = (struct scene){ .ctx = channel_context(state) };
	options.several_receivers = true;
	open_line(&scene->line, &options);
	rota_receiver_set_handlers(scene->line.receiver, &handlers, scene);
	assert_int_equal(rota_receiver_connect(scene->line.receiver, "n", hear_number, scene), 0);
	assert_int_equal(rota_receiver_attach(scene->line.receiver, scene->ctx), 0);
	fire_numbers(scene, 1, queued);
}

static bool
is_watched(const struct scene *scene)
{
	return scene->line.receiver->target.interest == ROTA_READABLE;
}

/* Takes turns until the receiver is behind, and was when the last of them ended. */
static void
fall_behind(struct scene *scene)
{
	while (scene->heard == 0)
		assert_true(rota_dispatch_once(scene->ctx, ROTA_SECOND, NULL) >= 0);
	assert_true(scene->heard < MANY);
	assert_false(is_watched(scene));
}

static void
hear_all(struct scene *scene, unsigned all)
{
	rota_time before = real_time();

	while (scene->heard < all) {
		assert_true(rota_dispatch_once(scene->ctx, ROTA_SECOND, NULL) >= 0);
		assert_true(real_time() - before < 10 * ROTA_SECOND);
	}
	assert_int_equal(scene->heard, all);
}

/* Nothing is left to be done: a turn waits as long as it may. */
static void
expect_rest(struct scene *scene)
{
	rota_time before;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rota_dispatch_once(scene->ctx, 0, NULL), 0);
	before = real_time();
	assert_int_equal(rota_dispatch_once(scene->ctx, 3 * ROTA_MILLISECOND, NULL), 0);
	assert_true(real_time() - before >= 3 * ROTA_MILLISECOND);
}

/* Being behind */

static void
behind__receiver__is_watched_again_when_all_is_handled(void **state)
{
	struct scene scene;

	open_scene(state, &scene, MANY);
	assert_true(is_watched(&scene));
	fall_behind(&scene);
	hear_all(&scene, MANY);
	expect_rest(&scene);
	assert_true(is_watched(&scene));
	fire_numbers(&scene, MANY + 1, MANY + 1);
	hear_all(&scene, MANY + 1);
	assert_true(is_watched(&scene));
	close_line(&scene.line);
}

static void
behind__what_is_fired_meanwhile__comes_in_its_order(void **state)
{
	struct scene scene;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	fire_numbers(&scene, MANY + 1, 2 * MANY);
	hear_all(&scene, 2 * MANY);
	close_line(&scene.line);
}

struct ticking {
	struct rota_timer timer;
	unsigned due;
};

static int
on_due(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	rota_container_of(timer, struct ticking, timer)->due++;
	return 0;
}

static void
behind__others__have_their_turns(void **state)
{
	struct ticking ticking = { .due = 0 };
	struct scene scene;

	open_scene(state, &scene, MANY);
	rota_timer_init(&ticking.timer, on_due);
	fall_behind(&scene);
	assert_int_equal(rota_timer_start(scene.ctx, &ticking.timer, 0), 0);
	assert_true(rota_dispatch_once(scene.ctx, 0, NULL) >= 0);
	assert_int_equal(ticking.due, 1);
	assert_true(scene.heard < MANY);
	hear_all(&scene, MANY);
	close_line(&scene.line);
}

static void
behind__the_end__is_told_behind_all_events(void **state)
{
	struct scene scene;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	rota_sender_close(scene.line.sender);
	scene.line.sender = NULL;
	assert_int_equal(scene.closes, 0);
	hear_all(&scene, MANY);
	while (scene.closes == 0)
		assert_true(rota_dispatch_once(scene.ctx, ROTA_SECOND, NULL) >= 0);
	expect_rest(&scene);
	assert_int_equal(scene.closes, 1);
	assert_int_equal(scene.heard, MANY);
	close_line(&scene.line);
}

static void
behind__handle_pending__leaves_it_to_be_watched(void **state)
{
	struct scene scene;
	int left;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	left = (int)(MANY - scene.heard);
	assert_int_equal(rota_receiver_handle_pending(scene.line.receiver), left);
	/* A turn finds that out. */
	assert_int_equal(rota_dispatch_once(scene.ctx, ROTA_SECOND, NULL), 1);
	expect_rest(&scene);
	assert_true(is_watched(&scene));
	fire_numbers(&scene, MANY + 1, MANY + 1);
	hear_all(&scene, MANY + 1);
	close_line(&scene.line);
}

static void
behind__handle_next__takes_one_by_one_and_then_waits(void **state)
{
	struct scene scene;
	rota_time before;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	for (unsigned i = scene.heard + 1; i <= MANY; i++) {
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
		assert_int_equal(scene.heard, i);
	}
	before = real_time();
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, 3 * ROTA_MILLISECOND), 0);
	assert_true(real_time() - before >= 3 * ROTA_MILLISECOND);
	assert_true(is_watched(&scene));
	fire_numbers(&scene, MANY + 1, MANY + 1);
	assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
	close_line(&scene.line);
}

static void
not_behind__handle_next__watches_all_the_time(void **state)
{
	struct scene scene;

	open_scene(state, &scene, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rota_receiver_handle_next(scene.line.receiver, ROTA_SECOND), 1);
		assert_true(is_watched(&scene));
	}
	close_line(&scene.line);
}

static int
fails(struct scene *scene)
{
	(void)scene;
	return -EIO;
}

static void
behind__stopped_by_an_error__goes_on_in_the_next_turn(void **state)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct scene scene;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	scene.act = fails;
	scene.act_at = scene.heard + 3;
	vars.deadline = rota_context_now(scene.ctx) + 10 * ROTA_SECOND;
	assert_int_equal(rota_iterate(scene.ctx, &vars), ROTA_STOP);
	assert_int_equal(scene.heard, scene.act_at);
	hear_all(&scene, MANY);
	expect_rest(&scene);
	close_line(&scene.line);
}

static int
detaches(struct scene *scene)
{
	rota_receiver_detach(scene->line.receiver);
	return 0;
}

static void
behind__detached_in_a_handler__can_be_attached_again(void **state)
{
	struct scene scene;
	unsigned heard;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	scene.act = detaches;
	scene.act_at = scene.heard + 3;
	while (scene.line.receiver->ctx != NULL)
		assert_true(rota_dispatch_once(scene.ctx, ROTA_SECOND, NULL) >= 0);
	heard = scene.heard;
	expect_rest(&scene);
	assert_int_equal(scene.heard, heard);
	assert_int_equal(rota_receiver_attach(scene.line.receiver, scene.ctx), 0);
	assert_true(is_watched(&scene));
	hear_all(&scene, MANY);
	close_line(&scene.line);
}

static int
closes(struct scene *scene)
{
	rota_receiver_close(scene->line.receiver);
	scene->line.receiver = NULL;
	return 0;
}

static void
behind__closed_in_a_handler__hears_no_more(void **state)
{
	struct scene scene;

	open_scene(state, &scene, MANY);
	fall_behind(&scene);
	scene.act = closes;
	scene.act_at = scene.heard + 3;
	hear_all(&scene, scene.act_at);
	expect_rest(&scene);
	assert_int_equal(scene.heard, scene.act_at);
	close_line(&scene.line);
}

/* Small events */

static void
open_small(struct line *line, struct heard *heard, size_t event_max)
{
	struct rota_channel_options options = ROTA_CHANNEL_OPTIONS_INIT;

	*heard = (struct heard){ .count = 0 };
	options.event_max = event_max;
	open_line(line, &options);
	assert_int_equal(rota_receiver_connect(line->receiver, "n", hear, heard), 0);
}

static void
small__events__need_no_descriptor_and_no_recvmsg(void **state)
{
	struct heard heard;
	struct line line;

	(void)state;
	open_small(&line, &heard, 1000);
	faulty_sys_reset();
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 0);
	assert_int_equal(faulty_sys_calls(FAULTY_RECV), 2);
	assert_int_equal(faulty_sys_calls(FAULTY_RECVMSG), 0);
	assert_int_equal(faulty_sys_calls(FAULTY_FCNTL), 0);
	assert_string_equal(heard.log, "n:1 ");
	rota_sender_close(line.sender);
	line.sender = NULL;
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), -ROTA_ECLOSED);
	close_line(&line);
}

static void
small__largest_event__is_a_packet_with_the_longest_name(void **state)
{
	static char bytes[SMALL + 1];
	char name[ROTA_EVENT_NAME + 1];
	struct heard heard;
	struct line line;

	(void)state;
	memset(name, 'x', sizeof name);
	name[ROTA_EVENT_NAME] = '\0';
	/* One byte more, and it is a memfd. */
	for (size_t more = 0; more < 2; more++) {
		open_small(&line, &heard, SMALL + more);
		assert_int_equal(rota_receiver_connect(line.receiver, name, hear, &heard), 0);
		faulty_sys_reset();
		assert_int_equal(rota_sender_fire_bytes(line.sender, name, bytes, SMALL + more), 0);
		assert_int_equal(rota_sender_meter(line.sender)->large, more);
		assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
		assert_int_equal(heard.bytes, SMALL + more);
		assert_int_equal(faulty_sys_calls(FAULTY_RECVMSG), more);
		close_line(&line);
	}
}

static void
small__memfd_of_a_stranger__is_bad_and_closed(void **state)
{
	static const char bytes[2 * ROTA__PACKET_MOST];
	struct iovec part = { .iov_base = (void *)bytes, .iov_len = sizeof bytes };
	struct heard heard;
	struct line line;
	int lowest;
	int memfd;

	(void)state;
	open_small(&line, &heard, 1000);
	lowest = dup(STDIN_FILENO);
	close(lowest);
	memfd = rota__packet_seal(&faulty_sys_ops, &part, 1);
	assert_true(memfd >= 0);
	assert_int_equal(rota__packet_send_sealed(&faulty_sys_ops, line.sender->fd, memfd,
				 sizeof bytes),
		0);
	close(memfd);
	assert_int_equal(fire_text(line.sender, "n", "1"), 0);
	assert_int_equal(rota_receiver_handle_next(line.receiver, 0), 1);
	assert_string_equal(heard.log, "n:1 ");
	assert_int_equal(rota_receiver_meter(line.receiver)->bad, 1);
	memfd = dup(STDIN_FILENO);
	assert_int_equal(memfd, lowest);
	close(memfd);
	close_line(&line);
}

static void
small__reset_and_interruption__are_no_end(void **state)
{
	static const int errors[] = { ECONNRESET, EINTR, ENOMEM };
	struct heard heard;
	struct line line;

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		open_small(&line, &heard, 1000);
		assert_int_equal(fire_text(line.sender, "n", "1"), 0);
		faulty_sys_fail(FAULTY_RECV, 1, false, errors[i]);
		(void)rota_receiver_handle_next(line.receiver, 0);
		faulty_sys_reset();
		(void)rota_receiver_handle_next(line.receiver, 0);
		assert_string_equal(heard.log, "n:1 ");
		close_line(&line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(behind__receiver__is_watched_again_when_all_is_handled),
		fixture_test(behind__what_is_fired_meanwhile__comes_in_its_order),
		fixture_test(behind__others__have_their_turns),
		fixture_test(behind__the_end__is_told_behind_all_events),
		fixture_test(behind__handle_pending__leaves_it_to_be_watched),
		fixture_test(behind__handle_next__takes_one_by_one_and_then_waits),
		fixture_test(not_behind__handle_next__watches_all_the_time),
		fixture_test(behind__stopped_by_an_error__goes_on_in_the_next_turn),
		fixture_test(behind__detached_in_a_handler__can_be_attached_again),
		fixture_test(behind__closed_in_a_handler__hears_no_more),
		fixture_test(small__events__need_no_descriptor_and_no_recvmsg),
		fixture_test(small__largest_event__is_a_packet_with_the_longest_name),
		fixture_test(small__memfd_of_a_stranger__is_bad_and_closed),
		fixture_test(small__reset_and_interruption__are_no_end),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
