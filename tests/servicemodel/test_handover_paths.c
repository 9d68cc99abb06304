/* SPDX-License-Identifier: MIT */
/*
 * The paths of a handover: whose those of unix listeners are, before and behind it, and the path at
 * which it is offered: who may be there, who is replaced, and what is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "handing.h"

/* Paths of unix listeners */

static void
own_path__after_ready__passes_from_one_to_the_other(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct door *doors[2];
	struct door *news[2];
	struct handing old;

	handing_init(ctx, &old);
	doors[0] = handing_listen(&old, handing_unix);
	doors[1] = handing_listen(&old, "127.0.0.1:0");
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	for (int i = 0; i < 2; i++)
		news[i] = handing_take(ctx, takeover, doors[i]->text, 1);
	assert_int_equal(rota_takeover_own_path(takeover, news[0]->listener), -EINVAL);
	assert_true(rota_listener_owns_path(doors[0]->listener));
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_false(rota_listener_owns_path(doors[0]->listener));
	for (int i = 0; i < 2; i++)
		assert_int_equal(rota_takeover_own_path(takeover, news[i]->listener), 0);
	/* Others are not its affair. */
	assert_int_equal(rota_takeover_own_path(takeover, doors[0]->listener), 0);
	assert_false(rota_listener_owns_path(doors[0]->listener));
	rota_listener_close(doors[0]->listener);
	assert_int_equal(rota_takeover_own_path(takeover, doors[0]->listener), -ENOTCONN);
	assert_true(handing_is_there(handing_unix));
	rota_listener_close(news[0]->listener);
	assert_false(handing_is_there(handing_unix));
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
}

static void
own_path__the_old_one_did_not__the_new_one_does_not_either(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct door *door;
	struct handing old;

	handing_init(ctx, &old);
	door = handing_listen(&old, handing_unix);
	assert_int_equal(rota_listener_own_path(door->listener, false), 0);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	door = handing_take(ctx, takeover, handing_unix, 1);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	assert_int_equal(rota_takeover_own_path(takeover, door->listener), 0);
	assert_false(rota_listener_owns_path(door->listener));
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
	unlink(handing_path);
	unlink(handing_unix + 5);
}

/* An address is the longest there can be: its path has no NUL in the kernel. */
static void
ready__unix_listener_that_nobody_wants__has_no_path_any_more(void **state)
{
	struct rota_context *ctx = context_of(state);
	char longest[5 + 108 + 1];
	const char *const texts[] = { handing_unix, longest };

	memset(longest, 'x', sizeof longest);
	memcpy(longest, handing_unix, strlen(handing_unix));
	longest[5 + 107] = '\0';
	for (int i = 0; i < 4; i++) {
		bool owns = i % 2 == 0;
		struct rota_takeover *takeover;
		struct door *door;
		struct handing old;

		handing_init(ctx, &old);
		door = handing_listen(&old, texts[i / 2]);
		assert_int_equal(rota_listener_own_path(door->listener, owns), 0);
		assert_int_equal(handing_offer(&old), 0);
		takeover = handing_take_over(ctx);
		assert_true(handing_is_there(texts[i / 2]));
		assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
		assert_int_equal(handing_is_there(texts[i / 2]), !owns);
		rota_takeover_free(takeover);
		rota_handover_free(old.handover);
		rota_listener_close(door->listener);
		unlink(handing_path);
		unlink(texts[i / 2] + 5);
	}
}

static void
own_path__new_one_fails__stays_the_old_ones(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct door *door;
	struct door *new;
	struct handing old;

	handing_init(ctx, &old);
	door = handing_listen(&old, handing_unix);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	new = handing_take(ctx, takeover, handing_unix, 1);
	rota_listener_close(new->listener);
	rota_takeover_free(takeover);
	wait_for(ctx, &old.failed, 1);
	handing_check_echo(ctx, handing_unix);
	rota_handover_free(old.handover);
	rota_listener_close(door->listener);
	assert_false(handing_is_there(handing_unix));
}

/* The path at which it is done */

static mode_t
mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode;
}

static void
offer__its_path__is_a_socket_of_this_user_alone(void **state)
{
	struct handing old;
	mode_t before = umask(0);

	handing_init(context_of(state), &old);
	assert_int_equal(handing_offer(&old), 0);
	(void)umask(before);
	assert_int_equal(mode_of(handing_path), S_IFSOCK | 0600);
	rota_handover_free(old.handover);
	assert_false(handing_is_there(handing_path));
}

static void
offer__somebody_offers_there__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;
	struct handing other;

	handing_init(ctx, &old);
	handing_init(ctx, &other);
	assert_int_equal(handing_offer(&old), 0);
	assert_int_equal(handing_offer(&other), -EADDRINUSE);
	/* To have looked is nobody's failure. */
	spin(ctx, 3);
	assert_int_equal(old.failed, 0);
	takeover = handing_take_over(ctx);
	rota_takeover_free(takeover);
	rota_handover_free(old.handover);
}

static void
offer__replaces__there_is_always_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;
	struct handing new;

	handing_init(ctx, &old);
	handing_init(ctx, &new);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	new.options.replace = true;
	faulty_sys_reset();
	assert_int_equal(handing_offer(&new), 0);
	rota_takeover_free(takeover);
	spin(ctx, 3);
	rota_handover_free(old.handover);
	assert_true(handing_is_there(handing_path));
	takeover = handing_take_over(ctx);
	assert_int_equal(new.asked, 1);
	rota_takeover_free(takeover);
	rota_handover_free(new.handover);
	assert_false(handing_is_there(handing_path));
}

static void
takeover__waiting_when_another_was_faster__finds_that_one(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_takeover *takeover;
	struct handing old;
	struct handing new;
	int waiting;
	char packet[64];
	int count;

	handing_init(ctx, &old);
	handing_init(ctx, &new);
	assert_int_equal(handing_offer(&old), 0);
	takeover = handing_take_over(ctx);
	waiting = handing_say("rota-takeover 1 ask");
	assert_int_equal(rota_takeover_ready(takeover, 10 * ROTA_SECOND), 0);
	new.options.replace = true;
	assert_int_equal(handing_offer(&new), 0);
	expect_silence(waiting);
	rota_takeover_free(takeover);
	assert_true(handing_hear(ctx, waiting, packet, sizeof packet, &count) <= 0);
	close(waiting);
	assert_int_equal(old.asked, 2);
	rota_handover_free(old.handover);
	rota_handover_free(new.handover);
}

static void
offer__what_nobody_offers_at_any_more__is_replaced(void **state)
{
	struct handing old;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	handing_init(context_of(state), &old);
	memcpy(address.sun_path, handing_path, strlen(handing_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	assert_int_equal(rota_takeover(old.ctx, handing_path, ROTA_SECOND,
				 &(struct rota_takeover *){ NULL }),
		-ECONNREFUSED);
	assert_int_equal(handing_offer(&old), 0);
	rota_handover_free(old.handover);
	assert_false(handing_is_there(handing_path));
}

static void
offer__no_socket_is_there__is_refused_and_left(void **state)
{
	struct handing old;
	int fd = open(handing_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	handing_init(context_of(state), &old);
	old.options.replace = true;
	assert_int_equal(handing_offer(&old), -EADDRINUSE);
	assert_true(S_ISREG(mode_of(handing_path)));
	close(fd);
	unlink(handing_path);
}

static void
offer__directory_that_others_write_to__is_refused(void **state)
{
	char directory[sizeof handing_path];
	struct handing old;

	handing_init(context_of(state), &old);
	snprintf(directory, sizeof directory, "%.*s",
		(int)(strrchr(handing_path, '/') - handing_path), handing_path);
	for (mode_t mode = 0020; mode != 0; mode = mode == 0020 ? 0002 : 0) {
		assert_int_equal(chmod(directory, 0700 | mode), 0);
		assert_int_equal(handing_offer(&old), -EPERM);
		assert_false(handing_is_there(handing_path));
	}
	assert_int_equal(chmod(directory, 0755), 0);
	assert_int_equal(handing_offer(&old), 0);
	rota_handover_free(old.handover);
	assert_int_equal(chmod(directory, 0700), 0);
}

static void
offer__what_makes_no_sense__is_refused(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_handover_options options = ROTA_HANDOVER_OPTIONS_INIT;
	struct rota_handover_handlers handlers = handing_handlers;
	struct rota_handover *handover = NULL;
	struct rota_takeover *takeover = NULL;
	char longest[120];

	memset(longest, 'x', sizeof longest);
	longest[96] = '\0';
	longest[0] = '/';
	assert_int_equal(rota_handover_offer(ctx, longest, NULL, &handlers, NULL, &handover),
		-ENAMETOOLONG);
	assert_int_equal(rota_takeover(ctx, longest, ROTA_SECOND, &takeover), -ENAMETOOLONG);
	assert_int_equal(rota_handover_offer(ctx, "", NULL, &handlers, NULL, &handover), -ENOENT);
	assert_int_equal(rota_takeover(ctx, "", ROTA_SECOND, &takeover), -ENOENT);
	assert_int_equal(rota_takeover(ctx, handing_path, ROTA_SECOND, &takeover), -ENOENT);
	assert_int_equal(rota_handover_offer(ctx, "/nowhere/x", NULL, &handlers, NULL, &handover),
		-ENOENT);
	options.size--;
	assert_int_equal(rota_handover_offer(ctx, handing_path, &options, &handlers, NULL,
				 &handover),
		-EINVAL);
	options.size++;
	options.start_timeout = 0;
	assert_int_equal(rota_handover_offer(ctx, handing_path, &options, &handlers, NULL,
				 &handover),
		-EINVAL);
	assert_int_equal(rota_handover_offer(ctx, handing_path, NULL, NULL, NULL, &handover),
		-EINVAL);
	handlers.listeners = NULL;
	assert_int_equal(rota_handover_offer(ctx, handing_path, NULL, &handlers, NULL, &handover),
		-EINVAL);
	handlers = handing_handlers;
	handlers.on_taken = NULL;
	assert_int_equal(rota_handover_offer(ctx, handing_path, NULL, &handlers, NULL, &handover),
		-EINVAL);
	assert_null(handover);
	assert_null(takeover);
	assert_false(handing_is_there(handing_path));
}

/* The longest path there can be, and one without a directory. */
static void
offer__longest_and_shortest_path__work(void **state)
{
	struct rota_context *ctx = context_of(state);
	char paths[2][120];
	char here[4096];

	memset(paths[0], 'x', sizeof paths[0]);
	memcpy(paths[0], handing_path, strlen(handing_path));
	paths[0][95] = '\0';
	strcpy(paths[1], "x");
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir("/tmp"), 0);
	*strrchr(handing_path, '/') = '\0';
	assert_int_equal(chdir(handing_path), 0);
	handing_path[strlen(handing_path)] = '/';
	for (int i = 0; i < 2; i++) {
		struct rota_takeover *takeover;
		struct handing old;

		handing_init(ctx, &old);
		assert_int_equal(rota_handover_offer(ctx, paths[i], NULL, &handing_handlers, &old,
					 &old.handover),
			0);
		assert_int_equal(rota_takeover(ctx, paths[i], ROTA_SECOND, &takeover), 0);
		rota_takeover_free(takeover);
		rota_handover_free(old.handover);
		assert_false(handing_is_there(paths[i]));
	}
	assert_int_equal(chdir(here), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test_exact(own_path__after_ready__passes_from_one_to_the_other),
		rig_test_exact(own_path__the_old_one_did_not__the_new_one_does_not_either),
		rig_test_exact(ready__unix_listener_that_nobody_wants__has_no_path_any_more),
		rig_test_exact(own_path__new_one_fails__stays_the_old_ones),
		rig_test_exact(offer__its_path__is_a_socket_of_this_user_alone),
		rig_test_exact(offer__somebody_offers_there__is_refused),
		rig_test_exact(offer__replaces__there_is_always_one),
		rig_test_exact(takeover__waiting_when_another_was_faster__finds_that_one),
		rig_test_exact(offer__what_nobody_offers_at_any_more__is_replaced),
		rig_test_exact(offer__no_socket_is_there__is_refused_and_left),
		rig_test_exact(offer__directory_that_others_write_to__is_refused),
		rig_test_exact(offer__what_makes_no_sense__is_refused),
		rig_test_exact(offer__longest_and_shortest_path__work),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, handing_make_directory, scratch_remove);
}
