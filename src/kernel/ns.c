/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"

const struct ns_type ns_types[NS_COUNT] = {
	[NS_USER] = {"user",    "user",   CLONE_NEWUSER  },
	[NS_PID] = {"pid",     "pid",    CLONE_NEWPID   },
	[NS_NET] = {"network", "net",    CLONE_NEWNET   },
	[NS_IPC] = {"ipc",     "ipc",    CLONE_NEWIPC   },
	[NS_UTS] = {"uts",     "uts",    CLONE_NEWUTS   },
	[NS_CGROUP] = {"cgroup",  "cgroup", CLONE_NEWCGROUP},
	[NS_TIME] = {"time",    "time",   CLONE_NEWTIME  },
	[NS_MNT] = {"mount",   "mnt",    CLONE_NEWNS    },
};

static int ns_kind_find(const char *name)
{
	for (int k = 0; k < NS_COUNT; k++)
		if (strcmp(ns_types[k].name, name) == 0)
			return k;
	return -1;
}

/* A joined user, pid or time namespace, time offsets, or a join below a new user namespace need a
 * process in between. */
static bool ns_needs_stage(const struct ns_plan *p)
{
	if (p->join_flags & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWTIME))
		return true;
	if ((p->new_flags & CLONE_NEWUSER) && p->join_flags)
		return true;
	return p->new_flags & CLONE_NEWTIME;
}

int ns_late_flags(const struct ns_plan *plan)
{
	/* the stage is that root when it clones init */
	return plan->new_flags & CLONE_NEWUSER && !plan->stage ? plan->new_flags & CLONE_NEWIPC : 0;
}

static int ns_offsets_check(const struct oci_linux *linux_, struct ns_plan *out, struct err *e)
{
	const struct oci_time_offset_map *m = &linux_->time_offsets;

	if (!m->n)
		return 0;
	for (size_t i = 0; i < m->n; i++) {
		const char *clock = m->keys[i];

		if (!str_eq(clock, "monotonic") && !str_eq(clock, "boottime")) {
			fail(e, 0, "a time namespace has no clock \"%.64s\": monotonic or boottime",
			     clock);
			return fail_at(e, "/linux/timeOffsets/%s", clock);
		}
		if (m->values[i].nanosecs > 999999999) {
			fail(e, 0, "%u nanoseconds are a second or more", m->values[i].nanosecs);
			return fail_at(e, "/linux/timeOffsets/%s/nanosecs", clock);
		}
	}
	if (!(out->new_flags & CLONE_NEWTIME)) {
		fail(e, 0, "time offsets need a new time namespace");
		return fail_at(e, "/linux/timeOffsets");
	}
	out->offsets = m;
	return 0;
}

int ns_plan_make(const struct oci_linux *linux_, struct ns_plan *out, struct err *e)
{
	*out = (struct ns_plan){0};
	if (!linux_)
		return 0;
	for (size_t i = 0; i < linux_->n_namespaces; i++) {
		const struct oci_namespace *n = &linux_->namespaces[i];
		int k = ns_kind_find(n->type);

		if (k < 0) {
			fail(e, 0, "unknown namespace type \"%s\"", n->type);
			return fail_at(e, "/linux/namespaces/%zu/type", i);
		}
		if ((out->new_flags | out->join_flags) & ns_types[k].flag) {
			fail(e, 0, "namespace \"%s\" is listed twice", n->type);
			return fail_at(e, "/linux/namespaces/%zu", i);
		}
		out->index[k] = i;
		if (n->path && *n->path) {
			out->path[k] = n->path;
			out->join_flags |= ns_types[k].flag;
		} else {
			out->new_flags |= ns_types[k].flag;
		}
	}
	TRY(ns_offsets_check(linux_, out, e));
	out->stage = ns_needs_stage(out);
	return 0;
}

static int ns_open_one(enum ns_kind k, const char *path, struct err *e)
{
	autofd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int type;

	if (fd < 0)
		return fail(e, errno, "open %s namespace \"%s\"", ns_types[k].name, path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type < 0)
		return fail(e, 0, "\"%s\" is not a namespace", path);
	if (type != ns_types[k].flag) {
		char text[32];

		return fail(e, 0, "\"%s\" is a %s namespace, not a %s namespace", path,
		            ns_flags_text(type, text, sizeof text), ns_types[k].name);
	}
	return take_fd(&fd);
}

static bool ns_is_own(int fd, enum ns_kind k)
{
	char path[40];
	struct stat a, b;

	snprintf(path, sizeof path, "/proc/self/ns/%s", ns_types[k].proc);
	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

int ns_open(const struct ns_plan *plan, int fds[NS_COUNT], struct err *e)
{
	for (int k = 0; k < NS_COUNT; k++) {
		fds[k] = -1;
		if (!plan->path[k])
			continue;
		fds[k] = ns_open_one(k, plan->path[k], e);
		if (fds[k] < 0) {
			fail_at(e, "/linux/namespaces/%zu/path", plan->index[k]);
			while (--k >= 0)
				fd_close_at(&fds[k]);
			return -1;
		}
		if (k == NS_USER && ns_is_own(fds[k], k))
			fd_close_at(&fds[k]);
	}
	return 0;
}

/* One pass over the opened namespaces but the user namespace; with tolerate, EPERM leaves one for
 * the next pass. */
static int ns_join_pass(const struct ns_plan *plan, const int fds[NS_COUNT], bool done[NS_COUNT],
                        bool tolerate, struct err *e)
{
	for (int k = NS_PID; k < NS_COUNT; k++) {
		if (fds[k] < 0 || done[k])
			continue;
		if (setns(fds[k], ns_types[k].flag) == 0) {
			done[k] = true;
		} else if (!tolerate || errno != EPERM) {
			fail(e, errno, "join %s namespace \"%s\"", ns_types[k].name, plan->path[k]);
			return fail_at(e, "/linux/namespaces/%zu", plan->index[k]);
		}
	}
	return 0;
}

int ns_join(const struct ns_plan *plan, const int fds[NS_COUNT], struct err *e)
{
	bool done[NS_COUNT] = {false};
	bool user = fds[NS_USER] >= 0;

	TRY(ns_join_pass(plan, fds, done, user, e));
	if (!user)
		return 0;
	if (setns(fds[NS_USER], CLONE_NEWUSER) < 0) {
		fail(e, errno, "join user namespace \"%s\"", plan->path[NS_USER]);
		return fail_at(e, "/linux/namespaces/%zu", plan->index[NS_USER]);
	}
	return ns_join_pass(plan, fds, done, false, e);
}

const char *ns_flags_text(int flags, char *text, size_t size)
{
	size_t at = 0;

	*text = '\0';
	for (int k = 0; k < NS_COUNT; k++)
		if ((flags & ns_types[k].flag) && at < size)
			at += (size_t)snprintf(text + at, size - at, "%s%s", at ? " " : "",
			                       ns_types[k].name);
	return text;
}

int ns_unshare(int flags, struct err *e)
{
	char text[64];

	if (flags == 0 || unshare(flags) == 0)
		return 0;
	fail(e, errno, "make new namespaces (%s)", ns_flags_text(flags, text, sizeof text));
	if (errno == ENOSPC)
		fail_hint(e, "raise the limits in /proc/sys/user/max_*_namespaces");
	return -1;
}

int ns_join_process(int pidfd, pid_t pid, int flags, struct err *e)
{
	struct ns_plan plan = {.join_flags = flags};
	char paths[NS_COUNT][32], text[64];
	int fds[NS_COUNT], r;

	if (flags == 0 || setns(pidfd, flags) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EPERM)
		return fail(e, errno, "join the container's namespaces (%s)",
		            ns_flags_text(flags, text, sizeof text));
	for (int k = 0; k < NS_COUNT; k++) {
		if (!(flags & ns_types[k].flag))
			continue;
		snprintf(paths[k], sizeof paths[k], "/proc/%d/ns/%s", pid, ns_types[k].proc);
		plan.path[k] = paths[k];
	}
	TRY(ns_open(&plan, fds, e));
	r = ns_join(&plan, fds, e);
	for (int k = 0; k < NS_COUNT; k++)
		fd_close_at(&fds[k]);
	e->at[0] = '\0';
	return r;
}

#define TIME_OFFSETS "/proc/self/timens_offsets"

int ns_time_open(struct err *e)
{
	int fd = open(TIME_OFFSETS, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	fail(e, errno, "open \"%s\"", TIME_OFFSETS);
	return fail_at(e, "/linux/timeOffsets");
}

int ns_time_offsets(int fd, const struct oci_time_offset_map *o, struct err *e)
{
	for (size_t i = 0; i < o->n; i++) {
		char text[64];
		int len = snprintf(text, sizeof text, "%s %lld %u", o->keys[i],
		                   (long long)o->values[i].secs, o->values[i].nanosecs);

		/* A write is taken at the beginning only, and the file knows no pwrite(2). */
		if (lseek(fd, 0, SEEK_SET) == 0 && write(fd, text, (size_t)len) == len)
			continue;
		fail(e, errno, "write \"%s\" to \"%s\"", text, TIME_OFFSETS);
		return fail_at(e, "/linux/timeOffsets/%s", o->keys[i]);
	}
	return 0;
}

#define INIT_USER_NS "user:[4026531837]" /* PROC_USER_INIT_INO, fixed since Linux 3.8 */

bool ns_user_is_other(void)
{
	char text[32] = "";

	return readlink("/proc/self/ns/user", text, sizeof text - 1) >= 0 &&
	       strcmp(text, INIT_USER_NS) != 0;
}

int ns_hostname(const char *hostname, const char *domainname, struct err *e)
{
	if (hostname && *hostname && sethostname(hostname, strlen(hostname)) < 0) {
		fail(e, errno, "set host name \"%s\"", hostname);
		return fail_at(e, "/hostname");
	}
	if (domainname && *domainname && setdomainname(domainname, strlen(domainname)) < 0) {
		fail(e, errno, "set domain name \"%s\"", domainname);
		return fail_at(e, "/domainname");
	}
	return 0;
}
