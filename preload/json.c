/* SPDX-License-Identifier: MIT */
/*
 * The reader behind json.h: recursive descent with a depth bound, one pass, no locale and
 * nothing of libc but string.h, because it also runs inside other people's programs.
 */
#include "json.h"
#include "utf8.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct reader {
	const unsigned char *text;
	size_t size, at;
	struct arena *arena;
	struct json_error *error;
};

static int read_value(struct reader *reader, struct json *value, unsigned int depth);

static int refuse(struct reader *reader, size_t at, const char *reason)
{
	reader->error->at = at;
	reader->error->reason = reason;
	return -EINVAL;
}

/* The next byte, or -1 at the end. */
static int peek(const struct reader *reader)
{
	return reader->at < reader->size ? reader->text[reader->at] : -1;
}

static bool is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

static void skip_space(struct reader *reader)
{
	for (;;) {
		int byte = peek(reader);

		if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
			return;
		reader->at++;
	}
}

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

/*
 * A string, decoded into the arena. Decoding never makes it longer, so the bytes between the
 * quotes are room enough; what decoding saves is given back.
 */
static int read_string(struct reader *reader, const char **string, uint16_t *length)
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

/* Digits from here on; false if there are none. */
static bool skip_digits(struct reader *reader)
{
	size_t start = reader->at;

	while (is_digit(peek(reader)))
		reader->at++;
	return reader->at > start;
}

static int read_number(struct reader *reader, struct json *value)
{
	size_t start = reader->at, digits;
	bool whole = true;
	uint64_t number = 0;

	if (peek(reader) == '-') {
		whole = false;
		reader->at++;
	}
	digits = reader->at;
	if (!skip_digits(reader))
		return refuse(reader, start, "not a number");
	if (reader->text[digits] == '0' && reader->at - digits > 1)
		return refuse(reader, start, "a number may not start with 0");
	for (size_t i = digits; i < reader->at; i++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(reader->text[i] - '0'), &number))
			whole = false;
	if (peek(reader) == '.') {
		whole = false;
		reader->at++;
		if (!skip_digits(reader))
			return refuse(reader, start, "not a number");
	}
	if ((peek(reader) | 0x20) == 'e') {
		whole = false;
		reader->at++;
		if (peek(reader) == '+' || peek(reader) == '-')
			reader->at++;
		if (!skip_digits(reader))
			return refuse(reader, start, "not a number");
	}
	value->kind = whole ? JSON_INTEGER : JSON_NUMBER;
	value->integer = whole ? number : 0;
	return 0;
}

static int read_word(struct reader *reader, struct json *value)
{
	static const char words[][8] = {"null", "false", "true"};

	for (unsigned int i = 0; i < 3; i++) {
		size_t length = strlen(words[i]);

		if (reader->size - reader->at >= length &&
		    !memcmp(reader->text + reader->at, words[i], length)) {
			reader->at += length;
			value->kind = JSON_NULL + i;
			return 0;
		}
	}
	return refuse(reader, reader->at, "expected a value");
}

static int read_array(struct reader *reader, struct json *array, unsigned int depth)
{
	const struct json **link = &array->first;
	int ret;

	array->kind = JSON_ARRAY;
	reader->at++;
	skip_space(reader);
	if (peek(reader) == ']') {
		reader->at++;
		return 0;
	}
	for (;;) {
		struct json *value = arena_take(reader->arena, 1, sizeof(*value));

		if (!value)
			return -ENOMEM;
		ret = read_value(reader, value, depth);
		if (ret)
			return ret;
		*link = value;
		link = &value->next;
		if (peek(reader) == ']') {
			reader->at++;
			return 0;
		}
		if (peek(reader) != ',')
			return refuse(reader, reader->at, "expected \",\" or \"]\"");
		reader->at++;
	}
}

static int check_key(struct reader *reader, const struct json *object, const struct json *member)
{
	unsigned int members = 1;

	for (const struct json *other = object->first; other; other = other->next) {
		if (++members > JSON_MAX_MEMBERS)
			return refuse(reader, member->at, "too many keys in one object");
		if (other->length != member->length || strcmp(other->string, member->string))
			continue;
		reader->error->key = member->string;
		return refuse(reader, member->at, "duplicate key");
	}
	return 0;
}

/* A key, the colon and the value. */
static int read_member(struct reader *reader, const struct json *object, struct json *member,
		       unsigned int depth)
{
	struct json *value;
	int ret;

	skip_space(reader);
	if (peek(reader) != '"')
		return refuse(reader, reader->at, "expected a key in double quotes");
	member->at = reader->at;
	member->kind = JSON_MEMBER;
	ret = read_string(reader, &member->string, &member->length);
	if (!ret)
		ret = check_key(reader, object, member);
	if (ret)
		return ret;
	skip_space(reader);
	if (peek(reader) != ':')
		return refuse(reader, reader->at, "expected \":\" after the key");
	reader->at++;
	value = arena_take(reader->arena, 1, sizeof(*value));
	if (!value)
		return -ENOMEM;
	member->first = value;
	return read_value(reader, value, depth);
}

static int read_object(struct reader *reader, struct json *object, unsigned int depth)
{
	const struct json **link = &object->first;
	int ret;

	object->kind = JSON_OBJECT;
	reader->at++;
	skip_space(reader);
	if (peek(reader) == '}') {
		reader->at++;
		return 0;
	}
	for (;;) {
		struct json *member = arena_take(reader->arena, 1, sizeof(*member));

		if (!member)
			return -ENOMEM;
		ret = read_member(reader, object, member, depth);
		if (ret)
			return ret;
		*link = member;
		link = &member->next;
		if (peek(reader) == '}') {
			reader->at++;
			return 0;
		}
		if (peek(reader) != ',')
			return refuse(reader, reader->at, "expected \",\" or \"}\"");
		reader->at++;
	}
}

/* One value and the space around it. `depth` is how many more levels may open. */
static int read_value(struct reader *reader, struct json *value, unsigned int depth)
{
	int byte, ret;

	skip_space(reader);
	value->at = reader->at;
	byte = peek(reader);
	if (byte < 0)
		return refuse(reader, reader->at, "the text ends where a value is expected");
	if ((byte == '[' || byte == '{') && !depth)
		return refuse(reader, reader->at, "nested too deeply");
	if (byte == '[') {
		ret = read_array(reader, value, depth - 1);
	} else if (byte == '{') {
		ret = read_object(reader, value, depth - 1);
	} else if (byte == '"') {
		value->kind = JSON_STRING;
		ret = read_string(reader, &value->string, &value->length);
	} else if (byte == '-' || is_digit(byte)) {
		ret = read_number(reader, value);
	} else {
		ret = read_word(reader, value);
	}
	skip_space(reader);
	return ret;
}

int json_parse(const char *text, size_t size, struct arena *arena, const struct json **value,
	       struct json_error *error)
{
	struct reader reader = {
		.text = (const unsigned char *)text,
		.size = size,
		.arena = arena,
		.error = error,
	};
	struct json *root = arena_take(arena, 1, sizeof(*root));
	int ret;

	*error = (struct json_error){0};
	if (!root)
		return -ENOMEM;
	ret = read_value(&reader, root, JSON_MAX_DEPTH);
	if (ret)
		return ret;
	if (reader.at < size)
		return refuse(&reader, reader.at, "text after the end of the value");
	*value = root;
	return 0;
}

void json_place(const char *text, size_t at, unsigned int *line, unsigned int *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 1;
		} else if ((text[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}
