/* SPDX-License-Identifier: MIT */
/*
 * What listeners listen on: ports, unix paths and names, inherited descriptors; which options make
 * sense; and what is left when it fails.
 */
#include <rota/listener.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "scratch.h"

/* unix:PATH of a file in the tests' own directory, which is not there. */
static const char *
unix_text(void)
{
	static char text[64];

	snprintf(text, sizeof text, "unix:%s", scratch_path("socket"));
	unlink(text + 5);
	return text;
}

static bool
is_there(const char *text)
{
	struct stat status;

	return lstat(text + 5, &status) == 0;
}

/* What listening says to text, which must be an error. */
static int
refusal(struct rota_context *ctx, const char *text, const struct rota_listener_options *options)
{
	struct door *door = make_door(NULL, 0);
	int r = door_open(ctx, door, text, options);

	assert_true(r < 0);
	assert_null(door->listener);
	spin(ctx, 1);
	assert_int_equal(door->closed, 0);
	return r;
}

/* A listener on text that somebody can connect to. */
static struct door *
accepting(struct rota_context *ctx, const char *text, const struct rota_listener_options *options)
{
	struct door *door = make_door(make_ends(2), 2);
	int peer;

	assert_int_equal(door_open(ctx, door, text, options), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	close(peer);
	return door;
}

/* Ports */

static void
listen__port_0__tells_the_one_it_got(void **state)
{
	struct rota_context *ctx = context_of(state);

	assert_int_equal(strncmp(accepting(ctx, "127.0.0.1:0", NULL)->text, "127.0.0.1:", 10), 0);
	assert_int_equal(strncmp(accepting(ctx, "[::1]:0", NULL)->text, "[::1]:", 6), 0);
}

static void
listen__port_in_use__is_refused_unless_it_is_shared(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct door *first;
	struct door *second = make_door(NULL, 0);

	assert_int_equal(refusal(ctx, accepting(ctx, "127.0.0.1:0", NULL)->text, NULL),
		-EADDRINUSE);
	options.reuse_port = true;
	first = accepting(ctx, "127.0.0.1:0", &options);
	assert_int_equal(refusal(ctx, first->text, NULL), -EADDRINUSE);
	assert_int_equal(door_open(ctx, second, first->text, &options), 0);
}

static void
listen__port_whose_streams_are_just_closing__has_it_again(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = accepting(ctx, "127.0.0.1:0", NULL);
	struct door *again = make_door(NULL, 0);

	rota_stream_close(door->ends[0].stream);
	rota_listener_close(door->listener);
	assert_int_equal(door_open(ctx, again, door->text, NULL), 0);
}

/* The address for v4 of what listens on it by way of v6. */
static const char *
v4_of(const struct door *door)
{
	static char text[32];

	snprintf(text, sizeof text, "127.0.0.1%s", strrchr(door->text, ':'));
	return text;
}

static void
listen__v6_only__takes_v4_only_without_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct door *door = make_door(make_ends(1), 1);
	int peer;

	assert_int_equal(refusal(ctx, "[::ffff:127.0.0.1]:0", &options), -EINVAL);
	options.v6_only = false;
	assert_int_equal(door_open(ctx, door, "[::ffff:127.0.0.1]:0", &options), 0);
	peer = raw_connect(v4_of(door));
	wait_for(ctx, &door->accepted, 1);
	close(peer);
}

/* Unix sockets */

static void
listen__unix_path__is_removed_when_it_closes(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	struct door *door = accepting(ctx, text, NULL);

	assert_string_equal(door->text, text);
	assert_true(is_there(text));
	rota_listener_close(door->listener);
	assert_false(is_there(text));
}

static void
listen__unix_path_of_the_dead__is_replaced(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	char ignored[ROTA_ADDRESS_TEXT];

	close(raw_listen(text, 1, ignored));
	assert_true(is_there(text));
	accepting(ctx, text, NULL);
}

static void
listen__unix_path_in_use__is_refused_and_goes_on(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	struct door *door = accepting(ctx, text, NULL);
	int peer;

	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	/* Whoever listens there may have been asked whether it lives, by connecting. */
	assert_in_range(door->accepted, 1, 2);
	peer = raw_connect(text);
	wait_for(ctx, &door->accepted, door->accepted + 1);
	close(peer);
}

static void
listen__unix_path_in_use_with_a_full_backlog__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	char ignored[ROTA_ADDRESS_TEXT];
	int listening = raw_listen(text, 0, ignored);
	int peers[8];
	int count = 0;

	while (count < 8 && (peers[count] = raw_begin_connect(text)) >= 0)
		count++;
	assert_in_range(count, 1, 7);
	assert_int_equal(peers[count], -EAGAIN);
	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	assert_true(is_there(text));
	while (count > 0)
		close(peers[--count]);
	close(listening);
}

static void
listen__unix_path_is_no_socket__is_refused_and_stays(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();

	close(open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	assert_true(is_there(text));
	unlink(text + 5);
	assert_int_equal(symlink("nowhere", text + 5), 0);
	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	assert_true(is_there(text));
	unlink(text + 5);
}

static void
listen__unix_path_replaced_by_another__is_left_alone_at_the_close(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	struct door *door = accepting(ctx, text, NULL);
	char ignored[ROTA_ADDRESS_TEXT];
	int other;

	unlink(text + 5);
	other = raw_listen(text, 1, ignored);
	rota_listener_close(door->listener);
	assert_true(is_there(text));
	close(other);
	unlink(text + 5);
}

static void
listen__unix_path_gone__closes_all_the_same(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();
	struct door *door = accepting(ctx, text, NULL);

	unlink(text + 5);
	rota_listener_close(door->listener);
	wait_for(ctx, &door->closed, 1);
	assert_int_equal(door->why.reason, ROTA_REASON_LOCAL);
}

static void
listen__unix_path_cannot_be_bound__says_why(void **state)
{
	struct rota_context *ctx = context_of(state);

	assert_int_equal(refusal(ctx, "unix:/tmp/rota-no-such-directory/socket", NULL), -ENOENT);
}

static void
listen__unix_name_without_a_file__works_and_is_refused_while_in_use(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door;
	char text[64];

	snprintf(text, sizeof text, "unix:@rota-test-%d", (int)getpid());
	door = accepting(ctx, text, NULL);
	assert_string_equal(door->text, text);
	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	rota_listener_close(door->listener);
	accepting(ctx, text, NULL);
}

static void
listen__fails_after_the_path_was_bound__leaves_no_path(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();

	faulty_sys_fail(FAULTY_LISTEN, 1, false, EADDRINUSE);
	assert_int_equal(refusal(ctx, text, NULL), -EADDRINUSE);
	assert_false(is_there(text));
}

/* Inherited descriptors */

static const char *
fd_text(int fd)
{
	static char text[32];

	snprintf(text, sizeof text, "fd:%d", fd);
	return text;
}

static void
check_inherited(struct rota_context *ctx, const char *address)
{
	char text[ROTA_ADDRESS_TEXT];
	int fd = raw_listen(address, 4, text);
	struct door *door;

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(fcntl(fd, F_SETFD, 0), 0);
	door = accepting(ctx, fd_text(fd), NULL);
	assert_string_equal(door->text, text);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	rota_listener_close(door->listener);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
listen__inherited_descriptor__takes_it(void **state)
{
	struct rota_context *ctx = context_of(state);
	const char *text = unix_text();

	check_inherited(ctx, "127.0.0.1:0");
	check_inherited(ctx, text);
	/* The path is of whoever bound it. */
	assert_true(is_there(text));
}

static void
check_accepted_has_options(struct rota_context *ctx, const char *text)
{
	struct door *door = make_door(make_ends(1), 1);
	struct rota_listener_options options = door_options();
	int value = 0;
	socklen_t length = sizeof value;
	int peer;

	options.stream.keepalive_idle = 77;
	assert_int_equal(door_open(ctx, door, text, &options), 0);
	peer = raw_connect(door->text);
	wait_for(ctx, &door->ends[0].told[END_OPEN], 1);
	assert_int_equal(getsockopt(rota_stream_fd(door->ends[0].stream), IPPROTO_TCP, TCP_KEEPIDLE,
				 &value, &length),
		0);
	assert_int_equal(value, 77);
	close(peer);
}

static void
listen__options_of_tcp__are_those_of_what_it_accepts(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];

	check_accepted_has_options(ctx, "127.0.0.1:0");
	check_accepted_has_options(ctx, "[::1]:0");
	check_accepted_has_options(ctx, fd_text(raw_listen("127.0.0.1:0", 4, text)));
}

/* It is refused, and still the caller's. */
static void
check_not_inherited(struct rota_context *ctx, int fd, int error)
{
	assert_true(fd >= 0);
	assert_int_equal(refusal(ctx, fd_text(fd), NULL), error);
	assert_int_equal(close(fd), 0);
}

static int
listening_packets(void)
{
	const char *text = unix_text();
	struct rota_address address;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(rota_address_parse(text, &address), 0);
	assert_int_equal(bind(fd, &address.socket.any, address.length), 0);
	assert_int_equal(listen(fd, 1), 0);
	unlink(text + 5);
	return fd;
}

static void
listen__inherited_descriptor_that_does_not_listen__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_not_inherited(ctx, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -EINVAL);
	check_not_inherited(ctx, socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), -EINVAL);
	check_not_inherited(ctx, listening_packets(), -EINVAL);
	check_not_inherited(ctx, open("/dev/null", O_RDONLY | O_CLOEXEC), -ENOTSOCK);
	assert_int_equal(refusal(ctx, "fd:19999", NULL), -EBADF);
	assert_int_equal(refusal(ctx, "fd:2147483647", NULL), -EBADF);
}

static void
listen__inherited_descriptor_is_watched_already__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	char text[ROTA_ADDRESS_TEXT];
	int fd = raw_listen("127.0.0.1:0", 4, text);
	struct door *door = make_door(make_ends(1), 1);
	int peer;

	assert_int_equal(door_open(ctx, door, fd_text(fd), NULL), 0);
	assert_int_equal(refusal(ctx, fd_text(fd), NULL), -EEXIST);
	peer = raw_connect(text);
	wait_for(ctx, &door->accepted, 1);
	close(peer);
}

/* With any fault, it is the listener's if that listens, else the caller's: closed once. */
static void
inherit(struct fixture *fixture)
{
	char text[ROTA_ADDRESS_TEXT];
	struct door *door = make_door(NULL, 0);
	int fd = raw_listen("127.0.0.1:0", 1, text);

	if (door_open(fixture->ctx, door, fd_text(fd), NULL) < 0) {
		assert_null(door->listener);
		assert_int_equal(close(fd), 0);
	}
}

static void
listen__inherited_descriptor_and_a_fault__belongs_to_exactly_one(void **state)
{
	(void)state;
	with_failing_allocations(inherit, false);
	with_failing_allocations(inherit, true);
	with_failing_calls(inherit);
}

/* What makes no sense, and what fails */

static void
listen__text_that_is_no_address__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);

	assert_int_equal(refusal(ctx, "", NULL), -ROTA_EADDRESS);
	assert_int_equal(refusal(ctx, "127.0.0.1", NULL), -ROTA_EADDRESS);
	assert_int_equal(refusal(ctx, "localhost:80", NULL), -ROTA_ENAME);
}

static void
listen__address_of_nobody_here__says_so(void **state)
{
	assert_int_equal(refusal(context_of(state), "192.0.2.1:0", NULL), -EADDRNOTAVAIL);
}

typedef void spoil_fn(struct rota_listener_options *options);

#define SPOIL(name, member, value) \
	static void spoil_##name(struct rota_listener_options *options) \
	{ \
		options->member = value; \
	}

SPOIL(size, size, sizeof *options - 1)
SPOIL(backlog, backlog, 0)
SPOIL(negative_backlog, backlog, -1)
SPOIL(stream_size, stream.size, 0)
SPOIL(input_limit, stream.input_limit, 0)
SPOIL(output_high, stream.output_high, 0)
SPOIL(output_low, stream.output_low, options->stream.output_high)
SPOIL(session_size, stream.session_size, SIZE_MAX)
SPOIL(connect_timeout, stream.connect_timeout, 0)
SPOIL(handshake_timeout, stream.handshake_timeout, -1)
SPOIL(idle_timeout, stream.idle_timeout, 0)
SPOIL(write_stall_timeout, stream.write_stall_timeout, 0)
SPOIL(half_closed_timeout, stream.half_closed_timeout, 0)
SPOIL(lifetime, stream.lifetime, -ROTA_SECOND)
SPOIL(close_timeout, stream.close_timeout, 0)

static void
listen__options_that_make_no_sense__are_refused(void **state)
{
	static spoil_fn *const spoils[] = { spoil_size, spoil_backlog, spoil_negative_backlog,
		spoil_stream_size, spoil_input_limit, spoil_output_high, spoil_output_low,
		spoil_session_size, spoil_connect_timeout, spoil_handshake_timeout,
		spoil_idle_timeout, spoil_write_stall_timeout, spoil_half_closed_timeout,
		spoil_lifetime, spoil_close_timeout };

	for (size_t i = 0; i < sizeof spoils / sizeof spoils[0]; i++) {
		struct rota_listener_options options = door_options();

		spoils[i](&options);
		assert_int_equal(refusal(context_of(state), "127.0.0.1:0", &options), -EINVAL);
	}
}

static void
check_call(struct rota_context *ctx, enum faulty_call call, const char *text)
{
	for (const int *error = faulty_sys_errors(call); *error != 0; error++) {
		faulty_sys_fail(call, 1, false, *error);
		assert_int_equal(refusal(ctx, text, NULL), -*error);
		assert_int_equal(faulty_sys_failed(), 1);
	}
}

static void
listen__the_system_says_no__says_it_too(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_call(ctx, FAULTY_SOCKET, "127.0.0.1:0");
	check_call(ctx, FAULTY_SETSOCKOPT, "127.0.0.1:0");
	check_call(ctx, FAULTY_BIND, "127.0.0.1:0");
	check_call(ctx, FAULTY_LISTEN, "127.0.0.1:0");
	check_call(ctx, FAULTY_SETSOCKOPT, "[::1]:0");
	check_call(ctx, FAULTY_BIND, unix_text());
	accepting(ctx, "127.0.0.1:0", NULL);
}

static int
remove_directory(void **state)
{
	unlink(unix_text() + 5);
	return scratch_remove(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(listen__port_0__tells_the_one_it_got),
		rig_test(listen__port_in_use__is_refused_unless_it_is_shared),
		rig_test(listen__port_whose_streams_are_just_closing__has_it_again),
		rig_test(listen__v6_only__takes_v4_only_without_it),
		rig_test(listen__unix_path__is_removed_when_it_closes),
		rig_test(listen__unix_path_of_the_dead__is_replaced),
		rig_test(listen__unix_path_in_use__is_refused_and_goes_on),
		rig_test(listen__unix_path_in_use_with_a_full_backlog__is_refused),
		rig_test(listen__unix_path_is_no_socket__is_refused_and_stays),
		rig_test(listen__unix_path_replaced_by_another__is_left_alone_at_the_close),
		rig_test(listen__unix_path_gone__closes_all_the_same),
		rig_test(listen__unix_path_cannot_be_bound__says_why),
		rig_test(listen__unix_name_without_a_file__works_and_is_refused_while_in_use),
		rig_test(listen__fails_after_the_path_was_bound__leaves_no_path),
		rig_test(listen__inherited_descriptor__takes_it),
		rig_test(listen__options_of_tcp__are_those_of_what_it_accepts),
		rig_test(listen__inherited_descriptor_that_does_not_listen__is_refused),
		rig_test(listen__inherited_descriptor_is_watched_already__is_refused),
		cmocka_unit_test(listen__inherited_descriptor_and_a_fault__belongs_to_exactly_one),
		rig_test(listen__text_that_is_no_address__is_refused),
		rig_test(listen__address_of_nobody_here__says_so),
		rig_test(listen__options_that_make_no_sense__are_refused),
		rig_test(listen__the_system_says_no__says_it_too),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, scratch_make, remove_directory);
}
