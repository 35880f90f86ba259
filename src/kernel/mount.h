/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One mount: from its entry in config.json to a plan (pure), and from the plan to a mount
 * below the root of the container. Mounts are built detached, get their attributes and
 * propagation, and are then moved onto a descriptor of the destination (fsopen(2),
 * open_tree(2), mount_setattr(2), move_mount(2), Linux 5.2 and 5.12). Where one of these calls
 * is missing or refused, mount(2) does the same by way of /proc/self/fd, and the resulting
 * flags are read back (mount_old.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/names.h"
#include "kernel/idmap.h"

struct arena;
struct err;
struct rootfs;
struct rootfs_plan;

enum {
	MOUNT_BIND = 1 << 0,          /* bind or rbind */
	MOUNT_REC = 1 << 1,           /* rbind */
	MOUNT_REMOUNT = 1 << 2,       /* change what is mounted at the destination */
	MOUNT_IDMAP = 1 << 3,         /* idmap or ridmap, or mappings in the entry */
	MOUNT_IDMAP_REC = 1 << 4,     /* ridmap */
	MOUNT_IDMAP_OWN = 1 << 5,     /* with the map of the container's user namespace */
	MOUNT_COPYUP = 1 << 6,        /* tmpcopyup */
	MOUNT_COPY_SYMLINK = 1 << 7,  /* copy-symlink: a source that is a link is made anew */
	MOUNT_SRC_NOFOLLOW = 1 << 8,  /* src-nofollow */
	MOUNT_DEST_NOFOLLOW = 1 << 9, /* dest-nofollow */
	MOUNT_IVERSION = 1 << 10,     /* only mount(2) can say it */
	MOUNT_DEST_NEW = 1 << 11,     /* nothing is there yet (never from an option) */
	MOUNT_NAMED_GROUP = 1 << 12   /* the group of cgroup_named.h (from an annotation) */
};

/* MOUNT_ATTR_* to set and to clear; clear is done first. */
struct mount_attrs {
	uint64_t set, clr;
};

struct mount_plan {
	size_t index;            /* in /mounts, for messages */
	const char *dest;        /* as given: absolute, or relative to "/" */
	const char *source;      /* never NULL; a bind's is absolute */
	const char *type;        /* never NULL; "bind" for a bind mount */
	const char *const *data; /* options of the file system: "key" or "key=value" */
	size_t n_data;
	unsigned flags;               /* MOUNT_* */
	struct mount_attrs attr;      /* of the mount */
	struct mount_attrs attr_rec;  /* of it and all below: rro, rnosuid ... */
	unsigned long sb_set, sb_clr; /* MS_SYNCHRONOUS, MS_DIRSYNC, MS_LAZYTIME, MS_MANDLOCK */
	unsigned long propagation;    /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE; 0: kept */
	bool propagation_rec;         /* rshared ... */
	struct idmaps idmap;          /* empty with MOUNT_IDMAP_OWN */
};

/* Every option that is not one of a file system: for `davit features`. Sorted. */
extern const struct names mount_options;

/* What parsing needs to know besides the entry. */
struct mount_parse {
	const char *bundle; /* relative bind sources are below it */
	bool userns;        /* the container has a user namespace other than the runtime's */
	const struct idmaps *own_maps; /* its maps; NULL if it has none or they are not known */
};

/* Parses one entry of /mounts. Pure; sets the JSON pointer on failure. Options that are not known
 * go to the file system. Everything in out lives in a or in m. */
int mount_plan_parse(const struct oci_mount *m, size_t index, const struct mount_parse *p,
                     struct arena *a, struct mount_plan *out, struct err *e);

/* "rslave" ... to MS_SLAVE | MS_REC; 0 if it is no such word. */
unsigned long mount_propagation(const char *word);

/* True for a file system on a block device of the host. */
bool mount_disk_wanted(const struct mount_plan *m);
/* Runs in: the runtime, outside of the container's groups, whose device rules would forbid the
 * disk. Needs: CAP_SYS_ADMIN. Leaves: in *tree the new mount, detached; or -1, where init is to
 * try. Must not: be used for other mounts. */
int mount_disk_open(const struct mount_plan *m, const struct rootfs_plan *p, int *tree,
                    struct err *e);

/* True if the source must be opened by the runtime, with the host's privilege: idmapped
 * mounts, and bind mounts of a container that has a user namespace of its own. */
bool mount_source_wanted(const struct mount_plan *m, bool userns);

/* Runs in: the runtime, in the mount namespace where the source is. Needs: CAP_SYS_ADMIN, for
 * idmapped mounts over the source's file system. Leaves: in *tree a detached clone of the
 * source with attributes, map and propagation set; or -1, where init is to open the source
 * itself (a link with copy-symlink, a kernel without open_tree). own_userns is a descriptor of
 * the container's user namespace for MOUNT_IDMAP_OWN, else -1. shared: rootfsPropagation is
 * shared, mounts of the host keep their peers; else the clone becomes a slave. Must not: be
 * used for other than binds. */
int mount_source_open(const struct mount_plan *m, bool shared, struct idmap_cache *cache,
                      int own_userns, int *tree, struct err *e);

/* Runs in: init, host's tree in view (or, for a live container, joined to it). Needs:
 * CAP_SYS_ADMIN over the mount namespace; r->root. Leaves: the mount at its destination below
 * the root, missing directories (or file) made. tree is what mount_source_open returned, or
 * -1; the caller closes it. Must not: follow a link out of the root. */
int mount_apply(const struct mount_plan *m, const struct rootfs_plan *p, struct rootfs *r, int tree,
                struct err *e);
