/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Devices for a container in a new user namespace. Nothing that is mounted there may hold devices,
 * so those of the configuration are made on a file system of the host. A child makes it, in a mount
 * namespace of its own, since only what is mounted can be cloned; descriptors are shared with the
 * child, so the clones are ours when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/sys.h"
#include "kernel/dev.h"
#include "kernel/idmap.h"
#include "kernel/mount.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

struct owner {
	uint32_t uid, gid; /* of the host */
};

/* An owner that is not given is the container's root; where that has no id, the host's. */
static int owner_find(const struct oci_device *d, const struct idmaps *maps, struct owner *o,
                      struct err *e)
{
	*o = (struct owner){0};
	if (!idmap_to_host(&maps->uid, d->uid, &o->uid) && d->has_uid) {
		fail(e, 0, "device \"%s\": uid %u has no id on the host", d->path, d->uid);
		return fail_hint(e, "map it in /linux/uidMappings");
	}
	if (!idmap_to_host(&maps->gid, d->gid, &o->gid) && d->has_gid) {
		fail(e, 0, "device \"%s\": gid %u has no id on the host", d->path, d->gid);
		return fail_hint(e, "map it in /linux/gidMappings");
	}
	return 0;
}

/* The clone takes the place of a descriptor that was reserved for it. */
static int node_make(int dir, const struct oci_device *d, size_t index, const struct owner *o,
                     int place)
{
	struct err e = {0};
	autofd tree = -1;
	char name[24];

	(void)snprintf(name, sizeof(name), "%zu", index);
	if (path_mknod(dir, name, dev_type(d->type), dev_number(d), &e) < 0 ||
	    fchownat(dir, name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name, dev_mode(d) & 07777, 0) < 0)
		return -1;
	tree = tree_clone(dir, name, 0);
	return tree < 0 || dup3(tree, place, O_CLOEXEC) < 0 ? -1 : 0;
}

/* In the child. */
static int nodes_make(const struct rootfs_plan *p, const struct owner *owners, const int *places)
{
	const struct mount_plan m = {.type = "tmpfs", .source = "davit", .dest = "/"};
	const struct fs_request q = {.m = &m,
	                             .type = m.type,
	                             .source = m.source,
	                             .label = p->label,
	                             .label_option = p->label_option,
	                             .attr = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
	struct err e = {0};
	autofd root = fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, &e), fs = -1;

	if (root < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	fs = tree_fs(&q, &e);
	if (fs < 0 || tree_attach(fs, root) < 0)
		return -1;
	for (size_t i = 0; i < p->n_devices; i++)
		if (places[i] >= 0 && node_make(fs, &p->devices[i], i, &owners[i], places[i]) < 0)
			return -1;
	return 0;
}

/* Runs the child; whether all clones were made. */
static bool nodes_spawn(const struct rootfs_plan *p, const struct owner *owners, const int *places)
{
	pid_t child = proc_fork(CLONE_FILES | CLONE_NEWNS, -1, NULL);
	int status;

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(nodes_make(p, owners, places) < 0 ? 1 : 0);
	}
	if (child < 0)
		return false;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return status == 0;
}

static bool nodes_wanted(const struct rootfs_plan *p, const struct idmaps *maps)
{
	if (!(p->new_ns & CLONE_NEWUSER) || !(p->own_ns & CLONE_NEWNS) || !maps->uid.n)
		return false;
	for (size_t i = 0; i < p->n_devices; i++)
		if (dev_type(p->devices[i].type) != S_IFIFO)
			return true;
	return false;
}

int dev_nodes_make(const struct rootfs_plan *p, const struct idmaps *maps, struct arena *a,
                   int **nodes, struct err *e)
{
	struct owner *owners;
	int *places;

	if (!nodes_wanted(p, maps))
		return 0;
	owners = arena_array(a, p->n_devices, sizeof(*owners));
	places = arena_array(a, p->n_devices, sizeof(*places));
	for (size_t i = 0; i < p->n_devices; i++)
		places[i] = -1;
	*nodes = places;
	for (size_t i = 0; i < p->n_devices; i++) {
		const struct oci_device *d = &p->devices[i];

		if (dev_type(d->type) == S_IFIFO)
			continue;
		if (owner_find(d, maps, &owners[i], e) < 0)
			return fail_at(e, "/linux/devices/%zu", i);
		places[i] = fd_open(AT_FDCWD, "/", O_PATH | O_CLOEXEC, 0, e);
		if (places[i] < 0)
			return -1;
	}
	if (nodes_spawn(p, owners, places))
		return 0;
	log_debug("devices of a user namespace: this process may not make them, ignoring");
	for (size_t i = 0; i < p->n_devices; i++)
		fd_close_at(&places[i]);
	return 0;
}
