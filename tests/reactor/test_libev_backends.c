/* SPDX-License-Identifier: MIT */
/*
 * The context on each of libev's backends, beside libev loops of the program's own, and where there
 * are next to no descriptors.
 */
#include <rota/context.h>

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/child.h>
#include <rota/signals.h>
#include <rota/task.h>
#include <rota/timer.h>

#include "fixture.h"
#include "peer.h"
#include "pidfd.h"
#include "trace.h"

/* The backends. What the environment said is put back at the end. */

static const struct backend {
	const char *flags;
	bool has_fd;
} backends[] = { { "1", false }, { "2", false }, { "4", true }, { "0", true } };

static char *flags_before;

static int
group_setup(void **state)
{
	const char *flags = getenv("LIBEV_FLAGS");

	(void)state;
	flags_before = flags != NULL ? strdup(flags) : NULL;
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (flags_before != NULL)
		setenv("LIBEV_FLAGS", flags_before, 1);
	else
		unsetenv("LIBEV_FLAGS");
	free(flags_before);
	return 0;
}

static void
on_each_backend(void (*scenario)(struct rota_context *ctx, const struct backend *backend))
{
	for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
		struct fixture fixture;

		setenv("LIBEV_FLAGS", backends[i].flags, 1);
		fixture_open(&fixture, FIXTURE_LIBEV);
		scenario(fixture.ctx, &backends[i]);
		assert_int_equal(fixture_close(&fixture), 0);
	}
}

static int
on_timer(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	trace("timer");
	return 0;
}

static int
on_task(struct rota_context *ctx, struct rota_task *task)
{
	(void)ctx;
	(void)task;
	trace("task");
	return 0;
}

static int
on_post(struct rota_context *ctx, struct rota_post *post)
{
	(void)ctx;
	(void)post;
	trace("post");
	return 0;
}

static int
on_signal(struct rota_context *ctx, struct rota_signal *signal, void *userdata)
{
	(void)ctx;
	(void)userdata;
	trace("signal");
	rota_signal_stop(ctx, signal);
	return 0;
}

static int
on_child(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	(void)ctx;
	(void)child;
	(void)end;
	*(bool *)userdata = true;
	return 0;
}

static bool
is_true(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return *(bool *)userdata;
}

static void
make_everything(struct rota_context *ctx, const struct backend *backend)
{
	struct rota_signal signal = ROTA_SIGNAL_INIT;
	struct rota_timer timer;
	struct rota_task task;
	struct rota_post post;
	struct peer peer;

	(void)backend;
	peer_open(ctx, &peer, "io");
	rota_timer_init(&timer, on_timer);
	rota_task_init(&task, on_task);
	rota_post_init(&post, on_post);
	assert_int_equal(rota_signal_start(ctx, &signal, SIGUSR1, on_signal, NULL), 0);
	assert_int_equal(rota_timer_start(ctx, &timer, 0), 0);
	assert_int_equal(rota_task_add(ctx, &task), 0);
	assert_int_equal(rota_post(ctx, &post), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	write_byte(peer.pair[1]);
	/* A signal ends a wait, and so may have to be waited for again. */
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 5);
	assert_trace("io:1 signal timer post task");
	assert_int_equal(rota_target_set_interest(ctx, &peer.target, 0), 0);
	write_byte(peer.pair[1]);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(rota_target_set_interest(ctx, &peer.target, ROTA_READABLE), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
	rota_target_stop(ctx, &peer.target);
	assert_int_equal(rota_target_start(ctx, &peer.target, ROTA_WRITABLE), 0);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, NULL), 1);
	trace_clear();
	peer_close(ctx, &peer);
}

static void
everything__on_each_backend__works(void **state)
{
	(void)state;
	on_each_backend(make_everything);
}

static void
end_a_child(struct rota_context *ctx, const struct backend *backend)
{
	struct rota_child child = ROTA_CHILD_INIT;
	bool is_told = false;
	pid_t pid = fork();

	(void)backend;
	if (pid == 0)
		exit_child(0);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_child, &is_told), 0);
	assert_int_equal(turn_until(ctx, is_true, &is_told), 0);
}

static void
child__on_each_backend__is_told(void **state)
{
	(void)state;
	if (!has_pidfd())
		skip();
	on_each_backend(end_a_child);
}

static void
ask_for_fd(struct rota_context *ctx, const struct backend *backend)
{
	int fd = rota_context_fd(ctx);

	if (backend->has_fd)
		assert_true(fd >= 0);
	else
		assert_int_equal(fd, -ENOTSUP);
	assert_int_equal(rota_context_fd(ctx), fd);
	make_everything(ctx, backend);
}

static void
fd__on_each_backend__is_there_or_not_supported(void **state)
{
	(void)state;
	on_each_backend(ask_for_fd);
}

static void
watch_many(struct rota_context *ctx, const struct backend *backend)
{
	enum { MANY = 300 };
	struct peer *peers = calloc(MANY, sizeof *peers);

	(void)backend;
	assert_non_null(peers);
	for (int i = 0; i < MANY; i++) {
		peer_open(ctx, &peers[i], "io");
		write_byte(peers[i].pair[1]);
	}
	for (int left = MANY; left > 0; trace_clear()) {
		int r = rota_dispatch_once(ctx, ROTA_SECOND, NULL);

		assert_in_range(r, 1, left);
		left -= r;
	}
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	for (int i = 0; i < MANY; i++)
		peer_close(ctx, &peers[i]);
	free(peers);
}

static void
targets__hundreds_on_each_backend__are_called_once_each(void **state)
{
	(void)state;
	on_each_backend(watch_many);
}

static void
fork_and_go_on(struct rota_context *ctx, const struct backend *backend)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (rota_context_forked(ctx, 0) < 0)
			exit_child(1);
		make_everything(ctx, backend);
		exit_child(rota_context_free(ctx) == 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	make_everything(ctx, backend);
}

static void
fork__on_each_backend__works_in_both(void **state)
{
	(void)state;
	on_each_backend(fork_and_go_on);
}

/* A loop of the program's own, made before the first context, so that its memory is not ours. */

static struct own {
	struct ev_loop *loop;
	ev_io io;
	ev_timer timer;
	int pair[2];
	int came;
} early;

static void
on_own_io(struct ev_loop *loop, ev_io *io, int events)
{
	struct own *own = rota_container_of(io, struct own, io);

	(void)loop;
	assert_int_equal(events, EV_READ);
	own->came += read_all(io->fd);
}

static void
on_own_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	ev_timer_stop(loop, timer);
}

static void
own_open(struct own *own)
{
	own->loop = ev_loop_new(EVFLAG_AUTO);
	own->came = 0;
	make_pair(own->pair);
	ev_io_init(&own->io, on_own_io, own->pair[0], EV_READ);
	ev_io_start(own->loop, &own->io);
	ev_timer_init(&own->timer, on_own_timer, 0.001, 0.);
	ev_timer_start(own->loop, &own->timer);
}

static void
own_use(struct own *own)
{
	enum { MANY = 100 };
	ev_io ios[MANY];

	/* Its arrays grow, whoever made them. */
	for (int i = 0; i < MANY; i++) {
		ev_io_init(&ios[i], on_own_io, dup(own->pair[1]), EV_READ);
		ev_io_start(own->loop, &ios[i]);
	}
	own->came = 0;
	write_byte(own->pair[1]);
	while (own->came == 0)
		ev_run(own->loop, EVRUN_ONCE);
	assert_int_equal(own->came, 1);
	for (int i = 0; i < MANY; i++) {
		ev_io_stop(own->loop, &ios[i]);
		close(ios[i].fd);
	}
	ev_run(own->loop, EVRUN_NOWAIT);
}

static void
own_close(struct own *own)
{
	ev_io_stop(own->loop, &own->io);
	ev_loop_destroy(own->loop);
	close_pair(own->pair);
}

static int
use_own_loop(struct rota_context *ctx, struct rota_dispatchvars *vars)
{
	struct own own;

	(void)ctx;
	(void)vars;
	own_use(&early);
	own_open(&own);
	own_use(&own);
	own_close(&own);
	return 0;
}

static void
own_loops__beside_a_context__go_on(void **state)
{
	struct fixture fixture;
	struct peer peer;
	struct own own;

	(void)state;
	fixture_open(&fixture, FIXTURE_LIBEV);
	own_use(&early);
	own_open(&own);
	peer_open(fixture.ctx, &peer, "io");
	peer.then = use_own_loop;
	for (int i = 0; i < 3; i++) {
		write_byte(peer.pair[1]);
		assert_int_equal(rota_dispatch_once(fixture.ctx, 0, NULL), 1);
		own_use(&own);
		own_use(&early);
	}
	trace_clear();
	peer_close(fixture.ctx, &peer);
	own_close(&own);
	assert_int_equal(fixture_close(&fixture), 0);
	own_use(&early);
}

/* Next to no descriptors. Children try, as what is open here cannot be closed. */

static int
try_with(rlim_t descriptors, const char *flags)
{
	struct rota_context *ctx = NULL;
	struct rlimit limit;
	struct rota_post post;
	int r;

	setenv("LIBEV_FLAGS", flags, 1);
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 10;
	limit.rlim_cur = descriptors;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 10;
	r = rota_context_new(&ctx);
	if (r < 0)
		return r == -EMFILE && ctx == NULL ? 0 : 11;
	r = rota_context_fd(ctx);
	if (r < 0 && r != -ENOTSUP && r != -EMFILE)
		return 12;
	rota_post_init(&post, on_post);
	if (rota_post(ctx, &post) != 0 || rota_dispatch_once(ctx, ROTA_SECOND, NULL) != 1)
		return 13;
	r = rota_context_forked(ctx, 0);
	if (r < 0 && r != -EMFILE)
		return 14;
	return rota_context_free(ctx) == 0 ? 1 : 15;
}

/* 0: there was an error, 1: it worked; anything else is wrong. */
static int
try_in_a_child(rlim_t descriptors, const char *flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		exit_child(try_with(descriptors, flags));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		print_error("%d descriptors, backend %s: status %x\n", (int)descriptors, flags,
			(unsigned)status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
context__next_to_no_descriptors__is_made_or_fails_with_an_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
		assert_int_equal(try_in_a_child(3, backends[i].flags), 0);
		for (rlim_t descriptors = 4; descriptors < 12; descriptors++)
			assert_in_range(try_in_a_child(descriptors, backends[i].flags), 0, 1);
		assert_int_equal(try_in_a_child(12, backends[i].flags), 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything__on_each_backend__works),
		cmocka_unit_test(child__on_each_backend__is_told),
		cmocka_unit_test(fd__on_each_backend__is_there_or_not_supported),
		cmocka_unit_test(targets__hundreds_on_each_backend__are_called_once_each),
		cmocka_unit_test(fork__on_each_backend__works_in_both),
		cmocka_unit_test(own_loops__beside_a_context__go_on),
		cmocka_unit_test(context__next_to_no_descriptors__is_made_or_fails_with_an_error),
	};
	int r;

	own_open(&early);
	r = cmocka_run_group_tests(tests, group_setup, group_teardown);
	own_close(&early);
	return r;
}
