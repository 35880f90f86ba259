/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bind mounts, idmapped ones among them, opened by the runtime or by init. */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "kernel/mount.h"
#include "kernel/mount_kind.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

/* Splits what the plan asks for into a change of the top mount and one of the whole tree; a
 * bind that is not recursive has one mount, so that all goes into the first. base: MS_SLAVE
 * where the clone would otherwise be a peer of the host's mount, or 0. */
static void bind_changes(const struct mount_plan *m, unsigned long base, int userns,
                         struct tree_change *one, struct tree_change *rec)
{
	bool whole = !(m->flags & MOUNT_REC);
	struct tree_change *prop = m->propagation_rec && !whole ? rec : one;

	*one = (struct tree_change){.set = m->attr.set, .clr = m->attr.clr, .userns = -1};
	*rec = (struct tree_change){
		.set = m->attr_rec.set, .clr = m->attr_rec.clr, .userns = -1, .rec = true};
	if (base && (!m->propagation || !m->propagation_rec))
		rec->propagation = base;
	prop->propagation = m->propagation;
	if (m->flags & MOUNT_IDMAP)
		(m->flags & MOUNT_IDMAP_REC && !whole ? rec : one)->userns = userns;
	if (!whole)
		return;
	/* The plan leaves no bit to both; access times must stay whole for mount_setattr(2). */
	one->set |= rec->set;
	one->clr |= rec->clr;
	if (!one->propagation)
		one->propagation = rec->propagation;
	*rec = (struct tree_change)TREE_CHANGE_NONE;
}

static int bind_fail(const struct mount_plan *m, int errnum, struct err *e)
{
	fail(e, errnum, "bind mount \"%s\" on \"%s\"", m->source, m->dest);
	if (errnum == ENOENT || errnum == ENOTDIR || errnum == EACCES)
		return path_blame(-1, "source", m->source, e);
	if (errnum == EINVAL && m->flags & MOUNT_IDMAP)
		return fail_hint(e,
		                 "the file system of the source cannot be idmapped, or is already");
	if (errnum == EINVAL && !(m->flags & MOUNT_REC))
		return fail_hint(e,
		                 "in a user namespace a source with mounts below it needs rbind");
	if (errnum == EPERM && m->attr.clr & ~(uint64_t)MOUNT_ATTR__ATIME)
		return fail_hint(
			e, "the flags of the source's mount are locked: drop rw, exec, suid, dev");
	return -1;
}

/* Makes the clone with all changes; -1 with errno. */
static int bind_clone(const struct mount_plan *m, unsigned long base, int userns)
{
	unsigned flags = (m->flags & MOUNT_REC ? AT_RECURSIVE : 0U) |
	                 (m->flags & MOUNT_SRC_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0U);
	struct tree_change one, rec, first = TREE_CHANGE_NONE;
	autofd tree = -1;

	bind_changes(m, base, userns, &one, &rec);
	/* Slave and shared at once: a slave of the host first, then with a peer group of its
	 * own. */
	if (base && m->propagation == MS_SHARED) {
		first.propagation = base;
		first.rec = m->flags & MOUNT_REC;
		tree = tree_clone_changed(AT_FDCWD, m->source, flags, &first);
		if (tree >= 0 && tree_set(tree, &rec) < 0)
			return -1;
	} else if (!tree_change_none(&rec)) {
		tree = tree_clone_changed(AT_FDCWD, m->source, flags, &rec);
	} else {
		tree = tree_clone_changed(AT_FDCWD, m->source, flags, &one);
		return take_fd(&tree);
	}
	if (tree < 0 || tree_set(tree, &one) < 0)
		return -1;
	return take_fd(&tree);
}

/* The target of a link that copy-symlink wants made anew; false if the source is no link. */
static bool source_link(const struct mount_plan *m, char target[PATH_MAX])
{
	ssize_t n;

	if (!(m->flags & MOUNT_COPY_SYMLINK))
		return false;
	n = readlink(m->source, target, PATH_MAX - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return true;
}

bool mount_source_wanted(const struct mount_plan *m, bool userns)
{
	if (!(m->flags & MOUNT_BIND) || m->flags & MOUNT_REMOUNT)
		return false;
	return userns || m->flags & MOUNT_IDMAP;
}

int mount_source_open(const struct mount_plan *m, bool shared, struct idmap_cache *cache,
                      int own_userns, int *tree, struct err *e)
{
	char link[PATH_MAX];
	int userns = own_userns;

	*tree = -1;
	if (source_link(m, link))
		return 0;
	if (m->flags & MOUNT_IDMAP && !(m->flags & MOUNT_IDMAP_OWN))
		userns = idmap_userns_fd(cache, &m->idmap, e);
	if (m->flags & MOUNT_IDMAP && userns < 0)
		return fail_prefix(e, "bind mount \"%s\" on \"%s\"", m->source, m->dest);
	*tree = bind_clone(m, shared ? 0 : MS_SLAVE, userns);
	/* Init may still have mount(2), but that knows no idmapped mounts. */
	if (*tree >= 0 || (tree_errno_missing(errno) && !(m->flags & MOUNT_IDMAP)))
		return 0;
	bind_fail(m, errno, e);
	return fail_at(e, "/mounts/%zu", m->index);
}

static int link_make(const struct mount_plan *m, struct rootfs *r, const char *to, struct err *e)
{
	char name[256], there[PATH_MAX];
	autofd dir = path_parent(r->root, m->dest, true, name, e);
	ssize_t n;

	if (dir < 0)
		return -1;
	if (path_symlink(to, dir, name, e) == 0)
		return 0;
	if (e->errnum != EEXIST)
		return -1;
	n = readlinkat(dir, name, there, sizeof(there) - 1);
	if (n >= 0 && (size_t)n == strlen(to) && memcmp(there, to, (size_t)n) == 0)
		return 0;
	return fail(e, EEXIST, "copy the link \"%s\" to \"%s\"", m->source, m->dest);
}

static int attach_fail(const struct mount_plan *m, int errnum, struct err *e)
{
	fail(e, errnum, "bind mount \"%s\" on \"%s\"", m->source, m->dest);
	if (errnum == ENOTDIR)
		return fail_hint(e, "one of the two is a directory, the other is none");
	return -1;
}

/* Opens the destination for what is to be mounted there, or a descriptor of its source. */
static int bind_target(const struct mount_plan *m, struct rootfs *r, int what, struct err *e)
{
	/* A procfs is what /proc may be; anything else there would fool who writes to it. */
	if (mount_dest_is(m->dest, "/proc") && !path_is_fs(what, PROC_SUPER_MAGIC))
		return fail(e, 0, "bind mount \"%s\" on \"%s\": the source is not a procfs",
		            m->source, m->dest);
	return mount_target_open(m, r, m->flags & MOUNT_DEST_NEW ? TARGET_DIR : TARGET_LIKE, what,
	                         NULL, e);
}

/* A directory is opened as one, which has it mounted if automount(8) does that. */
static int source_open(const struct mount_plan *m)
{
	int flags = O_PATH | (m->flags & MOUNT_SRC_NOFOLLOW ? O_NOFOLLOW : 0);
	int fd = fd_try_open(AT_FDCWD, m->source, flags | O_DIRECTORY);

	return fd < 0 && errno == ENOTDIR ? fd_try_open(AT_FDCWD, m->source, flags) : fd;
}

static int bind_old(const struct mount_plan *m, struct rootfs *r, struct err *e)
{
	struct tree_change one, rec;
	autofd source = source_open(m), target = -1, mounted = -1;
	autostage stage = OLD_STAGE_NONE;
	struct stat st;

	if (m->flags & MOUNT_IDMAP)
		return bind_fail(m, ENOSYS, e);
	if (source < 0 || fstat(source, &st) < 0)
		return bind_fail(m, errno, e);
	target = bind_target(m, r, source, e);
	if (target < 0)
		return -1;
	if (old_stage_open(r, S_ISDIR(st.st_mode), &stage) < 0)
		return fail(e, errno, "prepare the mount on \"%s\"", m->dest);
	mounted = old_bind(source, stage.point, m->flags & MOUNT_REC) < 0 ? -1
	                                                                  : old_stage_top(&stage);
	bind_changes(m, 0, -1, &one, &rec);
	if (mounted < 0 || old_set(mounted, &rec) < 0 || old_set(mounted, &one) < 0)
		return bind_fail(m, errno, e);
	if (old_move(mounted, target) < 0)
		return attach_fail(m, errno, e);
	if (old_stage_end(&stage) < 0)
		return fail(e, errno, "take the stage of \"%s\" away", m->dest);
	r->old_api = true;
	return 0;
}

static int bind_attach(const struct mount_plan *m, struct rootfs *r, int tree, struct err *e)
{
	autofd target = bind_target(m, r, tree, e);

	if (target < 0)
		return -1;
	return tree_attach(tree, target) < 0 ? attach_fail(m, errno, e) : 0;
}

int bind_apply(const struct mount_plan *m, struct rootfs *r, int given, struct err *e)
{
	char link[PATH_MAX];
	autofd own = -1;

	if (given < 0 && source_link(m, link))
		return link_make(m, r, link, e);
	if (given < 0 && r->old_api)
		return bind_old(m, r, e);
	if (given < 0) {
		own = bind_clone(m, 0, -1);
		if (own < 0 && !tree_errno_missing(errno))
			return bind_fail(m, errno, e);
		given = own;
	}
	if (given >= 0 && bind_attach(m, r, given, e) == 0)
		return 0;
	if (given >= 0 && !tree_errno_missing(e->errnum))
		return -1;
	return bind_old(m, r, e);
}
