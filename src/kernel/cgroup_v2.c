/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_make.h"
#include "kernel/cgroup_resources.h"

#define LIST_SIZE 512 /* there are about ten controllers */

static bool words_have(const char *list, const char *word, size_t n)
{
	for (const char *p = list; *p;) {
		size_t m = strcspn(p, " ");

		if (m == n && !strncmp(p, word, n))
			return true;
		p += m + (p[m] == ' ');
	}
	return false;
}

/* Enables controllers (blank-separated) in the group at path; false if any could not be. */
static bool enable_list(const char *path, const char *controllers)
{
	struct cgroup_dir d = {.path = (char *)path, .fd = -1};
	autostr text = {0};
	bool all = true;

	for (const char *p = controllers; *p;) {
		size_t n = strcspn(p, " ");

		str_addf(&text, "%s+%.*s", text.len ? " " : "", (int)n, p);
		p += n + (p[n] == ' ');
	}
	if (!text.len || cgroup_dir_write(&d, "cgroup.subtree_control", text.s) == 0)
		return true;
	/* A group with processes (EBUSY) would take some controllers, one by one, and become the
	 * root of a tree of threads, in which no container can be. */
	if (errno == EACCES || errno == EROFS || errno == EPERM || errno == EBUSY)
		return false;
	/* One that cannot be had must not take the others with it. */
	for (char *p = text.s; *p;) {
		size_t n = strcspn(p, " ");
		autofree char *one = xstrndup(p, n);

		if (cgroup_dir_write(&d, "cgroup.subtree_control", one) < 0)
			all = false;
		p += n + (p[n] == ' ');
	}
	return all;
}

/* Adds the controllers of the settings' files to the list. */
static void list_needed(struct str *list, const struct cgroup_settings *s)
{
	for (size_t i = 0; s && i < s->n; i++) {
		const char *file = s->v[i].file;
		size_t n = strcspn(file, ".");

		if (s->v[i].v2 && !(n == 6 && str_starts(file, "cgroup")) &&
		    !words_have(list->s, file, n))
			str_addf(list, "%s%.*s", list->len ? " " : "", (int)n, file);
	}
}

/* Whether the group d has all controllers of the list. */
static bool has_list(const struct cgroup_dir *d, const char *list)
{
	char have[LIST_SIZE];

	if (cgroup_dir_read(d, "cgroup.controllers", have, sizeof(have)) < 0)
		return false;
	for (const char *p = list; *p;) {
		size_t n = strcspn(p, " ");

		if (!words_have(have, p, n))
			return false;
		p += n + (p[n] == ' ');
	}
	return true;
}

/* Processes in the group itself; those of the root do not count. */
static bool has_processes(const char *path)
{
	const struct cgroup_dir d = {.path = (char *)path, .fd = -1};
	char buf[32];

	return cgroup_dir_read(&d, "cgroup.type", buf, sizeof(buf)) > 0 &&
	       cgroup_dir_read(&d, "cgroup.procs", buf, sizeof(buf)) > 0;
}

bool cgroup_v2_enable_list(const struct cgroup_dir *d, const char *controllers)
{
	autofree char *path = xstrdup(d->path);
	char *end = path + d->mount_len;
	bool enabled = false;

	for (; end; end = strchr(end + 1, '/')) {
		*end = '\0';
		/* A group with processes would become the root of a tree of threads, in which no
		 * container can be. */
		enabled = !has_processes(path) && enable_list(path, controllers);
		*end = '/';
	}
	return enabled;
}

void cgroup_v2_enable(const struct cgroup_dir *d, const struct cgroup_settings *s, bool all)
{
	autofree char *root = xstrndup(d->path, d->mount_len);
	const struct cgroup_dir top = {.path = root, .fd = -1};
	autostr list = {0};
	char have[LIST_SIZE];

	if (cgroup_dir_read(&top, all ? "cgroup.controllers" : "cgroup.subtree_control", have,
	                    sizeof(have)) < 0)
		return;
	str_add(&list, have);
	list_needed(&list, s);
	if (*list.s && !has_list(d, list.s))
		(void)cgroup_v2_enable_list(d, list.s); /* the settings tell what is missing */
}

void cgroup_v2_enable_below(const struct cgroup_dir *d)
{
	char have[LIST_SIZE];

	if (cgroup_dir_read(d, "cgroup.controllers", have, sizeof(have)) > 0)
		(void)enable_list(d->path, have); /* what cannot be enabled is not delegated */
}

/* Says why the group at path, which has the controller itself, cannot give it to groups below. */
static int explain_level(const char *path, const char *name, const char *controller, bool rootless,
                         struct err *e)
{
	autofree char *file = xasprintf("%s/cgroup.subtree_control", path);
	struct cgroup_dir at = {.path = (char *)path, .fd = -1};
	char buf[LIST_SIZE];

	if (access(file, W_OK) < 0) {
		fail(e, EACCES, "cgroup controller \"%s\" is not delegated below \"%s\"",
		     controller, name);
		return fail_hint(
			e, "%s",
			rootless ? "set Delegate=yes for user@.service in systemd, or run in "
				   "a group that belongs to you"
				 : "enable it in cgroup.subtree_control there");
	}
	if (cgroup_dir_read(&at, "cgroup.type", buf, sizeof(buf)) > 0 && !str_eq(buf, "domain") &&
	    !str_starts(buf, "domain threaded"))
		return fail(e, EOPNOTSUPP, "cgroup \"%s\" has the type \"%s\"", name, buf);
	if (cgroup_dir_read(&at, "cgroup.procs", buf, sizeof(buf)) > 0 && !str_eq(name, "/")) {
		fail(e, EBUSY, "cgroup controller \"%s\" cannot be enabled below \"%s\"",
		     controller, name);
		return fail_hint(e,
		                 "processes in that group (%.*s ...) must move to a group below it",
		                 (int)strcspn(buf, "\n"), buf);
	}
	return fail(e, EINVAL, "cgroup controller \"%s\" cannot be enabled below \"%s\"",
	            controller, name);
}

int cgroup_v2_explain(const struct cgroup_dir *d, const char *controller, bool rootless,
                      struct err *e)
{
	autofree char *path = xstrdup(d->path);
	struct cgroup_dir at = {.path = path, .fd = -1};
	size_t n = strlen(controller);
	char *end = path + d->mount_len;
	autofree char *above = NULL;

	for (;;) {
		char have[LIST_SIZE];

		*end = '\0';
		if (cgroup_dir_read(&at, "cgroup.controllers", have, sizeof(have)) < 0)
			return -1;
		if (!words_have(have, controller, n))
			break;
		if (strlen(path) == strlen(d->path))
			return -1; /* the controller is there: the caller's error stands */
		free(above);
		above = xstrdup(path);
		*end = '/';
		end = strchrnul(end + 1, '/');
	}
	if (!above)
		return fail(e, 0, "the unified cgroup hierarchy has no controller \"%s\"",
		            controller);
	return explain_level(above, above[d->mount_len] ? above + d->mount_len : "/", controller,
	                     rootless, e);
}

int cgroup_v2_chown(const struct cgroup_dir *d, uid_t uid, gid_t gid, struct err *e)
{
	static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
	const struct cgroup_dir kernel = {.path = (char *)"/sys/kernel/cgroup", .fd = -1};
	autofree char *list = cgroup_dir_slurp(&kernel, "delegate");

	if (!list)
		list = xstrdup(fallback);
	if (cgroup_dir_chown(d, ".", uid, gid) < 0)
		return fail(e, errno, "change the owner of \"%s\"", d->path);
	for (char *p = list; *p;) {
		char *end = strchrnul(p, '\n');
		bool last = !*end;

		*end = '\0';
		if (*p && !strchr(p, '/') && cgroup_dir_chown(d, p, uid, gid) < 0 &&
		    errno != ENOENT)
			return fail(e, errno, "change the owner of \"%s/%s\"", d->path, p);
		p = last ? end : end + 1;
	}
	return 0;
}
