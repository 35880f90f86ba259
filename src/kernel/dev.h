/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device nodes, the links below /dev, and /dev/console. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "ocispec.h"

struct arena;
struct err;
struct idmaps;
struct rootfs;
struct rootfs_plan;

/* Checks one entry of /linux/devices: type, numbers, path. Pure; sets the JSON pointer. */
int dev_check(const struct oci_device *d, size_t index, struct err *e);

/* mknod(1): "u" is an unbuffered character device; 0 if the word is none. */
mode_t dev_type(const char *type);
/* With the type and fileMode, or 0666. */
mode_t dev_mode(const struct oci_device *d);
dev_t dev_number(const struct oci_device *d); /* 0 of a fifo */

/* Runs in: the runtime, before init is cloned. Makes the devices of a container in a new user
 * namespace, with mode and owner: (*nodes)[i] is a detached mount of device i, or -1 (a fifo).
 * All are -1, or *nodes stays NULL, where none are needed or the caller may not make them, either.
 * Errors: an owner that the maps do not have. The caller closes them. */
int dev_nodes_make(const struct rootfs_plan *p, const struct idmaps *maps, struct arena *a,
                   int **nodes, struct err *e);

/* Runs in: init, host's tree in view, after rootfs_mounts. Needs: CAP_MKNOD, or else (in a user
 * namespace, or when mknod(2) is refused) r->nodes or the host's nodes, which are bind-mounted.
 * Leaves: the default nodes and links, the configured devices in their order, an empty file for
 * /dev/console if there will be a terminal. Nothing if /dev is a bind mount of the configuration.
 * Must not: follow a link out of the container; change a node that is already there. */
int dev_setup(const struct rootfs_plan *p, struct rootfs *r, struct err *e);

/* Runs in: init, after the pivot. Needs: pty, a descriptor of a terminal that was opened in this
 * mount namespace (TIOCGPTPEER of a master from the container's own /dev/ptmx).
 * Leaves: the terminal bound on /dev/console. Must not: truncate or follow what is there. */
int dev_console(struct rootfs *r, int pty, struct err *e);
