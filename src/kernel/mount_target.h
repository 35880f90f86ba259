/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Destinations: finding or making the file that a mount goes on. Private to the mount code. */
#pragma once

#include <stdbool.h>

struct err;
struct mount_plan;
struct rootfs;

enum target_kind {
	TARGET_DIR,
	TARGET_FILE,
	TARGET_LIKE /* what the root of the tree is */
};

/* Opens the destination below the root (O_PATH); makes it if it is missing. *made (if not
 * NULL) tells. For procfs and sysfs it must be a real directory, for others not a file of a
 * procfs, but for those few that are known to be harmless and useful (lxcfs). */
int mount_target_open(const struct mount_plan *m, struct rootfs *r, enum target_kind kind, int tree,
                      bool *made, struct err *e);

/* Comparisons of destinations as text, with "//", "." and a missing leading "/" evened out. */
bool mount_dest_is(const char *dest, const char *path);
bool mount_dest_contains(const char *dest, const char *path); /* path is dest or below it */

/* Adds a hint that names the first part of path which cannot be passed; root -1: a path of the
 * host. Always returns -1. */
int path_blame(int root, const char *what, const char *path, struct err *e);
