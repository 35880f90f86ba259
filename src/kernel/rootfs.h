/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The root file system: the tree that becomes "/", all mounts in it, the change of root, and what
 * is closed afterwards: masked and read-only paths. The calls in order, all in init:
 *
 *	rootfs_prepare, rootfs_mounts, dev_setup, [hooks], rootfs_pivot, [sysctls], rootfs_seal,
 *	[pty from the container's /dev/ptmx], dev_console, rootfs_close
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kernel/mount.h"

struct arena;
struct err;

/* A mount of type "cgroup" shows each of these. Filled by whoever knows the container's
 * cgroups. */
struct cgroup_mount {
	const char *name; /* directory made for it: "memory", "cpu,cpuacct", "unified" */
	const char *const
		*links; /* further names of a joint hierarchy: "cpu", "cpuacct"; NULL-ended */
	const char *host_path; /* the container's own group as a path of the host; NULL: unknown */
	const char *mount;     /* the whole hierarchy, where the host has it */
	const char *options;   /* of a new mount: "cpu,cpuacct", "none,name=systemd"; v2: NULL */
};

enum rootfs_cgroup {
	ROOTFS_CGROUP_NONE, /* none on the host, or the manager is disabled: an empty tmpfs */
	ROOTFS_CGROUP_V1,   /* v1 and hybrid: a tmpfs with one mount for each of cgroups */
	ROOTFS_CGROUP_V2    /* one mount of cgroup2; cgroups[0].host_path is the container's own */
};

/* What the root is to be. Pure data. */
struct rootfs_plan {
	const char *path; /* of the host, absolute */
	bool readonly;
	unsigned long propagation; /* MS_SHARED ..., with MS_REC for "rshared"; 0: not given */
	int own_ns;                /* CLONE_NEW* of the namespaces that are not the runtime's */
	int new_ns;                /* those of them that are made, not joined */
	bool userns; /* own_ns has CLONE_NEWUSER: devices by bind, sources from the runtime */
	bool no_pivot;
	bool terminal;            /* /dev/console will be bound */
	const char *label;        /* mountLabel, or NULL */
	const char *label_option; /* "context", "fscontext", "defcontext", "rootcontext" */
	struct mount_plan *mounts;
	size_t n_mounts;
	const struct oci_device *devices;
	size_t n_devices;
	char *const *masked, *const *readonly_paths;
	size_t n_masked, n_readonly_paths;
	bool dev_skip; /* /dev is a bind mount: its content is the host's affair */
	enum rootfs_cgroup cgroup_mode;
	const struct cgroup_mount *cgroups;
	size_t n_cgroups;
};

/* What the plan needs to know besides the configuration. */
struct rootfs_request {
	const char *bundle; /* absolute */
	int own_ns, new_ns; /* as in the plan */
	bool no_pivot;
	const char *label_option;      /* annotation run.oci.mount_context_type; NULL: "context" */
	const char *named_group;       /* annotation run.oci.systemd.force_cgroup_v1, or NULL */
	const struct idmaps *own_maps; /* of the new user namespace, or NULL */
};

/* Makes the plan but for the cgroup fields, which the caller fills. Pure. Errors: what the
 * fields of /root, /mounts and /linux say wrong; masked or read-only paths, mounts, or a
 * read-only root without a mount namespace (they could not be had without changing the host). */
int rootfs_plan_make(const struct oci_config *c, const struct rootfs_request *q, struct arena *a,
                     struct rootfs_plan *out, struct err *e);

/* The live part, in init. Starts as ROOTFS_INIT. */
struct rootfs {
	int root;           /* O_PATH; the container's root, before and after the pivot */
	int null;           /* a detached clone of the host's /dev/null for masks */
	const int *sources; /* one a mount: descriptors from the runtime, or -1; NULL: none */
	const int *nodes;   /* one a device: likewise, of dev_nodes_make */
	bool old_api;       /* the calls that clone, change and move trees were found missing */
	bool old_fs;        /* those that make a file system, or move it, were */
	const char *path;   /* the root's name on the host, and again its descriptor: root is */
	int base;           /* another directory while hierarchies of cgroups are mounted */
	bool proc_mounted;  /* a procfs is in the tree: destinations are checked against it */
	struct {
		int fd;
		size_t index;
	} * later; /* tmpfs that becomes read-only in rootfs_seal */
	size_t n_later;
};
#define ROOTFS_INIT                                                                                \
	{                                                                                          \
		.root = -1, .null = -1, .base = -1                                                 \
	}

/* Runs in: init, host's tree in view. Needs: a mount namespace of its own or joined (else only
 * the root is opened). Leaves: the propagation of all mounts as the plan says (slave by
 * default), the root's parent mount not shared, a clone of the root mounted on itself, r->root
 * and r->null open. Must not: let a later mount reach the host. */
int rootfs_prepare(const struct rootfs_plan *p, struct rootfs *r, struct err *e);

/* How many mounts stand before the first of a cgroup file system: these can be made while the
 * runtime is still at work on the cgroups. */
size_t rootfs_mounts_free(const struct rootfs_plan *p);

/* Runs in: init. Needs: rootfs_prepare; r->sources filled for those mounts the runtime opened; for
 * cgroup mounts init in its cgroup, and its cgroup namespace. Leaves: mounts from .. to - 1 of the
 * plan, in order. */
int rootfs_mounts(const struct rootfs_plan *p, struct rootfs *r, size_t from, size_t to,
                  struct err *e);

/* Runs in: init, last step with the host's tree in view. Needs: CAP_SYS_ADMIN. Leaves: root
 * and cwd at the container's root, the host's tree detached; with no_pivot, or where the
 * host's root cannot be pivoted (ramdisk), the root is moved over it and entered by chroot(2);
 * without a mount namespace only the latter. Must not: keep a descriptor of the host's tree. */
int rootfs_pivot(const struct rootfs_plan *p, struct rootfs *r, struct err *e);

/* Runs in: init, inside. Needs: rootfs_pivot; sysctls set. Leaves: read-only and masked paths
 * (those that are missing are skipped), the deferred read-only tmpfs, a read-only root, its
 * propagation. Must not: take anything of the container as a mask. */
int rootfs_seal(const struct rootfs_plan *p, struct rootfs *r, struct err *e);

void rootfs_close(struct rootfs *r);
