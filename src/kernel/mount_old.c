/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mount(2) for kernels and filters without the calls of Linux 5.2 and 5.12. The destination is
 * named by /proc/self/fd, so it is the very file that was opened below the root. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/mount.h"
#include "kernel/mount_tree.h"

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

int old_bind(const char *source, int target, bool rec)
{
	char path[FD_PATH_MAX];

	return mount(source, fd_path(target, path), NULL, MS_BIND | (rec ? MS_REC : 0), NULL);
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
static int old_set_attr(const char *path, int mount_fd, uint64_t set, uint64_t clr)
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
	if (mount(NULL, path, NULL, ms, NULL) < 0)
		return -1;
	return old_verify(mount_fd, set);
}

int old_set(int mount_fd, const struct tree_change *c)
{
	char path[FD_PATH_MAX];

	if (c->userns >= 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	(void)fd_path(mount_fd, path);
	if (c->set || c->clr) {
		if (old_set_attr(path, mount_fd, c->set, c->clr) < 0)
			return -1;
		if (c->rec && walk_set(mount_fd, c) < 0)
			return -1;
	}
	if (!c->propagation)
		return 0;
	return mount(NULL, path, NULL, c->propagation | (c->rec ? MS_REC : 0), NULL);
}

int old_reconfigure(const struct mount_plan *m, int mount_fd)
{
	struct fs_request q = {.m = m};
	autostr data = {0};
	char path[FD_PATH_MAX];
	struct statfs fs;
	uint64_t attr;

	if (fstatfs(mount_fd, &fs) < 0)
		return -1;
	attr = (attr_of_st((unsigned long)fs.f_flags) & ~m->attr.clr) | m->attr.set;
	data_join(&q, &data);
	return mount(NULL, fd_path(mount_fd, path), NULL, MS_REMOUNT | m->sb_set | ms_of_attr(attr),
	             data.s);
}
