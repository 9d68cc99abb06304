/* SPDX-License-Identifier: MIT */
/*
 * The graft contract against a model: seeded operations on targets and their descriptors, in turns
 * and between them, under a host. The model is poll(2) on the descriptors themselves: what it finds
 * ready is what the host must be woken for, and what the turn must deliver, no more and no less.
 */
#include <rota/context.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/target.h>

#include "fixture.h"
#include "host.h"
#include "random.h"

#define SLOTS 12
#define COPIES 16
#define OPERATIONS 60000

static struct slot {
	struct rota_target target;
	int pair[2];
	unsigned interest; /* while started */
	bool is_started;
	bool is_expected; /* to be called in this turn */
	bool is_touched;  /* since the turn began: it may be called, and need not */
} slots[SLOTS];

static struct model {
	struct rota_context *ctx;
	uint64_t random;
	int copies[COPIES]; /* of slots' descriptors; -1: none */
	unsigned changes_per_handler;
	bool is_in_turn;
	uint64_t delivered;
} model;

static unsigned
readiness(const struct slot *slot)
{
	struct pollfd fd = { .fd = slot->pair[0], .events = POLLIN | POLLOUT };

	assert_in_range(poll(&fd, 1, 0), 0, 1);
	if ((fd.revents & (POLLHUP | POLLERR)) != 0)
		return ROTA_READABLE | ROTA_WRITABLE;
	return ((fd.revents & POLLIN) != 0 ? ROTA_READABLE : 0) |
		((fd.revents & POLLOUT) != 0 ? ROTA_WRITABLE : 0);
}

/* Operations. Those on interests may be made in any state of the slot. */

static void
start_or_stop(struct slot *slot)
{
	if (slot->is_started) {
		rota_target_stop(model.ctx, &slot->target);
	} else {
		slot->interest = (unsigned)random_below(&model.random, 4);
		assert_int_equal(rota_target_start(model.ctx, &slot->target, slot->interest), 0);
	}
	slot->is_started = !slot->is_started;
}

static void
set_interest(struct slot *slot)
{
	unsigned interest = (unsigned)random_below(&model.random, 4);
	int r = rota_target_set_interest(model.ctx, &slot->target, interest);

	assert_int_equal(r, slot->is_started ? 0 : -EINVAL);
	if (slot->is_started)
		slot->interest = interest;
}

static void
pause_and_resume(struct slot *slot)
{
	if (!slot->is_started)
		return;
	assert_int_equal(rota_target_set_interest(model.ctx, &slot->target, 0), 0);
	assert_int_equal(rota_target_set_interest(model.ctx, &slot->target, slot->interest), 0);
}

static void
restart(struct slot *slot)
{
	if (!slot->is_started)
		return;
	start_or_stop(slot);
	start_or_stop(slot);
}

/* Other sockets under the same numbers; of the old ones there may be copies. */
static void
reopen(struct slot *slot)
{
	bool was_started = slot->is_started;
	int pair[2];

	if (was_started)
		start_or_stop(slot);
	make_pair(pair);
	for (int i = 0; i < 2; i++)
		assert_int_equal(dup3(pair[i], slot->pair[i], O_CLOEXEC), slot->pair[i]);
	close_pair(pair);
	if (was_started)
		start_or_stop(slot);
}

static void
copy(struct slot *slot)
{
	int *place = &model.copies[random_below(&model.random, COPIES)];

	if (*place >= 0)
		close(*place);
	*place = fcntl(slot->pair[0], F_DUPFD_CLOEXEC, 0);
	assert_true(*place >= 0);
}

/* The peer writes; or it goes away, which shows until the pair is opened again. */
static void
send_byte(struct slot *slot)
{
	if (random_percent(&model.random, 5))
		assert_int_equal(shutdown(slot->pair[1], SHUT_RDWR), 0);
	else
		(void)!send(slot->pair[1], "x", 1, MSG_NOSIGNAL);
}

/* Between turns only where nobody waits for it: the host may have been told of it already. */
static void
receive(struct slot *slot)
{
	if (model.is_in_turn || !slot->is_started || (slot->interest & ROTA_READABLE) == 0)
		(void)read_all(slot->pair[0]);
}

static void
operate(void)
{
	static void (*const operations[])(struct slot *) = { start_or_stop, set_interest,
		pause_and_resume, restart, reopen, copy, send_byte, send_byte, receive, receive };
	struct slot *slot = &slots[random_below(&model.random, SLOTS)];

	slot->is_touched = true;
	operations[random_below(&model.random, sizeof operations / sizeof operations[0])](slot);
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct slot *slot = rota_container_of(target, struct slot, target);

	assert_ptr_equal(ctx, model.ctx);
	assert_true(slot->is_started);
	assert_int_not_equal(events, 0);
	assert_int_equal(events & ~slot->interest, 0);
	if (!slot->is_touched)
		assert_int_equal(events, readiness(slot) & slot->interest);
	assert_true(slot->is_expected || slot->is_touched);
	slot->is_expected = false;
	model.delivered++;
	model.is_in_turn = true;
	if (random_percent(&model.random, 50))
		receive(slot);
	for (uint64_t i = random_below(&model.random, model.changes_per_handler + 1); i > 0; i--)
		operate();
	model.is_in_turn = false;
	return 0;
}

static const struct rota_target_ops slot_ops = { .name = "slot", .on_ready = on_ready };

/* Notes what the turn must deliver. Whether there is anything. */
static bool
expect(void)
{
	bool is_any = false;

	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &slots[i];

		slot->is_touched = false;
		slot->is_expected = slot->is_started && (readiness(slot) & slot->interest) != 0;
		is_any = is_any || slot->is_expected;
	}
	return is_any;
}

static void
open_slots(struct rota_context *ctx)
{
	model = (struct model){
		.ctx = ctx, .random = make_seed("graft"), .changes_per_handler = 2
	};
	for (int i = 0; i < COPIES; i++)
		model.copies[i] = -1;
	for (int i = 0; i < SLOTS; i++) {
		slots[i] = (struct slot){ .is_started = false };
		make_pair(slots[i].pair);
		rota_target_init(&slots[i].target, &slot_ops, slots[i].pair[0]);
	}
}

static void
close_slots(void)
{
	for (int i = 0; i < SLOTS; i++) {
		rota_target_stop(model.ctx, &slots[i].target);
		close_pair(slots[i].pair);
	}
	for (int i = 0; i < COPIES; i++) {
		if (model.copies[i] >= 0)
			close(model.copies[i]);
	}
}

/* A child that keeps whatever is open now, until its parent goes on. */
static pid_t
fork_keeper(int ends[2])
{
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid != 0)
		return pid;
	close(ends[1]);
	while (read(ends[0], &byte, 1) > 0)
		continue;
	exit_child(0);
}

/* A host may take another turn at once, if that one has left something. */
static int
on_turn(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	for (int i = 0; i < SLOTS; i++)
		assert_true(!slots[i].is_expected || slots[i].is_touched);
	expect();
	return ROTA_CONTINUE;
}

static void
check_turn(struct host *host)
{
	bool is_any = expect();

	assert_int_equal(host_is_woken(host), is_any);
	if (!is_any)
		return;
	assert_int_equal(host_wait(host, 0), ROTA_CONTINUE);
}

static void
run(struct rota_context *ctx)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;
	struct host host;
	int context_fd;
	int copy_of_fd;

	vars.after_dispatch = on_turn;
	assert_int_equal(host_attach(&host, ctx, &vars), 0);
	context_fd = rota_context_fd(ctx);
	copy_of_fd = dup(context_fd);
	for (int i = 0; i < OPERATIONS; i += 4) {
		struct pollfd fd = { .fd = copy_of_fd, .events = POLLIN };

		for (uint64_t n = random_below(&model.random, 8); n > 0; n--)
			operate();
		assert_int_equal(poll(&fd, 1, 0), expect());
		check_turn(&host);
		assert_int_equal(rota_context_fd(ctx), context_fd);
	}
	/* Wakes that find nothing there can be, but only after what a handler undid. */
	assert_true(model.delivered > OPERATIONS / 8);
	close(copy_of_fd);
	host_detach(&host);
}

static void
targets__random_operations_under_a_host__are_as_poll_says(void **state)
{
	struct fixture *fixture = *state;

	if (host_is_impossible())
		skip();
	open_slots(fixture->ctx);
	run(fixture->ctx);
	close_slots();
}

static void
targets__random_operations_while_children_keep_copies__are_as_poll_says(void **state)
{
	struct fixture *fixture = *state;
	int ends[2];
	pid_t keeper;

	if (host_is_impossible())
		skip();
	open_slots(fixture->ctx);
	keeper = fork_keeper(ends);
	run(fixture->ctx);
	close_pair(ends);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	close_slots();
}

/* The same without a host, so libev does with its epoll as it likes. */
static void
targets__random_operations_natively__are_as_poll_says(void **state)
{
	struct fixture *fixture = *state;
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	open_slots(fixture->ctx);
	for (int i = 0; i < OPERATIONS; i += 4) {
		for (uint64_t n = random_below(&model.random, 8); n > 0; n--)
			operate();
		expect();
		assert_int_equal(take_turns(fixture->ctx, &vars, 1), ROTA_CONTINUE);
		for (int k = 0; k < SLOTS; k++)
			assert_true(!slots[k].is_expected || slots[k].is_touched);
	}
	close_slots();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(targets__random_operations_under_a_host__are_as_poll_says),
		fixture_test(
			targets__random_operations_while_children_keep_copies__are_as_poll_says),
		fixture_test(targets__random_operations_natively__are_as_poll_says),
	};

	return host_run_tests(tests);
}
