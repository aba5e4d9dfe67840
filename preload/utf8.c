/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 has it, for the JSON reader: checked when read, written for escapes.
 */
#include "utf8.h"

/* The table of RFC 3629, section 4: some leads narrow what may follow. */
size_t utf8_length(const unsigned char *text, size_t left)
{
	unsigned char lead = text[0], low = 0x80, high = 0xbf;
	size_t length;

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (length > left)
		return 0;
	if (lead == 0xe0)
		low = 0xa0; /* overlong */
	else if (lead == 0xed)
		high = 0x9f; /* surrogates */
	else if (lead == 0xf0)
		low = 0x90; /* overlong */
	else if (lead == 0xf4)
		high = 0x8f; /* above U+10FFFF */
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

size_t utf8_put(char *out, uint32_t point)
{
	if (point < 0x80) {
		out[0] = point;
		return 1;
	}
	if (point < 0x800) {
		out[0] = 0xc0 | point >> 6;
		out[1] = 0x80 | (point & 0x3f);
		return 2;
	}
	if (point < 0x10000) {
		out[0] = 0xe0 | point >> 12;
		out[1] = 0x80 | (point >> 6 & 0x3f);
		out[2] = 0x80 | (point & 0x3f);
		return 3;
	}
	out[0] = 0xf0 | point >> 18;
	out[1] = 0x80 | (point >> 12 & 0x3f);
	out[2] = 0x80 | (point >> 6 & 0x3f);
	out[3] = 0x80 | (point & 0x3f);
	return 4;
}
