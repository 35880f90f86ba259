/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* systemd as the manager of cgroups. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct oci_resources;
struct cgroup;
struct cgroup_plan;
struct cgroup_undo;

/* Where systemd will make the unit, below the mount of each hierarchy. The caller frees. */
char *cgroup_systemd_group(const struct cgroup_plan *p, struct err *e);
/* Starts the transient scope around pid (-1: a slice, without a process); waits until the job is
 * done. After an error cg is CGROUP_INIT: what has that name is not ours. */
int cgroup_systemd_start(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e);
/* Changes the properties of the scope to follow an update. undo gets what no file tells. */
int cgroup_systemd_update(struct cgroup *cg, const struct oci_resources *r,
                          struct cgroup_undo *undo, struct err *e);
/* Tells systemd the values that it, and the files, had before an update that has failed after all.
 */
void cgroup_systemd_restore(struct cgroup *cg, const struct cgroup_undo *old);
/* Stops the unit and forgets its failure. A unit that is not there is fine. */
int cgroup_systemd_stop(struct cgroup *cg, int timeout_ms, struct err *e);
