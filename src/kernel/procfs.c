/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#define PROCFS_ROOT_INO 1 /* of every procfs */

/* A new instance, mounted nowhere. */
static int procfs_new(enum procfs_kind kind)
{
	autofd fs = sys_fsopen("proc", FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	/* Before Linux 5.8 there is no such option, and no harm in the whole. */
	if (kind == PROCFS_PID)
		(void)sys_fsconfig(fs, FSCONFIG_SET_STRING, "subset", "pid", 0);
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return sys_fsmount(fs, FSMOUNT_CLOEXEC,
	                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

/* A clone of /proc without what is mounted on it; in a user namespace whose /proc has locked
 * covers only a clone with them is to be had, and those are noticed when a file is opened. */
static int procfs_clone(void)
{
	int fd = sys_open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		fd = sys_open_tree(AT_FDCWD, "/proc",
		                   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	return fd;
}

static bool procfs_is_root(int fd)
{
	struct stat st;

	return path_is_fs(fd, PROC_SUPER_MAGIC) && fstat(fd, &st) == 0 &&
	       st.st_ino == PROCFS_ROOT_INO;
}

int procfs_open(enum procfs_kind kind, struct err *e)
{
	autofd fd = procfs_new(kind);

	if (fd < 0)
		fd = procfs_clone();
	if (fd < 0)
		fd = fd_try_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		fail(e, errno, "open a procfs");
		return fail_hint(e, "mount a procfs on /proc where the runtime runs");
	}
	if (!procfs_is_root(fd))
		return fail(e, 0, "\"/proc\" is not the root of a procfs");
	return take_fd(&fd);
}

int procfs_open_file(int proc, const char *path, int flags, struct err *e)
{
	int fd = path_try_beneath(proc, path, flags | O_CLOEXEC | O_NOCTTY, 0);

	if (fd >= 0)
		return fd;
	fail(e, errno, "open \"/proc/%s\"", path);
	if (errno == EXDEV)
		return fail_hint(e, "something is mounted over this file of procfs");
	return -1;
}

int procfs_put(int proc, const char *path, const char *text, struct err *e)
{
	autofd fd = procfs_open_file(proc, path, O_WRONLY, e);
	size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(e, errno, "write \"%s\" to \"/proc/%s\"", text, path);
	if ((size_t)n != len)
		return fail(e, 0, "write \"%s\" to \"/proc/%s\": cut short", text, path);
	return 0;
}

/* "self" names us by the pid of the namespace this procfs belongs to, which need not be
 * getpid(). */
static int procfs_self(int proc, const char *name, char *path, size_t size, struct err *e)
{
	char pid[16];
	ssize_t n = readlinkat(proc, "self", pid, sizeof(pid) - 1);

	if (n < 0)
		return fail(e, errno, "read the link \"/proc/self\"");
	pid[n] = '\0';
	if (n == 0 || strspn(pid, "0123456789") != (size_t)n)
		return fail(e, 0, "this process is not in the pid namespace of \"/proc\"");
	if (snprintf(path, size, "%s/%s", pid, name) >= (int)size)
		return fail(e, ENAMETOOLONG, "\"/proc/self/%s\"", name);
	return 0;
}

int procfs_put_self(int proc, const char *name, const char *text, struct err *e)
{
	char path[128];

	TRY(procfs_self(proc, name, path, sizeof(path), e));
	return procfs_put(proc, path, text, e);
}

int procfs_open_self(int proc, const char *name, int flags, struct err *e)
{
	char path[128];

	TRY(procfs_self(proc, name, path, sizeof(path), e));
	return procfs_open_file(proc, path, flags, e);
}

int procfs_get_self(int proc, const char *name, char *text, size_t size, struct err *e)
{
	autofd fd = procfs_open_self(proc, name, O_RDONLY, e);
	ssize_t n;

	if (fd < 0)
		return -1;
	do
		n = read(fd, text, size - 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail(e, errno, "read \"/proc/self/%s\"", name);
	if (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\0'))
		n--;
	text[n] = '\0';
	return 0;
}
