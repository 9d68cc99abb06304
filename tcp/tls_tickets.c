/* SPDX-License-Identifier: MIT */
/*
 * The keys that tickets are sealed with (RFC 5077, 4; RFC 8446, 4.6.1). OpenSSL has one key for the
 * life of a configuration; here it is replaced, so that who finds it cannot read what was recorded
 * long before. They are in a page of their own, which core dumps leave out.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "tls_config.h"

#define LIFETIME (ROTA_MINUTE * 60 * 6)

#define MAGIC "rotatk01"
#define MAGIC_BYTES (sizeof(MAGIC) - 1)

_Static_assert(MAGIC_BYTES + sizeof(struct rota__tls_tickets) == ROTA_TLS_TICKET_KEYS,
	"what is got and set is all there is of them");

static bool
make(struct rota__tls_ticket_key *key)
{
	return RAND_bytes(key->name, sizeof key->name) == 1 &&
		RAND_priv_bytes(key->cipher, sizeof key->cipher) == 1 &&
		RAND_priv_bytes(key->mac, sizeof key->mac) == 1;
}

struct rota__tls_tickets *
rota__tls_tickets_new(void)
{
	struct rota__tls_tickets *tickets = mmap(NULL, sizeof *tickets, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (tickets == MAP_FAILED)
		return NULL;
	(void)madvise(tickets, sizeof *tickets, MADV_DONTDUMP);
	if (make(&tickets->current) && make(&tickets->previous))
		return tickets;
	rota__tls_tickets_free(tickets);
	return NULL;
}

void
rota__tls_tickets_free(struct rota__tls_tickets *tickets)
{
	if (tickets == NULL)
		return;
	OPENSSL_cleanse(tickets, sizeof *tickets);
	munmap(tickets, sizeof *tickets);
}

/* Replaces keys that are too old by now. False when there is no randomness. */
static bool
rotate(struct rota__tls_tickets *tickets, rota_time now)
{
	rota_time age;

	/* Used for the first time, or made before the system was started anew. */
	if (tickets->since <= 0 || tickets->since > now)
		tickets->since = now;
	age = now - tickets->since;
	if (age < LIFETIME)
		return true;
	tickets->previous = tickets->current;
	/* However late this is, they are not to be kept the longer. */
	tickets->since += age - age % LIFETIME;
	/* Nobody came for so long that both are too old. */
	if (age >= 2 * LIFETIME && !make(&tickets->previous))
		return false;
	return make(&tickets->current);
}

/* 1: in use; 2: the one before; 0: neither. */
static int
find(const struct rota__tls_tickets *tickets, const unsigned char *name,
	struct rota__tls_ticket_key *ret_key)
{
	if (CRYPTO_memcmp(name, tickets->current.name, sizeof tickets->current.name) == 0) {
		*ret_key = tickets->current;
		return 1;
	}
	if (CRYPTO_memcmp(name, tickets->previous.name, sizeof tickets->previous.name) == 0) {
		*ret_key = tickets->previous;
		return 2;
	}
	return 0;
}

/* 1 or 2 with the key, 0 for a ticket of a key that is not known, -1 when it cannot be. */
static int
take_key(struct rota_tls_config *config, rota_time now, unsigned char *name, bool seals,
	struct rota__tls_ticket_key *ret_key)
{
	int found = -1;

	pthread_mutex_lock(&config->lock);
	if (rotate(config->tickets, now)) {
		if (seals)
			memcpy(name, config->tickets->current.name,
				sizeof config->tickets->current.name);
		found = find(config->tickets, name, ret_key);
	}
	pthread_mutex_unlock(&config->lock);
	return found;
}

static bool
set_key(const struct rota__tls_ticket_key *key, const EVP_CIPHER *type, unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seals)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac,
			sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_end(),
	};

	if (seals && RAND_bytes(iv, EVP_CIPHER_get_iv_length(type)) != 1)
		return false;
	return EVP_CipherInit_ex2(cipher, type, key->cipher, iv, seals, NULL) == 1 &&
		EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int
rota__tls_ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
	EVP_MAC_CTX *mac, int seals)
{
	struct rota__tls *tls = rota__tls_of_ssl(ssl);
	struct rota_context *ctx = tls->stream->ctx;
	struct rota__tls_ticket_key key;
	int found = take_key(tls->config, ctx->ops->now(ctx), name, seals != 0, &key);

	if (found > 0 && !set_key(&key, tls->config->ticket_cipher, iv, cipher, mac, seals != 0))
		found = -1;
	OPENSSL_cleanse(&key, sizeof key);
	/* One of TLS 1.3 is used once (RFC 8446, C.4): the client needs another. */
	if (found == 1 && seals == 0 && SSL_version(ssl) >= TLS1_3_VERSION)
		found = 2;
	return found;
}

void
rota_tls_config_get_ticket_keys(struct rota_tls_config *config,
	unsigned char ret_keys[ROTA_TLS_TICKET_KEYS])
{
	memcpy(ret_keys, MAGIC, MAGIC_BYTES);
	pthread_mutex_lock(&config->lock);
	memcpy(ret_keys + MAGIC_BYTES, config->tickets, sizeof *config->tickets);
	pthread_mutex_unlock(&config->lock);
}

int
rota_tls_config_set_ticket_keys(struct rota_tls_config *config,
	const unsigned char keys[ROTA_TLS_TICKET_KEYS])
{
	if (memcmp(keys, MAGIC, MAGIC_BYTES) != 0)
		return -EINVAL;
	pthread_mutex_lock(&config->lock);
	memcpy(config->tickets, keys + MAGIC_BYTES, sizeof *config->tickets);
	pthread_mutex_unlock(&config->lock);
	return 0;
}

int
rota_tls_ticket_keys_make(unsigned char ret_keys[ROTA_TLS_TICKET_KEYS], rota_time now)
{
	struct rota__tls_tickets tickets = { .since = now };
	bool is_made = make(&tickets.current) && make(&tickets.previous);

	if (is_made) {
		memcpy(ret_keys, MAGIC, MAGIC_BYTES);
		memcpy(ret_keys + MAGIC_BYTES, &tickets, sizeof tickets);
	}
	OPENSSL_cleanse(&tickets, sizeof tickets);
	return is_made ? 0 : -ROTA_ETLS;
}

int
rota_tls_ticket_keys_prepare(unsigned char keys[ROTA_TLS_TICKET_KEYS], rota_time now)
{
	struct rota__tls_tickets tickets;
	bool is_made;

	if (memcmp(keys, MAGIC, MAGIC_BYTES) != 0)
		return -EINVAL;
	memcpy(&tickets, keys + MAGIC_BYTES, sizeof tickets);
	/* Nobody who has them is to replace those in use before they are turned. */
	tickets.since = now;
	is_made = make(&tickets.previous);
	if (is_made)
		memcpy(keys + MAGIC_BYTES, &tickets, sizeof tickets);
	OPENSSL_cleanse(&tickets, sizeof tickets);
	return is_made ? 0 : -ROTA_ETLS;
}

int
rota_tls_ticket_keys_turn(unsigned char keys[ROTA_TLS_TICKET_KEYS], rota_time now)
{
	struct rota__tls_tickets tickets;
	struct rota__tls_ticket_key before;

	if (memcmp(keys, MAGIC, MAGIC_BYTES) != 0)
		return -EINVAL;
	memcpy(&tickets, keys + MAGIC_BYTES, sizeof tickets);
	before = tickets.current;
	tickets.current = tickets.previous;
	tickets.previous = before;
	tickets.since = now;
	memcpy(keys + MAGIC_BYTES, &tickets, sizeof tickets);
	OPENSSL_cleanse(&tickets, sizeof tickets);
	OPENSSL_cleanse(&before, sizeof before);
	return 0;
}
