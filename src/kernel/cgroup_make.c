/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a container's groups and moves processes into them. */
#include "kernel/cgroup_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_resources.h"
#include "kernel/cgroup_systemd.h"

static bool is_permission(int errnum)
{
	return errnum == EACCES || errnum == EPERM || errnum == EROFS;
}

static void dir_drop(struct cgroup *cg, size_t i)
{
	free(cg->v[i].controllers);
	free(cg->v[i].path);
	cg->n--;
	memmove(&cg->v[i], &cg->v[i + 1], (cg->n - i) * sizeof(cg->v[0]));
}

void cgroup_drop_missing(struct cgroup *cg)
{
	for (size_t i = cg->rootless ? cg->n : 0; i-- > 0;)
		if (access(cg->v[i].path, F_OK) < 0 && errno == ENOENT)
			dir_drop(cg, i);
}

/* Whether the hierarchy of d holds what the configuration asks for. */
static bool is_wanted(const struct cgroup_plan *p, const struct cgroup_dir *d)
{
	for (size_t i = 0; i < p->settings->n; i++)
		if (d->v2 && p->settings->v[i].v2)
			return true;
	return false; /* what a user lacks in version 1, cgroup_settings_write tells */
}

/* 1: made or adopted, 0: tolerated failure, -1: error. */
static int create_one(const struct cgroup_plan *p, struct cgroup_dir *d, struct err *e)
{
	int errnum;

	if (!d->made)
		return 1;
	if (cgroup_dir_make(d) == 0)
		return 1;
	errnum = errno;
	d->made = 0; /* not ours, whatever is there now */
	if (p->request->rootless && is_permission(errnum) && !is_wanted(p, d))
		return 0;
	fail(e, errnum, "make cgroup \"%s\"", d->path);
	if (p->request->rootless && is_permission(errnum))
		return fail_hint(e, "run in a cgroup that belongs to you, for example with "
		                    "\"systemd-run --user --scope -p Delegate=yes\"");
	return -1;
}

/* Whether the container's group gets every controller there is: its payload may make groups of its
 * own, or the host has version 1 beside. */
static bool wants_all(const struct cgroup_plan *p)
{
	return p->delegate || p->request->cgroup_rw || p->mode != CGROUP_MODE_V2;
}

static int dir_ready(const struct cgroup_plan *p, struct cgroup_dir *d, struct err *e)
{
	if (!d->v2)
		return cgroup_v1_fill(d, e);
	if (cgroup_dir_fd(d) < 0)
		return fail(e, errno, "open cgroup \"%s\"", d->path);
	cgroup_v2_enable(d, p->settings, wants_all(p));
	if (p->chown)
		return cgroup_v2_chown(d, p->request->owner, (gid_t)-1, e);
	return 0;
}

int cgroup_create(const struct cgroup_plan *p, struct cgroup *cg, struct err *e)
{
	if (p->manager != CGROUP_MANAGER_CGROUPFS)
		return 0;
	for (size_t i = 0; i < cg->n;) {
		int rc = create_one(p, &cg->v[i], e);

		TRY(rc);
		if (!rc) {
			log_debug("no permission for cgroup \"%s\", left out", cg->v[i].path);
			dir_drop(cg, i);
			continue;
		}
		TRY(dir_ready(p, &cg->v[i], e));
		i++;
	}
	return 0;
}

int cgroup_leaf_fd(struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);

	if (!d || (cg->manager == CGROUP_MANAGER_SYSTEMD && !d->entered))
		return -1;
	return cgroup_dir_fd(d);
}

void cgroup_entered(struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);

	if (d)
		d->entered = true;
}

int cgroup_dir_join(const struct cgroup_dir *d, const char *sub, pid_t pid)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", pid);
	if (sub && sub[0]) {
		autofree char *file = xasprintf("%s/cgroup.procs", sub[0] == '/' ? sub + 1 : sub);

		return cgroup_dir_write(d, file, number);
	}
	return cgroup_dir_write(d, "cgroup.procs", number);
}

/* Names the cause of a refused move. */
static int join_fail(const struct cgroup_dir *d, const char *sub, pid_t pid, int errnum,
                     struct err *e)
{
	uint64_t limit;

	fail(e, errnum, "move process %d to cgroup \"%s%s\"", pid, d->path, sub ? sub : "");
	if (errnum == EAGAIN && cgroup_dir_u64(d, "pids.max", &limit) == 0)
		return fail_hint(e, "pids.max is %llu", (unsigned long long)limit);
	if (errnum == ENOSPC)
		return fail_hint(e, "cpuset.cpus or cpuset.mems of the group is empty");
	if (errnum == EACCES && d->v2)
		return fail_hint(e,
		                 "the caller needs write access to cgroup.procs of the group that "
		                 "is above both groups");
	if (errnum == EBUSY && d->v2)
		return fail_hint(e, "the group has controllers enabled for groups below it");
	if (errnum == EINVAL)
		return fail_hint(e, "a realtime process needs cpu.realtimeRuntime there");
	return -1;
}

static int remake_all(struct cgroup *cg, struct err *e)
{
	int n = 0;

	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->v[i];

		if (d->v2 || access(d->path, F_OK) == 0)
			continue;
		if (!d->made) /* what its owner had set there went with it */
			return fail_hint(e, "somebody has removed \"%s\" since", d->path);
		TRY(cgroup_v1_again(d, e));
		TRY(cgroup_v1_fill(d, e));
		n++;
	}
	return n;
}

bool cgroup_remake(struct cgroup *cg, int tries, struct err *e)
{
	if (tries >= CGROUP_REMAKES || !cgroup_v1_gone(e) || remake_all(cg, e) < 1)
		return false;
	*e = (struct err){0};
	return true;
}

static int enter_all(struct cgroup *cg, pid_t pid, struct err *e)
{
	for (size_t i = 0; i < cg->n; i++) {
		if (cg->v[i].entered)
			continue;
		if (cgroup_dir_join(&cg->v[i], NULL, pid) < 0)
			return join_fail(&cg->v[i], NULL, pid, errno, e);
	}
	return 0;
}

int cgroup_enter(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	if (p->manager == CGROUP_MANAGER_SYSTEMD) {
		TRY(cgroup_systemd_start(p, cg, pid, e));
		TRY(cgroup_scope_find(p, cg, pid, e));
	}
	for (int i = 0; enter_all(cg, pid, e) < 0; i++) {
		if (!cgroup_remake(cg, i, e))
			return -1;
		TRY(cgroup_apply(p, cg, e));
	}
	return 0;
}

bool cgroup_delegate_wanted(const struct cgroup_plan *p)
{
	return p->delegate != NULL;
}

int cgroup_delegate(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);
	struct cgroup_dir leaf = {.fd = -1, .v2 = true};
	autofree char *path = NULL;

	if (!p->delegate)
		return 0;
	if (!d || cg->mode != CGROUP_MODE_V2)
		return fail(e, EOPNOTSUPP, "delegate a cgroup without cgroup version 2");
	path = xasprintf("%s/%s", d->path, p->delegate);
	leaf.path = path;
	leaf.mount_len = d->mount_len;
	if (cgroup_dir_make(&leaf) < 0 && errno != EEXIST)
		return fail(e, errno, "make cgroup \"%s\"", path);
	TRY(cgroup_v2_chown(&leaf, p->request->owner, p->request->owner_group, e));
	if (p->delegate_whole)
		TRY(cgroup_v2_chown(d, p->request->owner, p->request->owner_group, e));
	if (cgroup_dir_join(&leaf, NULL, pid) < 0)
		return join_fail(&leaf, NULL, pid, errno, e);
	/* Only now: a group with processes cannot give controllers to groups below it. */
	cgroup_v2_enable_below(d);
	free(cg->leaf);
	cg->leaf = xstrdup(p->delegate);
	return 0;
}

/* ---- processes that join later */

/* Splits "CTRL,CTRL:PATH" or "PATH"; both are owned by the caller. */
static int where_parse(const char *where, char **controllers, char **path, struct err *e)
{
	const char *colon = strchr(where, ':');

	*controllers = NULL;
	if (colon && memchr(where, '/', (size_t)(colon - where)))
		colon = NULL;
	*path = cgroup_path_clean(colon ? colon + 1 : where, e);
	if (!*path)
		return fail_prefix(e, "--cgroup");
	if (colon)
		*controllers = xstrndup(where, (size_t)(colon - where));
	return 0;
}

/* Whether a comma-separated list of words names the hierarchy of d. "" or NULL: all of them. */
static bool where_means(const char *list, const struct cgroup_dir *d)
{
	autofree char *copy = NULL;
	char *save = NULL;

	if (!list)
		return true;
	if (!list[0])
		return d->v2;
	copy = xstrdup(list);
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
		if (cgroup_list_has(d->controllers, w))
			return true;
	return false;
}

static int where_check(struct cgroup *cg, const char *list, struct err *e)
{
	autofree char *copy = xstrdup(list ? list : "");
	char *save = NULL;

	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct cgroup_dir *d = cgroup_dir_of(cg, w);

		if (!d || d->v2)
			return fail(e, EINVAL, "--cgroup: no version 1 hierarchy has \"%s\"", w);
	}
	return 0;
}

/* Init's own group in the hierarchy of d, below the mount. NULL if it cannot be told; the caller
 * frees. */
static char *init_group(const struct cgroup_dir *d, pid_t init)
{
	struct err ignored = {0};
	autofree char *text = NULL;
	char file[48];

	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", init);
	text = file_read(AT_FDCWD, file, 1u << 20, NULL, &ignored);
	return text ? cgroup_of(text, d->controllers) : NULL;
}

/* Version 2: the payload has moved init to a group below, the usual one takes no processes. */
static bool join_below(const struct cgroup_dir *d, pid_t init, pid_t pid)
{
	autofree char *group = init_group(d, init);
	const char *own = cgroup_dir_name(d);
	size_t n = strlen(own);

	return group && str_starts(group, own) && group[n] == '/' &&
	       cgroup_dir_join(d, group + n, pid) == 0;
}

/* Version 1: systemd takes away groups of controllers that it thinks nobody needs, and their
 * processes go up. Where init is, is where the others belong. */
static bool join_beside(const struct cgroup_dir *d, pid_t init, pid_t pid)
{
	autofree char *group = init_group(d, init);
	autofree char *path = NULL;
	struct cgroup_dir at = {.fd = -1};

	if (!group || str_starts(group, "/.."))
		return false;
	path = xasprintf("%.*s%s", d->mount_len, d->path, group[1] ? group : "");
	at.path = path;
	return cgroup_dir_join(&at, NULL, pid) == 0;
}

static int exec_enter_one(struct cgroup *cg, const struct cgroup_dir *d, const char *sub,
                          pid_t init, pid_t pid, struct err *e)
{
	int errnum;

	if (!sub && cg->leaf && d->v2)
		sub = cg->leaf;
	if (cgroup_dir_join(d, sub, pid) == 0)
		return 0;
	errnum = errno;
	if (d->v2 && errnum == EBUSY && join_below(d, init, pid))
		return 0;
	if (!d->v2 && errnum == ENOENT && !sub && join_beside(d, init, pid))
		return 0;
	return join_fail(d, sub, pid, errnum, e);
}

int cgroup_exec_enter(struct cgroup *cg, const char *where, pid_t init, pid_t pid, struct err *e)
{
	autofree char *list = NULL;
	autofree char *path = NULL;

	if (where)
		TRY(where_parse(where, &list, &path, e));
	TRY(where_check(cg, list, e));
	for (size_t i = 0; i < cg->n; i++) {
		const char *sub = path && path[1] && where_means(list, &cg->v[i]) ? path : NULL;

		if (!cg->v[i].entered || sub)
			TRY(exec_enter_one(cg, &cg->v[i], sub, init, pid, e));
	}
	return 0;
}

int cgroup_exec_fd(struct cgroup *cg, const char *where, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);
	autofree char *list = NULL;
	autofree char *path = NULL;
	const char *sub = NULL;
	int fd;

	e->errnum = 0;
	e->msg[0] = '\0';
	if (!d)
		return -1;
	if (where) {
		TRY(where_parse(where, &list, &path, e));
		TRY(where_check(cg, list, e));
		if (path[1] && where_means(list, d))
			sub = path + 1;
	}
	if (!sub)
		sub = cg->leaf ? cg->leaf : ".";
	fd = cgroup_dir_open(d, sub, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return fail(e, errno, "open cgroup \"%s/%s\"", d->path, sub);
	return fd;
}
