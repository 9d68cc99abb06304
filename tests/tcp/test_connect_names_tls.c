/* SPDX-License-Identifier: MIT */
/*
 * TLS to a name: the name that was connected to is the one that is asked for, and verified,
 * whichever address it led to.
 */
#include <rota/connect.h>
#include <rota/tls.h>

#include <string.h>

#include "asker.h"
#include "tls_line.h"

static struct door *
listen_with_tls(struct rota_context *ctx)
{
	struct rota_listener_options options = door_options();
	struct door *door = make_door(make_echoes(4), 4);

	options.stream.tls = tls_line_config(false);
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &options), 0);
	rota_tls_config_unref(options.stream.tls);
	return door;
}

static struct end *
connect_with_tls(struct rota_context *ctx, const char *name, const char *tls_name,
	const struct door *door)
{
	struct rota_stream_options options = end_options();
	struct end *end = make_ends(1);

	options.tls = tls_line_config(true);
	options.tls_name = tls_name;
	assert_int_equal(end_connect_host(ctx, end, name, door, &options), 0);
	rota_tls_config_unref(options.tls);
	return end;
}

static void
names_with_tls__the_certificate_has_it__is_open(void **state)
{
	static const struct {
		const char *name;
		const char *tls_name;
		const char *sni;
	} names[] = {
		{ "server.example", NULL, "server.example" },
		{ "Server.Example.", NULL, "server.example" },
		{ "alias.example", "server.example", "server.example" },
	};
	struct dns_rule rules[] = { { NULL, .addresses = "127.0.0.9 127.0.0.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	struct door *door = listen_with_tls(ctx);

	SERVE_NAMES(ctx, rules);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct end *end = connect_with_tls(ctx, names[i].name, names[i].tls_name, door);
		struct rota_tls_info info;

		wait_for(ctx, &door->ends[i].told[END_OPEN], 1);
		assert_int_equal(rota_tls_info(door->ends[i].stream, &info), 0);
		assert_int_equal(strcasecmp(info.sni, names[i].sni), 0);
		assert_int_equal(rota_stream_send(end->stream, "hello", 5), 0);
		wait_for_size(ctx, &end->len, 5);
		assert_memory_equal(end->bytes, "hello", 5);
	}
}

static void
names_with_tls__the_certificate_is_of_another__is_refused(void **state)
{
	struct dns_rule rules[] = { { NULL, .addresses = "127.0.0.1", .ttl = 60 } };
	struct rota_context *ctx = context_of(state);
	struct door *door = listen_with_tls(ctx);
	struct end *end;

	SERVE_NAMES(ctx, rules);
	/* The certificate has the address; that is not what was asked for. */
	end = connect_with_tls(ctx, "other.example", NULL, door);
	wait_for(ctx, &end->told[END_CLOSE], 1);
	assert_int_equal(end->told[END_OPEN], 0);
	assert_int_equal(end->why.phase, ROTA_PHASE_HANDSHAKE);
	assert_int_equal(end->why.reason, ROTA_REASON_TLS);
	assert_non_null(strstr(end->text, "other.example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		asker_test_real(names_with_tls__the_certificate_has_it__is_open),
		asker_test_real(names_with_tls__the_certificate_is_of_another__is_refused),
	};

	(void)certificate_of(CERTIFICATE_SERVER);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
