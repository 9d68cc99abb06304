/* SPDX-License-Identifier: MIT */
/*
 * program_tls.h - what the installed programs do with TLS the same way: files named by options
 * become a configuration, and what a handshake agreed on becomes words for a line.
 */
#ifndef EXAMPLES_PROGRAM_TLS_H
#define EXAMPLES_PROGRAM_TLS_H

#include "program.h"

#define PROGRAM_CERTIFICATES 64
#define PROGRAM_PEER_NAMES 64

/* What options say of one side's TLS. Texts are those of the command line. */
struct program_tls {
	const char *certificates[PROGRAM_CERTIFICATES];
	size_t certificate_count;
	const char *keys[PROGRAM_CERTIFICATES]; /* each of the certificate of the same place */
	size_t key_count;
	const char *ca; /* NULL: the system's */
	const char
		*peer_names[PROGRAM_PEER_NAMES]; /* one of which a peer's certificate must have */
	size_t peer_name_count;
	const char *alpn;   /* NULL: none */
	bool requires_peer; /* a server's clients must show a certificate */
	bool no_verification;
	bool no_name;
};

/*
 * The values of options: a file, the name of a host that a certificate must be for, a name that a
 * peer may have, protocols. Each returns 0, or PROGRAM_MISUSED after saying why.
 */
int program_tls_file(const char *name, const char *option, const char *path, const char **files,
	size_t *count);
int program_tls_name(const char *name, const char *option, const char *text);
int program_tls_peer(const char *name, const char *option, const char *text,
	struct program_tls *options);
int program_tls_alpn(const char *name, const char *option, const char *text);
/* Whether each certificate has a key: both options were given as often. */
int program_tls_pairs(const char *name, const char *option, const struct program_tls *options);

/*
 * Makes a configuration, says what is wrong with the files, or questionable, and keeps private keys
 * out of core dumps from then on. Returns 0, or PROGRAM_FAILED.
 */
int program_tls_make(const char *name, const struct program_tls *options,
	struct rota_tls_config **ret_config);

/* Room for the words of program_tls_facts. */
#define PROGRAM_TLS_FACTS 5120

/*
 * What the stream's handshake agreed on: " tls=TLSv1.3 cipher=… sni=… alpn=… resumed=no peer=…",
 * each word's name behind prefix ("" or "target_"), what there is not left out. Each is one word,
 * whatever peers have chosen. Returns buffer, which is empty for a stream without TLS.
 */
const char *program_tls_facts(const struct rota_stream *stream, const char *prefix,
	char buffer[PROGRAM_TLS_FACTS]);

/* A text as one word: blanks become hyphens, other bytes that could be mistaken \xHH. */
const char *program_tls_word(const char *text, char *buffer, size_t size);

#endif
