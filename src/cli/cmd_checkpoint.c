/* SPDX-License-Identifier: GPL-2.0-or-later */
/* checkpoint and restore. Engines probe for both: checkpoint --help must fail while there is no
 * checkpoint, and restore must know --lsm-mount-context. */
#include "base/err.h"
#include "cli/opts.h"
#include "davit.h"

#include <errno.h>

struct image_args {
	struct davit_create_args create; /* restore only */
	const char *image_path, *work_path, *parent_path, *page_server, *status_fd, *manage_cgroups;
	const char *network_lock, *lsm_profile, *lsm_mount_context;
	struct opt_list empty_ns;
	bool leave_running, tcp_established, tcp_close, tcp_skip_in_flight, ext_unix_sk, shell_job;
	bool file_locks, pre_dump, link_remap, lazy_pages, auto_dedup;
};

#define ROW(kind, name, letter, member, metavar, help)                                             \
	{                                                                                          \
		name, letter, kind, offsetof(struct image_args, member), metavar, help             \
	}
#define IMAGE_ROWS                                                                                 \
	ROW(OPT_STR, "image-path", 0, image_path, "DIR", "the directory of the image"),            \
		ROW(OPT_STR, "work-path", 0, work_path, "DIR", "where logs and statistics go"),    \
		ROW(OPT_FLAG, "tcp-established", 0, tcp_established, NULL,                         \
	            "allow open TCP connections"),                                                 \
		ROW(OPT_FLAG, "ext-unix-sk", 0, ext_unix_sk, NULL,                                 \
	            "allow UNIX sockets with a peer outside"),                                     \
		ROW(OPT_FLAG, "shell-job", 0, shell_job, NULL, "allow a terminal from outside"),   \
		ROW(OPT_FLAG, "file-locks", 0, file_locks, NULL, "take file locks along"),         \
		ROW(OPT_FLAG, "link-remap", 0, link_remap, NULL,                                   \
	            "give unlinked files a name meanwhile"),                                       \
		ROW(OPT_STR, "manage-cgroups-mode", 0, manage_cgroups, "MODE",                     \
	            "soft, full, strict or ignore"),                                               \
		ROW(OPT_LIST, "empty-ns", 0, empty_ns, "NAMESPACE",                                \
	            "make this namespace, but do not fill it"),                                    \
		ROW(OPT_STR, "network-lock", 0, network_lock, "METHOD",                            \
	            "how the network is held: iptables, nftables or skip"),                        \
		ROW(OPT_FLAG, "lazy-pages", 0, lazy_pages, NULL, "move memory when it is used"),   \
		ROW(OPT_FLAG, "auto-dedup", 0, auto_dedup, NULL,                                   \
	            "drop memory pages that a newer image has")

static const struct opt checkpoint_opts[] = {
	IMAGE_ROWS,
	ROW(OPT_FLAG, "leave-running", 0, leave_running, NULL, "let the container go on"),
	ROW(OPT_FLAG, "pre-dump", 0, pre_dump, NULL, "save the memory only, ahead of time"),
	ROW(OPT_STR, "parent-path", 0, parent_path, "DIR", "image of the preceding --pre-dump"),
	ROW(OPT_FLAG, "tcp-skip-in-flight", 0, tcp_skip_in_flight, NULL,
            "leave out connections being made"),
	ROW(OPT_STR, "status-fd", 0, status_fd, "N", "tell there when pages can be fetched"),
	ROW(OPT_STR, "page-server", 0, page_server, "ADDRESS:PORT", "send the memory there"),
	OPT_END,
};

static const struct opt restore_opts[] = {
	IMAGE_ROWS,
	ROW(OPT_STR, "bundle", 'b', create.bundle, "DIR", "the bundle; default: this directory"),
	ROW(OPT_FLAG, "detach", 'd', create.detach, NULL, "do not wait for the container's end"),
	ROW(OPT_STR, "console-socket", 0, create.console_socket, "PATH",
            "send the terminal's master side to this socket"),
	ROW(OPT_STR, "pid-file", 0, create.pid_file, "PATH",
            "write the pid of the container's first process"),
	ROW(OPT_STR, "pidfd-socket", 0, create.pidfd_socket, "PATH",
            "send a pidfd of the container's first process"),
	ROW(OPT_FLAG, "no-pivot", 0, create.no_pivot, NULL,
            "change the root by moving a mount, as for a root on a ramdisk"),
	ROW(OPT_FLAG, "no-subreaper", 0, create.no_subreaper, NULL,
            "do not adopt orphans of the container"),
	ROW(OPT_FLAG, "tcp-close", 0, tcp_close, NULL, "close open TCP connections"),
	ROW(OPT_STR, "lsm-profile", 0, lsm_profile, "TYPE:NAME",
            "selinux or apparmor, and the label to use"),
	ROW(OPT_STR, "lsm-mount-context", 0, lsm_mount_context, "CONTEXT",
            "SELinux context of the mounts"),
	OPT_END,
};
#undef ROW

static int image_run(struct call *c, struct err *e)
{
	return fail(e, ENOTSUP, "%s \"%s\"", c->cmd->name, c->pos[0]);
}

const struct command cmd_checkpoint = {
	.name = "checkpoint",
	.synopsis = "ID",
	.help = "save a running container to an image",
	.opts = checkpoint_opts,
	.args_size = sizeof(struct image_args),
	.min = 1,
	.max = 1,
	.flags = CMD_WAITS | CMD_QUIET,
	.run = image_run,
	.missing = "this davit cannot checkpoint containers",
};

const struct command cmd_restore = {
	.name = "restore",
	.synopsis = "ID",
	.help = "make a container from an image",
	.opts = restore_opts,
	.args_size = sizeof(struct image_args),
	.min = 1,
	.max = 1,
	.flags = CMD_ENTERS | CMD_QUIET,
	.run = image_run,
	.missing = "this davit cannot restore containers",
};
