/* SPDX-License-Identifier: MIT */
/*
 * What the tests' name server reads and says.
 */
#ifndef ROTA_TESTS_DNS_MESSAGE_H
#define ROTA_TESTS_DNS_MESSAGE_H

#include "dns_server.h"

#define DNS_MESSAGE_MAX 4096

struct dns_question {
	char name[256];
	int family;    /* AF_INET, AF_INET6, or 0 for what is no question for addresses */
	size_t length; /* of the message up to its end */
};

bool dns_read_question(const uint8_t *bytes, size_t len, struct dns_question *ret_question);

/* How many messages a rule has for one question. */
unsigned dns_parts(const struct dns_rule *rule);

/* Writes one of them; returns its length. */
size_t dns_write(uint8_t *bytes, const uint8_t *asked, const struct dns_question *question,
	const struct dns_rule *rule, unsigned part, bool is_udp);

#endif
