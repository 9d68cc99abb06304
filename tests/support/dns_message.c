/* SPDX-License-Identifier: MIT */
/*
 * Messages of a name server (RFC 1035, 4), right and wrong.
 */
#include "dns_message.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define HEADER 12
#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28
#define LIE_V4 "192.0.2.66"
#define LIE_V6 "2001:db8::66"

enum { NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

struct writer {
	uint8_t *bytes;
	size_t len;
	unsigned answers;
	size_t name_at; /* of the last alias, or the question */
};

bool
dns_read_question(const uint8_t *bytes, size_t len, struct dns_question *question)
{
	size_t at = HEADER;
	size_t used = 0;
	unsigned type;

	memset(question, 0, sizeof *question);
	while (at < len && bytes[at] != 0) {
		size_t label = bytes[at++];

		if (label > 63 || at + label >= len || used + label + 1 >= sizeof question->name)
			return false;
		if (used > 0)
			question->name[used++] = '.';
		memcpy(question->name + used, bytes + at, label);
		used += label;
		at += label;
	}
	if (at + 5 > len)
		return false;
	type = (unsigned)bytes[at + 1] << 8 | bytes[at + 2];
	question->family = type == TYPE_A ? AF_INET : type == TYPE_AAAA ? AF_INET6 : 0;
	question->length = at + 5;
	return true;
}

unsigned
dns_parts(const struct dns_rule *rule)
{
	return rule->manner >= DNS_WRONG_ID && rule->manner <= DNS_EMPTY ? 2 : 1;
}

static void
put16(struct writer *writer, unsigned value)
{
	writer->bytes[writer->len++] = (uint8_t)(value >> 8);
	writer->bytes[writer->len++] = (uint8_t)value;
}

static void
put_name(struct writer *writer, const char *name)
{
	while (*name != '\0') {
		size_t label = strcspn(name, ".");

		writer->bytes[writer->len++] = (uint8_t)label;
		memcpy(writer->bytes + writer->len, name, label);
		writer->len += label;
		name += label + (name[label] == '.');
	}
	writer->bytes[writer->len++] = 0;
}

/* The head of a record of the last name. */
static void
put_record(struct writer *writer, unsigned type, uint32_t ttl, size_t size)
{
	put16(writer, 0xc000u | (unsigned)writer->name_at);
	put16(writer, type);
	put16(writer, 1);
	put16(writer, ttl >> 16);
	put16(writer, ttl & 0xffff);
	put16(writer, (unsigned)size);
	writer->answers++;
}

static void
put_aliases(struct writer *writer, const char *aliases, uint32_t ttl)
{
	char name[256];
	int used;

	while (aliases != NULL && sscanf(aliases, "%255s%n", name, &used) == 1) {
		put_record(writer, TYPE_CNAME, ttl, strlen(name) + 2);
		writer->name_at = writer->len;
		put_name(writer, name);
		aliases += used;
	}
}

static void
put_address(struct writer *writer, int family, const char *text, uint32_t ttl)
{
	uint8_t address[16];

	if (inet_pton(family, text, address) != 1)
		return;
	put_record(writer, family == AF_INET ? TYPE_A : TYPE_AAAA, ttl, family == AF_INET ? 4 : 16);
	memcpy(writer->bytes + writer->len, address, family == AF_INET ? 4 : 16);
	writer->len += family == AF_INET ? 4 : 16;
}

static void
put_addresses(struct writer *writer, const struct dns_rule *rule, int family)
{
	const char *addresses = rule->addresses;
	char text[64];
	int used;

	for (int i = 0; i < rule->many; i++) {
		snprintf(text, sizeof text, family == AF_INET ? "127.1.%d.%d" : "2001:db8::%d:%d",
			i / 250, 1 + i % 250);
		put_address(writer, family, text, rule->ttl);
	}
	while (addresses != NULL && sscanf(addresses, "%63s%n", text, &used) == 1) {
		put_address(writer, family, text, rule->ttl);
		addresses += used;
	}
}

static void
put_header(struct writer *writer, const uint8_t *asked, const struct dns_question *question,
	unsigned code, bool is_cut)
{
	memcpy(writer->bytes, asked, question->length);
	writer->bytes[2] = 0x81 | (is_cut ? 2 : 0);
	writer->bytes[3] = (uint8_t)(0x80 | code);
	memset(writer->bytes + 4, 0, 8);
	writer->bytes[5] = 1;
	writer->len = question->length;
	writer->name_at = HEADER;
}

static size_t
finish(struct writer *writer)
{
	writer->bytes[6] = (uint8_t)(writer->answers >> 8);
	writer->bytes[7] = (uint8_t)writer->answers;
	return writer->len;
}

static size_t
write_truth(struct writer *writer, const uint8_t *asked, const struct dns_question *question,
	const struct dns_rule *rule, bool is_udp)
{
	bool is_cut = rule->manner == DNS_TRUNCATES && is_udp;
	unsigned code = NOERROR;

	if (rule->manner == DNS_KNOWS_NO_NAME)
		code = NXDOMAIN;
	else if (rule->manner == DNS_FAILS)
		code = SERVFAIL;
	else if (rule->manner == DNS_REFUSES)
		code = REFUSED;
	put_header(writer, asked, question, code, is_cut);
	if (code != NOERROR || is_cut || question->family == 0)
		return finish(writer);
	put_aliases(writer, rule->aliases, rule->ttl);
	put_addresses(writer, rule, question->family);
	return finish(writer);
}

/* A whole answer that is not to the question. */
static size_t
write_lie(struct writer *writer, const uint8_t *asked, const struct dns_question *question,
	const struct dns_rule *rule)
{
	put_header(writer, asked, question, NOERROR, false);
	if (rule->manner == DNS_WRONG_ID)
		writer->bytes[1] ^= 1;
	else
		writer->bytes[HEADER + 1] ^= 1;
	put_address(writer, question->family, question->family == AF_INET ? LIE_V4 : LIE_V6, 60);
	return finish(writer);
}

static size_t
write_nonsense(struct writer *writer, const uint8_t *asked, const struct dns_question *question,
	const struct dns_rule *rule)
{
	put_header(writer, asked, question, NOERROR, false);
	put_address(writer, question->family, question->family == AF_INET ? LIE_V4 : LIE_V6, 60);
	switch (rule->manner) {
	case DNS_GARBAGE:
		memset(writer->bytes + question->length, 0xff, 64);
		writer->len = question->length + 64;
		break;
	case DNS_LOOP: /* the record's name leads to itself */
		writer->bytes[question->length] = (uint8_t)(0xc0 | question->length >> 8);
		writer->bytes[question->length + 1] = (uint8_t)question->length;
		break;
	case DNS_HUGE_COUNT:
		writer->answers = 0xffff;
		break;
	case DNS_CUT:
		writer->len -= 3;
		break;
	default: /* a byte less than the type has */
		writer->bytes[question->length + 11]--;
		writer->len--;
		break;
	}
	return finish(writer);
}

size_t
dns_write(uint8_t *bytes, const uint8_t *asked, const struct dns_question *question,
	const struct dns_rule *rule, unsigned part, bool is_udp)
{
	struct writer writer = { .bytes = bytes };

	if (rule->manner >= DNS_GARBAGE)
		return write_nonsense(&writer, asked, question, rule);
	if (part + 1 == dns_parts(rule))
		return write_truth(&writer, asked, question, rule, is_udp);
	return rule->manner == DNS_EMPTY ? 0 : write_lie(&writer, asked, question, rule);
}
