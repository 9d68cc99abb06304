/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: opening one for an address, with all that unix paths ask for, and closing it
 * again.
 */
#ifndef ROTA_PRIVATE_LISTEN_H
#define ROTA_PRIVATE_LISTEN_H

#include <sys/stat.h>
#include <sys/un.h>

#include <rota/listener.h>

#include "sys.h"

struct rota__listening {
	bool is_inherited; /* so what it accepts has other options than ours */
	/*
	 * The unix path that was bound, removed at the end if it is still that file; "" without
	 * one.
	 */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	dev_t device;
	ino_t inode;
};

/*
 * A nonblocking descriptor that listens, or a negative error. For fd:N it is N, now nonblocking and
 * close-on-exec.
 */
int rota__listening_open(struct rota__listening *listening, const struct rota_sys_ops *sys,
	const struct rota_address *address, const struct rota_listener_options *options);

/*
 * The path of the unix socket fd is removed at the end from now on. 0, also without a path, or a
 * negative error.
 */
int rota__listening_own_path(struct rota__listening *listening, const struct rota_sys_ops *sys,
	int fd);

/* Closes it; is_copy: in a forked child, where the path is still the parent's. */
void rota__listening_close(struct rota__listening *listening, const struct rota_sys_ops *sys,
	int fd, bool is_copy);

#endif
