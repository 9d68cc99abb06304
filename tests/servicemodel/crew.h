/* SPDX-License-Identifier: MIT */
/*
 * What the tests of preforks share: a prefork whose processes tell each peer who they are, echo,
 * and otherwise behave as a test wants; and what its master was told.
 */
#ifndef ROTA_TESTS_CREW_H
#define ROTA_TESTS_CREW_H

#include <rota/prefork.h>
#include <rota/service.h>

#include "rig.h"

#define CREW_MOST 4
#define CREW_DEATHS 64
#define CREW_STATUS 3

enum crew_manner {
	CREW_SERVES,
	CREW_EXITS,         /* at once, with CREW_STATUS */
	CREW_EXITS_LATE,    /* the same, when it was ready */
	CREW_IS_NOT_READY,  /* serves, and never says so */
	CREW_IGNORES_DRAIN, /* serves */
	CREW_HAS_A_LOOK,    /* serves if all is as it should be in a process, see crew.c */
	CREW_HAS_NO_LOOP,   /* is ready, and takes no turn ever */
};

enum crew_event {
	CREW_READY,
	CREW_DEATH,
	CREW_GIVEN_UP,
	CREW_RELOADED,
	CREW_DRAINED,
	CREW_EVENTS,
};

struct crew;
typedef void crew_act_fn(struct crew *crew, enum crew_event event);

struct crew {
	struct rota_prefork_options options; /* two processes, on 127.0.0.1 */
	const char *listen[3];
	enum crew_manner manner;     /* of all, but for */
	enum crew_manner odd_manner; /* those of this place and generation; 0: of any */
	int odd_index;               /* -1: of none */
	unsigned odd_generation;
	int forbidden; /* a descriptor that processes must not have; -1: none */
	struct rota_tls_config *tls;
	crew_act_fn *act; /* last in each handler */

	struct rota_prefork *prefork;
	char address[ROTA_ADDRESS_TEXT];
	int told[CREW_EVENTS];
	pid_t pids[CREW_MOST]; /* who was ready last, by place */
	struct rota_prefork_death deaths[CREW_DEATHS];
	struct rota_child_end ends[CREW_DEATHS];
	char text[200]; /* the last one */
	unsigned places;
	int reload_error;
	struct rota_prefork_report report;
};

/* A peer of a process. */
struct crew_peer {
	int fd;
	unsigned index;
	unsigned generation;
	pid_t pid;
	bool is_resumed; /* of TLS */
};

/* Without pidfds there are no preforks: under valgrind, say. Such a program's status is 77. */
bool crew_is_impossible(void);

void crew_init(struct crew *crew);
/* What rota_prefork_start says. */
int crew_try(struct rota_context *ctx, struct crew *crew);
/* Starts it; and waits until all are ready. They fail the test when that fails. */
void crew_start(struct rota_context *ctx, struct crew *crew);
void crew_open(struct rota_context *ctx, struct crew *crew);
void crew_wait(struct rota_context *ctx, struct crew *crew, enum crew_event event, int count);
/* Drains it; everybody must end by itself. Frees it. */
void crew_close(struct rota_context *ctx, struct crew *crew);
/* Sends a deadly signal to the process of a place, and waits for the next one. */
void crew_kill(struct rota_context *ctx, struct crew *crew, unsigned index, int number);
void crew_reload(struct crew *crew);
void crew_drain(struct crew *crew, rota_time timeout);

/*
 * A connection, when its process has said who it is; to a certain place, of a certain generation
 * (0: of any), for one before it may go on to accept for a moment; and its end.
 */
struct crew_peer crew_connect(const struct crew *crew);
struct crew_peer crew_connect_to(const struct crew *crew, unsigned index, unsigned generation);
struct crew_peer crew_greeted(int fd);
void crew_leave(struct crew_peer *peer);
/* Whether it still echoes. */
void crew_echo(const struct crew_peer *peer);
/* Whether its connection ends, by an end or a reset, within five seconds. */
bool crew_is_cut(const struct crew_peer *peer);
/* Whether a process is no more, not even to be reaped. */
bool crew_is_gone(pid_t pid);

#define crew_test(function) cmocka_unit_test_setup_teardown(function, fixture_setup, rig_teardown)

#endif
