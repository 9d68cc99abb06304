/* SPDX-License-Identifier: MIT */
/*
 * See desk.h.
 */
#include "desk.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
forget(struct desk *desk, struct rota_request *request)
{
	for (size_t i = 0; i < desk->kept_count; i++) {
		if (desk->kept[i] != request)
			continue;
		memmove(&desk->kept[i], &desk->kept[i + 1],
			(desk->kept_count - i - 1) * sizeof desk->kept[0]);
		desk->kept_count--;
		return;
	}
	fail_msg("a request that is not kept");
}

static int
obey(struct desk *desk, struct rota_request *request, const char *bytes, size_t len)
{
	char text[64];

	switch (len > 0 ? bytes[0] : 'e') {
	case 'k':
		assert_true(desk->kept_count < DESK_KEPT);
		desk->kept[desk->kept_count++] = request;
		return 0;
	case 'r':
		snprintf(text, sizeof text, "%.*s", (int)len, bytes);
		rota_request_refuse(request, 300, text);
		return 0;
	case 'x':
		rota_session_abort(rota_request_session(request));
		desk->kept[desk->kept_count++] = request;
		return 0;
	case 'c':
		rota_session_close(rota_request_session(request));
		desk->kept[desk->kept_count++] = request;
		return 0;
	case 'b':
		desk->kept[desk->kept_count++] = request;
		return -1;
	default:
		assert_int_equal(rota_request_reply(request, bytes, len), 0);
		return 0;
	}
}

static int
on_request(struct rota_request *request, const void *bytes, size_t len, void *userdata)
{
	struct desk *desk = userdata;
	rota_time deadline = rota_request_deadline(request);

	desk->requests++;
	desk->last = rota_request_session(request);
	desk->left = deadline == ROTA_NEVER
		? ROTA_NEVER
		: deadline - rota_context_now(rota_service_context(desk->service));
	if (desk->act != NULL) {
		desk->act(desk, request);
		return 0;
	}
	return obey(desk, request, bytes, len);
}

static void
on_cancel(struct rota_request *request, enum rota_cancel why, void *userdata)
{
	struct desk *desk = userdata;

	desk->cancelled[why]++;
	forget(desk, request);
	/* In vain, and allowed. */
	assert_int_equal(rota_request_reply(request, "late", 4), 0);
	rota_request_refuse(request, 301, "late");
}

static int
on_notice(struct rota_session *session, const void *bytes, size_t len, void *userdata)
{
	struct desk *desk = userdata;

	desk->notices++;
	if (len > 0 && ((const char *)bytes)[0] == 'e')
		assert_int_equal(rota_dialog_notify(session, bytes, len), 0);
	return 0;
}

static void
on_open(struct rota_session *session, void *userdata)
{
	struct desk *desk = userdata;

	desk->opened++;
	desk->last = session;
}

static void
on_close(struct rota_session *session, const struct rota_close_info *why, void *userdata)
{
	struct desk *desk = userdata;

	assert_int_equal(rota_dialog_in_flight(session), 0);
	desk->closed++;
	desk->reason = why->reason;
	desk->error = why->error;
	snprintf(desk->text, sizeof desk->text, "%s", why->text);
}

void
desk_init(struct desk *desk, enum rota_dialog_order order)
{
	const struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;

	memset(desk, 0, sizeof *desk);
	desk->options = options;
	desk->table = (struct rota_dialog){
		.name = "desk",
		.framing = { &rota_framing_length32, 4096, NULL, 0, NULL, 0 },
		.order = order,
		.on_request = on_request,
		.on_cancel = on_cancel,
		.on_notice = on_notice,
		.on_open = on_open,
		.on_close = on_close,
	};
}

void
desk_open(struct rota_context *ctx, struct desk *desk, const char *address)
{
	const char *const listen[] = { address != NULL ? address : "127.0.0.1:0", NULL };
	struct rota_address bound;

	desk->options.listen = listen;
	assert_int_equal(rota_dialog_serve(ctx, &desk->options, &desk->table, desk, &desk->service),
		0);
	desk->options.listen = NULL;
	assert_int_equal(rota_listener_address(rota_service_listener(desk->service, 0), &bound), 0);
	rota_address_format(&bound, desk->address, sizeof desk->address);
}

void
desk_close(struct rota_context *ctx, struct desk *desk)
{
	rota_service_free(desk->service);
	spin(ctx, 3);
	assert_int_equal(desk->closed, desk->opened);
	assert_int_equal(desk->kept_count, 0);
	desk->service = NULL;
}

void
desk_start(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order)
{
	desk_init(desk, order);
	desk_open(ctx, desk, NULL);
}

void
desk_reply(struct desk *desk, size_t index, const char *text)
{
	struct rota_request *request = desk->kept[index];

	assert_true(index < desk->kept_count);
	forget(desk, request);
	assert_int_equal(rota_request_reply(request, text, strlen(text)), 0);
}

void
desk_reply_all(struct desk *desk, const char *text)
{
	while (desk->kept_count > 0)
		desk_reply(desk, 0, text);
}

int
desk_enter(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order)
{
	desk_start(ctx, desk, order);
	return raw_connect(desk->address);
}

void
desk_leave(struct rota_context *ctx, struct desk *desk, int peer)
{
	close(peer);
	wait_for(ctx, &desk->closed, 1);
	desk_close(ctx, desk);
}

size_t
desk_put(unsigned char *to, unsigned kind, uint32_t id, int64_t number, const char *body)
{
	size_t len = 5 + (number >= 0 ? 4 : 0) + strlen(body);
	unsigned char *at = to;

	*at++ = 0;
	*at++ = 0;
	*at++ = (unsigned char)(len >> 8);
	*at++ = (unsigned char)len;
	*at++ = (unsigned char)kind;
	for (int shift = 24; shift >= 0; shift -= 8)
		*at++ = (unsigned char)(id >> shift);
	for (int shift = 24; number >= 0 && shift >= 0; shift -= 8)
		*at++ = (unsigned char)((uint64_t)number >> shift);
	memcpy(at, body, strlen(body));
	return len + 4;
}

void
desk_say(int peer, unsigned kind, uint32_t id, int64_t number, const char *body)
{
	unsigned char frame[128];

	raw_send(peer, frame, desk_put(frame, kind, id, number, body));
}

void
desk_expect(struct rota_context *ctx, int peer, unsigned kind, uint32_t id, int64_t number,
	const char *body)
{
	unsigned char frame[400];

	expect_bytes(ctx, peer, frame, desk_put(frame, kind, id, number, body));
}

static void
on_done(struct rota_call *call, const struct rota_answer *answer)
{
	struct ask *ask = rota_container_of(call, struct ask, call);

	assert_false(rota_call_is_running(call));
	ask->told++;
	ask->outcome = answer->outcome;
	ask->len = answer->len;
	assert_true(ask->len < sizeof ask->reply);
	if (ask->len > 0)
		memcpy(ask->reply, answer->bytes, ask->len);
	ask->reply[ask->len] = '\0';
	ask->code = answer->code;
	ask->error = answer->error;
	snprintf(ask->text, sizeof ask->text, "%s", answer->text);
	ask->has_why = answer->why != NULL;
	if (ask->has_why)
		ask->reason = answer->why->reason;
	if (ask->act != NULL)
		ask->act(ask);
}

void
ask_init(struct ask *ask, const char *body)
{
	memset(ask, 0, sizeof *ask);
	rota_call_init(&ask->call, on_done);
	snprintf(ask->body, sizeof ask->body, "%s", body);
}

int
ask_call(struct rota_client *client, struct ask *ask)
{
	return rota_call(client, &ask->call, ask->body, strlen(ask->body));
}

static void
call_it(struct rota_client *client, struct ask *ask)
{
	assert_int_equal(ask_call(client, ask), 0);
	assert_int_equal(ask->told, 0);
	assert_true(rota_call_is_running(&ask->call));
}

void
ask_make(struct rota_client *client, struct ask *ask, const char *body)
{
	ask_init(ask, body);
	call_it(client, ask);
}

void
ask_make_for(struct rota_client *client, struct ask *ask, const char *body, rota_time timeout)
{
	ask_init(ask, body);
	ask->call.timeout = timeout;
	call_it(client, ask);
}

void
ask_make_safe(struct rota_client *client, struct ask *ask, const char *body)
{
	ask_init(ask, body);
	ask->call.is_safe = true;
	call_it(client, ask);
}

void
ask_expect(struct rota_context *ctx, struct ask *ask, enum rota_outcome outcome)
{
	wait_for(ctx, &ask->told, 1);
	assert_int_equal(ask->told, 1);
	assert_string_equal(rota_outcome_name(ask->outcome), rota_outcome_name(outcome));
}

struct rota_client_options
desk_client(enum rota_dialog_order order, const char **targets, const char *target)
{
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;

	targets[0] = target;
	targets[1] = NULL;
	options.targets = targets;
	options.framing = (struct rota_framing){ &rota_framing_length32, 4096, NULL, 0, NULL, 0 };
	options.order = order;
	options.seed = 1;
	return options;
}

struct rota_client *
make_client(struct rota_context *ctx, const struct rota_client_options *options)
{
	struct rota_client *client = NULL;

	assert_int_equal(rota_client_new(ctx, options, &client), 0);
	return client;
}

struct rota_client_target
client_target(const struct rota_client *client, size_t index)
{
	struct rota_client_target target;

	assert_int_equal(rota_client_target(client, index, &target), 0);
	return target;
}

struct rota_client *
desk_connect(struct rota_context *ctx, struct desk *desk)
{
	const char *targets[2];
	struct rota_client_options options = desk_client(desk->table.order, targets, desk->address);
	struct rota_client *client = make_client(ctx, &options);
	struct ask ask;

	ask_make(client, &ask, "e");
	ask_expect(ctx, &ask, ROTA_CALL_REPLIED);
	return client;
}

struct rota_client *
desk_start_client(struct rota_context *ctx, struct desk *desk, enum rota_dialog_order order)
{
	desk_start(ctx, desk, order);
	return desk_connect(ctx, desk);
}

void
desk_end(struct rota_context *ctx, struct desk *desk, struct rota_client *client)
{
	rota_client_free(client);
	desk_close(ctx, desk);
}

void
in_both_orders(void **state, both_fn *test)
{
	struct rota_context *ctx = context_of(state);

	for (int order = 0; order < 2; order++) {
		struct desk desk;
		struct rota_client *client =
			desk_start_client(ctx, &desk, (enum rota_dialog_order)order);

		test(ctx, &desk, client);
		desk_end(ctx, &desk, client);
	}
}
