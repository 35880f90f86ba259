/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/members.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"

struct process {
	pid_t pid, parent;
	bool member;
};

struct table {
	struct process *v;
	size_t n, cap;
};

/* Field 4 of /proc/PID/stat; 0 if the process has gone. */
static pid_t parent_of(int proc, const char *name)
{
	autofree char *path = xasprintf("%s/stat", name);
	autofd fd = fd_try_open(proc, path, O_RDONLY);
	char text[256];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	const char *rest;

	if (len <= 0)
		return 0;
	text[len] = '\0';
	rest = strrchr(text, ')'); /* the name before it is at most 64 bytes */
	return rest && strlen(rest) > 4 ? (pid_t)strtol(rest + 4, NULL, 10) : 0;
}

static bool pid_ns_text(int proc, const char *name, char *text, size_t size)
{
	autofree char *path = xasprintf("%s/ns/pid", name);
	ssize_t len = readlinkat(proc, path, text, size - 1);

	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static void table_add(struct table *t, const struct process *p)
{
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 256;
		t->v = xrealloc(t->v, t->cap, sizeof *t->v);
	}
	t->v[t->n++] = *p;
}

static void table_read(DIR *d, pid_t init, bool own_pid_ns, struct table *t)
{
	char wanted[64] = "", ns[64];
	autofree char *init_name = xasprintf("%d", init);
	bool by_ns = own_pid_ns && pid_ns_text(dirfd(d), init_name, wanted, sizeof wanted);
	struct dirent *f;

	while ((f = readdir(d))) {
		struct process p = {.pid = (pid_t)strtol(f->d_name, NULL, 10)};

		if (!isdigit((unsigned char)f->d_name[0]))
			continue;
		p.parent = parent_of(dirfd(d), f->d_name);
		p.member = p.pid == init ||
		           (by_ns && pid_ns_text(dirfd(d), f->d_name, ns, sizeof ns) &&
		            strcmp(ns, wanted) == 0);
		if (p.parent || p.member)
			table_add(t, &p);
	}
}

static bool is_member(const struct table *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].pid == pid)
			return t->v[i].member;
	return false;
}

int members_list(pid_t init, bool own_pid_ns, pid_t **pids, size_t *n, struct err *e)
{
	autodir *d = opendir("/proc");
	struct table t = {0};

	*pids = NULL;
	*n = 0;
	if (!d)
		return fail(e, errno, "read \"/proc\"");
	table_read(d, init, own_pid_ns, &t);
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < t.n; i++)
			if (!t.v[i].member && is_member(&t, t.v[i].parent))
				more = t.v[i].member = true;
	}
	*pids = xmalloc((t.n + 1) * sizeof **pids);
	for (size_t i = 0; i < t.n; i++)
		if (t.v[i].member)
			(*pids)[(*n)++] = t.v[i].pid;
	free(t.v);
	return 0;
}
