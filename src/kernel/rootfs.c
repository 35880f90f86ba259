/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/rootfs.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/unapplied.h"
#include "kernel/cgroup_named.h"
#include "kernel/dev.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "ocispec.h"

/* --- the plan --- */

/* Protection that would have to be put on the mounts of the host. */
static int plan_protection_no_ns(struct rootfs_plan *p, struct err *e)
{
	const char *what = NULL;

	if (p->n_masked)
		what = "/linux/maskedPaths";
	else if (p->n_readonly_paths)
		what = "/linux/readonlyPaths";
	else if (p->readonly)
		what = "/root/readonly";
	else if (p->propagation)
		what = "/linux/rootfsPropagation";
	if (!what)
		return 0;
	fail(e, 0, "this would change the mounts of the host");
	fail_at(e, "%s", what);
	fail_hint(e, "a mount namespace is missing in /linux/namespaces");
	TRY(unapplied(e));
	p->n_masked = p->n_readonly_paths = 0;
	p->readonly = false;
	p->propagation = 0;
	return 0;
}

/* Without a mount namespace every mount would be the host's, below the bundle, and outlive the
 * container: the root is changed, and nothing is mounted. That takes from the container only. */
static int plan_no_ns(struct rootfs_plan *p, struct err *e)
{
	if (p->n_mounts)
		unapplied_note("mounts: without a mount namespace they would be made on the host");
	p->n_mounts = 0;
	return plan_protection_no_ns(p, e);
}

static int plan_paths_check(char *const *paths, size_t n, const char *pointer, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (paths[i][0] == '/')
			continue;
		fail(e, 0, "\"%s\" is not an absolute path", paths[i]);
		return fail_at(e, "%s/%zu", pointer, i);
	}
	return 0;
}

static int plan_linux(const struct oci_linux *l, struct rootfs_plan *out, struct err *e)
{
	out->devices = l->devices;
	out->n_devices = l->n_devices;
	out->masked = l->masked_paths;
	out->n_masked = l->n_masked_paths;
	out->readonly_paths = l->readonly_paths;
	out->n_readonly_paths = l->n_readonly_paths;
	out->label = l->mount_label && *l->mount_label ? l->mount_label : NULL;
	if (l->rootfs_propagation) {
		out->propagation = mount_propagation(l->rootfs_propagation);
		if (!out->propagation) {
			fail(e, 0, "\"%s\" is no propagation", l->rootfs_propagation);
			return fail_at(e, "/linux/rootfsPropagation");
		}
	}
	for (size_t i = 0; i < l->n_devices; i++)
		TRY(dev_check(&l->devices[i], i, e));
	TRY(plan_paths_check(out->masked, out->n_masked, "/linux/maskedPaths", e));
	return plan_paths_check(out->readonly_paths, out->n_readonly_paths, "/linux/readonlyPaths",
	                        e);
}

static int plan_mounts(const struct oci_config *c, const struct mount_parse *parse, struct arena *a,
                       struct rootfs_plan *out, struct err *e)
{
	out->mounts = arena_array(a, c->n_mounts + 1, sizeof(*out->mounts));
	out->n_mounts = c->n_mounts;
	for (size_t i = 0; i < c->n_mounts; i++) {
		struct mount_plan *m = &out->mounts[i];

		TRY(mount_plan_parse(&c->mounts[i], i, parse, a, m, e));
		if ((m->flags & (MOUNT_BIND | MOUNT_REMOUNT)) == MOUNT_BIND &&
		    mount_dest_is(m->dest, "/dev"))
			out->dev_skip = true;
	}
	return 0;
}

/* The group takes the place of what /mounts has there, with its flags, or comes after all else. */
static int plan_named_group(const char *dest, struct rootfs_plan *out, struct err *e)
{
	struct mount_plan own = {.index = out->n_mounts, .dest = dest};
	struct mount_plan *m = NULL;

	if (*dest != '/' || strstr(dest, "/..")) {
		fail(e, 0, "\"%s\" is no absolute path", dest);
		return fail_at(e, "/annotations/" CGROUP_NAMED_ANNOTATION);
	}
	for (size_t i = 0; i < out->n_mounts; i++)
		if (mount_dest_is(out->mounts[i].dest, dest))
			m = &out->mounts[i];
	own.attr.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	if (m)
		own.attr = m->attr;
	else
		m = &out->mounts[out->n_mounts++];
	own.type = own.source = "cgroup";
	own.flags = MOUNT_NAMED_GROUP;
	*m = own;
	return 0;
}

int rootfs_plan_make(const struct oci_config *c, const struct rootfs_request *q, struct arena *a,
                     struct rootfs_plan *out, struct err *e)
{
	struct mount_parse parse = {
		.bundle = q->bundle, .userns = q->own_ns & CLONE_NEWUSER, .own_maps = q->own_maps};

	if (!c->root || !c->root->path || !*c->root->path) {
		fail(e, 0, "there is no root file system");
		return fail_at(e, "/root");
	}
	*out = (struct rootfs_plan){.path = c->root->path,
	                            .readonly = c->root->readonly,
	                            .own_ns = q->own_ns,
	                            .new_ns = q->new_ns,
	                            .userns = parse.userns,
	                            .no_pivot = q->no_pivot,
	                            .terminal = c->process && c->process->terminal,
	                            .label_option = q->label_option ? q->label_option : "context"};
	if (*out->path != '/')
		out->path = arena_printf(a, "%s/%s", q->bundle, out->path);
	TRY(plan_mounts(c, &parse, a, out, e));
	if (q->named_group)
		TRY(plan_named_group(q->named_group, out, e));
	if (c->linux)
		TRY(plan_linux(c->linux, out, e));
	return q->own_ns & CLONE_NEWNS ? 0 : plan_no_ns(out, e);
}

/* --- prepare --- */

/* A mount on a shared parent would appear at its peers, and pivot_root(2) refuses such a
 * parent. Only where the host's propagation is kept need it be found: ".." of a mount's root
 * is the only way up, and changing what is no such root is EINVAL. */
static int rootfs_parent_private(const struct rootfs_plan *p, struct err *e)
{
	const struct tree_change private = {.propagation = MS_PRIVATE, .userns = -1};
	autofd dir = fd_open(AT_FDCWD, p->path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, e);

	for (int depth = 0; dir >= 0 && depth < 4096; depth++) {
		int up;

		if (tree_set(dir, &private) == 0 ||
		    (tree_errno_missing(errno) && old_set(dir, &private) == 0))
			return 0;
		if (errno != EINVAL)
			return fail(e, errno, "make the mount that holds \"%s\" private", p->path);
		up = fd_open(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, e);
		fd_close_at(&dir);
		dir = up;
	}
	return dir < 0 ? -1 : fail(e, ELOOP, "make the mount that holds \"%s\" private", p->path);
}

/* Nothing mounted from here on may reach the host. With "shared" the mounts of the host keep
 * their peers, since volumes may be meant to share with it; the root itself is cut off below. */
static int rootfs_propagation(const struct rootfs_plan *p, struct err *e)
{
	unsigned long how = p->propagation & MS_PRIVATE ? MS_PRIVATE : MS_SLAVE;

	if (p->propagation & MS_SHARED)
		return rootfs_parent_private(p, e);
	if (mount(NULL, "/", NULL, MS_REC | how, NULL) < 0)
		return fail(e, errno, "cut the propagation of mounts to the host");
	return 0;
}

static int rootfs_open_fail(const struct rootfs_plan *p, int errnum, struct err *e)
{
	fail(e, errnum, "root file system \"%s\"", p->path);
	fail_at(e, "/root/path");
	return path_blame(-1, "root", p->path, e);
}

static int rootfs_bind_old(const struct rootfs_plan *p, const struct tree_change *c,
                           struct rootfs *r, struct err *e)
{
	autofd below = fd_try_open(AT_FDCWD, p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (below < 0 || old_bind(below, below, true) < 0)
		return rootfs_open_fail(p, errno, e);
	r->root = fd_open(AT_FDCWD, p->path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, e);
	if (r->root < 0)
		return -1;
	if (old_set(r->root, c) < 0)
		return fail(e, errno, "set the propagation of \"%s\"", p->path);
	r->old_api = true;
	return 0;
}

/* A clone of the root's tree, mounted on itself: pivot_root(2) wants a mount point. It is
 * private until rootfs_seal (pivot_root(2) again), or a slave where that was asked for. */
static int rootfs_bind(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	const struct tree_change c = {.propagation =
	                                      p->propagation & MS_SLAVE ? MS_SLAVE : MS_PRIVATE,
	                              .userns = -1,
	                              .rec = true};
	autofd below = fd_try_open(AT_FDCWD, p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofd tree = -1;

	if (below < 0)
		return rootfs_open_fail(p, errno, e);
	tree = tree_clone_changed(below, "", AT_RECURSIVE | AT_EMPTY_PATH, &c);
	if (tree >= 0 && tree_attach(tree, below) == 0) {
		r->root = take_fd(&tree);
		return 0;
	}
	if (tree_errno_missing(errno))
		return rootfs_bind_old(p, &c, r, e);
	return rootfs_open_fail(p, errno, e);
}

/* The host's null device is what masks files; the container's could be anything
 * (CVE-2025-31133). It is cloned now, since after the pivot it is out of reach. */
static int rootfs_null(struct rootfs *r, struct err *e)
{
	struct stat st;

	r->null = tree_clone(AT_FDCWD, "/dev/null", AT_SYMLINK_NOFOLLOW);
	if (r->null < 0 && tree_errno_missing(errno))
		return 0; /* rootfs_seal has a way without it */
	if (r->null < 0 || fstat(r->null, &st) < 0)
		return fail(e, errno, "open \"/dev/null\" of the host");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return fail(e, 0, "\"/dev/null\" of the host is not the null device");
	return 0;
}

int rootfs_prepare(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	(void)umask(0); /* modes of what is made in the root are exact; dev_setup restores it */
	if (!(p->own_ns & CLONE_NEWNS)) {
		r->root = fd_try_open(AT_FDCWD, p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return r->root < 0 ? rootfs_open_fail(p, errno, e) : 0;
	}
	TRY(rootfs_propagation(p, e));
	TRY(rootfs_bind(p, r, e));
	r->path = p->path;
	r->base = r->root;
	return p->n_masked ? rootfs_null(r, e) : 0;
}

size_t rootfs_mounts_free(const struct rootfs_plan *p)
{
	size_t i = 0;

	while (i < p->n_mounts && strncmp(p->mounts[i].type, "cgroup", 6) != 0)
		i++;
	return i;
}

int rootfs_mounts(const struct rootfs_plan *p, struct rootfs *r, size_t from, size_t to,
                  struct err *e)
{
	for (size_t i = from; i < to; i++)
		TRY(mount_apply(&p->mounts[i], p, r, r->sources ? r->sources[i] : -1, e));
	return 0;
}

void rootfs_close(struct rootfs *r)
{
	fd_close_at(&r->root);
	fd_close_at(&r->null);
	for (size_t i = 0; i < r->n_later; i++)
		fd_close_at(&r->later[i].fd);
	free(r->later);
	r->later = NULL;
	r->n_later = 0;
}
