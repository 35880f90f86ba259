/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/unapplied.h"
#include "ocispec.h"

#define SCHEMATA_MAX 65536

#define RESCTRL       "/sys/fs/resctrl"
#define RESCTRL_MAGIC 0x7655821
#define AT            "/linux/intelRdt"
#define TEXT_MAX      65536

/* ---- where resctrl is */

/* Field 5 of the first line of mountinfo whose type is resctrl; proc_pid_mountinfo(5). */
static const char *mount_find(struct arena *a)
{
	struct err ignored;
	autofree char *text =
		file_read(AT_FDCWD, "/proc/self/mountinfo", 16u << 20, NULL, &ignored);
	char *rest = text, *line;

	while (rest && (line = strsep(&rest, "\n"))) {
		char *type = strstr(line, " - ");
		char *point = line;

		if (!type || !str_starts(type, " - resctrl "))
			continue;
		for (int field = 1; field < 5 && point; field++) {
			point = strchr(point, ' ');
			point += point != NULL;
		}
		if (point && *point == '/')
			return arena_printf(a, "%.*s", (int)strcspn(point, " "), point);
	}
	return NULL;
}

static const char *root_find(struct arena *a, struct err *e)
{
	const char *test = getenv("DAVIT_RESCTRL");
	autofd fd = -1;
	struct stat st;
	const char *root;

	if (test && *test == '/' && lstat(test, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && !(st.st_mode & 022))
		return arena_strdup(a, test);
	fd = fd_try_open(AT_FDCWD, RESCTRL, O_PATH | O_DIRECTORY);
	if (fd >= 0 && path_is_fs(fd, RESCTRL_MAGIC))
		return RESCTRL;
	root = mount_find(a);
	if (root)
		return root;
	fail(e, 0, "this host has no resctrl file system");
	fail_hint(e, "it needs hardware with cache or memory bandwidth allocation, and: mount -t "
	             "resctrl resctrl " RESCTRL);
	(void)fail_at(e, AT);
	return NULL;
}

/* ---- checks */

static int line_check(const char *line, const char *start, const char *property, struct err *e)
{
	if (!line)
		return 0;
	if (strchr(line, '\n'))
		fail(e, 0, "a line of schemata holds a newline");
	else if (!str_starts(line, start))
		fail(e, 0, "\"%.64s\" does not begin with \"%s\"", line, start);
	else
		return 0;
	return fail_at(e, AT "/%s", property);
}

static int group_check(const char *name, struct err *e)
{
	static const char *const reserved[] = {".", "..", "info", "mon_groups", "mon_data"};
	bool bad = strchr(name, '/') || strlen(name) > NAME_MAX;

	for (const char *c = name; *c; c++)
		bad |= (unsigned char)*c <= ' ' || *c == 127;
	for (size_t i = 0; i < COUNT(reserved); i++)
		bad |= str_eq(name, reserved[i]);
	if (!bad)
		return 0;
	fail(e, 0, "\"%.64s\" cannot be the name of a group", name);
	return fail_at(e, AT "/closID");
}

static int rdt_check(const struct oci_intel_rdt *r, struct err *e)
{
	TRY(line_check(r->l3_cache_schema, "", "l3CacheSchema", e));
	TRY(line_check(r->mem_bw_schema, "MB:", "memBwSchema", e));
	for (size_t i = 0; i < r->n_schemata; i++) {
		char property[32];

		snprintf(property, sizeof(property), "schemata/%zu", i);
		TRY(line_check(r->schemata[i], "", property, e));
	}
	return 0;
}

/* ---- comparing a line with those of a group that is there */

static const char *blanks_skip(const char *s)
{
	return s + strspn(s, " \t");
}

/* The value of a cache or memory domain ("0=7ff") in a line's list, or NULL. */
static const char *domain_find(const char *list, const char *domain, size_t n)
{
	for (const char *s = list; s && *s; s = strchr(s, ';')) {
		s = blanks_skip(s + (*s == ';'));
		if (strncmp(s, domain, n) == 0 && s[n] == '=')
			return s + n + 1;
	}
	return NULL;
}

/* Masks are hexadecimal, with any number of zeros in front; bandwidth is decimal. */
static bool values_equal(const char *a, const char *b, int base)
{
	return strtoull(a, NULL, base) == strtoull(b, NULL, base);
}

static bool lists_equal(const char *want, const char *have, int base)
{
	for (const char *s = want; s && *s; s = strchr(s, ';')) {
		const char *value, *found;

		s = blanks_skip(s + (*s == ';'));
		value = strchr(s, '=');
		if (!value)
			return false;
		found = domain_find(have, s, (size_t)(value - s));
		if (!found || !values_equal(value + 1, found, base))
			return false;
	}
	return true;
}

static int schema_compare(const char *line, const char *schemata, const char *property,
                          struct err *e)
{
	const char *colon = line ? strchr(line, ':') : NULL;
	int base = colon && str_starts(line, "MB:") ? 10 : 16;
	size_t n = colon ? (size_t)(colon - line) + 1 : 0;

	if (!line)
		return 0;
	for (const char *s = schemata; s && n; s = strchr(s, '\n')) {
		s += *s == '\n';
		s = blanks_skip(s);
		if (strncmp(s, line, n) == 0) {
			autofree char *have = xstrndup(s + n, strcspn(s + n, "\n"));

			if (lists_equal(colon + 1, have, base))
				return 0;
		}
	}
	fail(e, 0, "the group exists, and its schemata differ from \"%.128s\"", line);
	return fail_at(e, AT "/%s", property);
}

static int group_compare(const struct oci_intel_rdt *r, const char *path, struct err *e)
{
	char file[PATH_MAX + 16];
	autofree char *text = NULL;

	if (!r->l3_cache_schema && !r->mem_bw_schema)
		return 0;
	snprintf(file, sizeof(file), "%s/schemata", path);
	text = file_read(AT_FDCWD, file, TEXT_MAX, NULL, e);
	if (!text)
		return fail_at(e, AT "/closID");
	TRY(schema_compare(r->l3_cache_schema, text, "l3CacheSchema", e));
	return schema_compare(r->mem_bw_schema, text, "memBwSchema", e);
}

/* ---- the plan */

/* Cache first, then bandwidth, then the free lines. */
static const char *schemata_text(const struct oci_intel_rdt *r, struct arena *a)
{
	autostr text = {0};

	if (r->l3_cache_schema)
		str_addf(&text, "%s\n", r->l3_cache_schema);
	if (r->mem_bw_schema)
		str_addf(&text, "%s\n", r->mem_bw_schema);
	for (size_t i = 0; i < r->n_schemata; i++)
		str_addf(&text, "%s\n", r->schemata[i]);
	return text.s ? arena_strdup(a, text.s) : NULL;
}

static void group_path(const struct rdt *r, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s%s%s", r->root, *r->group ? "/" : "", r->group);
}

static void monitor_path(const struct rdt *r, char path[PATH_MAX])
{
	char group[PATH_MAX];

	group_path(r, group);
	snprintf(path, PATH_MAX, "%.*s/mon_groups/%s", PATH_MAX - 300, group, r->monitor);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static int group_plan(const struct oci_intel_rdt *r, struct rdt_plan *p, struct err *e)
{
	char path[PATH_MAX];

	group_path(&p->rdt, path);
	p->exists = is_there(path);
	if (p->rdt.own && p->exists) {
		fail(e, EEXIST, "make group \"%s\"", path);
		return fail_at(e, AT);
	}
	if (!p->rdt.own && !p->exists && !p->schemata) {
		fail(e, ENOENT, "group \"%s\"", path);
		return fail_at(e, AT "/closID");
	}
	if (p->exists)
		TRY(group_compare(r, path, e));
	if (!p->rdt.monitor)
		return 0;
	monitor_path(&p->rdt, path);
	if (!is_there(path))
		return 0;
	fail(e, EEXIST, "make monitoring group \"%s\"", path);
	return fail_at(e, AT "/enableMonitoring");
}

int rdt_plan_make(const struct oci_intel_rdt *r, const char *id, struct arena *a,
                  struct rdt_plan *p, struct err *e)
{
	bool named = r && r->clos_id && *r->clos_id;

	*p = (struct rdt_plan){0};
	if (!r)
		return 0;
	TRY(rdt_check(r, e));
	if (!named || !str_eq(r->clos_id, "/"))
		TRY(group_check(named ? r->clos_id : id, e));
	p->rdt.root = root_find(a, e);
	if (!p->rdt.root)
		return unapplied(e);
	p->rdt.group = !named ? id : str_eq(r->clos_id, "/") ? "" : r->clos_id;
	p->rdt.own = !named;
	p->rdt.monitor = r->enable_monitoring ? id : NULL;
	p->schemata = schemata_text(r, a);
	return group_plan(r, p, e);
}

/* ---- doing it */

/* resctrl says more than an errno in one file. */
static int status_hint(const struct rdt *r, struct err *e)
{
	autofree char *text = NULL;
	char path[PATH_MAX];
	struct err ignored;

	snprintf(path, sizeof(path), "%s/info/last_cmd_status", r->root);
	text = file_read(AT_FDCWD, path, TEXT_MAX, NULL, &ignored);
	if (text && *text && !str_starts(text, "ok"))
		(void)fail_hint(e, "%.*s", (int)strcspn(text, "\n"), text);
	return -1;
}

/* One write(2). In a directory that stands in for resctrl a new group has no files. */
static int group_put(const struct rdt *r, const char *path, const char *text, struct err *e)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	autofd own = fd;

	if (own < 0 || write(own, text, strlen(text)) != (ssize_t)strlen(text)) {
		fail(e, errno, "write \"%.*s\" to \"%s\"", (int)strcspn(text, "\n"), text, path);
		(void)fail_at(e, AT);
		return status_hint(r, e);
	}
	return 0;
}

static int group_mkdir(const struct rdt *r, const char *path, const char *what, struct err *e)
{
	if (mkdir(path, 0755) == 0)
		return 0;
	fail(e, errno, "make %s \"%s\"", what, path);
	if (e->errnum == ENOSPC)
		(void)fail_hint(e, "the hardware has no more of them");
	else
		(void)status_hint(r, e);
	return fail_at(e, AT);
}

int rdt_create(const struct rdt_plan *p, struct err *e)
{
	char path[PATH_MAX], file[PATH_MAX + 16];

	group_path(&p->rdt, path);
	if (!p->exists)
		TRY(group_mkdir(&p->rdt, path, "group", e));
	if (p->schemata) {
		snprintf(file, sizeof(file), "%s/schemata", path);
		TRY(group_put(&p->rdt, file, p->schemata, e));
	}
	if (!p->rdt.monitor)
		return 0;
	monitor_path(&p->rdt, path);
	snprintf(file, sizeof(file), "%.*s", (int)(strrchr(path, '/') - path), path);
	(void)mkdir(file, 0755); /* resctrl has it, what stands in for resctrl may not */
	return group_mkdir(&p->rdt, path, "monitoring group", e);
}

int rdt_enter(const struct rdt *r, pid_t pid, struct err *e)
{
	char path[PATH_MAX], file[PATH_MAX + 16], text[16];

	if (!r->root)
		return 0;
	snprintf(text, sizeof(text), "%d", pid);
	group_path(r, path);
	snprintf(file, sizeof(file), "%s/tasks", path);
	TRY(group_put(r, file, text, e));
	if (!r->monitor)
		return 0;
	monitor_path(r, path);
	snprintf(file, sizeof(file), "%s/tasks", path);
	return group_put(r, file, text, e);
}

char *rdt_schemata(const struct rdt *r)
{
	char path[PATH_MAX], file[PATH_MAX + 16];
	struct err ignored;
	size_t len;

	if (!r->root)
		return NULL;
	group_path(r, path);
	snprintf(file, sizeof(file), "%s/schemata", path);
	return file_read(AT_FDCWD, file, SCHEMATA_MAX, &len, &ignored);
}

void rdt_restore(const struct rdt *r, const char *schemata)
{
	char path[PATH_MAX], file[PATH_MAX + 16];
	struct err e;

	group_path(r, path);
	snprintf(file, sizeof(file), "%s/schemata", path);
	if (group_put(r, file, schemata, &e) < 0)
		log_warn("%s: the old schemata could not be put back", e.msg);
}

int rdt_update(const struct rdt *r, const char *l3_cache_schema, const char *mem_bw_schema,
               struct err *e)
{
	autostr text = {0};
	char path[PATH_MAX], file[PATH_MAX + 16];

	if (!r->root)
		return fail(e, 0, "the container has no group of resctrl");
	TRY(line_check(l3_cache_schema, "", "l3CacheSchema", e));
	TRY(line_check(mem_bw_schema, "MB:", "memBwSchema", e));
	if (l3_cache_schema)
		str_addf(&text, "%s\n", l3_cache_schema);
	if (mem_bw_schema)
		str_addf(&text, "%s\n", mem_bw_schema);
	group_path(r, path);
	snprintf(file, sizeof(file), "%s/schemata", path);
	return text.s ? group_put(r, file, text.s, e) : 0;
}

/* In resctrl rmdir(2) takes the files and the processes with it. */
static int group_remove(const char *path, struct err *e)
{
	static const char *const files[] = {"tasks", "schemata"};
	char file[PATH_MAX + 16];

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY)
		return fail(e, errno, "remove group \"%s\"", path);
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		(void)unlink(file); /* rmdir tells */
	}
	snprintf(file, sizeof(file), "%s/mon_groups", path);
	(void)rmdir(file); /* the same */
	return rmdir(path) == 0 ? 0 : fail(e, errno, "remove group \"%s\"", path);
}

int rdt_remove(const struct rdt *r, struct err *e)
{
	char path[PATH_MAX];

	if (!r->root)
		return 0;
	if (r->monitor) {
		monitor_path(r, path);
		TRY(group_remove(path, e));
	}
	if (!r->own || !*r->group)
		return 0;
	group_path(r, path);
	return group_remove(path, e);
}
