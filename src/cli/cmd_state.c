/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/opts.h"
#include "davit.h"

static const struct opt state_opts[] = {OPT_END};

static int state_run(struct call *c, struct err *e)
{
	struct davit_state state = {0};
	int ret = davit_state(c->ctx, c->pos[0], &state, e);

	if (ret == 0)
		puts(state.json);
	davit_state_free(&state);
	return ret;
}

const struct command cmd_state = {
	.name = "state",
	.synopsis = "ID",
	.help = "show the state of a container as JSON",
	.opts = state_opts,
	.min = 1,
	.max = 1,
	.flags = CMD_QUIET,
	.run = state_run,
};
