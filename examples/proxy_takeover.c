/* SPDX-License-Identifier: MIT */
/*
 * proxy_takeover.c - where listening sockets come from, and where they go: from the process that
 * served before, at --takeover, or from systemd, or they are made; and to the process that serves
 * next. Until that one is ready this one goes on as ever; then it drains.
 */
#include "proxy.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* For the old process to answer: a living one does so at once. */
#define PATIENCE (10 * ROTA_SECOND)

/* From the process that served before */

static int
fail_takeover(struct proxy *proxy, const char *what, int error)
{
	char reason[256];

	program_fail(&proxy->program, "--takeover: %s: %s", what,
		program_explain(error, reason, sizeof(reason)));
	return PROGRAM_FAILED;
}

int
proxy_takeover_begin(struct proxy *proxy)
{
	const char *path = proxy->options->takeover;
	int r;

	if (!path)
		return 0;
	if (proxy_check_directory(&proxy->program, "--takeover", path) != 0)
		return PROGRAM_FAILED;
	r = rota_takeover(proxy->program.ctx, path, PATIENCE, &proxy->takeover);
	if (r < 0 && r != -ENOENT && r != -ECONNREFUSED)
		return fail_takeover(proxy, "cannot take over from who serves", r);
	return 0;
}

/* From systemd */

/* The address of a socket that was passed. */
static int
address_of(int fd, struct rota_address *ret_address)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	return rota_address_from_sockaddr((struct sockaddr *)&address, length, ret_address);
}

int
proxy_systemd_begin(struct proxy *proxy)
{
	char reason[256];
	int r = rota_systemd_listeners(proxy->program.ctx, proxy->passed, PROXY_LISTENERS);

	if (r < 0) {
		program_fail(&proxy->program, "cannot use the sockets that systemd passes: %s",
			program_explain(r, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	proxy->passed_count = (size_t)r;
	return 0;
}

static bool
take_passed(struct proxy *proxy, const struct rota_address *wanted,
	struct rota_address *ret_address)
{
	for (size_t i = 0; i < proxy->passed_count; i++) {
		struct rota_systemd_listener *passed = &proxy->passed[i];
		struct rota_address address;

		if (passed->fd < 0 ||
			(wanted &&
				(address_of(passed->fd, &address) < 0 ||
					!rota_address_is_equal(&address, wanted))))
			continue;
		*ret_address = (struct rota_address){ .fd = passed->fd };
		passed->fd = -1;
		return true;
	}
	return false;
}

struct rota_address
proxy_takeover_address(struct proxy *proxy, const struct rota_address *wanted)
{
	struct rota_address address;

	if (rota_takeover_take_address(proxy->takeover, wanted, &address) == 0)
		take_passed(proxy, wanted, &address);
	return address;
}

bool
proxy_systemd_next(struct proxy *proxy, struct rota_address *ret_address)
{
	return take_passed(proxy, NULL, ret_address);
}

/* To the process that serves next */

static size_t
offered_listeners(struct rota_handover *handover, struct rota_listener **listeners, size_t room,
	void *userdata)
{
	struct proxy *proxy = userdata;
	size_t count = 0;

	(void)handover;
	for (size_t i = 0; i < proxy->listener_count && count < room; i++) {
		if (proxy->listeners[i].listener)
			listeners[count++] = proxy->listeners[i].listener;
	}
	if (proxy->control && count < room)
		listeners[count++] = proxy->control;
	return count;
}

static void
on_taken(struct rota_handover *handover, pid_t pid, void *userdata)
{
	struct proxy *proxy = userdata;

	(void)handover;
	fprintf(stderr, PROXY_NAME ": process %d has taken over\n", (int)pid);
	proxy->is_taken = true;
	rota_systemd_main_pid(proxy->program.ctx, pid);
	program_drain(&proxy->program);
}

static void
on_failed(struct rota_handover *handover, pid_t pid, int error, void *userdata)
{
	struct proxy *proxy = userdata;
	char reason[256];

	(void)handover;
	program_warn(&proxy->program, "process %d has not taken over: %s", (int)pid,
		error == -EPERM ? "it is another user's"
				: rota_strerror(error, reason, sizeof(reason)));
}

static const struct rota_handover_handlers handlers = {
	.listeners = offered_listeners,
	.on_taken = on_taken,
	.on_failed = on_failed,
};

/* The old one drains from here on; unix paths are this process's to remove. */
static int
take(struct proxy *proxy)
{
	struct rota_listener *listeners[ROTA_HANDOVER_LISTENERS];
	size_t count;
	int r = rota_takeover_ready(proxy->takeover, PATIENCE);

	if (r < 0)
		return fail_takeover(proxy, "who serves goes on to, this process cannot take over",
			r);
	count = offered_listeners(NULL, listeners, ROTA_HANDOVER_LISTENERS, proxy);
	for (size_t i = 0; i < count; i++)
		rota_takeover_own_path(proxy->takeover, listeners[i]);
	return 0;
}

/* Who has taken over serves in any case: that the next one cannot is no reason to end. */
static int
offer(struct proxy *proxy)
{
	struct rota_handover_options options = ROTA_HANDOVER_OPTIONS_INIT;
	char reason[256];
	int r;

	options.replace = proxy->takeover != NULL;
	r = rota_handover_offer(proxy->program.ctx, proxy->options->takeover, &options, &handlers,
		proxy, &proxy->handover);
	if (r >= 0 || !proxy->takeover)
		return r < 0 ? fail_takeover(proxy, "cannot listen there", r) : 0;
	program_warn(&proxy->program, "--takeover: nobody can take over from this process: %s",
		program_explain(r, reason, sizeof(reason)));
	return 0;
}

int
proxy_takeover_serve(struct proxy *proxy)
{
	if (proxy->takeover) {
		/* Nobody is accepted who would be lost if it came to nothing. */
		proxy_each_listener(proxy, rota_listener_pause);
		if (take(proxy) != 0)
			return PROGRAM_FAILED;
		proxy_each_listener(proxy, rota_listener_resume);
	}
	if (proxy->options->takeover && offer(proxy) != 0)
		return PROGRAM_FAILED;
	rota_takeover_free(proxy->takeover);
	proxy->takeover = NULL;
	rota_systemd_ready(proxy->program.ctx, NULL);
	return 0;
}

void
proxy_takeover_drain(struct proxy *proxy)
{
	if (proxy->is_taken)
		return;
	/* Who comes now starts as if nobody had served. */
	rota_handover_free(proxy->handover);
	proxy->handover = NULL;
	rota_systemd_stopping(proxy->program.ctx);
}

void
proxy_takeover_close(struct proxy *proxy)
{
	rota_handover_free(proxy->handover);
	rota_takeover_free(proxy->takeover);
}
