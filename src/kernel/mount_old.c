/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mount(2) for kernels and filters without the calls of Linux 5.2 and 5.12. Files are named by
 * /proc/self/fd, so they are the very ones that were opened; directories by "." where the
 * container's tree is the only one in view, for it need not have a procfs, or not a true one. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/mount.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

#ifndef ST_RELATIME
#define ST_RELATIME 4096
#endif

static const struct {
	uint64_t attr;
	unsigned long ms, st;
} flags[] = {
	{MOUNT_ATTR_RDONLY,      MS_RDONLY,      ST_RDONLY     },
	{MOUNT_ATTR_NOSUID,      MS_NOSUID,      ST_NOSUID     },
	{MOUNT_ATTR_NODEV,       MS_NODEV,       ST_NODEV      },
	{MOUNT_ATTR_NOEXEC,      MS_NOEXEC,      ST_NOEXEC     },
	{MOUNT_ATTR_NOATIME,     MS_NOATIME,     ST_NOATIME    },
	{MOUNT_ATTR_NODIRATIME,  MS_NODIRATIME,  ST_NODIRATIME },
	{MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW, ST_NOSYMFOLLOW},
};

static unsigned long ms_of_attr(uint64_t attr)
{
	unsigned long ms = 0;

	for (size_t i = 0; i < COUNT(flags); i++)
		ms |= attr & flags[i].attr ? flags[i].ms : 0;
	return attr & MOUNT_ATTR_STRICTATIME ? ms | MS_STRICTATIME : ms;
}

static uint64_t attr_of_st(unsigned long st)
{
	uint64_t attr = 0;

	for (size_t i = 0; i < COUNT(flags); i++)
		attr |= st & flags[i].st ? flags[i].attr : 0;
	if (!(st & (ST_NOATIME | ST_RELATIME)))
		attr |= MOUNT_ATTR_STRICTATIME;
	return attr;
}

#define FD_PATH_MAX 32
static const char *fd_path(int fd, char path[FD_PATH_MAX])
{
	(void)snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

static void data_add(struct str *data, const char *text)
{
	if (data->len)
		str_addc(data, ',');
	str_add(data, text);
}

static void data_join(const struct fs_request *q, struct str *data)
{
	for (size_t i = 0; i < q->m->n_data; i++) {
		const char *o = q->m->data[i];

		if (!q->no_ids || (!str_starts(o, "uid=") && !str_starts(o, "gid=")))
			data_add(data, o);
	}
	if (q->has_mode)
		str_addf(data, "%smode=%o", data->len ? "," : "", q->mode);
	if (q->label)
		str_addf(data, "%s%s=\"%s\"", data->len ? "," : "", q->label_option, q->label);
}

int old_fs(const struct fs_request *q, int target)
{
	autostr data = {0};
	char path[FD_PATH_MAX];
	unsigned long ms = q->m->sb_set | ms_of_attr(q->attr);

	data_join(q, &data);
	if (q->m->flags & MOUNT_IVERSION)
		ms |= MS_I_VERSION;
	return mount(q->source, fd_path(target, path), q->type, ms, data.s);
}

int old_bind(int source, int target, bool rec)
{
	char from[FD_PATH_MAX], to[FD_PATH_MAX];

	return mount(fd_path(source, from), fd_path(target, to), NULL, MS_BIND | (rec ? MS_REC : 0),
	             NULL);
}

/* --- the stage --- */

static const char point_name[] = "point";

int old_stage_open(const struct rootfs *r, bool dir, struct old_stage *s)
{
	char path[FD_PATH_MAX];
	struct stat root, st;
	struct err e = {0};
	struct statfs fs;

	if (mount("stage", fd_path(r->base, path), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          "mode=700,nr_inodes=4") < 0)
		return -1;
	s->dir = fd_try_open(AT_FDCWD, r->path, O_PATH | O_DIRECTORY);
	if (s->dir < 0 || fstat(s->dir, &st) < 0 || fstatfs(s->dir, &fs) < 0 ||
	    fstat(r->base, &root) < 0)
		return -1;
	if (fs.f_type != TMPFS_MAGIC || st.st_dev == root.st_dev) {
		errno = ESTALE; /* the bundle is being moved away */
		return -1;
	}
	if (dir ? path_only_mkdir(s->dir, point_name, 0700) < 0
	        : path_mknod(s->dir, point_name, S_IFREG | 0600, 0, &e) < 0) {
		errno = dir ? errno : e.errnum;
		return -1;
	}
	s->point = old_stage_top(s);
	return s->point < 0 ? -1 : 0;
}

int old_stage_top(const struct old_stage *s)
{
	return fd_try_open(s->dir, point_name, O_PATH | O_NOFOLLOW);
}

int old_stage_end(struct old_stage *s)
{
	char path[FD_PATH_MAX];

	if (umount2(fd_path(s->dir, path), MNT_DETACH) < 0)
		return -1;
	fd_close_at(&s->point);
	fd_close_at(&s->dir);
	return 0;
}

void old_stage_close(struct old_stage *s)
{
	int saved = errno;

	if (s->dir >= 0 && old_stage_end(s) < 0) {
		fd_close_at(&s->point);
		fd_close_at(&s->dir);
	}
	errno = saved;
}

int old_move(int mount_fd, int target)
{
	char from[FD_PATH_MAX], to[FD_PATH_MAX];

	if (mount(fd_path(mount_fd, from), fd_path(target, to), NULL, MS_MOVE, NULL) == 0)
		return 0;
	tree_attach_errno(mount_fd, target);
	return -1;
}

/* --- changes of what is mounted --- */

/* mount(2) of a mount's root without a name of it: as "." for a directory. */
static int old_change(int mount_fd, unsigned long ms, const char *data)
{
	char path[FD_PATH_MAX];
	autofd cwd = -1;
	struct stat st;
	int rc;

	if (fstat(mount_fd, &st) < 0)
		return -1;
	if (!S_ISDIR(st.st_mode))
		return mount(NULL, fd_path(mount_fd, path), NULL, ms, data);
	cwd = fd_try_open(AT_FDCWD, ".", O_PATH | O_DIRECTORY);
	if (cwd < 0 || fchdir(mount_fd) < 0)
		return -1;
	rc = mount(NULL, ".", NULL, ms, data);
	return fchdir(cwd) < 0 ? -1 : rc;
}

int old_verify(int mount_fd, uint64_t attr)
{
	struct statfs fs;

	if (fstatfs(mount_fd, &fs) < 0)
		return -1;
	/* A flag that an old kernel does not know is dropped without an error: nosymfollow. */
	if ((attr_of_st((unsigned long)fs.f_flags) & attr) == attr)
		return 0;
	errno = EOPNOTSUPP;
	return -1;
}

/* Attributes of this one mount. MS_REMOUNT | MS_BIND replaces them all, so those it has go
 * along. */
static int old_set_attr(int mount_fd, uint64_t set, uint64_t clr)
{
	struct statfs fs;
	unsigned long ms;
	uint64_t attr;

	if (fstatfs(mount_fd, &fs) < 0)
		return -1;
	attr = (attr_of_st((unsigned long)fs.f_flags) & ~clr) | set;
	ms = MS_REMOUNT | MS_BIND | ms_of_attr(attr);
	/* Without any word about access times a remount keeps noatime. */
	if (!(attr & MOUNT_ATTR__ATIME))
		ms |= MS_RELATIME;
	if (old_change(mount_fd, ms, NULL) < 0)
		return -1;
	return old_verify(mount_fd, set);
}

int old_set(int mount_fd, const struct tree_change *c)
{
	if (c->userns >= 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	if (c->set || c->clr) {
		if (old_set_attr(mount_fd, c->set, c->clr) < 0)
			return -1;
		if (c->rec && walk_set(mount_fd, c) < 0)
			return -1;
	}
	if (!c->propagation)
		return 0;
	return old_change(mount_fd, c->propagation | (c->rec ? MS_REC : 0), NULL);
}

int old_make_writable(int mount_fd)
{
	char path[FD_PATH_MAX];
	struct statfs fs;
	uint64_t attr;

	if (fstatfs(mount_fd, &fs) < 0)
		return -1;
	attr = attr_of_st((unsigned long)fs.f_flags) & ~(uint64_t)MOUNT_ATTR_RDONLY;
	return mount(NULL, fd_path(mount_fd, path), NULL, MS_REMOUNT | ms_of_attr(attr), NULL);
}

int old_reconfigure(const struct mount_plan *m, int mount_fd)
{
	struct fs_request q = {.m = m};
	autostr data = {0};
	struct statfs fs;
	uint64_t attr;

	if (fstatfs(mount_fd, &fs) < 0)
		return -1;
	attr = (attr_of_st((unsigned long)fs.f_flags) & ~m->attr.clr) | m->attr.set;
	data_join(&q, &data);
	return old_change(mount_fd, MS_REMOUNT | m->sb_set | ms_of_attr(attr), data.s);
}
