/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems on block devices. The kernel asks the device rules of the mounting process's group,
 * and init may be in the container's already, which forbids disks: so the runtime makes the mount
 * before there is an init, which only attaches it. */
#include <errno.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fd.h"
#include "kernel/mount.h"
#include "kernel/mount_kind.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

bool mount_disk_wanted(const struct mount_plan *m)
{
	struct stat st;

	return !(m->flags & (MOUNT_BIND | MOUNT_REMOUNT)) && *m->type && *m->source == '/' &&
	       !fs_needs_old(m) && stat(m->source, &st) == 0 && S_ISBLK(st.st_mode);
}

int mount_disk_open(const struct mount_plan *m, const struct rootfs_plan *p, int *tree,
                    struct err *e)
{
	struct fs_request q;

	fs_request_make(m, p, false, &q);
	*tree = tree_fs(&q, e);
	/* Init has mount(2), and may own a user namespace in which more is allowed. */
	if (*tree >= 0 || tree_errno_missing(e->errnum))
		return 0;
	return fail_at(e, "/mounts/%zu", m->index);
}

int disk_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r, int tree,
               struct err *e)
{
	const struct tree_change c = {.propagation = m->propagation, .userns = -1};
	autofd target = mount_target_open(m, r, TARGET_DIR, -1, NULL, e);
	bool later; /* without mount_setattr(2): when it is attached */

	if (target < 0)
		return -1;
	later = c.propagation != MS_PRIVATE && tree_set(tree, &c) < 0;
	if (later && !tree_errno_missing(errno))
		return fail(e, errno, "set the propagation of \"%s\"", m->dest);
	if (tree_attach(tree, target) < 0) {
		if (tree_errno_missing(errno))
			return fs_apply(m, p, r, e);
		return fail(e, errno, "mount \"%s\" of type \"%s\" on \"%s\"", m->source, m->type,
		            m->dest);
	}
	if (later && old_set(tree, &c) < 0)
		return fail(e, errno, "set the propagation of \"%s\"", m->dest);
	return 0;
}
