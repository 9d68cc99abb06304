/* SPDX-License-Identifier: MIT */
/*
 * The operating system as the library sees it: one table, one member a call, each returning as
 * libc's function of that name does (-1 and errno). A context has one; tests give it another, to
 * fail any call with any errno.
 */
#ifndef ROTA_PRIVATE_SYS_H
#define ROTA_PRIVATE_SYS_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>

#include "shared.h"

struct rota_context;

struct rota_sys_ops {
	int (*socket)(int domain, int type, int protocol);
	int (*socketpair)(int domain, int type, int protocol, int fds[2]);
	int (*bind)(int fd, const struct sockaddr *address, socklen_t length);
	int (*listen)(int fd, int backlog);
	int (*accept4)(int fd, struct sockaddr *address, socklen_t *length, int flags);
	int (*connect)(int fd, const struct sockaddr *address, socklen_t length);
	ssize_t (*recv)(int fd, void *bytes, size_t size, int flags);
	ssize_t (*send)(int fd, const void *bytes, size_t size, int flags);
	ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
	int (*shutdown)(int fd, int how);
	int (*close)(int fd);
	int (*close_range)(unsigned first, unsigned last, unsigned flags);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *length);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t length);
	int (*getsockname)(int fd, struct sockaddr *address, socklen_t *length);
	int (*getpeername)(int fd, struct sockaddr *address, socklen_t *length);
	int (*fcntl)(int fd, int command, long argument);
	int (*ioctl)(int fd, unsigned long request, void *argument);
	int (*open)(const char *path, int flags);
	/* open of a file that may have to be made */
	int (*create)(const char *path, int flags, mode_t mode);
	int (*fstat)(int fd, struct stat *status);
	int (*fchmod)(int fd, mode_t mode);
	int (*chmod)(const char *path, mode_t mode);
	int (*stat)(const char *path, struct stat *status);
	int (*unlink)(const char *path);
	int (*rename)(const char *from, const char *to);
	int (*getrlimit)(int resource, struct rlimit *limit);
	/* NULL, and not MAP_FAILED, when there is none: memory of no file */
	void *(*mmap)(size_t size, int protection, int flags);
	/* a file's bytes, to be read only; NULL as above */
	void *(*mmap_file)(size_t size, int fd);
	int (*madvise)(void *memory, size_t size, int advice);
	int (*munmap)(void *memory, size_t size);
	int (*memfd_create)(const char *name, unsigned flags);
	int (*eventfd)(unsigned initial, int flags);
	ssize_t (*read)(int fd, void *bytes, size_t size);
	ssize_t (*pread)(int fd, void *bytes, size_t size, off_t offset);
	ssize_t (*write)(int fd, const void *bytes, size_t size);
	int (*fsync)(int fd);
	int (*pipe2)(int fds[2], int flags);
	/* libc's without the offsets, which neither pipes nor sockets have */
	ssize_t (*splice)(int from, int to, size_t size, unsigned flags);
	int (*ppoll)(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		const sigset_t *mask);
	int (*sigaction)(int number, const struct sigaction *action, struct sigaction *before);
	int (*sigprocmask)(int how, const sigset_t *set, sigset_t *before);
	int (*pidfd_open)(pid_t pid, unsigned flags);
	/* not libc's: whether epoll takes the device, which nothing else tells */
	bool (*can_be_polled)(int fd);
	pid_t (*fork)(void);
	int (*execvp)(const char *file, char *const arguments[]);
	int (*dup3)(int from, int to, int flags);
	int (*setpgid)(pid_t pid, pid_t group);
	/* those of prctl(2) that take one number */
	int (*prctl)(int option, unsigned long argument);
	int (*kill)(pid_t pid, int number);
	pid_t (*wait4)(pid_t pid, int *status, int options, struct rusage *usage);
	int (*waitid)(idtype_t type, id_t id, siginfo_t *info, int options);
};

/* The system itself. */
extern const struct rota_sys_ops rota__sys;

/* What tests put in its place; NULL: nothing. */
extern const struct rota_sys_ops *rota__sys_for_tests;

/* For what has no context, and for contexts: the system itself, also to Rota's other libraries. */
ROTA_SHARED const struct rota_sys_ops *rota__default_sys(void);

/* A context's. */
ROTA_SHARED const struct rota_sys_ops *rota__context_sys(const struct rota_context *ctx);

#endif
