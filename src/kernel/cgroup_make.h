/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making and filling groups, for each version. Private to the cgroup modules. */
#pragma once

#include "kernel/cgroup_dir.h"

struct err;

/* Until a process is in it, a group can be taken away by anybody: systemd does so with groups of
 * version 1 that it did not make. It is made again, at most so many times. */
#define CGROUP_REMAKES 32

/* Version 1 cpuset: d and each group above it that has no cpus or mems get those of the nearest
 * group that has some, as a new group has none and takes no process then. */
int cgroup_v1_fill(const struct cgroup_dir *d, struct err *e);
/* Whether an error may mean that a group has been taken away. */
bool cgroup_v1_gone(const struct err *e);
/* Makes a group that has been taken away. */
int cgroup_v1_again(const struct cgroup_dir *d, struct err *e);

/* Unified hierarchy: enables, from the mount's root down, the controllers that the settings need
 * and those that the root gives to the groups below it: somebody on this host accounts with them. A
 * controller that nobody uses is left off, since each costs memory in each group (the one for
 * memory: 1 KiB for every 64 file systems mounted on the host). all: each one that the root has.
 * What cannot be enabled is left out: a setting that needs it fails later with
 * cgroup_v2_explain. */
void cgroup_v2_enable(const struct cgroup_dir *d, const struct cgroup_settings *s, bool all);

/* Enables controllers (blank-separated) from the mount's root down to d. False if one of them could
 * not be had there. */
bool cgroup_v2_enable_list(const struct cgroup_dir *d, const char *controllers);

/* Enables the controllers that the group at path has for the groups below it. */
void cgroup_v2_enable_below(const struct cgroup_dir *d);

/* Changes the owner of a group and of its files that the kernel lists as made for delegation. */
int cgroup_v2_chown(const struct cgroup_dir *d, uid_t uid, gid_t gid, struct err *e);

/* Replaces the error by one that says at which level of the tree the controller is missing, and the
 * cure, if that is the cause. Always returns -1. */
int cgroup_v2_explain(const struct cgroup_dir *d, const char *controller, bool rootless,
                      struct err *e);

/* After the error e: makes those version 1 groups again that are gone. True: there were some, e is
 * empty, and everything that was written to groups must be written again. tries: how often it has
 * been called. */
bool cgroup_remake(struct cgroup *cg, int tries, struct err *e);

/* Writes pid to cgroup.procs of d, or of d's subgroup sub (may be NULL). -1 with errno. */
int cgroup_dir_join(const struct cgroup_dir *d, const char *sub, pid_t pid);

/* Fills cg->v after systemd has made the scope, from the groups of pid. */
int cgroup_scope_find(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e);
