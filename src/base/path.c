/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/sys.h"
#include "base/walk.h"

static bool forced; /* tests only */

void path_force_fallback(bool on)
{
	forced = on;
}

static bool retry_time_left(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000000LL + now.tv_nsec - start->tv_nsec < 2000000;
}

/* openat2(2), again while a rename or mount elsewhere spoils it (EAGAIN): at most 128 times or
 * 2 ms, whichever lasts longer. */
static int path_openat2(int dir, const char *path, const struct open_how *how)
{
	struct timespec start = {0};
	int fd, tries = 0;

	do {
		fd = sys_openat2(dir, path, how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
		if (tries++ == 0)
			clock_gettime(CLOCK_MONOTONIC, &start);
	} while (tries < 128 || (tries < 100000 && retry_time_left(&start)));
	errno = EAGAIN;
	return -1;
}

/* The walk takes over where the call is missing or forbidden, and when races starve the call: ".."
 * costs the walk no retry. */
static bool path_wants_walk(int errnum)
{
	return errnum == ENOSYS || errnum == EPERM || errnum == EAGAIN;
}

/* openat2(2) refuses what open(2) ignores, and does not add O_LARGEFILE on 32 bit. */
static void path_flags(struct open_how *how)
{
	if (how->flags & O_PATH)
		how->flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	else
		how->flags |= O_LARGEFILE;
}

static int path_resolve(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOCTTY),
	                       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = -1;

	path_flags(&how);
	if (!forced)
		fd = path_openat2(root, path, &how);
	if (fd >= 0 || (!forced && !path_wants_walk(errno)))
		return fd;
	return walk_open(root, path, (int)how.flags, 0, 0);
}

int path_open(int root, const char *path, int flags, struct err *e)
{
	int fd = path_resolve(root, path, flags);

	return fd < 0 ? fail(e, errno, "open \"%s\" below the root", path) : fd;
}

int path_try_open(int root, const char *path, int flags)
{
	return path_resolve(root, path, flags);
}

int path_open_nofollow(int root, const char *path, int flags, struct err *e)
{
	return path_open(root, path, flags | O_NOFOLLOW, e);
}

int path_try_beneath(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOCTTY),
	                       .mode = flags & O_CREAT ? mode : 0,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS};
	int fd = -1;

	path_flags(&how);
	if (!forced)
		fd = path_openat2(dir, path, &how);
	if (fd >= 0 || (!forced && !path_wants_walk(errno)))
		return fd;
	return walk_open(dir, path, (int)how.flags, mode, WALK_BENEATH);
}

int path_beneath(int dir, const char *path, int flags, mode_t mode, struct err *e)
{
	int fd = path_try_beneath(dir, path, flags, mode);

	return fd < 0 ? fail(e, errno, "open \"%s\" beneath its directory", path) : fd;
}

int path_mkdirs(int root, const char *path, mode_t mode, struct err *e)
{
	int fd = path_resolve(root, path, O_PATH | O_DIRECTORY);

	if (fd < 0 && errno == ENOENT)
		fd = walk_open(root, path, O_PATH | O_DIRECTORY | O_CLOEXEC, mode, WALK_MKDIRS);
	return fd < 0 ? fail(e, errno, "make directory \"%s\" below the root", path) : fd;
}

int path_only_mkdir(int dir, const char *name, mode_t mode)
{
	if (strchr(name, '/')) {
		errno = EINVAL;
		return -1;
	}
	return mkdirat(dir, name, mode);
}

int path_try_mkdir(int dir, const char *name, mode_t mode)
{
	if (path_only_mkdir(dir, name, mode) < 0)
		return -1;
	return openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int path_mkfile(int root, const char *path, mode_t mode, struct err *e)
{
	int fd = path_resolve(root, path, O_PATH);

	if (fd < 0 && errno == ENOENT)
		fd = walk_open(root, path, O_PATH | O_CLOEXEC, mode, WALK_MKDIRS | WALK_MKFILE);
	return fd < 0 ? fail(e, errno, "make file \"%s\" below the root", path) : fd;
}

int path_parent(int root, const char *path, bool make, char name[256], struct err *e)
{
	size_t end = strlen(path), start;
	char parent[PATH_MAX];

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (end - start > NAME_MAX || start >= sizeof(parent) - 1)
		return fail(e, ENAMETOOLONG, "split \"%s\" into directory and name", path);
	memcpy(name, path + start, end - start);
	name[end - start] = '\0';
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fail(e, EINVAL, "split \"%s\" into directory and name", path);
	memcpy(parent, path, start);
	memcpy(parent + start, ".", 2);
	return make ? path_mkdirs(root, parent, 0755, e)
	            : path_open(root, parent, O_PATH | O_DIRECTORY, e);
}

int path_mknod(int dir, const char *name, mode_t mode, dev_t dev, struct err *e)
{
	if (strchr(name, '/'))
		return fail(e, EINVAL, "make node \"%s\"", name);
	if (mknodat(dir, name, mode, dev) < 0)
		return fail(e, errno, "make node \"%s\"", name);
	return 0;
}

int path_symlink(const char *target, int dir, const char *name, struct err *e)
{
	if (strchr(name, '/'))
		return fail(e, EINVAL, "make link \"%s\"", name);
	if (symlinkat(target, dir, name) < 0)
		return fail(e, errno, "make link \"%s\" to \"%s\"", name, target);
	return 0;
}

bool path_is_fs(int fd, long magic)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (unsigned)fs.f_type == (unsigned)magic;
}
