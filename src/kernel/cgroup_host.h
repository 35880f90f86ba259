/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which control group hierarchies this host has, and where they are mounted. The same list makes
 * the container's own cgroup mount. Source: cgroups(7), proc_pid_mountinfo(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

enum cgroup_mode {
	CGROUP_MODE_NONE,   /* no hierarchy is mounted */
	CGROUP_MODE_V1,     /* version 1 hierarchies only */
	CGROUP_MODE_V2,     /* the unified hierarchy only, at the usual place */
	CGROUP_MODE_HYBRID, /* both; the unified one may hold controllers too */
};

#define CGROUP_HIERS_MAX 24

/* One mounted hierarchy. */
struct cgroup_hier {
	const char *mount;       /* where: "/sys/fs/cgroup/cpu,cpuacct" */
	const char *controllers; /* "cpu,cpuacct", "name=systemd"; "" for the unified one */
	const char *root; /* the group that the mount shows as its root: "/" on a plain host */
	const char *own;  /* this process' group as a path below mount ("/" for its root); NULL if
	                          * it lies outside of what the mount shows, or is not known yet */
	bool v2;
};

struct cgroup_host {
	enum cgroup_mode mode;
	size_t n;
	struct cgroup_hier v[CGROUP_HIERS_MAX];
	char *text[2]; /* what the strings point into */
};

/* Fills h. On a pure version 2 host this is one statfs(2) and `own` stays NULL until
 * cgroup_host_own; else /proc/self/mountinfo and /proc/self/cgroup are read. */
int cgroup_host_detect(struct cgroup_host *h, struct err *e);

/* Fills each `own` that is missing, from /proc/self/cgroup. */
int cgroup_host_own(struct cgroup_host *h, struct err *e);

/* The pure parts. Both cut up the text they are given, which must stay as long as h. A line that
 * is not understood is skipped. */
void cgroup_host_parse_mountinfo(struct cgroup_host *h, char *mountinfo);
void cgroup_host_parse_own(struct cgroup_host *h, char *self_cgroup);

void cgroup_host_free(struct cgroup_host *h);

/* The hierarchy that has this controller ("memory", "name=systemd"); "" is the unified one. NULL if
 * there is none, or if the controller would have to be looked for in the unified one. */
const struct cgroup_hier *cgroup_host_find(const struct cgroup_host *h, const char *controller);

/* True if word is an element of the comma-separated list. */
bool cgroup_list_has(const char *list, const char *word);

/* The group of a process in the hierarchy `controllers` ("" for the unified one), from the text of
 * /proc/PID/cgroup, which is left as it is. NULL if it has none; the caller frees. */
char *cgroup_of(const char *proc_cgroup, const char *controllers);
