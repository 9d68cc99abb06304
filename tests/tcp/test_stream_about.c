/* SPDX-License-Identifier: MIT */
/*
 * What the system knows about a stream: its descriptor, who is at the other end of a unix socket,
 * and where it was going to before a NAT redirected it: by a system that says so, and by iptables
 * in a network namespace, where that can be had.
 */
#include <rota/stream.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"

/* Both ends of a connection by way of text, open. */
struct couple {
	struct door *door;
	struct end *accepted;
	struct end *connected;
};

static struct couple
open_couple(struct rota_context *ctx, const char *text)
{
	struct rota_listener_options options = door_options();
	struct couple couple = { .accepted = make_ends(1), .connected = make_ends(1) };

	options.v6_only = false;
	couple.door = make_door(couple.accepted, 1);
	assert_int_equal(door_open(ctx, couple.door, text, &options), 0);
	assert_int_equal(end_connect(ctx, couple.connected, couple.door->text, NULL), 0);
	wait_for(ctx, &couple.accepted->told[END_OPEN], 1);
	wait_for(ctx, &couple.connected->told[END_OPEN], 1);
	return couple;
}

static const char *
unix_name(void)
{
	static char text[64];

	snprintf(text, sizeof text, "unix:@rota-about-%d", (int)getpid());
	return text;
}

/* rota_stream_fd */

static void
stream_fd__while_there_is_a_connection__is_its_descriptor(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct couple couple = open_couple(ctx, "127.0.0.1:0");
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	struct rota_address local;
	int fd = rota_stream_fd(couple.connected->stream);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(rota_stream_local(couple.connected->stream, &local), 0);
	assert_int_equal(address.sin_port, local.socket.in.sin_port);
	rota_stream_abort(couple.connected->stream);
	assert_int_equal(rota_stream_fd(couple.connected->stream), -ENOTCONN);
}

static void
stream_fd__no_socket_could_be_made__is_none(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);

	faulty_sys_fail(FAULTY_SOCKET, 1, false, EMFILE);
	assert_int_equal(end_connect(ctx, end, "127.0.0.1:1", NULL), 0);
	assert_int_equal(rota_stream_fd(end->stream), -ENOTCONN);
}

/* rota_stream_credentials */

static void
check_mine(const struct end *end)
{
	struct ucred credentials = { 0 };

	assert_int_equal(rota_stream_credentials(end->stream, &credentials), 0);
	assert_int_equal(credentials.pid, getpid());
	assert_int_equal(credentials.uid, geteuid());
	assert_int_equal(credentials.gid, getegid());
}

static int
refusal(const struct end *end)
{
	struct ucred credentials = { .pid = 7, .uid = 8, .gid = 9 };
	int r = rota_stream_credentials(end->stream, &credentials);

	assert_true(r < 0);
	assert_int_equal(credentials.pid, 7);
	assert_int_equal(credentials.uid, 8);
	assert_int_equal(credentials.gid, 9);
	return r;
}

static void
credentials__of_a_unix_socket__are_its_peers(void **state)
{
	struct couple couple = open_couple(context_of(state), unix_name());

	check_mine(couple.accepted);
	check_mine(couple.connected);
}

/* As another process and user, and not those of this one. */
static void
credentials__of_another_process__are_not_ours(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct end *end = make_ends(1);
	struct door *door = make_door(end, 1);
	struct ucred credentials;
	int status;
	pid_t pid;

	assert_int_equal(door_open(ctx, door, unix_name(), NULL), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		exit_child((geteuid() != 0 || setuid(65534) == 0) && raw_connect(door->text) >= 0
				? 0
				: 1);
	wait_for(ctx, &door->accepted, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Though it has gone. */
	if (end->stream != NULL) {
		assert_int_equal(rota_stream_credentials(end->stream, &credentials), 0);
		assert_int_equal(credentials.pid, pid);
		assert_int_equal(credentials.uid, geteuid() == 0 ? 65534 : geteuid());
	}
}

static void
credentials__of_a_tcp_socket__there_are_none(void **state)
{
	struct couple couple = open_couple(context_of(state), "127.0.0.1:0");

	assert_int_equal(refusal(couple.accepted), -ENOTSUP);
	assert_int_equal(refusal(couple.connected), -ENOTSUP);
}

/* One that does not connect yet. */
static int
slow_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	(void)fd;
	(void)address;
	(void)length;
	errno = EINPROGRESS;
	return -1;
}

static void
credentials__without_a_connection__there_are_none(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct couple couple = open_couple(ctx, unix_name());
	struct rota_sys_ops slow = faulty_sys_ops;
	struct end *ends = make_ends(2);

	rota_stream_abort(couple.accepted->stream);
	assert_int_equal(refusal(couple.accepted), -ENOTCONN);
	/* A backlog is full, say: it tries again later. */
	faulty_sys_fail(FAULTY_CONNECT, 1, true, EAGAIN);
	assert_int_equal(end_connect(ctx, &ends[0], couple.door->text, NULL), 0);
	assert_int_equal(refusal(&ends[0]), -ENOTCONN);
	faulty_sys_reset();
	slow.connect = slow_connect;
	ctx->sys = &slow;
	assert_int_equal(end_connect(ctx, &ends[1], couple.door->text, NULL), 0);
	assert_int_equal(refusal(&ends[1]), -ENOTCONN);
	ctx->sys = &faulty_sys_ops;
}

static void
credentials__the_system_says_no__says_it_too(void **state)
{
	struct couple couple = open_couple(context_of(state), unix_name());

	for (uint64_t at = 1; at <= 2; at++) {
		faulty_sys_fail(FAULTY_GETSOCKOPT, at, false, ENOBUFS);
		assert_int_equal(refusal(couple.accepted), -ENOBUFS);
		assert_int_equal(faulty_sys_failed(), 1);
	}
	faulty_sys_reset();
	check_mine(couple.accepted);
}

/* rota_stream_original, of a system that was asked at this level and answers so */

static int asked_level;
static const char *answer; /* NULL: what errno is to be */
static int answer_error;

static int
answering_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct rota_address address;

	if (name != 80)
		return faulty_sys_ops.getsockopt(fd, level, name, value, length);
	asked_level = level;
	if (answer == NULL) {
		errno = answer_error;
		return -1;
	}
	assert_int_equal(rota_address_parse(answer, &address), 0);
	assert_true(*length >= address.length);
	memcpy(value, &address.socket, address.length);
	*length = address.length;
	return 0;
}

/*
 * What a stream says it was going to that was accepted by way of text from who connected to host.
 */
static int
ask_original(struct rota_context *ctx, const char *text, const char *host,
	struct rota_address *ret_address)
{
	struct rota_sys_ops answering = faulty_sys_ops;
	struct couple couple = { .accepted = make_ends(1) };
	struct rota_listener_options options = door_options();
	char peer_text[ROTA_ADDRESS_TEXT];
	int peer;
	int r;

	answering.getsockopt = answering_getsockopt;
	options.v6_only = false;
	couple.door = make_door(couple.accepted, 1);
	assert_int_equal(door_open(ctx, couple.door, text, &options), 0);
	snprintf(peer_text, sizeof peer_text, "%s%s", host, strrchr(couple.door->text, ':'));
	peer = raw_connect(peer_text);
	wait_for(ctx, &couple.accepted->told[END_OPEN], 1);
	ctx->sys = &answering;
	r = rota_stream_original(couple.accepted->stream, ret_address);
	ctx->sys = &faulty_sys_ops;
	close(peer);
	return r;
}

static void
check_original(struct rota_context *ctx, const char *text, const char *host, const char *says,
	int level)
{
	struct rota_address address;
	char original[ROTA_ADDRESS_TEXT];

	answer = says;
	assert_int_equal(ask_original(ctx, text, host, &address), 0);
	assert_string_equal(rota_address_format(&address, original, sizeof original), says);
	assert_int_equal(asked_level, level);
}

static void
original__redirected__is_where_it_was_going_to(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_original(ctx, "127.0.0.1:0", "127.0.0.1", "192.0.2.1:443", IPPROTO_IP);
	check_original(ctx, "[::1]:0", "[::1]", "[2001:db8::1]:443", IPPROTO_IPV6);
	/* IPv4 by way of a listener for both is IPv4 to the NAT. */
	check_original(ctx, "[::]:0", "127.0.0.1", "192.0.2.1:443", IPPROTO_IP);
}

static void
original__not_tracked__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_address address = { .fd = 77 };

	answer = NULL;
	answer_error = ENOENT;
	assert_int_equal(ask_original(ctx, "127.0.0.1:0", "127.0.0.1", &address), -ENOENT);
	answer_error = ENOPROTOOPT;
	assert_int_equal(ask_original(ctx, "[::1]:0", "[::1]", &address), -ENOPROTOOPT);
	assert_int_equal(address.fd, 77);
}

static void
original__no_such_connection__says_so(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct couple couple = open_couple(ctx, unix_name());
	struct rota_address address = { .fd = 77 };

	assert_int_equal(rota_stream_original(couple.accepted->stream, &address), -ENOTSUP);
	faulty_sys_fail(FAULTY_GETSOCKNAME, 1, false, ENOBUFS);
	assert_int_equal(rota_stream_original(couple.accepted->stream, &address), -ENOBUFS);
	faulty_sys_reset();
	rota_stream_abort(couple.accepted->stream);
	assert_int_equal(rota_stream_original(couple.accepted->stream, &address), -ENOTCONN);
	assert_int_equal(address.fd, 77);
}

/* In a child with a network of its own. Its exit status: 0, or what went wrong. */

#define SKIPPED 77

static void
keep_original(struct door *door, struct rota_stream *stream)
{
	char *text = door->userdata;
	struct rota_address address;

	if (rota_stream_original(stream, &address) == 0)
		rota_address_format(&address, text, ROTA_ADDRESS_TEXT);
}

static int
try_redirect(struct rota_context *ctx, const char *iptables, const char *listening,
	const char *wanted)
{
	char original[ROTA_ADDRESS_TEXT] = "";
	struct door *door = make_door(make_ends(1), 1);
	char command[256];

	door->on_accept = keep_original;
	door->userdata = original;
	if (door_open(ctx, door, listening, NULL) < 0)
		return 2;
	snprintf(command, sizeof command,
		"%s -t nat -A OUTPUT -p tcp --dport 9 -j REDIRECT --to-ports %s >/dev/null 2>&1",
		iptables, strrchr(door->text, ':') + 1);
	if (system(command) != 0)
		return SKIPPED;
	(void)raw_connect(wanted);
	wait_for(ctx, &door->accepted, 1);
	if (strcmp(original, wanted) != 0) {
		fprintf(stderr, "original of %s: %s\n", wanted, original);
		return 3;
	}
	return 0;
}

static int
be_redirected(struct rota_context *ctx)
{
	int r;

	if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up >/dev/null 2>&1") != 0)
		return SKIPPED;
	r = try_redirect(ctx, "iptables", "127.0.0.1:0", "127.0.0.7:9");
	return r != 0 ? r : try_redirect(ctx, "ip6tables", "[::1]:0", "[::1]:9");
}

static void
original__by_iptables__is_where_it_was_going_to(void **state)
{
	struct fixture *fixture = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		exit_child(rota_context_forked(fixture->ctx, 0) < 0 ? 1
								    : be_redirected(fixture->ctx));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED) {
		print_message("no network namespace with iptables can be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(stream_fd__while_there_is_a_connection__is_its_descriptor),
		rig_test(stream_fd__no_socket_could_be_made__is_none),
		rig_test(credentials__of_a_unix_socket__are_its_peers),
		rig_test(credentials__of_another_process__are_not_ours),
		rig_test(credentials__of_a_tcp_socket__there_are_none),
		rig_test(credentials__without_a_connection__there_are_none),
		rig_test(credentials__the_system_says_no__says_it_too),
		rig_test(original__redirected__is_where_it_was_going_to),
		rig_test(original__not_tracked__says_so),
		rig_test(original__no_such_connection__says_so),
		rig_test(original__by_iptables__is_where_it_was_going_to),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
