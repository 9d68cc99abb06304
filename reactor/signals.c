/* SPDX-License-Identifier: MIT */
/*
 * Signals, and the eventfd that wakes a context for them and for posts. The process has one table
 * of signals, because it has one set of dispositions: an entry belongs to one context at a time.
 * The signal handler writes to the owner's eventfd and touches nothing else that is not atomic.
 */
#include <rota/signals.h>

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "context.h"

#ifndef NSIG
#define NSIG 65
#endif

static struct entry {
	/* NULL: free. Claimed by compare-and-exchange, as contexts of other threads may want it. */
	struct rota_context *owner;
	struct rota_signal *signal;
	struct sigaction before;
	int wake_fd; /* read by the signal handler */
	int came;
} table[NSIG];

static void
on_signal(int number)
{
	struct entry *entry = &table[number];
	const uint64_t one = 1;
	int saved = errno;
	int fd = __atomic_load_n(&entry->wake_fd, __ATOMIC_ACQUIRE);

	__atomic_store_n(&entry->came, 1, __ATOMIC_RELEASE);
	if (fd >= 0 && write(fd, &one, sizeof one) < 0) {
		/* The counter is full: the context has been woken often enough. */
	}
	errno = saved;
}

static bool
is_allowed(int number)
{
	return number > 0 && number < NSIG && number != SIGPIPE && number != SIGCHLD;
}

static bool
is_in_table(const struct rota_context *ctx, const struct rota_signal *signal)
{
	for (int number = 1; number < NSIG; number++) {
		if (rota__signal_is_started(ctx, signal, number))
			return true;
	}
	return false;
}

int
rota_signal_start(struct rota_context *ctx, struct rota_signal *signal, int number,
	rota_signal_fn *handler, void *userdata)
{
	struct rota_context *nobody = NULL;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct entry *entry;

	if (!is_allowed(number) || handler == NULL)
		return -EINVAL;
	if (is_in_table(ctx, signal))
		return -EALREADY;
	entry = &table[number];
	if (!__atomic_compare_exchange_n(&entry->owner, &nobody, ctx, false, __ATOMIC_ACQ_REL,
		    __ATOMIC_RELAXED))
		return -EBUSY;
	__atomic_store_n(&entry->came, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&entry->wake_fd, ctx->wake.fd, __ATOMIC_RELEASE);
	sigemptyset(&action.sa_mask);
	if (sigaction(number, &action, &entry->before) < 0) {
		int error = errno;

		__atomic_store_n(&entry->owner, NULL, __ATOMIC_RELEASE);
		return -error;
	}
	entry->signal = signal;
	*signal = (struct rota_signal){ number, handler, userdata };
	return 0;
}

void
rota_signal_stop(struct rota_context *ctx, struct rota_signal *signal)
{
	int number = signal->number;
	struct entry *entry = &table[number];

	if (number == 0 || !rota__signal_is_started(ctx, signal, number))
		return;
	sigaction(number, &entry->before, NULL);
	__atomic_store_n(&entry->wake_fd, -1, __ATOMIC_RELEASE);
	signal->number = 0;
	entry->signal = NULL;
	__atomic_store_n(&entry->owner, NULL, __ATOMIC_RELEASE);
}

bool
rota__signal_is_started(const struct rota_context *ctx, const struct rota_signal *signal,
	int number)
{
	return __atomic_load_n(&table[number].owner, __ATOMIC_ACQUIRE) == ctx &&
		table[number].signal == signal;
}

struct rota_signal *
rota__signals_take(struct rota_context *ctx, int *number)
{
	while (++*number < NSIG) {
		struct entry *entry = &table[*number];

		if (__atomic_load_n(&entry->owner, __ATOMIC_ACQUIRE) != ctx)
			continue;
		if (__atomic_exchange_n(&entry->came, 0, __ATOMIC_ACQ_REL) != 0)
			return entry->signal;
	}
	return NULL;
}

void
rota__signals_forget(void)
{
	for (int number = 1; number < NSIG; number++)
		__atomic_store_n(&table[number].came, 0, __ATOMIC_RELAXED);
}

void
rota__signals_stop_all(struct rota_context *ctx)
{
	for (int number = 1; number < NSIG; number++) {
		if (__atomic_load_n(&table[number].owner, __ATOMIC_ACQUIRE) == ctx)
			rota_signal_stop(ctx, table[number].signal);
	}
}

/* Without a handler: the dispatch knows this target, and calls rota__wake_drain instead. */
static const struct rota_target_ops wake_ops = { .name = "wake" };

int
rota__wake_open(struct rota_context *ctx)
{
	int fd = ctx->sys->eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	rota_target_init(&ctx->wake, &wake_ops, fd);
	r = rota__target_start_socket(ctx, &ctx->wake, ROTA_READABLE);
	if (r < 0) {
		ctx->sys->close(fd);
		ctx->wake.fd = -1;
		return r;
	}
	ctx->wake.ready |= ROTA__IS_WAKE;
	for (int number = 1; number < NSIG; number++) {
		if (__atomic_load_n(&table[number].owner, __ATOMIC_ACQUIRE) == ctx)
			__atomic_store_n(&table[number].wake_fd, fd, __ATOMIC_RELEASE);
	}
	return 0;
}

void
rota__wake_close(struct rota_context *ctx)
{
	if (ctx->wake.fd < 0)
		return;
	rota_target_stop(ctx, &ctx->wake);
	ctx->sys->close(ctx->wake.fd);
	ctx->wake.fd = -1;
}

void
rota__wake_up(struct rota_context *ctx)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, and then the context has been woken. */
	(void)!ctx->sys->write(ctx->wake.fd, &one, sizeof one);
}

static bool
have_come(const struct rota_context *ctx)
{
	for (int number = 1; number < NSIG; number++) {
		if (__atomic_load_n(&table[number].owner, __ATOMIC_ACQUIRE) == ctx &&
			__atomic_load_n(&table[number].came, __ATOMIC_ACQUIRE) != 0)
			return true;
	}
	return false;
}

void
rota__wake_drain(struct rota_context *ctx, unsigned events)
{
	uint64_t count;

	if ((events & ROTA_LOST) != 0) {
		rota_target_stop(ctx, &ctx->wake);
		if (rota__target_start_socket(ctx, &ctx->wake, ROTA_READABLE) < 0)
			rota__notice(ctx, LOG_CRIT,
				"the kernel no longer watches the wake descriptor: signals and posts wait");
	}
	ctx->wake.ready |= ROTA__IS_WAKE;
	(void)!ctx->sys->read(ctx->wake.fd, &count, sizeof count);
	if (have_come(ctx))
		ctx->work |= ROTA__HAS_SIGNALS;
	rota__posts_collect(ctx);
}
