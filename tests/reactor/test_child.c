/* SPDX-License-Identifier: MIT */
/*
 * Children: their end is told once, with status and usage, in whatever way they end; nobody else's
 * children are reaped; and no descriptor is left.
 */
#include <rota/child.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context.h"
#include "faulty_sys.h"
#include "fixture.h"
#include "pidfd.h"
#include "trace.h"

static struct rota_context *
context_of(void **state)
{
	struct fixture *fixture = *state;

	if (!has_pidfd())
		skip();
	return fixture->ctx;
}

static struct rota_child_end last;
static int ends;

static int
on_end(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	(void)ctx;
	assert_ptr_equal(userdata, &last);
	assert_int_equal(child->pid, 0);
	last = *end;
	ends++;
	return 0;
}

static bool
have_ended(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return ends >= *(int *)userdata;
}

static void
await_ends(struct rota_context *ctx, int count)
{
	assert_int_equal(turn_until(ctx, have_ended, &count), 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(ends, count);
}

/* A process that lives until its pipe is closed, and then exits with status. */
static pid_t
spawn(int status, int *ret_pipe)
{
	int pipe_ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pipe_ends), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(pipe_ends[1]);
		while (read(pipe_ends[0], &byte, 1) > 0)
			continue;
		exit_child(status);
	}
	close(pipe_ends[0]);
	*ret_pipe = pipe_ends[1];
	return pid;
}

/* Waits until the process has ended, and leaves it to be reaped. */
static void
await_death(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static int
reset(void **state)
{
	ends = 0;
	last = (struct rota_child_end){ .pid = -1 };
	return fixture_setup(state);
}

static void
child__exits__is_told_with_its_status(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(42, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	assert_int_equal(child.pid, pid);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	close(pipe_end);
	await_ends(ctx, 1);
	assert_int_equal(last.pid, pid);
	assert_int_equal(last.error, 0);
	assert_true(WIFEXITED(last.status));
	assert_int_equal(WEXITSTATUS(last.status), 42);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
child__killed__is_told_with_its_signal(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child;
	int pipe_end;
	pid_t pid = spawn(0, &pipe_end);

	memset(&child, 0xff, sizeof child);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	/* Stopping and going on is no end. */
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(rota_dispatch_once(ctx, 20 * ROTA_MILLISECOND, NULL), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	await_ends(ctx, 1);
	assert_true(WIFSIGNALED(last.status));
	assert_int_equal(WTERMSIG(last.status), SIGKILL);
	close(pipe_end);
}

static void
child__has_ended_before__is_told_in_the_next_turn(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(7, &pipe_end);

	close(pipe_end);
	await_death(pid);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	assert_int_equal(ends, 0);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 1);
	assert_int_equal(ends, 1);
	assert_int_equal(WEXITSTATUS(last.status), 7);
}

static void
children__end_all_at_once__are_told_once_each(void **state)
{
	enum { MANY = 64 };
	struct rota_context *ctx = context_of(state);
	struct rota_child children[MANY];
	int pipe_ends[2];
	pid_t group = 0;

	assert_int_equal(pipe(pipe_ends), 0);
	for (int i = 0; i < MANY; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			char byte;

			close(pipe_ends[1]);
			exit_child((int)read(pipe_ends[0], &byte, 1));
		}
		group = group == 0 ? pid : group;
		assert_int_equal(setpgid(pid, group), 0);
		assert_int_equal(rota_child_start(ctx, &children[i], pid, on_end, &last), 0);
	}
	assert_int_equal(kill(-group, SIGKILL), 0);
	await_ends(ctx, MANY);
	close_pair(pipe_ends);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int looks;

/* Sees nothing at first, as a parent whose child's tracer has not looked yet. */
static int
late_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (looks++ > 0)
		return rota__sys.waitid(type, id, info, options);
	info->si_pid = 0;
	return 0;
}

static void lead_group(void) __attribute__((noreturn));

static void
lead_group(void)
{
	(void)setpgid(0, 0);
	if (fork() == 0) {
		alarm(20);
		pause();
	}
	exit_child(0);
}

/* Whom it leaves behind nobody can find once it was waited for. */
static void
child__with_a_group_seen_late__takes_it_along(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	struct rota_sys_ops late = faulty_sys_ops;
	struct pollfd polled = { .events = POLLIN };
	int pipe_ends[2];
	pid_t pid;

	assert_int_equal(pipe(pipe_ends), 0);
	late.waitid = late_waitid;
	looks = 0;
	pid = fork();
	if (pid == 0)
		lead_group();
	close(pipe_ends[1]);
	ctx->sys = &late;
	assert_int_equal(rota_child_start_group(ctx, &child, pid, on_end, &last), 0);
	await_ends(ctx, 1);
	ctx->sys = &faulty_sys_ops;
	/* Its end of the pipe is closed with it. */
	polled.fd = pipe_ends[0];
	assert_int_equal(poll(&polled, 1, 5000), 1);
	close(pipe_ends[0]);
	assert_int_equal(looks, 2);
}

static void
child__stopped__is_not_told_and_not_reaped(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	int status;
	pid_t pid = spawn(3, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	close(pipe_end);
	await_death(pid);
	rota_child_stop(ctx, &child);
	rota_child_stop(ctx, &child);
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	assert_int_equal(ends, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void
child__reaped_by_somebody_else__is_told_with_an_error(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(0, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	close(pipe_end);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	await_ends(ctx, 1);
	assert_int_equal(last.pid, pid);
	assert_int_equal(last.error, -ECHILD);
}

static void
children__of_others__are_not_reaped(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipes[3];
	pid_t pids[3];
	int status;

	/* One before it and one after it; each keeps the pipes of those before it open. */
	for (int i = 0; i < 3; i++)
		pids[i] = spawn(5 + i, &pipes[i]);
	assert_int_equal(rota_child_start(ctx, &child, pids[1], on_end, &last), 0);
	for (int i = 2; i >= 0; i--)
		close(pipes[i]);
	await_death(pids[0]);
	await_death(pids[1]);
	await_death(pids[2]);
	await_ends(ctx, 1);
	assert_int_equal(last.pid, pids[1]);
	assert_int_equal(WEXITSTATUS(last.status), 6);
	for (int i = 0; i < 3; i += 2) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(WEXITSTATUS(status), 5 + i);
	}
}

static long
microseconds(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
		usage->ru_utime.tv_usec + usage->ru_stime.tv_usec;
}

static void
usage__of_a_child_that_works__is_its_own(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	pid_t pid = fork();

	if (pid == 0) {
		struct rusage usage;

		do
			getrusage(RUSAGE_SELF, &usage);
		while (microseconds(&usage) < 20000);
		exit_child(0);
	}
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	await_ends(ctx, 1);
	assert_true(microseconds(&last.usage) >= 20000);
	assert_true(last.usage.ru_maxrss > 0);
}

static void
start__no_such_process__fails(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(0, &pipe_end);

	close(pipe_end);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), -ESRCH);
	assert_int_equal(rota_child_start(ctx, &child, 0, on_end, &last), -EINVAL);
	assert_int_equal(rota_child_start(ctx, &child, -1, on_end, &last), -EINVAL);
	assert_int_equal(rota_child_start(ctx, &child, getpid(), NULL, NULL), -EINVAL);
	rota_child_stop(ctx, &child);
}

static void
start__the_system_refuses__fails_and_leaves_nothing(void **state)
{
	static const int errors[] = { EMFILE, ENFILE, ENOMEM };
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(0, &pipe_end);

	for (int i = 0; i < 3; i++) {
		faulty_sys_fail(FAULTY_PIDFD_OPEN, 1, false, errors[i]);
		assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), -errors[i]);
		assert_int_equal(child.pid, 0);
	}
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	close(pipe_end);
	await_ends(ctx, 1);
}

static void
child__wait4_is_interrupted__is_told_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(9, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	close(pipe_end);
	faulty_sys_fail(FAULTY_WAIT4, 1, false, EINTR);
	await_ends(ctx, 1);
	assert_int_equal(last.error, 0);
	assert_int_equal(WEXITSTATUS(last.status), 9);
}

static void
child__running_when_the_context_is_freed__goes_on(void **state)
{
	struct rota_child child = ROTA_CHILD_INIT;
	struct rota_context *ctx;
	int pipe_end;
	int status;
	pid_t pid;

	(void)context_of(state);
	pid = spawn(4, &pipe_end);
	assert_int_equal(rota_context_new(&ctx), 0);
	assert_int_equal(rota_child_start(ctx, &child, pid, on_end, &last), 0);
	assert_int_equal(rota_context_free(ctx), 0);
	assert_int_equal(child.pid, 0);
	close(pipe_end);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 4);
	assert_int_equal(ends, 0);
}

static int next_pipe;

/* The struct may be used again in its own handler. */
static int
on_end_start_another(struct rota_context *ctx, struct rota_child *child,
	const struct rota_child_end *end, void *userdata)
{
	on_end(ctx, child, end, userdata);
	assert_int_equal(rota_child_start(ctx, child, spawn(2, &next_pipe), on_end, userdata), 0);
	close(next_pipe);
	return 0;
}

static void
child__started_again_in_its_handler__is_told_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(1, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end_start_another, &last), 0);
	close(pipe_end);
	await_ends(ctx, 2);
	assert_int_equal(WEXITSTATUS(last.status), 2);
}

static int
on_end_fail(struct rota_context *ctx, struct rota_child *child, const struct rota_child_end *end,
	void *userdata)
{
	on_end(ctx, child, end, userdata);
	return -EIO;
}

static int
on_error(struct rota_context *ctx, struct rota_target *target, int error,
	struct rota_dispatchvars *vars)
{
	(void)ctx;
	(void)vars;
	assert_null(target);
	trace("error:%d", error == -EIO);
	return ROTA_CONTINUE;
}

static void
child__its_handler_fails__is_reported(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_child child = ROTA_CHILD_INIT;
	int pipe_end;
	pid_t pid = spawn(1, &pipe_end);

	assert_int_equal(rota_child_start(ctx, &child, pid, on_end_fail, &last), 0);
	close(pipe_end);
	await_death(pid);
	assert_int_equal(rota_dispatch_once(ctx, ROTA_SECOND, on_error), 1);
	assert_trace("error:1");
	assert_int_equal(rota_context_errors(ctx), 1);
}

#define child_test(function) cmocka_unit_test_setup_teardown(function, reset, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		child_test(child__exits__is_told_with_its_status),
		child_test(child__killed__is_told_with_its_signal),
		child_test(child__has_ended_before__is_told_in_the_next_turn),
		child_test(children__end_all_at_once__are_told_once_each),
		child_test(child__with_a_group_seen_late__takes_it_along),
		child_test(child__stopped__is_not_told_and_not_reaped),
		child_test(child__reaped_by_somebody_else__is_told_with_an_error),
		child_test(children__of_others__are_not_reaped),
		child_test(usage__of_a_child_that_works__is_its_own),
		child_test(start__no_such_process__fails),
		child_test(start__the_system_refuses__fails_and_leaves_nothing),
		child_test(child__wait4_is_interrupted__is_told_all_the_same),
		child_test(child__running_when_the_context_is_freed__goes_on),
		child_test(child__started_again_in_its_handler__is_told_again),
		child_test(child__its_handler_fails__is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
