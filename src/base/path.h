/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The path module: the one place where names that a container or an image controls become
 * descriptors. A root descriptor goes in, descriptors come out; links and ".." are resolved as if
 * root were "/", magic links are refused. openat2(2) with RESOLVE_IN_ROOT; where that is missing
 * (ENOSYS, or EPERM from a filter) a walk with O_PATH|O_NOFOLLOW and an own stack of links.
 * EAGAIN, the sign of a rename race, is retried a bounded number of times. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;

/* Opens path below root; flags as open(2) without O_CREAT. Returns a descriptor. */
int path_open(int root, const char *path, int flags, struct err *e);
/* The same without error text: -1 with errno. */
int path_try_open(int root, const char *path, int flags);
/* As path_open, but the last component may be a link and is not followed (O_PATH on the link). */
int path_open_nofollow(int root, const char *path, int flags, struct err *e);

/* Opens a name that must lie strictly beneath dir without crossing mounts or links: for cgroupfs,
 * the state directory and procfs. O_CREAT and mode are allowed. */
int path_beneath(int dir, const char *path, int flags, mode_t mode, struct err *e);
int path_try_beneath(int dir, const char *path, int flags, mode_t mode);

/* Makes each missing directory of path below root; returns an O_PATH descriptor of the last. */
int path_mkdirs(int root, const char *path, mode_t mode, struct err *e);
/* Makes directory name, which must be new, right in dir and opens it (O_PATH): -1 with errno. */
int path_try_mkdir(int dir, const char *name, mode_t mode);
/* The same without opening it. */
int path_only_mkdir(int dir, const char *name, mode_t mode);
/* Opens the file at path, whatever its type; makes an empty regular one (and missing directories)
 * if there is none, never through a link. Returns an O_PATH descriptor. */
int path_mkfile(int root, const char *path, mode_t mode, struct err *e);

/* Splits path into parent and last name, resolves (and with make, creates) the parent below root.
 * name points into path_copy-free storage of size NAME_MAX + 1 given by the caller.
 * ".", ".." and "/" as last name are an error (EINVAL). Returns the parent's descriptor. */
int path_parent(int root, const char *path, bool make, char name[256], struct err *e);

/* Makes a device, fifo or link below an opened directory; EEXIST is an error like any other. */
int path_mknod(int dir, const char *name, mode_t mode, dev_t dev, struct err *e);
int path_symlink(const char *target, int dir, const char *name, struct err *e);

/* Tests only: from now on every path is walked as if openat2(2) were missing. */
void path_force_fallback(bool on);

/* True if the kernel file system of fd has this magic (statfs f_type), else false. */
bool path_is_fs(int fd, long magic);
