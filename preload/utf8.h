/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing one character. No locale, no libc.
 */
#ifndef STOCKADE_UTF8_H
#define STOCKADE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at `text`, 0 if it is not well formed; `left` is at least 1. */
size_t utf8_length(const unsigned char *text, size_t left);

/* Write a code point in up to 4 bytes; returns how many. */
size_t utf8_put(char *out, uint32_t point);

#endif
