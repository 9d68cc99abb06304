/* SPDX-License-Identifier: MIT */
/*
 * A process of a prefork as it sees itself: from the fork to its exit. It has a copy of all that
 * the master has in memory, and of that it uses the prefork's options, keys and shared memory; of
 * the master's descriptors it keeps those that it is given.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rota/drain.h>

#include "allocator.h"
#include "descriptors.h"
#include "prefork.h"

/* The control socket, the listening sockets, and those to keep. */
#define KEPT_MOST (1 + ROTA_PREFORK_ADDRESSES + ROTA__PREFORK_KEEP)
/* "fd:" and a number. */
#define LISTEN_TEXT 16
/* The master is not to be forestalled in killing what does not end. */
#define LATER ROTA_SECOND

struct shared_config {
	struct rota_link link;
	struct rota_tls_config *config;
};

struct rota_process {
	struct rota_prefork *prefork;
	struct rota__prefork_process *own;
	const struct rota_sys_ops *sys;
	struct rota_context *ctx;
	struct rota_target control;
	struct rota_timer deadline; /* always running */
	bool is_ready;
	bool is_told; /* that it drains */
	bool is_replaced;
	rota_process_drain_fn *on_drain;
	void *userdata;
	struct rota_link configs;
	char texts[ROTA_PREFORK_ADDRESSES][LISTEN_TEXT];
	const char *listen[ROTA_PREFORK_ADDRESSES + 1];
};

/* Whatever else the master has open is not ours: peers of its connections must see them end. */
static void
close_others(const struct rota_prefork *prefork, const struct rota__prefork_slot *slot, int control)
{
	int kept[KEPT_MOST] = { control };
	size_t count = 1;

	for (size_t i = 0; i < prefork->address_count; i++)
		kept[count++] = rota__prefork_listening(prefork, slot, i);
	for (size_t i = 0; i < prefork->options.keep_count; i++)
		kept[count++] = prefork->keep[i];
	rota__close_others(prefork->sys, kept, count);
}

/* Draining */

static void
stop_loop(struct rota_context *ctx, size_t cut, void *userdata)
{
	(void)cut;
	(void)userdata;
	rota_context_stop(ctx);
}

static void
tell_drain(struct rota_process *process, rota_time timeout)
{
	rota_time grace = rota__prefork_add(process->prefork->options.kill_grace, LATER);

	if (process->is_told)
		return;
	process->is_told = true;
	(void)rota_timer_start(process->ctx, &process->deadline, rota__prefork_add(timeout, grace));
	if (process->on_drain != NULL) {
		process->on_drain(process, timeout, process->userdata);
		return;
	}
	/* Somebody may have begun to drain for a reason of the process's own. */
	if (rota_drain(process->ctx, timeout, stop_loop, NULL) == -ENOMEM)
		rota_context_stop(process->ctx);
}

/* Nobody but the process itself can end it when its master is dead. */
static int
on_deadline(struct rota_context *ctx, struct rota_timer *timer)
{
	(void)ctx;
	(void)timer;
	_exit(ROTA_PREFORK_FAILED);
}

static void
take_keys(struct rota_process *process, const unsigned char *keys)
{
	if (process->prefork->keys == NULL)
		return;
	memcpy(process->prefork->keys, keys, ROTA_TLS_TICKET_KEYS);
	for (struct rota_link *link = process->configs.next; link != &process->configs;
		link = link->next)
		(void)rota_tls_config_set_ticket_keys(rota_container_of(link, struct shared_config,
							      link)
							      ->config,
			keys);
}

static int
on_control(struct rota_context *ctx, struct rota_target *target, unsigned events)
{
	struct rota_process *process = rota_container_of(target, struct rota_process, control);
	struct rota__prefork_message message;
	ssize_t n;

	(void)events;
	n = process->sys->recv(target->fd, &message, sizeof message, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* The master has said that it is the last, or has died. */
		rota_target_stop(ctx, target);
		tell_drain(process, process->prefork->options.drain_timeout);
	} else if (n == (ssize_t)sizeof message && message.word == ROTA__PREFORK_TICKETS) {
		take_keys(process, message.keys);
	} else if (n == (ssize_t)sizeof message && message.word == ROTA__PREFORK_DRAIN) {
		process->is_replaced = message.is_replaced != 0 && !process->is_told;
		tell_drain(process, message.timeout < 0 ? 0 : message.timeout);
	}
	explicit_bzero(&message, sizeof message);
	return 0;
}

static const struct rota_target_ops control_ops = { "prefork", on_control };

/* The life of a process */

static int
set_up(struct rota_process *process, int fd)
{
	int r = rota_context_new(&process->ctx);

	if (r < 0)
		return r;
	rota__list_init(&process->configs);
	rota_timer_init(&process->deadline, on_deadline);
	r = rota_timer_start(process->ctx, &process->deadline, ROTA_NEVER);
	if (r < 0)
		return r;
	rota_target_init(&process->control, &control_ops, fd);
	return rota_target_start(process->ctx, &process->control, ROTA_READABLE);
}

static void
write_texts(struct rota_process *process)
{
	const struct rota_prefork *prefork = process->prefork;
	size_t used = 0;

	for (size_t i = 0; i < prefork->address_count; i++) {
		int fd = rota__prefork_listening(prefork, &prefork->slots[process->own->index], i);

		if (fd < 0)
			continue;
		snprintf(process->texts[used], LISTEN_TEXT, "fd:%d", fd);
		process->listen[used] = process->texts[used];
		used++;
	}
}

void
rota__prefork_live(struct rota_prefork *prefork, struct rota__prefork_process *own, int fd)
{
	struct rota_process *process = rota__calloc(sizeof *process);

	/* Without it signals and streams of the master would be ours too. It may fail half-way. */
	(void)rota_context_forked(prefork->ctx, ROTA_FORK_KEEP_LISTENERS | ROTA_FORK_STOP_SIGNALS);
	close_others(prefork, &prefork->slots[own->index], fd);
	if (process == NULL)
		_exit(ROTA_PREFORK_FAILED);
	process->prefork = prefork;
	process->own = own;
	process->sys = prefork->sys;
	write_texts(process);
	if (set_up(process, fd) < 0)
		_exit(ROTA_PREFORK_FAILED);
	/* Of the others' memory nothing is needed, nor to be written to. */
	for (struct rota_link *link = prefork->processes.next; link != &prefork->processes;
		link = link->next)
		(void)prefork->sys->munmap(rota_container_of(link, struct rota__prefork_process,
						   link)
						   ->shared,
			prefork->shared_size);
	_exit(prefork->ops->run(process, prefork->userdata));
}

unsigned
rota_process_index(const struct rota_process *process)
{
	return process->own->index;
}

unsigned
rota_process_generation(const struct rota_process *process)
{
	return process->own->generation;
}

struct rota_context *
rota_process_context(const struct rota_process *process)
{
	return process->ctx;
}

const char *const *
rota_process_listen(const struct rota_process *process)
{
	return process->listen;
}

int
rota_process_ready(struct rota_process *process)
{
	const struct rota__prefork_message message = { .word = ROTA__PREFORK_IS_READY };
	ssize_t n;

	if (process->is_ready)
		return -EALREADY;
	n = process->sys->send(process->control.fd, &message, sizeof message,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	process->is_ready = true;
	return 0;
}

void
rota_process_on_drain(struct rota_process *process, rota_process_drain_fn *on_drain, void *userdata)
{
	process->on_drain = on_drain;
	process->userdata = userdata;
}

bool
rota_process_is_replaced(const struct rota_process *process)
{
	return process->is_replaced;
}

struct rota_service_meter *
rota_process_service_meter(struct rota_process *process)
{
	return &process->own->shared->service;
}

struct rota_meter *
rota_process_loop_meter(struct rota_process *process)
{
	return &process->own->shared->loop;
}

uint64_t *
rota_process_counters(struct rota_process *process)
{
	return process->prefork->options.counters > 0 ? process->own->shared->counters : NULL;
}

static struct shared_config *
find_config(struct rota_process *process, const struct rota_tls_config *config)
{
	for (struct rota_link *link = process->configs.next; link != &process->configs;
		link = link->next) {
		struct shared_config *shared = rota_container_of(link, struct shared_config, link);

		if (shared->config == config)
			return shared;
	}
	return NULL;
}

int
rota_process_share_tickets(struct rota_process *process, struct rota_tls_config *config)
{
	struct shared_config *shared;
	int r;

	if (process->prefork->keys == NULL)
		return -ENOTSUP;
	if (find_config(process, config) != NULL)
		return -EALREADY;
	shared = rota__calloc(sizeof *shared);
	if (shared == NULL)
		return -ENOMEM;
	r = rota_tls_config_set_ticket_keys(config, process->prefork->keys);
	if (r < 0) {
		rota__free(shared);
		return r;
	}
	shared->config = rota_tls_config_ref(config);
	rota__list_append(&process->configs, &shared->link);
	return 0;
}

void
rota_process_unshare_tickets(struct rota_process *process, struct rota_tls_config *config)
{
	struct shared_config *shared = find_config(process, config);

	if (shared == NULL)
		return;
	rota__list_remove(&shared->link);
	rota_tls_config_unref(shared->config);
	rota__free(shared);
}
