/* SPDX-License-Identifier: MIT */
/*
 * Expressions, compiled and evaluated with a record: i is 7, d 1.5, t "Hello", u "h" and two e with an
 * accent, n null, yes, no, y bytes; m is not there.
 */
#ifndef ROTA_TESTS_EXPRESSING_H
#define ROTA_TESTS_EXPRESSING_H

#include "expression.h"
#include "fixture.h"

extern struct rota_names *expressing_names;
extern struct rota_record expressing_record;

/* For cmocka: the record, and no block is left. */
int expressing_begin(void **state);
int expressing_end(void **state);

/* What it gives, as it would be written in an expression; bytes have a b in front. */
void expressing_expect(const char *text, const char *wanted);

/* That it is refused, because of what stands at that byte. */
void expressing_refuse(const char *text, size_t offset, const char *wanted);

#define expressing_test(function) \
	cmocka_unit_test_setup_teardown(function, expressing_begin, expressing_end)

#endif
