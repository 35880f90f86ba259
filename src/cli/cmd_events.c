/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "cli/opts.h"
#include "davit.h"

struct events_args {
	const char *interval;
	bool stats;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct events_args, member), metavar, help            \
	}
static const struct opt events_opts[] = {
	ROW(OPT_STR, "interval", 0, interval, "TIME",
            "how often to show statistics, such as 500ms or 1m30s; default: 5s"),
	ROW(OPT_FLAG, "stats", 0, stats, NULL, "show the statistics once"),
	OPT_END,
};
#undef ROW

static int events_run(struct call *c, struct err *e)
{
	const struct events_args *a = c->args;
	int64_t ms = 5000;

	if (a->interval && (duration_parse(a->interval, &ms) < 0 || ms < 1))
		return fail(e, 0, "invalid value \"%s\" for --interval: expected a time such as 5s",
		            a->interval);
	if (a->stats)
		return davit_stats(c->ctx, c->pos[0], stdout, e);
	return davit_events(c->ctx, c->pos[0], ms, stdout, e);
}

const struct command cmd_events = {
	.name = "events",
	.synopsis = "ID",
	.help = "show statistics and out-of-memory events, one JSON object a line",
	.opts = events_opts,
	.args_size = sizeof(struct events_args),
	.min = 1,
	.max = 1,
	.run = events_run,
};
