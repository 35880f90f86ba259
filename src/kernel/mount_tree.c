/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/mount_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/mount.h"

bool tree_errno_missing(int errnum)
{
	return errnum == ENOSYS || errnum == EPERM;
}

bool tree_change_none(const struct tree_change *c)
{
	return !c->set && !c->clr && !c->propagation && c->userns < 0;
}

/* Names the mount, the option if one is to blame, and what the kernel logged for this context. */
static int fs_fail(int fs, const struct fs_request *q, const char *option, int errnum,
                   struct err *e)
{
	char log[256] = "";
	ssize_t n = 0;

	/* One message a read, "e tmpfs: Bad value for 'size'"; ENODATA at the end. */
	for (int i = 0; fs >= 0 && i < 8; i++) {
		n = read(fs, log, sizeof(log) - 1);
		if (n <= 0 || log[0] == 'e')
			break;
	}
	log[n > 2 ? n : 0] = '\0';
	log[strcspn(log, "\n")] = '\0';
	return fail(e, errnum, "mount \"%s\" of type \"%s\" on \"%s\"%s%s%s%s%s", q->source,
	            q->type, q->m->dest, option ? ": option \"" : "", option ? option : "",
	            option ? "\"" : "", *log ? ": " : "", *log ? log + 2 : "");
}

static int fs_set(int fs, const char *key, const char *value)
{
	return sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}

static bool option_is_id(const char *option)
{
	return str_starts(option, "uid=") || str_starts(option, "gid=");
}

/* Quotes, which keep commas together in the data of mount(2), are no part of a value. */
static char *value_unquote(const char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"' && value[len - 1] == '"')
		return xstrndup(value + 1, len - 2);
	return NULL;
}

static int fs_set_option(int fs, const char *option)
{
	const char *value = strchr(option, '=');
	autofree char *key = NULL, *bare = NULL;

	if (!value)
		return fs_set(fs, option, NULL);
	key = xstrndup(option, (size_t)(value - option));
	bare = value_unquote(value + 1);
	return fs_set(fs, key, bare ? bare : value + 1);
}

static int fs_set_data(int fs, const struct fs_request *q, struct err *e)
{
	for (size_t i = 0; i < q->m->n_data; i++) {
		const char *option = q->m->data[i];

		if (q->no_ids && option_is_id(option))
			continue;
		if (fs_set_option(fs, option) < 0)
			return fs_fail(fs, q, option, errno, e);
	}
	return 0;
}

/* The flags that every file system knows, by the names that fsconfig(2) has for them. */
static int fs_set_flags(int fs, const struct fs_request *q, struct err *e)
{
	static const struct {
		unsigned long flag;
		const char *set, *clear;
	} rows[] = {
		{MS_SYNCHRONOUS, "sync",     "async"     },
		{MS_DIRSYNC,     "dirsync",  NULL        },
		{MS_LAZYTIME,    "lazytime", "nolazytime"},
		{MS_MANDLOCK,    "mand",     "nomand"    },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		if (q->m->sb_set & rows[i].flag && fs_set(fs, rows[i].set, NULL) < 0)
			return fs_fail(fs, q, rows[i].set, errno, e);
		if (q->m->flags & MOUNT_REMOUNT && q->m->sb_clr & rows[i].flag && rows[i].clear &&
		    fs_set(fs, rows[i].clear, NULL) < 0)
			return fs_fail(fs, q, rows[i].clear, errno, e);
	}
	if (q->sb_readonly && fs_set(fs, "ro", NULL) < 0)
		return fs_fail(fs, q, "ro", errno, e);
	return 0;
}

static int fs_set_label(int fs, const struct fs_request *q, struct err *e)
{
	autofree char *option = NULL;
	int errnum;

	if (!q->label || fs_set(fs, q->label_option, q->label) == 0)
		return 0;
	errnum = errno;
	option = xasprintf("%s=%s", q->label_option, q->label);
	fs_fail(fs, q, option, errnum, e);
	return fail_at(e, "/linux/mountLabel");
}

int tree_label_hint(const struct fs_request *q, struct err *e)
{
	if (!q->label || e->errnum != EINVAL)
		return -1;
	return fail_hint(e,
	                 "the policy or this file system may not take /linux/mountLabel as %s=%s",
	                 q->label_option, q->label);
}

static int fs_create(int fs, const struct fs_request *q, struct err *e)
{
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		return 0;
	fs_fail(fs, q, NULL, errno, e);
	return tree_label_hint(q, e);
}

int tree_fs(const struct fs_request *q, struct err *e)
{
	autofd fs = sys_fsopen(q->type, FSOPEN_CLOEXEC);
	char mode[16];
	int tree;

	if (fs < 0) {
		fs_fail(-1, q, NULL, errno, e);
		if (e->errnum == ENODEV)
			return fail_hint(
				e, "the kernel does not know this type; is its module loaded?");
		return -1;
	}
	if (*q->source && fs_set(fs, "source", q->source) < 0)
		return fs_fail(fs, q, "source", errno, e);
	TRY(fs_set_flags(fs, q, e));
	TRY(fs_set_data(fs, q, e));
	(void)snprintf(mode, sizeof(mode), "%o", q->mode);
	if (q->has_mode && fs_set(fs, "mode", mode) < 0)
		return fs_fail(fs, q, "mode", errno, e);
	TRY(fs_set_label(fs, q, e));
	TRY(fs_create(fs, q, e));
	tree = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)q->attr);
	return tree < 0 ? fs_fail(fs, q, NULL, errno, e) : tree;
}

int tree_reconfigure(const struct mount_plan *m, int mount, struct err *e)
{
	struct fs_request q = {.m = m, .type = m->type, .source = m->source};
	autofd fs = sys_fspick(mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	if (fs < 0 && tree_errno_missing(errno)) {
		if (old_reconfigure(m, mount) < 0)
			return fs_fail(-1, &q, "remount", errno, e);
		return 0;
	}
	if (fs < 0)
		return fs_fail(-1, &q, "remount", errno, e);
	TRY(fs_set_flags(fs, &q, e));
	TRY(fs_set_data(fs, &q, e));
	if (sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return fs_fail(fs, &q, "remount", errno, e);
	return 0;
}

int tree_make_writable(const struct mount_plan *m, int mount, struct err *e)
{
	autofd fs = -1;

	if (old_verify(mount, MOUNT_ATTR_RDONLY) < 0)
		return 0;
	fs = sys_fspick(mount, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (fs < 0 && tree_errno_missing(errno) && old_make_writable(mount) == 0)
		return 0;
	if (fs >= 0 && fs_set(fs, "rw", NULL) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0)
		return 0;
	return fail(e, errno, "remount \"%s\": make its file system writable", m->dest);
}

int tree_clone(int dir, const char *path, unsigned flags)
{
	return sys_open_tree(dir, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static void change_attr(const struct tree_change *c, struct mount_attr *attr)
{
	*attr = (struct mount_attr){
		.attr_set = c->set, .attr_clr = c->clr, .propagation = c->propagation};
	if (c->userns >= 0) {
		attr->attr_set |= MOUNT_ATTR_IDMAP;
		attr->userns_fd = (uint64_t)c->userns;
	}
}

int tree_clone_changed(int dir, const char *path, unsigned flags, const struct tree_change *c)
{
	struct mount_attr attr;
	autofd tree = -1;

	if (tree_change_none(c))
		return tree_clone(dir, path, flags);
	change_attr(c, &attr);
	/* AT_RECURSIVE is one flag for both halves of this call. */
	if (c->rec == !!(flags & AT_RECURSIVE)) {
		tree = sys_open_tree_attr(dir, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC,
		                          &attr);
		if (tree >= 0 || !tree_errno_missing(errno))
			return take_fd(&tree);
	}
	tree = tree_clone(dir, path, flags);
	if (tree < 0 || tree_set(tree, c) < 0)
		return -1;
	return take_fd(&tree);
}

int tree_set(int tree, const struct tree_change *c)
{
	struct mount_attr attr;

	if (tree_change_none(c))
		return 0;
	change_attr(c, &attr);
	return sys_mount_setattr(tree, "", AT_EMPTY_PATH | (c->rec ? AT_RECURSIVE : 0), &attr);
}

void tree_attach_errno(int tree, int target)
{
	struct stat what, where;

	if (errno != EINVAL)
		return;
	if (fstat(tree, &what) == 0 && fstat(target, &where) == 0 &&
	    S_ISDIR(what.st_mode) != S_ISDIR(where.st_mode))
		errno = ENOTDIR;
	else
		errno = EINVAL;
}

int tree_attach(int tree, int target)
{
	if (sys_move_mount(tree, "", target, "",
	                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
		return 0;
	tree_attach_errno(tree, target);
	return -1;
}
