/* SPDX-License-Identifier: MIT */
/*
 * The display of a real pool on a terminal: what it draws and how often, and that nothing of it can
 * hold up the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "showing.h"

static void
display__terminal__draws_and_leaves_the_last_frame(void **state)
{
	struct termios before, after;
	struct show show;

	/* What is between their members is compared, too. */
	memset(&before, 0, sizeof before);
	memset(&after, 0, sizeof after);
	show_open_terminal(&show, state, 2, 60);
	assert_return_code(tcgetattr(show.terminal.theirs, &before), errno);
	show_display(&show, show.terminal.theirs, false);
	show_submit(&show, 'n');
	show_submit(&show, 'f');
	show_take(&show, 2);
	show_end_display(&show);
	assert_return_code(tcgetattr(show.terminal.theirs, &after), errno);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(fcntl(show.terminal.theirs, F_GETFL) & O_NONBLOCK, 0);
	show_read(&show);
	assert_non_null(strstr(show.terminal.text, "2 of 2: 1 done, 1 failed; load 0 of 2, peak "));
	assert_non_null(strstr(show.terminal.text, "] 100 %"));
	assert_string_equal(show.terminal.text + show.terminal.len - 3, "\033[J");
	show_close(&show);
}

static void
display__worker_dies__told_in_its_row(void **state)
{
	struct show show;

	show_open_drawn(&show, state, 1, 100);
	show_submit(&show, 'k');
	show_take(&show, 1);
	show_until(&show, "1 of 1: 1 killed; load 0 of 1, peak 1; 1 lost");
	show_close(&show);
}

static void
display__note_with_controls__shown_without(void **state)
{
	struct show show;
	uint64_t id;

	show_open_drawn(&show, state, 1, 100);
	show_submit(&show, 'p');
	id = show_submit(&show, 's');
	show_until(&show, "task 2");
	assert_null(strstr(show.terminal.text, "\033[7m"));
	assert_int_equal(rota_pool_cancel(show.pool, id), ROTA_POOL_WAS_RUNNING);
	show_take(&show, 2);
	show_close(&show);
}

static void
display__cleared__nothing_is_left_of_it(void **state)
{
	struct show show;

	show_open_drawn(&show, state, 1, 100);
	rota_pool_display_clear(show.display);
	assert_string_equal(show_read(&show), "");
	show_submit(&show, 'n');
	show_take(&show, 1);
	show_until(&show, "1 of 1");
	rota_pool_display_clear(show.display);
	show_read(&show);
	assert_string_equal(show.terminal.text + show.terminal.len - 8, "\r\033[3A\033[J");
	show.terminal.len = 0;
	/* There is nothing any more to be cleared. */
	rota_pool_display_clear(show.display);
	assert_string_equal(show_read(&show), "");
	show_end_display(&show);
	assert_ptr_equal(strstr(show_read(&show), "1 of 1"), show.terminal.text);
	show_close(&show);
	rota_pool_display_clear(NULL);
	rota_pool_display_free(NULL);
}

static bool
never(struct rota_context *ctx, void *userdata)
{
	(void)ctx;
	(void)userdata;
	return false;
}

static void
display__no_tasks__stands_still(void **state)
{
	struct rota_context *ctx;
	struct show show;

	show_open_terminal(&show, state, 1, 100);
	ctx = show.fixture->ctx;
	show_display(&show, show.terminal.theirs, false);
	show_submit(&show, 'n');
	show_take(&show, 1);
	show_until(&show, "1 of 1");
	/* What came before may have one frame more. */
	for (int i = 0; i < 20; i++) {
		show_read(&show);
		show.terminal.len = 0;
		assert_int_equal(rota_wait(ctx, never, NULL, ROTA_SECOND / 10), -ETIMEDOUT);
		if (show_read(&show)[0] == '\0')
			break;
	}
	assert_string_equal(show.terminal.text, "");
	show_close(&show);
}

static void
display__frames__not_more_often_than_asked(void **state)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct show show;
	unsigned frames = 0;

	show_open_terminal(&show, state, 1, 100);
	options.fd = show.terminal.theirs;
	options.interval = ROTA_MINUTE;
	assert_int_equal(rota_pool_display_new(show.pool, &options, &show.display), 0);
	for (int i = 0; i < 50; i++)
		show_submit(&show, 'n');
	show_take(&show, 50);
	show_read(&show);
	for (const char *at = strstr(show.terminal.text, " of 50"); at != NULL;
		at = strstr(at + 1, " of 50"))
		frames++;
	assert_int_equal(frames, 1);
	show_close(&show);
}

/* As long as nobody reads the terminal, it takes what it has room for; then nothing. */
static void
display__terminal_takes_nothing__program_goes_on(void **state)
{
	struct show show;
	struct pollfd ready;
	char fill[4096];
	int fd;

	show_open_terminal(&show, state, 1, 100);
	ready = (struct pollfd){ show.terminal.mine, POLLIN, 0 };
	fd = fcntl(show.terminal.theirs, F_DUPFD_CLOEXEC, 3);
	memset(fill, 'x', sizeof fill);
	assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
	while (write(fd, fill, sizeof fill) > 0)
		continue;
	assert_return_code(fcntl(fd, F_SETFL, 0), errno);
	close(fd);
	show_display(&show, show.terminal.theirs, false);
	for (int i = 0; i < 20; i++)
		show_submit(&show, 'n');
	show_take(&show, 20);
	rota_pool_display_clear(show.display);
	/* What was cut off goes on where it was cut off. */
	while (poll(&ready, 1, 100) == 1)
		assert_true(read(show.terminal.mine, fill, sizeof fill) > 0);
	show_submit(&show, 'n');
	show_take(&show, 21);
	show_until(&show, "21 of 21");
	show_close(&show);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(display__terminal__draws_and_leaves_the_last_frame),
		fixture_test(display__worker_dies__told_in_its_row),
		fixture_test(display__note_with_controls__shown_without),
		fixture_test(display__cleared__nothing_is_left_of_it),
		fixture_test(display__no_tasks__stands_still),
		fixture_test(display__frames__not_more_often_than_asked),
		fixture_test(display__terminal_takes_nothing__program_goes_on),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
