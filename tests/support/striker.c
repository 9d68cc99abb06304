/* SPDX-License-Identifier: MIT */
/*
 * The striker: see striker.h. It is a debugger to the first process and all that this forks, and
 * their reaper, so that those whose parents die are seen to end, too.
 */
#include "striker.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define PROCESSES 256
#define OPTIONS \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | \
		PTRACE_O_EXITKILL)

/* Those that there have been, by role. */
static struct traced {
	pid_t pid;
	bool has_begun; /* its first stop, which is ours, is over */
	bool is_inside; /* a system call */
	uint64_t calls;
} processes[PROCESSES];

static struct strike *present;
static rota_time first_ended;

static struct traced *
find(pid_t pid)
{
	for (unsigned i = 0; i < present->roles; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	if (present->roles == PROCESSES)
		return NULL;
	processes[present->roles] = (struct traced){ .pid = pid };
	return &processes[present->roles++];
}

static bool
is_victim(const struct traced *process)
{
	return process == &processes[present->role] && !present->has_struck;
}

/* On its way into a system call, or out of it. */
static void
count_call(struct traced *process)
{
	process->is_inside = !process->is_inside;
	if (!process->is_inside || !is_victim(process))
		return;
	if (++process->calls < present->at)
		return;
	present->has_struck = true;
	(void)kill(process->pid, SIGKILL);
}

/* The signal that it goes on with. */
static int
signal_of(struct traced *process, int status)
{
	int number = WSTOPSIG(status);

	if (number == (SIGTRAP | 0x80)) {
		count_call(process);
		return 0;
	}
	if (number == SIGTRAP && status >> 16 != 0)
		return 0;
	if (number == SIGSTOP && !process->has_begun) {
		process->has_begun = true;
		return 0;
	}
	return number;
}

static void
follow(struct traced *process, int status)
{
	int number = signal_of(process, status);

	/* It may be dead by now, of which we are told next. */
	(void)ptrace(is_victim(process) ? PTRACE_SYSCALL : PTRACE_CONT, process->pid, NULL,
		(void *)(intptr_t)number);
}

/* Until nobody is left. */
static void
watch(void)
{
	struct traced *process;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (pid <= 0)
			continue;
		process = find(pid);
		assert_non_null(process);
		if (WIFSTOPPED(status)) {
			follow(process, status);
		} else if (process == &processes[0]) {
			present->status = status;
			first_ended = real_time();
		}
	}
	present->after = real_time() - first_ended;
}

void
strike(struct strike *strike, int (*act)(void *argument), void *argument)
{
	pid_t pid;
	int status;

	present = strike;
	strike->has_struck = false;
	strike->roles = 0;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 || raise(SIGSTOP) != 0)
			_exit(255);
		exit_child(act(argument));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(intptr_t)OPTIONS), 0);
	follow(find(pid), status);
	watch();
}

static int
do_nothing(void *argument)
{
	(void)argument;
	return getppid() > 0 ? 0 : 1;
}

bool
striker_is_possible(void)
{
	struct strike try = { .role = 0, .at = 1 };
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 1);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return false;
	/* Others may be in between, who emulate it in parts. */
	strike(&try, do_nothing, NULL);
	return try.has_struck && WIFSIGNALED(try.status);
}
