/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "base/names.h"
#include "cli/each.h"
#include "cli/opts.h"
#include "davit.h"

struct kill_args {
	bool all, regex;
};

#define ROW(name, letter, member, help)                                                            \
	{                                                                                          \
		name, letter, OPT_FLAG, offsetof(struct kill_args, member), NULL, help             \
	}
static const struct opt kill_opts[] = {
	ROW("all", 'a', all, "signal every process of the container; one that is gone is no error"),
	ROW("regex", 'r', regex, "ID is a regular expression: signal all containers it matches"),
	OPT_END,
};
#undef ROW

static int kill_signal(const struct call *c)
{
	return signal_parse(c->n_pos > 1 ? c->pos[1] : "SIGTERM");
}

static int kill_one(struct call *c, const char *id, struct err *e)
{
	const struct kill_args *a = c->args;

	return davit_kill(c->ctx, id, kill_signal(c), a->all ? DAVIT_KILL_ALL : 0, e);
}

static int kill_run(struct call *c, struct err *e)
{
	const struct kill_args *a = c->args;

	if (kill_signal(c) < 0) /* also where no ID matches */
		return fail(e, 0, "unknown signal \"%s\"", c->pos[1]);
	return each_container(c, c->pos[0], a->regex, kill_one, e);
}

const struct command cmd_kill = {
	.name = "kill",
	.synopsis = "ID [SIGNAL]",
	.help = "send a signal, SIGTERM if none is named, to a container",
	.opts = kill_opts,
	.args_size = sizeof(struct kill_args),
	.min = 1,
	.max = 2,
	.run = kill_run,
};
