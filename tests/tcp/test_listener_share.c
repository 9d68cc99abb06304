/* SPDX-License-Identifier: MIT */
/*
 * Listeners whose socket another process has too: their descriptor, whose path it is, and that one
 * of both closes without a trace.
 */
#include <rota/listener.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "scratch.h"

static char path[64];
static char text[sizeof path + 8];

static bool
is_there(void)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

static struct door *
opened(struct rota_context *ctx, const char *address)
{
	struct door *door = make_door(make_echoes(2), 2);

	assert_int_equal(door_open(ctx, door, address, NULL), 0);
	return door;
}

static void
closed(struct rota_context *ctx, struct door *door)
{
	rota_listener_close(door->listener);
	wait_for(ctx, &door->closed, 1);
}

/* The same socket as another process would have it, as an address. */
static const char *
copy_of(const struct door *door, int *ret_fd)
{
	static char copy[16];

	*ret_fd = fcntl(rota_listener_fd(door->listener), F_DUPFD_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	snprintf(copy, sizeof copy, "fd:%d", *ret_fd);
	return copy;
}

static void
fd__is_the_listening_socket_until_it_is_closed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, "127.0.0.1:0");
	int listens = 0;
	socklen_t length = sizeof listens;

	assert_int_equal(getsockopt(rota_listener_fd(door->listener), SOL_SOCKET, SO_ACCEPTCONN,
				 &listens, &length),
		0);
	assert_int_equal(listens, 1);
	rota_listener_close(door->listener);
	assert_int_equal(rota_listener_fd(door->listener), -ENOTCONN);
	assert_int_equal(rota_listener_own_path(door->listener, true), -ENOTCONN);
	assert_int_equal(rota_listener_own_path(door->listener, false), -ENOTCONN);
}

static void
close__others_have_the_socket__disturbs_nobody(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, "127.0.0.1:0");
	struct door *other = make_door(make_echoes(2), 2);
	int peers[2];
	int fd;

	(void)copy_of(door, &fd);
	faulty_sys_reset();
	peers[0] = raw_connect(door->text);
	rota_listener_close(door->listener);
	peers[1] = raw_connect(door->text);
	assert_int_equal(faulty_sys_calls(FAULTY_SHUTDOWN), 0);
	{
		char inherited[16];

		snprintf(inherited, sizeof inherited, "fd:%d", fd);
		assert_int_equal(door_open(ctx, other, inherited, NULL), 0);
	}
	for (int i = 0; i < 2; i++) {
		raw_send(peers[i], "ping", 4);
		expect_bytes(ctx, peers[i], "ping", 4);
		close(peers[i]);
	}
	assert_int_equal(door->accepted, 0);
	assert_int_equal(other->accepted, 2);
}

/* The descriptors of this process that are epolls; not asked of libev, who keeps those better. */
static void
check_epolls(void)
{
	for (int fd = 0; fd < 100; fd++) {
		char link[32];
		char what[64] = "";

		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		if (readlink(link, what, sizeof what - 1) > 0 && strstr(what, "eventpoll") != NULL)
			assert_false(raw_has_input(fd, 0));
	}
}

/* What epoll watches is the open socket, not the descriptor that was closed here. */
static void
check_idle(struct rota_context *ctx, struct door *door, int fd)
{
	int peer;

	spin(ctx, 2);
	rota_listener_close(door->listener);
	spin(ctx, 2);
	peer = raw_connect(door->text);
	check_epolls();
	assert_int_equal(rota_dispatch_once(ctx, 0, NULL), 0);
	close(peer);
	close(fd);
}

static void
close__others_have_the_socket__does_not_watch_it_any_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, "127.0.0.1:0");
	int fd;

	(void)copy_of(door, &fd);
	check_idle(ctx, door, fd);
}

static void
close__inherited_and_others_have_it__does_not_watch_it_any_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	char address[ROTA_ADDRESS_TEXT];
	char inherited[16];
	int fd = raw_listen("127.0.0.1:0", 4, address);
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	snprintf(inherited, sizeof inherited, "fd:%d", fd);
	check_idle(ctx, opened(ctx, inherited), copy);
}

/* Resumed, it is watched again, though it was deleted from what is watched meanwhile. */
static void
pause__others_have_the_socket__accepts_when_resumed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, "127.0.0.1:0");
	int fd;
	int peer;

	(void)copy_of(door, &fd);
	for (int i = 0; i < 2; i++) {
		rota_listener_pause(door->listener);
		spin(ctx, 2);
		peer = raw_connect(door->text);
		spin(ctx, 2);
		assert_int_equal(door->accepted, i);
		rota_listener_resume(door->listener);
		wait_for(ctx, &door->accepted, i + 1);
		close(peer);
	}
	close(fd);
}

/* Paths */

static void
own_path__by_default__is_who_made_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, text);
	int fd;
	struct door *other = opened(ctx, copy_of(door, &fd));

	assert_true(rota_listener_owns_path(door->listener));
	assert_false(rota_listener_owns_path(other->listener));
	closed(ctx, other);
	assert_true(is_there());
	closed(ctx, door);
	assert_false(is_there());
}

static void
own_path__passed_on__is_the_others(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, text);
	int fd;
	struct door *other = opened(ctx, copy_of(door, &fd));
	int peer;

	assert_int_equal(rota_listener_own_path(door->listener, false), 0);
	assert_int_equal(rota_listener_own_path(other->listener, true), 0);
	assert_true(rota_listener_owns_path(other->listener));
	closed(ctx, door);
	assert_true(is_there());
	peer = raw_connect(text);
	raw_send(peer, "ping", 4);
	expect_bytes(ctx, peer, "ping", 4);
	close(peer);
	closed(ctx, other);
	assert_false(is_there());
}

static void
own_path__another_socket_is_there_by_now__is_left(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, text);
	char ignored[ROTA_ADDRESS_TEXT];
	int fd;

	assert_int_equal(rota_listener_own_path(door->listener, true), 0);
	unlink(path);
	fd = raw_listen(text, 1, ignored);
	closed(ctx, door);
	assert_true(is_there());
	close(fd);
	unlink(path);
}

static void
own_path__nothing_or_no_socket_is_there__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = opened(ctx, text);
	int fd;

	assert_int_equal(rota_listener_own_path(door->listener, false), 0);
	unlink(path);
	assert_int_equal(rota_listener_own_path(door->listener, true), -ENOENT);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(rota_listener_own_path(door->listener, true), -ENOTSOCK);
	faulty_sys_fail(FAULTY_GETSOCKNAME, 1, false, ENOBUFS);
	assert_int_equal(rota_listener_own_path(door->listener, true), -ENOBUFS);
	faulty_sys_reset();
	assert_false(rota_listener_owns_path(door->listener));
	closed(ctx, door);
	assert_true(is_there());
	close(fd);
	unlink(path);
}

static void
own_path__longest_path__works(void **state)
{
	struct rota_context *ctx = context_of(state);
	char longest[5 + 108 + 1];
	struct stat status;
	struct door *door;

	snprintf(longest, sizeof longest, "unix:%s/", scratch);
	memset(longest + strlen(longest), 'x', sizeof longest - strlen(longest));
	longest[5 + 107] = '\0';
	door = opened(ctx, longest);
	assert_int_equal(rota_listener_own_path(door->listener, false), 0);
	assert_int_equal(rota_listener_own_path(door->listener, true), 0);
	closed(ctx, door);
	assert_int_equal(lstat(longest + 5, &status), -1);
}

static void
own_path__no_path__does_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	char name[64];

	snprintf(name, sizeof name, "unix:@rota-share-%d", (int)getpid());
	assert_int_equal(rota_listener_own_path(opened(ctx, name)->listener, true), 0);
	assert_int_equal(rota_listener_own_path(opened(ctx, "127.0.0.1:0")->listener, true), 0);
	assert_int_equal(rota_listener_own_path(opened(ctx, "127.0.0.1:0")->listener, false), 0);
}

static int
make_directory(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	snprintf(path, sizeof path, "%s", scratch_path("socket"));
	snprintf(text, sizeof text, "unix:%s", path);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(fd__is_the_listening_socket_until_it_is_closed),
		rig_test_exact(close__others_have_the_socket__disturbs_nobody),
		rig_test_exact(close__others_have_the_socket__does_not_watch_it_any_more),
		rig_test_exact(close__inherited_and_others_have_it__does_not_watch_it_any_more),
		rig_test(pause__others_have_the_socket__accepts_when_resumed),
		rig_test(own_path__by_default__is_who_made_it),
		rig_test(own_path__passed_on__is_the_others),
		rig_test(own_path__another_socket_is_there_by_now__is_left),
		rig_test(own_path__nothing_or_no_socket_is_there__says_so),
		rig_test(own_path__longest_path__works),
		rig_test(own_path__no_path__does_nothing),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, make_directory, scratch_remove);
}
