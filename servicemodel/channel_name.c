/* SPDX-License-Identifier: MIT */
/*
 * Ends that are handed out at a path. Whoever connects, and may, gets one packet with both ends and
 * what the channel is, keeps what it wants, and the connection is over: nothing is read from it, so
 * nobody can keep the process that serves it waiting.
 *
 *   rota-channel 1 SEVERAL EVENT_MAX
 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/timer.h>

#include "allocator.h"
#include "handover.h"

#define ANSWER "rota-channel 1 %d %zu"
#define ANSWER_MAX 64
/* How many are answered in a turn. */
#define MOST_ANSWERS 16
/* Before the next try, when the backlog was full. */
#define PAUSE (10 * ROTA_MILLISECOND)
/* In which nobody is accepted, for want of descriptors or memory. */
#define SHORTAGE_PAUSE (100 * ROTA_MILLISECOND)

#define BIND_FLAGS ROTA_CHANNEL_ANY_USER
#define ENDS (ROTA_CHANNEL_SENDER | ROTA_CHANNEL_RECEIVER)

struct rota_channel_binding {
	struct rota_context *ctx; /* NULL: it has ended */
	const struct rota_sys_ops *sys;
	struct rota_target target;
	/* Always running, so that it cannot fail to start: until a pause is over. */
	struct rota_timer timer;
	struct rota__follower follower;
	struct rota__handover_path path;
	pid_t pid; /* whose path it is */
	int ends[2];
	bool several_receivers;
	size_t event_max;
	unsigned flags;
};

/* Room for both ends, aligned. */
union control {
	char bytes[CMSG_SPACE(2 * sizeof(int))];
	struct cmsghdr header;
};

/* The path of "unix:/PATH"; NULL for another address. */
static const char *
path_of(const char *address)
{
	if (strncmp(address, "unix:", 5) != 0 || address[5] == '@')
		return NULL;
	return address + 5;
}

static bool
may_talk(const struct rota_sys_ops *sys, int fd, unsigned flags)
{
	pid_t pid;

	return (flags & ROTA_CHANNEL_ANY_USER) != 0 ||
		rota__handover_check_peer(sys, fd, &pid) == 0;
}

/* Handing out */

/* Whoever does not get it has ended already. */
static void
answer(struct rota_channel_binding *binding, int fd)
{
	char text[ANSWER_MAX];
	struct iovec part = { .iov_base = text };
	union control control = { .bytes = "" };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};

	part.iov_len = (size_t)snprintf(text, sizeof text, ANSWER, binding->several_receivers,
		binding->event_max);
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof binding->ends);
	memcpy(CMSG_DATA(&control.header), binding->ends, sizeof binding->ends);
	(void)binding->sys->sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The timer is periodic, so that it runs in its own handler, too. */
static void
set_timer(struct rota_channel_binding *binding, rota_time delay)
{
	(void)rota_timer_start_fixed_delay(binding->ctx, &binding->timer, delay, ROTA_NEVER);
}

/* Whoever connects waits. What is not watched any more is watched again behind the pause. */
static void
pause_accepting(struct rota_channel_binding *binding)
{
	if (rota_target_is_started(&binding->target))
		(void)rota_target_set_interest(binding->ctx, &binding->target, 0);
	set_timer(binding, SHORTAGE_PAUSE);
}

static int
on_time(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_channel_binding *binding =
		rota_container_of(timer, struct rota_channel_binding, timer);
	int r;

	if (rota_target_is_started(&binding->target))
		r = rota_target_set_interest(ctx, &binding->target, ROTA_READABLE);
	else
		r = rota_target_start(ctx, &binding->target, ROTA_READABLE);
	set_timer(binding, r < 0 ? SHORTAGE_PAUSE : ROTA_NEVER);
	return 0;
}

static bool
is_nothing(int error)
{
	return error == EAGAIN || error == EINTR || error == ECONNABORTED;
}

static int
on_ready(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_channel_binding *binding =
		rota_container_of(target, struct rota_channel_binding, target);

	(void)ctx;
	if ((events & ROTA_LOST) != 0) {
		pause_accepting(binding);
		return 0;
	}
	for (int i = 0; i < MOST_ANSWERS; i++) {
		int fd = binding->sys->accept4(target->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && !is_nothing(errno))
			pause_accepting(binding);
		if (fd < 0)
			break;
		if (may_talk(binding->sys, fd, binding->flags))
			answer(binding, fd);
		binding->sys->close(fd);
	}
	return 0;
}

static const struct rota_target_ops target_ops = { .name = "channel binding",
	.on_ready = on_ready };

/* Ends it, but for the memory. In a child the path is the parent's. */
static void
end(struct rota_channel_binding *binding)
{
	if (binding->ctx == NULL)
		return;
	rota_target_stop(binding->ctx, &binding->target);
	rota_timer_stop(binding->ctx, &binding->timer);
	rota__unfollow(&binding->follower);
	binding->ctx = NULL;
	if (binding->pid == getpid())
		rota__handover_path_remove(&binding->path, binding->sys);
	binding->sys->close(binding->target.fd);
	binding->sys->close(binding->ends[0]);
	binding->sys->close(binding->ends[1]);
}

static void
on_forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_channel_binding *binding =
		rota_container_of(follower, struct rota_channel_binding, follower);

	/* As a listener. */
	if ((flags & ROTA_FORK_KEEP_LISTENERS) != 0)
		return;
	rota_target_stop(binding->ctx, &binding->target);
	set_timer(binding, ROTA_NEVER);
}

static void
on_end(struct rota__follower *follower)
{
	struct rota_channel_binding *binding =
		rota_container_of(follower, struct rota_channel_binding, follower);

	end(binding);
	rota__free(binding);
}

static const struct rota__follower_ops follower_ops = { .forked = on_forked, .end = on_end };

static int
copy_ends(struct rota_channel_binding *binding, const struct rota_channel *channel)
{
	const struct rota_sys_ops *sys = binding->sys;

	binding->ends[0] = sys->fcntl(channel->from, F_DUPFD_CLOEXEC, 0);
	if (binding->ends[0] < 0)
		return -errno;
	binding->ends[1] = sys->fcntl(channel->to, F_DUPFD_CLOEXEC, 0);
	if (binding->ends[1] >= 0)
		return 0;
	sys->close(binding->ends[0]);
	return -EMFILE;
}

/* Listens at the path. 0 or a negative error. */
static int
listen_at(struct rota_channel_binding *binding, const char *path)
{
	const struct rota_sys_ops *sys = binding->sys;
	int fd = rota__handover_path_open(&binding->path, sys, path, false);
	int r = 0;

	if (fd < 0)
		return fd;
	rota_target_init(&binding->target, &target_ops, fd);
	binding->target.shared = true;
	if ((binding->flags & ROTA_CHANNEL_ANY_USER) != 0 && sys->chmod(path, 0666) < 0)
		r = -errno;
	if (r >= 0)
		r = rota_target_start(binding->ctx, &binding->target, ROTA_READABLE);
	if (r >= 0)
		return 0;
	rota__handover_path_remove(&binding->path, sys);
	sys->close(fd);
	return r;
}

static int
bind_to(struct rota_channel_binding *binding, const struct rota_channel *channel, const char *path)
{
	int r = copy_ends(binding, channel);

	if (r < 0)
		return r;
	rota_timer_init(&binding->timer, on_time);
	r = rota_timer_start_fixed_delay(binding->ctx, &binding->timer, ROTA_NEVER, ROTA_NEVER);
	if (r >= 0)
		r = listen_at(binding, path);
	if (r >= 0) {
		rota__follow(binding->ctx, &binding->follower, &follower_ops);
		return 0;
	}
	rota_timer_stop(binding->ctx, &binding->timer);
	binding->sys->close(binding->ends[0]);
	binding->sys->close(binding->ends[1]);
	return r;
}

int
rota_channel_bind(struct rota_channel *channel, struct rota_context *ctx, const char *address,
	unsigned flags, struct rota_channel_binding **ret_binding)
{
	const char *path = path_of(address);
	struct rota_channel_binding *binding;
	int r;

	if (path == NULL)
		return -ROTA_EADDRESS;
	if ((flags & ~BIND_FLAGS) != 0)
		return -EINVAL;
	if (channel->from < 0 || channel->to < 0)
		return -ENOENT;
	binding = rota__malloc(sizeof *binding);
	if (binding == NULL)
		return -ENOMEM;
	*binding = (struct rota_channel_binding){
		.ctx = ctx,
		.sys = rota__context_sys(ctx),
		.pid = getpid(),
		.several_receivers = channel->several_receivers,
		.event_max = channel->event_max,
		.flags = flags,
	};
	r = bind_to(binding, channel, path);
	if (r < 0)
		rota__free(binding);
	else
		*ret_binding = binding;
	return r;
}

void
rota_channel_unbind(struct rota_channel_binding *binding)
{
	if (binding == NULL)
		return;
	end(binding);
	rota__free(binding);
}

/* Getting ends */

struct wanted {
	const struct rota_sys_ops *sys;
	unsigned flags;
	rota_time deadline;
	int ends[2];
};

/* Connects. A full backlog is tried again. 0 or a negative error. */
static int
connect_to(struct wanted *wanted, int fd, const struct sockaddr_un *address)
{
	while (wanted->sys->connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
		rota_time left = rota__channel_left(wanted->deadline);

		if (errno != EAGAIN)
			return -errno;
		if (left == 0)
			return -ETIMEDOUT;
		/* Nothing is polled that could become ready: it is a pause. */
		(void)rota__packet_wait(wanted->sys, -1, 0, left < PAUSE ? left : PAUSE);
	}
	return may_talk(wanted->sys, fd, wanted->flags) ? 0 : -EPERM;
}

static bool
is_end(const struct rota_sys_ops *sys, int fd)
{
	int type = 0;
	int domain = 0;
	socklen_t length = sizeof type;

	if (sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
		sys->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
		return false;
	return type == SOCK_SEQPACKET && domain == AF_UNIX;
}

static void
close_ends(struct wanted *wanted, unsigned ends)
{
	static const unsigned which[2] = { ROTA_CHANNEL_SENDER, ROTA_CHANNEL_RECEIVER };

	for (int i = 0; i < 2; i++) {
		if ((ends & which[i]) == 0 || wanted->ends[i] < 0)
			continue;
		wanted->sys->close(wanted->ends[i]);
		wanted->ends[i] = -1;
	}
}

/* The ends that came with the answer; what the kernel had no numbers for did not. */
static int
collect(struct wanted *wanted, struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);
	size_t len = 0;

	wanted->ends[0] = wanted->ends[1] = -1;
	if (part != NULL && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
		len = part->cmsg_len - CMSG_LEN(0);
		memcpy(wanted->ends, CMSG_DATA(part), len);
	}
	if (len < sizeof wanted->ends)
		return (message->msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EPROTO;
	return is_end(wanted->sys, wanted->ends[0]) && is_end(wanted->sys, wanted->ends[1])
		? 0
		: -EPROTO;
}

/* What the channel is, from the answer's text. */
static int
read_answer(const char *text, bool *ret_several, size_t *ret_event_max)
{
	char again[ANSWER_MAX];
	int several;
	size_t event_max;

	if (sscanf(text, ANSWER, &several, &event_max) != 2) /* NOLINT: compared with text below */
		return -EPROTO;
	snprintf(again, sizeof again, ANSWER, several, event_max);
	if (strcmp(again, text) != 0 || event_max == 0 || event_max > ROTA__EVENT_MOST ||
		(several != 0 && several != 1))
		return -EPROTO;
	*ret_several = several == 1;
	*ret_event_max = event_max;
	return 0;
}

/* The answer, as a channel with the ends that are wanted. 0 or a negative error. */
static int
make_of(struct wanted *wanted, struct msghdr *message, const char *text,
	struct rota_channel **ret_channel)
{
	bool several = false;
	size_t event_max = 0;
	int r = collect(wanted, message);

	if (r >= 0)
		r = read_answer(text, &several, &event_max);
	close_ends(wanted, r < 0 ? ENDS : ENDS & ~wanted->flags);
	if (r < 0)
		return r;
	*ret_channel = rota__channel_make(wanted->sys, wanted->ends[0], wanted->ends[1], several,
		event_max);
	if (*ret_channel != NULL)
		return 0;
	close_ends(wanted, ENDS);
	return -ENOMEM;
}

static int
receive_answer(struct wanted *wanted, int fd, struct rota_channel **ret_channel)
{
	char text[ANSWER_MAX] = "";
	struct iovec part = { .iov_base = text, .iov_len = sizeof text - 1 };
	union control control;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(2 * sizeof(int)),
	};
	struct rota_channel *channel = NULL;
	ssize_t n = wanted->sys->recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int r;

	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPERM;
	text[n] = '\0';
	r = make_of(wanted, &message, text, &channel);
	if (r >= 0)
		*ret_channel = channel;
	return r;
}

int
rota_channel_connect(const char *address, unsigned flags, rota_time timeout,
	struct rota_channel **ret_channel)
{
	struct wanted wanted = { .sys = rota__default_sys(), .flags = flags };
	const char *path = path_of(address);
	struct sockaddr_un at;
	int fd;
	int r;

	if (path == NULL)
		return -ROTA_EADDRESS;
	if ((flags & ~(BIND_FLAGS | ENDS)) != 0 || (flags & ENDS) == 0)
		return -EINVAL;
	r = rota__handover_address(path, &at);
	if (r < 0)
		return r;
	fd = wanted.sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	wanted.deadline = rota__channel_deadline(timeout);
	r = connect_to(&wanted, fd, &at);
	if (r >= 0) {
		do
			r = rota__packet_wait(wanted.sys, fd, POLLIN,
				rota__channel_left(wanted.deadline));
		while (r == -EINTR);
	}
	if (r >= 0)
		r = receive_answer(&wanted, fd, ret_channel);
	wanted.sys->close(fd);
	return r;
}
