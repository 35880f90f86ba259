/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_make.h"

/*
 * Fills a group, and those above it that are empty, from the nearest one that is not. Not only
 * those made here: another create may have made one of them and be about to fill it.
 */
static int cpuset_copy(const struct cgroup_dir *d, const char *file, struct err *e)
{
	struct cgroup_dir at = {.path = xstrdup(d->path), .fd = -1};
	autofree char *path = at.path;
	autofree char *value = NULL;
	unsigned up = 0;

	for (;; up++) {
		value = cgroup_dir_slurp(&at, file);
		if (!value)
			return fail(e, errno, "read \"%s/%s\"", at.path, file);
		value[strcspn(value, "\n")] = '\0';
		if (value[0])
			break;
		free(value);
		value = NULL;
		*strrchr(path, '/') = '\0';
	}
	for (; up; up--) {
		path[strlen(path)] = '/'; /* the next component is still behind the NUL */
		if (cgroup_dir_write(&at, file, value) < 0)
			return fail(e, errno, "write \"%s\" to \"%s/%s\"", value, at.path, file);
	}
	return 0;
}

static int cpuset_fill(const struct cgroup_dir *d, struct err *e)
{
	TRY(cpuset_copy(d, "cpuset.cpus", e));
	return cpuset_copy(d, "cpuset.mems", e);
}

bool cgroup_v1_gone(const struct err *e)
{
	/* ENODEV: it went after its file had been opened */
	return e->errnum == ENOENT || e->errnum == ENODEV;
}

int cgroup_v1_again(const struct cgroup_dir *d, struct err *e)
{
	return cgroup_dir_make(d) < 0 && errno != EEXIST
	               ? fail(e, errno, "make cgroup \"%s\" again", d->path)
	               : 0;
}

int cgroup_v1_fill(const struct cgroup_dir *d, struct err *e)
{
	if (!cgroup_list_has(d->controllers, "cpuset"))
		return 0;
	for (int i = 0; cpuset_fill(d, e) < 0; i++) {
		if (i >= CGROUP_REMAKES || !d->made || !cgroup_v1_gone(e))
			return -1;
		TRY(cgroup_v1_again(d, e));
		*e = (struct err){0};
	}
	return 0;
}
