/* SPDX-License-Identifier: MIT */
/*
 * Forks of a context: see fork_rig.h.
 */
#include "fork_rig.h"

#include <sys/wait.h>
#include <unistd.h>

#include "trace.h"

void
child_fails(const char *file, int line, const char *condition)
{
	print_error("%s:%d: in the child: %s\n", file, line, condition);
	exit_child(1);
}

pid_t
fork_body(struct rota_context *ctx, void (*body)(struct rota_context *ctx))
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid != 0)
		return pid;
	alarm(30);
	body(ctx);
	exit_child(0);
}

void
join_child(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

struct common common;

int
common_on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	common.timers++;
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	common.posts++;
	return 0;
}

int
fork_setup(void **state)
{
	int r = fixture_setup(state);
	struct fixture *fixture = *state;
	struct rota_context *ctx = fixture->ctx;

	common.timers = common.posts = 0;
	peer_open(ctx, &common.peer, "io");
	rota_timer_init(&common.timer, common_on_timer);
	rota_post_init(&common.post, on_post);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	return r;
}

int
fork_teardown(void **state)
{
	struct fixture *fixture = *state;

	peer_close(fixture->ctx, &common.peer);
	trace_clear();
	return fixture_teardown(state);
}

void
check_parent(struct rota_context *ctx)
{
	struct peer another;

	common.peer.calls = 0;
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	write_byte(common.peer.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(common.peer.calls, 1);
	peer_open(ctx, &another, "another");
	write_byte(another.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	peer_close(ctx, &another);
	common.posts = 0;
	assert_int_equal(rota_post(ctx, &common.post), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(common.posts, 1);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
}
