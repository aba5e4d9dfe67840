/* SPDX-License-Identifier: MIT */
/*
 * The compiler's only memory: pieces of the caller's scratch, taken in order and given back
 * all at once. The scratch is zeroed by contract, so each piece is too.
 */
#ifndef STOCKADE_ARENA_H
#define STOCKADE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_ALIGN 8

struct arena {
	unsigned char *free;
	size_t left;
};

/* `count` zeroed things of `size` bytes, or NULL when there is no room. */
static inline void *arena_take(struct arena *arena, size_t count, size_t size)
{
	unsigned char *piece = arena->free;
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ARENA_ALIGN)
		return NULL;
	bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (bytes > arena->left)
		return NULL;
	arena->free += bytes;
	arena->left -= bytes;
	return piece;
}

#endif
