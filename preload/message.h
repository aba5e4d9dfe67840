/* SPDX-License-Identifier: MIT */
/*
 * Text for humans without stdio: a message put together from pieces, and the known word that
 * is nearest to a misspelt one.
 */
#ifndef STOCKADE_MESSAGE_H
#define STOCKADE_MESSAGE_H

#include <stddef.h>

/* Join the pieces up to NULL. Each piece is cut at 64 bytes; control characters become "?". */
void message_join(char *out, size_t size, const char *piece, ...) __attribute__((sentinel));

struct nearest {
	const char *word;
	const char *best; /* NULL when nothing is near enough */
	unsigned int limit; /* only what is nearer than this counts */
};

void nearest_start(struct nearest *nearest, const char *word);

/* Compare with one more candidate, which must outlive the struct. */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
