/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "cli/opts.h"
#include "davit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct spec_args {
	const char *bundle, *file;
	bool rootless;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct spec_args, member), metavar, help              \
	}
static const struct opt spec_opts[] = {
	ROW(OPT_STR, "bundle", 'b', bundle, "DIR", "write it there; default: this directory"),
	ROW(OPT_STR, "config", 'f', file, "FILE", "its name; default: config.json"),
	ROW(OPT_STR, "file", 0, file, "FILE", NULL), /* as crun has it */
	ROW(OPT_FLAG, "rootless", 0, rootless, NULL, "for a caller who is not root"),
	OPT_END,
};
#undef ROW

static int spec_run(struct call *c, struct err *e)
{
	const struct spec_args *a = c->args;
	const char *name = a->file ? a->file : "config.json";
	autofree char *json = NULL;
	autofd dir = -1, fd = -1;

	dir = fd_open(AT_FDCWD, a->bundle ? a->bundle : ".", O_PATH | O_DIRECTORY, 0, e);
	TRY(dir);
	TRY(davit_spec(a->rootless, &json, e));
	fd = fd_open(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0666, e);
	if (fd < 0 && e->errnum == EEXIST)
		return fail(e, 0, "file \"%s\" exists already, remove it first", name);
	TRY(fd);
	if (fd_write_all(fd, json, strlen(json)) < 0 || fd_write_all(fd, "\n", 1) < 0) {
		fail(e, errno, "write \"%s\"", name);
		(void)unlinkat(dir, name, 0); /* it is ours and of no use */
		return -1;
	}
	return 0;
}

const struct command cmd_spec = {
	.name = "spec",
	.synopsis = "",
	.help = "write a config.json to start from",
	.opts = spec_opts,
	.args_size = sizeof(struct spec_args),
	.run = spec_run,
};
