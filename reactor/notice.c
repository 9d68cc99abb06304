/* SPDX-License-Identifier: MIT */
/*
 * Notices: what no handler can be told goes to the program's own log, one line at a time, or
 * nowhere.
 */
#include <stdarg.h>
#include <stdio.h>

#include "context.h"

void
rota_context_on_log(struct rota_context *ctx, rota_log_fn *on_log, void *userdata)
{
	ctx->on_log = on_log;
	ctx->on_log_userdata = userdata;
}

void
rota__notice(struct rota_context *ctx, int level, const char *format, ...)
{
	char line[256];
	va_list arguments;

	if (ctx->on_log == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	ctx->on_log(ctx, level, line, ctx->on_log_userdata);
}
