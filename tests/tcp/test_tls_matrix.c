/* SPDX-License-Identifier: MIT */
/*
 * The matrix of TLS: whatever a peer does, in whichever phase, role and version, ends a stream once
 * and with a reason that is true; never clean where it was not, and with nothing delivered that was
 * not sent. Afterwards another connection works.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>

#include "faulty_allocator.h"
#include "faulty_sys.h"
#include "sim_context.h"
#include "tls_line.h"

#define BIT(reason) (1u << (reason))
#define CLEAN BIT(ROTA_REASON_CLEAN)
#define TRUNCATED BIT(ROTA_REASON_TRUNCATED)
#define RESET BIT(ROTA_REASON_RESET)
#define TLS BIT(ROTA_REASON_TLS)

/* Where the peer is when it does it: having sent so much of its handshake, or behind it. */
enum place {
	AT_NOTHING,
	AT_A_BYTE,
	AT_A_HEADER,
	AT_A_QUARTER,
	AT_THE_HALF,
	AT_ALL_BUT_ONE,
	AT_OPEN,
	AT_A_RECORDS_HALF,
	AT_ENDED,   /* the stream has ended its side */
	AT_CLOSING, /* rota_stream_close */
	PLACES,
};

static const char *const places[PLACES] = { "nothing", "a byte", "a header", "a quarter",
	"the half", "all but one", "open", "a record's half", "ended", "closing" };

/* What it does */

static void
act_end(struct tls_line *line)
{
	tls_peer_end(&line->peer);
}

static void
act_reset(struct tls_line *line)
{
	tls_peer_reset(&line->peer);
}

static void
act_notify(struct tls_line *line)
{
	static const unsigned char plain[] = { 21, 3, 3, 0, 2, 1, 0 };

	if (line->peer.is_open)
		tls_peer_notify(&line->peer);
	else
		tls_peer_put(&line->peer, plain, sizeof plain);
}

static void
act_put(struct tls_line *line, const void *bytes, size_t len)
{
	tls_peer_put(&line->peer, bytes, len);
}

static void
act_half_a_record(struct tls_line *line)
{
	act_put(line, "\x17\x03\x03\x01\x00half", 9);
	tls_peer_end(&line->peer);
}

static void
act_garbage(struct tls_line *line)
{
	char bytes[600];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 31 + 200);
	act_put(line, bytes, sizeof bytes);
}

static void
act_plaintext(struct tls_line *line)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: server.example\r\n\r\n";

	act_put(line, text, sizeof text - 1);
}

static void
act_oversized(struct tls_line *line)
{
	char bytes[1000] = "\x17\x03\x03\x48\x01";

	if (!line->peer.is_open)
		bytes[0] = 22;
	act_put(line, bytes, sizeof bytes);
}

static void
act_old_record(struct tls_line *line)
{
	act_put(line,
		"\x17\x02\x00\x00\x05"
		"hello",
		10);
}

static void
act_fatal_alert(struct tls_line *line)
{
	act_put(line, "\x15\x03\x03\x00\x02\x02\x28", 7);
}

/* At once: a socket pair has room for so many bytes, and for fewer pieces. */
static void
act_flood(struct tls_line *line, const void *bytes, size_t len)
{
	static char flood[8000];

	for (size_t i = 0; i < 1000; i++)
		memcpy(flood + i * len, bytes, len);
	act_put(line, flood, 1000 * len);
}

static void
act_warnings(struct tls_line *line)
{
	act_flood(line, "\x15\x03\x03\x00\x02\x01\x5a", 7);
}

static void
act_empty_records(struct tls_line *line)
{
	act_flood(line, "\x16\x03\x03\x00\x00", 5);
}

/* Another hello in the middle of everything. */
static void
act_hello(struct tls_line *line)
{
	struct tls_peer other;
	unsigned char *hello;
	size_t len;

	tls_peer_open(&other, -1, NULL);
	(void)tls_peer_step(&other);
	hello = tls_peer_take(&other, &len);
	act_put(line, hello, len);
	free(hello);
	tls_peer_fini(&other);
}

static void
act_stall(struct tls_line *line)
{
	sim_advance(line->ctx, 60 * ROTA_MINUTE);
}

/*
 * After it, and after an end where it is not over by then, one of these is the reason: in the
 * handshake, and behind it.
 */
static const struct act {
	const char *name;
	void (*act)(struct tls_line *line);
	unsigned shaking;
	unsigned open;
	bool is_tcp;
} acts[] = {
	{ "FIN", act_end, TRUNCATED, TRUNCATED, false },
	{ "RST", act_reset, RESET, RESET, true },
	{ "close_notify", act_notify, TLS | TRUNCATED, CLEAN, false },
	{ "half a record", act_half_a_record, TLS | TRUNCATED, TLS | TRUNCATED, false },
	{ "garbage", act_garbage, TLS, TLS, false },
	{ "plaintext", act_plaintext, TLS, TLS, false },
	{ "an oversized record", act_oversized, TLS, TLS, false },
	{ "a record of an old version", act_old_record, TLS, TLS, false },
	{ "a fatal alert", act_fatal_alert, TLS, TLS, false },
	{ "a thousand warnings", act_warnings, TLS, TLS, false },
	{ "a thousand empty records", act_empty_records, TLS, TLS, false },
	{ "a hello", act_hello, TLS, TLS, false },
	{ "a stall", act_stall, BIT(ROTA_REASON_TIMEOUT_HANDSHAKE),
		BIT(ROTA_REASON_TIMEOUT_IDLE) | BIT(ROTA_REASON_TIMEOUT_HALF_CLOSED) |
			BIT(ROTA_REASON_TIMEOUT_CLOSE),
		false },
};

#define ACTS (sizeof acts / sizeof acts[0])

struct cell {
	bool is_client;
	int version;
	bool is_cut;
	enum place place;
	const struct act *act;
};

static void
end(struct side *side)
{
	rota_stream_end(side->stream);
}

static void
open_cell(struct tls_line *line, const struct cell *cell)
{
	line->is_client = cell->is_client;
	line->is_tcp = cell->act->is_tcp;
	line->wish.lowest = line->wish.highest = cell->version;
	line->side.at_end = end;
	tls_line_open(line);
	faulty_sys_cut(cell->is_cut ? 1 : 0);
}

/* What the peer sends in a handshake of that kind, about: signatures differ by some bytes. */
static size_t
measure(struct tls_line *line, const struct cell *cell)
{
	static size_t measured[2][2];
	size_t *known = &measured[cell->is_client][cell->version == TLS1_3_VERSION];

	if (*known == 0) {
		open_cell(line, cell);
		while (line->side.opens == 0) {
			*known = line->peer.wire_out;
			(void)tls_line_step(line);
		}
		tls_line_again(line);
	}
	return *known;
}

static size_t
limit_at(enum place place, size_t all)
{
	switch (place) {
	case AT_NOTHING:
		return 0;
	case AT_A_BYTE:
		return 1;
	case AT_A_HEADER:
		return 5;
	case AT_A_QUARTER:
		return all / 4;
	case AT_THE_HALF:
		return all / 2;
	default:
		/* So that it is one less for the shortest signature too. */
		return all - 10;
	}
}

static void
go_to(struct tls_line *line, const struct cell *cell, size_t all)
{
	if (cell->place < AT_OPEN) {
		line->peer.limit = limit_at(cell->place, all);
		tls_line_settle(line);
		return;
	}
	tls_line_shake(line);
	tls_line_hear(line, 1000);
	tls_line_expect(line, 1000, 0);
	if (cell->place == AT_A_RECORDS_HALF) {
		line->peer.limit = line->peer.wire_out + 50;
		tls_line_hear(line, 100);
	}
	if (cell->place == AT_ENDED)
		rota_stream_end(line->side.stream);
	tls_line_settle(line);
	if (cell->place == AT_CLOSING)
		rota_stream_close(line->side.stream);
}

static unsigned
reasons_for(const struct tls_line *line, const struct cell *cell, bool is_whole)
{
	unsigned reasons = line->side.opens > 0 ? cell->act->open : cell->act->shaking;

	/* What follows half a record is taken for its other half, and may be too little. */
	if (!is_whole && (reasons & (TLS | CLEAN)) != 0)
		reasons |= TRUNCATED | TLS;
	return is_whole ? reasons : reasons & ~CLEAN;
}

static void
fail_cell(const struct tls_line *line, const struct cell *cell, const char *what)
{
	fail_msg("%s, TLS 1.%d%s, at %s, %s: %s (%s in phase %s: %s)",
		cell->is_client ? "client" : "server", cell->version - TLS1_VERSION,
		cell->is_cut ? " byte by byte" : "", places[cell->place], cell->act->name, what,
		rota_reason_name(line->side.why.reason), rota_phase_name(line->side.why.phase),
		line->side.text);
}

static void
check_cell(const struct tls_line *line, const struct cell *cell, bool is_whole)
{
	const struct side *side = &line->side;
	enum rota_phase phase = side->opens == 0 ? ROTA_PHASE_HANDSHAKE
		: cell->place == AT_CLOSING || side->why.reason == ROTA_REASON_CLEAN
		? ROTA_PHASE_CLOSING
		: ROTA_PHASE_OPEN;

	if ((BIT(side->why.reason) & reasons_for(line, cell, is_whole)) == 0)
		fail_cell(line, cell, "that is not the reason");
	if (side->why.phase != phase)
		fail_cell(line, cell, "that is not the phase");
	if (side->received_len != (side->opens > 0 ? 1000u : 0u) ||
		pattern_check(side->received, 0, side->received_len) != side->received_len)
		fail_cell(line, cell, "it received something else than was sent");
	if (side->why.reason != ROTA_REASON_CLEAN && side->ends > 0)
		fail_cell(line, cell, "it was told an end");
}

static void
run_cell(struct tls_line *line, const struct cell *cell)
{
	size_t all = measure(line, cell);
	bool is_whole;

	open_cell(line, cell);
	go_to(line, cell, all);
	if (line->side.closes > 0)
		fail_cell(line, cell, "it was over before");
	is_whole = BIO_ctrl_pending(line->peer.out) == 0;
	line->peer.holds = !is_whole;
	cell->act->act(line);
	tls_line_settle(line);
	if (line->side.closes == 0 && line->peer.fd >= 0)
		tls_peer_end(&line->peer);
	tls_line_until(line, line->side.closes > 0);
	check_cell(line, cell, is_whole);
	tls_line_again(line);
}

static void
run_cells(struct tls_line *line, bool is_cut)
{
	for (size_t i = 0; i < ACTS; i++) {
		for (int kind = 0; kind < 4; kind++) {
			struct cell cell = {
				.act = &acts[i],
				.is_cut = is_cut,
				.is_client = kind >= 2,
				.version = kind % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION,
			};

			for (int place = 0; place < PLACES; place++) {
				cell.place = (enum place)place;
				run_cell(line, &cell);
			}
		}
	}
}

/* After all of it a connection works, on the same context, and an idle one has nothing to do. */
static void
check_works(struct tls_line *line)
{
	tls_line_open(line);
	tls_line_shake(line);
	assert_int_equal(tls_line_say(line, 1000), 0);
	tls_line_hear(line, 1000);
	tls_line_expect(line, 1000, 1000);
	tls_line_settle(line);
	assert_int_equal(rota_dispatch_once(line->ctx, 0, NULL), 0);
}

static void
stream__whatever_the_peer_does__ends_truly(void **state)
{
	run_cells(*state, false);
	check_works(*state);
}

static void
stream__whatever_the_peer_does_byte_by_byte__ends_truly(void **state)
{
	run_cells(*state, true);
	check_works(*state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test_simulated(stream__whatever_the_peer_does__ends_truly),
		tls_test_simulated(stream__whatever_the_peer_does_byte_by_byte__ends_truly),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
