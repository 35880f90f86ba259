/* SPDX-License-Identifier: GPL-2.0-or-later */
/* create and run. */
#include "base/err.h"
#include "cli/opts.h"
#include "davit.h"

struct create_args {
	struct davit_create_args create;
	bool plan;
	const char *exit_record;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct create_args, member), metavar, help            \
	}
#define CREATE_ROWS                                                                                \
	ROW(OPT_STR, "bundle", 'b', create.bundle, "DIR", "the bundle; default: this directory"),  \
		ROW(OPT_STR, "config", 'f', create.config, "FILE",                                 \
	            "take FILE for the bundle's config.json"),                                     \
		ROW(OPT_STR, "console-socket", 0, create.console_socket, "PATH",                   \
	            "send the terminal's master side to this socket"),                             \
		ROW(OPT_STR, "pid-file", 0, create.pid_file, "PATH",                               \
	            "write the pid of the container's first process"),                             \
		ROW(OPT_STR, "pidfd-socket", 0, create.pidfd_socket, "PATH",                       \
	            "send a pidfd of the container's first process"),                              \
		ROW(OPT_UINT, "preserve-fds", 0, create.preserve_fds, "N",                         \
	            "pass N more descriptors, from 3 on"),                                         \
		ROW(OPT_FLAG, "no-pivot", 0, create.no_pivot, NULL,                                \
	            "change the root by moving a mount, as for a root on a ramdisk"),              \
		ROW(OPT_FLAG, "no-new-keyring", 0, create.no_new_keyring, NULL,                    \
	            "keep the caller's session keyring"),                                          \
		ROW(OPT_FLAG, "no-subreaper", 0, create.no_subreaper, NULL,                        \
	            "do not adopt orphans of the container"),                                      \
		ROW(OPT_FLAG, "plan", 0, plan, NULL, "print the steps and do nothing")

static const struct opt create_opts[] = {CREATE_ROWS, OPT_END};

static const struct opt run_opts[] = {
	CREATE_ROWS,
	ROW(OPT_FLAG, "detach", 'd', create.detach, NULL, "do not wait for the container's end"),
	ROW(OPT_FLAG, "keep", 0, create.keep, NULL,
            "do not delete the container when it has ended"),
	ROW(OPT_STR, "exit-record", 0, exit_record, "FILE", "write to FILE how it ended"),
	OPT_END,
};
#undef ROW

static struct davit_create_args create_request(const struct call *c)
{
	const struct create_args *a = c->args;
	struct davit_create_args request = a->create;

	request.id = c->pos[0];
	request.plan_only = a->plan ? stdout : NULL;
	return request;
}

static int create_run(struct call *c, struct err *e)
{
	struct davit_create_args request = create_request(c);

	return davit_create(c->ctx, &request, e);
}

static int run_run(struct call *c, struct err *e)
{
	struct davit_create_args request = create_request(c);
	struct davit_context ctx = *c->ctx;

	ctx.exit_record = ((const struct create_args *)c->args)->exit_record;
	return davit_run(&ctx, &request, &c->status, e);
}

const struct command cmd_create = {
	.name = "create",
	.synopsis = "ID",
	.help = "create a container, ready to be started",
	.opts = create_opts,
	.args_size = sizeof(struct create_args),
	.min = 1,
	.max = 1,
	.flags = CMD_ENTERS | CMD_QUIET,
	.run = create_run,
};

const struct command cmd_run = {
	.name = "run",
	.synopsis = "ID",
	.help = "create and start a container, wait for its end and delete it",
	.opts = run_opts,
	.args_size = sizeof(struct create_args),
	.min = 1,
	.max = 1,
	.flags = CMD_ENTERS | CMD_QUIET_LOG,
	.run = run_run,
};
