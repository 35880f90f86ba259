/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/unapplied.h"

#define LABEL_MAX 4096 /* the kernel takes a page at most */

bool lsm_has_selinux(void)
{
	struct statfs fs;

	/* libselinux asks the same: the kernel part is there only when selinuxfs is mounted */
	return statfs("/sys/fs/selinux", &fs) == 0 && (unsigned long)fs.f_type == SELINUX_MAGIC;
}

bool lsm_has_apparmor(void)
{
	autofd fd = fd_try_open(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", O_RDONLY);
	char answer = 0;

	return fd >= 0 && read(fd, &answer, 1) == 1 && answer == 'Y';
}

static int label_check(const char *label, const char *at, struct err *e)
{
	if (strlen(label) < LABEL_MAX - 16 && strpbrk(label, "\n\t") == NULL)
		return 0;
	fail(e, 0, "label \"%.64s\" is too long or has control characters", label);
	return fail_at(e, "%s", at);
}

int lsm_make(const char *apparmor_profile, const char *selinux_label, struct lsm_plan *plan,
             struct err *e)
{
	*plan = (struct lsm_plan){0};
	if (apparmor_profile != NULL && *apparmor_profile != '\0') {
		TRY(label_check(apparmor_profile, "/process/apparmorProfile", e));
		if (lsm_has_apparmor())
			plan->apparmor = apparmor_profile;
		else
			unapplied_note("no AppArmor here: profile \"%s\"", apparmor_profile);
	}
	if (selinux_label != NULL && *selinux_label != '\0') {
		TRY(label_check(selinux_label, "/process/selinuxLabel", e));
		if (lsm_has_selinux())
			plan->selinux = selinux_label;
		else
			unapplied_note("no SELinux here: label \"%s\"", selinux_label);
	}
	return 0;
}

/* Opens attr/NAME of the calling thread. The link thread-self is read, not followed: everything
 * below proc is opened without links, and without crossing into what is mounted on top of it
 * (CVE-2019-16884, CVE-2025-52881). */
static int attr_open(int proc, const char *name, int flags)
{
	char self[64], path[128];
	ssize_t n = readlinkat(proc, "thread-self", self, sizeof(self) - 1);

	if (n <= 0)
		return -1;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/attr/%s", self, name);
	return path_try_beneath(proc, path, flags, 0);
}

/* podman tells a label error by the path in back quotes. */
static int attr_fail(struct err *e, int errnum, const char *verb, const char *name,
                     const char *label)
{
	fail(e, errnum, "%s `/proc/thread-self/attr/%s` label \"%s\"", verb, name, label);
	if (errnum == ENOENT)
		fail_hint(e, "load the profile on this host first");
	return -1;
}

/* The first size - 1 bytes of an attribute, without what comes after a NUL or a line feed. */
static int attr_read(int proc, const char *name, char *buf, size_t size)
{
	autofd fd = attr_open(proc, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return -1;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int attr_write(int proc, const char *name, const char *text)
{
	autofd fd = attr_open(proc, name, O_WRONLY);
	size_t len = strlen(text);

	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, len);

	if (n >= 0 && (size_t)n != len)
		errno = EIO;
	return n == (ssize_t)len ? 0 : -1;
}

/* What AppArmor shows for a profile: its name, a blank and the mode. */
static bool apparmor_is(const char *shown, const char *profile)
{
	size_t n = strlen(profile);

	return strncmp(shown, profile, n) == 0 && (shown[n] == '\0' || str_starts(shown + n, " ("));
}

static int apparmor_exec(const char *profile, int proc, struct err *e)
{
	/* attr/apparmor since 5.8; the older file belongs to whichever LSM comes first */
	const char *name = "apparmor/exec";
	char shown[LABEL_MAX];
	autofree char *text = NULL;
	int rc;

	/* who is not confined need not leave; a nested runtime could not write that */
	if (str_eq(profile, "unconfined") &&
	    attr_read(proc, "apparmor/current", shown, sizeof(shown)) == 0 &&
	    str_eq(shown, "unconfined"))
		return 0;
	text = xasprintf("exec %s", profile);
	rc = attr_write(proc, name, text);
	if (rc < 0 && errno == ENOENT) {
		autofd fd = attr_open(proc, name, O_WRONLY);

		if (fd < 0) {
			name = "exec";
			rc = attr_write(proc, name, text);
		} else {
			errno = ENOENT; /* the file is there: it is the profile that is missing */
		}
	}
	if (rc < 0)
		return attr_fail(e, errno, "write", name, profile);
	/* stacks ("a//&b") and profiles of other policy namespaces (":ns:a") are shown
	 * differently */
	if (strpbrk(profile, "&:") != NULL)
		return 0;
	if (attr_read(proc, name, shown, sizeof(shown)) < 0)
		return attr_fail(e, errno, "read back", name, profile);
	if (!apparmor_is(shown, profile))
		return attr_fail(e, EACCES, "verify", name, profile);
	return 0;
}

static int selinux_put(const char *name, const char *label, int proc, struct err *e)
{
	char shown[LABEL_MAX];

	if (attr_write(proc, name, label) < 0)
		return attr_fail(e, errno, "write", name, label);
	if (attr_read(proc, name, shown, sizeof(shown)) < 0)
		return attr_fail(e, errno, "read back", name, label);
	if (!str_eq(shown, label))
		return attr_fail(e, EACCES, "verify", name, label);
	return 0;
}

int lsm_exec(const struct lsm_plan *plan, int proc, struct err *e)
{
	if (plan->apparmor != NULL && apparmor_exec(plan->apparmor, proc, e) < 0)
		return fail_at(e, "/process/apparmorProfile");
	if (plan->selinux != NULL && selinux_put("exec", plan->selinux, proc, e) < 0)
		return fail_at(e, "/process/selinuxLabel");
	return 0;
}

int lsm_keycreate(const struct lsm_plan *plan, int proc, struct err *e)
{
	if (plan->selinux != NULL && selinux_put("keycreate", plan->selinux, proc, e) < 0)
		return fail_at(e, "/process/selinuxLabel");
	return 0;
}

int lsm_keycreate_reset(const struct lsm_plan *plan, int proc, struct err *e)
{
	/* a write(2) of no bytes does not reach the LSM; one NUL does, and resets */
	autofd fd = -1;

	if (plan->selinux == NULL)
		return 0;
	fd = attr_open(proc, "keycreate", O_WRONLY);
	if (fd < 0 || write(fd, "", 1) < 0)
		return attr_fail(e, errno, "reset", "keycreate", "");
	return 0;
}
