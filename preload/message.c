/* SPDX-License-Identifier: MIT */
/*
 * The pieces behind message.h. Nothing here may allocate or depend on a locale: the shim
 * reports with it before main.
 */
#include "message.h"

#include <stdarg.h>
#include <string.h>

#define PIECE_MAX 64
#define WORD_MAX 40 /* longer words are never anybody's near match */

static size_t append(char *out, size_t size, size_t used, const char *piece)
{
	size_t length = 0;

	for (; piece[length] && length < PIECE_MAX && used + 1 < size; length++) {
		unsigned char byte = piece[length];

		out[used++] = byte < 0x20 || byte == 0x7f ? '?' : byte;
	}
	if (length < PIECE_MAX || !piece[length])
		return used;
	if (((unsigned char)piece[length] & 0xc0) == 0x80) { /* cut in the middle of a character */
		while (used && ((unsigned char)out[used - 1] & 0xc0) == 0x80)
			used--;
		used -= !!used;
	}
	for (int dots = 0; dots < 3 && used + 1 < size; dots++)
		out[used++] = '.';
	return used;
}

void message_join(char *out, size_t size, const char *piece, ...)
{
	size_t used = 0;
	va_list pieces;

	va_start(pieces, piece);
	for (; piece; piece = va_arg(pieces, const char *))
		used = append(out, size, used, piece);
	va_end(pieces);
	out[used] = '\0';
}

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
 * Returns `limit` as soon as the distance cannot be below it.
 */
static unsigned int distance(const char *a, size_t a_length, const char *b, size_t b_length,
			     unsigned int limit)
{
	unsigned char rows[3][WORD_MAX + 1];
	unsigned char *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		unsigned int smallest = row[0] = i;
		unsigned char *free_row = before;

		for (size_t j = 1; j <= b_length; j++) {
			unsigned int cost = last[j - 1] + (a[i - 1] != b[j - 1]);

			cost = least(cost, least(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = least(cost, before[j - 2] + 1u);
			row[j] = cost;
			smallest = least(smallest, cost);
		}
		if (smallest > limit)
			return limit;
		before = last;
		last = row;
		row = free_row;
	}
	return last[b_length];
}

void nearest_start(struct nearest *nearest, const char *word)
{
	nearest->word = word;
	nearest->best = NULL;
	nearest->limit =
		strlen(word) / 3 + 2; /* one slip in three letters is still the same word */
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	size_t length = strlen(nearest->word), other = strlen(candidate);
	unsigned int found;

	if (length > WORD_MAX || other > WORD_MAX ||
	    (length > other ? length - other : other - length) >= nearest->limit)
		return;
	found = distance(nearest->word, length, candidate, other, nearest->limit);
	if (found < nearest->limit) {
		nearest->limit = found;
		nearest->best = candidate;
	}
}
