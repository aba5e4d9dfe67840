/* SPDX-License-Identifier: MIT */
/*
 * A strict JSON reader (RFC 8259) for text that may be hostile: bounded depth, no memory but
 * the arena, and the place of every value kept for messages. Duplicate keys, invalid UTF-8,
 * NUL in a string and anything after the value are errors.
 */
#ifndef STOCKADE_JSON_H
#define STOCKADE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

#define JSON_MAX_DEPTH 16
#define JSON_MAX_MEMBERS 1024 /* of one object: keys are compared pairwise */

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_INTEGER, /* 0 to 2^64-1, exact */
	JSON_NUMBER, /* any other number; its value is not kept */
	JSON_STRING,
	JSON_ARRAY, /* `first` and then `next` are the values */
	JSON_OBJECT, /* `first` and then `next` are members */
	JSON_MEMBER, /* `string` is the key, `first` the value */
};

struct json {
	const struct json *next;
	const struct json *first;
	union {
		const char *string; /* UTF-8, ends in NUL */
		uint64_t integer;
	};
	uint32_t at; /* bytes from the start of the text */
	uint16_t kind;
	uint16_t length; /* of a key, up to UINT16_MAX */
};

struct json_error {
	uint32_t at;
	const char *reason;
	const char *key; /* quoted after the reason, or NULL */
};

/* Bytes of arena that any text of this size can need. */
static inline size_t json_arena_bytes(size_t text_size)
{
	return (text_size / 2 + 2) * sizeof(struct json);
}

/* Returns 0 and the value, -EINVAL with `error` filled in, or -ENOMEM. */
int json_parse(const char *text, size_t size, struct arena *arena, const struct json **value,
	       struct json_error *error);

/* Line and column, from 1; the column counts characters. */
void json_place(const char *text, size_t at, unsigned int *line, unsigned int *column);

#endif
