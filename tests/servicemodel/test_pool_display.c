/* SPDX-License-Identifier: MIT */
/*
 * The load and the display of a real pool: what they count, what goes to a terminal, a pipe and a
 * file, and that nothing of it can hold up the program.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <rota/pool.h>
#include <rota/pool_display.h>
#include <rota/pool_load.h>
#include <rota/timer.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "fixture.h"

/* What tasks are to do, by their first byte. */
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

struct scene {
	struct fixture *fixture;
	struct rota_pool *pool;
	size_t results;
};

static void
on_result(struct rota_pool *pool, const struct rota_pool_result *result, void *userdata)
{
	struct scene *scene = userdata;

	(void)pool;
	(void)result;
	scene->results++;
}

static const struct rota_pool_handlers handlers = { .on_result = on_result };

static void
open_scene(struct scene *scene, void **state, unsigned workers)
{
	*scene = (struct scene){ .fixture = *state };
	assert_int_equal(rota_pool_new(scene->fixture->ctx, NULL, &handlers, scene, &scene->pool),
		0);
	for (unsigned i = 0; i < workers; i++)
		assert_int_equal(rota_pool_add_worker(scene->pool, &kind, NULL, 0, NULL), 0);
}

static uint64_t
submit(struct scene *scene, const char *what)
{
	uint64_t id = 0;

	assert_int_equal(rota_pool_submit(scene->pool, what, 1, NULL, &id), 0);
	return id;
}

static size_t wanted;

static bool
has_results(struct rota_context *ctx, void *userdata)
{
	const struct scene *scene = userdata;

	(void)ctx;
	return scene->results >= wanted;
}

static void
take_results(struct scene *scene, size_t count)
{
	wanted = count;
	assert_int_equal(turn_until(scene->fixture->ctx, has_results, scene), 0);
}

/* The load */

static void
load__tasks_of_all_ends__counted(void **state)
{
	struct rota_pool_load load;
	struct scene scene;
	char line[200], wanted_line[200];
	size_t len;

	open_scene(&scene, state, 2);
	assert_int_equal(rota_pool_load_start(&load, scene.pool), 0);
	assert_int_equal(rota_pool_load_start(&load, scene.pool), -EEXIST);
	assert_int_equal(load.places, 2);
	for (const char *what = "nnnfkn"; *what != '\0'; what++)
		submit(&scene, what);
	assert_int_equal(load.queued, 6);
	take_results(&scene, 6);
	assert_int_equal(load.load, 0);
	assert_in_range(load.peak, 1, 2);
	assert_int_equal(load.queued, 0);
	assert_int_equal(load.most_queued, 6);
	assert_int_equal(load.total, 6);
	assert_int_equal(load.ended, 6);
	assert_int_equal(load.ends[ROTA_POOL_DONE], 4);
	assert_int_equal(load.ends[ROTA_POOL_FAILED], 1);
	assert_int_equal(load.ends[ROTA_POOL_KILLED], 1);
	assert_int_equal(load.lost, 1);
	assert_int_equal(load.given_up, 0);
	len = rota_pool_load_format(&load, line, sizeof line);
	snprintf(wanted_line, sizeof wanted_line,
		"6 of 6 ended: 4 done, 1 failed, 1 killed; load 0 of 2, peak %u; 1 lost",
		(unsigned)load.peak);
	assert_string_equal(line, wanted_line);
	assert_int_equal(len, strlen(line));
	assert_int_equal(rota_pool_load_format(&load, line, 5), len);
	assert_string_equal(line, "6 of");
	rota_pool_load_stop(&load, scene.pool);
	submit(&scene, "n");
	assert_int_equal(load.total, 6);
	rota_pool_free(scene.pool);
}

static void
load__pool_stops__nobody_is_lost(void **state)
{
	struct rota_pool_load load;
	struct scene scene;

	open_scene(&scene, state, 3);
	assert_int_equal(rota_pool_load_start(&load, scene.pool), 0);
	submit(&scene, "n");
	assert_int_equal(rota_pool_stop_wait(scene.pool, ROTA_NEVER, ROTA_NEVER), 0);
	assert_int_equal(load.ended, 1);
	assert_int_equal(load.lost, 0);
	assert_int_equal(load.given_up, 0);
	rota_pool_free(scene.pool);
}

/* The display */

/* A terminal: its end that a program has, and that which shows. */
struct terminal {
	int theirs;
	int mine;
	char text[65536];
	size_t len;
};

static void
open_terminal(struct terminal *terminal, unsigned short columns)
{
	struct winsize size = { .ws_col = columns, .ws_row = 24 };
	char name[64];

	*terminal = (struct terminal){ .mine = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
	assert_return_code(terminal->mine, errno);
	assert_return_code(grantpt(terminal->mine), errno);
	assert_return_code(unlockpt(terminal->mine), errno);
	assert_int_equal(ptsname_r(terminal->mine, name, sizeof name), 0);
	terminal->theirs = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(terminal->theirs, errno);
	assert_return_code(ioctl(terminal->theirs, TIOCSWINSZ, &size), errno);
	assert_return_code(fcntl(terminal->mine, F_SETFL, O_NONBLOCK), errno);
}

/*
 * All that was written to it until now. The kernel passes it on when it likes, but in order: so
 * something is written behind it.
 */
static const char *
read_terminal(struct terminal *terminal)
{
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

static void
close_terminal(struct terminal *terminal)
{
	close(terminal->theirs);
	close(terminal->mine);
}

/* Many frames, but fewer than fill a terminal that nobody reads for a while. */
static struct rota_pool_display *
open_display(struct scene *scene, int fd, bool plain)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display = NULL;

	options.fd = fd;
	options.plain = plain;
	options.name = "test";
	options.interval = ROTA_SECOND / 50;
	options.plain_interval = ROTA_MINUTE;
	assert_int_equal(rota_pool_display_new(scene->pool, &options, &display), 0);
	return display;
}

static void
display__terminal__draws_and_leaves_the_last_frame(void **state)
{
	struct rota_pool_display *display;
	struct termios before, after;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 60);
	assert_return_code(tcgetattr(terminal.theirs, &before), errno);
	open_scene(&scene, state, 2);
	display = open_display(&scene, terminal.theirs, false);
	submit(&scene, "n");
	submit(&scene, "f");
	take_results(&scene, 2);
	rota_pool_display_free(display);
	assert_return_code(tcgetattr(terminal.theirs, &after), errno);
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(fcntl(terminal.theirs, F_GETFL) & O_NONBLOCK, 0);
	read_terminal(&terminal);
	assert_non_null(strstr(terminal.text, "2 of 2: 1 done, 1 failed; load 0 of 2, peak "));
	assert_non_null(strstr(terminal.text, "] 100 %"));
	assert_string_equal(terminal.text + terminal.len - 3, "\033[J");
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

/* Turns until it stands there. */
struct expectation {
	struct terminal *terminal;
	const char *text;
};

static bool
is_shown(struct rota_context *ctx, void *userdata)
{
	const struct expectation *expectation = userdata;

	(void)ctx;
	return strstr(read_terminal(expectation->terminal), expectation->text) != NULL;
}

static void
wait_for(struct scene *scene, struct terminal *terminal, const char *text)
{
	struct expectation expectation = { terminal, text };

	assert_int_equal(turn_until(scene->fixture->ctx, is_shown, &expectation), 0);
}

static void
display__worker_dies__told_in_its_row(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 100);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, false);
	submit(&scene, "k");
	take_results(&scene, 1);
	wait_for(&scene, &terminal, "1 of 1: 1 killed; load 0 of 1, peak 1; 1 lost");
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

static void
display__note_with_controls__shown_without(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;
	uint64_t id;

	open_terminal(&terminal, 100);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, false);
	submit(&scene, "p");
	id = submit(&scene, "s");
	wait_for(&scene, &terminal, "task 2");
	assert_null(strstr(terminal.text, "\033[7m"));
	assert_int_equal(rota_pool_cancel(scene.pool, id), ROTA_POOL_WAS_RUNNING);
	take_results(&scene, 2);
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

static void
display__cleared__nothing_is_left_of_it(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 100);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, false);
	rota_pool_display_clear(display);
	assert_string_equal(read_terminal(&terminal), "");
	submit(&scene, "n");
	take_results(&scene, 1);
	wait_for(&scene, &terminal, "1 of 1");
	rota_pool_display_clear(display);
	read_terminal(&terminal);
	assert_string_equal(terminal.text + terminal.len - 8, "\r\033[3A\033[J");
	terminal.len = 0;
	/* There is nothing any more to be cleared. */
	rota_pool_display_clear(display);
	assert_string_equal(read_terminal(&terminal), "");
	rota_pool_display_free(display);
	assert_ptr_equal(strstr(read_terminal(&terminal), "1 of 1"), terminal.text);
	rota_pool_free(scene.pool);
	rota_pool_display_clear(NULL);
	rota_pool_display_free(NULL);
	close_terminal(&terminal);
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
	struct rota_pool_display *display;
	struct terminal terminal;
	struct rota_context *ctx;
	struct scene scene;

	open_terminal(&terminal, 100);
	open_scene(&scene, state, 1);
	ctx = scene.fixture->ctx;
	display = open_display(&scene, terminal.theirs, false);
	submit(&scene, "n");
	take_results(&scene, 1);
	wait_for(&scene, &terminal, "1 of 1");
	/* What came before may have one frame more. */
	for (int i = 0; i < 20; i++) {
		read_terminal(&terminal);
		terminal.len = 0;
		assert_int_equal(rota_wait(ctx, never, NULL, ROTA_SECOND / 10), -ETIMEDOUT);
		if (read_terminal(&terminal)[0] == '\0')
			break;
	}
	assert_string_equal(terminal.text, "");
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

static void
display__frames__not_more_often_than_asked(void **state)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;
	unsigned frames = 0;

	open_terminal(&terminal, 100);
	open_scene(&scene, state, 1);
	options.fd = terminal.theirs;
	options.interval = ROTA_MINUTE;
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), 0);
	for (int i = 0; i < 50; i++)
		submit(&scene, "n");
	take_results(&scene, 50);
	read_terminal(&terminal);
	for (const char *at = strstr(terminal.text, " of 50"); at != NULL;
		at = strstr(at + 1, " of 50"))
		frames++;
	assert_int_equal(frames, 1);
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

/* As long as nobody reads the terminal, it takes what it has room for; then nothing. */
static void
display__terminal_takes_nothing__program_goes_on(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;
	struct pollfd ready;
	char fill[4096];
	int fd;

	open_terminal(&terminal, 100);
	ready = (struct pollfd){ terminal.mine, POLLIN, 0 };
	fd = fcntl(terminal.theirs, F_DUPFD_CLOEXEC, 3);
	memset(fill, 'x', sizeof fill);
	assert_return_code(fcntl(fd, F_SETFL, O_NONBLOCK), errno);
	while (write(fd, fill, sizeof fill) > 0)
		continue;
	assert_return_code(fcntl(fd, F_SETFL, 0), errno);
	close(fd);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, false);
	for (int i = 0; i < 20; i++)
		submit(&scene, "n");
	take_results(&scene, 20);
	rota_pool_display_clear(display);
	/* What was cut off goes on where it was cut off. */
	while (poll(&ready, 1, 100) == 1)
		assert_true(read(terminal.mine, fill, sizeof fill) > 0);
	submit(&scene, "n");
	take_results(&scene, 21);
	wait_for(&scene, &terminal, "21 of 21");
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

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
	struct rota_pool_display *display;
	struct scene scene;
	char text[1000];
	int fd = mkstemp(path);

	assert_return_code(fd, errno);
	unlink(path);
	assert_int_equal(write(fd, "before\n", 7), 7);
	open_scene(&scene, state, 1);
	display = open_display(&scene, fd, false);
	submit(&scene, "k");
	submit(&scene, "n");
	take_results(&scene, 2);
	/* Its place in the file is everybody's. */
	assert_int_equal(write(fd, "between\n", 8), 8);
	rota_pool_display_free(display);
	read_file(fd, text, sizeof text);
	assert_ptr_equal(strstr(text, "before\ntest: worker 0 (pid "), text);
	assert_non_null(strstr(text,
		") was killed by signal 9\nbetween\ntest: 2 of 2: 1 done, "
		"1 killed; load 0 of 1, peak 1; 1 lost"));
	assert_null(strchr(text, '\033'));
	assert_int_equal(text[strlen(text) - 1], '\n');
	rota_pool_free(scene.pool);
	close(fd);
}

static void
display__plain_terminal__lines(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 20);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, true);
	submit(&scene, "n");
	take_results(&scene, 1);
	rota_pool_display_clear(display);
	rota_pool_display_set_total(display, 7);
	rota_pool_display_free(display);
	assert_ptr_equal(strstr(read_terminal(&terminal), "test: 1 of 7: 1 done; load 0 of 1"),
		terminal.text);
	assert_null(strchr(terminal.text, '\033'));
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

/* fds[0] is the reader's. Nothing of what is full is waited for. */
static void
check_full(void **state, const int fds[2])
{
	struct rota_pool_display *display;
	struct scene scene;
	char fill[4096] = { 0 };

	assert_return_code(fcntl(fds[1], F_SETFL, O_NONBLOCK), errno);
	while (write(fds[1], fill, sizeof fill) > 0)
		continue;
	while (write(fds[1], fill, 1) > 0)
		continue;
	assert_return_code(fcntl(fds[1], F_SETFL, 0), errno);
	open_scene(&scene, state, 1);
	display = open_display(&scene, fds[1], false);
	submit(&scene, "k");
	submit(&scene, "n");
	take_results(&scene, 2);
	rota_pool_display_free(display);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	rota_pool_free(scene.pool);
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
	struct scene scene;

	open_scene(&scene, state, 0);
	options.rows = ROTA_POOL_DISPLAY_ROWS + 1;
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EINVAL);
	options.rows = 0;
	options.interval = -1;
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EINVAL);
	options.interval = 0;
	options.fd = -1;
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EBADF);
	options.fd = 60000;
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EBADF);
	assert_null(display);
	rota_pool_free(scene.pool);
}

static void
display__calls_that_fail__told_and_nothing_left(void **state)
{
	struct rota_pool_display_options options = ROTA_POOL_DISPLAY_OPTIONS_INIT;
	struct rota_pool_display *display = NULL;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 80);
	open_scene(&scene, state, 0);
	options.fd = terminal.theirs;
	faulty_sys_fail(FAULTY_OPEN, 1, false, EACCES);
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EACCES);
	faulty_sys_fail(FAULTY_FSTAT, 1, false, EBADF);
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -EBADF);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_pool_display_new(scene.pool, &options, &display), -ENOMEM);
	faulty_allocator_reset();
	assert_null(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

static void
display__write_fails__goes_on(void **state)
{
	struct rota_pool_display *display;
	struct terminal terminal;
	struct scene scene;

	open_terminal(&terminal, 80);
	open_scene(&scene, state, 1);
	display = open_display(&scene, terminal.theirs, false);
	faulty_sys_fail(FAULTY_WRITE, 1, true, EIO);
	submit(&scene, "n");
	take_results(&scene, 1);
	rota_pool_display_clear(display);
	faulty_sys_reset();
	rota_pool_display_free(display);
	rota_pool_free(scene.pool);
	close_terminal(&terminal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(load__tasks_of_all_ends__counted),
		fixture_test(load__pool_stops__nobody_is_lost),
		fixture_test(display__terminal__draws_and_leaves_the_last_frame),
		fixture_test(display__worker_dies__told_in_its_row),
		fixture_test(display__note_with_controls__shown_without),
		fixture_test(display__cleared__nothing_is_left_of_it),
		fixture_test(display__no_tasks__stands_still),
		fixture_test(display__frames__not_more_often_than_asked),
		fixture_test(display__terminal_takes_nothing__program_goes_on),
		fixture_test(display__file__plain_lines),
		fixture_test(display__plain_terminal__lines),
		fixture_test(display__full_pipe__program_goes_on),
		fixture_test(display__full_socket__program_goes_on),
		fixture_test(display__bad_options__refused),
		fixture_test(display__calls_that_fail__told_and_nothing_left),
		fixture_test(display__write_fails__goes_on),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
