/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Freezing, thawing, counting and killing a container's processes by their group. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_tree.h"

#define V1_REFREEZE_MS 200
#define KILL_ROUNDS    50  /* of 1 ms */
#define KILL_FREEZE_MS 300 /* most of the time that a kill may take is for the end of processes */
#define HINT_PAUSE_MS  20

struct pid_list {
	pid_t *v;
	size_t n, cap;
};

static void pid_add(struct pid_list *l, pid_t pid)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->v = xrealloc(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = pid;
}

static int pids_of_one(const struct cgroup_dir *d, void *data)
{
	autofree char *text = cgroup_dir_slurp(d, "cgroup.procs");

	if (!text &&
	    errno == EOPNOTSUPP) /* a threaded group: the domain above lists its processes */
		return 0;
	if (!text)
		return -1;
	for (char *p = text; *p;) {
		char *end;
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid > 0) /* 0: a process of a pid namespace that this one cannot see */
			pid_add(data, (pid_t)pid);
		p = end + (*end == '\n');
	}
	return 0;
}

int cgroup_pids(struct cgroup *cg, pid_t **pids, size_t *n, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_main(cg);
	struct pid_list l = {0};

	*pids = NULL;
	*n = 0;
	if (!d)
		return 0;
	if (cgroup_tree_walk(d->path, pids_of_one, &l) < 0 && errno != ENOENT && errno != ENODEV) {
		int errnum = errno;

		free(l.v);
		return fail(e, errnum, "list the processes of cgroup \"%s\"", d->path);
	}
	*pids = l.v;
	*n = l.n;
	return 0;
}

/* ---- freezing */

static struct cgroup_dir *freezer_of(struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "freezer");

	return d;
}

static const char v1_file[] = "freezer.state", v2_file[] = "cgroup.freeze";

static bool group_frozen(const struct cgroup_dir *d)
{
	char buf[32];

	if (d->v2)
		return cgroup_dir_read(d, v2_file, buf, sizeof(buf)) > 0 && buf[0] == '1';
	return cgroup_dir_read(d, v1_file, buf, sizeof(buf)) > 0 && str_starts(buf, "FR");
}

int cgroup_frozen(struct cgroup *cg)
{
	struct cgroup_dir *d = freezer_of(cg);

	return d && group_frozen(d);
}

char *cgroup_freezer(struct cgroup *cg)
{
	struct cgroup_dir *d = freezer_of(cg);

	return d ? xasprintf("%s/%s", d->path, d->v2 ? v2_file : v1_file) : NULL;
}

bool cgroup_freezer_frozen(const char *file)
{
	autofree char *path = xstrdup(file);
	char *name = strrchr(path, '/');
	struct cgroup_dir d = {.path = path, .fd = -1};

	if (!name)
		return false;
	*name++ = '\0';
	d.v2 = str_eq(name, v2_file);
	return (d.v2 || str_eq(name, v1_file)) && group_frozen(&d);
}

/* Waits until cgroup.events says frozen (or not), an event file that poll(2) watches. */
static int v2_wait(const struct cgroup_dir *d, uint64_t wanted, int ms, struct err *e)
{
	int64_t deadline = clock_ms() + ms;
	autofd fd = cgroup_dir_open(d, "cgroup.events", O_RDONLY);
	char buf[256];

	if (fd < 0)
		return fail(e, errno, "open \"%s/cgroup.events\"", d->path);
	for (;;) {
		ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);
		uint64_t frozen;

		if (n < 0)
			return fail(e, errno, "read \"%s/cgroup.events\"", d->path);
		buf[n] = '\0';
		if (cgroup_text_u64(buf, "frozen", &frozen) && frozen == wanted)
			return 0;
		if (!cgroup_ms_left(deadline))
			return fail(e, ETIMEDOUT, "%s cgroup \"%s\"", wanted ? "freeze" : "thaw",
			            d->path);
		cgroup_wait_event(fd, cgroup_ms_left(deadline));
	}
}

static int v2_freeze(const struct cgroup_dir *d, int ms, struct err *e)
{
	if (cgroup_dir_write(d, "cgroup.freeze", "1") < 0)
		return fail(e, errno, "freeze cgroup \"%s\"", d->path);
	return v2_wait(d, 1, ms, e);
}

/* A version 1 freezer can stay in FREEZING for ever when a process forks or sleeps at the wrong
 * moment; thawing for an instant and freezing again gets it out. */
static int v1_freeze(const struct cgroup_dir *d, int ms, struct err *e)
{
	int64_t deadline = clock_ms() + ms, again = 0;
	int pause_ms = 0;

	for (;;) {
		char buf[32];

		if (clock_ms() >= again) {
			if (again)
				(void)cgroup_dir_write(d, "freezer.state", "THAWED");
			if (cgroup_dir_write(d, "freezer.state", "FROZEN") < 0)
				return fail(e, errno, "freeze cgroup \"%s\"", d->path);
			again = clock_ms() + V1_REFREEZE_MS;
		}
		if (cgroup_dir_read(d, "freezer.state", buf, sizeof(buf)) < 0)
			return fail(e, errno, "read \"%s/freezer.state\"", d->path);
		if (str_eq(buf, "FROZEN"))
			return 0;
		if (!cgroup_ms_left(deadline))
			return fail(e, ETIMEDOUT, "freeze cgroup \"%s\"", d->path);
		(void)poll(NULL, 0, pause_ms); /* the freezer has no event to wait for */
		pause_ms = pause_ms < 10 ? pause_ms + 1 : 10;
	}
}

/* Lets it run again without looking at the result: for paths that already have an error. */
static void thaw_quietly(const struct cgroup_dir *d)
{
	if (d->v2)
		(void)cgroup_dir_write(d, "cgroup.freeze", "0");
	else
		(void)cgroup_dir_write(d, "freezer.state", "THAWED");
}

/* Processes in uninterruptible sleep cannot be frozen by version 1: name them. */
static void freeze_hint(struct cgroup *cg, struct err *e)
{
	struct err ignored = {0};
	autofree pid_t *pids = NULL;
	size_t n;

	if (cgroup_pids(cg, &pids, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t start;
		char state;

		if (proc_stat(pids[i], &state, &start) == 0 && state == 'D') {
			(void)fail_hint(e, "process %d waits in the kernel (state D)", pids[i]);
			return;
		}
	}
}

static int freeze_within(struct cgroup *cg, int ms, struct err *e)
{
	struct cgroup_dir *d = freezer_of(cg);
	int rc;

	if (!d)
		return fail(e, EOPNOTSUPP, "freeze a container without a freezer cgroup");
	rc = d->v2 ? v2_freeze(d, ms, e) : v1_freeze(d, ms, e);
	if (rc < 0) {
		thaw_quietly(d);
		(void)poll(NULL, 0, HINT_PAUSE_MS); /* the frozen ones read as D as well */
		freeze_hint(cg, e);
	}
	return rc;
}

int cgroup_freeze(struct cgroup *cg, struct err *e)
{
	return freeze_within(cg, CGROUP_WAIT_MS, e);
}

static int v1_thaw(const struct cgroup_dir *d, struct err *e)
{
	char buf[32];

	if (cgroup_dir_write(d, "freezer.state", "THAWED") < 0)
		return fail(e, errno, "thaw cgroup \"%s\"", d->path);
	if (cgroup_dir_read(d, "freezer.state", buf, sizeof(buf)) < 0)
		return fail(e, errno, "read \"%s/freezer.state\"", d->path);
	if (!str_eq(buf, "THAWED"))
		return fail(e, EBUSY, "thaw cgroup \"%s\": a group above it is frozen", d->path);
	return 0;
}

int cgroup_thaw(struct cgroup *cg, struct err *e)
{
	struct cgroup_dir *d = freezer_of(cg);

	if (!d)
		return fail(e, EOPNOTSUPP, "thaw a container without a freezer cgroup");
	if (!d->v2)
		return v1_thaw(d, e);
	if (cgroup_dir_write(d, "cgroup.freeze", "0") < 0)
		return fail(e, errno, "thaw cgroup \"%s\"", d->path);
	return v2_wait(d, 0, CGROUP_WAIT_MS, e);
}

static int thaw_one(const struct cgroup_dir *d, void *data)
{
	(void)data;
	thaw_quietly(d);
	return 0;
}

void cgroup_thaw_killed(struct cgroup *cg)
{
	struct cgroup_dir *d = freezer_of(cg);
	struct stat st;

	/* Most have no group below: then there are two links. */
	if (d && !d->v2 && stat(d->path, &st) == 0 && st.st_nlink > 2)
		(void)cgroup_tree_walk(d->path, thaw_one, NULL); /* what stays, remove tells */
}

/* ---- killing */

static void signal_all(const pid_t *pids, size_t n, int sig)
{
	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], sig); /* gone meanwhile: fine */
}

/* Processes appear faster than they can be listed, or will not end: stops them for a moment. */
static int kill_frozen(struct cgroup *cg, struct cgroup_dir *freezer, struct err *e)
{
	struct err ignored = {0};
	autofree pid_t *pids = NULL;
	int rc;
	size_t n;

	if (freezer)
		(void)freeze_within(cg, KILL_FREEZE_MS,
		                    &ignored); /* what was not stopped is killed all the same */
	rc = cgroup_pids(cg, &pids, &n, e);
	if (rc == 0)
		signal_all(pids, n, SIGKILL);
	if (freezer)
		thaw_quietly(freezer);
	return rc;
}

/* Without cgroup.kill (5.14), or where it is refused. Only an empty list says that all are gone: a
 * process that is killed may have made another one that is not listed yet. */
static int kill_fallback(struct cgroup *cg, struct err *e)
{
	struct cgroup_dir *freezer = freezer_of(cg);

	for (int i = 0; i < KILL_ROUNDS; i++) {
		autofree pid_t *pids = NULL;
		size_t n;

		TRY(cgroup_pids(cg, &pids, &n, e));
		if (!n)
			return 0;
		signal_all(pids, n, SIGKILL);
		if (freezer && cgroup_frozen(cg))
			thaw_quietly(freezer);
		cgroup_thaw_killed(cg);
		(void)poll(NULL, 0, 1); /* they need a moment to end */
	}
	return kill_frozen(cg, freezer, e);
}

int cgroup_kill(struct cgroup *cg, int sig, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg), *freezer = freezer_of(cg);
	autofree pid_t *pids = NULL;
	size_t n;

	if (!cg->n)
		return 0;
	if (sig != SIGKILL) {
		TRY(cgroup_pids(cg, &pids, &n, e));
		signal_all(pids, n, sig);
		return 0;
	}
	if (d && cgroup_dir_write(d, "cgroup.kill", "1") == 0) {
		/* A version 1 freezer holds even processes that have been killed. */
		if (freezer && !freezer->v2 && cgroup_frozen(cg))
			thaw_quietly(freezer);
	} else {
		TRY(kill_fallback(cg, e));
	}
	cgroup_thaw_killed(cg);
	return 0;
}
