/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Removing a container's groups. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_host.h"
#include "kernel/cgroup_systemd.h"
#include "kernel/cgroup_tree.h"

/* The error when processes stay: names some of them. */
static int stay_fail(const struct cgroup_dir *d, struct err *e)
{
	struct cgroup one = {.n = 1, .v = {*d}};
	struct err ignored = {0};
	autofree pid_t *pids = NULL;
	autostr text = {0};
	size_t n = 0;

	if (cgroup_pids(&one, &pids, &n, &ignored) < 0)
		n = 0;
	for (size_t i = 0; i < n && i < 8; i++)
		str_addf(&text, "%s%d", i ? ", " : "", pids[i]);
	return fail(e, EBUSY, "remove cgroup \"%s\": processes stay: %s%s", d->path,
	            text.len ? text.s : "none that can be seen", n > 8 ? ", ..." : "");
}

/* Waits for the end of the first process of the group: the event that version 1 offers. */
static void v1_wait(const struct cgroup_dir *d, int ms)
{
	char buf[32];
	autofd pidfd = -1;

	if (cgroup_dir_read(d, "cgroup.procs", buf, sizeof(buf)) > 0)
		pidfd = (int)sys_pidfd_open((pid_t)strtol(buf, NULL, 10), 0);
	if (pidfd < 0 || proc_wait_gone(pidfd, ms) != 0)
		(void)poll(NULL, 0, ms < 1 ? ms : 1);
}

static void v2_wait(const struct cgroup_dir *d, int64_t deadline)
{
	autofd fd = cgroup_dir_open(d, "cgroup.events", O_RDONLY);
	char buf[256];

	while (fd >= 0) {
		ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);
		uint64_t populated;

		if (n < 0)
			return;
		buf[n] = '\0';
		if (!cgroup_text_u64(buf, "populated", &populated) || !populated ||
		    !cgroup_ms_left(deadline))
			return;
		cgroup_wait_event(fd, cgroup_ms_left(deadline));
	}
}

/* Groups above that this container made go as well, if no other container came to use them. The
 * default parent belongs to all of davit's containers: the last one takes it away. */
static void parents_remove(const struct cgroup_dir *d)
{
	autofree char *path = xstrdup(d->path);
	bool ours = str_starts(cgroup_dir_name(d), CGROUP_DEFAULT_PARENT "/");

	for (unsigned i = 1; i < d->made || ours; i++) {
		*strrchr(path, '/') = '\0';
		if (strlen(path) <= d->mount_len || rmdir(path) < 0)
			return;
	}
}

static int dir_remove(const struct cgroup_dir *d, int64_t deadline, struct err *e)
{
	if (!d->made) {
		if (d->v2)
			v2_wait(d, deadline);
		cgroup_tree_prune(d->path);
		return 0;
	}
	while (rmdir(d->path) < 0) {
		if (errno == ENOENT || errno == ENODEV)
			return 0;
		if (errno != EBUSY && errno != EINTR)
			return fail(e, errno, "remove cgroup \"%s\"", d->path);
		cgroup_tree_prune(d->path);
		if (rmdir(d->path) == 0)
			break;
		if (!cgroup_ms_left(deadline))
			return stay_fail(d, e);
		if (d->v2) {
			v2_wait(d, deadline);
			(void)poll(NULL, 0, 1); /* dying groups below take a moment */
		} else {
			v1_wait(d, cgroup_ms_left(deadline));
		}
	}
	parents_remove(d);
	return 0;
}

/* Whether a group is the container's by its name: the id, or one that holds an id too long to be
 * there by chance. */
static bool is_named_after(const char *group, const char *id)
{
	const char *name = strrchr(group, '/');

	return name && (str_eq(name + 1, id) || (strlen(id) >= 8 && strstr(name + 1, id)));
}

int cgroup_find(pid_t pid, const char *id, struct cgroup *cg, struct err *e)
{
	struct cgroup_host h;
	char file[32];
	autofree char *text = NULL;

	*cg = (struct cgroup)CGROUP_INIT;
	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	TRY(cgroup_host_detect(&h, e));
	text = file_read(AT_FDCWD, file, 1u << 20, NULL, e);
	if (text)
		cgroup_host_parse_own(&h, text);
	for (size_t i = 0; text && i < h.n; i++) {
		const struct cgroup_hier *at = &h.v[i];

		if (!at->own || !is_named_after(at->own, id))
			continue;
		cg->v[cg->n++] = (struct cgroup_dir){
			.path = xasprintf("%s%s", at->mount, at->own),
			.mount_len = (unsigned short)strlen(at->mount),
			.controllers = xstrdup(at->controllers),
			.v2 = at->v2,
			.made = 1,
			.fd = -1,
		};
	}
	cg->mode = h.mode;
	cg->manager = CGROUP_MANAGER_CGROUPFS;
	cgroup_host_free(&h);
	return text ? 0 : -1;
}

int cgroup_remove(struct cgroup *cg, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_ms() + timeout_ms;
	struct cgroup_dir *first = cgroup_dir_v2(cg);
	int rc = 0;

	/* The unified group first: it can tell when the processes are gone. One group that stays
	 * must not keep the others. The first error is kept. */
	if (cg->manager == CGROUP_MANAGER_SYSTEMD && cg->unit)
		TRY(cgroup_systemd_stop(cg, timeout_ms, e));
	if (first && dir_remove(first, deadline, e) < 0)
		rc = -1;
	for (size_t i = 0; i < cg->n; i++) {
		struct err other = {0};

		if (&cg->v[i] != first && dir_remove(&cg->v[i], deadline, rc ? &other : e) < 0)
			rc = -1;
	}
	return rc;
}
