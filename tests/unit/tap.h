/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests in TAP, https://testanything.org. A test program is a list of functions:
 *
 *	static void test_add(void) { is_int(add(1, 2), 3); }
 *	int main(void) { RUN(test_add); return done(); }
 *
 * Each RUN is one point, which fails when any check in it fails; checks go on after a failure.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_points, tap_failed;
static bool tap_bad;
static const char *tap_skip;

static inline bool tap_check(bool good, const char *file, int line, const char *text)
{
	if (!good) {
		tap_bad = true;
		printf("# %s:%d: %s\n", file, line, text);
	}
	return good;
}

static inline bool tap_str(const char *got, const char *want, const char *file, int line)
{
	bool same = got && want ? strcmp(got, want) == 0 : got == want;

	tap_check(same, file, line, "strings differ");
	if (!same)
		printf("#   got:  %s\n#   want: %s\n", got ? got : "(null)",
		       want ? want : "(null)");
	return same;
}

static inline bool tap_int(long long got, long long want, const char *file, int line)
{
	tap_check(got == want, file, line, "numbers differ");
	if (got != want)
		printf("#   got:  %lld\n#   want: %lld\n", got, want);
	return got == want;
}

static inline void tap_run(void (*test)(void), const char *name)
{
	tap_bad = false;
	tap_skip = NULL;
	test();
	tap_failed += tap_bad;
	printf("%sok %d - %s", tap_bad ? "not " : "", ++tap_points, name);
	printf(tap_skip && !tap_bad ? " # SKIP %s\n" : "\n", tap_skip);
	fflush(stdout);
}

static inline int done(void)
{
	printf("1..%d\n", tap_points);
	return tap_failed > 0;
}

#define ok(expr)          tap_check((expr), __FILE__, __LINE__, #expr)
#define is_str(got, want) tap_str((got), (want), __FILE__, __LINE__)
#define is_int(got, want) tap_int((got), (want), __FILE__, __LINE__)
#define RUN(test)         tap_run(test, #test)
/* The rest of this test cannot run here; give the reason and return. */
#define SKIP(reason)                                                                               \
	do {                                                                                       \
		tap_skip = (reason);                                                               \
		return;                                                                            \
	} while (0)
