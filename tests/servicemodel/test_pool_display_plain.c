/* SPDX-License-Identifier: MIT */
/*
 * The display of a real pool where it does not draw: files, pipes, sockets and plain terminals; and
 * displays that cannot be.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "showing.h"

static void
read_file(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	assert_return_code(n, errno);
	text[n] = '\0';
}

static void
display__file__plain_lines(void **state)
{
	char path[] = "/tmp/rota-display-XXXXXX";
	struct show show;
	char text[1000];
	int fd = mkstemp(path);

	assert_return_code(fd, errno);
	unlink(path);
	assert_int_equal(write(fd, "before\n", 7), 7);
	show_open(&show, state, 1);
	show_display(&show, fd, false);
	show_submit(&show, 'k');
	show_submit(&show, 'n');
	show_take(&show, 2);
	/* Its place in the file is everybody's. */
	assert_int_equal(write(fd, "between\n", 8), 8);
	show_end_display(&show);
	read_file(fd, text, sizeof text);
	assert_ptr_equal(strstr(text, "before\ntest: worker 0 (pid "), text);
	assert_non_null(strstr(text,
		") was killed by signal 9\nbetween\ntest: 2 of 2: 1 done, "
		"1 killed; load 0 of 1, peak 1; 1 lost"));
	assert_null(strchr(text, '\033'));
	assert_int_equal(text[strlen(text) - 1], '\n');
	show_close(&show);
	close(fd);
}

static void
display__plain_terminal__lines(void **state)
{
	struct show show;

	show_open_terminal(&show, state, 1, 20);
	show_display(&show, show.terminal.theirs, true);
	show_submit(&show, 'n');
	show_take(&show, 1);
	rota_pool_display_clear(show.display);
	rota_pool_display_set_total(show.display, 7);
	show_end_display(&show);
	assert_ptr_equal(strstr(show_read(&show), "test: 1 of 7: 1 done; load 0 of 1"),
		show.terminal.text);
	assert_null(strchr(show.terminal.text, '\033'));
	show_close(&show);
}

static void
display__done_that_failed__shown_as_failed(void **state)
{
	struct show show;

	show_open_terminal(&show, state, 1, 20);
	show_display(&show, show.terminal.theirs, true);
	rota_pool_display_set_failed(NULL, 1);
	show_submit(&show, 'n');
	show_submit(&show, 'n');
	show_submit(&show, 'n');
	show_take(&show, 3);
	rota_pool_display_set_failed(show.display, 2);
	show_end_display(&show);
	assert_ptr_equal(strstr(show_read(&show), "test: 3 of 3: 1 done, 2 failed; load 0 of 1"),
		show.terminal.text);
	show_close(&show);
}

/* fds[0] is the reader's. Nothing of what is full is waited for. */
static void
check_full(void **state, const int fds[2])
{
	struct show show;
	char fill[4096] = { 0 };

	assert_return_code(fcntl(fds[1], F_SETFL, O_NONBLOCK), errno);
	while (write(fds[1], fill, sizeof fill) > 0)
		continue;
	while (write(fds[1], fill, 1) > 0)
		continue;
	assert_return_code(fcntl(fds[1], F_SETFL, 0), errno);
	show_open(&show, state, 1);
	show_display(&show, fds[1], false);
	show_submit(&show, 'k');
	show_submit(&show, 'n');
	show_take(&show, 2);
	show_end_display(&show);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	show_close(&show);
	close(fds[0]);
	close(fds[1]);
}

static void
display__full_pipe__program_goes_on(void **state)
{
	int fds[2];

	assert_return_code(pipe2(fds, O_CLOEXEC), errno);
	check_full(state, fds);
}

static void
display__full_socket__program_goes_on(void **state)
{
	int fds[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), errno);
	check_full(state, fds);
}

static void
display__bad_options__refused(void **state)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display = NULL;
	struct show show;

	show_open(&show, state, 0);
	options.rows = ROTA_POOL_DISPLAY_ROWS + 1;
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EINVAL);
	options.rows = 0;
	options.interval = -1;
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EINVAL);
	options.interval = 0;
	options.fd = -1;
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EBADF);
	options.fd = 60000;
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EBADF);
	assert_null(display);
	show_close(&show);
}

static void
display__calls_that_fail__told_and_nothing_left(void **state)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display = NULL;
	struct show show;

	show_open_terminal(&show, state, 0, 80);
	options.fd = show.terminal.theirs;
	faulty_sys_fail(FAULTY_OPEN, 1, false, EACCES);
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EACCES);
	faulty_sys_fail(FAULTY_FSTAT, 1, false, EBADF);
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -EBADF);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_pool_display_new(show.pool, &options, &display), -ENOMEM);
	faulty_allocator_reset();
	assert_null(display);
	show_close(&show);
}

static void
display__write_fails__goes_on(void **state)
{
	struct show show;

	show_open_drawn(&show, state, 1, 80);
	faulty_sys_fail(FAULTY_WRITE, 1, true, EIO);
	show_submit(&show, 'n');
	show_take(&show, 1);
	rota_pool_display_clear(show.display);
	faulty_sys_reset();
	show_close(&show);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(display__file__plain_lines),
		fixture_test(display__plain_terminal__lines),
		fixture_test(display__done_that_failed__shown_as_failed),
		fixture_test(display__full_pipe__program_goes_on),
		fixture_test(display__full_socket__program_goes_on),
		fixture_test(display__bad_options__refused),
		fixture_test(display__calls_that_fail__told_and_nothing_left),
		fixture_test(display__write_fails__goes_on),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
