/* SPDX-License-Identifier: MIT */
/*
 * Permissions of a listener's unix path: what unix_mode says less what the umask takes, from the
 * moment that the path is there.
 */
#include <rota/listener.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "rig.h"
#include "scratch.h"

static char text[64];

/* What the path had when bind had just made it. */
static mode_t mode_at_birth;

static mode_t
mode_of_path(void)
{
	struct stat status;

	assert_int_equal(lstat(text + 5, &status), 0);
	return status.st_mode & 07777;
}

static int
spying_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int r = faulty_sys_ops.bind(fd, address, length);

	if (r == 0)
		mode_at_birth = mode_of_path();
	return r;
}

static void
check_mode(struct rota_context *ctx, mode_t mask, mode_t asked, mode_t expected)
{
	struct rota_listener_options options = door_options();
	struct rota_sys_ops spying = faulty_sys_ops;
	struct door *door = make_door(NULL, 0);
	mode_t before = umask(mask);

	spying.bind = spying_bind;
	ctx->sys = &spying;
	options.unix_mode = asked;
	assert_int_equal(door_open(ctx, door, text, &options), 0);
	ctx->sys = &faulty_sys_ops;
	(void)umask(before);
	assert_int_equal(mode_at_birth, expected);
	assert_int_equal(mode_of_path(), expected);
	rota_listener_close(door->listener);
	wait_for(ctx, &door->closed, 1);
}

static void
unix_mode__is_the_paths_from_its_birth_on(void **state)
{
	struct rota_context *ctx = context_of(state);

	check_mode(ctx, 0, 0600, 0600);
	check_mode(ctx, 0, 0660, 0660);
	check_mode(ctx, 0, 0777, 0777);
	check_mode(ctx, 022, 0600, 0600);
}

static void
unix_mode__umask__takes_from_it(void **state)
{
	check_mode(context_of(state), 027, 0666, 0640);
}

static void
unix_mode__none__is_the_umasks(void **state)
{
	check_mode(context_of(state), 022, 0, 0755);
	check_mode(context_of(state), 0, 0, 0777);
}

static void
unix_mode__path_of_the_dead__is_the_new_ones(void **state)
{
	char ignored[ROTA_ADDRESS_TEXT];
	mode_t before = umask(0);

	close(raw_listen(text, 1, ignored));
	(void)umask(before);
	assert_int_equal(mode_of_path(), 0777);
	check_mode(context_of(state), 0, 0600, 0600);
}

static void
unix_mode__address_without_a_path__does_not_matter(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	char name[64];

	snprintf(name, sizeof name, "unix:@rota-mode-%d", (int)getpid());
	options.unix_mode = 0600;
	assert_int_equal(door_open(ctx, make_door(NULL, 0), "127.0.0.1:0", &options), 0);
	assert_int_equal(door_open(ctx, make_door(NULL, 0), name, &options), 0);
}

static void
unix_mode__more_than_permissions__is_refused(void **state)
{
	struct rota_listener_options options = door_options();

	options.unix_mode = 04600;
	assert_int_equal(door_open(context_of(state), make_door(NULL, 0), text, &options), -EINVAL);
	options.unix_mode = S_IFSOCK | 0600;
	assert_int_equal(door_open(context_of(state), make_door(NULL, 0), text, &options), -EINVAL);
	assert_int_equal(access(text + 5, F_OK), -1);
}

static void
unix_mode__cannot_be_set__leaves_no_path(void **state)
{
	struct rota_listener_options options = door_options();

	options.unix_mode = 0600;
	for (const int *error = faulty_sys_errors(FAULTY_FCHMOD); *error != 0; error++) {
		faulty_sys_fail(FAULTY_FCHMOD, 1, false, *error);
		assert_int_equal(door_open(context_of(state), make_door(NULL, 0), text, &options),
			-*error);
		assert_int_equal(access(text + 5, F_OK), -1);
	}
	faulty_sys_reset();
}

static int
make_directory(void **state)
{
	if (scratch_make(state) < 0)
		return -1;
	snprintf(text, sizeof text, "unix:%s", scratch_path("socket"));
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(unix_mode__is_the_paths_from_its_birth_on),
		rig_test(unix_mode__umask__takes_from_it),
		rig_test(unix_mode__none__is_the_umasks),
		rig_test(unix_mode__path_of_the_dead__is_the_new_ones),
		rig_test(unix_mode__address_without_a_path__does_not_matter),
		rig_test(unix_mode__more_than_permissions__is_refused),
		rig_test(unix_mode__cannot_be_set__leaves_no_path),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, make_directory, scratch_remove);
}
