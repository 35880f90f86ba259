/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/err.h"
#include "cli/opts.h"
#include "davit.h"

/* The lists come from the option parser, the rest is taken as it is. */
struct exec_args {
	struct davit_exec_args exec;
	struct opt_list env, caps, gids, cgroup;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct exec_args, member), metavar, help              \
	}
static const struct opt exec_opts[] = {
	ROW(OPT_STR, "process", 'p', exec.process, "FILE",
            "take the process object in FILE; COMMAND is ignored"),
	ROW(OPT_FLAG, "detach", 'd', exec.detach, NULL, "do not wait for the program's end"),
	ROW(OPT_BOOL, "tty", 't', exec.tty, "[=true|false]", "give it a terminal"),
	ROW(OPT_STR, "cwd", 0, exec.cwd, "DIR", "its working directory"),
	ROW(OPT_LIST, "env", 'e', env, "NAME=VALUE", "set an environment variable"),
	ROW(OPT_STR, "user", 'u', exec.user, "UID[:GID]", "its user and group"),
	ROW(OPT_LIST, "additional-gids", 'g', gids, "GID", "add a supplementary group"),
	ROW(OPT_LIST, "cap", 'c', caps, "CAP", "add a capability"),
	ROW(OPT_BOOL, "no-new-privs", 0, exec.no_new_privs, "[=true|false]",
            "set the no_new_privs attribute"),
	ROW(OPT_STR, "process-label", 0, exec.process_label, "LABEL", "its SELinux label"),
	ROW(OPT_STR, "apparmor", 0, exec.apparmor, "PROFILE", "its AppArmor profile"),
	ROW(OPT_LIST, "cgroup", 0, cgroup, "PATH", "run it in a cgroup below the container's"),
	ROW(OPT_FLAG, "ignore-paused", 0, exec.ignore_paused, NULL,
            "start it in a paused container, too"),
	ROW(OPT_STR, "console-socket", 0, exec.console_socket, "PATH",
            "send the terminal's master side to this socket"),
	ROW(OPT_STR, "pid-file", 0, exec.pid_file, "PATH", "write its pid"),
	ROW(OPT_STR, "pidfd-socket", 0, exec.pidfd_socket, "PATH", "send a pidfd of it"),
	ROW(OPT_UINT, "preserve-fds", 0, exec.preserve_fds, "N",
            "pass N more descriptors, from 3 on"),
	OPT_END,
};
#undef ROW

static int exec_run(struct call *c, struct err *e)
{
	const struct exec_args *a = c->args;
	struct davit_exec_args request = a->exec;

	request.id = c->pos[0];
	request.argv = c->pos + 1;
	request.env = a->env.v;
	request.n_env = a->env.n;
	request.caps = a->caps.v;
	request.n_caps = a->caps.n;
	request.additional_gids = a->gids.v;
	request.n_additional_gids = a->gids.n;
	request.cgroup = a->cgroup.v;
	request.n_cgroup = a->cgroup.n;
	if (!request.process && !request.argv[0])
		return fail(e, 0, "no COMMAND and no --process given");
	return davit_exec(c->ctx, &request, &c->status, e);
}

const struct command cmd_exec = {
	.name = "exec",
	.synopsis = "ID [COMMAND [ARGUMENT...]]",
	.help = "run one more program in a running container",
	.opts = exec_opts,
	.args_size = sizeof(struct exec_args),
	.min = 1,
	.last = 2,
	.flags = CMD_ENTERS | CMD_QUIET,
	.failed = 255,
	.run = exec_run,
};
