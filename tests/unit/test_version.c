/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run/version.h"

#include <string.h>

#include "base/err.h"
#include "run/state.h"
#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void test_versions(void)
{
	static const char *const good[] = {"1.0.0",     "1.0.2-dev",      "1.3.0",
	                                   "1.1.0+dev", "1.2.0-rc.1+x-y", "1.4.0",
	                                   "1.0.0-0",   "1.0.0-0a.10+01", "1.0.0--0"};
	static const char *const bad[] = {
		"",           "1",       "1.0",      "1.0.0.0",     "v1.0.0",    "01.0.0",
		"1.0.0-",     "1.0.0+",  "2.0.0",    "0.9.0",       "1.0.x",     "1.0.0 ",
		"1.0.0-a..b", "invalid", "1.0.0-01", "1.0.0-rc.01", "1.0.0-00+x"};
	struct err e = {0};

	for (size_t i = 0; i < COUNT(good); i++)
		ok(version_check(good[i], &e) == 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		e = (struct err){0};
		ok(version_check(bad[i], &e) < 0);
		is_str(e.at, "/ociVersion");
	}
}

static void test_ids(void)
{
	static const char *const good[] = {"a", "web_1", "a.b-c+d", "0"};
	static const char *const bad[] = {"",   ".",  "..",  "a/b",  "../x",
	                                  "-a", ".x", "a b", "a\nb", "\xc3\xa4"};
	struct err e = {0};
	char longest[257];

	for (size_t i = 0; i < COUNT(good); i++)
		ok(state_id_check(good[i], &e) == 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		ok(state_id_check(bad[i], &e) < 0);
	memset(longest, 'a', 256);
	longest[256] = '\0';
	ok(state_id_check(longest, &e) < 0);
	longest[255] = '\0';
	ok(state_id_check(longest, &e) == 0);
}

int main(void)
{
	RUN(test_versions);
	RUN(test_ids);
	return done();
}
