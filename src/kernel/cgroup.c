/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plan: manager, names, settings. Looks at the host, changes nothing. */
#include "kernel/cgroup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_device.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_named.h"
#include "kernel/cgroup_resources.h"
#include "kernel/cgroup_systemd.h"
#include "kernel/cgroup_systemd_property.h"
#include "ocispec.h"

#define DELEGATE_LEAF "init" /* of the own switch, unless a name is given */

#define A_SUBGROUP "run.oci.systemd.subgroup"
#define A_LEAF     "run.oci.delegate-cgroup"
#define A_DELEGATE "org.davit.cgroup.delegate"
#define A_SYSTEMD  "org.systemd.property."

const char *const cgroup_annotations[] = {A_DELEGATE, A_SYSTEMD, A_LEAF, CGROUP_NAMED_ANNOTATION,
                                          A_SUBGROUP, NULL};

static const char *annotation(const struct cgroup_request *r, const char *name)
{
	for (size_t i = 0; r->annotations && i < r->annotations->n; i++)
		if (str_eq(r->annotations->keys[i], name))
			return r->annotations->values[i];
	return NULL;
}

/* An annotation whose value is the name of one group. NULL: absent or empty. */
static int group_name(const struct cgroup_request *r, const char *name, char **value, struct err *e)
{
	const char *text = annotation(r, name);
	autofree char *clean = NULL;

	*value = NULL;
	if (!text || !text[0])
		return 0;
	clean = cgroup_path_clean(text, e);
	if (!clean || strchr(text, '/')) {
		if (clean)
			fail(e, EINVAL, "\"%s\" is no name of a group", text);
		return fail_at(e, "/annotations/%s", name);
	}
	*value = xstrdup(text);
	return 0;
}

static int delegate_make(const struct cgroup_request *r, struct cgroup_plan *p, struct err *e)
{
	const char *whole = annotation(r, A_DELEGATE);

	TRY(group_name(r, A_LEAF, &p->delegate, e));
	if (whole && !str_eq(whole, "true") && !str_eq(whole, "false") && !str_eq(whole, "1") &&
	    !str_eq(whole, "0")) {
		fail(e, EINVAL, "\"%s\" is neither true nor false", whole);
		return fail_at(e, "/annotations/" A_DELEGATE);
	}
	p->delegate_whole = whole && (str_eq(whole, "true") || str_eq(whole, "1"));
	if (p->delegate_whole && !p->delegate)
		p->delegate = xstrdup(DELEGATE_LEAF);
	if (p->delegate && p->mode != CGROUP_MODE_V2) {
		fail(e, 0, "delegation of a cgroup needs cgroup version 2 alone");
		return fail_at(e, "/annotations/%s", p->delegate_whole ? A_DELEGATE : A_LEAF);
	}
	if (p->delegate && !r->cgroupns) {
		fail(e, 0, "delegation of a cgroup needs a new cgroup namespace");
		return fail_at(e, "/annotations/%s", p->delegate_whole ? A_DELEGATE : A_LEAF);
	}
	p->chown = !p->delegate && r->cgroupns && r->cgroup_rw && r->owner != 0 &&
	           r->owner != (uid_t)-1 && p->mode == CGROUP_MODE_V2;
	return 0;
}

static int name_make(const struct cgroup_request *r, struct cgroup_plan *p, struct err *e)
{
	autostr properties = {0};

	switch (p->manager) {
	case CGROUP_MANAGER_SYSTEMD:
		if (cgroup_unit_parse(r->path, r->id, r->rootless, &p->unit, e) < 0)
			return fail_at(e, "/linux/cgroupsPath");
		TRY(systemd_annotations_add(&properties, r->annotations, e)); /* checks them */
		/* Version 1 has groups with processes above other groups anyway. */
		return p->mode == CGROUP_MODE_V2 ? group_name(r, A_SUBGROUP, &p->subgroup, e) : 0;
	case CGROUP_MANAGER_CGROUPFS:
		p->beside_own = r->rootless && (!r->path || r->path[0] != '/');
		/* What is filled in is the same for every plan. */
		if (p->beside_own)
			TRY(cgroup_host_own((struct cgroup_host *)p->host, e));
		p->path = cgroup_path_resolve(r->path, p->beside_own ? "" : CGROUP_DEFAULT_PARENT,
		                              r->id, e);
		if (!p->path)
			return fail_at(e, "/linux/cgroupsPath");
		return 0;
	default:
		return 0;
	}
}

static void kinds_make(const struct cgroup_host *h, struct cgroup_kinds *k, char *controllers,
                       size_t size)
{
	memset(k, 0, sizeof(*k));
	for (size_t i = 0; i < h->n; i++) {
		struct cgroup_dir d = {.path = (char *)h->v[i].mount, .fd = -1};

		if (!h->v[i].v2) {
			k->v1[k->n++] = h->v[i].controllers;
			continue;
		}
		k->v2 = true;
		if (h->mode == CGROUP_MODE_HYBRID &&
		    cgroup_dir_read(&d, "cgroup.controllers", controllers, size) >= 0)
			k->v2_controllers = controllers;
	}
}

static int resources_make(const struct cgroup_request *r, struct cgroup_plan *p, struct err *e)
{
	struct cgroup_kinds k;
	char controllers[512];

	kinds_make(p->host, &k, controllers, sizeof(controllers));
	p->settings = xcalloc(1, sizeof(*p->settings));
	TRY(cgroup_settings_make(r->resources, &k, p->settings, e));
	/* Without the host's privilege no node can be made, and no rule can be set. */
	if (r->rootless)
		return 0;
	p->devices = xcalloc(1, sizeof(*p->devices));
	return cgroup_device_rules_make(r->resources ? r->resources->devices : NULL,
	                                r->resources ? r->resources->n_devices : 0, p->devices, e);
}

static int disabled_check(const struct cgroup_request *r, struct err *e)
{
	static const struct cgroup_kinds none;
	struct cgroup_settings s;

	/* Nothing is there to hold a limit: asking for one is an error. */
	if (cgroup_settings_make(r->resources, &none, &s, e) < 0)
		return fail_hint(e, "a limit needs a cgroup manager other than \"disabled\"");
	cgroup_settings_free(&s);
	return 0;
}

static int plan_fill(const struct cgroup_request *r, struct cgroup_plan *p, struct err *e)
{
	if (p->manager == CGROUP_MANAGER_DISABLED)
		return disabled_check(r, e);
	if (p->mode == CGROUP_MODE_NONE && r->rootless) {
		p->manager = CGROUP_MANAGER_DISABLED;
		return disabled_check(r, e);
	}
	if (p->mode == CGROUP_MODE_NONE) {
		fail(e, 0, "no cgroup file system is mounted");
		return fail_hint(e,
		                 "mount one on /sys/fs/cgroup, or use --cgroup-manager disabled");
	}
	TRY(name_make(r, p, e));
	TRY(delegate_make(r, p, e));
	return resources_make(r, p, e);
}

int cgroup_plan_make(const struct cgroup_request *r, const struct cgroup_host *h,
                     struct cgroup_plan *p, struct err *e)
{
	memset(p, 0, sizeof(*p));
	p->mode = h->mode;
	p->manager = r->manager;
	p->host = h;
	p->request = r;
	if (plan_fill(r, p, e) == 0)
		return 0;
	cgroup_plan_free(p);
	return -1;
}

void cgroup_plan_free(struct cgroup_plan *p)
{
	if (p->settings)
		cgroup_settings_free(p->settings);
	if (p->devices)
		cgroup_device_rules_free(p->devices);
	cgroup_unit_free(&p->unit);
	free(p->settings);
	free(p->devices);
	free(p->path);
	free(p->subgroup);
	free(p->delegate);
	memset(p, 0, sizeof(*p));
}
