/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mount_copyup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define DEPTH_MAX 100

struct copyup {
	const char *dest; /* for messages */
	struct err *e;
};

static int copyup_dir(const struct copyup *c, int from, int to, int depth);

static int copyup_fail(const struct copyup *c, const char *name, int errnum)
{
	return fail(c->e, errnum, "copy \"%s\" to the tmpfs on \"%s\"", name, c->dest);
}

/* Owners that are not mapped in this user namespace cannot be given; the file stays root's. */
static bool owner_errno_ok(int errnum)
{
	return errnum == EPERM || errnum == EINVAL || errnum == EOVERFLOW;
}

/* Attributes that the tmpfs or our privilege does not allow are left behind. */
static void copyup_xattrs(int from, int to)
{
	ssize_t size = flistxattr(from, NULL, 0);
	autofree char *names = NULL;

	if (size <= 0)
		return;
	names = xmalloc((size_t)size);
	size = flistxattr(from, names, (size_t)size);
	for (ssize_t i = 0; i < size; i += (ssize_t)strlen(names + i) + 1) {
		ssize_t len = fgetxattr(from, names + i, NULL, 0);
		autofree char *value = len > 0 ? xmalloc((size_t)len) : NULL;

		if (len > 0)
			len = fgetxattr(from, names + i, value, (size_t)len);
		if (len >= 0)
			(void)fsetxattr(to, names + i, value, (size_t)len, 0);
	}
}

/* Owner before mode: chown(2) clears the set-id bits. */
static int copyup_meta(const struct copyup *c, const char *name, const struct stat *st, int from,
                       int to)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchown(to, st->st_uid, st->st_gid) < 0 && !owner_errno_ok(errno))
		return copyup_fail(c, name, errno);
	if (fchmod(to, st->st_mode & 07777) < 0)
		return copyup_fail(c, name, errno);
	copyup_xattrs(from, to);
	(void)futimens(to, times);
	return 0;
}

static int copyup_file(const struct copyup *c, int from, int to, const char *name)
{
	autofd in = path_try_beneath(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	autofd out = -1;
	struct stat st;
	ssize_t n;

	if (in < 0 || fstat(in, &st) < 0)
		return copyup_fail(c, name, errno);
	if (!S_ISREG(st.st_mode))
		return copyup_fail(c, name, EAGAIN);
	out = path_try_beneath(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (out < 0)
		return copyup_fail(c, name, errno);
	do
		n = sendfile(out, in, NULL, 1 << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return copyup_fail(c, name, errno);
	return copyup_meta(c, name, &st, in, out);
}

static int copyup_link(const struct copyup *c, int from, int to, const char *name,
                       const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return copyup_fail(c, name, errno);
	target[n] = '\0';
	TRY(path_symlink(target, to, name, c->e));
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    !owner_errno_ok(errno))
		return copyup_fail(c, name, errno);
	return 0;
}

static int copyup_node(const struct copyup *c, int to, const char *name, const struct stat *st)
{
	if (path_mknod(to, name, st->st_mode & (S_IFMT | 07777), st->st_rdev, c->e) < 0)
		return c->e->errnum == EPERM ? 0 : -1; /* a device, in a user namespace */
	if (fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 &&
	    !owner_errno_ok(errno))
		return copyup_fail(c, name, errno);
	return 0;
}

static int copyup_subdir(const struct copyup *c, int from, int to, const char *name, int depth)
{
	autofd in = path_try_beneath(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	autofd made = -1, out = -1;
	struct stat st;

	if (in < 0 && errno == EXDEV)
		return 0; /* a mount of the container: not part of what is covered */
	if (in < 0 || fstat(in, &st) < 0)
		return copyup_fail(c, name, errno);
	made = path_mkdirs(to, name, 0700, c->e);
	if (made < 0)
		return -1;
	out = path_open(made, ".", O_RDONLY | O_DIRECTORY, c->e);
	if (out < 0)
		return -1;
	TRY(copyup_dir(c, in, out, depth + 1));
	return copyup_meta(c, name, &st, in, out);
}

static int copyup_entry(const struct copyup *c, int from, int to, const char *name, int depth)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : copyup_fail(c, name, errno);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		return copyup_file(c, from, to, name);
	case S_IFDIR:
		return copyup_subdir(c, from, to, name, depth);
	case S_IFLNK:
		return copyup_link(c, from, to, name, &st);
	case S_IFSOCK:
		return 0; /* nobody listens on the copy */
	default:
		return copyup_node(c, to, name, &st);
	}
}

static int copyup_dir(const struct copyup *c, int from, int to, int depth)
{
	autofd again = path_open(from, ".", O_RDONLY | O_DIRECTORY, c->e);
	autodir *dir = again < 0 ? NULL : fdopendir(again);
	const struct dirent *d;

	if (!dir)
		return again < 0 ? -1 : copyup_fail(c, ".", errno);
	(void)take_fd(&again); /* dir owns it */
	if (depth > DEPTH_MAX)
		return copyup_fail(c, "directories", ELOOP);
	while ((errno = 0, d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			TRY(copyup_entry(c, from, to, d->d_name, depth));
	return errno ? copyup_fail(c, ".", errno) : 0;
}

int copyup_tree(int from, int to, unsigned keep, const char *dest, struct err *e)
{
	const struct copyup c = {dest, e};
	struct stat st;

	TRY(copyup_dir(&c, from, to, 0));
	if (fstat(from, &st) < 0)
		return copyup_fail(&c, ".", errno);
	if (keep & COPYUP_KEEP_UID)
		st.st_uid = (uid_t)-1;
	if (keep & COPYUP_KEEP_GID)
		st.st_gid = (gid_t)-1;
	if (fchownat(to, "", st.st_uid, st.st_gid, AT_EMPTY_PATH) < 0 && !owner_errno_ok(errno))
		return copyup_fail(&c, ".", errno);
	return 0;
}
