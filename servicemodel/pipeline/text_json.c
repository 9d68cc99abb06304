/* SPDX-License-Identifier: MIT */
/* Text as JSON has it, RFC 8259: see text_json.h. */
#include "text_json.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character at the beginning, 0 if there is none. */
static size_t
character(const char *text_, size_t len)
{
	const unsigned char *text = (const unsigned char *)text_;
	size_t size = text[0] < 0x80 ? 1
		: text[0] < 0xc2     ? 0
		: text[0] < 0xe0     ? 2
		: text[0] < 0xf0     ? 3
		: text[0] < 0xf5     ? 4
				     : 0;

	if (size > len)
		return 0;
	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
		(text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return size;
}

/* What JSON does not have as it is: control characters; bytes that are no UTF-8 become U+FFFD. */
static int
write_escaped(struct writer *writer, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t";
	static const char letters[] = "\"\\bfnrt";
	const char *found = c == '\0' ? NULL : strchr(plain, c);
	char text[8];

	if (found != NULL)
		snprintf(text, sizeof text, "\\%c", letters[found - plain]);
	else
		snprintf(text, sizeof text, "\\u%04x", (unsigned char)c < 0x20 ? c : 0xfffd);
	return rota__writer_write(writer, text, strlen(text));
}

int
rota__text_json_write(struct writer *writer, const char *text, size_t len)
{
	size_t done = 0, at = 0;
	int r = rota__writer_write(writer, "\"", 1);

	while (at < len && r == 0) {
		size_t size = character(text + at, len - at);

		if (size > 0 && (unsigned char)text[at] >= 0x20 && text[at] != '"' &&
			text[at] != '\\') {
			at += size;
			continue;
		}
		r = rota__writer_write(writer, text + done, at - done);
		if (r == 0)
			r = write_escaped(writer, text[at]);
		done = ++at;
	}
	if (r == 0 && at > done)
		r = rota__writer_write(writer, text + done, at - done);
	return r < 0 ? r : rota__writer_write(writer, "\"", 1);
}
