/* SPDX-License-Identifier: MIT */
/*
 * Handing over from inside: what the two sides say to each other, and the socket's path.
 *
 *   handover.c          the old process
 *   handover_message.c  the messages, descriptors included
 *   handover_path.c     the path of the socket at which it is done
 *   takeover.c          the new process
 *
 * They talk by packets (SOCK_SEQPACKET): the new one asks, the old one answers with its listeners,
 * the new one is ready, the old one confirms that it was taken. Only that last packet decides whose
 * the sockets are.
 */
#ifndef ROTA_PRIVATE_HANDOVER_H
#define ROTA_PRIVATE_HANDOVER_H

#include <sys/un.h>

#include <rota/handover.h>

#include "sys.h"

#define ROTA__HANDOVER_ASK "rota-takeover 1 ask"
#define ROTA__HANDOVER_READY "rota-takeover 1 ready"
#define ROTA__HANDOVER_TAKEN "rota-handover 1 taken"

/* What the new process gets of one listener. */
struct rota__handed {
	int fd;  /* -1 once it was given to somebody */
	int was; /* its number, whosever it is */
	bool owns_path;
	struct rota_address address;
};

/* 0; -EPERM for a process of another user than this one's and root; or another negative error. */
int rota__handover_check_peer(const struct rota_sys_ops *sys, int fd, pid_t *ret_pid);

/* Sends a packet of text. 0 or a negative error. */
int rota__handover_say(const struct rota_sys_ops *sys, int fd, const char *text);

/*
 * Whether the packet that has come is that text: 1; 0 when none has come; -ECONNRESET when the
 * other side has ended, -EPROTO for another packet, or another negative error.
 */
int rota__handover_hear(const struct rota_sys_ops *sys, int fd, const char *text);

/* Sends the listeners, those that are closed excepted. 0 or a negative error. */
int rota__handover_send(const struct rota_sys_ops *sys, int fd,
	struct rota_listener *const *listeners, size_t count);

/*
 * Receives what that sends; handed has room for ROTA_HANDOVER_LISTENERS. Returns how many there
 * are; -EAGAIN when nothing has come; or as rota__handover_hear, with nothing left open.
 */
int rota__handover_receive(const struct rota_sys_ops *sys, int fd, struct rota__handed *handed);

/* Paths as long as the temporary name leaves room for: it has a dot and a process's number more. */
#define ROTA__HANDOVER_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 13)

struct rota__handover_path {
	char path[ROTA__HANDOVER_PATH_MAX + 1];
	dev_t device;
	ino_t inode;
};

/* 0, -ENOENT or -ENAMETOOLONG. */
int rota__handover_address(const char *path, struct sockaddr_un *ret_address);

/* Listens there: a descriptor that does not block, or a negative error. */
int rota__handover_path_open(struct rota__handover_path *path, const struct rota_sys_ops *sys,
	const char *text, bool replace);

/* Removes it, if it is still that socket. */
void rota__handover_path_remove(const struct rota__handover_path *path,
	const struct rota_sys_ops *sys);

#endif
