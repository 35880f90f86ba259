/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mounts of type "cgroup": what the container sees of its own groups. A clone of the group's
 * directory is the same as a new mount in a cgroup namespace (the kernel shows both as "/"),
 * takes fewer calls, works in user namespaces, and without a cgroup namespace shows no other
 * group. */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/sys.h"
#include "kernel/cgroup_named.h"
#include "kernel/mount.h"
#include "kernel/mount_kind.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

/* Binds the container's group, or a whole hierarchy. The flags are set on this mount alone. */
static int group_bind(const struct mount_plan *m, const char *host_path, const char *dest,
                      struct rootfs *r, struct err *e)
{
	struct mount_plan bind = *m;

	bind.type = "bind";
	bind.source = host_path;
	bind.dest = dest;
	bind.flags = MOUNT_BIND | (m->flags & MOUNT_DEST_NEW);
	return bind_apply(&bind, r, -1, e);
}

/* A new mount. v1 options are words joined by commas, which fsconfig(2) wants one by one. */
#define WORDS_MAX 16
static int group_mount(const struct mount_plan *m, const struct rootfs_plan *p,
                       const struct cgroup_mount *c, const char *type, const char *dest,
                       struct rootfs *r, struct err *e)
{
	autofree char *words = xstrdup(c->options ? c->options : "");
	const char *data[WORDS_MAX];
	struct mount_plan fresh = *m;
	size_t n = 0;

	for (char *s = words, *end; *s && n < WORDS_MAX; s = end) {
		end = s + strcspn(s, ",");
		if (*end)
			*end++ = '\0';
		data[n++] = s;
	}
	fresh.type = type;
	fresh.source = *m->source ? m->source : "cgroup";
	fresh.dest = dest;
	fresh.flags = m->flags & MOUNT_DEST_NEW;
	fresh.data = data;
	fresh.n_data = n;
	return fs_apply(&fresh, p, r, e);
}

/* Outside of a cgroup namespace a new mount of version 2 would have the host's root, and would
 * reset options of the whole hierarchy that the host has set (nsdelegate, memory_recursiveprot):
 * there the host's mount is cloned. */
static int group_apply(const struct mount_plan *m, const struct rootfs_plan *p,
                       const struct cgroup_mount *c, const char *dest, struct rootfs *r,
                       struct err *e)
{
	if (c->host_path)
		return group_bind(m, c->host_path, dest, r, e);
	if (!c->options && !(p->own_ns & CLONE_NEWCGROUP))
		return group_bind(m, c->mount, dest, r, e);
	return group_mount(m, p, c, c->options ? "cgroup" : "cgroup2", dest, r, e);
}

/* The one mount of the unified hierarchy. In a cgroup namespace a new mount has its root at
 * the group. Without one the host's mount is cloned (see group_apply), or in a user namespace the
 * container's own group, for others of the user may be writable to it (CVE-2023-25809). */
static int unified_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                         struct err *e)
{
	static const struct cgroup_mount host = {.name = "unified", .host_path = "/sys/fs/cgroup"};
	const struct cgroup_mount *own = p->n_cgroups ? &p->cgroups[0] : NULL;
	bool has_own = own && own->host_path;

	if (!(p->own_ns & CLONE_NEWCGROUP))
		return group_bind(m, p->userns && has_own ? own->host_path : host.host_path,
		                  m->dest, r, e);
	if (group_mount(m, p, &host, "cgroup2", m->dest, r, e) == 0)
		return 0;
	if ((e->errnum == EPERM || e->errnum == EBUSY) && has_own)
		return group_bind(m, own->host_path, m->dest, r, e);
	return -1;
}

/* The tmpfs that holds the directories of the hierarchies. */
static int holder_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                        struct err *e)
{
	struct mount_plan holder = *m;
	autofd target = mount_target_open(m, r, TARGET_DIR, -1, NULL, e);
	struct fs_request q;

	if (target < 0)
		return -1;
	holder.type = "tmpfs";
	holder.source = "cgroup";
	holder.n_data = 0;
	holder.flags = 0;
	holder.attr.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	holder.attr_rec.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	fs_request_make(&holder, p, false, &q);
	q.mode = 0755;
	q.has_mode = true;
	return fs_mount(&q, p, r, -1, target, e);
}

/* The group's mount in a directory of its own in the holder. That is new and no process of the
 * container exists yet: a name in it is as good as a descriptor, and saves two calls for each of a
 * dozen hierarchies. 1: done, 0: another way must do it. */
static int hierarchy_bind(const struct mount_plan *m, const struct cgroup_mount *c, int holder,
                          const struct rootfs *r, struct err *e)
{
	struct mount_plan bind = *m;
	autofd tree = -1;

	if (!c->host_path || r->old_api)
		return 0;
	bind.type = "bind";
	bind.source = c->host_path;
	bind.dest = c->name;
	bind.flags = MOUNT_BIND;
	TRY(mount_source_open(&bind, true, NULL, -1, &tree, e));
	if (tree < 0)
		return 0;
	if (path_only_mkdir(holder, c->name, 0755) < 0)
		return fail(e, errno, "make the directory \"%s\"", c->name);
	if (sys_move_mount(tree, "", holder, c->name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return fail(e, errno, "mount \"%s\" on \"%s\"", c->host_path, c->name);
	return 1;
}

/* Names are below the holder, which serves as the root here. */
static int hierarchy_apply(const struct mount_plan *m, const struct rootfs_plan *p,
                           const struct cgroup_mount *c, int holder, struct rootfs *r,
                           struct err *e)
{
	struct rootfs in_holder = *r;
	struct mount_plan below = *m;
	int rc = hierarchy_bind(m, c, holder, r, e);

	if (rc == 0) {
		in_holder.root = holder;
		below.flags |= MOUNT_DEST_NEW;
		rc = group_apply(&below, p, c, c->name, &in_holder, e);
		r->old_api = in_holder.old_api;
		r->old_fs = in_holder.old_fs;
	}
	for (const char *const *l = c->links; rc >= 0 && l && *l; l++)
		rc = path_symlink(c->name, holder, *l, e);
	return rc < 0 ? fail_prefix(e, "cgroups on \"%s\"", m->dest) : 0;
}

/* An old systemd wants its hierarchy. Where the host has it, the container has a group there; else
 * davit has made one, which is the root of a new mount in the container's cgroup namespace. */
static int named_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                       struct err *e)
{
	static const struct cgroup_mount named = {.name = "systemd",
	                                          .options = CGROUP_NAMED_OPTIONS ",xattr"};

	for (size_t i = 0; i < p->n_cgroups; i++)
		if (p->cgroups[i].options && !strcmp(p->cgroups[i].options, CGROUP_NAMED_OPTIONS))
			return group_apply(m, p, &p->cgroups[i], m->dest, r, e);
	return group_mount(m, p, &named, "cgroup", m->dest, r, e);
}

int cgroups_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r,
                  struct err *e)
{
	const struct tree_change ro = {.set = MOUNT_ATTR_RDONLY, .userns = -1};
	autofd holder = -1;

	if (m->flags & MOUNT_NAMED_GROUP)
		return named_apply(m, p, r, e);
	if (p->cgroup_mode == ROOTFS_CGROUP_V2)
		return unified_apply(m, p, r, e);
	holder = holder_apply(m, p, r, e);
	if (holder < 0)
		return -1;
	for (size_t i = 0; i < p->n_cgroups; i++)
		TRY(hierarchy_apply(m, p, &p->cgroups[i], holder, r, e));
	if (!((m->attr.set | m->attr_rec.set) & MOUNT_ATTR_RDONLY))
		return 0;
	if (tree_set(holder, &ro) < 0 && (!tree_errno_missing(errno) || old_set(holder, &ro) < 0))
		return fail(e, errno, "make \"%s\" read-only", m->dest);
	return 0;
}
