/* SPDX-License-Identifier: MIT */
/*
 * Scenes: see scene.h.
 */
#include "scene.h"

#include <errno.h>
#include <string.h>

#include "tls_line.h"

static char much[100000];

/* Handlers */

static void
on_end_event(struct end *end, enum end_event event)
{
	struct scene *scene = end->userdata;

	scene->seen |= (uint64_t)1 << event;
	if (scene->on_event != NULL)
		scene->on_event(scene, (int)event, end->stream);
}

static void
on_door_event(struct door *door, int event, struct rota_stream *self)
{
	struct scene *scene = door->userdata;

	scene->seen |= (uint64_t)1 << event;
	if (scene->on_event != NULL)
		scene->on_event(scene, event, self);
}

static void
on_accept(struct door *door, struct rota_stream *stream)
{
	on_door_event(door, SCENE_ACCEPT, stream);
}

static void
on_paused(struct door *door, struct rota_stream *stream)
{
	on_door_event(door, SCENE_PAUSED, stream);
}

static void
on_listener_close(struct door *door, struct rota_stream *stream)
{
	on_door_event(door, SCENE_LISTENER_CLOSE, stream);
}

static void
on_done(struct rota_relay *relay, const struct rota_relay_result *result, void *userdata)
{
	struct scene_relay *relayed = userdata;
	struct scene *scene = relayed->scene;

	assert_ptr_equal(relayed->relay, relay);
	/* Besides what the other brought, what was queued before the relay. */
	assert_true(result->a.sent <= result->b.received + 4 * sizeof much);
	assert_true(result->b.sent <= result->a.received + 4 * sizeof much);
	scene->seen |= (uint64_t)1 << SCENE_DONE;
	if (scene->on_event != NULL)
		scene->on_event(scene, SCENE_DONE, NULL);
	relayed->relay = NULL;
}

static struct end *
make_scene_ends(struct scene *scene)
{
	struct end *ends = make_ends(SCENE_ENDS);

	for (size_t i = 0; i < SCENE_ENDS; i++) {
		ends[i].act = on_end_event;
		ends[i].userdata = scene;
		ends[i].forgets = true;
	}
	return ends;
}

void
scene_open(struct scene *scene, struct rota_context *ctx)
{
	memset(scene, 0, sizeof *scene);
	scene->ctx = ctx;
	scene->ends = make_scene_ends(scene);
	for (size_t i = 0; i < SCENE_DOORS; i++) {
		struct door *door = make_door(make_scene_ends(scene), SCENE_ENDS);

		door->on_accept = on_accept;
		door->on_paused = on_paused;
		door->on_close = on_listener_close;
		door->userdata = scene;
		scene->doors[i] = door;
	}
	raw_unused_address(scene->nowhere);
}

void
scene_use_tls(struct scene *scene)
{
	scene->server = tls_line_config(false);
	scene->client = tls_line_config(true);
}

/* A stream that is in a relay is told nothing; the relay is. */
static void
check_over(const struct scene *scene, const struct end *ends, size_t used)
{
	for (size_t i = 0; i < used; i++) {
		bool is_relayed = false;

		for (size_t j = 0; j < scene->relays_used; j++)
			is_relayed |=
				scene->relays[j].a == &ends[i] || scene->relays[j].b == &ends[i];
		assert_int_equal(ends[i].told[END_CLOSE], is_relayed ? 0 : 1);
	}
}

static size_t
accepted(const struct door *door)
{
	return door->accepted < SCENE_ENDS ? (size_t)door->accepted : SCENE_ENDS;
}

void
scene_close(struct scene *scene, struct fixture *fixture)
{
	assert_int_equal(rota_context_free(fixture->ctx), 0);
	fixture->ctx = NULL;
	rota_tls_config_unref(scene->server);
	rota_tls_config_unref(scene->client);
	check_over(scene, scene->ends, scene->ends_used);
	for (size_t i = 0; i < scene->doors_used; i++) {
		assert_int_equal(scene->doors[i]->closed, 1);
		check_over(scene, scene->doors[i]->ends, accepted(scene->doors[i]));
	}
	for (size_t i = 0; i < scene->relays_used; i++)
		assert_null(scene->relays[i].relay);
	assert_int_equal(scene->lent, 0);
}

static struct rota_stream_options
options_of(struct rota_tls_config *tls)
{
	struct rota_stream_options options = end_options();

	options.tls = tls;
	options.output_high = 50000;
	options.output_low = 10000;
	options.input_limit = 5000;
	return options;
}

struct end *
scene_connect(struct scene *scene, const char *text)
{
	const struct rota_stream_options options = options_of(scene->client);
	struct end *end = &scene->ends[scene->ends_used];

	if (scene->ends_used == SCENE_ENDS || end_connect(scene->ctx, end, text, &options) < 0)
		return NULL;
	scene->ends_used++;
	return end;
}

struct door *
scene_listen(struct scene *scene)
{
	struct rota_listener_options options = door_options();
	struct door *door = scene->doors[scene->doors_used % SCENE_DOORS];

	options.stream = options_of(scene->server);
	if (scene->doors_used == SCENE_DOORS ||
		door_open(scene->ctx, door, "127.0.0.1:0", &options) < 0)
		return NULL;
	scene->doors_used++;
	return door;
}

struct scene_relay *
scene_relay(struct scene *scene, struct end *a, struct end *b)
{
	struct scene_relay *relayed = &scene->relays[scene->relays_used % SCENE_RELAYS];

	if (scene->relays_used == SCENE_RELAYS || a == NULL || b == NULL ||
		rota_relay(a->stream, b->stream, NULL, on_done, relayed, &relayed->relay) < 0)
		return NULL;
	relayed->scene = scene;
	relayed->a = a;
	relayed->b = b;
	/* They belong to the relay; their pointers are of no more use here. */
	a->stream = b->stream = NULL;
	scene->relays_used++;
	return relayed;
}

/* The index-th of all ends that are or were in use, or NULL. */
static struct end *
end_at(struct scene *scene, size_t index)
{
	if (index < scene->ends_used)
		return &scene->ends[index];
	index -= scene->ends_used;
	for (size_t i = 0; i < scene->doors_used; i++) {
		if (index < accepted(scene->doors[i]))
			return &scene->doors[i]->ends[index];
		index -= accepted(scene->doors[i]);
	}
	return NULL;
}

static size_t
count_ends(const struct scene *scene)
{
	size_t count = scene->ends_used;

	for (size_t i = 0; i < scene->doors_used; i++)
		count += accepted(scene->doors[i]);
	return count;
}

struct end *
scene_any(struct scene *scene, uint64_t number)
{
	size_t count = count_ends(scene);

	for (size_t i = 0; i < count; i++) {
		struct end *end = end_at(scene, (size_t)(number + i) % count);

		if (end->stream != NULL)
			return end;
	}
	return NULL;
}

struct end *
scene_end_of(struct scene *scene, const struct rota_stream *stream)
{
	struct end *end;

	for (size_t i = 0; (end = end_at(scene, i)) != NULL; i++) {
		if (end->stream == stream && stream != NULL)
			return end;
	}
	return NULL;
}

void
scene_spin(struct scene *scene, int turns)
{
	turns *= scene->server != NULL ? 5 : 1;
	while (turns-- > 0) {
		struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

		(void)take_turns(scene->ctx, &vars, 1);
	}
}

/* Acts on a stream, for which NULL is no act */

static void
on_release(const void *bytes, size_t len, void *arg)
{
	struct scene *scene = arg;

	assert_ptr_equal(bytes, much);
	assert_int_equal(len, sizeof much);
	scene->lent--;
}

static void
act_abort(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	rota_stream_abort(stream);
}

static void
act_close(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	rota_stream_close(stream);
}

static void
act_end(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	rota_stream_end(stream);
}

static void
act_pause(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	rota_stream_pause(stream);
}

static void
act_resume(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	rota_stream_resume(stream);
}

static void
act_need(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	(void)rota_stream_need(stream, 3);
}

static void
act_send(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	(void)rota_stream_send(stream, "word", 4);
}

static void
act_send_much(struct scene *scene, struct rota_stream *stream)
{
	(void)scene;
	(void)rota_stream_send(stream, much, sizeof much);
	(void)rota_stream_send(stream, much, sizeof much);
}

static void
act_lend(struct scene *scene, struct rota_stream *stream)
{
	scene->lent++;
	if (rota_stream_send_ref(stream, much, sizeof much, on_release, scene) < 0)
		scene->lent--;
}

static void
quiet_close(struct rota_stream *stream, const struct rota_close_info *why, void *userdata)
{
	end_handlers.on_close(stream, why, userdata);
}

static void
act_set_handlers(struct scene *scene, struct rota_stream *stream)
{
	static const struct rota_stream_handlers quiet = { .on_close = quiet_close };

	(void)scene;
	rota_stream_set_handlers(stream, &quiet, rota_stream_userdata(stream));
}

/* With a peer that knows nothing of it; where it is refused, that is all. */
static void
act_start_tls(struct scene *scene, struct rota_stream *stream)
{
	struct end *end = scene_end_of(scene, stream);
	struct rota_tls_config *config;

	if (rota_tls_config_new(&config) < 0)
		return;
	if (rota_tls_config_insecure_no_verification(config) == 0 &&
		rota_stream_start_tls(stream, config, ROTA_TLS_CLIENT, NULL) == 0 && end != NULL)
		end->told[END_OPEN] = end->told[END_DATA] = 0; /* it is to come again */
	rota_tls_config_unref(config);
}

static void
act_relay(struct scene *scene, struct rota_stream *stream)
{
	struct end *end = scene_end_of(scene, stream);
	struct end *other = scene_any(scene, (uint64_t)(end - scene->ends) + 1);

	(void)scene_relay(scene, end, other);
}

/* Acts on the scene */

static void
act_close_listeners(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	for (size_t i = 0; i < scene->doors_used; i++) {
		if (scene->doors[i]->listener != NULL)
			rota_listener_close(scene->doors[i]->listener);
	}
}

static void
act_abort_all(struct scene *scene, struct rota_stream *stream)
{
	struct end *end;

	(void)stream;
	for (size_t i = 0; (end = end_at(scene, i)) != NULL; i++) {
		if (end->stream != NULL)
			rota_stream_abort(end->stream);
	}
}

static void
act_abort_relays(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	for (size_t i = 0; i < scene->relays_used; i++) {
		if (scene->relays[i].relay != NULL)
			rota_relay_abort(scene->relays[i].relay);
	}
}

static void
act_connect(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	(void)scene_connect(scene, scene->doors_used > 0 ? scene->doors[0]->text : scene->nowhere);
}

static void
act_connect_nowhere(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	(void)scene_connect(scene, scene->nowhere);
}

static void
act_listen(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	(void)scene_listen(scene);
}

static void
act_stop(struct scene *scene, struct rota_stream *stream)
{
	(void)stream;
	rota_context_stop(scene->ctx);
}

static void
act_take_turns(struct scene *scene, struct rota_stream *stream)
{
	struct rota_dispatchvars vars = ROTA_DISPATCHVARS_INIT;

	(void)stream;
	assert_int_equal(rota_context_free(scene->ctx), -EDEADLK);
	assert_int_equal(rota_iterate(scene->ctx, &vars), -EDEADLK);
	assert_int_equal(rota_dispatch_once(scene->ctx, 0, NULL), -EDEADLK);
}

const struct scene_act scene_acts[] = {
	{ "abort", act_abort },
	{ "close", act_close },
	{ "end", act_end },
	{ "pause", act_pause },
	{ "resume", act_resume },
	{ "need", act_need },
	{ "send", act_send },
	{ "send much", act_send_much },
	{ "lend", act_lend },
	{ "set handlers", act_set_handlers },
	{ "start tls", act_start_tls },
	{ "relay", act_relay },
	{ "close listeners", act_close_listeners },
	{ "abort all", act_abort_all },
	{ "abort relays", act_abort_relays },
	{ "connect", act_connect },
	{ "connect nowhere", act_connect_nowhere },
	{ "listen", act_listen },
	{ "stop", act_stop },
	{ "take turns", act_take_turns },
};

const size_t scene_acts_count = sizeof scene_acts / sizeof scene_acts[0];
