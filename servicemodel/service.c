/* SPDX-License-Identifier: MIT */
/*
 * Services: their listeners, limits and memory. What happens on a session is session.c's.
 *
 * A service lives until it has been freed by its user and has no session and no listener any more,
 * each of which tells it so. The context tells it of its own end, and of forks.
 */
#include "service.h"

#include <errno.h>
#include <string.h>

#include <rota/context.h>
#include <rota/errors.h>
#include <rota/tls.h>

#include "allocator.h"

static void
dispose(struct rota_service *service)
{
	if (service->ctx != NULL) {
		rota_timer_stop(service->ctx, &service->rate_timer);
		rota__service_forget_drain(service);
	}
	rota__unfollow(&service->follower);
	rota_admission_free(service->admission);
	rota__free(service->drain);
	rota__free((void *)service->options.proxies);
	if (service->model != NULL)
		service->model->dispose(service);
	rota__free(service);
}

void
rota__service_enter(struct rota_service *service)
{
	service->calls++;
}

void
rota__service_left(struct rota_service *service)
{
	service->calls--;
	if (service->is_freed && service->calls == 0 && rota__list_is_empty(&service->sessions) &&
		rota__list_is_empty(&service->listeners))
		dispose(service);
}

/* The rate */

void
rota__service_each_listener(struct rota_service *service,
	void (*what)(struct rota_listener *listener))
{
	struct rota_link *next;

	for (struct rota_link *link = service->listeners.next; link != &service->listeners;
		link = next) {
		next = link->next;
		what(rota_container_of(link, struct rota__listening, link)->listener);
	}
}

static void
fill(struct rota_service *service)
{
	rota_time now = rota_context_now(service->ctx);
	double burst = service->options.accept_burst;

	service->tokens +=
		(double)(now - service->filled) / ROTA_SECOND * service->options.accept_rate;
	if (service->tokens > burst)
		service->tokens = burst;
	service->filled = now;
}

/* One was accepted. Without a token for the next all wait until there is one. */
static void
take_token(struct rota_service *service)
{
	rota_time wait;

	if (service->options.accept_rate == 0)
		return;
	fill(service);
	service->tokens -= 1;
	if (service->tokens >= 1)
		return;
	wait = (rota_time)((1 - service->tokens) * ROTA_SECOND / service->options.accept_rate) + 1;
	/* Without memory for a timer there is no rate, rather than no service. */
	if (rota_timer_start(service->ctx, &service->rate_timer, wait) < 0)
		return;
	service->meter->paused++;
	rota__service_each_listener(service, rota_listener_pause);
}

static int
accept_again(struct rota_context *ctx, struct rota_timer *timer)
{
	struct rota_service *service = rota_container_of(timer, struct rota_service, rate_timer);

	(void)ctx;
	fill(service);
	rota__service_each_listener(service, rota_listener_resume);
	return 0;
}

/* Listeners */

static void
on_accept(struct rota_listener *listener, struct rota_stream *stream, void *userdata)
{
	struct rota__listening *listening = userdata;

	(void)listener;
	take_token(listening->service);
	rota__session_accepted(listening->service, stream);
}

static void
on_paused(struct rota_listener *listener, int error, void *userdata)
{
	struct rota__listening *listening = userdata;
	struct rota_service *service = listening->service;

	(void)listener;
	service->meter->paused++;
	if (service->options.on_paused != NULL && !service->is_freed)
		service->options.on_paused(service, error, service->userdata);
}

static void
on_listener_close(struct rota_listener *listener, const struct rota_close_info *why, void *userdata)
{
	struct rota__listening *listening = userdata;
	struct rota_service *service = listening->service;

	(void)listener;
	rota__list_remove(&listening->link);
	rota__service_enter(service);
	if (why->reason == ROTA_REASON_SYSTEM && service->options.on_listener_lost != NULL &&
		!service->is_freed)
		service->options.on_listener_lost(service, &listening->address, why,
			service->userdata);
	rota__free(listening);
	rota__service_look_drained(service);
	rota__service_left(service);
}

static const struct rota_listener_handlers listener_handlers = {
	.on_accept = on_accept,
	.on_paused = on_paused,
	.on_close = on_listener_close,
};

int
rota_service_listen(struct rota_service *service, const char *text)
{
	struct rota__listening *listening;
	int r;

	if (service->ctx == NULL || service->is_draining)
		return -ECANCELED;
	listening = rota__calloc(sizeof *listening);
	if (listening == NULL)
		return -ENOMEM;
	listening->service = service;
	r = rota_listen(service->ctx, text, &service->options.listener, &listener_handlers,
		listening, &listening->listener);
	if (r < 0) {
		rota__free(listening);
		return r;
	}
	(void)rota_listener_address(listening->listener, &listening->address);
	rota__list_append(&service->listeners, &listening->link);
	if (rota_timer_is_running(&service->rate_timer))
		rota_listener_pause(listening->listener);
	return 0;
}

struct rota_listener *
rota_service_listener(const struct rota_service *service, size_t index)
{
	const struct rota_link *link = service->listeners.next;

	for (; link != &service->listeners && index > 0; index--)
		link = link->next;
	if (link == &service->listeners)
		return NULL;
	return rota_container_of(link, struct rota__listening, link)->listener;
}

static void
set_tls(struct rota_service *service, struct rota_tls_config *config)
{
	if (config != NULL)
		(void)rota_tls_config_ref(config);
	rota_tls_config_unref(service->options.listener.stream.tls);
	service->options.listener.stream.tls = config;
}

int
rota_service_set_tls(struct rota_service *service, struct rota_tls_config *config)
{
	struct rota_tls_config *before = service->options.listener.stream.tls;
	struct rota_link *link;
	int r = 0;

	for (link = service->listeners.next; r >= 0 && link != &service->listeners;
		link = link->next)
		r = rota_listener_set_tls(rota_container_of(link, struct rota__listening, link)
						  ->listener,
			config);
	if (r < 0) {
		/* Those in front of the one that would not, which has kept what it had. */
		for (link = link->previous->previous; link != &service->listeners;
			link = link->previous)
			(void)rota_listener_set_tls(rota_container_of(link, struct rota__listening,
							    link)
							    ->listener,
				before);
		return r;
	}
	set_tls(service, config);
	return 0;
}

/* What the context tells */

static void
forked(struct rota__follower *follower, unsigned flags)
{
	struct rota_service *service = rota_container_of(follower, struct rota_service, follower);
	struct rota_link *link;

	rota__service_enter(service);
	while ((link = rota__list_pop(&service->sessions)) != NULL)
		rota__session_forget(rota_container_of(link, struct rota_session, link));
	if ((flags & ROTA_FORK_KEEP_LISTENERS) == 0) {
		while ((link = rota__list_pop(&service->listeners)) != NULL)
			rota__free(rota_container_of(link, struct rota__listening, link));
	}
	rota__service_forget_drain(service);
	rota__service_left(service);
}

static void
end(struct rota__follower *follower)
{
	struct rota_service *service = rota_container_of(follower, struct rota_service, follower);

	rota_timer_stop(service->ctx, &service->rate_timer);
	rota__service_forget_drain(service);
	service->ctx = NULL;
}

static const struct rota__follower_ops follower_ops = { forked, end };

/* Services */

static bool
is_sound(const struct rota_service_options *options, const struct rota_protocol *protocol)
{
	bool is_framed = protocol->framing.ops != NULL;

	return options->size == sizeof *options &&
		options->listener.size == sizeof options->listener &&
		options->listener.stream.size == sizeof options->listener.stream &&
		options->listener.admission == NULL &&
		(!is_framed || rota_framing_check(&protocol->framing) == 0) &&
		(is_framed ? protocol->on_data == NULL : protocol->on_frame == NULL) &&
		(options->proxies_count == 0 || options->proxies != NULL) &&
		protocol->session_size <= SIZE_MAX / 2;
}

static void
set_framing(struct rota_service *service)
{
	struct rota_stream_options *stream = &service->options.listener.stream;
	size_t longest;

	service->framing = service->protocol->framing;
	if (service->framing.ops == NULL)
		return;
	service->framing.limit = rota_framing_limit(&service->framing);
	longest = service->framing.limit + service->framing.ops->around;
	if (stream->input_limit < longest)
		stream->input_limit = longest;
}

/* What is copied of the options, and what in them is the service's own. */
static int
take_options(struct rota_service *service, const struct rota_service_options *options)
{
	struct rota_admission_options limits = ROTA_ADMISSION_OPTIONS_INIT;
	struct rota_cidr *proxies = NULL;
	int r;

	limits.max = options->max_sessions;
	limits.max_per_source = options->max_per_source;
	r = rota_admission_new(service->ctx, &limits, &service->admission);
	if (r < 0)
		return r;
	if (options->proxies_count > 0) {
		if (options->proxies_count > SIZE_MAX / sizeof *proxies)
			return -ENOMEM;
		proxies = rota__malloc(options->proxies_count * sizeof *proxies);
		if (proxies == NULL)
			return -ENOMEM;
		memcpy(proxies, options->proxies, options->proxies_count * sizeof *proxies);
	}
	service->options = *options;
	service->options.proxies = proxies;
	service->options.listener.admission = service->admission;
	service->options.listener.stream.handlers = &rota__session_handlers;
	service->options.listener.stream.session_size =
		sizeof(struct rota_session) + service->protocol->session_size;
	service->options.listener.stream.tls_name = NULL;
	service->options.listener.stream.tls = NULL;
	set_tls(service, options->listener.stream.tls);
	if (options->accept_burst == 0)
		service->options.accept_burst =
			options->accept_rate < 64 ? 64 : options->accept_rate;
	service->tokens = service->options.accept_burst;
	set_framing(service);
	return 0;
}

static int
listen_on_all(struct rota_service *service, const char *const *texts)
{
	int r = 0;

	for (; texts != NULL && *texts != NULL && r >= 0; texts++)
		r = rota_service_listen(service, *texts);
	return r;
}

int
rota_serve(struct rota_context *ctx, const struct rota_service_options *options,
	const struct rota_protocol *protocol, void *userdata, struct rota_service **ret_service)
{
	const struct rota_service_options defaults = ROTA_SERVICE_OPTIONS_INIT;
	struct rota_service *service;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!is_sound(options, protocol))
		return -EINVAL;
	service = rota__calloc(sizeof *service);
	if (service == NULL)
		return -ENOMEM;
	service->ctx = ctx;
	service->protocol = protocol;
	service->userdata = userdata;
	service->meter = options->meter != NULL ? options->meter : &service->own_meter;
	service->began = service->filled = rota_context_now(ctx);
	rota__list_init(&service->sessions);
	rota__list_init(&service->listeners);
	rota_timer_init(&service->rate_timer, accept_again);
	rota__service_init_drain(service);
	rota__follow(ctx, &service->follower, &follower_ops);
	r = take_options(service, options);
	if (r >= 0)
		r = listen_on_all(service, options->listen);
	if (r < 0) {
		rota_service_free(service);
		return r;
	}
	*ret_service = service;
	return 0;
}

void
rota_service_free(struct rota_service *service)
{
	struct rota_link *next;

	if (service == NULL || service->is_freed)
		return;
	rota__service_enter(service);
	service->is_freed = true;
	if (service->ctx != NULL) {
		rota_timer_stop(service->ctx, &service->rate_timer);
		rota__service_forget_drain(service);
	}
	set_tls(service, NULL);
	rota__service_each_listener(service, rota_listener_close);
	for (struct rota_link *link = service->sessions.next; link != &service->sessions;
		link = next) {
		next = link->next;
		rota_session_abort(rota_container_of(link, struct rota_session, link));
	}
	rota__service_left(service);
}

size_t
rota_service_sessions(const struct rota_service *service)
{
	return service->sessions_count;
}

void
rota_service_each(struct rota_service *service, rota_session_fn *visit, void *userdata)
{
	struct rota_link *next;

	rota__service_enter(service);
	for (struct rota_link *link = service->sessions.next; link != &service->sessions;
		link = next) {
		struct rota_session *session = rota_container_of(link, struct rota_session, link);

		next = link->next;
		if (rota_stream_is_open(rota_session_stream(session)))
			visit(session, userdata);
	}
	rota__service_left(service);
}

const struct rota_service_meter *
rota_service_meter(const struct rota_service *service)
{
	return service->meter;
}

struct rota_context *
rota_service_context(const struct rota_service *service)
{
	return service->ctx;
}

void *
rota_service_userdata(const struct rota_service *service)
{
	return service->userdata;
}
