/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Places in a JSON text, for messages: line and column, JSON pointer. */
#pragma once

#include <stddef.h>

/* The line of the byte at offset AT, from 1; *COLUMN counts bytes, from 1. */
unsigned place_line(const char *text, size_t at, unsigned *column);

/*
 * Appends a reference token (RFC 6901) to the pointer in OUT, of which USED
 * bytes are there. Returns the new length; SIZE if the token does not fit: then
 * the pointer stays as it was.
 */
size_t place_add_key(char *out, size_t size, size_t used, const char *key, size_t len);

/* Makes TEXT fit for one line of a log: no control characters, and no character cut in two. */
void place_clean(char *text);
