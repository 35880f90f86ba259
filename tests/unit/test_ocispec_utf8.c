/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libocispec/utf8.c: all characters, and all that is not one. */
#include <stdint.h>

#include "tap.h"
#include "utf8.h"

static size_t encode(uint32_t c, unsigned char *s)
{
	if (c < 0x80) {
		s[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		s[0] = (unsigned char)(0xc0 | c >> 6);
		s[1] = (unsigned char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		s[0] = (unsigned char)(0xe0 | c >> 12);
		s[1] = (unsigned char)(0x80 | (c >> 6 & 63));
		s[2] = (unsigned char)(0x80 | (c & 63));
		return 3;
	}
	s[0] = (unsigned char)(0xf0 | c >> 18);
	s[1] = (unsigned char)(0x80 | (c >> 12 & 63));
	s[2] = (unsigned char)(0x80 | (c >> 6 & 63));
	s[3] = (unsigned char)(0x80 | (c & 63));
	return 4;
}

static void test_all_characters(void)
{
	unsigned char s[4];
	size_t wrong = 0;

	for (uint32_t c = 0; c < 0x200000; c++) {
		size_t n = encode(c, s);
		bool valid = c < 0xd800 || (c > 0xdfff && c < 0x110000);

		wrong += utf8_length(s, n) != (valid ? n : 0);
		wrong += n > 1 && utf8_length(s, n - 1) != 0;
	}
	is_int(wrong, 0);
}

/* Only pairs that encode() makes are characters: no overlong forms. */
static void test_all_pairs(void)
{
	size_t valid = 0;

	for (unsigned i = 0x8000; i < 0x10000; i++) {
		unsigned char s[2] = {(unsigned char)(i >> 8), (unsigned char)i};

		valid += utf8_length(s, 2) == 2;
	}
	is_int(valid, 0x800 - 0x80);
}

static const char *check(const char *text, size_t *at)
{
	*at = 999;
	return utf8_check_json(text, strlen(text), at);
}

static void test_check(void)
{
	size_t at;

	ok(!check("", &at));
	ok(!check("plain text of more than eight bytes", &at));
	ok(!check("\\u0001 \\uD83D\\uDE00 \\\\u0000 \\q", &at));
	is_str(check("01234567890\\u0000", &at), "a NUL character is not allowed");
	is_int(at, 11);
	is_str(check("\\\\\\u0000", &at), "a NUL character is not allowed");
	is_int(at, 2);
	is_str(check("\\ud83dx", &at), "half of a surrogate pair");
	is_str(check("\\ud83d\\ud83d", &at), "half of a surrogate pair");
	is_str(check("\\udbff", &at), "half of a surrogate pair");
	is_str(check("abc \\udfff", &at), "half of a surrogate pair");
	is_int(at, 4);
	is_str(check("\\u00e9 \xc3", &at), "not valid UTF-8");
	is_int(at, 7);
	/* Cut or malformed escapes are left to the parser. */
	ok(!check("\\", &at));
	ok(!check("\\u", &at));
	ok(!check("\\u000", &at));
	ok(!check("\\u00g0", &at));
}

/* The fault at each place of a word and each alignment. */
static void test_words(void)
{
	char text[41];
	size_t at, wrong = 0;

	for (size_t start = 0; start < 8; start++) {
		for (size_t i = start; i < 40; i++) {
			memset(text, 'a', 40);
			text[40] = '\0';
			text[i] = '\x80';
			wrong += !utf8_check_json(text + start, 40 - start, &at) || at != i - start;
		}
	}
	is_int(wrong, 0);
}

int main(void)
{
	RUN(test_all_characters);
	RUN(test_all_pairs);
	RUN(test_check);
	RUN(test_words);
	return done();
}
