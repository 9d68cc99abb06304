/* SPDX-License-Identifier: MIT */
/*
 * Events for foreign loops: a thread that polls. It waits for the channel, has a run arranged in
 * the owner's thread, and then waits until that is done; it knows the descriptor and the ticket,
 * never the receiver. The ticket is what a run is given: it outlives the receiver if a run is still
 * to come, and that frees it.
 */
#include "channel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rota/errors.h>

#include "allocator.h"

struct rota__receiver_thread {
	const struct rota_sys_ops *sys;
	struct rota_receiver *receiver; /* the owner's; NULL: gone */
	rota_call_soon_fn *call_soon;
	void *userdata;
	pthread_t thread;
	pid_t pid; /* in which the thread is */
	int fd;
	int control;     /* an eventfd: the thread is to look at what is said here */
	bool is_over;    /* said: end */
	bool is_armed;   /* said: wait for the channel */
	bool is_roused;  /* said: do not wait for it, there is something */
	bool is_to_come; /* a run is arranged */
	bool is_put_off; /* the owner's: a run came while a handler was called */
};

/* In the thread */

static bool
is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void
set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static void
arrange(struct rota__receiver_thread *thread, rota_run_fn *run)
{
	set(&thread->is_armed, false);
	set(&thread->is_roused, false);
	set(&thread->is_to_come, true);
	thread->call_soon(run, thread, thread->userdata);
}

static int run_ticket(void *ticket);

static void *
wait_for_events(void *thread_)
{
	struct rota__receiver_thread *thread = thread_;
	struct pollfd fds[2] = { { .fd = thread->control, .events = POLLIN },
		{ .fd = thread->fd, .events = POLLIN } };
	uint64_t count;

	while (!is_set(&thread->is_over)) {
		int n;

		if (is_set(&thread->is_roused) && is_set(&thread->is_armed)) {
			arrange(thread, run_ticket);
			continue;
		}
		n = thread->sys->ppoll(fds, is_set(&thread->is_armed) ? 2 : 1, NULL, NULL);
		if (n < 0)
			continue;
		if (fds[0].revents != 0)
			(void)!thread->sys->read(thread->control, &count, sizeof count);
		else if (is_set(&thread->is_armed))
			arrange(thread, run_ticket);
	}
	return NULL;
}

/* In the owner's */

static void
tell(struct rota__receiver_thread *thread, bool *flag)
{
	uint64_t one = 1;

	set(flag, true);
	(void)!thread->sys->write(thread->control, &one, sizeof one);
}

/* Handles what is queued, up to a turn's worth: the thread sees at once if there is more. */
static void
handle(struct rota_receiver *receiver)
{
	rota__receiver_enter(receiver);
	receiver->thread->is_put_off = false;
	set(&receiver->thread->is_roused, false);
	do {
		receiver->is_stopped = false;
		(void)rota__receiver_handle_some(receiver, ROTA__RECEIVER_PACKETS);
	} while (receiver->is_stopped && !receiver->is_freed);
	if (!receiver->is_freed)
		rota__packet_rest(&receiver->packets);
	if (receiver->is_ended)
		rota__receiver_tell_end(receiver);
	if (!receiver->is_freed && receiver->thread != NULL && !receiver->is_ended)
		tell(receiver->thread, &receiver->thread->is_armed);
	(void)rota__receiver_leave(receiver);
}

void
rota__receiver_rouse_thread(struct rota_receiver *receiver)
{
	struct rota__receiver_thread *thread = receiver->thread;

	if (thread == NULL || (!receiver->has_packet && !thread->is_put_off))
		return;
	set(&thread->is_roused, true);
	if (thread->is_put_off)
		set(&thread->is_armed, true);
	thread->is_put_off = false;
	tell(thread, &thread->is_roused);
}

static int
run_ticket(void *ticket)
{
	struct rota__receiver_thread *thread = ticket;

	set(&thread->is_to_come, false);
	if (thread->receiver == NULL)
		rota__free(thread);
	else if (thread->receiver->depth == 0)
		handle(thread->receiver);
	else
		/* Its handler runs the loop; when that is done, the thread is told. */
		thread->is_put_off = true;
	return 0;
}

static int
start(struct rota__receiver_thread *thread)
{
	sigset_t all;
	sigset_t before;
	int r;

	thread->control = thread->sys->eventfd(0, EFD_CLOEXEC);
	if (thread->control < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread->thread, NULL, wait_for_events, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		return 0;
	thread->sys->close(thread->control);
	return -r;
}

int
rota_receiver_handle_in_thread(struct rota_receiver *receiver, rota_call_soon_fn *call_soon,
	void *userdata)
{
	struct rota__receiver_thread *thread;
	int r;

	if (receiver->thread != NULL)
		return -EALREADY;
	if (receiver->ctx != NULL)
		return -EBUSY;
	thread = rota__malloc(sizeof *thread);
	if (thread == NULL)
		return -ENOMEM;
	*thread = (struct rota__receiver_thread){
		.sys = receiver->sys,
		.receiver = receiver,
		.call_soon = call_soon,
		.userdata = userdata,
		.pid = getpid(),
		.fd = receiver->packets.fd,
		.is_armed = true,
		/* The rest of a packet; one that a handler took is handled behind it. */
		.is_roused = receiver->has_packet && receiver->depth == 0,
	};
	r = start(thread);
	if (r < 0) {
		rota__free(thread);
		return r;
	}
	receiver->thread = thread;
	return 0;
}

void
rota__receiver_stop_thread(struct rota_receiver *receiver)
{
	struct rota__receiver_thread *thread = receiver->thread;

	if (thread == NULL)
		return;
	receiver->thread = NULL;
	thread->receiver = NULL;
	/* A forked child has no threads but the one that forked. */
	if (thread->pid == getpid()) {
		tell(thread, &thread->is_over);
		pthread_join(thread->thread, NULL);
	}
	thread->sys->close(thread->control);
	if (!thread->is_to_come)
		rota__free(thread);
}
