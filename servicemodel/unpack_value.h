/* SPDX-License-Identifier: MIT */
/*
 * What the letters of rota_unpack's patterns want, and where they store it. The values are objects
 * whose extent is known.
 */
#ifndef ROTA_PRIVATE_UNPACK_VALUE_H
#define ROTA_PRIVATE_UNPACK_VALUE_H

#include <rota/pack.h>

#include "msgpack_head.h"

/* For people: what a letter or an opening bracket wants, and what there is. */
const char *rota__unpack_want(char letter);
const char *rota__unpack_have(const struct msgpack_head *head);

/* Whether it is of a kind that the letter wants; whether its number is one that it can have. */
bool rota__unpack_is_kind(char letter, const struct msgpack_head *head);
bool rota__unpack_fits(char letter, const struct msgpack_head *head);

/* Whether it is an int below 0, which its value is the bits of. */
bool rota__unpack_is_negative(const struct msgpack_head *head);

/* Takes the letter's argument and stores the object at place in it; NULL: stores nothing. */
void rota__unpack_store(char letter, const unsigned char *place, va_list *arguments);

#endif
