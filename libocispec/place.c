/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "place.h"

#include <string.h>

#include "utf8.h"

unsigned place_line(const char *text, size_t at, unsigned *column)
{
	const char *start = text, *end = text + at, *p;
	unsigned line = 1;

	while (start < end && (p = memchr(start, '\n', (size_t)(end - start)))) {
		line++;
		start = p + 1;
	}
	*column = (unsigned)(end - start) + 1;
	return line;
}

size_t place_add_key(char *out, size_t size, size_t used, const char *key, size_t len)
{
	size_t start = used;

	if (used + 1 >= size)
		return size;
	out[used++] = '/';
	for (size_t i = 0; i < len; i++) {
		if (used + 2 >= size) {
			out[start] = '\0';
			return size;
		}
		if (key[i] == '~' || key[i] == '/') {
			out[used++] = '~';
			out[used++] = key[i] == '~' ? '0' : '1';
		} else {
			out[used++] = key[i];
		}
	}
	out[used] = '\0';
	return used;
}

void place_clean(char *text)
{
	size_t n = strlen(text), step;

	for (size_t i = 0; i < n; i += step) {
		step = utf8_length((const unsigned char *)text + i, n - i);
		if (step == 0 || (unsigned char)text[i] < ' ' || text[i] == 0x7f) {
			text[i] = '?';
			step = 1;
		}
	}
}
