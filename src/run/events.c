/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics and out-of-memory events. */
#include "base/err.h"
#include "davit.h"

int davit_stats(const struct davit_context *c, const char *id, FILE *out, struct err *e)
{
	(void)c;
	(void)id;
	(void)out;
	return fail(e, 0, "statistics are not supported yet");
}

int davit_events(const struct davit_context *c, const char *id, int64_t interval_ms, FILE *out,
                 struct err *e)
{
	(void)interval_ms;
	return davit_stats(c, id, out, e);
}
