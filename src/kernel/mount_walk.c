/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes of a whole tree of mounts without mount_setattr(2): mountinfo tells which mounts are
 * below, and each is opened by name and taken only if the kernel says that it is that mount, so
 * nobody who renames directories meanwhile can turn the change to another one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "kernel/mount_tree.h"
#include "kernel/procfs.h"

#define MOUNTINFO_MAX (64u << 20)

struct walk_mount {
	int id, parent;
	const char *point; /* in the text of mountinfo */
	bool below;
};

struct walk {
	int proc;
	char *text;
	struct walk_mount *v;
	size_t n;
};

static char *walk_read(int proc, const char *name)
{
	struct err e = {0};
	autofd fd = procfs_open_self(proc, name, O_RDONLY, &e);
	char *text = fd < 0 ? NULL : fd_read_all(fd, MOUNTINFO_MAX, NULL, &e);

	if (!text)
		errno = e.errnum ? e.errnum : EOPNOTSUPP;
	return text;
}

/* The id of the mount that fd is on; -1 with errno. */
static int walk_id(int proc, int fd)
{
	char name[32];
	autofree char *text = NULL;
	const char *at;

	(void)snprintf(name, sizeof(name), "fdinfo/%d", fd);
	text = walk_read(proc, name);
	at = text ? strstr(text, "mnt_id:") : NULL;
	if (at)
		return (int)strtol(at + strlen("mnt_id:"), NULL, 10);
	if (text)
		errno = EOPNOTSUPP;
	return -1;
}

/* Names have blanks and backslashes as three octal digits. */
static void name_unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ..." */
static bool line_parse(char *line, struct walk_mount *m)
{
	char *field[5];

	for (size_t i = 0; i < COUNT(field); i++) {
		field[i] = strsep(&line, " ");
		if (!field[i] || !line)
			return false;
	}
	name_unescape(field[4]);
	*m = (struct walk_mount){.id = (int)strtol(field[0], NULL, 10),
	                         .parent = (int)strtol(field[1], NULL, 10),
	                         .point = field[4]};
	return true;
}

static int walk_parse(struct walk *w)
{
	char *rest;

	w->text = walk_read(w->proc, "mountinfo");
	rest = w->text;
	if (!rest)
		return -1;
	while (rest && *rest) {
		w->v = xrealloc(w->v, w->n + 1, sizeof(*w->v));
		if (line_parse(strsep(&rest, "\n"), &w->v[w->n]))
			w->n++;
	}
	return 0;
}

static bool walk_is_below(const struct walk *w, size_t i, int top)
{
	if (w->v[i].parent == top)
		return true;
	for (size_t k = 0; k < w->n; k++)
		if (w->v[k].below && w->v[k].id == w->v[i].parent)
			return true;
	return false;
}

/* A child may be listed before its parent. */
static void walk_mark(struct walk *w, int top)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < w->n; i++) {
			if (w->v[i].below || w->v[i].id == top || !walk_is_below(w, i, top))
				continue;
			w->v[i].below = more = true;
		}
	}
}

/* A mount that another one covers is not to be reached by name: an error, for whoever can take the
 * cover off would find it unchanged. */
static int walk_change(const struct walk *w, const struct walk_mount *m,
                       const struct tree_change *c)
{
	const struct tree_change one = {.set = c->set, .clr = c->clr, .userns = -1};
	autofd fd = fd_try_open(AT_FDCWD, m->point, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int id = fd < 0 ? -1 : walk_id(w->proc, fd);

	if (id < 0)
		return -1;
	if (id != m->id) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return old_set(fd, &one);
}

static int walk_run(struct walk *w, int mount, const struct tree_change *c)
{
	int top = walk_id(w->proc, mount);

	if (top < 0 || walk_parse(w) < 0)
		return -1;
	walk_mark(w, top);
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].below && walk_change(w, &w->v[i], c) < 0)
			return -1;
	return 0;
}

int walk_set(int mount, const struct tree_change *c)
{
	struct err e = {0};
	autofd proc = procfs_open(PROCFS_PID, &e);
	struct walk w = {.proc = proc};
	int rc, saved;

	if (proc < 0) {
		errno = e.errnum ? e.errnum : EOPNOTSUPP;
		return -1;
	}
	rc = walk_run(&w, mount, c);
	saved = errno;
	free(w.text);
	free(w.v);
	errno = saved;
	return rc;
}
