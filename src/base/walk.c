/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"

#ifndef AAFS_MAGIC
#define AAFS_MAGIC 0x5a3c69f0
#endif

enum {
	WALK_LINKS = 40,   /* MAXSYMLINKS of the kernel */
	WALK_LEVELS = 256, /* each holds a descriptor */
	WALK_RACES = 128
};

struct walk {
	int dirs[WALK_LEVELS]; /* [0] is the root, not ours */
	size_t depth;          /* index of the current directory */
	char *rest;            /* what is still to be walked; ours once a link was followed */
	char *buf;
	unsigned n_links;
	unsigned n_races;
	int flags;
	mode_t mode;
	unsigned rules;
};

static int walk_fail(int errnum)
{
	errno = errnum;
	return -1;
}

static int walk_cwd(const struct walk *w)
{
	return w->dirs[w->depth];
}

static void walk_up(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		fd_close_at(&w->dirs[w->depth--]);
}

/* Cuts the next component off rest into name. *dir: a slash follows, so it must be a directory;
 * *last: nothing but slashes follows. 1 if there is none, -1 with errno. */
static int walk_next(struct walk *w, char name[NAME_MAX + 1], bool *dir, bool *last)
{
	size_t len;

	w->rest += strspn(w->rest, "/");
	if (!*w->rest)
		return 1;
	len = strcspn(w->rest, "/");
	if (len > NAME_MAX)
		return walk_fail(ENAMETOOLONG);
	memcpy(name, w->rest, len);
	name[len] = '\0';
	w->rest += len;
	*dir = *w->rest == '/';
	*last = !w->rest[strspn(w->rest, "/")];
	return 0;
}

/* Whether a walk may follow the link fd that lies in dir. Magic links lead anywhere: on procfs only
 * those in its root (inode 1) are plain text, and securityfs holds one into apparmorfs. */
static int walk_check_link(int fd, int dir)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0)
		return -1;
	if (fs.f_flags & ST_NOSYMFOLLOW)
		return walk_fail(ELOOP);
	switch ((unsigned)fs.f_type) {
	case PROC_SUPER_MAGIC:
		if (fstat(dir, &st) < 0)
			return -1;
		return st.st_ino == 1 ? 0 : walk_fail(ELOOP);
	case AAFS_MAGIC:
	case SECURITYFS_MAGIC:
		return walk_fail(ELOOP);
	default:
		return 0;
	}
}

/* Puts the text of the link fd before the rest. */
static int walk_follow(struct walk *w, int fd)
{
	char text[PATH_MAX];
	size_t rest = strlen(w->rest);
	ssize_t n;
	char *buf;

	if ((w->rules & WALK_BENEATH) || ++w->n_links > WALK_LINKS)
		return walk_fail(ELOOP);
	if (walk_check_link(fd, walk_cwd(w)) < 0)
		return -1;
	n = readlinkat(fd, "", text, sizeof(text));
	if (n < 0)
		return -1;
	if (n == 0)
		return walk_fail(ENOENT);
	if ((size_t)n == sizeof(text))
		return walk_fail(ENAMETOOLONG);
	buf = xmalloc((size_t)n + rest + 1);
	memcpy(buf, text, (size_t)n);
	memcpy(buf + n, w->rest, rest + 1);
	free(w->buf);
	w->rest = w->buf = buf;
	if (buf[0] == '/')
		walk_up(w, 0);
	return 0;
}

/* 0 if name in the current directory is a link and was followed, 1 if it is none. */
static int walk_try_link(struct walk *w, const char *name)
{
	autofd fd = openat(walk_cwd(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISLNK(st.st_mode))
		return 1;
	return walk_follow(w, fd);
}

/* WALK_BENEATH: fd must be on the mount of the start. */
static int walk_check_mount(const struct walk *w, int fd)
{
	struct statx a, b;

	if (!(w->rules & WALK_BENEATH))
		return 0;
	if (statx(w->dirs[0], "", AT_EMPTY_PATH, STATX_MNT_ID, &a) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &b) < 0)
		return -1;
	/* without mount ids (before 5.8) a bind mount of the same device goes unseen */
	if (a.stx_dev_major != b.stx_dev_major || a.stx_dev_minor != b.stx_dev_minor ||
	    ((a.stx_mask & b.stx_mask & STATX_MNT_ID) && a.stx_mnt_id != b.stx_mnt_id))
		return walk_fail(EXDEV);
	return 0;
}

/* One more try after somebody else made or removed what we were about to make or open. */
static bool walk_race(struct walk *w)
{
	return ++w->n_races <= WALK_RACES;
}

/* Opens name, which is not the last component, and makes it the current directory. */
static int walk_down(struct walk *w, const char *name)
{
	int fd, link;

	if (w->depth + 1 == WALK_LEVELS)
		return walk_fail(ENAMETOOLONG);
	for (;;) {
		fd = openat(walk_cwd(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			break;
		if (errno == ENOENT && (w->rules & WALK_MKDIRS)) {
			mode_t mode = w->rules & WALK_MKFILE ? 0755 : w->mode;

			if (mkdirat(walk_cwd(w), name, mode) < 0 && errno != EEXIST)
				return -1;
			if (!walk_race(w))
				return walk_fail(EAGAIN);
			continue;
		}
		if (errno != ENOTDIR && errno != ELOOP)
			return -1;
		link = walk_try_link(w, name);
		return link == 1 ? walk_fail(ENOTDIR) : link;
	}
	if (walk_check_mount(w, fd) < 0) {
		fd_close_at(&fd);
		return -1;
	}
	w->dirs[++w->depth] = fd;
	return 0;
}

static int walk_dotdot(struct walk *w)
{
	if (w->depth > 0)
		walk_up(w, w->depth - 1);
	else if (w->rules & WALK_BENEATH)
		return walk_fail(EXDEV);
	return 0;
}

/* Makes the last component if it is missing and is to be made: 0 to try again. */
static int walk_make_last(struct walk *w, const char *name, bool dir)
{
	int made;

	if ((w->rules & WALK_MKFILE) && !dir)
		made = mknodat(walk_cwd(w), name, S_IFREG | w->mode, 0);
	else if ((w->rules & WALK_MKDIRS) && !(w->rules & WALK_MKFILE))
		made = mkdirat(walk_cwd(w), name, w->mode);
	else
		return walk_fail(ENOENT);
	if (made < 0 && errno != EEXIST)
		return -1;
	return walk_race(w) ? 0 : walk_fail(EAGAIN);
}

/* Opens the last component as the caller wants it. 1 and *fd: done; 0: a link was followed. */
static int walk_last(struct walk *w, const char *name, bool dir, int *fd)
{
	bool follow = dir || !(w->flags & O_NOFOLLOW);
	int flags = w->flags | O_NOFOLLOW | (dir ? O_DIRECTORY : 0), link;
	struct stat st;

	if (dir && (w->flags & O_CREAT)) /* O_CREAT|O_DIRECTORY made a file before 6.4 */
		return walk_fail(EISDIR);
	for (;;) {
		*fd = openat(walk_cwd(w), name, flags, w->mode);
		if (*fd >= 0)
			break;
		if (errno == ENOENT && walk_make_last(w, name, dir) == 0)
			continue;
		/* what a link gives without O_PATH, or with O_DIRECTORY */
		if (!follow || (errno != ELOOP && errno != ENOTDIR))
			return -1;
		link = walk_try_link(w, name);
		return link == 1 ? walk_fail(ENOTDIR) : link;
	}
	if (walk_check_mount(w, *fd) < 0)
		goto bad;
	if (!(w->flags & O_PATH) || !follow)
		return 1;
	/* O_PATH|O_NOFOLLOW opens links themselves */
	if (fstat(*fd, &st) < 0)
		goto bad;
	if (!S_ISLNK(st.st_mode))
		return 1;
	link = walk_follow(w, *fd);
	fd_close_at(fd);
	return link;
bad:
	fd_close_at(fd);
	return -1;
}

/* The path ends in a directory that is already open. */
static int walk_here(struct walk *w, int *fd)
{
	*fd = openat(walk_cwd(w), ".", w->flags & ~O_NOFOLLOW, w->mode);
	return *fd < 0 ? -1 : 1;
}

/* One component. 1 and *fd: arrived; 0: go on. */
static int walk_step(struct walk *w, int *fd)
{
	char name[NAME_MAX + 1];
	bool dir, last;
	int n = walk_next(w, name, &dir, &last);

	if (n != 0)
		return n < 0 ? -1 : walk_here(w, fd);
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return walk_dotdot(w);
	if (last)
		return walk_last(w, name, dir, fd);
	return walk_down(w, name);
}

int walk_open(int root, const char *path, int flags, mode_t mode, unsigned rules)
{
	struct walk w = {.flags = flags, .mode = mode, .rules = rules};
	int fd = -1, done;

	if (!*path)
		return walk_fail(ENOENT);
	if (strlen(path) >= PATH_MAX)
		return walk_fail(ENAMETOOLONG);
	if ((rules & WALK_BENEATH) && *path == '/')
		return walk_fail(EXDEV);
	w.dirs[0] = root;
	w.rest = w.buf = xstrdup(path);
	do {
		done = walk_step(&w, &fd);
	} while (done == 0);
	walk_up(&w, 0);
	free_at(&w.buf);
	return done < 0 ? -1 : fd;
}
