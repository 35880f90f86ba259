/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is closed once the container's tree is complete: read-only and masked paths, read-only
 * mounts, the root's flag and propagation. Runs inside, so no name leads to the host. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

/* What covers masked paths of one kind. The first takes the mount itself, the others clones of
 * it: a detached mount can be cloned only since Linux 6.15. */
struct cover {
	int fd;
	bool attached;
};

static const struct tree_change read_only = {.set = MOUNT_ATTR_RDONLY, .userns = -1};
static const struct tree_change read_only_rec = {
	.set = MOUNT_ATTR_RDONLY, .userns = -1, .rec = true};

/* 1 and *fd; 0 if there is nothing at path. */
static int seal_open(const struct rootfs *r, const char *path, int *fd, struct err *e)
{
	*fd = path_try_open(r->root, path, O_PATH);
	if (*fd >= 0)
		return 1;
	if (errno == ENOENT || errno == ENOTDIR)
		return 0;
	return fail(e, errno, "open \"%s\"", path);
}

static int seal_set(int mount, const struct tree_change *c)
{
	if (tree_set(mount, c) == 0)
		return 0;
	return tree_errno_missing(errno) ? old_set(mount, c) : -1;
}

/* --- read-only paths --- */

/* Without the new calls, by name: inside, and the result is looked at. */
static int readonly_old(const struct rootfs *r, const char *path, struct err *e)
{
	autofd fd = -1;

	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fail(e, errno, "bind \"%s\" on itself", path);
	fd = path_open(r->root, path, O_PATH, e);
	if (fd < 0)
		return -1;
	if (old_set(fd, &read_only_rec) < 0)
		return fail(e, errno, "make \"%s\" read-only", path);
	return 0;
}

static int readonly_apply(const struct rootfs *r, const char *path, struct err *e)
{
	autofd target = -1, tree = -1;
	int there = seal_open(r, path, &target, e);

	if (there <= 0)
		return there;
	if (r->old_api)
		return readonly_old(r, path, e);
	tree = tree_clone_changed(target, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only_rec);
	if (tree >= 0 && tree_attach(tree, target) == 0)
		return 0;
	if (tree_errno_missing(errno))
		return readonly_old(r, path, e);
	return fail(e, errno, "make \"%s\" read-only", path);
}

/* --- masked paths --- */

static bool stat_is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* Without a clone of the host's null device: the container's, if it is one. */
static int mask_file_old(const struct rootfs *r, const char *path, struct err *e)
{
	autofd null = path_open(r->root, "/dev/null", O_PATH, e), fd = -1;
	struct stat st;

	if (null < 0)
		return fail_prefix(e, "mask \"%s\"", path);
	if (fstat(null, &st) < 0 || !stat_is_null(&st))
		return fail(e, 0, "mask \"%s\": \"/dev/null\" is not the null device", path);
	if (mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	fd = path_open(r->root, path, O_PATH, e);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !stat_is_null(&st))
		return fail(e, 0, "mask \"%s\": it can still be seen", path);
	return 0;
}

/* Directories of sysfs that are mount points and can never hold anything, whoever may write. */
static const char *const empty_dirs[] = {"/sys/kernel/security", "/sys/kernel/debug", "/sys/fs/bpf",
                                         "/sys/kernel/tracing"};
#define EMPTY_DIR_MODE (S_IFDIR | 0555) /* sysfs gives no other directory this mode */

static const struct tree_change mask_change = {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                      MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                                               .userns = -1};

/* 1 if name is one of them in the container's own sysfs, 0 if not; its descriptor goes to *fd. */
static int empty_dir_open(const struct rootfs *r, const char *name, int *fd, struct err *e)
{
	struct statfs fs;
	struct stat st;

	*fd = path_try_open(r->root, name, O_PATH | O_DIRECTORY);
	if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (*fd < 0 || fstatfs(*fd, &fs) < 0 || fstat(*fd, &st) < 0)
		return fail(e, errno, "look at \"%s\"", name);
	return fs.f_type == SYSFS_MAGIC && st.st_mode == EMPTY_DIR_MODE && st.st_nlink == 2;
}

/* A directory to mask others with. It needs no file system of its own, whose superblock would make
 * every memory cgroup of the host a little dearer. 1, or 0 if there is none. */
static int mask_dir_borrow(const struct rootfs_plan *p, const struct rootfs *r, int *fd,
                           const char **name, struct err *e)
{
	for (size_t i = 0; !p->label && i < COUNT(empty_dirs); i++) {
		int rc = empty_dir_open(r, empty_dirs[i], fd, e);

		*name = empty_dirs[i];
		if (rc)
			return rc;
		fd_close_at(fd);
	}
	return 0;
}

/* 1, or 0 if there is no directory to borrow. */
static int mask_borrowed_old(const struct rootfs_plan *p, const struct rootfs *r, const char *path,
                             struct err *e)
{
	autofd dir = -1, fd = -1;
	const char *name;
	int rc = mask_dir_borrow(p, r, &dir, &name, e), same;

	if (rc <= 0)
		return rc;
	if (mount(name, path, NULL, MS_BIND, NULL) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	same = empty_dir_open(r, path, &fd, e);
	if (same <= 0)
		return same < 0 ? -1 : fail(e, 0, "mask \"%s\": it can still be seen", path);
	if (old_set(fd, &mask_change) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	return 1;
}

static int mask_dir_old(const struct rootfs_plan *p, const struct rootfs *r, const char *path,
                        struct err *e)
{
	autostr data = {0};
	autofd fd = -1;
	int rc = mask_borrowed_old(p, r, path, e);

	if (rc)
		return rc < 0 ? -1 : 0;
	str_add(&data, "nr_blocks=1,nr_inodes=1");
	if (p->label)
		str_addf(&data, ",%s=\"%s\"", p->label_option, p->label);
	if (mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, data.s) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	fd = path_open(r->root, path, O_PATH, e);
	if (fd < 0)
		return -1;
	if (old_verify(fd, MOUNT_ATTR_RDONLY) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	return 0;
}

static int mask_old(const struct rootfs_plan *p, const struct rootfs *r, const char *path, bool dir,
                    struct err *e)
{
	return dir ? mask_dir_old(p, r, path, e) : mask_file_old(r, path, e);
}

/* One empty directory for all: a file system each would cost its superblock. */
static int mask_dir_make(const struct rootfs_plan *p, const struct rootfs *r, struct err *e)
{
	static const char *const data[] = {"nr_blocks=1", "nr_inodes=1"};
	const struct mount_plan m = {.dest = "masked paths", .data = data, .n_data = 2};
	const struct fs_request q = {.m = &m,
	                             .type = "tmpfs",
	                             .source = "",
	                             .attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
	                                     MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	                             .label = p->label,
	                             .label_option = p->label_option};
	autofd dir = -1;
	const char *name;
	int rc = mask_dir_borrow(p, r, &dir, &name, e), fd;

	TRY(rc);
	if (!rc)
		return tree_fs(&q, e);
	fd = tree_clone_changed(dir, "", AT_EMPTY_PATH, &mask_change);
	if (fd < 0 && errno == EINVAL) /* what is mounted below may be locked */
		return tree_fs(&q, e);
	return fd >= 0 ? fd : fail(e, errno, "clone \"%s\"", name);
}

static int cover_attach(struct cover *c, int target)
{
	autofd clone = -1;

	if (!c->attached) {
		c->attached = tree_attach(c->fd, target) == 0;
		return c->attached ? 0 : -1;
	}
	clone = tree_clone(c->fd, "", AT_EMPTY_PATH);
	return clone < 0 ? -1 : tree_attach(clone, target);
}

static int mask_apply(const struct rootfs_plan *p, const struct rootfs *r, const char *path,
                      struct cover covers[2], struct err *e)
{
	autofd target = -1;
	int there = seal_open(r, path, &target, e);
	struct cover *c;
	struct stat st;
	bool dir;

	if (there <= 0)
		return there;
	if (fstat(target, &st) < 0)
		return fail(e, errno, "mask \"%s\"", path);
	dir = S_ISDIR(st.st_mode);
	c = &covers[dir];
	if (r->old_api)
		return mask_old(p, r, path, dir, e);
	if (dir && c->fd < 0)
		c->fd = mask_dir_make(p, r, e);
	if (c->fd < 0 && dir && !tree_errno_missing(e->errnum))
		return -1;
	if (c->fd >= 0 && cover_attach(c, target) == 0)
		return 0;
	if (c->fd < 0 || tree_errno_missing(errno))
		return mask_old(p, r, path, dir, e);
	return fail(e, errno, "mask \"%s\"", path);
}

static int seal_masks(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	struct cover covers[2] = {{.fd = take_fd(&r->null)}, {.fd = -1}};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_masked; i++) {
		rc = mask_apply(p, r, p->masked[i], covers, e);
		if (rc < 0)
			fail_at(e, "/linux/maskedPaths/%zu", i);
	}
	fd_close_at(&covers[0].fd);
	fd_close_at(&covers[1].fd);
	return rc;
}

/* --- all of it --- */

static int seal_later(struct rootfs *r, struct err *e)
{
	for (size_t i = 0; i < r->n_later; i++) {
		if (r->later[i].fd >= 0 && seal_set(r->later[i].fd, &read_only) < 0) {
			fail(e, errno, "make a tmpfs read-only");
			return fail_at(e, "/mounts/%zu", r->later[i].index);
		}
		fd_close_at(&r->later[i].fd);
	}
	r->n_later = 0;
	return 0;
}

/* What the plan asks for and rootfs_prepare could not do yet. With "r" the mounts of the
 * configuration keep what they were given: only the root's own tree was changed, before they
 * were there. */
static int seal_root(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	unsigned long last = p->propagation & (MS_SHARED | MS_UNBINDABLE);
	const struct tree_change c = {
		.set = p->readonly ? MOUNT_ATTR_RDONLY : 0, .propagation = last, .userns = -1};

	if (tree_change_none(&c) || seal_set(r->root, &c) == 0)
		return 0;
	return fail(e, errno, "set the flags of the root");
}

int rootfs_seal(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	if (!(p->own_ns & CLONE_NEWNS))
		return 0;
	for (size_t i = 0; i < p->n_readonly_paths; i++)
		if (readonly_apply(r, p->readonly_paths[i], e) < 0)
			return fail_at(e, "/linux/readonlyPaths/%zu", i);
	TRY(seal_masks(p, r, e));
	TRY(seal_later(r, e));
	return seal_root(p, r, e);
}
