/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mount.h"

#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/cgroup_named.h"
#include "kernel/mount_copyup.h"
#include "kernel/mount_kind.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/ns.h"
#include "kernel/rootfs.h"

static bool type_is(const struct mount_plan *m, const char *type)
{
	return strcmp(m->type, type) == 0;
}

/* Types whose superblock the kernel shares or that need no read-only superblock: the mount's own
 * flag is enough, and leaves other mounts of the same superblock alone. */
static bool type_is_pseudo(const char *type)
{
	static const struct name rows[] = {
		{"binfmt_misc", 0},
                {"bpf",         0},
                {"cgroup",      0},
                {"cgroup2",     0},
		{"debugfs",     0},
                {"devpts",      0},
                {"devtmpfs",    0},
                {"mqueue",      0},
		{"overlay",     0},
                {"proc",        0},
                {"ramfs",       0},
                {"securityfs",  0},
		{"sysfs",       0},
                {"tmpfs",       0},
                {"tracefs",     0},
	};
	static const struct names types = {rows, COUNT(rows)};
	int64_t value;

	return names_find(&types, type, &value);
}

static bool type_has_label(const struct mount_plan *m)
{
	return !type_is(m, "proc") && !type_is(m, "sysfs") && !type_is(m, "mqueue") &&
	       !str_starts(m->type, "cgroup");
}

static bool data_has(const struct mount_plan *m, const char *key)
{
	for (size_t i = 0; i < m->n_data; i++)
		if (str_starts(m->data[i], key))
			return true;
	return false;
}

/* fsconfig(2) takes values of up to 255 bytes, and has no word for iversion. */
bool fs_needs_old(const struct mount_plan *m)
{
	for (size_t i = 0; i < m->n_data; i++) {
		const char *value = strchr(m->data[i], '=');

		if (value && strlen(value + 1) > 255)
			return true;
	}
	return m->flags & MOUNT_IVERSION;
}

/* Something will still be made below the destination: a device, or where a later mount goes. */
static bool dest_is_filled_later(const struct mount_plan *m, const struct rootfs_plan *p)
{
	if (mount_dest_contains(m->dest, "/dev/null"))
		return true;
	for (size_t i = 0; i < p->n_devices; i++)
		if (mount_dest_contains(m->dest, p->devices[i].path))
			return true;
	for (size_t i = 0; i < p->n_mounts; i++)
		if (p->mounts[i].index > m->index &&
		    mount_dest_contains(m->dest, p->mounts[i].dest))
			return true;
	return false;
}

/* A read-only tmpfs in which something will still be made gets the flag in rootfs_seal. */
static bool fs_is_sealed_later(const struct mount_plan *m, const struct rootfs_plan *p)
{
	return type_is(m, "tmpfs") && (m->attr.set | m->attr_rec.set) & MOUNT_ATTR_RDONLY &&
	       dest_is_filled_later(m, p);
}

void fs_request_make(const struct mount_plan *m, const struct rootfs_plan *p, bool later,
                     struct fs_request *q)
{
	*q = (struct fs_request){.m = m,
	                         .type = m->type,
	                         .source = m->source,
	                         .attr = (m->attr.set | m->attr_rec.set) &
	                                 ~(later ? MOUNT_ATTR_RDONLY : 0ULL)};
	q->sb_readonly = q->attr & MOUNT_ATTR_RDONLY && !type_is_pseudo(m->type);
	if (p->label && *p->label && type_has_label(m)) {
		q->label = p->label;
		q->label_option = p->label_option ? p->label_option : "context";
	}
}

/* An mqueue has no context option; its root is labelled like a file. */
static int fs_label(const struct mount_plan *m, const struct rootfs_plan *p, int mount,
                    struct err *e)
{
	autofd dir = -1;

	if (!p->label || !*p->label || !type_is(m, "mqueue"))
		return 0;
	dir = path_open(mount, ".", O_RDONLY | O_DIRECTORY, e);
	if (dir < 0)
		return -1;
	if (fsetxattr(dir, "security.selinux", p->label, strlen(p->label) + 1, 0) < 0)
		return fail(e, errno, "label \"%s\" as \"%s\"", m->dest, p->label);
	return 0;
}

static void seal_later_add(const struct mount_plan *m, struct rootfs *r, int *mount)
{
	r->later = xrealloc(r->later, r->n_later + 1, sizeof(*r->later));
	r->later[r->n_later].index = m->index;
	r->later[r->n_later++].fd = take_fd(mount);
}

static int fs_copyup(const struct mount_plan *m, int source, int mount, struct err *e)
{
	unsigned keep = (data_has(m, "uid=") ? COPYUP_KEEP_UID : 0U) |
	                (data_has(m, "gid=") ? COPYUP_KEEP_GID : 0U);

	return copyup_tree(source, mount, keep, m->dest, e);
}

static int fs_build(const struct fs_request *q, const struct rootfs_plan *p, int source,
                    struct err *e)
{
	const struct mount_plan *m = q->m;
	struct tree_change c = {.propagation = m->propagation, .userns = -1};
	struct fs_request rw = *q;
	autofd tree = -1;

	if (source >= 0)
		rw.attr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	tree = tree_fs(&rw, e);
	if (tree < 0)
		return -1;
	if (source >= 0) {
		TRY(fs_copyup(m, source, tree, e));
		c.set = q->attr & MOUNT_ATTR_RDONLY;
	}
	if (c.propagation == MS_PRIVATE)
		c.propagation = 0; /* it is */
	if (tree_set(tree, &c) < 0)
		return fail(e, errno, "set the propagation of \"%s\"", m->dest);
	TRY(fs_label(m, p, tree, e));
	return take_fd(&tree);
}

static int fs_new_api(const struct fs_request *q, const struct rootfs_plan *p, int source,
                      int target, struct err *e)
{
	autofd tree = fs_build(q, p, source, e);

	if (tree < 0)
		return -1;
	if (tree_attach(tree, target) < 0)
		return fail(e, errno, "mount \"%s\" of type \"%s\" on \"%s\"", q->source, q->type,
		            q->m->dest);
	return take_fd(&tree);
}

static int fs_old_api(const struct fs_request *q, const struct rootfs_plan *p, struct rootfs *r,
                      int source, int target, struct err *e)
{
	const struct mount_plan *m = q->m;
	struct tree_change c = {.propagation = m->propagation, .userns = -1};
	struct fs_request rw = *q;
	autostage stage = OLD_STAGE_NONE;
	autofd mount = -1;

	/* mount(2) has one flag for mount and superblock: unless both are meant, set it later. */
	if (source >= 0 || !q->sb_readonly) {
		rw.attr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		c.set = q->attr & MOUNT_ATTR_RDONLY;
	}
	if (old_stage_open(r, true, &stage) < 0)
		return fail(e, errno, "prepare the mount on \"%s\"", m->dest);
	mount = old_fs(&rw, stage.point) < 0 ? -1 : old_stage_top(&stage);
	if (mount < 0) {
		fail(e, errno, "mount \"%s\" of type \"%s\" on \"%s\"", q->source, q->type,
		     m->dest);
		return tree_label_hint(q, e);
	}
	if (source >= 0)
		TRY(fs_copyup(m, source, mount, e));
	if (old_set(mount, &c) < 0 || old_verify(mount, q->attr) < 0)
		return fail(e, errno, "set the flags of \"%s\"", m->dest);
	TRY(fs_label(m, p, mount, e));
	if (old_move(mount, target) < 0)
		return fail(e, errno, "mount \"%s\" of type \"%s\" on \"%s\"", q->source, q->type,
		            m->dest);
	if (old_stage_end(&stage) < 0)
		return fail(e, errno, "take the stage of \"%s\" away", m->dest);
	return take_fd(&mount);
}

/* fsmount(2) knows the flag since 5.14, mount(2) since 5.10; before that it is missed when the
 * flags are read back. */
static bool fs_flag_missing(const struct fs_request *q, int errnum)
{
	return errnum == EINVAL && q->attr & MOUNT_ATTR_NOSYMFOLLOW;
}

int fs_mount(const struct fs_request *q, const struct rootfs_plan *p, struct rootfs *r, int source,
             int target, struct err *e)
{
	bool wants_old = fs_needs_old(q->m), no_flag = false;
	struct err first;
	int fd;

	if (!r->old_fs && !wants_old) {
		fd = fs_new_api(q, p, source, target, e);
		no_flag = fd < 0 && fs_flag_missing(q, e->errnum);
		if (fd >= 0 || (!tree_errno_missing(e->errnum) && !no_flag))
			return fd;
	}
	first = *e;
	fd = fs_old_api(q, p, r, source, target, e);
	if (fd >= 0 && !wants_old && !no_flag)
		r->old_fs = true;
	else if (fd < 0 && !r->old_fs && !wants_old && first.errnum == e->errnum)
		*e = first; /* it says more */
	return fd;
}

/* What the host has of the type, in place of a new mount that the kernel refuses to a user
 * namespace which does not own the network, IPC or pid namespace shown in it. */
static const char *fs_substitute(const struct mount_plan *m, const struct rootfs_plan *p)
{
	if (type_is(m, "sysfs"))
		return "/sys";
	if (type_is(m, "mqueue") && !(p->own_ns & CLONE_NEWIPC))
		return "/dev/mqueue";
	if (type_is(m, "proc") && !(p->own_ns & CLONE_NEWPID))
		return "/proc";
	return NULL;
}

static int fs_bind_substitute(const struct mount_plan *m, const struct rootfs_plan *p,
                              struct rootfs *r, struct err *e)
{
	struct mount_plan bind = *m;
	struct err first = *e;

	bind.source = fs_substitute(m, p);
	if (!bind.source)
		return -1;
	log_debug("mount \"%s\" on \"%s\" is refused: binding \"%s\"", m->type, m->dest,
	          bind.source);
	bind.type = "bind";
	bind.flags = MOUNT_BIND | MOUNT_REC;
	bind.attr_rec.set |= m->attr.set;
	/* The host's cgroups are below /sys: nothing of it is to be written to. */
	if (type_is(m, "sysfs"))
		bind.attr_rec.set |= MOUNT_ATTR_RDONLY;
	if (bind_apply(&bind, r, -1, e) == 0)
		return 0;
	*e = first;
	return -1;
}

static int fs_hint(const struct mount_plan *m, const struct rootfs_plan *p, struct err *e)
{
	if (e->errnum != EPERM)
		return -1;
	if (type_is(m, "proc") && !(p->own_ns & CLONE_NEWPID))
		return fail_hint(e, "a pid namespace is missing in /linux/namespaces");
	if (type_is(m, "proc"))
		return fail_hint(
			e, "parts of /proc are covered here, so the kernel refuses a whole one: "
			   "unmask /proc of the outer container");
	if (type_is(m, "mqueue"))
		return fail_hint(e, "an ipc namespace is missing in /linux/namespaces");
	return -1;
}

/* procfs and sysfs go to real directories only, and must be what is seen there afterwards. */
static int fs_verify(const struct mount_plan *m, struct rootfs *r, struct err *e)
{
	bool proc = type_is(m, "proc");
	autofd fd = -1;

	if (!proc && !type_is(m, "sysfs"))
		return 0;
	fd = path_open_nofollow(r->root, m->dest, O_PATH | O_DIRECTORY, e);
	if (fd < 0)
		return -1;
	if (!path_is_fs(fd, proc ? PROC_SUPER_MAGIC : SYSFS_MAGIC))
		return fail(e, 0, "\"%s\" is not the %s that was mounted there", m->dest, m->type);
	r->proc_mounted |= proc;
	return 0;
}

/* As if the directory itself were there, only empty. */
static void fs_keep_mode(int target, struct fs_request *q)
{
	struct stat st;

	if (fstat(target, &st) < 0)
		return;
	q->mode = st.st_mode & 07777;
	q->has_mode = true;
}

int fs_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
             struct err *e)
{
	bool made = false, later = fs_is_sealed_later(m, p);
	bool has_mode = !type_is(m, "tmpfs") || data_has(m, "mode=");
	autofd target = mount_target_open(m, r, TARGET_DIR, -1, has_mode ? NULL : &made, e);
	autofd mount = -1, source = -1;
	struct fs_request q;

	if (target < 0)
		return -1;
	fs_request_make(m, p, later, &q);
	if (!made && !has_mode)
		fs_keep_mode(target, &q);
	if (m->flags & MOUNT_COPYUP) {
		source = path_open(r->root, m->dest, O_RDONLY | O_DIRECTORY, e);
		if (source < 0)
			return -1;
	}
	mount = fs_mount(&q, p, r, source, target, e);
	if (mount < 0 && e->errnum == EINVAL && type_is(m, "devpts")) {
		/* gid=5 is what engines write, and it need not be mapped in a user namespace. */
		q.no_ids = true;
		mount = fs_mount(&q, p, r, source, target, e);
	}
	if (mount < 0 && tree_errno_missing(e->errnum) && ns_user_is_other() &&
	    fs_bind_substitute(m, p, r, e) == 0)
		return fs_verify(m, r, e);
	if (mount < 0)
		return fs_hint(m, p, e);
	if (later)
		seal_later_add(m, r, &mount);
	return fs_verify(m, r, e);
}

/* --- all kinds --- */

/* A tmpfs that was to become read-only at the end stays as it is by now. */
static void remount_unseal(const struct mount_plan *m, const struct rootfs_plan *p,
                           struct rootfs *r)
{
	if (!((m->attr.clr | m->attr_rec.clr) & MOUNT_ATTR_RDONLY))
		return;
	for (size_t i = 0; i < r->n_later; i++)
		if (mount_dest_is(p->mounts[r->later[i].index].dest, m->dest))
			fd_close_at(&r->later[i].fd);
}

static int remount_set(int mount, const struct tree_change *rec, const struct tree_change *one)
{
	if (tree_set(mount, rec) == 0 && tree_set(mount, one) == 0)
		return 0;
	return tree_errno_missing(errno) && old_set(mount, rec) == 0 ? old_set(mount, one) : -1;
}

/* "remount", and an entry that has a propagation alone: what is mounted at the destination
 * changes. */
static int remount_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                         struct err *e)
{
	struct tree_change one = {.set = m->attr.set, .clr = m->attr.clr, .userns = -1};
	struct tree_change rec = {
		.set = m->attr_rec.set, .clr = m->attr_rec.clr, .userns = -1, .rec = true};
	autofd mount = path_open(r->root, m->dest, O_PATH, e);
	bool later;

	if (mount < 0)
		return fail_prefix(e, "remount");
	remount_unseal(m, p, r);
	later = one.set & MOUNT_ATTR_RDONLY && dest_is_filled_later(m, p);
	if (later)
		one.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	(m->propagation_rec ? &rec : &one)->propagation = m->propagation;
	if (!(m->flags & MOUNT_BIND) && (m->sb_set || m->sb_clr || m->n_data))
		TRY(tree_reconfigure(m, mount, e));
	if (remount_set(mount, &rec, &one) == 0) {
		if (one.clr & MOUNT_ATTR_RDONLY && !(m->flags & MOUNT_BIND))
			TRY(tree_make_writable(m, mount, e));
		if (later)
			seal_later_add(m, r, &mount);
		return 0;
	}
	fail(e, errno, "remount \"%s\"", m->dest);
	if (e->errnum == EINVAL)
		return fail_hint(e,
		                 "nothing is mounted there, or the type does not know an option");
	return -1;
}

int mount_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r, int tree,
                struct err *e)
{
	int rc;

	if (m->flags & MOUNT_REMOUNT || !*m->type)
		rc = remount_apply(m, p, r, e);
	else if (m->flags & MOUNT_BIND)
		rc = bind_apply(m, r, tree, e);
	else if (type_is(m, "cgroup") ||
	         (type_is(m, "cgroup2") && p->cgroup_mode == ROOTFS_CGROUP_V2))
		rc = cgroups_apply(m, p, r, e);
	else if (tree >= 0)
		rc = disk_apply(m, p, r, tree, e);
	else
		rc = fs_apply(m, p, r, e);
	if (rc < 0 && m->flags & MOUNT_NAMED_GROUP)
		return fail_at(e, "/annotations/" CGROUP_NAMED_ANNOTATION);
	return rc < 0 ? fail_at(e, "/mounts/%zu", m->index) : 0;
}
