/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Device nodes, the links below /dev, and /dev/console. */
#pragma once

#include <stddef.h>

#include "ocispec.h"

struct err;
struct rootfs;
struct rootfs_plan;

/* Checks one entry of /linux/devices: type, numbers, path. Pure; sets the JSON pointer. */
int dev_check(const struct oci_device *d, size_t index, struct err *e);

/* Runs in: init, host's tree in view, after rootfs_mounts. Needs: CAP_MKNOD, or else (in a user
 * namespace, or when mknod(2) is refused) the host's nodes, which are bind-mounted.
 * Leaves: the default nodes and links, the configured devices in their order, an empty file for
 * /dev/console if there will be a terminal. Nothing if /dev is a bind mount of the configuration.
 * Must not: follow a link out of the container; change a node that is already there. */
int dev_setup(const struct rootfs_plan *p, struct rootfs *r, struct err *e);

/* Runs in: init, after the pivot. Needs: pty, a descriptor of a terminal that was opened in this
 * mount namespace (TIOCGPTPEER of a master from the container's own /dev/ptmx).
 * Leaves: the terminal bound on /dev/console. Must not: truncate or follow what is there. */
int dev_console(struct rootfs *r, int pty, struct err *e);
