/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_make.h"
#include "kernel/cgroup_resources.h"
#include "kernel/cgroup_systemd_bus.h"
#include "kernel/cgroup_systemd_property.h"
#include "ocispec.h"

static int ask(enum unit_operation operation, const char *doing, const struct cgroup *cg,
               const struct str *properties, struct str *answer, struct err *e)
{
	const struct unit_request r = {operation, doing, cg->unit, cg->rootless, properties};

#ifdef HAVE_SYSTEMD
	return unit_ask(&r, answer, e);
#else
	(void)r;
	(void)answer;
	fail(e, ENOTSUP, "%s systemd unit \"%s\"", doing, cg->unit);
	return fail_hint(e, "this davit was built without systemd; use the cgroupfs manager");
#endif
}

/* ---- start */

static bool is_slice(const char *unit)
{
	size_t n = strlen(unit);

	return n > 6 && str_eq(unit + n - 6, ".slice");
}

static int devices_add(struct str *out, const struct cgroup_device_rules *rules, struct err *e)
{
	autofree char *classes = file_read(AT_FDCWD, "/proc/devices", 1u << 20, NULL, e);

	if (!classes)
		return -1;
	systemd_devices_add(out, rules, classes);
	return 0;
}

static int start_properties(const struct cgroup_plan *p, pid_t pid, struct str *out, struct err *e)
{
	const struct oci_resources *r = p->request->resources;
	const struct oci_resources_cpu *c = r ? r->cpu : NULL;

	systemd_property_add(out, "s", "Description", "davit container %s", p->request->id);
	systemd_property_add(out, "b", "DefaultDependencies", "false");
	if (is_slice(p->unit.name)) {
		systemd_property_add(out, "as", "Wants", "%s", p->unit.slice);
	} else {
		systemd_property_add(out, "s", "Slice", "%s", p->unit.slice);
		systemd_property_add(out, "b", "Delegate", "true");
		systemd_property_add(out, "s", "CollectMode", "inactive-or-failed");
		systemd_property_add(out, "au", "PIDs", "%d", pid);
	}
	systemd_property_add(out, "b", "CPUAccounting", "true");
	systemd_property_add(out, "b", "MemoryAccounting", "true");
	systemd_property_add(out, "b", "TasksAccounting", "true");
	systemd_property_add(
		out, "b", p->mode == CGROUP_MODE_V2 ? "IOAccounting" : "BlockIOAccounting", "true");
	systemd_resources_add(out, r, p->mode == CGROUP_MODE_V2, c ? c->quota : 0,
	                      c ? c->period : 0);
	if (p->devices)
		TRY(devices_add(out, p->devices, e));
	return systemd_annotations_add(out, p->request->annotations, e);
}

int cgroup_systemd_start(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	autostr properties = {0};

	TRY(start_properties(p, pid, &properties, e));
	if (ask(UNIT_START, "start", cg, &properties, NULL, e) == 0)
		return 0;
	/* A scope that comes late ends with the process that it was made for. What is there in its
	 * place is somebody else's: nothing of it is to be stopped, killed or removed. */
	cgroup_close(cg);
	return -1;
}

/* The part of a group's path that ends with user@UID.service, where a user's own systemd lives. */
static char *user_manager(const char *own)
{
	const char *at = own ? strstr(own, "/user@") : NULL, *end = at ? strchr(at + 1, '/') : NULL;
	const char *dir = getenv("XDG_RUNTIME_DIR");
	uint64_t uid;

	if (at)
		return xstrndup(own, end ? (size_t)(end - own) : strlen(own));
	if (!dir || !str_starts(dir, "/run/user/") || str_to_u64(dir + 10, &uid) < 0)
		uid = geteuid();
	return xasprintf("/user.slice/user-%" PRIu64 ".slice/user@%" PRIu64 ".service", uid, uid);
}

char *cgroup_systemd_group(const struct cgroup_plan *p, struct err *e)
{
	const struct cgroup_hier *h = cgroup_host_find(p->host, "");
	autofree char *manager = NULL;

	if (is_slice(p->unit.name) && p->request->rootless) {
		fail(e, EOPNOTSUPP, "use the slice \"%s\" as a rootless container's group",
		     p->unit.name);
		return NULL;
	}
	if (is_slice(p->unit.name))
		return cgroup_slice_path(p->unit.name, e);
	if (!p->request->rootless)
		return xstrdup(p->unit.path);
	/* The host's struct is the caller's, but what is filled in is the same for everybody. */
	if (cgroup_host_own((struct cgroup_host *)p->host, e) < 0)
		return NULL;
	manager = user_manager(h ? h->own : NULL);
	return xasprintf("%s%s", manager, p->unit.path);
}

/* The record of the container names the group already: it must be where systemd has put pid. */
static int scope_check(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	autofree char *expected = cgroup_systemd_group(p, e);
	autofree char *text = NULL;
	autofree char *group = NULL;
	char file[48];

	if (!expected)
		return -1;
	if (is_slice(cg->unit))
		return 0;
	(void)snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	text = file_read(AT_FDCWD, file, 1u << 20, NULL, e);
	if (!text)
		return -1;
	group = cgroup_of(text, p->mode == CGROUP_MODE_V2 ? "" : "name=systemd");
	if (str_eq(group, expected))
		return 0;
	return fail(e, 0, "systemd put process %d into the cgroup \"%s\", not \"%s\"", pid,
	            group ? group : "", expected);
}

/* Makes the group where systemd does not manage the hierarchy. */
static int scope_complete(struct cgroup_dir *d, struct err *e)
{
	if (d->v2 || access(d->path, F_OK) == 0)
		return 0;
	if (cgroup_dir_make(d) < 0 && errno != EEXIST) /* somebody may have been quicker */
		return fail(e, errno, "make cgroup \"%s\"", d->path);
	return cgroup_v1_fill(d, e);
}

/* Puts init one group below the scope's own: then the scope can give its controllers away. */
static int subgroup_enter(struct cgroup_dir *d, pid_t pid, struct err *e)
{
	autofree char *above = xstrndup(d->path, (size_t)(strrchr(d->path, '/') - d->path));
	struct cgroup_dir scope = {.path = above, .fd = -1, .v2 = true};

	if (cgroup_dir_make(d) < 0 && errno != EEXIST)
		return fail(e, errno, "make cgroup \"%s\"", d->path);
	if (cgroup_dir_join(d, NULL, pid) < 0)
		return fail(e, errno, "move process %d to cgroup \"%s\"", pid, d->path);
	cgroup_v2_enable_below(&scope);
	return 0;
}

int cgroup_scope_find(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);

	TRY(scope_check(p, cg, pid, e));
	for (size_t i = 0; i < cg->n; i++)
		TRY(scope_complete(&cg->v[i], e));
	if (p->mode != CGROUP_MODE_V2 || !d)
		return 0;
	d->entered = !is_slice(cg->unit);
	if (p->subgroup)
		TRY(subgroup_enter(d, pid, e));
	return p->chown ? cgroup_v2_chown(d, p->request->owner, (gid_t)-1, e) : 0;
}

/* ---- update, stop */

/* Quota and period as they are in the kernel after the update. */
static void quota_read(struct cgroup *cg, int64_t *quota, uint64_t *period)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "cpu");
	char buf[64];
	uint64_t value;

	*quota = 0;
	*period = 0;
	if (!d)
		return;
	if (d->v2) {
		if (cgroup_dir_read(d, "cpu.max", buf, sizeof(buf)) > 0) {
			char *blank = strchr(buf, ' ');

			*quota = buf[0] == 'm' ? -1 : strtoll(buf, NULL, 10);
			*period = blank ? strtoull(blank + 1, NULL, 10) : 0;
		}
		return;
	}
	if (cgroup_dir_u64(d, "cpu.cfs_quota_us", &value) == 0)
		*quota = value == UINT64_MAX ? -1 : (int64_t)value;
	if (cgroup_dir_u64(d, "cpu.cfs_period_us", &value) == 0)
		*period = value;
}

/* Puts quota and period back to what they were before systemd wrote them: it rounds the one, and
 * forgets the other when there is no quota. */
static int quota_write(struct cgroup *cg, int64_t quota, uint64_t period, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "cpu");
	char text[64];

	if (!d || !period)
		return 0;
	if (!d->v2) {
		(void)snprintf(text, sizeof(text), "%" PRIu64, period);
		if (cgroup_dir_write(d, "cpu.cfs_period_us", text) < 0)
			return fail(e, errno, "write \"%s\" to \"%s/cpu.cfs_period_us\"", text,
			            d->path);
		(void)snprintf(text, sizeof(text), "%" PRId64, quota);
		if (cgroup_dir_write(d, "cpu.cfs_quota_us", text) == 0)
			return 0;
		return fail(e, errno, "write \"%s\" to \"%s/cpu.cfs_quota_us\"", text, d->path);
	}
	if (quota < 0)
		(void)snprintf(text, sizeof(text), "max %" PRIu64, period);
	else
		(void)snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, quota, period);
	if (cgroup_dir_write(d, "cpu.max", text) == 0)
		return 0;
	return fail(e, errno, "write \"%s\" to \"%s/cpu.max\"", text, d->path);
}

/* DevicePolicy and DeviceAllow as systemd has them, for devices_restore. */
static char *devices_ask(struct cgroup *cg, struct err *e)
{
	autostr answer = {0};

	return ask(UNIT_DEVICES, "ask about", cg, NULL, &answer, e) < 0 ? NULL : str_steal(&answer);
}

static void devices_restore(struct str *out, const char *old)
{
	size_t n = strcspn(old, "\n");

	systemd_property_add(out, "s", "DevicePolicy", "%.*s", (int)n, old);
	systemd_property_add(out, "a(ss)", "DeviceAllow", "%s", ""); /* empties the list */
	if (old[n] && old[n + 1])
		systemd_property_add(out, "a(ss)", "DeviceAllow", "%s", old + n + 1);
}

static void file_add(struct str *out, struct cgroup *cg, const char *controller, const char *file)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, controller);
	char value[64];

	if (d && d->v2 && cgroup_dir_read(d, file, value, sizeof(value)) > 0)
		systemd_file_add(out, file, value);
}

/* What only the kernel can tell after an update: its values follow from the new and the old. */
static void outcome_add(struct str *out, struct cgroup *cg, const struct oci_resources *r)
{
	if (r->memory && r->memory->swap > 0 && !r->memory->limit)
		file_add(out, cg, "memory", "memory.swap.max");
	if (r->cpu && r->cpu->has_idle && !r->cpu->idle && !r->cpu->shares)
		file_add(out, cg, "cpu", "cpu.weight");
	for (size_t i = 0; i < r->unified.n; i++) {
		const char *key = r->unified.keys[i];

		if (str_eq(key, "cpu.max")) /* the period may be the old one */
			file_add(out, cg, "cpu", key);
		else if (str_eq(key, "cpu.weight.nice") ||
		         (str_eq(key, "cpu.idle") && str_eq(r->unified.values[i], "0")))
			file_add(out, cg, "cpu", "cpu.weight");
	}
}

int cgroup_systemd_update(struct cgroup *cg, const struct oci_resources *r,
                          struct cgroup_undo *undo, struct err *e)
{
	struct cgroup_device_rules rules = {0};
	autostr properties = {0};
	uint64_t period = 0;
	int64_t quota = 0;
	int rc = 0;

	if (r->cpu && (r->cpu->quota || r->cpu->period))
		quota_read(cg, &quota, &period);
	systemd_resources_add(&properties, r, cg->mode == CGROUP_MODE_V2, quota, period);
	if (cg->mode == CGROUP_MODE_V2)
		outcome_add(&properties, cg, r);
	if (r->n_devices && !cg->rootless) {
		undo->unit_devices = devices_ask(cg, e);
		if (!undo->unit_devices)
			return -1;
		TRY(cgroup_device_rules_make(r->devices, r->n_devices, &rules, e));
		rc = devices_add(&properties, &rules, e);
		cgroup_device_rules_free(&rules);
	}
	if (rc < 0 || !properties.len)
		return rc;
	TRY(ask(UNIT_SET, "change", cg, &properties, NULL, e));
	return quota_write(cg, quota, period, e);
}

/* The weights of devices that the kernel has again. */
static void io_weights_restore(struct str *out, const struct cgroup_undo *old)
{
	static const char *const files[] = {"io.weight", "io.bfq.weight"};

	for (size_t i = 0; i < COUNT(files); i++) {
		autofree char *text = NULL;
		const struct cgroup_dir *d = NULL;

		for (size_t j = 0; j < old->n; j++)
			if (str_eq(old->v[j].file, files[i]) && strchr(old->v[j].old, ':'))
				d = old->v[j].dir;
		text = d ? cgroup_dir_slurp(d, files[i]) : NULL;
		if (text)
			systemd_io_weights_add(out, text, i == 1);
	}
}

void cgroup_systemd_restore(struct cgroup *cg, const struct cgroup_undo *old)
{
	struct oci_resources_cpu cpu = {0};
	struct oci_resources r = {0};
	autostr properties = {0};
	struct err e = {0};
	uint64_t period = 0;
	int64_t quota = 0;

	for (size_t i = old->n; i-- > 0;) { /* the first row of a file is its oldest value */
		if (str_starts(old->v[i].file, "cpu.max") || str_starts(old->v[i].file, "cpu.cfs_"))
			r.cpu = &cpu;
		else
			systemd_file_add(&properties, old->v[i].file, old->v[i].old);
	}
	if (r.cpu) /* of two files of version 1, so from the kernel, which has the old ones again */
		quota_read(cg, &quota, &period);
	systemd_resources_add(&properties, &r, cg->mode == CGROUP_MODE_V2, quota, period);
	io_weights_restore(&properties, old);
	if (old->unit_devices)
		devices_restore(&properties, old->unit_devices);
	if (properties.len && ask(UNIT_SET, "change back", cg, &properties, NULL, &e) < 0)
		log_warn("%s", e.msg);
}

/* A scope goes by itself when its last process has ended: then the bus need not be asked. */
static bool scope_gone(struct cgroup *cg)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "name=systemd");

	return d && access(d->path, F_OK) < 0 && errno == ENOENT;
}

int cgroup_systemd_stop(struct cgroup *cg, int timeout_ms, struct err *e)
{
	struct err own = {0};

	(void)timeout_ms; /* the bus has its own deadline */
	if (scope_gone(cg) || ask(UNIT_STOP, "stop", cg, NULL, NULL, &own) == 0)
		return 0;
	/* Without an answer systemd has often done the work nevertheless. */
	if (scope_gone(cg))
		return 0;
	*e = own;
	return -1;
}
