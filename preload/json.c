/* SPDX-License-Identifier: MIT */
/*
 * The reader behind json.h: recursive descent with a depth bound, one pass, no locale and
 * nothing of libc but string.h, because it also runs inside other people's programs.
 */
#include "jsonreader.h"

#include <string.h>

static int read_value(struct reader *reader, struct json *value, unsigned int depth);

static void skip_space(struct reader *reader)
{
	for (;;) {
		int byte = peek(reader);

		if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
			return;
		reader->at++;
	}
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
	ret = json_read_string(reader, &member->string, &member->length);
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
		ret = json_read_string(reader, &value->string, &value->length);
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
