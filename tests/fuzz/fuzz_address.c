/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes addresses, for libFuzzer. An input is read twice: as one or two texts with a NUL between
 * them, and as a sockaddr. Whatever becomes an address must have a text of the promised size that
 * parses back to it, and must be written the same, only cut, into any smaller buffer; what does not
 * must leave the result untouched. Two addresses are equal exactly when their texts are.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota/address.h>
#include <rota/errors.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert, which a build without assertions would leave out. */
static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* The buffer is on the heap and exactly that long, so that the sanitizer sees a byte too many. */
static void
check_cut(const struct rota_address *address, const char *text, size_t size)
{
	char *buffer = malloc(size);

	require(buffer != NULL);
	require(rota_address_format(address, buffer, size) == buffer);
	require(strnlen(buffer, size) == size - 1);
	require(memcmp(buffer, text, size - 1) == 0);
	free(buffer);
}

static void
check_address(const struct rota_address *address)
{
	char text[ROTA_ADDRESS_TEXT + 1], again[ROTA_ADDRESS_TEXT];
	struct rota_address back;
	size_t size;

	rota_address_format(address, text, sizeof(text));
	require(strlen(text) < ROTA_ADDRESS_TEXT);
	require(rota_address_parse(text, &back) == 0);
	require(rota_address_is_equal(address, &back));
	require(rota_address_is_equal(&back, address));
	require(strcmp(rota_address_format(&back, again, sizeof(again)), text) == 0);
	for (size = 1; size <= strlen(text); size += size / 4 + 1)
		check_cut(address, text, size);
}

/* A result that no call has written to. */
static struct rota_address
blank(void)
{
	struct rota_address address;

	memset(&address, 0xa5, sizeof(address));
	return address;
}

static void
check_result(int r, const struct rota_address *result)
{
	const struct rota_address untouched = blank();

	if (r == 0)
		check_address(result);
	else
		require(result->fd == untouched.fd && result->length == untouched.length);
}

/* Whether the text is an address. */
static bool
check_text(const char *text, struct rota_address *ret_address)
{
	struct rota_address address = blank();
	const int r = rota_address_parse(text, &address);

	require(r == 0 || r == -ROTA_EADDRESS || r == -ROTA_ENAME || r == -ENAMETOOLONG ||
		r == -ENODEV);
	check_result(r, &address);
	*ret_address = address;
	return r == 0;
}

static void
check_pair(const struct rota_address *a, const struct rota_address *b)
{
	char a_text[ROTA_ADDRESS_TEXT], b_text[ROTA_ADDRESS_TEXT];
	bool is_same;

	rota_address_format(a, a_text, sizeof(a_text));
	rota_address_format(b, b_text, sizeof(b_text));
	is_same = strcmp(a_text, b_text) == 0;
	require(rota_address_is_equal(a, b) == is_same);
	require(rota_address_is_equal(b, a) == is_same);
}

/* bytes[size] is NUL. */
static void
check_texts(const char *bytes, size_t size)
{
	const size_t length = strlen(bytes);
	struct rota_address first, second;
	bool is_address;

	is_address = check_text(bytes, &first);
	if (length == size)
		return;
	if (check_text(bytes + length + 1, &second) && is_address)
		check_pair(&first, &second);
}

static void
check_sockaddr(const void *socket, size_t size)
{
	struct rota_address address = blank();
	const int r = rota_address_from_sockaddr(socket, (socklen_t)size, &address);

	require(r == 0 || r == -EINVAL || r == -EAFNOSUPPORT);
	check_result(r, &address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_texts(text, size);
	free(text);
	check_sockaddr(data, size);
	return 0;
}
