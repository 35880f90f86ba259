/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control groups of a container, whatever the host has: version 1, 2, both; made by davit in
 * cgroupfs, or by systemd as a scope; or none at all.
 *
 * Life of a container's groups:
 *
 *   cgroup_plan_make   pure decisions: manager, names, resource settings, what cannot be had
 *   cgroup_prepare     looks at the groups: refuses busy and frozen ones. From here on
 *                      cgroup_record() names all that will exist: write it down before ...
 *   cgroup_create      ... making the groups (cgroupfs manager; the scope is made by cgroup_enter)
 *   cgroup_apply       all resource settings and the device rules
 *   cgroup_leaf_fd     for clone3(CLONE_INTO_CGROUP), or
 *   cgroup_enter       moves a process in; with systemd it starts the scope. Needed on version 1
 *                      after CLONE_INTO_CGROUP too: it skips what has been done then
 *   cgroup_delegate    after init has its cgroup namespace: the leaf, controllers, ownership
 *   ... cgroup_update, cgroup_freeze, cgroup_exec_enter, stats of cgroup_stats.h ...
 *   cgroup_kill, cgroup_remove
 *
 * With the systemd manager cgroup_apply must come after cgroup_enter; cgroup_late() tells. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kernel/cgroup_host.h"
#include "kernel/cgroup_path.h"

struct err;
struct oci_map;
struct oci_resources;

enum cgroup_manager {
	CGROUP_MANAGER_CGROUPFS,
	CGROUP_MANAGER_SYSTEMD,
	CGROUP_MANAGER_DISABLED, /* the container stays in the caller's groups; no limits */
};

/* "cgroupfs", "systemd" or "disabled" -> manager; -1 if it is none of these. */
int cgroup_manager_parse(const char *name);
const char *cgroup_manager_name(enum cgroup_manager m);

/* What the plan is made from; everything pointed to must outlive the plan. */
struct cgroup_request {
	const char *id;
	const char *path;                      /* linux.cgroupsPath or NULL */
	const struct oci_resources *resources; /* linux.resources or NULL */
	const struct oci_map *annotations; /* config annotations or NULL: those of systemd units and
	                                    * delegation are read, see cgroup_annotations */
	enum cgroup_manager manager;
	bool rootless; /* the runtime lacks the host's privilege: euid is not 0, or a user namespace
	                */
	bool cgroupns; /* the container gets a new cgroup namespace */
	bool cgroup_rw; /* its mounts have a cgroup file system at /sys/fs/cgroup without "ro" */
	uid_t owner; /* host id of process.user.uid: gets the group on version 2 if both are set and
	              * it is not 0; with the delegation annotations: host id of the container's
	              * root */
	gid_t owner_group;
};

/* The annotations that this module reads, NULL-terminated, for `features`. A trailing '.' stands
 * for a prefix. */
extern const char *const cgroup_annotations[];

struct cgroup_settings;
struct cgroup_device_rules;

/* All decisions. Const after cgroup_plan_make. */
struct cgroup_plan {
	enum cgroup_mode mode;
	enum cgroup_manager manager;
	const struct cgroup_host *host;
	const struct cgroup_request *request; /* the caller's, kept */
	char *path;              /* below each mount: "/davit/web" (cgroupfs manager) */
	bool beside_own;         /* rootless: path is below the runtime's own group's parent */
	struct cgroup_unit unit; /* systemd manager */
	char *subgroup;          /* below the scope (run.oci.systemd.subgroup) or NULL */
	char *delegate;          /* the leaf of a delegated group, or NULL */
	bool delegate_whole;     /* own switch: the group itself is handed over */
	bool chown;              /* spec: ownership goes to request->owner */
	struct cgroup_settings *settings; /* every resource as file and value; cgroup_resources.h */
	struct cgroup_device_rules *devices; /* NULL: none are applied (rootless) */
};

/* Checks and converts everything. Properties that this kind of host cannot apply: an error if the
 * container would be less confined than asked, else log_warn. */
int cgroup_plan_make(const struct cgroup_request *r, const struct cgroup_host *h,
                     struct cgroup_plan *p, struct err *e);
void cgroup_plan_free(struct cgroup_plan *p);

/* One group of the container in one hierarchy. */
struct cgroup_dir {
	char *controllers; /* as in struct cgroup_hier */
	char *path;        /* of the host: "/sys/fs/cgroup/memory/davit/web" */
	int fd;            /* O_PATH of path, or -1: opened when needed */
	unsigned short
		made; /* how many of the last components davit makes, and so removes; 0: adopted */
	unsigned short mount_len; /* length of the mount point at the start of path */
	bool v2;
	bool entered; /* by CLONE_INTO_CGROUP */
};

/* The groups of a container that exists, or is about to. */
struct cgroup {
	enum cgroup_mode mode;
	enum cgroup_manager manager;
	bool rootless;
	char *unit; /* the scope, for the systemd manager */
	char *leaf; /* group below each path that init was put into (delegation), or NULL */
	int root;   /* the state root, the caller's: notes of what containers share; or -1 */
	size_t n;   /* 0: disabled, or rootless without permission */
	struct cgroup_dir v[CGROUP_HIERS_MAX];
};
#define CGROUP_INIT                                                                                \
	{                                                                                          \
		.root = -1                                                                         \
	}

/* Names the groups, without making any. Existing empty ones are adopted (made = 0); one with
 * processes, or a frozen one, is an error (EBUSY). */
int cgroup_prepare(const struct cgroup_plan *p, struct cgroup *cg, struct err *e);

/* The groups as one line of printable ASCII, for the state record; the caller frees. */
char *cgroup_record(const struct cgroup *cg);
/* The way back. Paths that are not below a cgroup mount point or not clean are errors. Old records
 * stay readable. "" is a container without groups. */
int cgroup_parse(const char *record, struct cgroup *cg, struct err *e);
/* The same for who only reads: does not ask whether the mount points still are cgroup mounts. */
int cgroup_peek(const char *record, struct cgroup *cg, struct err *e);
/* The record of a user's container also names groups that could not be made: forgets these. */
void cgroup_drop_missing(struct cgroup *cg);
/* Frees and closes, changes nothing on the host; cg is CGROUP_INIT afterwards. */
void cgroup_close(struct cgroup *cg);
#define autocgroup __attribute__((cleanup(cgroup_close))) struct cgroup

/* True if processes must be moved before resources can be applied (systemd). */
bool cgroup_late(const struct cgroup_plan *p);

/* Makes what cgroup_prepare named: parents, groups, controllers enabled, cpuset filled, ownership.
 * After a failure cgroup_remove takes away what was made. */
int cgroup_create(const struct cgroup_plan *p, struct cgroup *cg, struct err *e);

/* Writes all settings and device rules. Frozen or half-applied states do not survive a failure: the
 * caller removes the group. */
int cgroup_apply(const struct cgroup_plan *p, struct cgroup *cg, struct err *e);

/* A descriptor for clone3(CLONE_INTO_CGROUP), owned by cg; -1 without a unified hierarchy or with
 * the systemd manager before cgroup_enter. Call cgroup_entered() when the clone succeeded. */
int cgroup_leaf_fd(struct cgroup *cg);
void cgroup_entered(struct cgroup *cg);

/* Moves pid into every group; with systemd starts the scope around it (deadline 10 s). */
int cgroup_enter(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e);

/* After init has unshared its cgroup namespace: makes the delegated leaf, enables the controllers,
 * hands over ownership, moves pid into the leaf. Nothing to do without the annotations. */
int cgroup_delegate(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e);
bool cgroup_delegate_wanted(const struct cgroup_plan *p);

/* Applies changed resources to a live container: only values that differ are written; after a
 * failure the old values are back and the error is the first one. annotations may be NULL. */
int cgroup_update(struct cgroup *cg, const struct oci_resources *r, struct err *e);

/* Moves a process that joins a container. where: NULL for the container's own group, "PATH" below
 * it, or "CONTROLLER[,CONTROLLER]:PATH". On EBUSY (init moved to a child group) init's group is
 * used. */
int cgroup_exec_enter(struct cgroup *cg, const char *where, pid_t init, pid_t pid, struct err *e);
/* The descriptor for CLONE_INTO_CGROUP of such a process; the caller owns it. -1 with errnum 0 in
 * e: there is none, use cgroup_exec_enter; -1 with a message: an error. When clone3 answers EBUSY,
 * clone without it and use cgroup_exec_enter. */
int cgroup_exec_fd(struct cgroup *cg, const char *where, struct err *e);

/* Deadline of each wait below, ms. */
#define CGROUP_WAIT_MS 4000

/* Stops, or lets run, all processes of the container; waits for the kernel to have done so. After a
 * failed or timed out freeze the group is thawed again. */
int cgroup_freeze(struct cgroup *cg, struct err *e);
int cgroup_thaw(struct cgroup *cg, struct err *e);
/* 1 frozen (or freezing), 0 not, or there are no groups. Never fails: a vanished group is not
 * frozen. */
int cgroup_frozen(struct cgroup *cg);
/* The file that tells it, for the state record; NULL if there is none; the caller frees. */
char *cgroup_freezer(struct cgroup *cg);
/* The same as cgroup_frozen() of that file alone. */
bool cgroup_freezer_frozen(const char *file);

/* After SIGKILL: groups below that the payload froze itself, with a freezer of version 1, hold even
 * what has been killed. Lets them run. */
void cgroup_thaw_killed(struct cgroup *cg);

/* Every process in the groups and the groups below them; the caller frees *pids. No groups: none.
 */
int cgroup_pids(struct cgroup *cg, pid_t **pids, size_t *n, struct err *e);

/* Sends sig to every process; SIGKILL uses cgroup.kill and works on frozen groups: it thaws. */
int cgroup_kill(struct cgroup *cg, int sig, struct err *e);

/* Removes the groups that davit made, with the groups the payload made below, depth first; waits up
 * to timeout_ms for killed processes to leave. Groups that are gone are fine. Does not kill. With
 * systemd: stops the unit and resets its failure. The error names the processes that stay. */
int cgroup_remove(struct cgroup *cg, int timeout_ms, struct err *e);

/* For a container whose record is lost: the groups that its init is in and that are named after its
 * id, as cgroup_remove takes them. */
int cgroup_find(pid_t pid, const char *id, struct cgroup *cg, struct err *e);

/* Path of the container's group relative to the mount, for messages and `state`; "" if none. */
const char *cgroup_display(const struct cgroup *cg);
