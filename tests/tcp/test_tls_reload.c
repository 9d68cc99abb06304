/* SPDX-License-Identifier: MIT */
/*
 * Reloading: a listener gets another configuration, those that are connected keep theirs; a bad
 * file leaves everything as it was and says why; and what is no longer used is gone. With
 * ROTA_TLS_ROUNDS in the environment a hundred certificates are reloaded a thousand times.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include <rota/errors.h>

#include "crypto_memory.h"
#include "faulty_allocator.h"
#include "rig.h"
#include "stream_queue.h"
#include "tls_line.h"
#include "tls_peers.h"

#define CERTIFICATES 100
#define RELOADS 12
#define CROWD 16

static struct door *
open_door(struct rota_context *ctx, struct end *ends, size_t room, struct rota_tls_config *config)
{
	struct rota_listener_options options = door_options();
	struct door *door = make_door(ends, room);

	options.stream.tls = config;
	assert_int_equal(door_open(ctx, door, "127.0.0.1:0", &options), 0);
	rota_tls_config_unref(config);
	return door;
}

static void
call(struct rota_context *ctx, struct tls_peer *peer, const struct door *door)
{
	tls_peer_open(peer, raw_connect(door->text), NULL);
	tls_peers_until(ctx, peer, 1, 0);
}

static void
check_echo(struct rota_context *ctx, struct tls_peer *peer)
{
	tls_peer_send(peer, "hello", 5);
	tls_peers_until(ctx, peer, 1, peer->received_len + 5);
}

static void
set_tls__of_a_listener__is_for_those_that_come(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx, make_echoes(4), 4, tls_line_config(false));
	struct rota_tls_config *next;
	struct tls_peer before;
	struct tls_peer after;
	int plain;

	call(ctx, &before, door);
	assert_int_equal(rota_tls_config_new(&next), 0);
	tls_add_certificate(next, CERTIFICATE_OTHER);
	assert_int_equal(rota_listener_set_tls(door->listener, next), 0);
	assert_int_equal(rota_tls_config_insecure_no_name(next), -EBUSY);
	assert_true(strlen(rota_tls_config_problem(next)) > 0);
	rota_tls_config_unref(next);
	call(ctx, &after, door);
	check_echo(ctx, &before);
	check_echo(ctx, &after);
	assert_true(tls_peer_is_shown(&before, CERTIFICATE_SERVER));
	assert_true(tls_peer_is_shown(&after, CERTIFICATE_OTHER));
	assert_int_equal(rota_listener_set_tls(door->listener, NULL), 0);
	plain = raw_connect(door->text);
	raw_send(plain, "hello", 5);
	expect_bytes(ctx, plain, "hello", 5);
	check_echo(ctx, &before);
	close(plain);
	tls_peer_fini(&before);
	tls_peer_fini(&after);
}

static void
set_tls__that_cannot_serve__leaves_the_old(void **state)
{
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx, make_echoes(2), 2, tls_line_config(false));
	struct rota_tls_config *none;
	struct tls_peer peer;

	assert_int_equal(rota_tls_config_new(&none), 0);
	assert_int_equal(rota_listener_set_tls(door->listener, none), -EINVAL);
	/* So it is not in use either. */
	tls_add_certificate(none, CERTIFICATE_OTHER);
	assert_int_equal(rota_tls_config_require_peer(none), 0);
	assert_int_equal(rota_listener_set_tls(door->listener, none), -EINVAL);
	rota_tls_config_unref(none);
	call(ctx, &peer, door);
	assert_true(tls_peer_is_shown(&peer, CERTIFICATE_SERVER));
	check_echo(ctx, &peer);
	tls_peer_fini(&peer);
}

/* Many */

static void
write_certificates(char names[CERTIFICATES][2][160])
{
	for (int i = 0; i < CERTIFICATES; i++) {
		char name[32];
		struct certificate_wish wish = {
			.issuer = certificate_of(CERTIFICATE_CA),
			.common_name = name,
		};
		struct certificate *certificate;

		snprintf(name, sizeof name, "n%d.example", i);
		certificate = certificate_new(&wish);
		strcpy(names[i][0], certificate_file(name, certificate->pem, 0644));
		strcat(name, ".key");
		strcpy(names[i][1], certificate_file(name, certificate->key_pem, 0600));
		certificate_free(certificate);
	}
}

/* They all go at once. */
static void
hang_up(struct rota_context *ctx, struct door *door, struct tls_peer *peers, int count)
{
	for (int i = 0; i < count; i++)
		tls_peer_reset(&peers[i]);
	for (int i = 0; i < count; i++)
		tls_peer_fini(&peers[i]);
	while (rota_context_streams(ctx) > 0)
		spin(ctx, 1);
	door->accepted = 0;
	memset(door->ends, 0, door->room * sizeof *door->ends);
}

static void
make_ready(struct door *door)
{
	for (size_t i = 0; i < door->room; i++)
		door->ends[i].echoes = door->ends[i].forgets = true;
}

/*
 * libev's tables grow once, and stay: that of the descriptors which are ready at once, and that of
 * the timers which are due. Its timer may otherwise not be due for a minute.
 */
static void
grow_tables(struct rota_context *ctx, struct door *door)
{
	struct tls_peer peers[CROWD];

	make_ready(door);
	for (int i = 0; i < CROWD; i++)
		call(ctx, &peers[i], door);
	hang_up(ctx, door, peers, CROWD);
	while (rota_dispatch_once(ctx, ROTA_MILLISECOND, NULL) != 0) {
		/* Until nothing but the timer ends a wait. */
	}
}

/* A connection before, one behind it, and both go. */
static void
reload(struct rota_context *ctx, struct door *door, char names[CERTIFICATES][2][160])
{
	struct rota_tls_config *config;
	struct tls_peer peers[2];
	int r = 0;

	make_ready(door);
	call(ctx, &peers[0], door);
	assert_int_equal(rota_tls_config_new(&config), 0);
	for (int i = 0; i < CERTIFICATES && r == 0; i++)
		r = rota_tls_config_add_certificate(config, names[i][0], names[i][1]);
	if (r < 0)
		fail_msg("%s", rota_tls_config_problem(config));
	assert_int_equal(rota_listener_set_tls(door->listener, config), 0);
	rota_tls_config_unref(config);
	call(ctx, &peers[1], door);
	check_echo(ctx, &peers[0]);
	check_echo(ctx, &peers[1]);
	hang_up(ctx, door, peers, 2);
}

static void
reloads__of_a_hundred_certificates__leave_memory_flat(void **state)
{
	static char names[CERTIFICATES][2][160];
	struct rota_context *ctx = context_of(state);
	struct door *door = open_door(ctx, make_ends(CROWD), CROWD, tls_line_config(false));
	int reloads = tls_effort() > 0 ? 1000 : RELOADS;
	int64_t blocks;
	int64_t bytes;
	int64_t crypto_blocks;
	int64_t crypto_bytes;

	write_certificates(names);
	grow_tables(ctx, door);
	for (int i = 0; i < 3; i++)
		reload(ctx, door, names);
	rota__queue_free_spares(rota__tcp(ctx));
	blocks = faulty_allocator_live();
	bytes = faulty_allocator_bytes();
	crypto_blocks = crypto_memory_blocks();
	crypto_bytes = crypto_memory_bytes();
	for (int i = 0; i < reloads; i++) {
		alarm(60);
		reload(ctx, door, names);
		rota__queue_free_spares(rota__tcp(ctx));
		assert_int_equal(faulty_allocator_live(), blocks);
		assert_int_equal(faulty_allocator_bytes(), bytes);
		assert_int_equal(crypto_memory_blocks(), crypto_blocks);
		assert_int_equal(crypto_memory_bytes(), crypto_bytes);
	}
}

/* Bad files */

static const char garbage[] =
	"-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";

static const char *
encrypted_key(void)
{
	static char text[4096];
	BIO *bio = BIO_new(BIO_s_mem());
	int len;

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, certificate_of(CERTIFICATE_SERVER)->key,
				 EVP_aes_128_cbc(), (char *)"secret", 6, NULL, NULL),
		1);
	len = BIO_read(bio, text, sizeof text - 1);
	assert_true(len > 0);
	text[len] = '\0';
	BIO_free(bio);
	return text;
}

struct bad {
	const char *certificate; /* NULL: there is no such file */
	const char *key;
	unsigned mode;
	int error;
	const char *blamed;
};

/* After a failure everything is as it was: the configuration is used by the next connection. */
static void
check_bad(struct rota_tls_config *config, const struct bad *bad)
{
	char certificate[160] = "/nonexistent/certificate.pem";
	char key[160] = "/nonexistent/key.pem";
	int r;

	if (bad->certificate != NULL)
		strcpy(certificate, certificate_file("certificate.pem", bad->certificate, 0644));
	if (bad->key != NULL)
		strcpy(key, certificate_file("key.pem", bad->key, bad->mode));
	r = rota_tls_config_add_certificate(config, certificate, key);
	if (r != bad->error || strstr(rota_tls_config_problem(config), bad->blamed) == NULL)
		fail_msg("%d instead of %d, and \"%s\" instead of \"%s\"", r, bad->error,
			rota_tls_config_problem(config), bad->blamed);
}

static void
add_certificate__bad_files__leave_it_as_it_was(void **state)
{
	const struct certificate *good = certificate_of(CERTIFICATE_SERVER);
	const struct certificate *other = certificate_of(CERTIFICATE_OTHER);
	const struct certificate *weak = certificate_of(CERTIFICATE_WEAK);
	const struct bad bad[] = {
		{ NULL, good->key_pem, 0600, -ENOENT, "/nonexistent/certificate.pem" },
		{ good->pem, NULL, 0600, -ENOENT, "/nonexistent/key.pem" },
		{ good->pem, good->key_pem, 0604, -EPERM, "key.pem" },
		{ good->pem, good->key_pem, 0602, -EPERM, "key.pem" },
		{ good->pem, other->key_pem, 0600, -ROTA_ETLS, "certificate.pem" },
		{ good->pem, encrypted_key(), 0600, -ROTA_ETLS, "key.pem" },
		{ weak->pem, weak->key_pem, 0600, -ROTA_ETLS, "certificate.pem" },
		{ garbage, good->key_pem, 0600, -ROTA_ETLS, "certificate.pem" },
		{ "", good->key_pem, 0600, -ROTA_ETLS, "certificate.pem" },
		{ good->key_pem, good->key_pem, 0600, -ROTA_ETLS, "certificate.pem" },
		{ good->pem, garbage, 0600, -ROTA_ETLS, "key.pem" },
		{ good->pem, "", 0600, -ROTA_ETLS, "key.pem" },
		{ good->pem, good->pem, 0600, -ROTA_ETLS, "key.pem" },
	};
	struct rota_context *ctx = context_of(state);
	struct rota_tls_config *config = tls_line_config(false);
	struct door *door;
	struct tls_peer peer;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check_bad(config, &bad[i]);
	tls_add_certificate(config, CERTIFICATE_OTHER);
	assert_string_equal(rota_tls_config_problem(config), "");
	door = open_door(ctx, make_echoes(1), 1, config);
	call(ctx, &peer, door);
	assert_true(tls_peer_is_shown(&peer, CERTIFICATE_SERVER));
	check_echo(ctx, &peer);
	tls_peer_fini(&peer);
}

static void
add_certificate__key_that_its_group_reads__is_warned_of(void **state)
{
	const struct certificate *good = certificate_of(CERTIFICATE_SERVER);
	char certificate[160];
	struct rota_tls_config *config;
	const char *key;

	(void)state;
	assert_int_equal(rota_tls_config_new(&config), 0);
	strcpy(certificate, certificate_file("certificate.pem", good->pem, 0644));
	key = certificate_file("key.pem", good->key_pem, 0640);
	assert_int_equal(rota_tls_config_add_certificate(config, certificate, key), 0);
	assert_non_null(strstr(rota_tls_config_problem(config), key));
	assert_non_null(strstr(rota_tls_config_problem(config), "group"));
	key = certificate_file("key.pem", good->key_pem, 0600);
	assert_int_equal(rota_tls_config_add_certificate(config, certificate, key), 0);
	assert_string_equal(rota_tls_config_problem(config), "");
	rota_tls_config_unref(config);
}

static void
load__of_files__is_one_step(void **state)
{
	const struct certificate *good = certificate_of(CERTIFICATE_SERVER);
	struct rota_tls_config *untouched = (struct rota_tls_config *)state;
	struct rota_tls_config *config = untouched;
	char certificate[160];
	const char *key;

	strcpy(certificate, certificate_file("certificate.pem", good->pem, 0644));
	key = certificate_file("key.pem", good->key_pem, 0600);
	assert_int_equal(rota_tls_config_load(certificate, "/nonexistent", &config), -ENOENT);
	assert_ptr_equal(config, untouched);
	assert_int_equal(rota_tls_config_load(certificate, key, &config), 0);
	rota_tls_config_unref(config);
}

static void
add_ca__bad_files__are_refused(void **state)
{
	struct rota_tls_config *config;
	const char *path;

	(void)state;
	assert_int_equal(rota_tls_config_new(&config), 0);
	assert_int_equal(rota_tls_config_add_ca(config, "/nonexistent/ca"), -ENOENT);
	assert_non_null(strstr(rota_tls_config_problem(config), "/nonexistent/ca"));
	assert_true(rota_tls_config_add_ca(config, "/") < 0);
	path = certificate_file("ca.pem", garbage, 0644);
	assert_int_equal(rota_tls_config_add_ca(config, path), -ROTA_ETLS);
	assert_non_null(strstr(rota_tls_config_problem(config), path));
	path = certificate_file("ca.pem", "", 0644);
	assert_int_equal(rota_tls_config_add_ca(config, path), -ROTA_ETLS);
	path = certificate_file("ca.pem", certificate_of(CERTIFICATE_CA)->key_pem, 0644);
	assert_int_equal(rota_tls_config_add_ca(config, path), -ROTA_ETLS);
	path = certificate_file("ca.pem", certificate_of(CERTIFICATE_CA)->pem, 0644);
	assert_int_equal(rota_tls_config_add_ca(config, path), 0);
	assert_string_equal(rota_tls_config_problem(config), "");
	rota_tls_config_unref(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(set_tls__of_a_listener__is_for_those_that_come),
		rig_test(set_tls__that_cannot_serve__leaves_the_old),
		rig_test(reloads__of_a_hundred_certificates__leave_memory_flat),
		rig_test(add_certificate__bad_files__leave_it_as_it_was),
		cmocka_unit_test(add_certificate__key_that_its_group_reads__is_warned_of),
		cmocka_unit_test(load__of_files__is_one_step),
		cmocka_unit_test(add_ca__bad_files__are_refused),
	};

	faulty_allocator_install();
	crypto_memory_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
