/* SPDX-License-Identifier: MIT */
/*
 * Addresses: what the rest of tcp asks of them beyond the public header.
 */
#ifndef ROTA_PRIVATE_ADDRESS_H
#define ROTA_PRIVATE_ADDRESS_H

#include <rota/address.h>

/* How the text of an address may begin, and what the names in it are made of. */
#define UNIX_PREFIX "unix:"
#define FD_PREFIX "fd:"
#define DIGITS "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define NAME_SIGNS "-_."
#define NAME_BYTES LETTERS DIGITS NAME_SIGNS

/* Where the name begins in a sockaddr_un, and how much of it there can be. */
#define UNIX_HEAD offsetof(struct sockaddr_un, sun_path)
#define UNIX_SPACE sizeof(((struct sockaddr_un *)0)->sun_path)

/*
 * How many bytes of sun_path are the name: with the NUL that an abstract one begins with, without
 * that which ends a path. Never more than there are, whatever length a user has put there.
 */
size_t rota__address_name_length(const struct rota_address *address);

/*
 * The unix socket that has no name: what an unbound socket's address is, and nothing to listen on
 * or to connect to.
 */
bool rota__address_is_unnamed(const struct rota_address *address);

/* The whole text: digits alone, of a number not above limit, without zeros in front. */
bool rota__decimal_parse(const char *text, uint32_t limit, uint32_t *ret_number);

/* The whole text: a port, as addresses have it. */
bool rota__port_parse(const char *text, uint32_t *ret_port);

#endif
