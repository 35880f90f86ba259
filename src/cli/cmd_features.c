/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/mem.h"
#include "cli/opts.h"
#include "davit.h"

static const struct opt features_opts[] = {OPT_END};

static int features_run(struct call *c, struct err *e)
{
	autofree char *json = NULL;

	(void)c;
	if (davit_features(&json, e) < 0)
		return -1;
	puts(json);
	return 0;
}

const struct command cmd_features = {
	.name = "features",
	.synopsis = "",
	.help = "show what davit knows to do as JSON",
	.opts = features_opts,
	.flags = CMD_QUIET,
	.run = features_run,
};
