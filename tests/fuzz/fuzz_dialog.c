/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes dialogs, for libFuzzer: the rest of an input behind its first byte is what a peer says, to
 * a service by id when that byte is even, and to a client with calls otherwise; with 128 more the
 * client is an ordered one. The byte's other bits say in pieces of how many bytes; when these are
 * odd the client hears notices and has cancelled a call, and in single bytes it has none. What the
 * service does with a request, the request's first byte says. Every request, and every call, must
 * be over once when the peer has gone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rota/context.h>
#include <rota/iterate.h>
#include <rota/servicemodel.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_TURNS 20000
#define MOST_BYTES 100000 /* that a socket has room for */
#define ORDERED 128
#define CALLS 5
#define MOST_CALLS 30
#define IN_FLIGHT 8

static struct rota_context *ctx;
static struct rota_service *service;
static struct rota_address place; /* the service's */
static int listening;             /* what the client connects to */
static char listening_text[ROTA_ADDRESS_TEXT];

static struct rota_request *held; /* the last that was kept for later */
static unsigned taken;
static unsigned over;

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static void
turn(void)
{
	require(rota_dispatch_once(ctx, 0, NULL) >= 0);
}

/* The service */

static void
let_go(struct rota_request *request)
{
	require(rota_request_data(request) == request);
	rota_request_set_data(request, NULL);
	if (held == request)
		held = NULL;
	over++;
}

static void
reply(struct rota_request *request, const void *bytes, size_t len)
{
	let_go(request);
	require(rota_request_reply(request, bytes, len) == 0);
}

static int
on_request(struct rota_request *request, const void *bytes, size_t len, void *userdata)
{
	struct rota_session *session = rota_request_session(request);

	(void)userdata;
	taken++;
	rota_request_set_data(request, request);
	switch (len > 0 ? *(const uint8_t *)bytes : 0) {
	case 'k':
		held = request;
		break;
	case 'l':
		if (held != NULL)
			reply(held, bytes, len);
		reply(request, bytes, len);
		break;
	case 'r':
		let_go(request);
		rota_request_refuse(request, ROTA_REFUSAL_OWN, "no");
		break;
	case 'n':
		(void)rota_dialog_notify(session, bytes, len);
		reply(request, bytes, len);
		break;
	case 'c':
		rota_session_close(session);
		break;
	case 'a':
		rota_session_abort(session);
		break;
	case 'e':
		return -EIO;
	default:
		reply(request, bytes, len);
		break;
	}
	return 0;
}

static void
on_cancel(struct rota_request *request, enum rota_cancel why, void *userdata)
{
	(void)why;
	(void)userdata;
	let_go(request);
}

static int
on_notice(struct rota_session *session, const void *bytes, size_t len, void *userdata)
{
	(void)userdata;
	return rota_dialog_notify(session, bytes, len) == -EMSGSIZE ? -EMSGSIZE : 0;
}

static const struct rota_dialog dialog = {
	.name = "fuzzed",
	.framing = { .ops = &rota_framing_length32, .limit = 1000 },
	.order = ROTA_DIALOG_BY_ID,
	.max_in_flight = IN_FLIGHT,
	.on_request = on_request,
	.on_cancel = on_cancel,
	.on_notice = on_notice,
};

/* The client */

static void
ask(struct rota_client *client, struct rota_call *call)
{
	call->userdata = client;
	require(rota_call(client, call, "ask", 3) == 0);
	taken++;
}

/* What was replied to is asked again, for a while. */
static void
on_done(struct rota_call *call, const struct rota_answer *answer)
{
	require(answer->text != NULL && strchr(answer->text, '\n') == NULL);
	require((answer->outcome == ROTA_CALL_REPLIED) == (answer->error == 0));
	over++;
	if (answer->outcome == ROTA_CALL_REPLIED && taken < MOST_CALLS)
		ask(call->userdata, call);
}

/* The first byte of one says which call to cancel. */
static void
on_client_notice(struct rota_client *client, const void *bytes, size_t len, void *userdata)
{
	(void)client;
	if (len > 0 && *(const uint8_t *)bytes < CALLS)
		(void)rota_call_cancel((struct rota_call *)userdata + *(const uint8_t *)bytes);
}

static const struct rota_client_handlers client_handlers = { .on_notice = on_client_notice };

static int
accepted(void)
{
	return accept4(listening, NULL, NULL, SOCK_CLOEXEC);
}

static void
call_peer(enum rota_dialog_order order, size_t piece, struct rota_client **ret_client,
	struct rota_call calls[CALLS])
{
	const char *const targets[] = { listening_text, NULL };
	struct rota_client_options options = ROTA_CLIENT_OPTIONS_INIT;

	options.targets = targets;
	options.framing = dialog.framing;
	options.order = order;
	options.handlers = piece % 2 == 1 ? &client_handlers : NULL;
	options.userdata = calls;
	options.keep_warm = piece == 1;
	options.backoff_first = options.backoff_most = ROTA_MINUTE;
	require(rota_client_new(ctx, &options, ret_client) == 0);
	for (int i = 0; i < CALLS; i++) {
		rota_call_init(&calls[i], on_done);
		if (piece != 1)
			ask(*ret_client, &calls[i]);
	}
}

/* Both */

static void
hear(int fd)
{
	char heard[4096];

	turn();
	while (recv(fd, heard, sizeof heard, MSG_DONTWAIT) > 0)
		;
}

/* Says it all, unless the other end has gone, hears what comes of it, and is gone itself. */
static void
speak(int fd, const uint8_t *data, size_t size, size_t piece)
{
	hear(fd);
	while (size > 0) {
		size_t len = piece > 0 && piece < size ? piece : size;
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
		hear(fd);
	}
	hear(fd);
	close(fd);
}

static void
cut_off(struct rota_session *session, void *userdata)
{
	(void)userdata;
	rota_session_abort(session);
}

/* A session that keeps as many requests as it may does not see its peer's end. */
static void
settle(void)
{
	for (int turns = 0; rota_context_streams(ctx) > 0; turns++) {
		require(turns < MOST_TURNS);
		if (turns == MOST_TURNS / 2)
			rota_service_each(service, cut_off, NULL);
		turn();
	}
}

static void
try_service(const uint8_t *data, size_t size, size_t piece)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(connect(fd, &place.socket.any, place.length) == 0);
	while (rota_service_sessions(service) == 0)
		turn();
	speak(fd, data, size, piece);
	settle();
	require(held == NULL);
}

static void
try_client(enum rota_dialog_order order, const uint8_t *data, size_t size, size_t piece)
{
	struct rota_call calls[CALLS];
	struct rota_client *client;
	int fd;

	call_peer(order, piece, &client, calls);
	turn();
	fd = accepted();
	require(fd >= 0);
	turn();
	if (piece % 2 == 1)
		require(rota_call_cancel(&calls[1]) == (piece == 1 ? -EALREADY : 0));
	speak(fd, data, size, piece);
	for (int i = 0; i < 10; i++)
		turn();
	rota_client_free(client);
	settle();
	/* It may have come again. */
	for (fd = accepted(); fd >= 0; fd = accepted())
		close(fd);
}

/* Names that are free as soon as nobody has them. */
static void
name_by(const char *what, char text[ROTA_ADDRESS_TEXT])
{
	snprintf(text, ROTA_ADDRESS_TEXT, "unix:@rota-fuzz-%s-%ld", what, (long)getpid());
}

static void
begin_service(void)
{
	struct rota_service_options options = ROTA_SERVICE_OPTIONS_INIT;
	char text[ROTA_ADDRESS_TEXT];

	name_by("service", text);
	/* A peer that has gone is not waited for. */
	options.listener.stream.close_timeout = ROTA_MILLISECOND;
	options.listener.stream.half_closed_timeout = ROTA_MILLISECOND;
	require(rota_dialog_serve(ctx, &options, &dialog, NULL, &service) == 0);
	require(rota_service_listen(service, text) == 0);
	require(rota_listener_address(rota_service_listener(service, 0), &place) == 0);
}

static void
begin_peer(void)
{
	struct rota_address address;

	name_by("peer", listening_text);
	require(rota_address_parse(listening_text, &address) == 0);
	listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	require(bind(listening, &address.socket.any, address.length) == 0);
	require(listen(listening, 8) == 0);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	require(rota_context_new(&ctx) == 0);
	begin_service();
	begin_peer();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > MOST_BYTES)
		return -1;
	taken = over = 0;
	if (data[0] % 2 == 0)
		try_service(data + 1, size - 1, data[0] % ORDERED / 2);
	else
		try_client(data[0] < ORDERED ? ROTA_DIALOG_BY_ID : ROTA_DIALOG_ORDERED, data + 1,
			size - 1, data[0] % ORDERED / 2);
	require(taken == over);
	return 0;
}
