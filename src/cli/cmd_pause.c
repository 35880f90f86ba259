/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pause and resume. */
#include "cli/opts.h"
#include "davit.h"

static const struct opt pause_opts[] = {OPT_END};

static int pause_run(struct call *c, struct err *e)
{
	return davit_pause(c->ctx, c->pos[0], e);
}

static int resume_run(struct call *c, struct err *e)
{
	return davit_resume(c->ctx, c->pos[0], e);
}

const struct command cmd_pause = {
	.name = "pause",
	.synopsis = "ID",
	.help = "suspend all processes of a container",
	.opts = pause_opts,
	.min = 1,
	.max = 1,
	.run = pause_run,
};

const struct command cmd_resume = {
	.name = "resume",
	.synopsis = "ID",
	.help = "let the processes of a paused container go on",
	.opts = pause_opts,
	.min = 1,
	.max = 1,
	.run = resume_run,
};
