/* SPDX-License-Identifier: MIT */
/*
 * echo.h - the parts of rota-echo: a server that sends back what it gets, and a client that loads
 * such a server, checks every byte that comes back, and measures how long that takes.
 */
#ifndef EXAMPLES_ECHO_H
#define EXAMPLES_ECHO_H

#include <rota/rota.h>

#include "histogram.h"
#include "program_tls.h"

#define ECHO_NAME "rota-echo"
#define ECHO_LISTENERS 32 /* PROGRAM_ADDRESSES */

struct echo_server_options {
	struct rota_address addresses[ECHO_LISTENERS];
	size_t count;
	struct program_tls tls; /* without certificates: none */
	uint64_t processes;     /* 0: this one alone */
};

struct echo_client_options {
	const char *name; /* HOST:PORT; NULL: */
	struct rota_address address;
	uint64_t connections;
	uint64_t size;  /* bytes of a message */
	uint64_t depth; /* messages that a connection keeps on their way */
	rota_time duration;
	bool json;
	bool has_tls;
	struct program_tls tls;
	const char *tls_name; /* that the server's certificate must have; NULL: the address */
};

/* Where it connects to, as text, in the buffer or elsewhere. */
const char *echo_target(const struct echo_client_options *options, char *buffer, size_t size);

/* What a run of the client found. */
struct echo_result {
	uint64_t open;    /* connections */
	uint64_t resumed; /* of these, by TLS */
	char version[16]; /* of TLS, and its cipher; empty: none */
	char cipher[64];
	uint64_t messages; /* that came back, whole and right */
	rota_time elapsed; /* from the first message's start to the last one's return */
	struct histogram latency;
	char error[768]; /* the first thing that went wrong; empty: nothing did */
};

/* Both return the program's exit status. */
int echo_serve(const struct echo_server_options *options);
int echo_load(const struct echo_client_options *options);

/*
 * The pattern that is sent: made for messages of a size, to be freed; the place in it of the byte
 * at an offset of what a connection sends; and how many bytes of what came back are surely right:
 * all, or fewer.
 */
uint8_t *echo_pattern_new(size_t message);
size_t echo_pattern_place(uint64_t connection, uint64_t offset);
size_t echo_pattern_compare(const uint8_t *pattern, size_t message, uint64_t connection,
	uint64_t offset, const uint8_t *bytes, size_t len);

/*
 * One line on stderr, over the last one: how it goes. It is erased before anything else is printed.
 */
void echo_report_live(const struct echo_result *result, rota_time elapsed, double rate);
void echo_report_erase(void);

/* The whole result on stdout, for people and for programs. */
void echo_report_text(const struct echo_client_options *options, const struct echo_result *result);
void echo_report_json(const struct echo_client_options *options, const struct echo_result *result);

#endif
