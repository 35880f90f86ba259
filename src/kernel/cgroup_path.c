/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_path.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define UNIT_NAME_MAX 255 /* UNIT_NAME_MAX of systemd, without the NUL */

static int component_check(const char *path, const char *c, size_t n, struct err *e)
{
	if (n > NAME_MAX)
		return fail(e, ENAMETOOLONG, "cgroup path \"%.80s...\"", path);
	if ((n == 1 && c[0] == '.') || (n == 2 && c[0] == '.' && c[1] == '.'))
		return fail(e, 0, "cgroup path \"%s\" has the component \"%.*s\"", path, (int)n, c);
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)c[i]))
			return fail(e, 0, "cgroup path \"%s\" has a control character", path);
	return 0;
}

char *cgroup_path_clean(const char *path, struct err *e)
{
	autostr out = {0};

	if (strlen(path) >= PATH_MAX / 2) {
		fail(e, ENAMETOOLONG, "cgroup path \"%.80s...\"", path);
		return NULL;
	}
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n) {
			if (component_check(path, p, n, e) < 0)
				return NULL;
			str_addc(&out, '/');
			str_addn(&out, p, n);
		}
		p += n + (p[n] == '/');
	}
	if (!out.len)
		str_addc(&out, '/');
	return str_steal(&out);
}

char *cgroup_path_resolve(const char *path, const char *parent, const char *id, struct err *e)
{
	autofree char *joined = NULL;
	char *clean;

	if (path && path[0] == '/')
		joined = xstrdup(path);
	else
		joined = xasprintf("%s/%s", parent, path && path[0] ? path : id);
	clean = cgroup_path_clean(joined, e);
	if (clean && clean[1] == '\0') {
		free(clean);
		fail(e, EINVAL, "cgroup path \"%s\" names the root group", path ? path : "");
		return NULL;
	}
	return clean;
}

char *cgroup_slice_path(const char *slice, struct err *e)
{
	size_t n = strlen(slice);
	autostr out = {0};

	if (str_eq(slice, "-.slice"))
		return xstrdup("");
	if (n <= 6 || n > UNIT_NAME_MAX || !str_eq(slice + n - 6, ".slice") || strchr(slice, '/') ||
	    slice[0] == '-' || slice[n - 7] == '-' || strstr(slice, "--") || slice[0] == '.') {
		fail(e, EINVAL, "slice name \"%s\"", slice);
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)slice[i]) && !strchr(":-_.\\@", slice[i])) {
			fail(e, EINVAL, "slice name \"%s\"", slice);
			return NULL;
		}
	for (size_t i = 0; i < n - 6; i++)
		if (slice[i] == '-')
			str_addf(&out, "/%.*s.slice", (int)i, slice);
	str_addf(&out, "/%s", slice);
	return str_steal(&out);
}

/* Bytes that a unit name cannot hold become \xNN, as systemd-escape(1) does. */
static void unit_escape(struct str *out, const char *s)
{
	for (; *s; s++) {
		if (isalnum((unsigned char)*s) || strchr(":-_.\\", *s))
			str_addc(out, *s);
		else
			str_addf(out, "\\x%02x", (unsigned char)*s);
	}
}

static int unit_name(const char *prefix, const char *name, struct cgroup_unit *u, struct err *e)
{
	autostr out = {0};
	size_t n = strlen(name);

	if (!n || strchr(name, '/') || strchr(prefix, '/'))
		return fail(e, EINVAL, "systemd unit name \"%s-%s\"", prefix, name);
	if (n > 6 && str_eq(name + n - 6, ".slice")) {
		autofree char *path = cgroup_slice_path(name, e);

		if (!path)
			return -1;
		u->name = xstrdup(name);
		return 0;
	}
	if (prefix[0]) {
		unit_escape(&out, prefix);
		str_addc(&out, '-');
	}
	unit_escape(&out, name);
	str_add(&out, ".scope");
	if (out.len > UNIT_NAME_MAX)
		return fail(e, ENAMETOOLONG, "systemd unit name \"%.60s...\"", out.s);
	u->name = str_steal(&out);
	return 0;
}

int cgroup_unit_parse(const char *path, const char *id, bool rootless, struct cgroup_unit *u,
                      struct err *e)
{
	autofree char *copy = path && path[0] ? xstrdup(path) : xasprintf(":davit:%s", id);
	autofree char *slice_path = NULL;
	char *prefix = strchr(copy, ':'), *name;

	memset(u, 0, sizeof(*u));
	name = prefix ? strchr(prefix + 1, ':') : NULL;
	if (!name || strchr(name + 1, ':')) {
		fail(e, EINVAL, "cgroupsPath \"%s\" for the systemd manager", path);
		return fail_hint(e, "write it as slice:prefix:name, or use the cgroupfs manager");
	}
	*prefix++ = '\0';
	*name++ = '\0';
	if (!copy[0])
		u->slice = xstrdup(rootless ? "user.slice" : "system.slice");
	else
		u->slice = xstrdup(str_eq(copy, "-") ? "-.slice" : copy);
	slice_path = cgroup_slice_path(u->slice, e);
	if (!slice_path || unit_name(prefix, name, u, e) < 0) {
		cgroup_unit_free(u);
		return -1;
	}
	u->path = xasprintf("%s/%s", slice_path, u->name);
	return 0;
}

void cgroup_unit_free(struct cgroup_unit *u)
{
	free(u->slice);
	free(u->name);
	free(u->path);
	memset(u, 0, sizeof(*u));
}
