/* SPDX-License-Identifier: MIT */
/*
 * Rota: what systemd and its services say to each other: the listening sockets that it passes
 * (systemd.socket(5), sd_listen_fds(3)), and the lines about a service's state that it is sent
 * (sd_notify(3)). Nothing of systemd is linked; where it is not there, nothing happens.
 *
 * All calls are for the context's own thread.
 */
#ifndef ROTA_SYSTEMD_H
#define ROTA_SYSTEMD_H

#include <sys/types.h>

#include <rota/api.h>

ROTA_BEGIN_DECLS

struct rota_context;

/* As many as are passed at most. */
#define ROTA_SYSTEMD_LISTENERS 256

struct rota_systemd_listener {
	int fd;
	char text[16];  /* fd:N, for rota_listen */
	char name[256]; /* FileDescriptorName= of the unit, "" if there is none */
};

/*
 * The descriptors that were passed to this process by LISTEN_PID and LISTEN_FDS, with their names
 * from LISTEN_FDNAMES: at most room of them are written, in their order. They are the caller's, and
 * close-on-exec from now on; all three variables are removed from the environment, so a second call
 * finds none, and children do not take theirs for their own. What a descriptor is is looked at by
 * rota_listen.
 *
 * Returns how many there are; 0 without the variables, or when they are another process's (then
 * they stay); -EINVAL for values that make no sense; -E2BIG for more than room, or than
 * ROTA_SYSTEMD_LISTENERS; or the errno of fcntl, -EBADF for a descriptor that is not open. After an
 * error nothing has changed but that some may be close-on-exec.
 */
ROTA_API int rota_systemd_listeners(struct rota_context *ctx,
	struct rota_systemd_listener *listeners, size_t room);

/*
 * Sends lines about this process's state, "READY=1\nSTATUS=serving", to the socket in
 * NOTIFY_SOCKET, a path or @name; text is at most 4,096 bytes. Does not wait.
 *
 * Returns 1 when it was sent; 0 without that variable; -EINVAL for a value that is neither, or an
 * empty text; -EMSGSIZE for a longer one; -EAGAIN when systemd has not read what was sent before:
 * try again later; or the errno of socket or sendmsg.
 */
ROTA_API int rota_systemd_notify(struct rota_context *ctx, const char *text);

/*
 * The same with those lines that are needed: READY=1 and STATUS= of status (NULL: no such line),
 * which has no newline in it; STOPPING=1; RELOADING=1 with MONOTONIC_USEC= of now, which is to be
 * followed by READY=1; MAINPID= of the process that has taken over.
 */
ROTA_API int rota_systemd_ready(struct rota_context *ctx, const char *status);
ROTA_API int rota_systemd_stopping(struct rota_context *ctx);
ROTA_API int rota_systemd_reloading(struct rota_context *ctx);
ROTA_API int rota_systemd_main_pid(struct rota_context *ctx, pid_t pid);

ROTA_END_DECLS

#endif
