/* SPDX-License-Identifier: MIT */
/*
 * proxy_control.c - who may ask at --control, and which commands there are. A connection carries
 * one line, and gets one answer: a line "ok", then what was asked for; or a line "error" with what
 * is wrong. Asking is for the user whom the process runs as, and root: the socket is in a directory
 * of that user alone, and peers' credentials are looked at all the same.
 */
#include "proxy.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_LINE ((size_t)256)
#define MOST_WORDS 4

/* Peers' bytes, fit for a line. */
static const char *
escape(const char *text, char *buffer, size_t size)
{
	char *end = buffer;

	for (; *text && end + 5 < buffer + size; text++) {
		if (isprint((unsigned char)*text) && *text != '\\')
			*end++ = *text;
		else
			end += sprintf(end, "\\x%02x", (unsigned char)*text);
	}
	*end = '\0';
	return buffer;
}

static void
close_passage(struct proxy *proxy, const char *word, FILE *out)
{
	struct proxy_passage *passage = proxy->passages;
	char *end = NULL;
	unsigned long long id;

	errno = 0;
	id = strtoull(word, &end, 10);
	if (!isdigit((unsigned char)word[0]) || *end != '\0' || errno != 0) {
		fprintf(out, "error close wants the number of a connection\n");
		return;
	}
	while (passage && passage->id != id)
		passage = passage->next;
	if (passage)
		proxy_passage_abort(passage);
	fprintf(out, passage ? "ok\n" : "error there is no connection %llu\n", id);
}

static void
execute(struct proxy *proxy, char *line, FILE *out)
{
	char copy[4 * LONGEST_LINE];
	char *words[MOST_WORDS + 1];
	size_t count = 0;
	char *rest;

	escape(line, copy, sizeof(copy));
	for (char *word = strtok_r(line, " \r", &rest); word && count <= MOST_WORDS;
		word = strtok_r(NULL, " \r", &rest))
		words[count++] = word;
	if ((count == 2 || count == 3) && strcmp(words[0], "show") == 0) {
		proxy_show(proxy, words[1], count == 3 ? words[2] : "text", out);
	} else if (count == 1 && strcmp(words[0], "drain") == 0) {
		fprintf(out, "ok\n");
		program_drain(&proxy->program);
	} else if (count == 2 && strcmp(words[0], "close") == 0) {
		close_passage(proxy, words[1], out);
	} else {
		fprintf(out, "error there is no command '%s': show, drain and close ID are\n",
			copy);
	}
}

static void
release(const void *bytes, size_t len, void *arg)
{
	(void)bytes;
	(void)len;
	free(arg);
}

/* Answers a line that has come to its end. */
static void
answer_line(struct proxy *proxy, struct rota_stream *stream, char *line)
{
	char *bytes = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&bytes, &len);
	bool failed;

	if (!out) {
		rota_stream_abort(stream);
		return;
	}
	execute(proxy, line, out);
	failed = ferror(out) != 0;
	failed |= fclose(out) != 0;
	if (failed || rota_stream_send_ref(stream, bytes, len, release, bytes) < 0) {
		free(bytes);
		rota_stream_abort(stream);
		return;
	}
	rota_stream_close(stream);
}

static ssize_t
on_data(struct rota_stream *stream, const void *bytes, size_t len, void *userdata)
{
	static const char too_long[] = "error the line is too long\n";
	const char *end = memchr(bytes, '\n', len);
	size_t used = end ? (size_t)(end - (const char *)bytes) : len;
	char line[LONGEST_LINE + 1];

	if (used > LONGEST_LINE) {
		rota_stream_send(stream, too_long, sizeof(too_long) - 1);
		rota_stream_close(stream);
		return (ssize_t)len;
	}
	if (!end)
		return 0;
	memcpy(line, bytes, used);
	line[used] = '\0';
	answer_line(userdata, stream, line);
	return (ssize_t)len;
}

static const struct rota_stream_handlers stream_handlers = { .on_data = on_data };

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct proxy *proxy = userdata;
	struct ucred peer;
	int r = rota_stream_credentials(stream, &peer);

	(void)listener;
	if (r >= 0 && (peer.uid == geteuid() || peer.uid == 0)) {
		rota_stream_set_userdata(stream, proxy);
		return;
	}
	if (r >= 0)
		program_warn(&proxy->program, "refused control to user %u, process %d",
			(unsigned)peer.uid, (int)peer.pid);
	rota_stream_abort(stream);
}

static void
on_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct proxy *proxy = userdata;

	(void)listener;
	(void)why;
	proxy->control = NULL;
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = on_accept,
	.on_close = on_close,
};

int
proxy_check_directory(struct program *program, const char *option, const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX];
	char reason[256];
	struct stat status;

	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path + 1) : 1,
		slash ? path : ".");
	if (stat(directory, &status) < 0)
		program_fail(program, "%s: cannot look at %s: %s", option, directory,
			program_explain(errno, reason, sizeof(reason)));
	else if (!S_ISDIR(status.st_mode))
		program_fail(program, "%s: %s is not a directory", option, directory);
	else if (status.st_uid != geteuid())
		program_fail(program,
			"%s: %s belongs to another user: choose a directory of your own", option,
			directory);
	else if ((status.st_mode & 077) != 0)
		program_fail(program, "%s: %s is open to other users: chmod 700 it", option,
			directory);
	else
		return 0;
	return PROGRAM_FAILED;
}

int
proxy_control_address(const char *path, struct rota_address *ret_address)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (path[0] == '\0')
		return -ENOENT;
	if (strlen(path) >= sizeof(name.sun_path))
		return -ENAMETOOLONG;
	memcpy(name.sun_path, path, strlen(path));
	return rota_address_from_sockaddr((struct sockaddr *)&name, sizeof(name), ret_address);
}

int
proxy_control_open(struct proxy *proxy)
{
	struct rota_listener_options options = ROTA_LISTENER_OPTIONS_INIT;
	const char *path = proxy->options->control;
	struct rota_address address;
	char reason[256];
	int r;

	if (proxy_check_directory(&proxy->program, "--control", path) != 0)
		return PROGRAM_FAILED;
	options.stream.handlers = &stream_handlers;
	options.stream.input_limit = 2 * LONGEST_LINE;
	options.stream.idle_timeout = 10 * ROTA_SECOND;
	options.unix_mode = 0600;
	r = proxy_control_address(path, &address);
	if (r >= 0) {
		address = proxy_takeover_address(proxy, &address);
		r = rota_listen_address(proxy->program.ctx, &address, &options, &listener_handlers,
			proxy, &proxy->control);
	}
	if (r < 0) {
		program_fail(&proxy->program, "--control: cannot listen on %s: %s", path,
			program_explain(r, reason, sizeof(reason)));
		return PROGRAM_FAILED;
	}
	rota_context_set_meter(proxy->program.ctx, &proxy->meter);
	return 0;
}
