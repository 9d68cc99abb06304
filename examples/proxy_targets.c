/* SPDX-License-Identifier: MIT */
/*
 * proxy_targets.c - which target a connection goes to. A target that fails is skipped for a second;
 * then one connection tries it, while the others still skip it, and each time that one fails too it
 * is skipped for twice as long, up to 30 s. Skipped targets are better than none: a connection that
 * all others have failed tries them before it gives up, and one that takes it is skipped no more.
 */
#include "proxy.h"

#include <errno.h>
#include <string.h>

#define FIRST_BACKOFF ROTA_SECOND
#define LONGEST_BACKOFF (30 * ROTA_SECOND)

void
proxy_targets_init(struct proxy_targets *targets, const struct proxy_options *options)
{
	size_t i;

	/* The one for all that were redirected, each with an address of its own. */
	targets->count = options->original ? 1 : options->target_count;
	targets->failover = options->failover;
	for (i = 0; i < options->target_count; i++) {
		targets->all[i].address = options->targets[i];
		targets->all[i].host = options->target_names[i];
		/* A name of a host is one word, and shorter than an address may be. */
		if (targets->all[i].host)
			snprintf(targets->all[i].name, sizeof(targets->all[i].name), "%s",
				targets->all[i].host);
		else
			proxy_format(&options->targets[i], targets->all[i].name);
	}
	if (options->original)
		strcpy(targets->all[0].name, "original");
}

static struct proxy_target *
target_of(struct proxy *proxy, const struct proxy_passage *passage)
{
	return &proxy->targets.all[passage->target];
}

static bool
is_up(const struct proxy_target *target)
{
	return target->backoff == 0;
}

static bool
is_available(const struct proxy_target *target, rota_time now)
{
	return is_up(target) || (now >= target->until && !target->is_tried);
}

/* The first that has not been tried, from next on; PROXY_NO_TARGET if there is none. */
static size_t
find(const struct proxy_targets *targets, uint64_t tried, bool skip, rota_time now)
{
	size_t i;

	for (i = 0; i < targets->count; i++) {
		size_t index = (targets->next + i) % targets->count;

		if ((tried >> index & 1) == 0 && (!skip || is_available(&targets->all[index], now)))
			return index;
	}
	return PROXY_NO_TARGET;
}

/* How many the passage can still hope for, the one it tries now included. */
static size_t
count_hopes(const struct proxy_targets *targets, uint64_t tried)
{
	size_t hopes = 1;
	size_t i;

	for (i = 0; i < targets->count; i++)
		hopes += (tried >> i & 1) == 0 && is_up(&targets->all[i]);
	return hopes;
}

rota_time
proxy_targets_choose(struct proxy_targets *targets, struct proxy_passage *passage, rota_time left,
	rota_time now)
{
	size_t index = find(targets, passage->tried, true, now);
	struct proxy_target *target;

	if (index == PROXY_NO_TARGET)
		index = find(targets, passage->tried, false, now);
	if (index == PROXY_NO_TARGET || left <= 0)
		return 0;
	target = &targets->all[index];
	passage->target = (uint8_t)index;
	passage->tried |= UINT64_C(1) << index;
	passage->is_trial = !is_up(target) && is_available(target, now);
	if (passage->is_trial)
		target->is_tried = true;
	target->connections++;
	if (!targets->failover)
		targets->next = (index + 1) % targets->count;
	/* One that hangs leaves the others their share of the time. */
	return left / (rota_time)count_hopes(targets, passage->tried);
}

void
proxy_target_left(struct proxy *proxy, struct proxy_passage *passage)
{
	struct proxy_target *target = target_of(proxy, passage);

	target->connections--;
	if (passage->is_trial)
		target->is_tried = passage->is_trial = false;
}

void
proxy_target_connected(struct proxy *proxy, struct proxy_passage *passage)
{
	struct proxy_target *target = target_of(proxy, passage);

	target->connected++;
	if (passage->is_trial)
		target->is_tried = passage->is_trial = false;
	if (is_up(target))
		return;
	target->backoff = 0;
	program_warn(&proxy->program, "%s takes connections again", target->name);
}

/* Of this process or system, whatever the target. */
static bool
is_shortage(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

static void
warn(struct proxy *proxy, const struct proxy_passage *passage, int error, rota_time backoff)
{
	char text[ROTA_ADDRESS_TEXT];
	char reason[256];
	char skipped[64] = "";

	if (backoff > 0 && proxy->targets.count > 1)
		snprintf(skipped, sizeof(skipped), "; it is skipped for %g s",
			(double)backoff / ROTA_SECOND);
	program_explain(error, reason, sizeof(reason));
	if (error == -ROTA_ETLS && proxy_tls_problem(passage)[0] != '\0')
		snprintf(reason, sizeof(reason), "TLS: %s", proxy_tls_problem(passage));
	program_warn(&proxy->program, "cannot connect to %s: %s%s",
		proxy_passage_target(passage, text), reason, skipped);
}

bool
proxy_target_failed(struct proxy *proxy, struct proxy_passage *passage, int error)
{
	struct proxy_target *target = target_of(proxy, passage);
	bool is_first = is_up(target) || passage->is_trial;

	target->failed++;
	proxy_target_left(proxy, passage);
	if (is_shortage(error))
		proxy_pause(proxy);
	if (is_shortage(error) || proxy->options->original) {
		warn(proxy, passage, error, 0);
		return false;
	}
	/* Of those that were on their way when it failed, only the first counts. */
	if (!is_first)
		return true;
	target->backoff = is_up(target) ? FIRST_BACKOFF : 2 * target->backoff;
	if (target->backoff > LONGEST_BACKOFF)
		target->backoff = LONGEST_BACKOFF;
	target->until = rota_context_now(proxy->program.ctx) + target->backoff;
	warn(proxy, passage, error, target->backoff);
	return true;
}
