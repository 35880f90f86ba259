/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/sys.h"
#include "base/unapplied.h"
#include "kernel/mount_target.h"
#include "kernel/mount_tree.h"
#include "kernel/rootfs.h"

/* A node to be made: its place, and what it is. */
struct node {
	int dir; /* of the container */
	const char *name;
	const char *path; /* whole, for messages and for the host's node */
	mode_t mode;      /* with the type */
	dev_t dev;
	uid_t uid;
	gid_t gid;
	const struct oci_device *asked; /* NULL: a default one */
	int made;                       /* by the runtime: a detached mount, or -1 */
};

static const struct {
	const char *path;
	unsigned major, minor;
} defaults[] = {
	{"/dev/null",    1, 3},
        {"/dev/zero",    1, 5},
        {"/dev/full",    1, 7},
	{"/dev/random",  1, 8},
        {"/dev/urandom", 1, 9},
        {"/dev/tty",     5, 0},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"fd",     "/proc/self/fd"  },
        {"stdin",  "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
        {"core",   "/proc/kcore"    },
};

mode_t dev_type(const char *type)
{
	if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
		return S_IFCHR;
	if (strcmp(type, "b") == 0)
		return S_IFBLK;
	return strcmp(type, "p") == 0 ? S_IFIFO : 0;
}

mode_t dev_mode(const struct oci_device *d)
{
	return dev_type(d->type) | (d->has_file_mode ? d->file_mode & 07777 : 0666);
}

dev_t dev_number(const struct oci_device *d)
{
	return dev_type(d->type) == S_IFIFO ? 0 : makedev((unsigned)d->major, (unsigned)d->minor);
}

int dev_check(const struct oci_device *d, size_t index, struct err *e)
{
	mode_t type = dev_type(d->type);
	const char *at = "";

	if (d->path[0] != '/') {
		fail(e, 0, "device \"%s\": the path is not absolute", d->path);
		at = "/path";
	} else if (!type) {
		fail(e, 0, "device \"%s\": type \"%s\" is none of c, b, u, p", d->path, d->type);
		at = "/type";
	} else if (type != S_IFIFO && (!d->has_major || !d->has_minor)) {
		fail(e, 0, "device \"%s\" has no major and minor number", d->path);
	} else if (type != S_IFIFO &&
	           (d->major < 0 || d->major > 0xfff || d->minor < 0 || d->minor > 0xfffff)) {
		fail(e, 0, "device \"%s\": no such number as %lld:%lld", d->path,
		     (long long)d->major, (long long)d->minor);
	} else if (d->has_file_mode && d->file_mode & S_IFMT && (d->file_mode & S_IFMT) != type) {
		fail(e, 0, "device \"%s\": fileMode %u is of another type", d->path, d->file_mode);
		at = "/fileMode";
	} else {
		return 0;
	}
	return fail_at(e, "/linux/devices/%zu%s", index, at);
}

static int node_fail(const struct node *n, int errnum, struct err *e)
{
	return fail(e, errnum, "device \"%s\" (%c %u:%u)", n->path,
	            S_ISCHR(n->mode)   ? 'c'
	            : S_ISBLK(n->mode) ? 'b'
	                               : 'p',
	            major(n->dev), minor(n->dev));
}

/* What is there was made by somebody else, with a mode and an owner of theirs. */
static void node_compare(const struct node *n, const struct stat *st)
{
	const struct oci_device *d = n->asked;

	if (!d)
		return;
	if (d->has_file_mode && (st->st_mode & 07777) != (n->mode & 07777))
		unapplied_note("linux.devices: \"%s\" keeps the mode %#o", n->path,
		               st->st_mode & 07777);
	if ((d->has_uid && st->st_uid != n->uid) || (d->has_gid && st->st_gid != n->gid))
		unapplied_note("linux.devices: \"%s\" keeps the owner %u:%u", n->path, st->st_uid,
		               st->st_gid);
}

static bool node_matches(const struct node *n, const struct stat *st)
{
	if ((st->st_mode & S_IFMT) != (n->mode & S_IFMT))
		return false;
	return S_ISFIFO(n->mode) || st->st_rdev == n->dev;
}

/* Where the host has a default device, whatever it is called in the container. */
static const char *node_host_path(const struct node *n)
{
	for (size_t i = 0; i < COUNT(defaults); i++)
		if (S_ISCHR(n->mode) && n->dev == makedev(defaults[i].major, defaults[i].minor))
			return defaults[i].path;
	return n->path;
}

static int node_host(const struct node *n, int fd, struct err *e)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		node_fail(n, errno, e);
		return fail_hint(
			e, "a user namespace cannot make devices: the host must have this one");
	}
	if (!node_matches(n, &st))
		return node_fail(n, ENODEV, e);
	node_compare(n, &st);
	return 0;
}

static int node_bind_old(const struct node *n, int target, struct err *e)
{
	autofd host = fd_try_open(AT_FDCWD, node_host_path(n), O_PATH | O_NOFOLLOW | O_CLOEXEC);

	TRY(node_host(n, host, e));
	return old_bind(host, target, false) < 0 ? node_fail(n, errno, e) : 0;
}

/* The host's node of the same path, bound on an empty file. The clone is examined, so a node that
 * changed meanwhile is no danger. Kernels before 6.15 bind nothing from a clone that is not
 * attached: where move_mount(2) alone is missing the node is opened again. */
static int node_bind(const struct node *n, int target, struct err *e)
{
	autofd tree = tree_clone(AT_FDCWD, node_host_path(n), AT_SYMLINK_NOFOLLOW);

	if (tree < 0 && tree_errno_missing(errno))
		return node_bind_old(n, target, e);
	TRY(node_host(n, tree, e));
	if (tree_attach(tree, target) == 0)
		return 0;
	return tree_errno_missing(errno) ? node_bind_old(n, target, e) : node_fail(n, errno, e);
}

static int node_bind_new(const struct node *n, struct err *e)
{
	autofd target = path_mkfile(n->dir, n->name, 0666, e);

	if (target < 0)
		return -1;
	if (n->made >= 0 && tree_attach(n->made, target) == 0)
		return 0;
	if (n->made >= 0 && !tree_errno_missing(errno))
		return node_fail(n, errno, e);
	return node_bind(n, target, e);
}

/* Something is there. A default node over an empty file, which images have in its place, is
 * bound; all else that is not the device itself is an error (config-linux.md, Devices). */
static int node_existing(const struct node *n, bool is_default, struct err *e)
{
	autofd fd = path_open_nofollow(n->dir, n->name, O_PATH, e);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return node_fail(n, errno, e);
	if (node_matches(n, &st)) {
		node_compare(n, &st);
		return 0;
	}
	if (is_default && S_ISREG(st.st_mode))
		return node_bind(n, fd, e);
	node_fail(n, EEXIST, e);
	return fail_hint(e, "another file is at this path in the root file system or a mount");
}

static int node_make(const struct node *n, const struct rootfs_plan *p, bool is_default,
                     struct err *e)
{
	struct stat st;

	if (p->userns && !S_ISFIFO(n->mode)) {
		if (fstatat(n->dir, n->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return node_existing(n, is_default, e);
		return node_bind_new(n, e);
	}
	if (path_mknod(n->dir, n->name, n->mode, n->dev, e) < 0) {
		if (e->errnum == EEXIST)
			return node_existing(n, is_default, e);
		if (e->errnum == EPERM && p->own_ns & CLONE_NEWNS)
			return node_bind_new(n, e);
		return -1;
	}
	if ((n->uid || n->gid) &&
	    fchownat(n->dir, n->name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return node_fail(n, errno, e);
	return 0;
}

static int defaults_make(const struct rootfs_plan *p, int dev, struct err *e)
{
	for (size_t i = 0; i < COUNT(defaults); i++) {
		const struct node n = {.dir = dev,
		                       .name = defaults[i].path + strlen("/dev/"),
		                       .path = defaults[i].path,
		                       .mode = S_IFCHR | 0666,
		                       .dev = makedev(defaults[i].major, defaults[i].minor),
		                       .made = -1};

		TRY(node_make(&n, p, true, e));
	}
	return 0;
}

/* The host's multiplexer, in a device directory copied from it, would lead to the host's
 * terminals; a link that is right already may be on a file system that is not ours to write. */
static int ptmx_replace(int dev, struct err *e)
{
	static const char target[] = "pts/ptmx";
	char there[sizeof(target) + 1];
	ssize_t n = readlinkat(dev, "ptmx", there, sizeof(there));

	if (n == sizeof(target) - 1 && memcmp(there, target, sizeof(target) - 1) == 0)
		return 0;
	if (unlinkat(dev, "ptmx", 0) < 0)
		return fail(e, errno, "replace \"/dev/ptmx\"");
	return path_symlink(target, dev, "ptmx", e);
}

static int links_make(int dev, struct err *e)
{
	for (size_t i = 0; i < COUNT(links); i++)
		if (path_symlink(links[i].target, dev, links[i].name, e) < 0 && e->errnum != EEXIST)
			return -1;
	if (path_symlink("pts/ptmx", dev, "ptmx", e) == 0)
		return 0;
	return e->errnum == EEXIST ? ptmx_replace(dev, e) : -1;
}

static int device_make(const struct oci_device *d, const struct rootfs_plan *p,
                       const struct rootfs *r, int dev, struct err *e)
{
	struct node n = {.path = d->path,
	                 .mode = dev_mode(d),
	                 .dev = dev_number(d),
	                 .uid = d->uid,
	                 .gid = d->gid,
	                 .asked = d,
	                 .made = r->nodes ? r->nodes[d - p->devices] : -1};
	bool in_dev = strncmp(d->path, "/dev/", 5) == 0 && d->path[5] &&
	              !strchr(d->path + 5, '/') && d->path[5] != '.';
	char name[256];
	autofd dir = -1;

	if (in_dev) {
		n.dir = dev;
		n.name = d->path + 5;
		return node_make(&n, p, false, e);
	}
	dir = path_parent(r->root, d->path, true, name, e);
	if (dir < 0)
		return -1;
	n.dir = dir;
	n.name = name;
	return node_make(&n, p, false, e);
}

static int node_foreign(const struct oci_device *d, const struct rootfs *r, struct err *e)
{
	const struct node n = {
		.path = d->path, .mode = dev_type(d->type), .dev = dev_number(d), .made = -1};
	autofd fd = path_open(r->root, d->path, O_PATH, e);
	struct stat st;

	if (fd < 0 && e->errnum != ENOENT)
		return -1;
	if (fd < 0) {
		unapplied_note("linux.devices: \"%s\" is not in the directory that is bound on "
		               "\"/dev\"",
		               d->path);
		return 0;
	}
	if (fstat(fd, &st) < 0)
		return node_fail(&n, errno, e);
	return node_matches(&n, &st) ? 0 : node_fail(&n, EEXIST, e);
}

/* A directory of the host is bound on /dev: nothing is made in it, but what is configured must be
 * there, and elsewhere devices are made as always. */
static int dev_check_bound(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	for (size_t i = 0; i < p->n_devices; i++) {
		const struct oci_device *d = &p->devices[i];
		bool bound = mount_dest_contains("/dev", d->path);

		if ((bound ? node_foreign(d, r, e) : device_make(d, p, r, -1, e)) < 0)
			return fail_at(e, "/linux/devices/%zu", i);
	}
	return 0;
}

static int dev_fill(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	autofd dev = path_mkdirs(r->root, "/dev", 0755, e);
	autofd console = -1;

	if (dev < 0)
		return -1;
	/* First the configured ones: a default that is listed there keeps the mode given. */
	for (size_t i = 0; i < p->n_devices; i++)
		if (device_make(&p->devices[i], p, r, dev, e) < 0)
			return fail_at(e, "/linux/devices/%zu", i);
	TRY(defaults_make(p, dev, e));
	TRY(links_make(dev, e));
	if (!p->terminal)
		return 0;
	console = path_mkfile(dev, "console", 0600, e);
	return console < 0 ? -1 : 0;
}

int dev_setup(const struct rootfs_plan *p, struct rootfs *r, struct err *e)
{
	int rc = p->dev_skip ? dev_check_bound(p, r, e) : dev_fill(p, r, e);

	(void)umask(022);
	return rc;
}

/* Below /dev and not through a link: what is there was made by dev_setup or by the container's
 * author. */
int dev_console(struct rootfs *r, int pty, struct err *e)
{
	autofd dev = path_open(r->root, "/dev", O_PATH | O_DIRECTORY, e);
	autofd target = -1, tree = -1;
	struct stat st;

	if (dev < 0)
		return -1;
	if (fstat(pty, &st) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) < 136 ||
	    major(st.st_rdev) > 143)
		return fail(e, 0, "\"/dev/console\": this is no pseudoterminal");
	target = path_open_nofollow(dev, "console", O_PATH, e);
	if (target >= 0 && fstat(target, &st) == 0 && S_ISLNK(st.st_mode))
		return fail(e, 0, "\"/dev/console\" is a symbolic link");
	if (target < 0)
		target = path_mkfile(dev, "console", 0600, e);
	if (target < 0)
		return -1;
	tree = tree_clone(pty, "", AT_EMPTY_PATH);
	if (tree >= 0 && tree_attach(tree, target) == 0)
		return 0;
	if (tree_errno_missing(errno) && old_bind(pty, target, false) == 0)
		return 0;
	return fail(e, errno, "bind the terminal on \"/dev/console\"");
}
