/* SPDX-License-Identifier: MIT */
/*
 * One value: what is wanted, whether it fits, and the argument that gets it.
 */
#include "unpack_value.h"

#include <limits.h>
#include <string.h>

#define KIND(kind) (1u << MSGPACK_KIND_##kind)
#define INTS (KIND(UNSIGNED) | KIND(SIGNED))
#define ANY ~0u

struct letter {
	const char *want;
	unsigned kinds;
	int64_t least; /* of ints */
	uint64_t most;
};

static const struct letter letters[] = {
	['I'] = { "a 64-bit int", INTS, INT64_MIN, INT64_MAX },
	['U'] = { "a 64-bit unsigned int", INTS, 0, UINT64_MAX },
	['['] = { "an array", KIND(ARRAY), 0, 0 },
	['_'] = { "a value", ANY, 0, 0 },
	['a'] = { "an array", KIND(ARRAY), 0, 0 },
	['b'] = { "a bool", KIND(BOOL), 0, 0 },
	['d'] = { "a number", INTS | KIND(FLOAT32) | KIND(FLOAT64), 0, 0 },
	['i'] = { "an int", INTS, INT_MIN, INT_MAX },
	['m'] = { "a map", KIND(MAP), 0, 0 },
	['n'] = { "nil", KIND(NIL), 0, 0 },
	['s'] = { "a string", KIND(TEXT), 0, 0 },
	['t'] = { "a string", KIND(TEXT), 0, 0 },
	['u'] = { "an unsigned int", INTS, 0, UINT_MAX },
	['v'] = { "a value", ANY, 0, 0 },
	['y'] = { "bytes", KIND(BYTES), 0, 0 },
	['{'] = { "a map", KIND(MAP), 0, 0 },
};

const char *
rota__unpack_want(char letter)
{
	return letters[(unsigned char)letter].want;
}

const char *
rota__unpack_have(const struct msgpack_head *head)
{
	static const char *const words[] = {
		[MSGPACK_KIND_NIL] = "nil",
		[MSGPACK_KIND_BOOL] = "a bool",
		[MSGPACK_KIND_UNSIGNED] = "an int",
		[MSGPACK_KIND_SIGNED] = "an int",
		[MSGPACK_KIND_FLOAT32] = "a float",
		[MSGPACK_KIND_FLOAT64] = "a float",
		[MSGPACK_KIND_TEXT] = "a string",
		[MSGPACK_KIND_BYTES] = "bytes",
		[MSGPACK_KIND_EXTENSION] = "an extension",
		[MSGPACK_KIND_ARRAY] = "an array",
		[MSGPACK_KIND_MAP] = "a map",
	};

	return words[head->kind];
}

bool
rota__unpack_is_kind(char letter, const struct msgpack_head *head)
{
	return (letters[(unsigned char)letter].kinds >> head->kind & 1) != 0;
}

bool
rota__unpack_is_negative(const struct msgpack_head *head)
{
	return head->kind == MSGPACK_KIND_SIGNED && (int64_t)head->value < 0;
}

/* Whether a double has all of its bits. */
static bool
is_exact(uint64_t size)
{
	static const uint64_t most = (uint64_t)1 << 53;

	while (size > most && (size & 1) == 0)
		size >>= 1;
	return size <= most;
}

bool
rota__unpack_fits(char letter, const struct msgpack_head *head)
{
	const struct letter *wanted = &letters[(unsigned char)letter];
	bool is_negative = rota__unpack_is_negative(head);

	if (head->kind != MSGPACK_KIND_UNSIGNED && head->kind != MSGPACK_KIND_SIGNED)
		return true;
	if (letter == 'd')
		return is_exact(is_negative ? 0 - head->value : head->value);
	if (wanted->kinds != INTS)
		return true;
	return is_negative ? (int64_t)head->value >= wanted->least : head->value <= wanted->most;
}

static double
real_of(const struct msgpack_head *head)
{
	uint32_t half = (uint32_t)head->value;
	double real;
	float single;

	switch (head->kind) {
	case MSGPACK_KIND_FLOAT64:
		memcpy(&real, &head->value, sizeof real);
		return real;
	case MSGPACK_KIND_FLOAT32:
		memcpy(&single, &half, sizeof single);
		return (double)single;
	case MSGPACK_KIND_SIGNED:
		return (double)(int64_t)head->value;
	default:
		return (double)head->value;
	}
}

/* An argument, of whichever type. */
union target {
	int *i;
	int64_t *I;
	unsigned *u;
	uint64_t *U;
	double *d;
	bool *b;
	struct rota_text *text;
	struct rota_bytes *bytes;
	struct rota_members *members;
};

/* NOLINTBEGIN: who calls has begun them, in another file. */
static union target
take(char letter, va_list *arguments)
{
	switch (letter) {
	case 'i':
		return (union target){ .i = va_arg(*arguments, int *) };
	case 'I':
		return (union target){ .I = va_arg(*arguments, int64_t *) };
	case 'u':
		return (union target){ .u = va_arg(*arguments, unsigned *) };
	case 'U':
		return (union target){ .U = va_arg(*arguments, uint64_t *) };
	case 'd':
		return (union target){ .d = va_arg(*arguments, double *) };
	case 'b':
		return (union target){ .b = va_arg(*arguments, bool *) };
	case 's':
	case 't':
		return (union target){ .text = va_arg(*arguments, struct rota_text *) };
	case 'y':
	case 'v':
		return (union target){ .bytes = va_arg(*arguments, struct rota_bytes *) };
	case 'a':
	case 'm':
		return (union target){ .members = va_arg(*arguments, struct rota_members *) };
	default:
		return (union target){ .bytes = NULL };
	}
}
/* NOLINTEND */

static void
put(char letter, union target to, const unsigned char *place, const struct msgpack_head *head)
{
	const unsigned char *body = place + head->size;

	switch (letter) {
	case 'i':
		*to.i = (int)(int64_t)head->value;
		break;
	case 'I':
		*to.I = (int64_t)head->value;
		break;
	case 'u':
		*to.u = (unsigned)head->value;
		break;
	case 'U':
		*to.U = head->value;
		break;
	case 'd':
		*to.d = real_of(head);
		break;
	case 'b':
		*to.b = head->value != 0;
		break;
	case 's':
	case 't':
		*to.text = (struct rota_text){ (const char *)body, (size_t)head->body };
		break;
	case 'y':
		*to.bytes = (struct rota_bytes){ body, (size_t)head->body };
		break;
	case 'v':
		*to.bytes =
			(struct rota_bytes){ place, (size_t)(rota__msgpack_skip(place) - place) };
		break;
	case 'a':
	case 'm':
		*to.members = (struct rota_members){ body,
			(size_t)(rota__msgpack_skip(place) - body), (size_t)head->value };
		break;
	default:
		break;
	}
}

void
rota__unpack_store(char letter, const unsigned char *place, va_list *arguments)
{
	union target to = take(letter, arguments);
	struct msgpack_head head;

	if (place == NULL)
		return;
	rota__msgpack_head(place, SIZE_MAX, &head);
	put(letter, to, place, &head);
}
