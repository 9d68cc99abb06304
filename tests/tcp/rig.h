/* SPDX-License-Identifier: MIT */
/*
 * What the tests of listeners, connecting and relays have in common: streams and listeners that
 * write down what they are told, and sockets that are the peers of those.
 *
 * An end is a stream's user. It fails the test when it is told anything after its on_close, or two
 * things that come once. A door is a listener's user; it gives the streams that it accepts to ends.
 */
#ifndef ROTA_TESTS_RIG_H
#define ROTA_TESTS_RIG_H

#include <rota/connect.h>
#include <rota/listener.h>

#include "fixture.h"
#include "raw.h"

enum end_event {
	END_OPEN,
	END_DATA,
	END_DRAIN,
	END_END,
	END_CLOSE,
	END_EVENTS,
};

struct door;
struct end;

typedef void end_act_fn(struct end *end, enum end_event event);

/* What it is to do: */
struct end {
	bool echoes;
	bool takes_nothing; /* its on_data returns 0 */
	bool forgets;       /* the bytes are counted, not kept */
	end_act_fn *act;    /* in each handler, last; NULL: nothing */
	void *userdata;

	/* What happened: */
	struct rota_stream *stream; /* NULL once it is over */
	int told[END_EVENTS];       /* how often */
	char *bytes;                /* all that was received, as far as it is kept */
	size_t len;
	size_t refused; /* what it was to echo and could not send */
	struct rota_close_info why;
	char text[160];
	bool is_in_act;
};

extern const struct rota_stream_handlers end_handlers;

/* The defaults, with those handlers. */
struct rota_stream_options end_options(void);

/* rota_connect, with those options if options is NULL. What that returns. */
int end_connect(struct rota_context *ctx, struct end *end, const char *text,
	const struct rota_stream_options *options);

/* The same to a host, a name or an address, at the port of door; NULL: 80. */
int end_connect_host(struct rota_context *ctx, struct end *end, const char *host,
	const struct door *door, const struct rota_stream_options *options);

/* Turns until its on_close, which must tell this; it has not been open. */
void end_fails(struct rota_context *ctx, struct end *end, enum rota_phase phase,
	enum rota_reason reason, int error);

/* Makes an end the user of a stream. */
void end_adopt(struct end *end, struct rota_stream *stream);

typedef void door_act_fn(struct door *door, struct rota_stream *stream);

struct door {
	struct end *ends; /* for the streams, in the order of accepting; those beyond are aborted */
	size_t room;
	door_act_fn *
		on_accept; /* last in those handlers, stream NULL but in on_accept; NULL: nothing */
	door_act_fn *on_paused;
	door_act_fn *on_close;
	void *userdata;

	/* What happened: */
	struct rota_listener *listener; /* NULL once it is over */
	char text[ROTA_ADDRESS_TEXT];   /* where to connect to */
	int accepted;
	int paused;
	int closed;
	int paused_error;
	struct rota_close_info why;
};

extern const struct rota_listener_handlers door_handlers;

/* The defaults, for streams of ends. */
struct rota_listener_options door_options(void);

/* rota_listen, with those options if options is NULL. What that returns. */
int door_open(struct rota_context *ctx, struct door *door, const char *text,
	const struct rota_listener_options *options);

/* Take turns, for ten seconds at most, until the number is as large, or fd has something. */
void wait_for(struct rota_context *ctx, const int *number, int value);
void wait_for_size(struct rota_context *ctx, const size_t *size, size_t value);
void wait_for_input(struct rota_context *ctx, int fd);

/* Ends, and a door for them, that live until the context of the test is freed. */
struct end *make_ends(size_t count);
struct end *make_echoes(size_t count);
struct door *make_door(struct end *ends, size_t room);
void forget_made(void);

/* So many turns that do not wait. */
void spin(struct rota_context *ctx, int turns);

/* Turns until the peer's end has come to fd, which must be that (0 or a negative errno). */
void expect_end(struct rota_context *ctx, int fd, int expected);

/* Turns until len bytes have come to fd, which must be those. */
void expect_bytes(struct rota_context *ctx, int fd, const void *bytes, size_t len);

/*
 * Runs a scenario in a context of its own with the k-th allocation failing, for each k; and with
 * each call to the system failing with each errno that it can give, each time it is made. The
 * scenario lifts the fault before what must work, and may have it begin (counting from there) only
 * behind that. It may free the context and set that to NULL.
 */
typedef void scenario_fn(struct fixture *fixture);

void with_failing_allocations(scenario_fn *scenario, bool for_ever);
void with_failing_calls(scenario_fn *scenario);
void lift_fault(void);
void begin_fault(void);

struct rota_context *context_of(void **state);
int rig_teardown(void **state);

/* Those that count turns, calls or what one of them moves obey no ROTA_FAULTS. */
#define rig_test(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup_faulty, rig_teardown)
#define rig_test_exact(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup, rig_teardown)
#define rig_test_simulated(function) \
	cmocka_unit_test_setup_teardown(function, fixture_setup_simulated, rig_teardown)

#endif
