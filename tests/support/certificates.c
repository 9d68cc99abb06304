/* SPDX-License-Identifier: MIT */
/*
 * Certificates: see certificates.h. What cannot be made aborts the test program, as nothing can be
 * tested without.
 */
#include "certificates.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define DAY (24 * 60 * 60)

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

static EVP_PKEY *
make_key(int rsa_bits)
{
	EVP_PKEY *key = rsa_bits > 0 ? EVP_RSA_gen((unsigned)rsa_bits) : EVP_EC_gen("P-256");

	require(key != NULL);
	return key;
}

static void
set_name(X509 *x509, const char *common_name)
{
	X509_NAME *name = X509_get_subject_name(x509);

	if (common_name != NULL)
		require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
				(const unsigned char *)common_name, -1, -1, 0) == 1);
}

static void
add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);

	require(extension != NULL);
	require(X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void
add_extensions(X509 *x509, X509 *issuer, const struct certificate_wish *wish)
{
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	add_extension(x509, &context, NID_basic_constraints,
		wish->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add_extension(x509, &context, NID_key_usage,
		wish->is_authority ? "critical,keyCertSign,cRLSign"
				   : "critical,digitalSignature,keyEncipherment");
	add_extension(x509, &context, NID_subject_key_identifier, "hash");
	if (wish->names != NULL)
		add_extension(x509, &context, NID_subject_alt_name, wish->names);
	if (wish->usage != NULL)
		add_extension(x509, &context, NID_ext_key_usage, wish->usage);
}

static void
sign(X509 *x509, EVP_PKEY *key, const struct certificate_wish *wish)
{
	EVP_PKEY *forger = wish->is_forged ? make_key(0) : NULL;

	require(X509_sign(x509, wish->is_forged ? forger : key,
			wish->is_sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	EVP_PKEY_free(forger);
}

static X509 *
make_x509(EVP_PKEY *key, const struct certificate_wish *wish)
{
	static long serial = 1000;
	X509 *x509 = X509_new();
	X509 *issuer = wish->issuer != NULL ? wish->issuer->x509 : x509;
	bool is_usual = wish->from == 0 && wish->until == 0;

	require(x509 != NULL);
	require(X509_set_version(x509, X509_VERSION_3) == 1);
	require(ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++) == 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), is_usual ? -DAY : wish->from);
	X509_gmtime_adj(X509_getm_notAfter(x509), is_usual ? DAY : wish->until);
	require(X509_set_pubkey(x509, key) == 1);
	set_name(x509, wish->common_name);
	require(X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1);
	add_extensions(x509, issuer, wish);
	sign(x509, wish->issuer != NULL ? wish->issuer->key : key, wish);
	return x509;
}

/* A string of what was written to a memory BIO, which is freed. */
static char *
take_text(BIO *bio)
{
	char *bytes;
	long len = BIO_get_mem_data(bio, &bytes);
	char *text = malloc((size_t)len + 1);

	require(text != NULL);
	memcpy(text, bytes, (size_t)len);
	text[len] = '\0';
	BIO_free(bio);
	return text;
}

static char *
make_pem(X509 *x509, const struct certificate *issuer)
{
	BIO *bio = BIO_new(BIO_s_mem());

	require(bio != NULL && PEM_write_bio_X509(bio, x509) == 1);
	if (issuer != NULL && X509_self_signed(issuer->x509, 0) == 0)
		require(BIO_puts(bio, issuer->pem) > 0);
	return take_text(bio);
}

static char *
make_key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	require(bio != NULL);
	require(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	return take_text(bio);
}

struct certificate *
certificate_new(const struct certificate_wish *wish)
{
	struct certificate *certificate = calloc(1, sizeof *certificate);

	require(certificate != NULL);
	certificate->key = make_key(wish->rsa_bits);
	certificate->x509 = make_x509(certificate->key, wish);
	certificate->pem = make_pem(certificate->x509, wish->issuer);
	certificate->key_pem = make_key_pem(certificate->key);
	return certificate;
}

void
certificate_free(struct certificate *certificate)
{
	if (certificate == NULL)
		return;
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	free(certificate->pem);
	free(certificate->key_pem);
	free(certificate);
}

/* The usual ones */

#define SERVERS_NAMES "DNS:localhost,DNS:server.example,IP:127.0.0.1,IP:::1"
#define CLIENTS_NAMES \
	"DNS:client.example,URI:spiffe://example/client,email:client@example.org,IP:192.0.2.7"

static struct certificate *kept[CERTIFICATE_KINDS];

static void
free_kept(void)
{
	for (int i = 0; i < CERTIFICATE_KINDS; i++) {
		certificate_free(kept[i]);
		kept[i] = NULL;
	}
}

static const struct certificate_wish wishes[CERTIFICATE_KINDS] = {
	[CERTIFICATE_CA] = { .common_name = "The Authority", .is_authority = true },
	[CERTIFICATE_SERVER] = { .common_name = "server.example", .names = SERVERS_NAMES },
	[CERTIFICATE_CLIENT] = { .common_name = "the client", .names = CLIENTS_NAMES },
	[CERTIFICATE_OTHER] = { .common_name = "other.example", .names = "DNS:other.example" },
	[CERTIFICATE_UNKNOWN_CA] = { .common_name = "An Authority", .is_authority = true },
	[CERTIFICATE_UNKNOWN] = { .common_name = "server.example", .names = SERVERS_NAMES },
	[CERTIFICATE_SELF_SIGNED] = { .common_name = "server.example", .names = SERVERS_NAMES },
	[CERTIFICATE_EXPIRED] = { .names = SERVERS_NAMES, .from = -2 * DAY, .until = -DAY },
	[CERTIFICATE_EARLY] = { .names = SERVERS_NAMES, .from = DAY, .until = 2 * DAY },
	[CERTIFICATE_CHAINED] = { .names = SERVERS_NAMES },
	[CERTIFICATE_UNCHAINED] = { .names = SERVERS_NAMES },
	[CERTIFICATE_FORGED] = { .names = SERVERS_NAMES, .is_forged = true },
	[CERTIFICATE_WEAK] = { .names = SERVERS_NAMES, .rsa_bits = 1024 },
	[CERTIFICATE_RSA] = { .names = SERVERS_NAMES, .rsa_bits = 2048 },
	[CERTIFICATE_SHA1] = { .names = SERVERS_NAMES, .is_sha1 = true },
	[CERTIFICATE_FOR_CLIENTS] = { .names = SERVERS_NAMES, .usage = "clientAuth" },
	[CERTIFICATE_BY_A_SERVER] = { .names = SERVERS_NAMES },
};

static const struct certificate *
issuer_of(enum certificate_kind kind)
{
	switch (kind) {
	case CERTIFICATE_CA:
	case CERTIFICATE_UNKNOWN_CA:
	case CERTIFICATE_SELF_SIGNED:
		return NULL;
	case CERTIFICATE_UNKNOWN:
		return certificate_of(CERTIFICATE_UNKNOWN_CA);
	case CERTIFICATE_BY_A_SERVER:
		return certificate_of(CERTIFICATE_SERVER);
	default:
		return certificate_of(CERTIFICATE_CA);
	}
}

/* By an authority between it and the CA. */
static struct certificate *
make_chained(struct certificate_wish wish, bool has_chain)
{
	const struct certificate_wish between = {
		.common_name = "The Authority's Deputy",
		.is_authority = true,
		.issuer = certificate_of(CERTIFICATE_CA),
	};
	struct certificate *deputy = certificate_new(&between);
	struct certificate *certificate;

	wish.issuer = deputy;
	certificate = certificate_new(&wish);
	if (!has_chain) {
		free(certificate->pem);
		certificate->pem = make_pem(certificate->x509, NULL);
	}
	certificate_free(deputy);
	return certificate;
}

const struct certificate *
certificate_of(enum certificate_kind kind)
{
	struct certificate_wish wish = wishes[kind];
	static bool is_registered;

	if (kept[kind] != NULL)
		return kept[kind];
	/* OpenSSL first: what is registered last is called first. */
	if (!is_registered)
		require(OPENSSL_init_crypto(0, NULL) == 1 && atexit(free_kept) == 0);
	is_registered = true;
	if (kind == CERTIFICATE_CHAINED || kind == CERTIFICATE_UNCHAINED) {
		kept[kind] = make_chained(wish, kind == CERTIFICATE_CHAINED);
	} else {
		wish.issuer = issuer_of(kind);
		kept[kind] = certificate_new(&wish);
	}
	return kept[kind];
}

void
certificates_make_all(void)
{
	for (int i = 0; i < CERTIFICATE_KINDS; i++)
		(void)certificate_of((enum certificate_kind)i);
}

/* Files */

static char directory[] = "/tmp/rota-test-certificates-XXXXXX";
static pid_t owner; /* of the directory; 0: there is none */

static void
remove_directory(void)
{
	DIR *listed;
	struct dirent *entry;

	if (owner != getpid())
		return;
	listed = opendir(directory);
	while (listed != NULL && (entry = readdir(listed)) != NULL) {
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(listed), entry->d_name, 0);
	}
	if (listed != NULL)
		closedir(listed);
	(void)rmdir(directory);
}

const char *
certificate_file(const char *name, const char *text, unsigned mode)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];
	FILE *file;

	if (owner == 0) {
		require(mkdtemp(directory) != NULL);
		owner = getpid();
		require(atexit(remove_directory) == 0);
	}
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	(void)unlink(path);
	file = fopen(path, "we");
	require(file != NULL);
	require(fputs(text, file) >= 0 && fchmod(fileno(file), mode) == 0);
	require(fclose(file) == 0);
	return path;
}
