/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/claim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "kernel/cgroup.h"
#include "run/state.h"

static bool is_adopted(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		if (!cg->v[i].made)
			return true;
	return false;
}

/* Whether path is the group above, or below it. */
static bool is_within(const char *path, const char *above)
{
	size_t n = strlen(above);

	return str_starts(path, above) && (path[n] == '\0' || path[n] == '/');
}

/* The path of a group that both have; NULL if there is none. */
static const char *groups_common(const struct cgroup *cg, const struct cgroup *other)
{
	for (size_t i = 0; i < cg->n; i++)
		for (size_t j = 0; j < other->n && !cg->v[i].made; j++)
			if (is_within(cg->v[i].path, other->v[j].path))
				return cg->v[i].path;
	return NULL;
}

static int claim_check(int root, const char *name, const struct cgroup *cg, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup other = CGROUP_INIT;
	struct err ignored = {0};
	const char *path;

	/* what cannot be read, or goes this moment, claims nothing */
	if (container_open_in(root, name, STATE_LOOK | STATE_UNMADE, &k, &ignored) < 0 || !k.rec ||
	    !k.rec->cgroup || cgroup_peek(k.rec->cgroup, &other, &ignored) < 0)
		return 0;
	path = groups_common(cg, &other);
	if (!path)
		return 0;
	fail(e, EBUSY, "cgroup \"%s\" belongs to container \"%s\"", path, name);
	return fail_at(e, "/linux/cgroupsPath");
}

int groups_claimed_check(int root, const char *id, const struct cgroup *cg, struct err *e)
{
	autofd copy = is_adopted(cg) ? fd_try_open(root, ".", O_RDONLY | O_DIRECTORY) : -1;
	autodir *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir)
		return is_adopted(cg) ? fail(e, errno, "read the state root") : 0;
	copy = -1; /* dir's now */
	for (struct dirent *f; (f = readdir(dir));)
		if (*f->d_name != '.' && !str_eq(f->d_name, id))
			TRY(claim_check(root, f->d_name, cg, e));
	return 0;
}
