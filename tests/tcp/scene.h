/* SPDX-License-Identifier: MIT */
/*
 * A scene: listeners, streams, connects and relays of one context, all of whose handlers come to
 * one function of the test, and a table of everything that can be done to them there. It keeps
 * count of what must end, and how often it was told that it has.
 */
#ifndef ROTA_TESTS_SCENE_H
#define ROTA_TESTS_SCENE_H

#include <rota/relay.h>

#include "rig.h"

#define SCENE_ENDS 12
#define SCENE_DOORS 3
#define SCENE_RELAYS 4

/* What a handler was called for: enum end_event, then these. */
enum scene_event {
	SCENE_ACCEPT = END_EVENTS,
	SCENE_PAUSED,
	SCENE_LISTENER_CLOSE,
	SCENE_DONE,
	SCENE_EVENTS,
};

struct scene;

/* self is the stream being called back, NULL for other handlers. */
typedef void scene_fn(struct scene *scene, int event, struct rota_stream *self);

struct scene_relay {
	struct scene *scene;
	struct rota_relay *relay; /* NULL once it is done */
	struct end *a;            /* which are told nothing more */
	struct end *b;
};

struct scene {
	struct rota_context *ctx;
	struct rota_tls_config *server; /* NULL: everything is plain */
	struct rota_tls_config *client;
	scene_fn *on_event;
	void *userdata;
	struct end *ends; /* for connects; those of accepted streams are their doors' */
	struct door *doors[SCENE_DOORS];
	struct scene_relay relays[SCENE_RELAYS];
	size_t ends_used;
	size_t doors_used;
	size_t relays_used;
	char nowhere[ROTA_ADDRESS_TEXT]; /* where nobody listens */
	int lent;                        /* send_ref's that were accepted and not released */
	uint64_t seen;                   /* bits: the events that there were */
};

/* An empty scene; nothing of it may be alive when it goes. */
void scene_open(struct scene *scene, struct rota_context *ctx);

/* Whatever listens and connects from now on does so with TLS, for which turns count five times. */
void scene_use_tls(struct scene *scene);

/* Frees the context; everything was told its end exactly once. */
void scene_close(struct scene *scene, struct fixture *fixture);

/* NULL when there is no more room for it, or it was refused. */
struct end *scene_connect(struct scene *scene, const char *text);
struct door *scene_listen(struct scene *scene);
struct scene_relay *scene_relay(struct scene *scene, struct end *a, struct end *b);

/* A stream of the scene that lives, not in a relay, or NULL; and its user. */
struct end *scene_any(struct scene *scene, uint64_t number);
struct end *scene_end_of(struct scene *scene, const struct rota_stream *stream);

/* Turns, whatever they say. */
void scene_spin(struct scene *scene, int turns);

/* What can be done, to a stream and to the scene. */
struct scene_act {
	const char *name;
	void (*act)(struct scene *scene, struct rota_stream *stream);
};

extern const struct scene_act scene_acts[];
extern const size_t scene_acts_count;

#endif
