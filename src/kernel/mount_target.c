/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mount_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/path.h"
#include "kernel/mount.h"
#include "kernel/rootfs.h"

/* The next name of a path at *s, which moves behind it; its length, 0 at the end. "." is
 * skipped. */
static size_t component_next(const char **s, const char **name)
{
	for (;;) {
		size_t n;

		*s += strspn(*s, "/");
		n = strcspn(*s, "/");
		*name = *s;
		*s += n;
		if (n != 1 || **name != '.')
			return n;
	}
}

bool mount_dest_contains(const char *dest, const char *path)
{
	const char *a, *b;

	for (;;) {
		size_t n = component_next(&dest, &a);

		if (n == 0)
			return true;
		if (component_next(&path, &b) != n || memcmp(a, b, n) != 0)
			return false;
	}
}

bool mount_dest_is(const char *dest, const char *path)
{
	return mount_dest_contains(dest, path) && mount_dest_contains(path, dest);
}

/* 0 if the first len bytes of path can be reached, else the error. */
static int prefix_errno(int root, const char *path, size_t len)
{
	char prefix[PATH_MAX];
	autofd fd = -1;

	if (len >= sizeof(prefix))
		return ENAMETOOLONG;
	memcpy(prefix, path, len);
	prefix[len] = '\0';
	fd = root < 0 ? fd_try_open(AT_FDCWD, prefix, O_PATH | O_CLOEXEC)
	              : path_try_open(root, prefix, O_PATH);
	return fd < 0 ? errno : 0;
}

/* The words for what engines match by the text of errno are left to the message itself. */
static const char *blame_text(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return "is missing, or a link that leads nowhere";
	case ENOTDIR:
		return "follows something that is no directory";
	case EACCES:
		return "lies in a directory that may not be searched";
	case ELOOP:
		return "is part of a loop of links, or a magic link";
	default:
		return "cannot be opened";
	}
}

int path_blame(int root, const char *what, const char *path, struct err *e)
{
	const char *s = path, *name;

	while (component_next(&s, &name) > 0) {
		int errnum = prefix_errno(root, path, (size_t)(s - path));

		if (errnum)
			return fail_hint(e, "%s: \"%.*s\" %s", what, (int)(s - path), path,
			                 blame_text(errnum));
	}
	return -1;
}

/* Files of procfs that lxcfs and engines replace for a container; nobody trusts what they say. */
static bool proc_file_allowed(const char *dest)
{
	static const char *const paths[] = {
		"/proc/cpuinfo",
		"/proc/diskstats",
		"/proc/loadavg",
		"/proc/meminfo",
		"/proc/net/dev",
		"/proc/slabinfo",
		"/proc/stat",
		"/proc/swaps",
		"/proc/sys/crypto/fips_enabled",
		"/proc/uptime",
		"/proc/sys/kernel/ns_last_pid",
	};

	for (size_t i = 0; i < COUNT(paths); i++)
		if (mount_dest_is(dest, paths[i]))
			return true;
	return false;
}

static bool type_is_proc(const struct mount_plan *m)
{
	return strcmp(m->type, "proc") == 0;
}

/* A mount inside procfs could stand for files that runtimes write to (CVE-2019-16884 and
 * later). */
static int target_check(const struct mount_plan *m, const struct rootfs *r, int target,
                        struct err *e)
{
	bool is_proc = mount_dest_is(m->dest, "/proc");

	if (is_proc && !type_is_proc(m) && !(m->flags & MOUNT_BIND))
		return fail(e, 0,
		            "mount \"%s\" of type \"%s\" on \"%s\": only a procfs may be there",
		            m->source, m->type, m->dest);
	if (!r->proc_mounted || is_proc || proc_file_allowed(m->dest) ||
	    !path_is_fs(target, PROC_SUPER_MAGIC))
		return 0;
	return fail(e, 0, "mount \"%s\" of type \"%s\" on \"%s\": it is inside a procfs", m->source,
	            m->type, m->dest);
}

/* A tmpfs takes over the mode of the directory it covers. One that is made for it has what a tmpfs
 * has by itself, so that the next start of the container finds the same. */
static mode_t target_mode(const struct mount_plan *m)
{
	return strcmp(m->type, "tmpfs") == 0 ? 01777 : 0755;
}

/* Few calls where only the last directory is missing. */
static int target_mkdir(const struct mount_plan *m, struct rootfs *r, struct err *e)
{
	char name[256];
	autofd parent = -1;

	if (!strchr(m->dest, '/'))
		return path_try_mkdir(r->root, m->dest, target_mode(m));
	parent = path_parent(r->root, m->dest, true, name, e);
	return parent < 0 ? -1 : path_try_mkdir(parent, name, target_mode(m));
}

static int target_make(const struct mount_plan *m, struct rootfs *r, enum target_kind kind,
                       int tree, struct err *e)
{
	struct stat st;
	int fd = -1;

	if (kind == TARGET_LIKE) {
		if (fstat(tree, &st) < 0)
			return fail(e, errno, "examine the source \"%s\"", m->source);
		kind = S_ISDIR(st.st_mode) ? TARGET_DIR : TARGET_FILE;
	}
	if (kind == TARGET_DIR)
		fd = target_mkdir(m, r, e);
	if (fd < 0)
		fd = kind == TARGET_DIR ? path_mkdirs(r->root, m->dest, target_mode(m), e)
		                        : path_mkfile(r->root, m->dest, 0755, e);
	if (fd >= 0)
		return fd;
	fail_prefix(e, "make the destination \"%s\"", m->dest);
	return path_blame(r->root, "destination", m->dest, e);
}

/* The destination of procfs and sysfs: what is below them must be where everybody looks for
 * it. */
static int target_real(const struct mount_plan *m, struct rootfs *r, struct err *e)
{
	int fd = path_open_nofollow(r->root, m->dest, O_PATH | O_DIRECTORY, e);

	if (fd < 0 && (e->errnum == ELOOP || e->errnum == ENOTDIR)) {
		fail(e, e->errnum, "mount \"%s\" on \"%s\": it must be a real directory", m->type,
		     m->dest);
		return fail_hint(e, "put a directory in place of the link in the root file system");
	}
	return fd;
}

/* What is there; -1 with e filled, whose errnum is ENOENT if there is nothing. */
static int target_find(const struct mount_plan *m, struct rootfs *r, struct err *e)
{
	int fd;

	if (type_is_proc(m) || strcmp(m->type, "sysfs") == 0)
		return target_real(m, r, e);
	if (m->flags & MOUNT_DEST_NOFOLLOW)
		return path_open_nofollow(r->root, m->dest, O_PATH, e);
	fd = path_try_open(r->root, m->dest, O_PATH);
	if (fd < 0)
		return fail(e, errno, "open the destination \"%s\"", m->dest);
	return fd;
}

int mount_target_open(const struct mount_plan *m, struct rootfs *r, enum target_kind kind, int tree,
                      bool *made, struct err *e)
{
	autofd fd = -1;

	if (made)
		*made = false;
	if (m->flags & MOUNT_DEST_NEW)
		return target_make(m, r, kind, tree, e);
	fd = target_find(m, r, e);
	if (fd >= 0) {
		TRY(target_check(m, r, fd, e));
		return take_fd(&fd);
	}
	if (e->errnum != ENOENT)
		return path_blame(r->root, "destination", m->dest, e);
	if (made)
		*made = true;
	/* Nothing can be made in a procfs: what is new needs no check. */
	return target_make(m, r, kind, tree, e);
}
