/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One container, or all whose ID matches a regular expression. */
#pragma once

#include <stdbool.h>

struct call;
struct err;

/* Calls fn for the container called pattern; with regex, for every container whose ID the extended
 * regular expression matches, also after an error, and returns the first error. */
int each_container(struct call *c, const char *pattern, bool regex,
                   int (*fn)(struct call *c, const char *id, struct err *e), struct err *e);
