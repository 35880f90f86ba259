/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_realtime.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_path.h"

#define RUNTIME "cpu.rt_runtime_us"
#define PERIOD  "cpu.rt_period_us"
/* The kernel compares budgets as parts of a CPU in this unit, rounded down. */
#define WHOLE (UINT64_C(1) << 20)

/* The first group above that lacks budget and is not ours to change. */
struct lack {
	char *path;
	uint64_t period;     /* us */
	uint64_t have, need; /* parts; 0 and 0: it cannot be told */
};

static uint64_t parts(uint64_t runtime, uint64_t period)
{
	if (runtime == UINT64_MAX)
		return WHOLE;
	return period ? (runtime << 20) / period : 0;
}

/* The runtime that is at least so many parts. */
static uint64_t runtime_of(uint64_t part, uint64_t period)
{
	return (part * period + WHOLE - 1) >> 20;
}

static bool budget_read(const char *path, uint64_t *period, uint64_t *part)
{
	const struct cgroup_dir d = {.path = (char *)path, .fd = -1};
	uint64_t runtime;

	if (cgroup_dir_u64(&d, RUNTIME, &runtime) < 0 || cgroup_dir_u64(&d, PERIOD, period) < 0)
		return false;
	*part = parts(runtime, *period);
	return true;
}

/* The budgets of all groups right below path but one. */
static uint64_t others_sum(const char *path, const char *except, size_t n)
{
	autodir *dir = opendir(path);
	uint64_t sum = 0;

	for (struct dirent *de; dir && (de = readdir(dir));) {
		autofree char *sub = NULL;
		uint64_t period, part;

		if (de->d_type != DT_DIR || de->d_name[0] == '.' ||
		    (strlen(de->d_name) == n && !strncmp(de->d_name, except, n)))
			continue;
		sub = xasprintf("%s/%s", path, de->d_name);
		if (budget_read(sub, &period, &part))
			sum += part;
	}
	return sum;
}

/* Whether the group that is `up` levels above the container's is one that davit made: for this
 * container, or for all. */
static bool is_ours(const struct cgroup_dir *d, const char *path, unsigned up)
{
	return up < d->made || str_eq(path + d->mount_len, CGROUP_DEFAULT_PARENT);
}

/*
 * Whether the group above path, which is `up` levels above the container's, has budget for `want`
 * parts in the group at path, besides what others have. With raise, it is given what it lacks, from
 * the top down, if it is ours. path is cut while this runs, and whole again afterwards.
 */
static bool room_have(const struct cgroup_dir *d, char *path, unsigned up, uint64_t want,
                      bool raise, struct lack *lack)
{
	const struct cgroup_dir above = {.path = path, .fd = -1};
	char *end = strrchr(path + d->mount_len, '/');
	uint64_t period, have, need, runtime;
	autofree char *text = NULL;
	bool enough = false;

	if (!end)
		return true;
	*end = '\0';
	if (budget_read(path, &period, &have)) {
		need = want + others_sum(path, end + 1, strlen(end + 1));
		runtime = runtime_of(need, period);
		enough = have >= need;
		if (!enough && is_ours(d, path, up)) {
			text = xasprintf("%" PRIu64, runtime);
			enough = room_have(d, path, up + 1, parts(runtime, period), raise, lack) &&
			         (!raise || cgroup_dir_write(&above, RUNTIME, text) == 0);
		} else if (!enough) {
			*lack = (struct lack){xstrdup(path), period, have, need};
		}
	}
	*end = '/';
	return enough;
}

static bool room_for(const struct cgroup_dir *d, const char *runtime, bool raise, struct lack *lack)
{
	autofree char *path = xstrdup(d->path);
	uint64_t period, have, wanted;

	*lack = (struct lack){0};
	if (str_to_u64(runtime, &wanted) < 0)
		wanted = UINT64_MAX; /* "-1" */
	return budget_read(path, &period, &have) &&
	       room_have(d, path, 1, parts(wanted, period), raise, lack);
}

bool cgroup_rt_make_room(const struct cgroup_dir *d, const char *runtime)
{
	struct lack lack;
	bool rc = room_for(d, runtime, true, &lack);

	free(lack.path);
	return rc;
}

int cgroup_rt_explain(const struct cgroup_dir *d, const char *runtime, struct err *e)
{
	struct lack lack;
	autofree char *path = NULL;
	const char *name;

	if (room_for(d, runtime, false, &lack) || !lack.path)
		return -1;
	path = lack.path;
	name = path[d->mount_len] ? path + d->mount_len : "/";
	fail(e, EINVAL,
	     "cgroup \"%s\" has %" PRIu64 " us of realtime in each %" PRIu64
	     " us, the groups below it would have %" PRIu64,
	     name, runtime_of(lack.have, lack.period), lack.period,
	     runtime_of(lack.need, lack.period));
	if (str_eq(name, "/"))
		return fail_hint(e, "ask for less, or take it from another group");
	return fail_hint(e, "write that to " RUNTIME " of \"%s\"", name);
}
