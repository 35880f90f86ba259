/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What arises while the steps run. The plan is const; this is not. After the clone the runtime and
 * init have a copy each. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "arena.h"
#include "base/proc.h"
#include "kernel/cgroup.h"
#include "kernel/idmap.h"
#include "kernel/net.h"
#include "kernel/ns.h"
#include "kernel/rootfs.h"
#include "kernel/seccomp.h"
#include "run/plan.h"

enum who {
	RUNTIME,   /* the process that was called */
	INIT_HOST, /* init (or exec's process) while the host's tree is in view */
	INIT_ROOT  /* init when it is not */
};

struct ctx {
	const struct plan *plan;
	const struct davit_context *davit;
	const struct step *table;
	struct arena arena;
	enum who self;    /* RUNTIME, or INIT_HOST for both halves of init */
	uint64_t passed;  /* rows of the peer that have passed */
	int chan;         /* to the peer */
	int chan_init;    /* runtime, before the clone: init's end */
	bool peer_failed; /* the error came from the peer, with its step */
	bool in_stage;
	int signals; /* runtime: readable when a signal wants the end of create or run, or -1 */

	int root, dir; /* runtime: the state root; the container's directory, locked */
	struct cgroup cgroup;
	struct proc_id init;
	int pidfd;        /* of init */
	pid_t stage;      /* a stage process that has to be reaped, or 0 */
	bool stage_ended; /* it was reaped, but has not told of init yet */
	int ns_fds[NS_COUNT];
	int time_fd;                 /* stage: where time offsets go, or -1 */
	struct net_moved *net_moved; /* runtime: the devices moved so far, for undo */
	size_t n_net_moved;
	bool rdt_begun;
	int net_ns;      /* where to */
	int *sources;    /* opened by the runtime, one a mount, or NULL */
	int *nodes;      /* made by the runtime, one a device, or NULL */
	int exec_cgroup; /* exec: the group to clone into, or -1 */
	bool entered;    /* the clone put the process into its group */
	struct idmap_cache idmaps;
	struct seccomp_program seccomp;
	struct seccomp_mail *mail;
	int start_sock;   /* init waits for `start` on it */
	int notify_sock;  /* run: the container's notification socket, or -1 */
	int console_sock; /* where the terminal's master goes, or -1 */
	int console_mine; /* runtime: the other end when console_sock is a pair of ours */
	int pty;          /* init: our side of the terminal */
	int master;       /* runtime: the terminal's master for a foreground container */
	struct rootfs_plan rootfs_plan; /* the plan's, with the cgroup mounts filled in */
	struct rootfs rootfs;
	bool adopted;          /* init: it is root of the user namespace */
	bool named_group;      /* the group of cgroup_named.h was made */
	bool cwd_late;         /* init: the working directory is to be entered as the user */
	const char *exec_path; /* init: what will be executed */
	char **envp;
	struct container *container; /* exec: the container that is joined */
	int status;                  /* run and exec: wait status of the payload */
	int exit_record;             /* run: the file for the exit record, or -1 */
	bool exited;
	bool filtered;          /* init: the payload's filter holds */
	struct timing *timings; /* of each row, seen by both processes; NULL without --timings */
};

#define CTX_INIT                                                                                   \
	{                                                                                          \
		.signals = -1, .chan = -1, .chan_init = -1, .root = -1, .dir = -1, .pidfd = -1,    \
		.start_sock = -1, .notify_sock = -1, .console_mine = -1, .exec_cgroup = -1,        \
		.net_ns = -1, .console_sock = -1, .exit_record = -1, .pty = -1, .master = -1,      \
		.time_fd = -1, .rootfs = ROOTFS_INIT, .ns_fds = {-1, -1, -1, -1, -1, -1, -1, -1},  \
	}
