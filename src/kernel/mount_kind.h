/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of mount, each in a file of its own. Private to the mount code. */
#pragma once

#include <stdbool.h>

struct err;
struct fs_request;
struct mount_plan;
struct rootfs;
struct rootfs_plan;

/* A bind mount; given: a tree from mount_source_open, or -1. */
int bind_apply(const struct mount_plan *m, struct rootfs *r, int given, struct err *e);

/* A tree from mount_disk_open. */
int disk_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r, int tree,
               struct err *e);

/* True if only mount(2) can say what is asked for. */
bool fs_needs_old(const struct mount_plan *m);
/* What the kernel is asked for; later: the mount is made read-only by rootfs_seal. */
void fs_request_make(const struct mount_plan *m, const struct rootfs_plan *p, bool later,
                     struct fs_request *q);
/* Mounts it on target, by the new calls or by mount(2). source: a directory whose content is
 * copied into the new file system first, or -1. Returns a descriptor of the attached mount. */
int fs_mount(const struct fs_request *q, const struct rootfs_plan *p, struct rootfs *r, int source,
             int target, struct err *e);
int fs_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
             struct err *e);

/* Type "cgroup": the container's groups of every hierarchy. */
int cgroups_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                  struct err *e);
