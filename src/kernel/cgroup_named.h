/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A group in the hierarchy of version 1 that has the name "systemd" and no controllers, on hosts
 * that do not have it: an old systemd inside a container runs on no other. The hierarchy is mounted
 * nowhere on the host; it lasts as long as it has groups. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cgroup_host;
struct err;

/* The annotation: where the container is to see it. */
#define CGROUP_NAMED_ANNOTATION "run.oci.systemd.force_cgroup_v1"
#define CGROUP_NAMED_OPTIONS    "none,name=systemd"

/* Whether the host has the hierarchy: then the container has a group there anyway. */
bool cgroup_named_known(const struct cgroup_host *h);

/* Makes the container's group and gives it to uid and gid. Needs: CAP_SYS_ADMIN, and for the first
 * group the host's cgroup namespace. Leaves: nothing after a failure. */
int cgroup_named_make(const char *id, uid_t uid, gid_t gid, struct err *e);
/* Whether a process, the container's init, is in it. */
bool cgroup_named_holds(const char *id, pid_t pid);
/* Moves a process in. */
int cgroup_named_enter(const char *id, pid_t pid, struct err *e);

/* Removes the group with all below it; waits up to timeout_ms for processes that were killed. One
 * that is not there is fine. */
int cgroup_named_remove(const char *id, int timeout_ms, struct err *e);
