/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The change of root: pivot_root(2), or moving the root over "/" where that cannot be. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "kernel/rootfs.h"

static int pivot_chroot(const struct rootfs_plan *p, struct err *e)
{
	if (chroot(".") < 0)
		return fail(e, errno, "change the root to \"%s\"", p->path);
	if (chdir("/") < 0)
		return fail(e, errno, "enter the root");
	return 0;
}

/* The old root stays below the new one and cannot be unmounted (it may be the kernel's first
 * root). The host's proc and sys go: else a process with CAP_SYS_ADMIN could have whole new
 * ones. */
static int pivot_move(const struct rootfs_plan *p, const struct rootfs *r, struct err *e)
{
	if (p->new_ns & CLONE_NEWNS) {
		(void)umount2("/proc", MNT_DETACH); /* need not be a mount */
		(void)umount2("/sys", MNT_DETACH);
	}
	if (fchdir(r->root) < 0)
		return fail(e, errno, "enter \"%s\"", p->path);
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return fail(e, errno, "move \"%s\" over the root", p->path);
	return pivot_chroot(p, e);
}

/* Unmounts the old root, which is stacked on the new one: umount2(2) finds it by ".". */
static int pivot_detach(const struct rootfs_plan *p, int old, struct err *e)
{
	/* Where the host's mounts kept their peers, the unmount must not reach those. */
	if (old >= 0 && (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_REC | MS_SLAVE, NULL) < 0))
		return fail(e, errno, "cut the propagation of the old root");
	if (umount2(".", MNT_DETACH) < 0)
		return fail(e, errno, "unmount the old root, with \"%s\" below it", p->path);
	if (old >= 0 && chdir("/") < 0) /* else it is there already */
		return fail(e, errno, "enter the root");
	return 0;
}

int rootfs_pivot(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	autofd old = -1;

	if (p->no_pivot && p->own_ns & CLONE_NEWNS)
		return pivot_move(p, r, e);
	if (p->propagation & MS_SHARED) {
		old = fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, e);
		if (old < 0)
			return -1;
	}
	if (fchdir(r->root) < 0)
		return fail(e, errno, "enter \"%s\"", p->path);
	if (!(p->own_ns & CLONE_NEWNS))
		return pivot_chroot(p, e);
	/* With the old root put on the new one no directory is needed for it. */
	if (sys_pivot_root(".", ".") == 0)
		return pivot_detach(p, old, e);
	if (errno == EINVAL)
		return pivot_move(p, r, e); /* the first root of the kernel: a ramdisk */
	return fail(e, errno, "pivot the root to \"%s\"", p->path);
}
