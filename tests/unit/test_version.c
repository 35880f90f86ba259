/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "run/version.h"

#include <string.h>

#include "base/err.h"
#include "run/state.h"
#include "tap.h"

int main(void)
{
	static const char *const good[] = {"1.0.0",     "1.0.2-dev",      "1.3.0",
	                                   "1.1.0+dev", "1.2.0-rc.1+x-y", "1.4.0"};
	static const char *const bad[] = {"",       "1",       "1.0",    "1.0.0.0",    "v1.0.0",
	                                  "01.0.0", "1.0.0-",  "1.0.0+", "1.0.0-a..b", "2.0.0",
	                                  "0.9.0",  "invalid", "1.0.x",  "1.0.0 "};
	static const char *const good_ids[] = {"a", "web_1", "a.b-c+d", "0"};
	static const char *const bad_ids[] = {"",   ".",  "..",  "a/b",  "../x",
	                                      "-a", ".x", "a b", "a\nb", "\xc3\xa4"};
	char longest[257];
	struct err e = {0};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		ok(version_check(good[i], &e) == 0, "version \"%s\" is accepted", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		e = (struct err){0};
		ok(version_check(bad[i], &e) < 0 && strcmp(e.at, "/ociVersion") == 0,
		   "version \"%s\" is refused", bad[i]);
	}
	for (size_t i = 0; i < sizeof good_ids / sizeof *good_ids; i++)
		ok(state_id_check(good_ids[i], &e) == 0, "id \"%s\" is accepted", good_ids[i]);
	for (size_t i = 0; i < sizeof bad_ids / sizeof *bad_ids; i++)
		ok(state_id_check(bad_ids[i], &e) < 0, "bad id %zu is refused", i);
	memset(longest, 'a', 256);
	longest[256] = '\0';
	ok(state_id_check(longest, &e) < 0, "an id of 256 bytes is refused");
	longest[255] = '\0';
	ok(state_id_check(longest, &e) == 0, "an id of 255 bytes is accepted");
	return done();
}
