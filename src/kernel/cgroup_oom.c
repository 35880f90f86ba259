/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* News of killed processes, and what is kept of a container that has ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_stats.h"
#include "kernel/oom_log.h"

static int oom_count(const struct cgroup_dir *d, uint64_t *n)
{
	char buf[512];

	if (cgroup_dir_read(d, d->v2 ? "memory.events" : "memory.oom_control", buf, sizeof(buf)) <
	    0)
		return -1;
	return cgroup_text_u64(buf, "oom_kill", n) ? 0 : -1;
}

static int open_v2(const struct cgroup_dir *d, struct cgroup_oom *o, struct err *e)
{
	autofree char *events = xasprintf("%s/memory.events", d->path);
	autofree char *state = xasprintf("%s/cgroup.events", d->path);
	autofd fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0)
		return fail(e, errno, "make an inotify instance");
	/* cgroup.events changes when the last process goes. */
	if (inotify_add_watch(fd, events, IN_MODIFY) < 0 ||
	    inotify_add_watch(fd, state, IN_MODIFY | IN_DELETE_SELF) < 0)
		return fail(e, errno, "watch \"%s\"", events);
	(void)oom_count(d, &o->seen);
	o->v2 = true;
	o->fd = take_fd(&fd);
	return 0;
}

static int open_v1(const struct cgroup_dir *d, struct cgroup_oom *o, struct err *e)
{
	autofd control = cgroup_dir_open(d, "memory.oom_control", O_RDONLY);
	autofd fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	char text[32];

	if (control < 0)
		return fail(e, errno, "open \"%s/memory.oom_control\"", d->path);
	if (fd < 0)
		return fail(e, errno, "make an eventfd");
	(void)snprintf(text, sizeof(text), "%d %d", fd, control);
	if (cgroup_dir_write(d, "cgroup.event_control", text) < 0)
		return fail(e, errno, "write to \"%s/cgroup.event_control\"", d->path);
	o->control = take_fd(&control);
	o->fd = take_fd(&fd);
	return 0;
}

int cgroup_oom_open(struct cgroup *cg, struct cgroup_oom *o, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "memory");

	*o = (struct cgroup_oom){.fd = -1, .control = -1};
	if (!d)
		return fail(e, 0, "the container has no memory cgroup, so OOM kills are not seen");
	return d->v2 ? open_v2(d, o, e) : open_v1(d, o, e);
}

static int read_v2(const struct cgroup_dir *d, struct cgroup_oom *o)
{
	char events[4096];
	uint64_t now = o->seen, before = o->seen, populated;

	while (read(o->fd, events, sizeof(events)) > 0)
		continue; /* the files tell, not the events */
	if (oom_count(d, &now) < 0 ||
	    cgroup_dir_read(d, "cgroup.events", events, sizeof(events)) < 0) {
		errno = ENODEV;
		return -1;
	}
	o->seen = now;
	if (now > before)
		return (int)(now - before);
	if (cgroup_text_u64(events, "populated", &populated) && !populated) {
		errno = ENODEV;
		return -1;
	}
	return 0;
}

int cgroup_oom_read(struct cgroup *cg, struct cgroup_oom *o)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "memory");
	uint64_t n = 0;

	if (o->v2)
		return read_v2(d, o);
	if (read(o->fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	/* The end of the group is an event as well. */
	if (access(d->path, F_OK) < 0 && --n == 0) {
		errno = ENODEV;
		return -1;
	}
	return (int)n;
}

void cgroup_oom_close(struct cgroup_oom *o)
{
	fd_close_at(&o->fd);
	fd_close_at(&o->control);
}

/* Its counters went with it; that there is no entry in the log proves nothing. */
static void exit_read_log(const struct cgroup_dir *memory, const struct proc_id *init,
                          struct cgroup_exit *x)
{
	struct oom_victims v;

	if (access(memory->path, F_OK) == 0 || errno != ENOENT)
		return;
	oom_victims_read(cgroup_dir_name(memory), init, &v);
	x->has_oom_kills = v.n > 0;
	x->oom_kills = v.n;
	x->init_oom_killed = v.init;
}

void cgroup_exit_read(struct cgroup *cg, const struct proc_id *init, struct cgroup_exit *x)
{
	struct cgroup_dir *memory = cgroup_dir_of(cg, "memory"), *pids = cgroup_dir_of(cg, "pids");
	struct cgroup_dir *cpu = cgroup_dir_of(cg, "cpuacct");
	char buf[1024];

	memset(x, 0, sizeof(*x));
	if (memory) {
		x->has_oom_kills = oom_count(memory, &x->oom_kills) == 0;
		x->has_memory_peak =
			cgroup_dir_u64(memory,
		                       memory->v2 ? "memory.peak" : "memory.max_usage_in_bytes",
		                       &x->memory_peak) == 0;
		if (!x->has_oom_kills)
			exit_read_log(memory, init, x);
	}
	if (pids)
		x->has_pids_peak = cgroup_dir_u64(pids, "pids.peak", &x->pids_peak) == 0;
	if (cpu && !cpu->v2)
		x->has_cpu = cgroup_dir_u64(cpu, "cpuacct.usage", &x->cpu_ns) == 0;
	else if (cpu && cgroup_dir_read(cpu, "cpu.stat", buf, sizeof(buf)) > 0 &&
	         cgroup_text_u64(buf, "usage_usec", &x->cpu_ns)) {
		x->has_cpu = true;
		x->cpu_ns *= 1000;
	}
}
