/* SPDX-License-Identifier: MIT */
/*
 * Addresses: what the rest of tcp asks of them beyond the public header.
 */
#ifndef ROTA_PRIVATE_ADDRESS_H
#define ROTA_PRIVATE_ADDRESS_H

#include <rota/address.h>

/*
 * The unix socket that has no name: what an unbound socket's address is, and nothing to listen on
 * or to connect to.
 */
bool rota__address_is_unnamed(const struct rota_address *address);

/* The whole text: digits alone, of a number not above limit, without zeros in front. */
bool rota__decimal_parse(const char *text, uint32_t limit, uint32_t *ret_number);

#endif
