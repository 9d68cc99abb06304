/* SPDX-License-Identifier: MIT */
/*
 * Certificates for tests, made in the process: an authority's, and what it or somebody else has
 * signed. Keys are of P-256, which is fast, unless a test asks for others.
 */
#ifndef ROTA_TESTS_CERTIFICATES_H
#define ROTA_TESTS_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

struct certificate {
	X509 *x509;
	EVP_PKEY *key;
	char *pem;     /* the certificate, and behind it those of its issuers that are no root */
	char *key_pem; /* PKCS #8 */
};

/* What a certificate is to be. All zero: of nobody, by itself, valid for a day before and after. */
struct certificate_wish {
	const char *common_name;
	const char *names; /* subjectAltName as OpenSSL reads it: "DNS:a.example,IP:127.0.0.1" */
	const struct certificate *issuer; /* NULL: itself */
	bool is_authority;
	int from; /* seconds from now; both 0: a day before and after */
	int until;
	int rsa_bits;      /* 0: a key of P-256 */
	const char *usage; /* extendedKeyUsage: "clientAuth"; NULL: without */
	bool is_sha1;      /* signed with it, else with SHA-256 */
	bool is_forged;    /* the signature is not its issuer's */
};

/* Aborts when that is not possible. */
struct certificate *certificate_new(const struct certificate_wish *wish);
void certificate_free(struct certificate *certificate);

/* Those that most tests do with, made when they are first asked for, and kept. */
enum certificate_kind {
	CERTIFICATE_CA,
	CERTIFICATE_SERVER, /* localhost, 127.0.0.1, ::1, server.example; by the CA */
	CERTIFICATE_CLIENT, /* uri:spiffe://example/client, email, client.example; by the CA */
	CERTIFICATE_OTHER,  /* other.example; by the CA */
	CERTIFICATE_UNKNOWN_CA,
	CERTIFICATE_UNKNOWN, /* a server's as above; by the unknown CA */
	CERTIFICATE_SELF_SIGNED,
	CERTIFICATE_EXPIRED,
	CERTIFICATE_EARLY,     /* not yet valid */
	CERTIFICATE_CHAINED,   /* a server's, by an authority between, whose certificate it has */
	CERTIFICATE_UNCHAINED, /* by the same, and without */
	CERTIFICATE_FORGED,
	CERTIFICATE_WEAK, /* RSA of 1024 bits */
	CERTIFICATE_RSA,  /* of 2048 */
	CERTIFICATE_SHA1,
	CERTIFICATE_FOR_CLIENTS, /* a server's by its names, but only a client's by its usage */
	CERTIFICATE_BY_A_SERVER, /* by CERTIFICATE_SERVER, which is no authority */
	CERTIFICATE_KINDS,
};

const struct certificate *certificate_of(enum certificate_kind kind);

/* Makes them all, for tests in which OpenSSL's memory counts. */
void certificates_make_all(void);

/*
 * Files in a directory of the process's own, which goes away with it. The path is good until the
 * next eight such calls.
 */
const char *certificate_file(const char *name, const char *text, unsigned mode);

#endif
