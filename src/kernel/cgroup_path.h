/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of groups: cgroupsPath of config.json, systemd's slice:prefix:name, paths below a
 * container's group. Pure text; nothing is looked up. */
#pragma once

#include <stdbool.h>

struct err;

/* All containers without a cgroupsPath of their own are below it. */
#define CGROUP_DEFAULT_PARENT "/davit"

/* A cleaned copy of path: one slash between components, none at the end, always one in front.
 * "." and ".." as a component, control characters, and components over 255 bytes are errors.
 * The caller frees. */
char *cgroup_path_clean(const char *path, struct err *e);

/* The group of a container below a hierarchy's mount for the cgroupfs manager. parent is the
 * default parent (CGROUP_DEFAULT_PARENT for root); path may be NULL. The caller frees. */
char *cgroup_path_resolve(const char *path, const char *parent, const char *id, struct err *e);

/* A unit of systemd. All three are owned; free with cgroup_unit_free. */
struct cgroup_unit {
	char *slice; /* "system.slice"; "-.slice" is the root */
	char *name;  /* "davit-web.scope", or a slice */
	char *path;  /* the group below the manager's own: "/system.slice/davit-web.scope" */
};

/* Makes a unit from "slice:prefix:name" (features: an empty slice is system.slice, or user.slice
 * when rootless; "-" is the root slice; a name that ends in .slice is a slice of its own; NULL or
 * "" means
 * ":davit:ID"). */
int cgroup_unit_parse(const char *path, const char *id, bool rootless, struct cgroup_unit *u,
                      struct err *e);
void cgroup_unit_free(struct cgroup_unit *u);

/* "a-b.slice" -> "/a.slice/a-b.slice"; "-.slice" -> "". The caller frees. */
char *cgroup_slice_path(const char *slice, struct err *e);
