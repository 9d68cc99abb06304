/* SPDX-License-Identifier: MIT */
/*
 * The faulty system: a plan, and a wrapper for each call. Every wrapper asks the plan once.
 *
 * An eventfd's read or write is never cut, which would be EINVAL, nor made to fail by chance: what
 * the library does with them relies on what the kernel says of eventfds.
 */
#include "faulty_sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "random.h"

#define EVENTFDS 65536
#define PARTS 64

struct fault {
	enum faulty_call call;
	uint64_t at; /* 0: nothing is to fail */
	bool for_ever;
	int error;
};

static struct {
	struct fault faults[2];
	size_t cut;
	uint64_t random;
	unsigned percent;
	uint64_t calls[FAULTY_ANY + 1];
	uint64_t failed;
} plan;

static bool is_eventfd[EVENTFDS];

#define FAULTY_ERRORS(NAME, member, ...) static const int member##_errors[] = { __VA_ARGS__, 0 };
FAULTY_CALLS(FAULTY_ERRORS)
#undef FAULTY_ERRORS

static const struct {
	const char *name;
	const int *errors;
} about[] = {
#define FAULTY_ABOUT(NAME, member, ...) [FAULTY_##NAME] = { #member, member##_errors },
	FAULTY_CALLS(FAULTY_ABOUT)
#undef FAULTY_ABOUT
		[FAULTY_ANY] = { "any", NULL },
};

static uint64_t
count(enum faulty_call call)
{
	return __atomic_add_fetch(&plan.calls[call], 1, __ATOMIC_RELAXED);
}

/* Whether a fault strikes the nth call of this kind, which is the nth_of_any of all. */
static bool
strikes(const struct fault *fault, enum faulty_call call, uint64_t nth, uint64_t nth_of_any)
{
	if (fault->at == 0 || (fault->call != call && fault->call != FAULTY_ANY))
		return false;
	if (fault->call == FAULTY_ANY)
		nth = nth_of_any;
	return nth == fault->at || (nth > fault->at && fault->for_ever);
}

/* Whether this call, just made, is to fail; then errno is set. */
static bool
is_to_fail(enum faulty_call call, bool is_exempt)
{
	uint64_t nth = count(call);
	uint64_t nth_of_any = is_exempt ? 0 : count(FAULTY_ANY);
	const struct fault *fault = &plan.faults[0];

	if (!strikes(fault, call, nth, nth_of_any))
		fault = &plan.faults[1];
	if (!strikes(fault, call, nth, nth_of_any))
		return false;
	__atomic_add_fetch(&plan.failed, 1, __ATOMIC_RELAXED);
	errno = fault->error != 0 ? fault->error : about[call].errors[0];
	return true;
}

static bool
fails(enum faulty_call call)
{
	return is_to_fail(call, false);
}

bool
faulty_sys_strikes(void)
{
	return random_percent(&plan.random, plan.percent);
}

static bool
is_exempt(int fd)
{
	return fd >= 0 && fd < EVENTFDS && is_eventfd[fd];
}

/* A read or write of size bytes is about to be made. False: it fails. Otherwise how much of it. */
static bool
may_move(enum faulty_call call, int fd, size_t *size)
{
	if (is_to_fail(call, is_exempt(fd)))
		return false;
	if (is_exempt(fd))
		return true;
	if (faulty_sys_strikes()) {
		errno = EAGAIN;
		return false;
	}
	if (plan.cut > 0 && *size > plan.cut)
		*size = plan.cut;
	if (*size > 1 && faulty_sys_strikes())
		*size = 1 + (size_t)random_below(&plan.random, *size);
	return true;
}

static ssize_t
faulty_recv(int fd, void *bytes, size_t size, int flags)
{
	return may_move(FAULTY_RECV, fd, &size) ? rota__sys.recv(fd, bytes, size, flags) : -1;
}

static ssize_t
faulty_send(int fd, const void *bytes, size_t size, int flags)
{
	return may_move(FAULTY_SEND, fd, &size) ? rota__sys.send(fd, bytes, size, flags) : -1;
}

static ssize_t
faulty_read(int fd, void *bytes, size_t size)
{
	return may_move(FAULTY_READ, fd, &size) ? rota__sys.read(fd, bytes, size) : -1;
}

static ssize_t
faulty_write(int fd, const void *bytes, size_t size)
{
	return may_move(FAULTY_WRITE, fd, &size) ? rota__sys.write(fd, bytes, size) : -1;
}

static ssize_t
faulty_splice(int from, int to, size_t size, unsigned flags)
{
	return may_move(FAULTY_SPLICE, from, &size) ? rota__sys.splice(from, to, size, flags) : -1;
}

/* The parts that make up the first size bytes of a message; returns their number. */
static size_t
cut_parts(struct iovec *parts, const struct msghdr *message, size_t size)
{
	size_t used = 0;

	while (used < message->msg_iovlen && used < PARTS && size > 0) {
		parts[used] = message->msg_iov[used];
		if (parts[used].iov_len > size)
			parts[used].iov_len = size;
		size -= parts[used++].iov_len;
	}
	return used;
}

static ssize_t
faulty_sendmsg(int fd, const struct msghdr *message, int flags)
{
	struct iovec parts[PARTS];
	struct msghdr cut = *message;
	size_t size = 0;

	for (size_t i = 0; i < message->msg_iovlen; i++)
		size += message->msg_iov[i].iov_len;
	if (!may_move(FAULTY_SENDMSG, fd, &size))
		return -1;
	cut.msg_iov = parts;
	cut.msg_iovlen = cut_parts(parts, message, size);
	return rota__sys.sendmsg(fd, &cut, flags);
}

static int
faulty_close(int fd)
{
	bool has_failed = fails(FAULTY_CLOSE);
	int error = errno;
	int r;

	if (fd >= 0 && fd < EVENTFDS)
		is_eventfd[fd] = false;
	r = rota__sys.close(fd);
	if (!has_failed)
		return r;
	errno = error;
	return -1;
}

static int
faulty_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	if (!fails(FAULTY_CONNECT))
		return rota__sys.connect(fd, address, length);
	if (errno == EINTR) {
		(void)rota__sys.connect(fd, address, length);
		errno = EINTR;
	}
	return -1;
}

static void *
faulty_mmap(size_t size, int protection, int flags)
{
	return fails(FAULTY_MMAP) ? NULL : rota__sys.mmap(size, protection, flags);
}

static void *
faulty_mmap_file(size_t size, int fd)
{
	return fails(FAULTY_MMAP_FILE) ? NULL : rota__sys.mmap_file(size, fd);
}

/* As close: what fails has happened all the same. */
static int
faulty_munmap(void *memory, size_t size)
{
	bool has_failed = fails(FAULTY_MUNMAP);
	int r = rota__sys.munmap(memory, size);

	return has_failed ? -1 : r;
}

static int
faulty_eventfd(unsigned initial, int flags)
{
	int fd = fails(FAULTY_EVENTFD) ? -1 : rota__sys.eventfd(initial, flags);

	if (fd >= 0 && fd < EVENTFDS)
		is_eventfd[fd] = true;
	return fd;
}

/* The others have nothing special: they fail or are made. */
#define WRAPPER(type, NAME, member, parameters, arguments) \
	static type faulty_##member parameters \
	{ \
		return fails(FAULTY_##NAME) ? -1 : rota__sys.member arguments; \
	}

WRAPPER(int, SOCKET, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAPPER(int, SOCKETPAIR, socketpair, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds))
WRAPPER(int, CLOSE_RANGE, close_range, (unsigned first, unsigned last, unsigned flags),
	(first, last, flags))
WRAPPER(int, MADVISE, madvise, (void *memory, size_t size, int advice), (memory, size, advice))
WRAPPER(pid_t, FORK, fork, (void), ())
WRAPPER(int, KILL, kill, (pid_t pid, int number), (pid, number))
WRAPPER(int, BIND, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAPPER(int, LISTEN, listen, (int fd, int backlog), (fd, backlog))
WRAPPER(int, ACCEPT4, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags),
	(fd, a, n, flags))
WRAPPER(ssize_t, RECVMSG, recvmsg, (int fd, struct msghdr *message, int flags),
	(fd, message, flags))
WRAPPER(int, SHUTDOWN, shutdown, (int fd, int how), (fd, how))
WRAPPER(int, GETSOCKOPT, getsockopt, (int fd, int level, int name, void *value, socklen_t *n),
	(fd, level, name, value, n))
WRAPPER(int, SETSOCKOPT, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
	(fd, level, name, value, n))
WRAPPER(int, GETSOCKNAME, getsockname, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAPPER(int, GETPEERNAME, getpeername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
WRAPPER(int, FCNTL, fcntl, (int fd, int command, long argument), (fd, command, argument))
WRAPPER(int, IOCTL, ioctl, (int fd, unsigned long request, void *argument), (fd, request, argument))
WRAPPER(int, OPEN, open, (const char *path, int flags), (path, flags))
WRAPPER(int, CREATE, create, (const char *path, int flags, mode_t mode), (path, flags, mode))
WRAPPER(ssize_t, PREAD, pread, (int fd, void *bytes, size_t size, off_t offset),
	(fd, bytes, size, offset))
WRAPPER(int, FSYNC, fsync, (int fd), (fd))
WRAPPER(int, FSTAT, fstat, (int fd, struct stat *status), (fd, status))
WRAPPER(int, FCHMOD, fchmod, (int fd, mode_t mode), (fd, mode))
WRAPPER(int, CHMOD, chmod, (const char *path, mode_t mode), (path, mode))
WRAPPER(int, STAT, stat, (const char *path, struct stat *status), (path, status))
WRAPPER(int, UNLINK, unlink, (const char *path), (path))
WRAPPER(int, RENAME, rename, (const char *from, const char *to), (from, to))
WRAPPER(int, GETRLIMIT, getrlimit, (int resource, struct rlimit *limit), (resource, limit))
WRAPPER(int, PIPE2, pipe2, (int fds[2], int flags), (fds, flags))
WRAPPER(int, MEMFD_CREATE, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAPPER(int, PPOLL, ppoll,
	(struct pollfd * fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
	(fds, n, timeout, mask))
WRAPPER(int, SIGACTION, sigaction,
	(int number, const struct sigaction *action, struct sigaction *before),
	(number, action, before))
WRAPPER(int, SIGPROCMASK, sigprocmask, (int how, const sigset_t *set, sigset_t *before),
	(how, set, before))
WRAPPER(int, PIDFD_OPEN, pidfd_open, (pid_t pid, unsigned flags), (pid, flags))
WRAPPER(int, EXECVP, execvp, (const char *file, char *const arguments[]), (file, arguments))
WRAPPER(int, DUP3, dup3, (int from, int to, int flags), (from, to, flags))
WRAPPER(int, SETPGID, setpgid, (pid_t pid, pid_t group), (pid, group))
WRAPPER(int, PRCTL, prctl, (int option, unsigned long argument), (option, argument))
WRAPPER(int, WAITID, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
	(type, id, info, options))
WRAPPER(pid_t, WAIT4, wait4, (pid_t pid, int *status, int options, struct rusage *usage),
	(pid, status, options, usage))

const struct rota_sys_ops faulty_sys_ops = {
#define FAULTY_MEMBER(NAME, member, ...) .member = faulty_##member,
	FAULTY_CALLS(FAULTY_MEMBER)
#undef FAULTY_MEMBER
};

void
faulty_sys_reset(void)
{
	faulty_sys_fail(FAULTY_ANY, 0, false, 0);
	plan.cut = 0;
	plan.percent = 0;
}

void
faulty_sys_fail(enum faulty_call call, uint64_t at, bool for_ever, int error)
{
	plan.faults[0] = (struct fault){ call, at, for_ever, error };
	plan.faults[1] = (struct fault){ .at = 0 };
	plan.failed = 0;
	for (size_t i = 0; i <= FAULTY_ANY; i++)
		plan.calls[i] = 0;
}

void
faulty_sys_fail_also(enum faulty_call call, uint64_t at, bool for_ever, int error)
{
	plan.faults[1] = (struct fault){ call, at, for_ever, error };
}

void
faulty_sys_cut(size_t bytes)
{
	plan.cut = bytes;
}

void
faulty_sys_at_random(uint64_t seed, unsigned percent)
{
	plan.random = seed;
	plan.percent = percent;
}

bool
faulty_sys_obey_environment(uint64_t *ret_seed, unsigned *ret_percent)
{
	const char *text = getenv("ROTA_FAULTS");
	unsigned long long seed;
	unsigned percent;

	if (text == NULL)
		return false;
	if (sscanf(text, "%llu:%u", &seed, &percent) != 2 || percent > 100) {
		fprintf(stderr, "ROTA_FAULTS=%s: want SEED:PERCENT\n", text);
		exit(2);
	}
	fprintf(stderr, "faults: ROTA_FAULTS=%llu:%u\n", seed, percent);
	faulty_sys_at_random(seed, percent);
	*ret_seed = seed;
	*ret_percent = percent;
	return true;
}

uint64_t
faulty_sys_calls(enum faulty_call call)
{
	return __atomic_load_n(&plan.calls[call], __ATOMIC_RELAXED);
}

uint64_t
faulty_sys_failed(void)
{
	return __atomic_load_n(&plan.failed, __ATOMIC_RELAXED);
}

const char *
faulty_sys_name(enum faulty_call call)
{
	return about[call].name;
}

const int *
faulty_sys_errors(enum faulty_call call)
{
	return about[call].errors;
}
