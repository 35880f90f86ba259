/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The identity of a container's groups: naming them before they exist, the state record. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_systemd.h"

static const char *const manager_names[] = {
	[CGROUP_MANAGER_CGROUPFS] = "cgroupfs",
	[CGROUP_MANAGER_SYSTEMD] = "systemd",
	[CGROUP_MANAGER_DISABLED] = "disabled",
};

int cgroup_manager_parse(const char *name)
{
	for (size_t i = 0; i < COUNT(manager_names); i++)
		if (str_eq(name, manager_names[i]))
			return (int)i;
	return -1;
}

const char *cgroup_manager_name(enum cgroup_manager m)
{
	return manager_names[m];
}

bool cgroup_late(const struct cgroup_plan *p)
{
	return p->manager == CGROUP_MANAGER_SYSTEMD;
}

const char *cgroup_display(const struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_main((struct cgroup *)cg);

	return d ? cgroup_dir_name(d) : "";
}

void cgroup_close(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++) {
		free(cg->v[i].controllers);
		free(cg->v[i].path);
		if (cg->v[i].fd >= 0)
			close(cg->v[i].fd);
	}
	free(cg->unit);
	free(cg->leaf);
	*cg = (struct cgroup)CGROUP_INIT;
}

/* Whether path is in another file system than it must be. */
static bool is_foreign(const char *path, bool v2)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 &&
	       fs.f_type != (v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC);
}

/* Another file system may lie over a part of the hierarchy: a directory there is no group. */
static int place_check(const struct cgroup_dir *d, struct err *e)
{
	autofree char *path = xstrdup(d->path);

	for (unsigned i = 0; i < d->made; i++)
		*strrchr(path, '/') = '\0';
	if (!is_foreign(path, d->v2))
		return 0;
	return fail(e, EINVAL, "\"%s\", where the group is to be, is not in cgroupfs", path);
}

/* A group that somebody else made is used only if it is idle, and all below it: what is in it will
 * be killed with the container. */
static int existing_check(const struct cgroup_dir *d, struct err *e)
{
	struct cgroup one = {.n = 1, .v = {*d}};
	autofree pid_t *pids = NULL;
	char buf[64];
	size_t n;

	TRY(cgroup_pids(&one, &pids, &n, e));
	if (n)
		return fail(e, EBUSY, "cgroup \"%s\" exists and has processes (%d ...)", d->path,
		            pids[0]);
	if ((cgroup_dir_read(d, "cgroup.freeze", buf, sizeof(buf)) > 0 && str_eq(buf, "1")) ||
	    (cgroup_dir_read(d, "freezer.state", buf, sizeof(buf)) > 0 && !str_eq(buf, "THAWED")))
		return fail(e, EBUSY, "cgroup \"%s\" exists and is frozen", d->path);
	return 0;
}

static const char *hier_base(const struct cgroup_plan *p, const struct cgroup_hier *h, char **owned)
{
	char *slash;

	*owned = NULL;
	if (!p->beside_own || !h->own)
		return "";
	*owned = xstrdup(h->own);
	slash = strrchr(*owned, '/');
	if (h->v2 && slash) {
		/* Beside the runtime's own group: that one has processes, so it cannot have
		 * controllers for groups below it. Only if the parent is delegated too. */
		autofree char *parent = NULL;

		*slash = '\0';
		parent = xasprintf("%s%s/cgroup.procs", h->mount, *owned);
		if (access(parent, W_OK) < 0)
			*slash = '/';
	}
	if (str_eq(*owned, "/"))
		(*owned)[0] = '\0';
	return *owned;
}

/* unit is the group of the systemd unit, NULL for the cgroupfs manager. */
static int prepare_one(const struct cgroup_plan *p, const struct cgroup_hier *h, const char *unit,
                       struct cgroup *cg, struct err *e)
{
	autofree char *base = NULL;
	struct cgroup_dir *d = &cg->v[cg->n];

	*d = (struct cgroup_dir){.fd = -1, .v2 = h->v2};
	d->mount_len = (unsigned short)strlen(h->mount);
	if (unit && p->request->rootless && !h->v2)
		return 0; /* version 1 is not for users */
	if (unit)
		d->path = xasprintf("%s%s%s%s", h->mount, unit, p->subgroup && h->v2 ? "/" : "",
		                    p->subgroup && h->v2 ? p->subgroup : "");
	else
		d->path = xasprintf("%s%s%s", h->mount, hier_base(p, h, &base), p->path);
	d->controllers = xstrdup(h->controllers);
	cg->n++;
	d->made = cgroup_dir_missing(d);
	TRY(place_check(d, e));
	if (!d->made)
		return existing_check(d, e);
	if (unit && h->v2) /* systemd makes it */
		d->made = p->subgroup != NULL;
	return 0;
}

int cgroup_prepare(const struct cgroup_plan *p, struct cgroup *cg, struct err *e)
{
	autofree char *group = NULL;

	*cg = (struct cgroup)CGROUP_INIT;
	cg->mode = p->mode;
	cg->manager = p->manager;
	cg->rootless = p->request->rootless;
	if (p->manager == CGROUP_MANAGER_DISABLED)
		return 0;
	if (p->delegate)
		cg->leaf = xstrdup(p->delegate);
	if (p->manager == CGROUP_MANAGER_SYSTEMD) {
		cg->unit = xstrdup(p->unit.name);
		group = cgroup_systemd_group(p, e);
		if (!group) {
			cgroup_close(cg);
			return -1;
		}
	}
	for (size_t i = 0; i < p->host->n; i++)
		if (prepare_one(p, &p->host->v[i], group, cg, e) < 0) {
			cgroup_close(cg);
			return p->request->path && *p->request->path
			               ? fail_at(e, "/linux/cgroupsPath")
			               : -1;
		}
	return 0;
}

/* ---- the record: "1 MODE MANAGER FLAGS UNIT LEAF {CONTROLLERS VERSION MADE MOUNT_LEN PATH}" */

static void token_add(struct str *out, const char *text)
{
	str_addc(out, ' ');
	if (!text || !text[0])
		str_addc(out, '-');
	else if (str_eq(text, "-"))
		str_add(out, "%2d");
	else
		for (; *text; text++) {
			if (isgraph((unsigned char)*text) && *text != '%' && *text != '"' &&
			    *text != '\\')
				str_addc(out, *text);
			else
				str_addf(out, "%%%02x", (unsigned char)*text);
		}
}

char *cgroup_record(const struct cgroup *cg)
{
	autostr out = {0};

	str_addf(&out, "1 %d %s %d", cg->mode, cgroup_manager_name(cg->manager), cg->rootless);
	token_add(&out, cg->unit);
	token_add(&out, cg->leaf);
	for (size_t i = 0; i < cg->n; i++) {
		const struct cgroup_dir *d = &cg->v[i];

		token_add(&out, d->controllers);
		str_addf(&out, " %d %u %u", d->v2 ? 2 : 1, d->made, d->mount_len);
		token_add(&out, d->path);
	}
	return str_steal(&out);
}

/* Takes plain characters, or one that is written as "%" and two digits; returns the rest. */
static const char *token_part(const char *s, struct str *out)
{
	size_t plain = strcspn(s, " %");
	char digits[3] = {0};
	unsigned long byte = 0;

	if (!plain && isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2])) {
		memcpy(digits, s + 1, 2);
		byte = strtoul(digits, NULL, 16);
	}
	if (byte) {
		str_addc(out, (char)byte);
		return s + 3;
	}
	str_addn(out, s, plain ? plain : 1);
	return s + (plain ? plain : 1);
}

/* Takes the next token, decoded; NULL at the end. "-" becomes "". The caller frees. */
static char *token_next(const char **p)
{
	const char *s = *p;
	autostr out = {0};

	while (*s == ' ')
		s++;
	if (!*s)
		return NULL;
	if (s[0] == '-' && (s[1] == ' ' || s[1] == '\0'))
		s++;
	else
		while (*s && *s != ' ')
			s = token_part(s, &out);
	*p = s;
	return str_steal(&out);
}

static int token_number(const char **p, uint64_t max, uint64_t *value)
{
	autofree char *t = token_next(p);

	return t && str_to_u64(t, value) == 0 && *value <= max ? 0 : -1;
}

/* The record is on disk: what it names must be a clean path ... */
static int record_check(const struct cgroup_dir *d, struct err *e)
{
	autofree char *clean = NULL;

	if (d->path[0] != '/' || d->path[d->mount_len] != '/')
		return fail(e, EINVAL, "cgroup record names \"%s\"", d->path);
	clean = cgroup_path_clean(d->path, e);
	if (!clean)
		return -1;
	if (!str_eq(clean, d->path) || !d->path[d->mount_len + 1])
		return fail(e, EINVAL, "cgroup record names \"%s\"", d->path);
	return 0;
}

/* ... below a real cgroup mount. */
static int record_check_mount(const struct cgroup_dir *d, struct err *e)
{
	autofree char *mount = xstrndup(d->path, d->mount_len);

	if (is_foreign(mount, d->v2))
		return fail(e, EINVAL, "cgroup record names \"%s\", which is not in cgroupfs",
		            d->path);
	return 0;
}

static int record_dir(const char **p, struct cgroup *cg, struct err *e)
{
	struct cgroup_dir *d = &cg->v[cg->n];
	uint64_t version, made, mount_len;

	*d = (struct cgroup_dir){.fd = -1};
	d->controllers = token_next(p);
	if (!d->controllers)
		return 0;
	cg->n++;
	if (token_number(p, 2, &version) < 0 || token_number(p, 4096, &made) < 0 ||
	    token_number(p, 4096, &mount_len) < 0 || !(d->path = token_next(p)) ||
	    mount_len >= strlen(d->path))
		return fail(e, 0, "cgroup record is damaged");
	d->v2 = version == 2;
	d->made = (unsigned short)made;
	d->mount_len = (unsigned short)mount_len;
	TRY(record_check(d, e));
	return 1;
}

static int record_parse(const char *p, struct cgroup *cg, struct err *e)
{
	uint64_t version, mode, rootless;
	autofree char *manager = NULL;
	int more = 1;

	if (token_number(&p, 1, &version) < 0 || version != 1 ||
	    token_number(&p, CGROUP_MODE_HYBRID, &mode) < 0 || !(manager = token_next(&p)) ||
	    cgroup_manager_parse(manager) < 0 || token_number(&p, 1, &rootless) < 0 ||
	    !(cg->unit = token_next(&p)) || !(cg->leaf = token_next(&p)))
		return fail(e, 0, "cgroup record is damaged");
	cg->mode = (enum cgroup_mode)mode;
	cg->manager = (enum cgroup_manager)cgroup_manager_parse(manager);
	cg->rootless = rootless;
	if (!cg->unit[0])
		free(take_ptr(&cg->unit));
	if (!cg->leaf[0])
		free(take_ptr(&cg->leaf));
	if (cg->leaf && strchr(cg->leaf, '/'))
		return fail(e, 0, "cgroup record is damaged");
	while (more > 0 && cg->n < CGROUP_HIERS_MAX)
		TRY(more = record_dir(&p, cg, e));
	return 0;
}

int cgroup_peek(const char *record, struct cgroup *cg, struct err *e)
{
	*cg = (struct cgroup)CGROUP_INIT;
	cg->manager = CGROUP_MANAGER_DISABLED;
	if (!record[0])
		return 0;
	if (record_parse(record, cg, e) < 0) {
		cgroup_close(cg);
		return -1;
	}
	return 0;
}

int cgroup_parse(const char *record, struct cgroup *cg, struct err *e)
{
	TRY(cgroup_peek(record, cg, e));
	for (size_t i = 0; i < cg->n; i++) {
		if (record_check_mount(&cg->v[i], e) < 0) {
			cgroup_close(cg);
			return -1;
		}
	}
	return 0;
}
