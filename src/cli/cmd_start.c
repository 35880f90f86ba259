/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"
#include "davit.h"

static const struct opt start_opts[] = {OPT_END};

static int start_run(struct call *c, struct err *e)
{
	return davit_start(c->ctx, c->pos[0], e);
}

const struct command cmd_start = {
	.name = "start",
	.synopsis = "ID",
	.help = "start the program of a created container",
	.opts = start_opts,
	.min = 1,
	.max = 1,
	.flags = CMD_WAITS | CMD_QUIET,
	.run = start_run,
};
