/* SPDX-License-Identifier: MIT */
/* A string of JSON: its escapes, and no byte in it that is not UTF-8. */
#include "jsonreader.h"
#include "utf8.h"

#include <string.h>

/* The four digits of \uXXXX, or -1. */
static int read_hex4(struct reader *reader)
{
	int value = 0;

	for (int i = 0; i < 4; i++) {
		int byte = peek(reader);

		if (is_digit(byte))
			value = value << 4 | (byte - '0');
		else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
			value = value << 4 | ((byte | 0x20) - 'a' + 10);
		else
			return -1;
		reader->at++;
	}
	return value;
}

/* What follows `\u`: one code point, as one escape or as two surrogates. */
static int read_unicode_escape(struct reader *reader, char *out, size_t *used)
{
	size_t at = reader->at - 2;
	int point = read_hex4(reader), second;

	if (point < 0)
		return refuse(reader, at, "\\u takes four hexadecimal digits");
	if (point == 0)
		return refuse(reader, at, "a string may not hold NUL");
	if (point >= 0xdc00 && point <= 0xdfff)
		return refuse(reader, at, "half of a surrogate pair");
	if (point >= 0xd800 && point <= 0xdbff) {
		if (reader->size - reader->at < 2 || memcmp(reader->text + reader->at, "\\u", 2))
			return refuse(reader, at, "half of a surrogate pair");
		reader->at += 2;
		second = read_hex4(reader);
		if (second < 0xdc00 || second > 0xdfff)
			return refuse(reader, at, "half of a surrogate pair");
		point = 0x10000 + ((point - 0xd800) << 10) + (second - 0xdc00);
	}
	*used += utf8_put(out + *used, point);
	return 0;
}

static int read_escape(struct reader *reader, char *out, size_t *used)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int byte;
	const char *found;

	reader->at++;
	byte = peek(reader);
	if (byte < 0)
		return refuse(reader, reader->at, "the text ends inside a string");
	reader->at++;
	if (byte == 'u')
		return read_unicode_escape(reader, out, used);
	found = byte ? strchr(from, byte) : NULL;
	if (!found)
		return refuse(reader, reader->at - 2, "unknown escape in a string");
	out[(*used)++] = to[found - from];
	return 0;
}

int json_read_string(struct reader *reader, const char **string, uint16_t *length)
{
	size_t start = reader->at++, used = 0, room = reader->arena->left;
	char *out = (char *)reader->arena->free;
	int ret;

	for (;;) {
		int byte = peek(reader);
		size_t bytes;

		if (byte < 0)
			return refuse(reader, start, "the string is not closed");
		if (byte == '"')
			break;
		if (byte < 0x20)
			return refuse(reader, reader->at,
				      "a control character in a string must be escaped");
		if (room - used < 8)
			return -ENOMEM;
		if (byte == '\\') {
			ret = read_escape(reader, out, &used);
			if (ret)
				return ret;
			continue;
		}
		if (byte < 0x80) { /* nearly every one */
			out[used++] = byte;
			reader->at++;
			continue;
		}
		bytes = utf8_length(reader->text + reader->at, reader->size - reader->at);
		if (!bytes)
			return refuse(reader, reader->at, "invalid utf-8");
		memcpy(out + used, reader->text + reader->at, bytes);
		used += bytes;
		reader->at += bytes;
	}
	reader->at++;
	if (!arena_take(reader->arena, used + 1, 1))
		return -ENOMEM;
	out[used] = '\0';
	*string = out;
	*length = used < UINT16_MAX ? used : UINT16_MAX;
	return 0;
}
