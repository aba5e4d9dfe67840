/* SPDX-License-Identifier: MIT */
/* What the two files of the JSON reader share: json.c, and jsonstring.c for what is in quotes. */
#ifndef STOCKADE_JSONREADER_H
#define STOCKADE_JSONREADER_H

#include <errno.h>
#include <stdbool.h>

#include "json.h"

struct reader {
	const unsigned char *text;
	size_t size, at;
	struct arena *arena;
	struct json_error *error;
};

static inline int refuse(struct reader *reader, size_t at, const char *reason)
{
	reader->error->at = at;
	reader->error->reason = reason;
	return -EINVAL;
}

/* The next byte, or -1 at the end. */
static inline int peek(const struct reader *reader)
{
	return reader->at < reader->size ? reader->text[reader->at] : -1;
}

static inline bool is_digit(int byte)
{
	return byte >= '0' && byte <= '9';
}

/*
 * A string, decoded into the arena. Decoding never makes it longer, so the bytes between the
 * quotes are room enough; what decoding saves is given back.
 */
int json_read_string(struct reader *reader, const char **string, uint16_t *length);

#endif
