/* SPDX-License-Identifier: MIT */
/*
 * Admission: how many may be inside, in all and of one source, and what a source is. Listeners that
 * wait for room are test_admission_listener.c's.
 */
#include <rota/admission.h>

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <rota/errors.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "random.h"
#include "rig.h"

static struct rota_admission *
make_admission(struct rota_context *ctx, size_t max, size_t max_per_source)
{
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_admission *admission;

	options.max = max;
	options.max_per_source = max_per_source;
	assert_int_equal(rota_admission_new(ctx, &options, &admission), 0);
	return admission;
}

static struct rota_address
address_of(const char *text)
{
	struct rota_address address;

	assert_int_equal(rota_address_parse(text, &address), 0);
	return address;
}

/* Enters, which must work. */
static struct rota_source *
enter(struct rota_admission *admission, const char *text)
{
	struct rota_address peer = address_of(text);
	struct rota_source *source;

	assert_int_equal(rota_admission_enter(admission, &peer, &source), 0);
	return source;
}

/* Enters, which must not work. */
static int
refusal(struct rota_admission *admission, const char *text)
{
	struct rota_address peer = address_of(text);
	struct rota_source *source = (void *)&peer;
	int r = rota_admission_enter(admission, &peer, &source);

	assert_true(r < 0);
	assert_ptr_equal(source, &peer);
	return r;
}

static bool
is_one_source(struct rota_admission *admission, const char *a, const char *b)
{
	struct rota_source *first = enter(admission, a);
	struct rota_source *second = enter(admission, b);
	bool is_one = first == second;

	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	return is_one;
}

/* Limits */

static void
enter__all_are_taken__is_refused_until_one_leaves(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 2, 0);
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.2:1");

	assert_int_equal(rota_admission_max(admission), 2);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 0);
	assert_int_equal(refusal(admission, "192.0.2.3:1"), -ROTA_ELIMIT);
	assert_int_equal(refusal(admission, "192.0.2.1:1"), -ROTA_ELIMIT);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 2);
	rota_admission_leave(admission, first);
	assert_int_equal(rota_admission_connections(admission), 1);
	first = enter(admission, "192.0.2.3:1");
	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	assert_int_equal(rota_admission_connections(admission), 0);
	assert_int_equal(rota_admission_refused(admission), 2);
	rota_admission_free(admission);
}

static void
enter__source_has_its_share__is_refused_and_others_are_not(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 10, 2);
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.1:2");
	struct rota_source *other;

	assert_ptr_equal(first, second);
	assert_int_equal(refusal(admission, "192.0.2.1:3"), -ROTA_ELIMIT);
	assert_int_equal(rota_admission_connections(admission), 2);
	assert_int_equal(rota_admission_refused(admission), 1);
	other = enter(admission, "192.0.2.2:1");
	rota_admission_leave(admission, second);
	second = enter(admission, "192.0.2.1:3");
	assert_int_equal(refusal(admission, "192.0.2.1:4"), -ROTA_ELIMIT);
	rota_admission_leave(admission, first);
	rota_admission_leave(admission, second);
	rota_admission_leave(admission, other);
	rota_admission_free(admission);
}

static void
enter__of_nobody__counts_in_all_only(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 1);
	struct rota_source *sources[3];
	struct rota_source *one_more;

	for (int i = 0; i < 3; i++)
		assert_int_equal(rota_admission_enter(admission, NULL, &sources[i]), 0);
	assert_int_equal(rota_admission_enter(admission, NULL, &one_more), -ROTA_ELIMIT);
	for (int i = 0; i < 3; i++)
		rota_admission_leave(admission, sources[i]);
	rota_admission_leave(admission, NULL);
	assert_int_equal(rota_admission_connections(admission), 0);
	rota_admission_free(admission);
}

static void
enter__address_of_no_peer__is_an_error_and_no_refusal(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 1);
	struct rota_address peer = address_of("192.0.2.1:1");
	struct rota_source *source;

	assert_int_equal(refusal(admission, "fd:3"), -EINVAL);
	peer.socket.any.sa_family = AF_NETLINK;
	assert_int_equal(rota_admission_enter(admission, &peer, &source), -EINVAL);
	assert_int_equal(rota_admission_connections(admission), 0);
	assert_int_equal(rota_admission_refused(admission), 0);
	rota_admission_free(admission);
}

/* Sources */

static void
source__is_an_address_or_a_network(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 3, 0);

	assert_true(is_one_source(admission, "192.0.2.1:1", "192.0.2.1:2"));
	assert_false(is_one_source(admission, "192.0.2.1:1", "192.0.2.2:1"));
	assert_false(is_one_source(admission, "192.0.2.1:1", "193.0.2.1:1"));
	assert_true(is_one_source(admission, "192.0.2.1:1", "[::ffff:192.0.2.1]:1"));
	assert_false(is_one_source(admission, "192.0.2.2:1", "[::ffff:192.0.2.1]:1"));
	assert_true(is_one_source(admission, "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:2"));
	assert_false(is_one_source(admission, "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1"));
	assert_false(is_one_source(admission, "[2001:db8:1:2::1]:1", "[3001:db8:1:2::1]:1"));
	assert_false(is_one_source(admission, "[::1]:1", "127.0.0.1:1"));
	assert_true(is_one_source(admission, "192.0.2.1:1", "[2002:c000:201::7]:1"));
	assert_true(is_one_source(admission, "unix:", "unix:@name"));
	assert_true(is_one_source(admission, "unix:", "unix:/a/path"));
	assert_false(is_one_source(admission, "unix:", "127.0.0.1:1"));
	assert_false(is_one_source(admission, "unix:", "[::1]:1"));
	rota_admission_free(admission);
}

static void
source__without_connections__is_not_kept(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 1000, 0);
	int64_t blocks = faulty_allocator_live();
	struct rota_source *first = enter(admission, "192.0.2.1:1");
	struct rota_source *second = enter(admission, "192.0.2.1:1");

	assert_int_equal(faulty_allocator_live(), blocks + 1);
	rota_admission_leave(admission, first);
	assert_int_equal(faulty_allocator_live(), blocks + 1);
	rota_admission_leave(admission, second);
	assert_int_equal(faulty_allocator_live(), blocks);
	rota_admission_free(admission);
}

/* Some are as far from each other as can be, most differ in a few bits at either end. */
static struct rota_address
random_peer(uint64_t *random)
{
	struct rota_address address = address_of("[2001:db8::1]:1");
	uint8_t *bytes = address.socket.in6.sin6_addr.s6_addr;

	bytes[0] = (uint8_t)(0x20 + random_below(random, 4));
	bytes[3] = (uint8_t)random_below(random, 3);
	bytes[7] = (uint8_t)random_below(random, 4);
	if (random_percent(random, 10))
		bytes[5] = (uint8_t)random_next(random);
	if (random_percent(random, 20))
		address.socket.in6.sin6_addr.s6_addr[15] = (uint8_t)random_next(random);
	return address;
}

struct inside {
	struct rota_source *source;
	uint8_t network[8];
};

#define INSIDE 400
#define SHARE 3

static size_t
count_of(const struct inside *inside, size_t count, const uint8_t *network)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += memcmp(inside[i].network, network, 8) == 0;
	return found;
}

/* Against a model: a list of who is inside. */
static void
sources__come_and_go_at_random__are_counted_as_in_a_list(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), INSIDE, SHARE);
	uint64_t random = make_seed("sources");
	static struct inside inside[INSIDE];
	size_t count = 0;

	for (int i = 0; i < 50000; i++) {
		/* It fills and empties in waves. */
		bool enters = random_percent(&random, i / 2000 % 2 == 0 ? 70 : 30);
		struct rota_address peer = random_peer(&random);
		const uint8_t *network = peer.socket.in6.sin6_addr.s6_addr;
		struct rota_source *source;

		if (enters) {
			bool fits = count < INSIDE && count_of(inside, count, network) < SHARE;
			int r = rota_admission_enter(admission, &peer, &source);

			assert_int_equal(r, fits ? 0 : -ROTA_ELIMIT);
			if (r < 0)
				continue;
			inside[count].source = source;
			memcpy(inside[count++].network, network, 8);
		} else if (count > 0) {
			size_t leaving = random_below(&random, count);

			rota_admission_leave(admission, inside[leaving].source);
			inside[leaving] = inside[--count];
		}
		assert_int_equal(rota_admission_connections(admission), count);
	}
	while (count > 0)
		rota_admission_leave(admission, inside[--count].source);
	rota_admission_free(admission);
}

/* The inverse of the factor by which keys are spread: a peer may know it. */
#define UNSPREAD 0xf1de83e19937733du

static void
sources__of_the_worst_peer__are_found_all_the_same(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 100, 1);
	struct rota_source *sources[64];

	/* Each key has one bit more in common with the last one: a single branch. */
	for (int i = 0; i < 64; i++) {
		struct rota_address peer = address_of("[::1]:1");
		uint64_t prefix = ((uint64_t)1 << i) * (uint64_t)UNSPREAD;

		for (int j = 0; j < 8; j++)
			peer.socket.in6.sin6_addr.s6_addr[j] = (uint8_t)(prefix >> (56 - 8 * j));
		assert_int_equal(rota_admission_enter(admission, &peer, &sources[i]), 0);
	}
	for (int i = 0; i < 64; i += 2)
		rota_admission_leave(admission, sources[i]);
	for (int i = 63; i > 0; i -= 2)
		rota_admission_leave(admission, sources[i]);
	rota_admission_free(admission);
}

/* Options */

static void
admission_new__no_max__takes_it_from_the_descriptor_limit(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission *admission;
	struct rlimit before;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 1024;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rota_admission_new(ctx, NULL, &admission), 0);
	assert_int_equal(rota_admission_max(admission), 448);
	rota_admission_free(admission);
	limit.rlim_cur = 2;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rota_admission_new(ctx, NULL, &admission), 0);
	assert_int_equal(rota_admission_max(admission), 1);
	rota_admission_free(admission);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void
admission_new__fails__leaves_nothing(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_admission_options options = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_admission *admission = NULL;

	faulty_sys_fail(FAULTY_GETRLIMIT, 1, false, EPERM);
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -EPERM);
	faulty_sys_reset();
	faulty_allocator_fail(1, false);
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -ENOMEM);
	faulty_allocator_reset();
	options.size--;
	assert_int_equal(rota_admission_new(ctx, &options, &admission), -EINVAL);
	assert_null(admission);
	rota_admission_free(NULL);
}

static void
enter__no_memory__is_told_and_nothing_is_counted(void **state)
{
	struct rota_admission *admission = make_admission(context_of(state), 10, 0);
	struct rota_source *source = enter(admission, "192.0.2.1:1");

	faulty_allocator_fail(1, false);
	assert_int_equal(refusal(admission, "192.0.2.2:1"), -ENOMEM);
	faulty_allocator_reset();
	assert_int_equal(rota_admission_connections(admission), 1);
	assert_int_equal(rota_admission_refused(admission), 0);
	rota_admission_leave(admission, source);
	rota_admission_free(admission);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(enter__all_are_taken__is_refused_until_one_leaves),
		rig_test(enter__source_has_its_share__is_refused_and_others_are_not),
		rig_test(enter__of_nobody__counts_in_all_only),
		rig_test(enter__address_of_no_peer__is_an_error_and_no_refusal),
		rig_test(source__is_an_address_or_a_network),
		rig_test(source__without_connections__is_not_kept),
		rig_test(sources__come_and_go_at_random__are_counted_as_in_a_list),
		rig_test(sources__of_the_worst_peer__are_found_all_the_same),
		rig_test(admission_new__no_max__takes_it_from_the_descriptor_limit),
		rig_test(admission_new__fails__leaves_nothing),
		rig_test(enter__no_memory__is_told_and_nothing_is_counted),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
