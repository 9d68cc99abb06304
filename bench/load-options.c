/* SPDX-License-Identifier: MIT */
/*
 * load-options.c - the load generator's command line. Anything wrong with it ends the program
 * with status 2, before a connection is opened.
 */
#include "load-options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: load --connect HOST:PORT (--messages N | --seconds S) [OPTION...]\n"
	"  --mode MODE   messages: on connections that stay open (this one if none is named)\n"
	"                connections: each with one message\n"
	"                upload, download: one direction, as fast as it goes\n"
	"  --origin FD   be the server behind a proxy too, on an inherited listener; all modes but\n"
	"                the first need it\n"
	"  --active N    connections that exchange messages, or are open at a time (1)\n"
	"  --idle N      connections that stay silent after their first message (0)\n"
	"  --size BYTES  length of a message, or of what is sent at once (64)\n"
	"  --depth N     messages in flight on an active connection (1)\n"
	"  --warmup N    messages before the measured ones (0)\n"
	"  --handshake full, resumed\n"
	"                how the connections of tls-load begin (full)\n"
	"  --sleep       wait in the kernel instead of polling it\n"
	"  --limit N     give up after N seconds (60 more than --seconds)\n"
	"  --gate        print `ready` and wait for a line before measuring, and for another\n"
	"                after the result, before the connections are closed\n";

static _Noreturn void
wrong_usage(void)
{
	fputs(usage, stderr);
	exit(2);
}

static uint64_t
parse_number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end != '\0' || *text == '-' || value < min || value > max) {
		fprintf(stderr, "load: %s is not a number from %" PRIu64 " to %" PRIu64 "\n", text,
			min, max);
		exit(2);
	}
	return value;
}

static void
parse_server(const char *text, struct sockaddr_in *server)
{
	const char *colon = strrchr(text, ':');
	char host[INET_ADDRSTRLEN];

	if (!colon || colon == text || (size_t)(colon - text) >= sizeof(host))
		wrong_usage();
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	server->sin_family = AF_INET;
	server->sin_port = htons((uint16_t)parse_number(colon + 1, 1, UINT16_MAX));
	if (inet_pton(AF_INET, host, &server->sin_addr) != 1)
		wrong_usage();
}

static enum load_mode
parse_mode(const char *text)
{
	static const char *const names[] = {
		[MODE_MESSAGES] = "messages",
		[MODE_CONNECTIONS] = "connections",
		[MODE_UPLOAD] = "upload",
		[MODE_DOWNLOAD] = "download",
	};
	unsigned int mode;

	for (mode = 0; mode < sizeof(names) / sizeof(*names); mode++)
		if (strcmp(text, names[mode]) == 0)
			return (enum load_mode)mode;
	wrong_usage();
}

static enum load_handshake
parse_handshake(const char *text)
{
	if (strcmp(text, "full") != 0 && strcmp(text, "resumed") != 0)
		wrong_usage();
	return strcmp(text, "full") == 0 ? HANDSHAKE_FULL : HANDSHAKE_RESUMED;
}

static void
parse_option(struct load_options *o, int letter, const char *value)
{
	char *end;

	switch (letter) {
	case 'c':
		parse_server(value, &o->server);
		break;
	case 'M':
		o->mode = parse_mode(value);
		break;
	case 'o':
		o->origin = (int)parse_number(value, 0, INT32_MAX);
		break;
	case 'a':
		o->active = (unsigned int)parse_number(value, 0, 100000);
		break;
	case 'i':
		o->idle = (unsigned int)parse_number(value, 0, 100000);
		break;
	case 'b':
		o->size = parse_number(value, 1, 16u << 20);
		break;
	case 'd':
		o->depth = (unsigned int)parse_number(value, 1, 4096);
		break;
	case 'm':
		o->messages = parse_number(value, 1, UINT64_MAX);
		break;
	case 'w':
		o->warmup = parse_number(value, 0, UINT64_MAX);
		break;
	case 'l':
		o->limit = (unsigned int)parse_number(value, 1, 86400);
		break;
	case 'h':
		o->handshake = parse_handshake(value);
		break;
	case 'g':
		o->gate = true;
		break;
	case 'p':
		o->sleeps = true;
		break;
	case 's':
		o->seconds = strtod(value, &end);
		if (end == value || *end != '\0' || !(o->seconds > 0 && o->seconds <= 3600))
			wrong_usage();
		break;
	default:
		wrong_usage();
	}
}

void
load_options_parse(struct load_options *o, int argc, char **argv)
{
	static const struct option names[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "mode", required_argument, NULL, 'M' },
		{ "origin", required_argument, NULL, 'o' },
		{ "active", required_argument, NULL, 'a' },
		{ "idle", required_argument, NULL, 'i' },
		{ "size", required_argument, NULL, 'b' },
		{ "depth", required_argument, NULL, 'd' },
		{ "messages", required_argument, NULL, 'm' },
		{ "seconds", required_argument, NULL, 's' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "limit", required_argument, NULL, 'l' },
		{ "handshake", required_argument, NULL, 'h' },
		{ "gate", no_argument, NULL, 'g' },
		{ "sleep", no_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int letter;

	*o = (struct load_options){ .origin = -1, .active = 1, .size = 64, .depth = 1 };
	for (letter = getopt_long(argc, argv, "", names, NULL); letter != -1;
		letter = getopt_long(argc, argv, "", names, NULL))
		parse_option(o, letter, optarg);
	if (optind != argc || o->server.sin_port == 0 || o->active + o->idle == 0)
		wrong_usage();
	if (o->mode != MODE_MESSAGES && (o->origin < 0 || o->active == 0 || o->idle > 0))
		wrong_usage();
	if (o->active > 0 && o->messages == 0 && o->seconds == 0)
		wrong_usage();
	if (o->messages == 0)
		o->messages = UINT64_MAX;
	if (o->seconds == 0)
		o->seconds = 3600;
	if (o->limit == 0)
		o->limit = 60 + (o->seconds < 3600 ? (unsigned int)o->seconds : 0);
}
