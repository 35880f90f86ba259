/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/version.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "davit.h"

/* One number of MAJOR.MINOR.PATCH: digits, no leading zero. Returns what follows, or NULL. */
static const char *number_skip(const char *s)
{
	const char *start = s;

	while (isdigit((unsigned char)*s))
		s++;
	return s == start || (*start == '0' && s - start > 1) ? NULL : s;
}

/* Dot-separated identifiers of letters, digits and hyphens, none empty. pre: they are those of a
 * pre-release, where one of digits alone is a number, without a leading zero. */
static const char *identifiers_skip(const char *s, bool pre)
{
	for (;; s++) {
		size_t digits = strspn(s, "0123456789"), n = digits;

		while (isalnum((unsigned char)s[n]) || s[n] == '-')
			n++;
		if (n == 0 || (pre && n == digits && n > 1 && *s == '0'))
			return NULL;
		s += n;
		if (*s != '.')
			return s;
	}
}

static bool is_semver(const char *s)
{
	for (int i = 0; i < 3; i++) {
		s = number_skip(s);
		if (!s || (i < 2 && *s++ != '.'))
			return false;
	}
	if (*s == '-')
		s = identifiers_skip(s + 1, true);
	if (s && *s == '+')
		s = identifiers_skip(s + 1, false);
	return s && *s == '\0';
}

int version_check(const char *text, struct err *e)
{
	if (!is_semver(text))
		fail(e, 0, "\"%.64s\" is not a version of the form 1.2.3", text);
	else if (strncmp(text, "1.", 2) != 0)
		fail(e, 0, "version %.64s of the specification is not supported, %s is", text,
		     DAVIT_SPEC_VERSION);
	else
		return 0;
	return fail_at(e, "/ociVersion");
}
