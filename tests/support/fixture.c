/* SPDX-License-Identifier: MIT */
/*
 * Fixtures: see fixture.h. Descriptors are compared by what /proc/self/fd has.
 */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rota/context_ops.h>

#include "context.h"
#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "host.h"
#include "sim_context.h"
#include "trace.h"

#define TEST_SECONDS 60

#ifdef ROTA_COVERAGE
void __gcov_dump(void);
#else
#define __gcov_dump() (void)0
#endif

static void
list_descriptors(uint64_t *descriptors)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	assert_non_null(directory);
	memset(descriptors, 0, FIXTURE_DESCRIPTORS / 8);
	while ((entry = readdir(directory)) != NULL) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(directory) && fd < FIXTURE_DESCRIPTORS)
			descriptors[fd / 64] |= (uint64_t)1 << fd % 64;
	}
	closedir(directory);
}

static void
tell_descriptor(int fd, const char *what)
{
	char path[64];
	char object[128] = "";

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (readlink(path, object, sizeof object - 1) < 0)
		object[0] = '\0';
	print_error("descriptor %d was %s %s\n", fd, what, object);
}

/* 0, or -1 when a descriptor has appeared or gone. */
static int
compare_descriptors(const uint64_t *before)
{
	uint64_t after[FIXTURE_DESCRIPTORS / 64];
	int r = 0;

	list_descriptors(after);
	for (int slot = 0; slot < FIXTURE_DESCRIPTORS / 64; slot++) {
		uint64_t changed = before[slot] ^ after[slot];

		for (; changed != 0; changed &= changed - 1) {
			bool was_open = (before[slot] & changed & -changed) != 0;

			tell_descriptor(slot * 64 + __builtin_ctzll(changed),
				was_open ? "closed" : "left open:");
			r = -1;
		}
	}
	return r;
}

/* libev's wait, after which idle targets may be reported too. */
static int
faulty_wait(struct rota_context *ctx, rota_time timeout)
{
	int r = rota__libev_ops.wait(ctx, timeout);

	for (size_t fd = 0; fd < ctx->target_slots; fd++) {
		struct rota_target *target = ctx->targets[fd];

		if (target != NULL && faulty_sys_strikes())
			rota_context_report(ctx, target, target->interest);
	}
	return r;
}

static int
make_context(unsigned kind, struct rota_context **ret_ctx)
{
	static struct rota_context_ops faulty_libev_ops;
	struct sim settings = { .patience = 1 };
	bool is_faulty = (kind & FIXTURE_FAULTS) != 0 &&
		faulty_sys_obey_environment(&settings.random, &settings.spurious);

	if ((kind & FIXTURE_SIMULATED) != 0)
		return rota__context_make(&sim_context_ops, &faulty_sys_ops, &settings, ret_ctx);
	faulty_libev_ops = rota__libev_ops;
	if (is_faulty)
		faulty_libev_ops.wait = faulty_wait;
	return rota__context_make(&faulty_libev_ops, &faulty_sys_ops, NULL, ret_ctx);
}

void
fixture_open(struct fixture *fixture, unsigned kind)
{
	alarm(TEST_SECONDS);
	trace_clear();
	faulty_sys_reset();
	faulty_allocator_reset();
	(void)host_is_ambient();
	fixture->ctx = NULL;
	fixture->blocks = faulty_allocator_live();
	list_descriptors(fixture->descriptors);
	assert_int_equal(make_context(kind, &fixture->ctx), 0);
	if (host_is_ambient())
		hosted_open(fixture->ctx);
}

int
fixture_close(struct fixture *fixture)
{
	int64_t blocks;
	int r;

	faulty_sys_reset();
	faulty_allocator_reset();
	r = rota_context_free(fixture->ctx);
	fixture->ctx = NULL;
	if (r < 0) {
		print_error("the context cannot be freed: %d\n", r);
		return -1;
	}
	r = compare_descriptors(fixture->descriptors);
	blocks = faulty_allocator_live() - fixture->blocks;
	if (blocks != 0) {
		print_error("%lld blocks of memory are left\n", (long long)blocks);
		r = -1;
	}
	alarm(0);
	return r;
}

static int
setup(void **state, unsigned kind)
{
	struct fixture *fixture = malloc(sizeof *fixture);

	assert_non_null(fixture);
	*state = fixture;
	fixture_open(fixture, kind);
	return 0;
}

int
fixture_setup(void **state)
{
	return setup(state, FIXTURE_LIBEV);
}

int
fixture_setup_faulty(void **state)
{
	return setup(state, FIXTURE_LIBEV | FIXTURE_FAULTS);
}

int
fixture_setup_simulated(void **state)
{
	return setup(state, FIXTURE_SIMULATED);
}

int
fixture_teardown(void **state)
{
	int r = fixture_close(*state);

	free(*state);
	*state = NULL;
	return r;
}

int
turn_until(struct rota_context *ctx, rota_condition_fn *condition, void *userdata)
{
	return rota_wait(ctx, condition, userdata, 10 * ROTA_SECOND);
}

int
take_turns(struct rota_context *ctx, struct rota_dispatchvars *vars, int turns)
{
	int r = ROTA_CONTINUE;

	while (turns-- > 0 && r == ROTA_CONTINUE) {
		r = rota_turn_begin(ctx, vars);
		if (r == ROTA_CONTINUE)
			r = rota_turn_end(ctx, vars, 0);
	}
	return r;
}

static rota_time
clock_of(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

rota_time
real_time(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

rota_time
cpu_time(void)
{
	return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
make_seed(const char *name)
{
	const char *text = getenv("ROTA_SEED");
	uint64_t seed;

	if (text != NULL)
		seed = strtoull(text, NULL, 0);
	else
		assert_int_equal(getrandom(&seed, sizeof seed, 0), sizeof seed);
	print_message("%s: ROTA_SEED=%llu\n", name, (unsigned long long)seed);
	return seed;
}

void
exit_child(int status)
{
	__gcov_dump();
	_exit(status);
}

void
make_pair(int pair[2])
{
	int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

	assert_int_equal(socketpair(AF_UNIX, type, 0, pair), 0);
}

void
close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

void
write_byte(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

int
read_all(int fd)
{
	char bytes[256];
	int total = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		total += (int)n;
	return total;
}
