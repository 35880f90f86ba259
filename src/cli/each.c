/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/each.h"
#include "cli/opts.h"

#include "base/err.h"
#include "base/str.h"
#include "davit.h"

#include <regex.h>

/* Listed first and visited then: fn may remove them. */
static int matches_read(struct call *c, const regex_t *re, struct strv *ids, struct err *e)
{
	struct davit_listing *l;
	struct davit_state s;

	TRY(davit_list_open(c->ctx, DAVIT_LIST_IDS, &l, e));
	while (davit_list_next(l, &s))
		if (regexec(re, s.id, 0, NULL, 0) == 0)
			strv_add(ids, s.id);
	davit_list_close(l);
	return 0;
}

int each_container(struct call *c, const char *pattern, bool regex,
                   int (*fn)(struct call *c, const char *id, struct err *e), struct err *e)
{
	autostrv ids = {0};
	struct err other;
	regex_t re;
	int ret;

	if (!regex)
		return fn(c, pattern, e);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return fail(e, 0, "invalid regular expression \"%s\"", pattern);
	ret = matches_read(c, &re, &ids, e);
	regfree(&re);
	for (size_t i = 0; i < ids.n; i++)
		if (fn(c, ids.v[i], ret < 0 ? &other : e) < 0)
			ret = -1;
	return ret;
}
