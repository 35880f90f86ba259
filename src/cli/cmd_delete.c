/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "cli/each.h"
#include "cli/opts.h"
#include "davit.h"

struct delete_args {
	bool force, regex;
	const char *exit_record;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct delete_args, member), metavar, help            \
	}
static const struct opt delete_opts[] = {
	ROW(OPT_FLAG, "force", 'f', force, NULL, "kill it first; one that is unknown is no error"),
	ROW(OPT_FLAG, "regex", 'r', regex, NULL,
            "ID is a regular expression: delete all containers it matches"),
	ROW(OPT_STR, "exit-record", 0, exit_record, "FILE", "write to FILE how it ended"),
	OPT_END,
};
#undef ROW

static int delete_one(struct call *c, const char *id, struct err *e)
{
	const struct delete_args *a = c->args;

	struct davit_context ctx = *c->ctx;

	ctx.exit_record = a->exit_record;
	return davit_delete(&ctx, id, a->force ? DAVIT_DELETE_FORCE : 0, e);
}

static int delete_run(struct call *c, struct err *e)
{
	const struct delete_args *a = c->args;

	if (a->exit_record && a->regex)
		return fail(e, 0, "--exit-record is for one container, not for --regex");
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
	.flags = CMD_WAITS,
	.run = delete_run,
};
