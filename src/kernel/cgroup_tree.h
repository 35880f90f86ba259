/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All groups below one: the payload may have made them, as deep and as many as it likes. Private to
 * the cgroup modules. */
#pragma once

struct cgroup_dir;

/* Calls fn for the group at path and all below, those below first; stops when fn returns other than
 * 0 and returns that. Only the descriptor of fn's group is set. Groups that vanish meanwhile are
 * left out. -1 with errno if a group cannot be read. */
int cgroup_tree_walk(const char *path, int (*fn)(const struct cgroup_dir *d, void *data),
                     void *data);

/* Removes the groups below the one at path, and leaves those that still have processes. */
void cgroup_tree_prune(const char *path);
