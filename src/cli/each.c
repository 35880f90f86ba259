/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/each.h"
#include "cli/opts.h"

#include "base/err.h"
#include "davit.h"

#include <regex.h>
#include <stdlib.h>

int each_container(struct call *c, const char *pattern, bool regex,
                   int (*fn)(struct call *c, const char *id, struct err *e), struct err *e)
{
	struct davit_state *list = NULL;
	struct err other;
	size_t n = 0;
	regex_t re;
	int ret;

	if (!regex)
		return fn(c, pattern, e);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return fail(e, 0, "invalid regular expression \"%s\"", pattern);
	ret = davit_list(c->ctx, 0, &list, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (regexec(&re, list[i].id, 0, NULL, 0) == 0 &&
		    fn(c, list[i].id, ret < 0 ? &other : e) < 0)
			ret = -1;
		davit_state_free(&list[i]);
	}
	free(list);
	regfree(&re);
	return ret;
}
