/* SPDX-License-Identifier: MIT */
/*
 * The tally: see scenario_tally.h. A descriptor that is used again gets a new one.
 */
#include "scenario_tally.h"

#include "faulty_sys.h"
#include "fixture.h"

#define TALLIES 2048
#define DESCRIPTORS 1024

static struct tally tallies[TALLIES];
static size_t used;
static struct tally *open_tallies[DESCRIPTORS];

void
tally_reset(void)
{
	used = 0;
	for (size_t fd = 0; fd < DESCRIPTORS; fd++)
		open_tallies[fd] = NULL;
}

struct tally *
tally_of(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? open_tallies[fd] : NULL;
}

static int
begin(int fd)
{
	if (fd < 0)
		return fd;
	assert_true(used < TALLIES && fd < DESCRIPTORS);
	tallies[used] = (struct tally){ 0 };
	open_tallies[fd] = &tallies[used++];
	return fd;
}

static int
tally_socket(int domain, int type, int protocol)
{
	return begin(faulty_sys_ops.socket(domain, type, protocol));
}

static int
tally_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return begin(faulty_sys_ops.accept4(fd, address, length, flags));
}

static ssize_t
count_sent(int fd, ssize_t n)
{
	if (n > 0 && tally_of(fd) != NULL)
		tally_of(fd)->sent += (uint64_t)n;
	return n;
}

static ssize_t
tally_send(int fd, const void *bytes, size_t size, int flags)
{
	return count_sent(fd, faulty_sys_ops.send(fd, bytes, size, flags));
}

static ssize_t
tally_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return count_sent(fd, faulty_sys_ops.sendmsg(fd, message, flags));
}

static ssize_t
tally_recv(int fd, void *bytes, size_t size, int flags)
{
	ssize_t n = faulty_sys_ops.recv(fd, bytes, size, flags);

	if (n > 0 && tally_of(fd) != NULL)
		tally_of(fd)->received += (uint64_t)n;
	if (n == 0 && size > 0 && tally_of(fd) != NULL)
		tally_of(fd)->saw_end = true;
	return n;
}

static int
tally_close(int fd)
{
	if (fd >= 0 && fd < DESCRIPTORS)
		open_tallies[fd] = NULL;
	return faulty_sys_ops.close(fd);
}

const struct rota_sys_ops *
tally_sys(void)
{
	static struct rota_sys_ops ops;

	ops = faulty_sys_ops;
	ops.socket = tally_socket;
	ops.accept4 = tally_accept4;
	ops.send = tally_send;
	ops.sendmsg = tally_sendmsg;
	ops.recv = tally_recv;
	ops.close = tally_close;
	return &ops;
}
