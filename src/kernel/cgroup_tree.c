/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"

#define DEPTH_MAX 16384 /* for the stack's sake; each level takes about 200 bytes */
#define KEEP_OPEN 64    /* further down, the way back up is ".." */
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

struct walk {
	int (*fn)(const struct cgroup_dir *d, void *data); /* NULL: remove what is below */
	void *data;
};

static void name_add(const char *name, unsigned char type, void *names)
{
	if (type == DT_DIR)
		strv_add(names, name);
}

/* The groups right below. They are listed first and visited then: the list may change meanwhile. */
static int names_read(int fd, struct strv *names)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink == 2) /* most have nothing below */
		return 0;
	return dir_each(fd, name_add, names);
}

static int walk_group(const struct walk *w, int *fd, int depth);

/* Visits one group below. fd is the group's own again afterwards. */
static int walk_below(const struct walk *w, int *fd, const char *name, int depth)
{
	autofd below = fd_try_open(*fd, name, DIR_FLAGS);
	int rc;

	if (below < 0)
		return errno == ENOENT ? 0 : -1;
	if (depth >= KEEP_OPEN)
		fd_close_at(fd);
	rc = walk_group(w, &below, depth + 1);
	if (*fd < 0 && below >= 0)
		*fd = fd_try_open(below, "..", DIR_FLAGS);
	if (*fd < 0)
		return -1;
	return rc < 0 && errno == ENOENT ? 0 : rc;
}

static int walk_group(const struct walk *w, int *fd, int depth)
{
	autostrv names = {0};
	struct cgroup_dir d = {.fd = -1};

	if (depth > DEPTH_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (names_read(*fd, &names) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		int rc = 0;

		if (w->fn || unlinkat(*fd, names.v[i], AT_REMOVEDIR) < 0)
			rc = walk_below(w, fd, names.v[i], depth);
		if (rc != 0)
			return rc;
		if (!w->fn)
			(void)unlinkat(*fd, names.v[i],
			               AT_REMOVEDIR); /* the caller's rmdir tells */
	}
	d.fd = *fd;
	return w->fn ? w->fn(&d, w->data) : 0;
}

static int walk_from(const char *path, const struct walk *w)
{
	autofd fd = fd_try_open(AT_FDCWD, path, DIR_FLAGS);

	return fd < 0 ? -1 : walk_group(w, &fd, 0);
}

int cgroup_tree_walk(const char *path, int (*fn)(const struct cgroup_dir *, void *), void *data)
{
	return walk_from(path, &(const struct walk){fn, data});
}

void cgroup_tree_prune(const char *path)
{
	(void)walk_from(path, &(const struct walk){0}); /* the caller's rmdir tells */
}
