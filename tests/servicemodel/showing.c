/* SPDX-License-Identifier: MIT */
/*
 * Shows: see showing.h.
 */
#include "showing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int
run_task(struct rota_worker *worker, struct rota_worker_task *task, const void *payload, size_t len,
	void *userdata)
{
	const char *what = payload;

	(void)worker;
	(void)len;
	(void)userdata;
	if (what[0] == 'f')
		return -EINVAL;
	if (what[0] == 'k')
		raise(SIGKILL);
	if (what[0] == 'p')
		return rota_worker_task_progress(task, 1, 4, "a\033[7mnote");
	while (what[0] == 's')
		pause();
	return 0;
}

static const struct rota_worker_ops ops = { .run_task = run_task };
static const struct rota_worker_kind kind = { .name = "test", .ops = &ops };

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct show *show = userdata;

	(void)pool;
	(void)result;
	show->results++;
}

static const struct rota_pool_handlers handlers = { .on_result = on_result };

void
show_open(struct show *show, void **state, unsigned workers)
{
	memset(show, 0, sizeof *show);
	show->fixture = *state;
	assert_int_equal(rota_pool_new(show->fixture->ctx, NULL, &handlers, show, &show->pool), 0);
	for (unsigned i = 0; i < workers; i++)
		assert_int_equal(rota_pool_add_worker(show->pool, &kind, NULL, 0, NULL), 0);
}

static void
open_terminal(struct terminal *terminal, unsigned short columns)
{
	struct winsize size = { .ws_col = columns, .ws_row = 24 };
	char name[64];

	terminal->mine = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(terminal->mine, errno);
	assert_return_code(grantpt(terminal->mine), errno);
	assert_return_code(unlockpt(terminal->mine), errno);
	assert_int_equal(ptsname_r(terminal->mine, name, sizeof name), 0);
	terminal->theirs = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(terminal->theirs, errno);
	assert_return_code(ioctl(terminal->theirs, TIOCSWINSZ, &size), errno);
	assert_return_code(fcntl(terminal->mine, F_SETFL, O_NONBLOCK), errno);
}

void
show_open_terminal(struct show *show, void **state, unsigned workers, unsigned short columns)
{
	show_open(show, state, workers);
	open_terminal(&show->terminal, columns);
	show->has_terminal = true;
}

void
show_open_drawn(struct show *show, void **state, unsigned workers, unsigned short columns)
{
	show_open_terminal(show, state, workers, columns);
	show_display(show, show->terminal.theirs, false);
}

void
show_display(struct show *show, int fd, bool plain)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;

	options.fd = fd;
	options.plain = plain;
	options.name = "test";
	options.interval = ROTA_SECOND / 50;
	options.plain_interval = ROTA_MINUTE;
	assert_int_equal(rota_pool_display_new(show->pool, &options, &show->display), 0);
}

void
show_end_display(struct show *show)
{
	rota_pool_display_free(show->display);
	show->display = NULL;
}

void
show_close(struct show *show)
{
	show_end_display(show);
	rota_pool_free(show->pool);
	if (show->has_terminal) {
		close(show->terminal.theirs);
		close(show->terminal.mine);
	}
}

uint64_t
show_submit(struct show *show, char letter)
{
	uint64_t id = 0;

	assert_int_equal(rota_pool_submit(show->pool, &letter, 1, NULL, &id), 0);
	return id;
}

static size_t wanted;

static bool
has_results(struct rota_context *ctx, void *userdata)
{
	const struct show *show = userdata;

	(void)ctx;
	return show->results >= wanted;
}

void
show_take(struct show *show, size_t count)
{
	wanted = count;
	assert_int_equal(turn_until(show->fixture->ctx, has_results, show), 0);
}

static const char *wanted_text;

static bool
is_shown(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	return strstr(show_read(userdata), wanted_text) != NULL;
}

void
show_until(struct show *show, const char *text)
{
	wanted_text = text;
	assert_int_equal(turn_until(show->fixture->ctx, is_shown, show), 0);
}

/*
 * The kernel passes on what was written when it likes, but in order: so something is written behind
 * it.
 */
const char *
show_read(struct show *show)
{
	struct terminal *terminal = &show->terminal;
	struct pollfd ready = { terminal->mine, POLLIN, 0 };
	char *mark;

	assert_int_equal(write(terminal->theirs, "\1", 1), 1);
	do {
		ssize_t n;

		assert_int_equal(poll(&ready, 1, 10000), 1);
		n = read(terminal->mine, terminal->text + terminal->len,
			sizeof terminal->text - 1 - terminal->len);
		assert_in_range(n, 1, sizeof terminal->text);
		terminal->len += (size_t)n;
		terminal->text[terminal->len] = '\0';
		mark = strchr(terminal->text, '\1');
	} while (mark == NULL);
	*mark = '\0';
	terminal->len--;
	return terminal->text;
}
