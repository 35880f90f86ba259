/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of eight bytes at a time: not 0 if one of them is C, in the top bit of the first such byte and
 * maybe in those of bytes above it. */
#define WORD_ONES (UINT64_MAX / 255)
#define WORD_TOPS (WORD_ONES << 7)
static inline uint64_t word_find(uint64_t word, char c)
{
	uint64_t x = word ^ WORD_ONES * (unsigned char)c;

	return (x - WORD_ONES) & ~x & WORD_TOPS;
}

/* The length of the character at S, of which N > 0 bytes are there; 0 if it is not valid. */
size_t utf8_length(const unsigned char *s, size_t n);

/*
 * Looks for what a JSON parser lets pass in TEXT: bytes that are not UTF-8, and
 * the escapes of a NUL and of half a surrogate pair. Returns NULL, or what is
 * wrong, and where in *AT.
 */
const char *utf8_check_json(const char *text, size_t len, size_t *at);
