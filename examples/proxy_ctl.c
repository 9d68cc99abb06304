/* SPDX-License-Identifier: MIT */
/*
 * proxy_ctl.c - rota-proxy ctl PATH COMMAND: sends the command as a line, and
 * prints the answer.
 */
#include "proxy.h"

#include <string.h>

struct ctl {
	const char *path;
	char line[512];
	struct rota_context *ctx;
	bool has_answer;
	int status;
};

static int
fail(struct ctl *ctl, const char *what)
{
	fprintf(stderr, "%s: ctl %s: %s\n", PROXY_NAME, ctl->path, what);
	ctl->status = PROGRAM_FAILED;
	return ctl->status;
}

/* The first line says how it went; the rest is what was asked for. */
static size_t
read_verdict(struct ctl *ctl, const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);
	char error[1024];

	if (!end)
		return 0;
	ctl->has_answer = true;
	if (end - text == 2 && memcmp(text, "ok", 2) == 0)
		return 3;
	snprintf(error, sizeof(error), "%.*s", (int)(end - text), text);
	fail(ctl, strncmp(error, "error ", 6) == 0 ? error + 6 : error);
	return len;
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	struct ctl *ctl = userdata;
	size_t used = 0;

	(void)stream;
	if (!ctl->has_answer)
		used = read_verdict(ctl, bytes, len);
	if (ctl->has_answer)
		used += fwrite((const char *)bytes + used, 1, len - used, stdout);
	return (ssize_t)used;
}

static void
on_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	struct ctl *ctl = userdata;
	char reason[256];

	(void)stream;
	if (!ctl->has_answer || why->reason != ROTA_REASON_CLEAN)
		fail(ctl,
			why->reason == ROTA_REASON_CLEAN
				? "it ended without an answer"
				: program_explain_close(why, reason, sizeof(reason)));
	rota_context_stop(ctl->ctx);
}

static const struct rota_stream_handlers handlers = { .on_data = on_data, .on_close = on_close };

static int
ask(struct ctl *ctl)
{
	struct rota_stream_options options = ROTA_STREAM_OPTIONS_INIT;
	struct rota_stream *stream;
	struct rota_address address;
	char reason[256];
	int r = proxy_control_address(ctl->path, &address);

	options.handlers = &handlers;
	options.idle_timeout = 30 * ROTA_SECOND;
	if (r >= 0)
		r = rota_connect_address(ctl->ctx, &address, &options, ctl, &stream);
	if (r >= 0)
		r = rota_stream_send(stream, ctl->line, strlen(ctl->line));
	if (r >= 0)
		r = rota_iterate(ctl->ctx, NULL);
	if (r < 0)
		return fail(ctl, program_explain(r, reason, sizeof(reason)));
	return program_flush(PROXY_NAME) != 0 ? PROGRAM_FAILED : ctl->status;
}

int
proxy_ctl(int argc, char **argv)
{
	struct ctl ctl = { .path = argc > 1 ? argv[1] : "" };
	char reason[256];
	size_t len = 0;
	int status;
	int i;
	int r;

	if (argc < 3)
		return program_misuse(PROXY_NAME,
			"ctl wants a PATH, and show connections, targets, meter or "
			"processes, drain, or close ID");
	for (i = 2; i < argc; i++) {
		const char *word = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : argv[i];

		if (len + strlen(word) + 2 > sizeof(ctl.line) || strchr(word, '\n'))
			return program_misuse(PROXY_NAME, "ctl: there is no such command");
		len += (size_t)sprintf(ctl.line + len, "%s%c", word, i + 1 < argc ? ' ' : '\n');
	}
	r = rota_context_new(&ctl.ctx);
	if (r < 0)
		return fail(&ctl, program_explain(r, reason, sizeof(reason)));
	status = ask(&ctl);
	rota_context_free(ctl.ctx);
	return status;
}
