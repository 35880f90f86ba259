/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/each.h"
#include "cli/opts.h"

#include "base/err.h"
#include "davit.h"

#include <regex.h>

/* The listing has read all names when fn comes to remove the first. */
static int matches_visit(struct call *c, const regex_t *re,
                         int (*fn)(struct call *c, const char *id, struct err *e), struct err *e)
{
	struct davit_listing *l;
	struct davit_state s;
	struct err other = {0};
	int ret = 0;

	TRY(davit_list_open(c->ctx, DAVIT_LIST_IDS, &l, e));
	while (davit_list_next(l, &s))
		if (regexec(re, s.id, 0, NULL, 0) == 0 && fn(c, s.id, ret < 0 ? &other : e) < 0)
			ret = -1;
	davit_list_close(l);
	return ret;
}

int each_container(struct call *c, const char *pattern, bool regex,
                   int (*fn)(struct call *c, const char *id, struct err *e), struct err *e)
{
	regex_t re;
	int ret;

	if (!regex)
		return fn(c, pattern, e);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return fail(e, 0, "invalid regular expression \"%s\"", pattern);
	ret = matches_visit(c, &re, fn, e);
	regfree(&re);
	return ret;
}
