/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define USUAL_MOUNT "/sys/fs/cgroup"
#define TEXT_MAX    (16u << 20)

/* Words among the super block options of a version 1 mount that are not controllers. */
static const char *const mount_flags[] = {"rw",
                                          "ro",
                                          "xattr",
                                          "noprefix",
                                          "clone_children",
                                          "cpuset_v2_mode",
                                          "favordynmods",
                                          "nofavordynmods",
                                          "seclabel"};

static bool is_mount_flag(const char *word)
{
	for (size_t i = 0; i < COUNT(mount_flags); i++)
		if (str_eq(word, mount_flags[i]))
			return true;
	return str_starts(word, "release_agent=");
}

/* Leaves only the controllers and the name in a list of super block options. */
static void options_reduce(char *options)
{
	char *out = options, *save = NULL;
	size_t len = 0;

	for (char *w = strtok_r(options, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		size_t n = strlen(w);

		if (is_mount_flag(w))
			continue;
		if (len)
			out[len++] = ',';
		memmove(out + len, w, n);
		len += n;
	}
	out[len] = '\0';
}

/* mountinfo writes blank, tab, newline and backslash as three octal digits. */
static void octal_decode(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

static bool is_usual_place(const char *mount)
{
	size_t n = strlen(USUAL_MOUNT);

	return !strncmp(mount, USUAL_MOUNT, n) && (mount[n] == '\0' || mount[n] == '/');
}

/* A hierarchy can be mounted many times: the mount at the usual place wins, then the one that shows
 * more of it, then the first. */
static void hier_add(struct cgroup_host *h, const struct cgroup_hier *new)
{
	for (size_t i = 0; i < h->n; i++) {
		struct cgroup_hier *old = &h->v[i];

		if (old->v2 != new->v2 || !str_eq(old->controllers, new->controllers))
			continue;
		if (is_usual_place(new->mount) &&
		    (!is_usual_place(old->mount) ||
		     (str_eq(new->root, "/") && !str_eq(old->root, "/"))))
			*old = *new;
		return;
	}
	if (h->n < CGROUP_HIERS_MAX)
		h->v[h->n++] = *new;
}

static void mountinfo_line(struct cgroup_host *h, char *line)
{
	char *field[6], *save = NULL, *tail = strstr(line, " - cgroup");
	char *type, *options;
	struct cgroup_hier hier = {0};

	if (!tail)
		return;
	*tail = '\0';
	for (size_t i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return;
	}
	type = strtok_r(tail + 3, " ", &save);
	if (!type || !strtok_r(NULL, " ", &save))
		return;
	options = strtok_r(NULL, " ", &save);
	if (!options || field[4][0] != '/' || field[3][0] != '/')
		return;
	octal_decode(field[3]);
	octal_decode(field[4]);
	hier.root = field[3];
	hier.mount = field[4];
	hier.controllers = options;
	if (str_eq(type, "cgroup2")) {
		hier.v2 = true;
		hier.controllers = "";
	} else if (str_eq(type, "cgroup")) {
		octal_decode(options);
		options_reduce(options);
		if (!options[0])
			return;
	} else {
		return;
	}
	hier_add(h, &hier);
}

void cgroup_host_parse_mountinfo(struct cgroup_host *h, char *mountinfo)
{
	bool v1 = false, v2 = false;

	for (char *line = mountinfo; line;) {
		char *end = strchr(line, '\n');

		if (end)
			*end++ = '\0';
		mountinfo_line(h, line);
		line = end;
	}
	for (size_t i = 0; i < h->n; i++) {
		v1 |= !h->v[i].v2;
		v2 |= h->v[i].v2;
	}
	h->mode = v1 ? (v2 ? CGROUP_MODE_HYBRID : CGROUP_MODE_V1)
	             : (v2 ? CGROUP_MODE_V2 : CGROUP_MODE_NONE);
}

bool cgroup_list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p++) {
		if (!strncmp(p, word, n) && (p[n] == ',' || p[n] == '\0'))
			return n > 0;
		p = strchr(p, ',');
		if (!p)
			break;
	}
	return false;
}

/* "cpu,cpuacct" names the same hierarchy as "cpuacct,cpu". */
static bool same_controllers(const char *a, const char *b)
{
	char first[64];
	const char *comma = strchr(a, ',');
	size_t n = comma ? (size_t)(comma - a) : strlen(a);

	if (str_eq(a, b))
		return true;
	if (!n || n >= sizeof(first) || strlen(a) != strlen(b))
		return false;
	memcpy(first, a, n);
	first[n] = '\0';
	return cgroup_list_has(b, first);
}

/* Cuts a line "ID:CONTROLLERS:PATH"; false if it is not one. */
static bool own_line(char *line, char **controllers, char **path)
{
	char *first = strchr(line, ':'), *second;

	second = first ? strchr(first + 1, ':') : NULL;
	/* a name= may hold a colon: the path starts at the first ":/" */
	if (second && second[1] != '/')
		second = strstr(first + 1, ":/");
	if (!second)
		return false;
	*second = '\0';
	*controllers = first + 1;
	*path = second + 1;
	return true;
}

/* The part of a group's path that lies below the root of a mount, or NULL. */
static const char *below_root(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (str_starts(path, "/..") && (path[3] == '/' || path[3] == '\0'))
		return NULL;
	if (n == 1)
		return path;
	if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	return path[n] ? path + n : "/";
}

void cgroup_host_parse_own(struct cgroup_host *h, char *self_cgroup)
{
	for (char *line = self_cgroup; line;) {
		char *end = strchr(line, '\n'), *controllers, *path;

		if (end)
			*end++ = '\0';
		if (own_line(line, &controllers, &path))
			for (size_t i = 0; i < h->n; i++)
				if (same_controllers(h->v[i].controllers, controllers))
					h->v[i].own = below_root(path, h->v[i].root);
		line = end;
	}
}

int cgroup_host_own(struct cgroup_host *h, struct err *e)
{
	if (h->text[1])
		return 0;
	h->text[1] = file_read(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, NULL, e);
	if (!h->text[1])
		return -1;
	cgroup_host_parse_own(h, h->text[1]);
	return 0;
}

int cgroup_host_detect(struct cgroup_host *h, struct err *e)
{
	struct statfs fs;

	memset(h, 0, sizeof(*h));
	if (statfs(USUAL_MOUNT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
		h->mode = CGROUP_MODE_V2;
		h->n = 1;
		h->v[0] = (struct cgroup_hier){
			.mount = USUAL_MOUNT, .controllers = "", .root = "/", .v2 = true};
		return 0;
	}
	h->text[0] = file_read(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, NULL, e);
	if (!h->text[0])
		return -1;
	cgroup_host_parse_mountinfo(h, h->text[0]);
	if (!h->n)
		return 0;
	return cgroup_host_own(h, e);
}

void cgroup_host_free(struct cgroup_host *h)
{
	free(h->text[0]);
	free(h->text[1]);
	memset(h, 0, sizeof(*h));
}

const struct cgroup_hier *cgroup_host_find(const struct cgroup_host *h, const char *controller)
{
	for (size_t i = 0; i < h->n; i++)
		if (controller[0] ? !h->v[i].v2 && cgroup_list_has(h->v[i].controllers, controller)
		                  : h->v[i].v2)
			return &h->v[i];
	return NULL;
}

char *cgroup_of(const char *proc_cgroup, const char *controllers)
{
	autofree char *text = xstrdup(proc_cgroup);

	for (char *line = text; line;) {
		char *end = strchr(line, '\n'), *list, *path;

		if (end)
			*end++ = '\0';
		if (own_line(line, &list, &path) && same_controllers(controllers, list))
			return xstrdup(path);
		line = end;
	}
	return NULL;
}
