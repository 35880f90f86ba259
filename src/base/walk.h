/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The path module's own walk, component by component: the fallback for openat2(2), and the only way
 * to make missing parts. Use path.h; nothing else includes this file but path.c.
 *
 * Each step is one openat(2) with O_NOFOLLOW on a descriptor, so no name is resolved twice and the
 * kernel never follows a link. ".." goes back to a descriptor that was passed on the way down,
 * never through the kernel's "..": a directory renamed meanwhile cannot lead out of the root. */
#pragma once

#include <sys/types.h>

enum walk_rules {
	WALK_BENEATH = 1, /* no links, no mounts crossed, ".." not above the start */
	WALK_MKDIRS = 2,  /* make missing directories, also those that a dangling link names */
	WALK_MKFILE = 4   /* make the last component as an empty file if it is missing */
};

/* Opens path below root with open(2) flags, that of links too; mode is for O_CREAT and whatever is
 * made (directories on the way to a file: 0755). Limits as the kernel has them: 40 links (ELOOP),
 * 255 characters a name and 4095 a path or link (ENAMETOOLONG); and 256 levels (ENAMETOOLONG).
 * Returns a descriptor, or -1 with errno. */
int walk_open(int root, const char *path, int flags, mode_t mode, unsigned rules);
