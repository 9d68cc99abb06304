/* SPDX-License-Identifier: MIT */
/*
 * Stream options: checked and copied once, then shared by reference and never changed.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "allocator.h"
#include "sys.h"
#include "tls.h"

static bool
are_timeouts_valid(const struct rota_stream_options *o)
{
	return o->connect_timeout > 0 && o->handshake_timeout > 0 && o->idle_timeout > 0 &&
		o->write_stall_timeout > 0 && o->half_closed_timeout > 0 && o->lifetime > 0 &&
		o->close_timeout > 0;
}

static bool
are_valid(const struct rota_stream_options *o)
{
	if (o->input_limit == 0 || o->output_high == 0 || o->output_low >= o->output_high)
		return false;
	if (o->session_size > SIZE_MAX / 2)
		return false;
	if (o->tls_name != NULL && rota__tls_check_name(o->tls_name) < 0)
		return false;
	if (o->keepalive_idle > INT_MAX || o->keepalive_interval > INT_MAX ||
		o->keepalive_count > INT_MAX)
		return false;
	return are_timeouts_valid(o);
}

static char *
copy_name(const char *name)
{
	size_t size = strlen(name) + 1;
	char *copy = rota__malloc(size);

	return copy != NULL ? memcpy(copy, name, size) : NULL;
}

int
rota__options_new(const struct rota_stream_options *values, struct rota__options **ret_options)
{
	static const struct rota_stream_options defaults = ROTA_STREAM_OPTIONS_INIT;
	struct rota__options *options;

	if (values == NULL)
		values = &defaults;
	if (values->size != sizeof *values || !are_valid(values))
		return -EINVAL;
	options = rota__malloc(sizeof *options);
	if (options == NULL)
		return -ENOMEM;
	*options = (struct rota__options){ .references = 1, .values = *values };
	options->values.tls = rota__tls_config_take(values->tls);
	if (values->tls_name != NULL) {
		options->values.tls_name = copy_name(values->tls_name);
		if (options->values.tls_name == NULL) {
			rota__options_unref(options);
			return -ENOMEM;
		}
	}
	*ret_options = options;
	return 0;
}

/* Member by member, as there are bytes between them that nobody sets. */
static bool
is_same(const struct rota_stream_options *a, const struct rota_stream_options *b)
{
	return a->handlers == b->handlers && a->session_size == b->session_size &&
		a->input_limit == b->input_limit && a->output_high == b->output_high &&
		a->output_low == b->output_low && a->connect_timeout == b->connect_timeout &&
		a->handshake_timeout == b->handshake_timeout &&
		a->idle_timeout == b->idle_timeout &&
		a->write_stall_timeout == b->write_stall_timeout &&
		a->half_closed_timeout == b->half_closed_timeout && a->lifetime == b->lifetime &&
		a->close_timeout == b->close_timeout && a->keepalive_idle == b->keepalive_idle &&
		a->keepalive_interval == b->keepalive_interval &&
		a->keepalive_count == b->keepalive_count && a->user_timeout == b->user_timeout &&
		a->nodelay == b->nodelay && a->read_when_full == b->read_when_full &&
		a->tls == b->tls && a->tls_name == NULL && b->tls_name == NULL;
}

int
rota__options_share(const struct rota_stream_options *values, struct rota__options **last,
	struct rota__options **ret_options)
{
	struct rota__options *options;
	int r;

	if (*last == NULL || values == NULL || values->size != sizeof *values ||
		!is_same(values, &(*last)->values)) {
		r = rota__options_new(values, &options);
		if (r < 0)
			return r;
		rota__options_unref(*last);
		*last = options;
	}
	*ret_options = rota__options_ref(*last);
	return 0;
}

struct rota__options *
rota__options_ref(struct rota__options *options)
{
	options->references++;
	return options;
}

void
rota__options_unref(struct rota__options *options)
{
	if (options == NULL || --options->references > 0)
		return;
	rota_tls_config_unref(options->values.tls);
	rota__free((char *)options->values.tls_name);
	rota__free(options);
}

static int
set(const struct rota_sys_ops *sys, int fd, int level, int name, unsigned value)
{
	int number = (int)value;

	return sys->setsockopt(fd, level, name, &number, sizeof number) < 0 ? -errno : 0;
}

static int
apply_keepalive(const struct rota_stream_options *o, const struct rota_sys_ops *sys, int fd)
{
	int r = set(sys, fd, SOL_SOCKET, SO_KEEPALIVE, 1);

	if (r >= 0)
		r = set(sys, fd, IPPROTO_TCP, TCP_KEEPIDLE, o->keepalive_idle);
	if (r >= 0)
		r = set(sys, fd, IPPROTO_TCP, TCP_KEEPINTVL, o->keepalive_interval);
	if (r >= 0)
		r = set(sys, fd, IPPROTO_TCP, TCP_KEEPCNT, o->keepalive_count);
	return r;
}

int
rota__options_apply(const struct rota_stream_options *o, const struct rota_sys_ops *sys, int fd)
{
	int r = 0;

	if (o->nodelay)
		r = set(sys, fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (r >= 0 && o->keepalive_idle > 0)
		r = apply_keepalive(o, sys, fd);
	if (r >= 0 && o->user_timeout > 0)
		r = set(sys, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, o->user_timeout);
	return r;
}
