/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A procfs of our own, which no mount of the container can cover (CVE-2019-16884,
 * CVE-2025-52881): every write to an LSM attribute or a sysctl goes through it. Open it only
 * when it is needed. */
#pragma once

#include <stddef.h>

struct err;

enum procfs_kind {
	PROCFS_PID, /* processes alone (subset=pid, Linux 5.8) */
	PROCFS_FULL /* sysctls too: close it as soon as they are written */
};

/* Runs in: init (of the pid namespace that the files are to show), before or after the pivot.
 * Needs: CAP_SYS_ADMIN in the user namespace; fsopen(2), else open_tree(2) of /proc, else /proc.
 * Leaves: a descriptor of the root of a procfs, checked to be one (magic and root inode).
 * Must not: run after the seccomp filter. */
int procfs_open(enum procfs_kind kind, struct err *e);

/* Opens a file of procfs below its root: no links, no other mount on the way (a cover is
 * EXDEV). */
int procfs_open_file(int proc, const char *path, int flags, struct err *e);
/* Writes text to it with one write(2). */
int procfs_put(int proc, const char *path, const char *text, struct err *e);

/* The same below the directory of the calling process: "attr/exec", "oom_score_adj". */
int procfs_put_self(int proc, const char *name, const char *text, struct err *e);
/* Opens it. */
int procfs_open_self(int proc, const char *name, int flags, struct err *e);
/* Reads it into text (size bytes, NUL-terminated, one trailing newline or NUL cut off). */
int procfs_get_self(int proc, const char *name, char *text, size_t size, struct err *e);
