/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stddef.h>

/* The length of the character at S, of which N > 0 bytes are there; 0 if it is not valid. */
size_t utf8_length(const unsigned char *s, size_t n);

/*
 * Looks for what a JSON parser lets pass in TEXT: bytes that are not UTF-8, and
 * the escapes of a NUL and of half a surrogate pair. Returns NULL, or what is
 * wrong, and where in *AT.
 */
const char *utf8_check_json(const char *text, size_t len, size_t *at);
