/* SPDX-License-Identifier: MIT */
/*
 * The operating system with faults, for tests: a struct rota_sys_ops that is the real one, except
 * where it has been told to fail a call or to cut it short. It counts calls. There is one for the
 * process; a plan is made before, not while, other threads make calls.
 *
 * A failed call did nothing, with two exceptions that the kernel makes too: a close that fails has
 * closed, and a connect that was interrupted goes on.
 */
#ifndef ROTA_TESTS_FAULTY_SYS_H
#define ROTA_TESTS_FAULTY_SYS_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "sys.h"

/* X(NAME, member, the errnos that it can give …) */
#define FAULTY_CALLS(X) \
	X(SOCKET, socket, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES) \
	X(SOCKETPAIR, socketpair, EMFILE, ENFILE, ENOBUFS, ENOMEM) \
	X(BIND, bind, EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM) \
	X(LISTEN, listen, EADDRINUSE) \
	X(ACCEPT4, accept4, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO, EINTR, EPERM, \
		ENETDOWN, EHOSTUNREACH, EAGAIN, EBADF, EINVAL, ENOTSOCK) \
	X(CONNECT, connect, ECONNREFUSED, EINTR, EAGAIN, EADDRNOTAVAIL, ENETUNREACH, ETIMEDOUT, \
		EACCES, ENOENT) \
	X(RECV, recv, ECONNRESET, EINTR, EAGAIN, ENOMEM, ETIMEDOUT) \
	X(SEND, send, EPIPE, ECONNRESET, EINTR, EAGAIN, ENOBUFS, ENOMEM) \
	X(SENDMSG, sendmsg, EPIPE, ECONNRESET, EINTR, EAGAIN, ENOBUFS, ENOMEM) \
	X(RECVMSG, recvmsg, ECONNRESET, EINTR, EAGAIN, ENOMEM) \
	X(SHUTDOWN, shutdown, ENOTCONN) \
	X(CLOSE, close, EINTR, EIO) \
	X(CLOSE_RANGE, close_range, ENOSYS, EPERM) \
	X(GETSOCKOPT, getsockopt, ENOBUFS) \
	X(SETSOCKOPT, setsockopt, ENOMEM, ENOPROTOOPT, EINVAL) \
	X(GETSOCKNAME, getsockname, ENOBUFS) \
	X(GETPEERNAME, getpeername, ENOTCONN, ENOBUFS) \
	X(FCNTL, fcntl, EMFILE, EBADF) \
	X(IOCTL, ioctl, ENOTTY) \
	X(OPEN, open, EMFILE, ENFILE, ENOENT, ENOMEM, EACCES, ENXIO) \
	X(CREATE, create, EMFILE, ENOENT, EACCES, ENOSPC, EROFS) \
	X(FSTAT, fstat, ENOMEM, EBADF) \
	X(FCHMOD, fchmod, EPERM, EIO) \
	X(CHMOD, chmod, EPERM, EIO) \
	X(STAT, stat, ENOENT, EACCES, ENOMEM) \
	X(UNLINK, unlink, ENOENT, EACCES, EROFS) \
	X(RENAME, rename, EACCES, ENOENT, EROFS) \
	X(GETRLIMIT, getrlimit, EPERM) \
	X(MMAP, mmap, ENOMEM) \
	X(MMAP_FILE, mmap_file, ENOMEM) \
	X(MADVISE, madvise, EINVAL) \
	X(MUNMAP, munmap, ENOMEM) \
	X(MEMFD_CREATE, memfd_create, EMFILE, ENFILE, ENOMEM) \
	X(EVENTFD, eventfd, EMFILE, ENFILE, ENOMEM, ENODEV) \
	X(READ, read, EINTR, EAGAIN, EIO) \
	X(PREAD, pread, EINTR, EIO) \
	X(WRITE, write, EINTR, EAGAIN, EIO) \
	X(FSYNC, fsync, EIO, ENOSPC) \
	X(PIPE2, pipe2, EMFILE, ENFILE, ENOMEM) \
	X(SPLICE, splice, EPIPE, ECONNRESET, EINTR, EAGAIN, EINVAL, ENOMEM) \
	X(PPOLL, ppoll, EINTR, ENOMEM) \
	X(SIGACTION, sigaction, EINVAL) \
	X(SIGPROCMASK, sigprocmask, EINVAL) \
	X(PIDFD_OPEN, pidfd_open, EMFILE, ENFILE, ENOMEM, ESRCH) \
	X(FORK, fork, EAGAIN, ENOMEM) \
	X(EXECVP, execvp, ENOENT, EACCES, ENOMEM) \
	X(DUP3, dup3, EBADF, EMFILE) \
	X(SETPGID, setpgid, EACCES, ESRCH) \
	X(PRCTL, prctl, EINVAL) \
	X(KILL, kill, ESRCH, EPERM) \
	X(WAIT4, wait4, ECHILD, EINTR) \
	X(WAITID, waitid, ECHILD, EINTR)

enum faulty_call {
#define FAULTY_CALL(NAME, member, ...) FAULTY_##NAME,
	FAULTY_CALLS(FAULTY_CALL)
#undef FAULTY_CALL
	/* all of them, but for reads and writes of eventfds, which cannot fail so */
	FAULTY_ANY,
};

extern const struct rota_sys_ops faulty_sys_ops;

/* No faults from now on, and counting begins anew. */
void faulty_sys_reset(void);

/*
 * The at-th such call from now on (counted from 1) fails with this errno, and if for_ever all after
 * it. An error of 0 is one that the call can give. Replaces what was planned; counts begin anew.
 */
void faulty_sys_fail(enum faulty_call call, uint64_t at, bool for_ever, int error);

/* A second such fault beside that one. Counts go on. */
void faulty_sys_fail_also(enum faulty_call call, uint64_t at, bool for_ever, int error);

/* Reads and writes of sockets move at most so many bytes from now on; 0: as many as they like. */
void faulty_sys_cut(size_t bytes);

/* So many percent of the reads and writes of sockets are cut, so many find nothing (EAGAIN). */
void faulty_sys_at_random(uint64_t seed, unsigned percent);

/*
 * faulty_sys_at_random as the environment's ROTA_FAULTS=seed:percent says, which is printed, and
 * given to the caller. False, and nothing else, when it is not set.
 */
bool faulty_sys_obey_environment(uint64_t *ret_seed, unsigned *ret_percent);

/* Whether chance, as given to faulty_sys_at_random, strikes now. */
bool faulty_sys_strikes(void);

/* Calls that were made, FAULTY_ANY: of all members. How many were made to fail. */
uint64_t faulty_sys_calls(enum faulty_call call);
uint64_t faulty_sys_failed(void);

const char *faulty_sys_name(enum faulty_call call);

/* The errnos that a call can give, ended by 0. Not for FAULTY_ANY. */
const int *faulty_sys_errors(enum faulty_call call);

#endif
