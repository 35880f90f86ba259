/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool byte_between(unsigned char c, unsigned char low, unsigned char high)
{
	return c >= low && c <= high;
}

size_t utf8_length(const unsigned char *s, size_t n)
{
	unsigned char c = s[0], low = 0x80, high = 0xbf;
	size_t len;

	if (c < 0x80)
		return 1;
	if (byte_between(c, 0xc2, 0xdf))
		len = 2;
	else if (byte_between(c, 0xe0, 0xef))
		len = 3;
	else if (byte_between(c, 0xf0, 0xf4))
		len = 4;
	else
		return 0;
	if (c == 0xe0)
		low = 0xa0; /* below: overlong */
	else if (c == 0xed)
		high = 0x9f; /* above: surrogates */
	else if (c == 0xf0)
		low = 0x90; /* below: overlong */
	else if (c == 0xf4)
		high = 0x8f; /* above: past U+10FFFF */
	if (n < len || !byte_between(s[1], low, high))
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!byte_between(s[i], 0x80, 0xbf))
			return 0;
	return len;
}

/* Eight bytes that are ASCII and hold no backslash. */
static bool word_is_plain(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return !((word & WORD_TOPS) | word_find(word, '\\'));
}

/* The value of an escape \uXXXX at P, or -1: the parser judges other escapes. */
static int escape_value(const char *p, size_t n)
{
	int value = 0;

	if (n < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int c = (unsigned char)p[i], lower = c | 0x20;

		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if (lower >= 'a' && lower <= 'f')
			value = value * 16 + lower - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* The length of the escape at P in *STEP; NULL, or what is wrong with it. */
static const char *escape_check(const char *p, size_t n, size_t *step)
{
	int value = escape_value(p, n), second;

	*step = value < 0 ? 2 : 6;
	if (value == 0)
		return "a NUL character is not allowed";
	if (value < 0xd800 || value > 0xdfff)
		return NULL;
	second = escape_value(p + 6, n - 6);
	*step = 12;
	if (value >= 0xdc00 || second < 0xdc00 || second > 0xdfff)
		return "half of a surrogate pair";
	return NULL;
}

const char *utf8_check_json(const char *text, size_t len, size_t *at)
{
	size_t i = 0, step;
	const char *wrong;

	while (i < len) {
		if (len - i >= 8 && word_is_plain(text + i)) {
			i += 8;
			continue;
		}
		wrong = NULL;
		if (text[i] == '\\') {
			wrong = escape_check(text + i, len - i, &step);
		} else {
			step = utf8_length((const unsigned char *)text + i, len - i);
			if (step == 0)
				wrong = "not valid UTF-8";
		}
		if (wrong) {
			*at = i;
			return wrong;
		}
		i += step;
	}
	return NULL;
}
