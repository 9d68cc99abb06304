/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL without memory: its k-th allocation fails, once and for ever after, while a configuration
 * is made, hands are shaken, and a little is said in both directions. The stream ends once, with a
 * reason that is true; nothing is left; the next connection works. Where OpenSSL itself crashes,
 * the place has to stand in tests/tcp/libssl-ledger, which only shrinks.
 *
 * A sample is tried, by a printed seed; with ROTA_TLS_ROUNDS in the environment all.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota/errors.h>

#include "crypto_memory.h"
#include "faulty_allocator.h"
#include "random.h"
#include "tls_line.h"

#define MOST_TURNS 200
#define ONE_IN 40
#define CRASHED 99
#define LEDGER "/tests/tcp/libssl-ledger"

/* What a child and its parent share. */
struct report {
	uint64_t next;  /* of the runs: number n fails allocation n / 2, for ever if n is odd */
	uint64_t calls; /* that there are */
	uint64_t runs;
	char place[256]; /* of a crash */
};

static struct report *report;

struct kind {
	bool is_client;
	int version;
};

static const struct kind kinds[] = {
	{ false, TLS1_2_VERSION },
	{ false, TLS1_3_VERSION },
	{ true, TLS1_2_VERSION },
	{ true, TLS1_3_VERSION },
};

/* One run */

static int
make_config(bool is_client, struct rota_tls_config **ret_config)
{
	const struct certificate *server = certificate_of(CERTIFICATE_SERVER);
	const char *ca = certificate_of(CERTIFICATE_CA)->pem;
	int r;

	crypto_memory_watch(true);
	r = rota_tls_config_new(ret_config);
	if (r >= 0 && is_client)
		r = rota_tls_config_add_ca_pem(*ret_config, ca, strlen(ca));
	else if (r >= 0)
		r = rota_tls_config_add_certificate_pem(*ret_config, server->pem,
			strlen(server->pem), server->key_pem, strlen(server->key_pem));
	crypto_memory_watch(false);
	return r;
}

static void
end(struct side *side)
{
	rota_stream_end(side->stream);
}

static void
talk(struct tls_line *line)
{
	bool has_spoken = false;

	for (int turns = 0; turns < MOST_TURNS && line->side.closes == 0; turns++) {
		(void)tls_line_step(line);
		if (has_spoken || !line->peer.is_open || line->side.opens == 0 ||
			line->peer.end != TLS_PEER_OPEN)
			continue;
		has_spoken = true;
		(void)tls_line_say(line, 100);
		tls_line_hear(line, 100);
		tls_peer_notify(&line->peer);
	}
	tls_peer_close(&line->peer);
	tls_line_until(line, line->side.closes > 0);
}

static void
check_told(const struct tls_line *line)
{
	const struct side *side = &line->side;

	assert_int_equal(side->closes, 1);
	assert_true(side->received_len <= 100);
	assert_int_equal(pattern_check(side->received, 0, side->received_len), side->received_len);
	if (side->why.reason == ROTA_REASON_CLEAN)
		assert_int_equal(side->received_len, 100);
	if (crypto_memory_failed() == 0)
		assert_int_equal(side->why.reason, ROTA_REASON_CLEAN);
	assert_true(side->why.reason == ROTA_REASON_CLEAN || side->why.error < 0);
}

/* The allocation at fails; 0: none. */
static void
run(struct tls_line *line, const struct kind *kind, uint64_t at, bool for_ever)
{
	int r;

	line->is_client = kind->is_client;
	line->is_plain = true;
	line->wish.lowest = line->wish.highest = kind->version;
	line->side.at_end = end;
	crypto_memory_fail(at, for_ever);
	r = make_config(kind->is_client, &line->config);
	if (r >= 0) {
		tls_line_open(line);
		crypto_memory_watch(true);
		r = tls_line_start(line);
		crypto_memory_watch(false);
	}
	if (r >= 0) {
		tls_line_around = crypto_memory_watch;
		talk(line);
		tls_line_around = NULL;
		check_told(line);
	} else {
		assert_true(r == -ENOMEM || r == -ROTA_ETLS);
		assert_true(crypto_memory_failed() > 0);
	}
	report->calls = crypto_memory_calls();
	crypto_memory_fail(0, false);
	tls_line_again(line);
}

/* Children */

static void
on_crash(int number)
{
	void *frames[32];
	int count = backtrace(frames, 32);

	(void)number;
	for (int i = 0; i < count; i++) {
		Dl_info info;
		const char *file;

		if (dladdr(frames[i], &info) == 0 || info.dli_fname == NULL)
			continue;
		file = strrchr(info.dli_fname, '/');
		file = file != NULL ? file + 1 : info.dli_fname;
		if (strncmp(file, "libssl", 6) != 0 && strncmp(file, "libcrypto", 9) != 0)
			continue;
		snprintf(report->place, sizeof report->place, "%.*s %s", (int)strcspn(file, "."),
			file, info.dli_sname != NULL ? info.dli_sname : "?");
		break;
	}
	_exit(CRASHED);
}

static void
catch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	void *frame;

	/* Its first call loads a library. */
	(void)backtrace(&frame, 1);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void)signal(numbers[i], on_crash);
}

/* From report->next on, one in step. */
static void
run_on(struct tls_line *line, const struct kind *kind, uint64_t step)
{
	int64_t blocks;

	/* What OpenSSL makes once is there after the first. */
	run(line, kind, 0, false);
	blocks = crypto_memory_blocks();
	for (; report->next < 2 * report->calls; report->next += step) {
		uint64_t calls = report->calls;

		run(line, kind, report->next / 2 + 1, report->next % 2 == 1);
		report->calls = calls;
		report->runs++;
	}
	run(line, kind, 0, false);
	/* Some of it only when the first try had failed. */
	assert_in_range(crypto_memory_blocks() - blocks + 100, 0, 300);
}

static int child_kind;
static uint64_t child_step;

static void
child(void **state)
{
	catch_crashes();
	run_on(*state, &kinds[child_kind], child_step);
}

/* The program again: "test_tls_memory FD KIND STEP". */
static int
be_child(char **arguments)
{
	const struct CMUnitTest tests[] = { tls_test_exact(child) };

	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, atoi(arguments[1]),
		0);
	if (report == MAP_FAILED)
		return 1;
	child_kind = atoi(arguments[2]);
	child_step = strtoull(arguments[3], NULL, 10);
	/* Its marks are not to be taken for those of the parent's tests. */
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The parent */

static int
run_child(int fd, size_t kind, uint64_t step)
{
	char texts[3][32];
	char *const arguments[] = { (char *)"test_tls_memory", texts[0], texts[1], texts[2], NULL };
	int status;
	pid_t pid;

	snprintf(texts[0], sizeof texts[0], "%d", fd);
	snprintf(texts[1], sizeof texts[1], "%zu", kind);
	snprintf(texts[2], sizeof texts[2], "%llu", (unsigned long long)step);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execv("/proc/self/exe", arguments);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Whether this crash is known. */
static bool
is_in_ledger(const char *place)
{
	const char *source = getenv("TOP_SRCDIR");
	char path[512];
	char line[256];
	bool is_found = false;
	FILE *file;

	snprintf(path, sizeof path, "%s" LEDGER, source != NULL ? source : "..");
	file = fopen(path, "re");
	assert_non_null(file);
	while (!is_found && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		is_found = line[0] != '#' && strcmp(line, place) == 0;
	}
	fclose(file);
	return is_found;
}

static void
openssl__any_allocation_fails__ends_truly(void **state)
{
	uint64_t chance = make_seed("allocations of OpenSSL");
	uint64_t step = tls_effort() > 0 ? 1 : ONE_IN;
	int fd = memfd_create("report", 0);

	(void)state;
	assert_true(fd >= 0 && ftruncate(fd, sizeof *report) == 0);
	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(report != MAP_FAILED);
	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
		int r;

		*report = (struct report){ .next = random_below(&chance, step) };
		while ((r = run_child(fd, kind, step | 1)) == CRASHED &&
			is_in_ledger(report->place)) {
			print_message("%llu: %s\n", (unsigned long long)report->next,
				report->place);
			report->next += step | 1;
		}
		if (r != 0)
			fail_msg("kind %zu, run %llu: status %d, %s", kind,
				(unsigned long long)report->next, r, report->place);
		print_message("%llu runs\n", (unsigned long long)report->runs);
	}
	munmap(report, sizeof *report);
	close(fd);
}

int
main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl__any_allocation_fails__ends_truly),
	};

	crypto_memory_install();
	faulty_allocator_install();
	if (count == 4)
		return be_child(arguments);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
