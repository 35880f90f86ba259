/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of one group. Private to the cgroup modules. The names come from this program's tables or
 * were checked to be one plain component; cgroupfs has no symbolic links. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/cgroup.h"

/* Opens a file of the group; -1 with errno. */
int cgroup_dir_open(const struct cgroup_dir *d, const char *file, int flags);
/* Reads a file into buf, NUL-terminated, without its last newline; its length, or -1 with errno. */
ssize_t cgroup_dir_read(const struct cgroup_dir *d, const char *file, char *buf, size_t size);
/* Reads a file of any length; NULL with errno; the caller frees. */
char *cgroup_dir_slurp(const struct cgroup_dir *d, const char *file);
/* Writes text with one write(2); -1 with errno. */
int cgroup_dir_write(const struct cgroup_dir *d, const char *file, const char *text);
/* Reads a number; "max" is UINT64_MAX. -1 with errno. */
int cgroup_dir_u64(const struct cgroup_dir *d, const char *file, uint64_t *value);
/* The value after "key " at the start of a line of text; false if it is not there. */
bool cgroup_text_u64(const char *text, const char *key, uint64_t *value);
/* Makes the group, with the groups above that are missing; those may vanish meanwhile, when another
 * container that made one goes: then again from the top. -1 with errno. */
int cgroup_dir_make(const struct cgroup_dir *d);
/* How many of the last components of the group's path are not there. */
unsigned short cgroup_dir_missing(const struct cgroup_dir *d);
/* Changes the owner of a file of the group ("." is the group itself); -1 with errno. */
int cgroup_dir_chown(const struct cgroup_dir *d, const char *file, uid_t uid, gid_t gid);
/* Opens the group itself (O_PATH), once; -1 with errno. */
int cgroup_dir_fd(struct cgroup_dir *d);
/* Path of the group below its hierarchy's mount. */
const char *cgroup_dir_name(const struct cgroup_dir *d);

/* The group in the hierarchy that has this version 1 controller, else the unified one, else NULL.
 */
struct cgroup_dir *cgroup_dir_of(struct cgroup *cg, const char *controller);
/* The group in the unified hierarchy, or NULL. */
struct cgroup_dir *cgroup_dir_v2(struct cgroup *cg);
/* The group that knows all processes: unified, else freezer, devices, name=..., else the first. */
struct cgroup_dir *cgroup_dir_main(struct cgroup *cg);

/* Milliseconds that are left until deadline (clock_ms), at least 0. */
int cgroup_ms_left(int64_t deadline);
/* Waits for an event on fd (POLLPRI, or POLLIN for inotify), at most ms. */
void cgroup_wait_event(int fd, int ms);
