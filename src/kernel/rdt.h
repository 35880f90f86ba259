/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cache and memory bandwidth by resctrl: linux.intelRdt of config-linux.md, and the kernel's
 * Documentation/filesystems/resctrl.rst.
 *
 * A group is a directory in the mounted resctrl; its file schemata says what its processes get, its
 * file tasks lists them. A monitoring group is a directory in the group's mon_groups. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct arena;
struct err;
struct oci_intel_rdt;

/* Where a container is; goes into its record, so intent is known before anything is made. */
struct rdt {
	const char *root;    /* the mount point of resctrl; NULL: the container has no group */
	const char *group;   /* below root; "" for root itself */
	const char *monitor; /* a directory in mon_groups of the group, or NULL */
	bool own;            /* the group is made for this container and goes with it */
};

struct rdt_plan {
	struct rdt rdt;
	const char *schemata; /* what is written, or NULL */
	bool exists;          /* the group is there */
};

/* Checks and decides; looks at the host's resctrl and changes nothing. DAVIT_RESCTRL names another
 * directory than the mounted resctrl, for tests on hosts without the hardware: it is taken when
 * nobody but the caller can write to it. r NULL: no group. Strings live in a. */
int rdt_plan_make(const struct oci_intel_rdt *r, const char *id, struct arena *a,
                  struct rdt_plan *p, struct err *e);

/* Makes the groups and writes schemata. Runs in: the runtime. rdt_remove() undoes it. */
int rdt_create(const struct rdt_plan *p, struct err *e);

/* Moves a process, with one thread, into the groups. */
int rdt_enter(const struct rdt *r, pid_t pid, struct err *e);

/* Writes lines (each may be NULL) to schemata of a container that exists. */
int rdt_update(const struct rdt *r, const char *l3_cache_schema, const char *mem_bw_schema,
               struct err *e);

/* What schemata reads now, to be given to rdt_restore() when another part of an update fails; the
 * caller frees. NULL: the container has no group, or it cannot be read. */
char *rdt_schemata(const struct rdt *r);
void rdt_restore(const struct rdt *r, const char *schemata);

/* Removes what was made for the container; what is gone already is no error. */
int rdt_remove(const struct rdt *r, struct err *e);
