/* SPDX-License-Identifier: MIT */
/*
 * The system itself behind the sys table. The wrappers are there because glibc declares some of
 * these with transparent unions or as variadic, whose addresses do not fit the table.
 */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int
sys_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return bind(fd, address, length);
}

static int
sys_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return accept4(fd, address, length, flags);
}

static int
sys_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	return connect(fd, address, length);
}

static int
sys_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	return getsockname(fd, address, length);
}

static int
sys_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
	return getpeername(fd, address, length);
}

static int
sys_fcntl(int fd, int command, long argument)
{
	return fcntl(fd, command, argument);
}

static int
sys_ioctl(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument);
}

static int
sys_create(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

static int
sys_open(const char *path, int flags)
{
	return open(path, flags);
}

static int
sys_getrlimit(int resource, struct rlimit *limit)
{
	return getrlimit(resource, limit);
}

static ssize_t
sys_splice(int from, int to, size_t size, unsigned flags)
{
	return splice(from, NULL, to, NULL, size, flags);
}

/* By number: glibc has it from 2.36 on. */
static int
sys_pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

/* By number: glibc has it from 2.34 on, musl not yet. */
static int
sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

static void *
sys_mmap(size_t size, int protection, int flags)
{
	void *memory = mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void *
sys_mmap_file(size_t size, int fd)
{
	void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int
sys_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	return ppoll(fds, count, timeout, mask);
}

static int
sys_prctl(int option, unsigned long argument)
{
	return prctl(option, argument, 0, 0, 0);
}

static bool
sys_can_be_polled(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bool is_refused;

	if (epoll_fd < 0)
		return true;
	is_refused = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM;
	close(epoll_fd);
	return !is_refused;
}

const struct rota_sys_ops rota__sys = {
	.socket = socket,
	.socketpair = socketpair,
	.bind = sys_bind,
	.listen = listen,
	.accept4 = sys_accept4,
	.connect = sys_connect,
	.recv = recv,
	.send = send,
	.sendmsg = sendmsg,
	.recvmsg = recvmsg,
	.shutdown = shutdown,
	.close = close,
	.close_range = sys_close_range,
	.getsockopt = getsockopt,
	.setsockopt = setsockopt,
	.getsockname = sys_getsockname,
	.getpeername = sys_getpeername,
	.fcntl = sys_fcntl,
	.ioctl = sys_ioctl,
	.open = sys_open,
	.create = sys_create,
	.fstat = fstat,
	.fchmod = fchmod,
	.chmod = chmod,
	.stat = stat,
	.unlink = unlink,
	.rename = rename,
	.getrlimit = sys_getrlimit,
	.mmap = sys_mmap,
	.mmap_file = sys_mmap_file,
	.madvise = madvise,
	.munmap = munmap,
	.memfd_create = memfd_create,
	.eventfd = eventfd,
	.read = read,
	.pread = pread,
	.write = write,
	.fsync = fsync,
	.pipe2 = pipe2,
	.splice = sys_splice,
	.ppoll = sys_ppoll,
	.sigaction = sigaction,
	.sigprocmask = sigprocmask,
	.pidfd_open = sys_pidfd_open,
	.can_be_polled = sys_can_be_polled,
	.fork = fork,
	.execvp = execvp,
	.dup3 = dup3,
	.setpgid = setpgid,
	.prctl = sys_prctl,
	.kill = kill,
	.wait4 = wait4,
	.waitid = waitid,
};

const struct rota_sys_ops *rota__sys_for_tests;

const struct rota_sys_ops *
rota__default_sys(void)
{
	return rota__sys_for_tests != NULL ? rota__sys_for_tests : &rota__sys;
}
