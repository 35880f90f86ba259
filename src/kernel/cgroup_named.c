/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_named.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_host.h"
#include "kernel/cgroup_tree.h"

bool cgroup_named_known(const struct cgroup_host *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (cgroup_list_has(h->v[i].controllers, "name=systemd"))
			return true;
	return false;
}

/* A mount of the hierarchy that is attached nowhere. */
static int hierarchy_open(struct err *e)
{
	static const char doing[] = "mount the cgroup hierarchy \"name=systemd\"";
	autofd fs = sys_fsopen("cgroup", FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs >= 0 && sys_fsconfig(fs, FSCONFIG_SET_FLAG, "none", NULL, 0) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_SET_STRING, "name", "systemd", 0) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_SET_FLAG, "xattr", NULL, 0) == 0 &&
	    sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = sys_fsmount(fs, FSMOUNT_CLOEXEC,
		                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (fd >= 0)
		return fd;
	fail(e, errno, doing);
	if (e->errnum == EPERM)
		(void)fail_hint(e, "that takes the privilege and the cgroup namespace of the host");
	else if (e->errnum == ENODEV || e->errnum == ENOENT)
		(void)fail_hint(e, "the kernel must have cgroups of version 1, named ones too");
	return fail_at(e, "/annotations/" CGROUP_NAMED_ANNOTATION);
}

/* The group as a path. The caller frees. */
static char *group_path(int hierarchy, const char *id)
{
	return xasprintf("/proc/self/fd/%d/davit-%s", hierarchy, id);
}

/* errno to the error. */
static int group_fail(const char *doing, const char *id, struct err *e)
{
	return fail(e, errno, "%s the group \"davit-%s\" of the cgroup hierarchy \"name=systemd\"",
	            doing, id);
}

int cgroup_named_make(const char *id, uid_t uid, gid_t gid, struct err *e)
{
	static const char *const owned[] = {".", "cgroup.procs", "tasks"};
	autofd hierarchy = hierarchy_open(e);
	autofree char *path = NULL;
	struct cgroup_dir d = {.fd = -1};

	if (hierarchy < 0)
		return -1;
	path = d.path = group_path(hierarchy, id);
	/* An empty one is of a container whose state was lost; one with processes is of another
	 * container with this id, in another state directory. */
	if ((rmdir(path) < 0 && errno != ENOENT) ||
	    path_only_mkdir(hierarchy, strrchr(path, '/') + 1, 0755) < 0)
		return group_fail("make", id, e);
	for (size_t i = 0; uid && i < COUNT(owned); i++)
		if (cgroup_dir_chown(&d, owned[i], uid, gid) < 0) {
			group_fail("change the owner of", id, e);
			(void)rmdir(path);
			return -1;
		}
	return 0;
}

int cgroup_named_enter(const char *id, pid_t pid, struct err *e)
{
	autofd hierarchy = hierarchy_open(e);
	autofree char *path = hierarchy < 0 ? NULL : group_path(hierarchy, id);
	struct cgroup_dir d = {.path = path, .fd = -1};
	char text[16];

	if (hierarchy < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%d", pid);
	if (cgroup_dir_write(&d, "cgroup.procs", text) < 0)
		return group_fail("move a process to", id, e);
	return 0;
}

bool cgroup_named_holds(const char *id, pid_t pid)
{
	autofree char *want = xasprintf(":name=systemd:/davit-%s", id);
	struct err ignored = {0};
	autofree char *text = NULL;
	const char *at;
	char file[32];

	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	text = file_read(AT_FDCWD, file, 1u << 20, NULL, &ignored);
	at = text ? strstr(text, want) : NULL;
	return at && strchr("\n/", at[strlen(want)]);
}

int cgroup_named_remove(const char *id, int timeout_ms, struct err *e)
{
	int64_t deadline = clock_ms() + timeout_ms;
	autofd hierarchy = hierarchy_open(e);
	autofree char *path = hierarchy < 0 ? NULL : group_path(hierarchy, id);

	if (hierarchy < 0 && e->errnum == EPERM) /* so it cannot have been made either */
		return 0;
	if (hierarchy < 0)
		return -1;
	while (rmdir(path) < 0 && errno != ENOENT) {
		if (errno == EBUSY)
			cgroup_tree_prune(path);
		else if (errno != EINTR)
			return group_fail("remove", id, e);
		if (rmdir(path) == 0)
			break;
		if (!cgroup_ms_left(deadline)) {
			errno = EBUSY;
			return group_fail("remove", id, e);
		}
		(void)poll(NULL, 0, 1);
	}
	return 0;
}
