/* SPDX-License-Identifier: MIT */
/*
 * What systemd passes and is told: the variables, what is done to descriptors, the lines.
 */
#include <rota/systemd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "scratch.h"

static void
set_variables(const char *pid, const char *count, const char *names)
{
	const char *const keys[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES" };
	const char *const values[] = { pid, count, names };

	for (int i = 0; i < 3; i++) {
		if (values[i] != NULL)
			setenv(keys[i], values[i], 1);
		else
			unsetenv(keys[i]);
	}
}

static const char *
own_pid(void)
{
	static char text[16];

	snprintf(text, sizeof text, "%d", (int)getpid());
	return text;
}

/*
 * The descriptors from 3 on, of which so many become listening sockets; what was there comes back
 * by restore.
 */

#define PASSED 3

static struct {
	int kept[PASSED]; /* -1: nothing was there */
	char texts[PASSED][ROTA_ADDRESS_TEXT];
} passed;

static void
pass(void)
{
	for (int i = 0; i < PASSED; i++) {
		int fd;

		passed.kept[i] = fcntl(3 + i, F_DUPFD_CLOEXEC, 100);
		fd = raw_listen("127.0.0.1:0", 4, passed.texts[i]);
		if (fd != 3 + i) {
			assert_int_equal(dup2(fd, 3 + i), 3 + i);
			close(fd);
		}
		assert_int_equal(fcntl(3 + i, F_SETFD, 0), 0);
	}
}

static void
restore(void)
{
	for (int i = 0; i < PASSED; i++) {
		close(3 + i);
		if (passed.kept[i] >= 0) {
			int flags = fcntl(passed.kept[i], F_GETFD);

			assert_int_equal(dup3(passed.kept[i], 3 + i, O_CLOEXEC), 3 + i);
			assert_int_equal(flags, FD_CLOEXEC);
			close(passed.kept[i]);
		}
	}
}

/* Listening sockets */

static void
listeners__variables_of_this_process__are_its_sockets(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[PASSED + 1];

	pass();
	set_variables(own_pid(), "3", "web:admin:");
	assert_int_equal(rota_systemd_listeners(ctx, found, PASSED + 1), 3);
	for (int i = 0; i < PASSED; i++) {
		char text[16];

		snprintf(text, sizeof text, "fd:%d", 3 + i);
		assert_int_equal(found[i].fd, 3 + i);
		assert_string_equal(found[i].text, text);
		assert_int_equal(fcntl(3 + i, F_GETFD), FD_CLOEXEC);
	}
	assert_string_equal(found[0].name, "web");
	assert_string_equal(found[1].name, "admin");
	assert_string_equal(found[2].name, "");
	/* Neither children nor a second call take them for their own. */
	assert_null(getenv("LISTEN_PID"));
	assert_null(getenv("LISTEN_FDS"));
	assert_null(getenv("LISTEN_FDNAMES"));
	assert_int_equal(rota_systemd_listeners(ctx, found, PASSED + 1), 0);
	restore();
}

static void
listeners__names__are_as_many_as_there_are(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[PASSED];
	char longest[600];

	pass();
	set_variables(own_pid(), "2", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 2), 2);
	assert_string_equal(found[0].name, "");
	assert_string_equal(found[1].name, "");
	set_variables(own_pid(), "3", ":b:c:d");
	assert_int_equal(rota_systemd_listeners(ctx, found, 3), 3);
	assert_string_equal(found[0].name, "");
	assert_string_equal(found[1].name, "b");
	assert_string_equal(found[2].name, "c");
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	memcpy(longest + 300, ":y", 2);
	longest[302] = '\0';
	set_variables(own_pid(), "2", longest);
	assert_int_equal(rota_systemd_listeners(ctx, found, 2), 2);
	assert_int_equal(strlen(found[0].name), 255);
	assert_string_equal(found[1].name, "y");
	restore();
}

static void
listeners__variables_of_nobody_here__are_left(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[1];
	char other[16];

	set_variables(NULL, NULL, NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 0);
	set_variables(own_pid(), NULL, NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 0);
	set_variables(NULL, "1", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 0);
	snprintf(other, sizeof other, "%d", (int)getpid() + 1);
	set_variables(other, "1", "web");
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 0);
	assert_string_equal(getenv("LISTEN_PID"), other);
	assert_string_equal(getenv("LISTEN_FDNAMES"), "web");
	set_variables(own_pid(), "0", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 0);
	set_variables(NULL, NULL, NULL);
}

static void
listeners__variables_that_make_no_sense__are_refused(void **state)
{
	static const char *const texts[] = { "", " 1", "+1", "-1", "1x", "x", "1 ", "0x1",
		"99999999999", "99999999999999999999999999" };
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[1];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		set_variables(texts[i], "1", NULL);
		assert_int_equal(rota_systemd_listeners(ctx, found, 1), -EINVAL);
		set_variables(own_pid(), texts[i], NULL);
		assert_int_equal(rota_systemd_listeners(ctx, found, 1), -EINVAL);
	}
	set_variables(own_pid(), "2", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), -E2BIG);
	set_variables(own_pid(), "257", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1000), -E2BIG);
	assert_non_null(getenv("LISTEN_FDS"));
	set_variables(NULL, NULL, NULL);
}

static void
listeners__descriptor_is_not_open__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[1] = { { .fd = -7 } };

	pass();
	set_variables(own_pid(), "1", NULL);
	for (uint64_t at = 1; at <= 2; at++) {
		faulty_sys_fail(FAULTY_FCNTL, at, false, EBADF);
		assert_int_equal(rota_systemd_listeners(ctx, found, 1), -EBADF);
		faulty_sys_reset();
		assert_int_equal(found[0].fd, -7);
		assert_non_null(getenv("LISTEN_PID"));
	}
	set_variables(NULL, NULL, NULL);
	restore();
}

static void
listeners__are_listened_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_systemd_listener found[1];
	struct door *door = make_door(make_echoes(1), 1);
	int fd;
	int peer;

	pass();
	set_variables(own_pid(), "1", NULL);
	assert_int_equal(rota_systemd_listeners(ctx, found, 1), 1);
	/* At another number, since this one is the context's own when the test is over. */
	fd = fcntl(found[0].fd, F_DUPFD_CLOEXEC, 3 + PASSED);
	restore();
	snprintf(found[0].text, sizeof found[0].text, "fd:%d", fd);
	assert_int_equal(door_open(ctx, door, found[0].text, NULL), 0);
	peer = raw_connect(passed.texts[0]);
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
}

/* State */

static int
manager(const char *name, char *path, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t length = offsetof(struct sockaddr_un, sun_path);

	if (name[0] == '@')
		snprintf(path, size, "%s", name);
	else
		snprintf(path, size, "%s", scratch_path(name));
	memcpy(address.sun_path, path, strlen(path));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	length += (socklen_t)strlen(path) + (name[0] != '@');
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static void
expect_line(int fd, const char *text)
{
	char line[5000];
	ssize_t n = recv(fd, line, sizeof line - 1, 0);

	assert_true(n >= 0);
	line[n] = '\0';
	assert_string_equal(line, text);
}

static void
notify__path_or_abstract_name__gets_the_lines(void **state)
{
	struct rota_context *ctx = context_of(state);
	char names[2][32] = { "notify" };
	char path[128];

	snprintf(names[1], sizeof names[1], "@rota-notify-%d", (int)getpid());
	for (int i = 0; i < 2; i++) {
		int fd = manager(names[i], path, sizeof path);

		assert_int_equal(rota_systemd_notify(ctx, "READY=1\nSTATUS=x"), 1);
		expect_line(fd, "READY=1\nSTATUS=x");
		close(fd);
		assert_int_equal(rota_systemd_notify(ctx, "READY=1"), -ECONNREFUSED);
	}
	unlink(scratch_path("notify"));
	unsetenv("NOTIFY_SOCKET");
}

static void
notify__its_lines__are_as_systemd_wants_them(void **state)
{
	struct rota_context *ctx = context_of(state);
	char path[128];
	char line[128];
	struct timespec now;
	long long microseconds;
	int fd = manager("notify", path, sizeof path);
	ssize_t n;

	assert_int_equal(rota_systemd_ready(ctx, NULL), 1);
	expect_line(fd, "READY=1");
	assert_int_equal(rota_systemd_ready(ctx, "serving 3 = all"), 1);
	expect_line(fd, "READY=1\nSTATUS=serving 3 = all");
	assert_int_equal(rota_systemd_ready(ctx, "two\nMAINPID=1"), -EINVAL);
	assert_int_equal(rota_systemd_stopping(ctx), 1);
	expect_line(fd, "STOPPING=1");
	assert_int_equal(rota_systemd_main_pid(ctx, 4711), 1);
	expect_line(fd, "MAINPID=4711");
	assert_int_equal(rota_systemd_main_pid(ctx, 0), -EINVAL);
	assert_int_equal(rota_systemd_main_pid(ctx, -1), -EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_int_equal(rota_systemd_reloading(ctx), 1);
	n = recv(fd, line, sizeof line - 1, 0);
	assert_true(n > 0);
	line[n] = '\0';
	assert_int_equal(sscanf(line, "RELOADING=1\nMONOTONIC_USEC=%lld", &microseconds), 1);
	assert_true(microseconds >= (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	assert_true(microseconds < (long long)(now.tv_sec + 60) * 1000000);
	close(fd);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
}

static void
notify__nobody_is_to_be_told__does_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);

	unsetenv("NOTIFY_SOCKET");
	faulty_sys_reset();
	faulty_sys_fail(FAULTY_ANY, 0, false, 0);
	assert_int_equal(rota_systemd_notify(ctx, "READY=1"), 0);
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(rota_systemd_notify(ctx, "READY=1"), 0);
	assert_int_equal(rota_systemd_reloading(ctx), 0);
	assert_int_equal(faulty_sys_calls(FAULTY_SOCKET), 0);
	unsetenv("NOTIFY_SOCKET");
}

static void
notify__socket_or_text_that_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char longest[200];
	char text[5000];

	memset(longest, '/', sizeof longest);
	longest[108] = '\0';
	memset(text, 'x', sizeof text);
	text[4097] = '\0';
	setenv("NOTIFY_SOCKET", longest, 1);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -EINVAL);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -EINVAL);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -EINVAL);
	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -EINVAL);
	assert_int_equal(rota_systemd_notify(ctx, ""), -EINVAL);
	assert_int_equal(rota_systemd_notify(ctx, text), -EMSGSIZE);
	assert_int_equal(rota_systemd_ready(ctx, text), -EMSGSIZE);
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(rota_systemd_notify(ctx, text), -EMSGSIZE);
}

static void
notify__it_does_not_read__does_not_wait(void **state)
{
	struct rota_context *ctx = context_of(state);
	char path[128];
	int fd = manager("notify", path, sizeof path);
	int sent = 0;
	int r;

	do {
		r = rota_systemd_notify(ctx, "WATCHDOG=1");
	} while (r == 1 && ++sent < 100000);
	assert_int_equal(r, -EAGAIN);
	expect_line(fd, "WATCHDOG=1");
	close(fd);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
}

static void
notify__the_system_says_no__says_it_too(void **state)
{
	struct rota_context *ctx = context_of(state);
	char path[128];
	int fd = manager("notify", path, sizeof path);

	faulty_sys_fail(FAULTY_SOCKET, 1, false, EMFILE);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -EMFILE);
	faulty_sys_fail(FAULTY_SENDMSG, 1, false, ENOBUFS);
	assert_int_equal(rota_systemd_notify(ctx, "x"), -ENOBUFS);
	faulty_sys_reset();
	close(fd);
	unlink(path);
	unsetenv("NOTIFY_SOCKET");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(listeners__variables_of_this_process__are_its_sockets),
		rig_test_exact(listeners__names__are_as_many_as_there_are),
		rig_test_exact(listeners__variables_of_nobody_here__are_left),
		rig_test_exact(listeners__variables_that_make_no_sense__are_refused),
		rig_test_exact(listeners__descriptor_is_not_open__says_so),
		rig_test_exact(listeners__are_listened_on),
		rig_test_exact(notify__path_or_abstract_name__gets_the_lines),
		rig_test_exact(notify__its_lines__are_as_systemd_wants_them),
		rig_test_exact(notify__nobody_is_to_be_told__does_nothing),
		rig_test_exact(notify__socket_or_text_that_makes_no_sense__is_refused),
		rig_test_exact(notify__it_does_not_read__does_not_wait),
		rig_test_exact(notify__the_system_says_no__says_it_too),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
