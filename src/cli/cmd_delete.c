/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/each.h"
#include "cli/opts.h"
#include "davit.h"

struct delete_args {
	bool force, regex;
};

#define ROW(name, letter, member, help)                                                            \
	{                                                                                          \
		name, letter, OPT_FLAG, offsetof(struct delete_args, member), NULL, help           \
	}
static const struct opt delete_opts[] = {
	ROW("force", 'f', force, "kill it first; one that is unknown is no error"),
	ROW("regex", 'r', regex, "ID is a regular expression: delete all containers it matches"),
	OPT_END,
};
#undef ROW

static int delete_one(struct call *c, const char *id, struct err *e)
{
	const struct delete_args *a = c->args;

	return davit_delete(c->ctx, id, a->force ? DAVIT_DELETE_FORCE : 0, e);
}

static int delete_run(struct call *c, struct err *e)
{
	const struct delete_args *a = c->args;

	return each_container(c, c->pos[0], a->regex, delete_one, e);
}

const struct command cmd_delete = {
	.name = "delete",
	.synopsis = "ID",
	.help = "delete a container that has ended",
	.opts = delete_opts,
	.args_size = sizeof(struct delete_args),
	.min = 1,
	.max = 1,
	.flags = CMD_WAITS | CMD_QUIET,
	.run = delete_run,
};
