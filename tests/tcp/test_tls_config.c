/* SPDX-License-Identifier: MIT */
/*
 * Configurations: what is wrong with the files is told, and changes nothing; one in use cannot be
 * changed; and a listener that is given another uses it for those that it accepts from then on.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rota/errors.h>
#include <rota/proxy_protocol.h>
#include <rota/tls.h>

#include "faulty_allocator.h"
#include "rig.h"
#include "tls_line.h"
#include "tls_peers.h"

/* Files */

static const char *
write_certificate(enum certificate_kind kind)
{
	return certificate_file("certificate.pem", certificate_of(kind)->pem, 0644);
}

static const char *
write_key(enum certificate_kind kind, unsigned mode)
{
	return certificate_file("key.pem", certificate_of(kind)->key_pem, mode);
}

static void
files__that_are_good__are_loaded(void **state)
{
	struct tls_line *line = *state;

	assert_int_equal(rota_tls_config_load(write_certificate(CERTIFICATE_CHAINED),
				 write_key(CERTIFICATE_CHAINED, 0600), &line->config),
		0);
	assert_string_equal(rota_tls_config_problem(line->config), "");
	tls_line_open(line);
	tls_line_shake(line);
}

static const struct {
	unsigned mode;
	int error;
	const char *problem; /* a word of it */
} modes[] = {
	{ 0600, 0, "" },
	{ 0400, 0, "" },
	{ 0640, 0, "group" },
	{ 0660, 0, "group" },
	{ 0604, -EPERM, "everybody" },
	{ 0644, -EPERM, "everybody" },
	{ 0602, -EPERM, "everybody" },
};

static void
key__that_more_than_its_owner_may_read__is_told_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct rota_tls_config *config;
		const char *problem;

		assert_int_equal(rota_tls_config_new(&config), 0);
		assert_int_equal(rota_tls_config_add_certificate(config,
					 write_certificate(CERTIFICATE_SERVER),
					 write_key(CERTIFICATE_SERVER, modes[i].mode)),
			modes[i].error);
		problem = rota_tls_config_problem(config);
		if (modes[i].problem[0] == '\0') {
			assert_string_equal(problem, "");
		} else {
			assert_non_null(strstr(problem, modes[i].problem));
			assert_non_null(strstr(problem, "key.pem"));
		}
		rota_tls_config_unref(config);
	}
}

static void
check_problem(struct rota_tls_config *config, int r, int expected, const char *word)
{
	const char *problem = rota_tls_config_problem(config);

	assert_int_equal(r, expected);
	if (strstr(problem, word) == NULL)
		fail_msg("\"%s\" tells nothing of \"%s\"", problem, word);
}

/* One after the other, of every kind. */
static void
add_bad_ones(struct rota_tls_config *config)
{
	const struct certificate *other = certificate_of(CERTIFICATE_OTHER);
	const struct certificate *server = certificate_of(CERTIFICATE_SERVER);
	const struct certificate *weak = certificate_of(CERTIFICATE_WEAK);

	check_problem(config,
		rota_tls_config_add_certificate(config, "/nowhere/certificate.pem",
			write_key(CERTIFICATE_OTHER, 0600)),
		-ENOENT, "/nowhere/certificate.pem");
	check_problem(config,
		rota_tls_config_add_certificate(config, write_certificate(CERTIFICATE_OTHER),
			"/nowhere/key.pem"),
		-ENOENT, "/nowhere/key.pem");
	check_problem(config,
		rota_tls_config_add_certificate(config, write_certificate(CERTIFICATE_OTHER),
			write_key(CERTIFICATE_SERVER, 0600)),
		-ROTA_ETLS, "certificate.pem");
	check_problem(config,
		rota_tls_config_add_certificate_pem(config, other->pem, strlen(other->pem),
			server->key_pem, strlen(server->key_pem)),
		-ROTA_ETLS, "key");
	check_problem(config,
		rota_tls_config_add_certificate_pem(config, "what?", 5, other->key_pem,
			strlen(other->key_pem)),
		-ROTA_ETLS, "not certificates");
	check_problem(config,
		rota_tls_config_add_certificate_pem(config, other->pem, strlen(other->pem) / 2,
			other->key_pem, strlen(other->key_pem)),
		-ROTA_ETLS, "not certificates");
	check_problem(config,
		rota_tls_config_add_certificate_pem(config, other->pem, strlen(other->pem), "what?",
			5),
		-ROTA_ETLS, "not a private key");
	check_problem(config,
		rota_tls_config_add_certificate_pem(config, weak->pem, strlen(weak->pem),
			weak->key_pem, strlen(weak->key_pem)),
		-ROTA_ETLS, "key");
	check_problem(config, rota_tls_config_add_ca_pem(config, "what?", 5), -ROTA_ETLS,
		"authorities");
	check_problem(config, rota_tls_config_add_ca(config, "/nowhere/ca.pem"), -ENOENT,
		"/nowhere/ca.pem");
}

static void
check_shows_server(struct tls_line *line, const char *asked)
{
	line->wish.sni = asked;
	tls_line_open(line);
	tls_line_shake(line);
	assert_true(tls_peer_is_shown(&line->peer, CERTIFICATE_SERVER));
	tls_line_again(line);
}

/* The names of what was refused are asked for too. */
static void
certificate__that_is_bad__leaves_all_as_before(void **state)
{
	static const char *const asked[] = { NULL, "server.example", "other.example" };
	struct tls_line *line = *state;

	for (size_t i = 0; i < 3; i++) {
		line->config = tls_line_config(false);
		add_bad_ones(line->config);
		check_shows_server(line, asked[i]);
	}
	/* Nor is one shown that was refused before the first. */
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(rota_tls_config_new(&line->config), 0);
		add_bad_ones(line->config);
		tls_add_certificate(line->config, CERTIFICATE_SERVER);
		check_shows_server(line, asked[i]);
	}
}

static void
authorities__that_are_bad__leave_all_as_before(void **state)
{
	struct tls_line *line = *state;

	line->is_client = true;
	line->config = tls_line_config(true);
	add_bad_ones(line->config);
	tls_line_open(line);
	tls_line_shake(line);
}

static void
problem__is_of_the_last_call(void **state)
{
	struct rota_tls_config *config = tls_line_config(false);

	(void)state;
	assert_int_equal(rota_tls_config_add_peer_name(config, "a b"), -EINVAL);
	assert_string_not_equal(rota_tls_config_problem(config), "");
	assert_int_equal(rota_tls_config_add_peer_name(config, "db.example"), 0);
	assert_string_equal(rota_tls_config_problem(config), "");
	rota_tls_config_unref(config);
}

/* In use */

static void
check_busy(struct rota_tls_config *config, int r)
{
	check_problem(config, r, -EBUSY, "in use");
}

static void
check_immutable(struct rota_tls_config *config)
{
	const struct certificate *other = certificate_of(CERTIFICATE_OTHER);
	unsigned char keys[ROTA_TLS_TICKET_KEYS];

	check_busy(config,
		rota_tls_config_add_certificate_pem(config, other->pem, strlen(other->pem),
			other->key_pem, strlen(other->key_pem)));
	check_busy(config,
		rota_tls_config_add_certificate(config, write_certificate(CERTIFICATE_OTHER),
			write_key(CERTIFICATE_OTHER, 0600)));
	check_busy(config, rota_tls_config_add_ca_pem(config, other->pem, strlen(other->pem)));
	check_busy(config, rota_tls_config_add_ca(config, write_certificate(CERTIFICATE_OTHER)));
	check_busy(config, rota_tls_config_require_peer(config));
	check_busy(config, rota_tls_config_add_peer_name(config, "db.example"));
	check_busy(config, rota_tls_config_set_alpn(config, "h2"));
	check_busy(config, rota_tls_config_set_versions(config, ROTA_TLS_1_3, ROTA_TLS_1_3));
	check_busy(config, rota_tls_config_insecure_no_verification(config));
	check_busy(config, rota_tls_config_insecure_no_name(config));
	/* But for these. */
	rota_tls_config_get_ticket_keys(config, keys);
	assert_int_equal(rota_tls_config_set_ticket_keys(config, keys), 0);
}

static void
config__in_use__cannot_be_changed(void **state)
{
	struct tls_line *line = *state;

	for (int i = 0; i < 2; i++) {
		line->is_client = i == 1;
		tls_line_open(line);
		check_immutable(line->config);
		tls_line_shake(line);
		tls_line_again(line);
	}
}

/* Listeners */

static struct door *
open_door(struct rota_context *ctx, struct rota_listener_options *options, size_t count)
{
	struct door *door = make_door(make_echoes(count), count);

	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", options), 0);
	rota_tls_config_unref(options->stream.tls);
	return door;
}

static void
listener__in_use__cannot_be_changed(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct rota_tls_config *config = tls_line_config(false);

	options.stream.tls = rota_tls_config_ref(config);
	(void)open_door(ctx, &options, 1);
	check_immutable(config);
	rota_tls_config_unref(config);
}

static void
set_tls(struct rota_listener *listener, enum certificate_kind kind)
{
	struct rota_tls_config *config;

	assert_int_equal(rota_tls_config_new(&config), 0);
	tls_add_certificate(config, kind);
	assert_int_equal(rota_listener_set_tls(listener, config), 0);
	rota_tls_config_unref(config);
}

/* The third waits for a header, so its TLS has not begun. */
static void
receive_header_of_third(struct door *door, struct rota_stream *stream)
{
	if (door->ends[2].stream == stream)
		assert_int_equal(rota_proxy_receive(stream, NULL, NULL), 0);
}

/* Of four it is the last for whom the listener has been given another. */
static void
listener__given_another__uses_it_for_those_to_come(void **state)
{
	static const char header[] = "PROXY UNKNOWN\r\n";
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct tls_peer peers[4];
	struct door *door;

	options.stream.tls = tls_line_config(false);
	door = open_door(ctx, &options, 4);
	door->on_accept = receive_header_of_third;
	tls_peer_open(&peers[0], raw_connect(door->text), NULL);
	while (!peers[0].is_open)
		tls_peers_step(ctx, peers, 1);
	tls_peer_open(&peers[1], raw_connect(door->text), NULL);
	peers[1].limit = 50;
	while (door->accepted < 2)
		tls_peers_step(ctx, peers, 2);
	tls_peer_open(&peers[2], raw_connect(door->text), NULL);
	wait_for(ctx, &door->accepted, 3);
	set_tls(door->listener, CERTIFICATE_OTHER);
	peers[1].limit = SIZE_MAX;
	tls_peer_put(&peers[2], header, sizeof header - 1);
	tls_peer_open(&peers[3], raw_connect(door->text), NULL);
	tls_peers_until(ctx, peers, 4, 0);
	for (int i = 0; i < 4; i++) {
		assert_true(tls_peer_is_shown(&peers[i],
			i < 3 ? CERTIFICATE_SERVER : CERTIFICATE_OTHER));
		tls_peer_send(&peers[i], "hello", 5);
	}
	tls_peers_until(ctx, peers, 4, 5);
	for (int i = 0; i < 4; i++)
		tls_peer_fini(&peers[i]);
}

static void
listener__given_none_or_one_that_cannot_serve__is_plain_or_as_before(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct rota_listener_options options = door_options();
	struct rota_tls_config *none;
	struct tls_peer peer;
	struct door *door;
	int fd;

	options.stream.tls = tls_line_config(false);
	door = open_door(ctx, &options, 2);
	assert_int_equal(rota_tls_config_new(&none), 0);
	assert_int_equal(rota_listener_set_tls(door->listener, none), -EINVAL);
	rota_tls_config_unref(none);
	tls_peer_open(&peer, raw_connect(door->text), NULL);
	while (!peer.is_open)
		tls_peers_step(ctx, &peer, 1);
	assert_true(tls_peer_is_shown(&peer, CERTIFICATE_SERVER));
	tls_peer_fini(&peer);
	assert_int_equal(rota_listener_set_tls(door->listener, NULL), 0);
	fd = raw_connect(door->text);
	raw_send(fd, "plain", 5);
	expect_bytes(ctx, fd, "plain", 5);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		tls_test(files__that_are_good__are_loaded),
		cmocka_unit_test(key__that_more_than_its_owner_may_read__is_told_or_refused),
		tls_test(certificate__that_is_bad__leaves_all_as_before),
		tls_test(authorities__that_are_bad__leave_all_as_before),
		cmocka_unit_test(problem__is_of_the_last_call),
		tls_test(config__in_use__cannot_be_changed),
		rig_test(listener__in_use__cannot_be_changed),
		rig_test(listener__given_another__uses_it_for_those_to_come),
		rig_test(listener__given_none_or_one_that_cannot_serve__is_plain_or_as_before),
	};

	faulty_allocator_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
