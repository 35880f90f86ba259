/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All decisions about a container or a process that joins one. plan_make() and plan_exec() read the
 * host where they must (which cgroups, which LSM) but change nothing; after them the plan is const
 * and every step does what it says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "arena.h"
#include "davit.h"
#include "kernel/cgroup.h"
#include "kernel/creds.h"
#include "kernel/idmap.h"
#include "kernel/limits.h"
#include "kernel/lsm.h"
#include "kernel/ns.h"
#include "kernel/rdt.h"
#include "kernel/rootfs.h"
#include "kernel/sched.h"
#include "ocispec.h"
#include "record.h"
#include "run/state.h"

struct err;

enum op {
	OP_CREATE, /* ends when init waits for `start` */
	OP_RUN,    /* goes on to the payload */
	OP_EXEC    /* a further process in a live container */
};

/* What holds for a process, be it init or one of exec. */
struct process_plan {
	const struct oci_process *process; /* NULL: the container has none (create only) */
	struct creds_plan creds;
	struct rlimits_plan rlimits;
	struct traits_plan traits;
	struct affinity_plan affinity;
	struct lsm_plan lsm;
	char **envp; /* complete but for HOME, which init adds when it is missing */
	bool needs_home;
	bool terminal;
	unsigned keep_fds; /* descriptors 3 .. 3 + keep_fds - 1 stay open for the payload */
};

struct plan {
	enum op op;
	const char *id;
	const char *bundle;                     /* absolute */
	const struct oci_config *config;        /* NULL for exec */
	const struct davit_create_args *create; /* NULL for exec */
	const struct davit_exec_args *exec;     /* NULL for create and run */
	bool rootless;                          /* not root, or root of a user namespace only */
	bool own_userns;   /* the container's user namespace is not the runtime's */
	unsigned umask;    /* the caller's, or 0 */
	bool no_setgroups; /* exec: that namespace denies setgroups(2) */
	struct ns_plan ns; /* exec: join_flags are what to join by pidfd */
	struct idmaps maps;
	struct rootfs_plan rootfs;
	struct cgroup_host host;
	struct cgroup_request cgroup_request;
	struct cgroup_plan cgroup;
	bool named_group; /* a group of cgroup_named.h is made */
	struct rdt_plan rdt;
	struct process_plan process;
	const struct oci_seccomp *seccomp;
	const char *seccomp_raw;   /* base64 filter by annotation, or NULL */
	const char *listener_path; /* for notified calls, or NULL */
	const char *listener_metadata;
	bool has_seccomp;    /* some filter will be loaded */
	bool seccomp_late;   /* last thing before exec; else while privilege is there */
	bool seccomp_notify; /* some action of the profile is SCMP_ACT_NOTIFY */
	bool new_keyring;
	bool notify;                   /* NOTIFY_SOCKET: see run/notify.h */
	const struct oci_hooks *hooks; /* never NULL */
	struct rec_record *record; /* what will be written to state.json; exec: the container's */
};

/* Reads config.json of the bundle into the plan's config. text lives in a. */
int plan_read_config(const struct davit_create_args *r, struct arena *a, struct oci_config **out,
                     struct err *e);

/* The plan of create and run. */
int plan_make(enum op op, const struct davit_context *c, const struct davit_create_args *r,
              struct arena *a, struct plan *out, struct err *e);

/* The plan of exec. */
int plan_exec(const struct davit_context *c, const struct davit_exec_args *r,
              const struct container *k, enum davit_status status, struct arena *a,
              struct plan *out, struct err *e);

/* Not root, or root of a user namespace only; the context may say so. */
bool plan_is_rootless(const struct davit_context *c);

/* Shared part: everything about the process. pointer goes in front of JSON pointers' text. */
int plan_process(struct plan *p, const struct oci_process *process, unsigned preserve_fds,
                 const struct oci_personality *personality, const struct oci_memory_policy *memory,
                 struct arena *a, struct err *e);

/* Frees what is not in the arena. */
void plan_free(struct plan *p);

/* An absolute, tidied copy of path in a; NULL with e filled. */
const char *path_absolute(const char *path, struct arena *a, struct err *e);

/* The value of an annotation, or NULL. */
const char *map_get(const struct oci_map *m, const char *key);
