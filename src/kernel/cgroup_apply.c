/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes resource settings to a container's groups, and takes them back. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unapplied.h"
#include "kernel/cgroup_device.h"
#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_make.h"
#include "kernel/cgroup_realtime.h"
#include "kernel/cgroup_resources.h"
#include "kernel/cgroup_systemd.h"
#include "ocispec.h"

#define RT_TRIES 8

#define GONE_HINT                                                                                  \
	"systemd does so to version 1 groups that it did not make; use the cgroup manager "        \
	"\"systemd\""

/* What makes a line of a keyed file as it was before anything was set. */
static const struct {
	const char *file, *rest;
} keyed_reset[] = {
	{"io.max",                  "rbps=max wbps=max riops=max wiops=max"},
	{"io.weight",               "default"                              },
	{"io.bfq.weight",           "default"                              },
	{"blkio.bfq.weight_device", "default"                              },
	{"rdma.max",                "hca_handle=max hca_object=max"        },
	{"misc.max",                "max"				  },
	{"io.latency",              "target=0"                             },
};

static void undo_add(struct cgroup_undo *u, const struct cgroup_dir *d, const char *file,
                     const char *old)
{
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 16;
		u->v = xrealloc(u->v, u->cap, sizeof(*u->v));
	}
	u->v[u->n++] = (struct cgroup_undo_row){d, xstrdup(file), xstrdup(old)};
}

void cgroup_undo_free(struct cgroup_undo *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->v[i].file);
		free(u->v[i].old);
	}
	free(u->v);
	free(u->devices_list);
	free(u->unit_devices);
	memset(u, 0, sizeof(*u));
}

/* With a new weight of the whole group, bfq forgets those of single devices: they are written once
 * more. */
static int value_write(const struct cgroup_dir *d, const char *file, const char *value)
{
	const char *devices = str_eq(file, "io.bfq.weight") && !strchr(value, ':') ? file
	                      : str_eq(file, "blkio.bfq.weight") ? "blkio.bfq.weight_device"
	                                                         : NULL;
	autofree char *lines = devices ? cgroup_dir_slurp(d, devices) : NULL;
	char *save = NULL;

	TRY(cgroup_dir_write(d, file, value));
	for (char *line = lines ? strtok_r(lines, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		if (strchr(line, ':'))
			(void)cgroup_dir_write(d, devices, line); /* a device that went */
	return 0;
}

void cgroup_undo_run(struct cgroup_undo *u)
{
	bool failed = true;

	/* Backwards, and once more: limits that depend on each other may need the other order. */
	for (int round = 0; failed && round < 2; round++) {
		failed = false;
		for (size_t i = u->n; i-- > 0;)
			failed |= value_write(u->v[i].dir, u->v[i].file, u->v[i].old) < 0;
	}
	if (failed)
		log_warn("not every old value of cgroup \"%s\" could be put back",
		         u->n ? u->v[0].dir->path : "");
}

/* The old line for the key that value starts with; what resets it if there is none. The caller
 * frees. */
static char *keyed_old(const char *text, const char *file, const char *value)
{
	size_t n = strcspn(value, " ");

	for (const char *p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncmp(p, value, n) && p[n] == ' ')
			return xstrndup(p, strcspn(p, "\n"));
	for (size_t i = 0; i < COUNT(keyed_reset); i++)
		if (str_eq(file, keyed_reset[i].file))
			return xasprintf("%.*s %s", (int)n, value, keyed_reset[i].rest);
	return xasprintf("%.*s 0", (int)n, value);
}

static bool same_value(const struct cgroup_setting *s, const char *old, const char *value)
{
	uint64_t a, b, page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (str_eq(old, value))
		return true;
	if (!(s->flags & SETTING_BYTES) || str_to_u64(old, &a) < 0 || str_to_u64(value, &b) < 0)
		return false;
	return a / page == b / page;
}

static int put_value(const struct cgroup_dir *d, const struct cgroup_setting *s, const char *value)
{
	char now[64];

	TRY(value_write(d, s->file, value));
	if (!(s->flags & SETTING_VERIFY) ||
	    (cgroup_dir_read(d, s->file, now, sizeof(now)) >= 0 && same_value(s, now, value)))
		return 0;
	errno = EOPNOTSUPP;
	return -1;
}

/* What has to be written to get back what the file reads now. */
static char *value_old(const struct cgroup_dir *d, const char *text, const struct cgroup_setting *s,
                       const char *value)
{
	static const char oom[] = "oom_kill_disable ";

	if (str_starts(s->file, "cpuset.") && text[0] == '\n') {
		/* A group with processes cannot go back to nothing, which stands for what the group
		 * above has: name that. */
		autofree char *file = xasprintf("%s.effective", s->file);
		autofree char *now = cgroup_dir_slurp(d, file);

		if (now)
			return xstrndup(now, strcspn(now, "\n"));
	}
	if (s->flags & SETTING_KEYED)
		return keyed_old(text, s->file, value);
	if (str_starts(text, oom)) /* memory.oom_control reads otherwise than it is written */
		text += sizeof(oom) - 1;
	return xstrndup(text, strcspn(text, "\n"));
}

/* The kernel forgets the share of a group that becomes idle. */
static void undo_add_share(struct cgroup_undo *u, const struct cgroup_dir *d)
{
	const char *file = d->v2 ? "cpu.weight" : "cpu.shares";
	char share[32];

	if (cgroup_dir_read(d, file, share, sizeof(share)) > 0)
		undo_add(u, d, file, share);
}

/* One write. With undo: not if the value is there already, and the old one is kept. */
static int put(const struct cgroup_dir *d, const struct cgroup_setting *s, const char *value,
               struct cgroup_undo *undo)
{
	autofree char *text = NULL;
	autofree char *old = NULL;

	if (!undo)
		return put_value(d, s, value);
	text = cgroup_dir_slurp(d, s->file);
	if (!text && errno == ENOENT)
		return -1;
	if (text)
		old = value_old(d, text, s, value);
	if (old && text[0] != '\n' && same_value(s, old, value))
		return 0;
	if (str_eq(s->file, "cpu.idle") && old && str_eq(old, "0"))
		undo_add_share(undo, d);
	if (str_eq(s->file, "cpu.weight.nice")) {
		undo_add_share(undo, d); /* a nice value is a rounded weight */
		return put_value(d, s, value);
	}
	if (put_value(d, s, value) < 0)
		return -1;
	if (old)
		undo_add(undo, d, s->file, old);
	return 0;
}

/* The kernel takes one line of a file such as io.max a write. */
static int put_lines(const struct cgroup_dir *d, const struct cgroup_setting *s, const char *value,
                     struct cgroup_undo *undo)
{
	autofree char *copy = NULL;
	char *save = NULL;

	if (!strchr(value, '\n'))
		return put(d, s, value, undo);
	copy = xstrdup(value);
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (put(d, s, line, undo) < 0)
			return -1;
	return 0;
}

/* The value for a setting that depends on what the group has now; the caller frees. */
static char *value_now(const struct cgroup_dir *d, const struct cgroup_setting *s, struct err *e)
{
	uint64_t limit, total, usage;
	char buf[64];

	if (s->flags & SETTING_KEEP_QUOTA) {
		if (cgroup_dir_read(d, "cpu.max", buf, sizeof(buf)) <= 0)
			return xasprintf("max %s", s->value);
		return xasprintf("%.*s %s", (int)strcspn(buf, " "), buf, s->value);
	}
	if (s->flags & SETTING_MINUS_LIMIT) {
		if (cgroup_dir_u64(d, "memory.max", &limit) < 0 ||
		    str_to_u64(s->value, &total) < 0 || limit > total) {
			fail(e, 0,
			     "memory swap %s counts memory too, and the memory limit is not "
			     "lower",
			     s->value);
			fail_at(e, "%s", s->at);
			return NULL;
		}
		return xasprintf("%" PRIu64, total - limit);
	}
	if ((s->flags & SETTING_CHECK_USAGE) &&
	    cgroup_dir_u64(d, d->v2 ? "memory.current" : "memory.usage_in_bytes", &usage) == 0 &&
	    str_to_u64(s->value, &limit) == 0 && usage > limit) {
		fail(e, EBUSY, "memory limit %s is below the usage of %" PRIu64, s->value, usage);
		fail_at(e, "%s", s->at);
		return NULL;
	}
	return xstrdup(s->value);
}

static bool is_swap(const struct cgroup_setting *s)
{
	return str_eq(s->file, "memory.swap.max") || str_eq(s->file, "memory.memsw.limit_in_bytes");
}

/* /proc/swaps has a title and a line for each swap. */
static bool host_has_swap(void)
{
	struct err ignored = {0};
	autofree char *text = file_read(AT_FDCWD, "/proc/swaps", 1u << 16, NULL, &ignored);
	const char *line = text ? strchr(text, '\n') : NULL;

	return !line || line[1];
}

/* The controller that a file of the unified hierarchy belongs to. */
static char *file_controller(const struct cgroup_setting *s)
{
	return s->controller[0] ? xstrdup(s->controller) : xstrndup(s->file, strcspn(s->file, "."));
}

static int put_fail(struct cgroup *cg, const struct cgroup_dir *d, const struct cgroup_setting *s,
                    int errnum, struct err *e)
{
	autofree char *controller = file_controller(s);

	fail(e, errnum, "write \"%.128s\" to \"%s/%s\"", s->value, d->path, s->file);
	if (d->v2 && (errnum == ENOENT || errnum == EACCES || errnum == EPERM) &&
	    !str_eq(controller, "cgroup"))
		(void)cgroup_v2_explain(d, controller, cg->rootless, e);
	else if (errnum == EBUSY && str_starts(s->file, "memory."))
		(void)fail_hint(e, "the container uses more than that");
	else if (errnum == EINVAL && str_eq(s->file, "memory.limit_in_bytes"))
		(void)fail_hint(
			e, "the limit of memory and swap together must not be lower: set it too");
	else if (errnum == ENODEV && str_starts(s->file, "rdma."))
		(void)fail_hint(e, "the RDMA devices of this host are in /sys/class/infiniband");
	else if (errnum == ENODEV && str_starts(s->file, "net_prio."))
		(void)fail_hint(e, "there is no network interface of that name on the host");
	else if (errnum == ENODEV)
		(void)fail_hint(e, "the device must be there, and be a whole disk");
	else if (errnum == EOPNOTSUPP && strstr(s->file, "weight"))
		(void)fail_hint(e, "the device needs the I/O scheduler bfq");
	else if (errnum == ENOENT && str_starts(s->file, "blkio.bfq."))
		(void)fail_hint(e, "the kernel needs the I/O scheduler bfq");
	else if (errnum == EINVAL && str_eq(s->file, "cpu.rt_runtime_us"))
		(void)cgroup_rt_explain(d, s->value, e);
	else if (errnum == EINVAL &&
	         (str_eq(s->file, "cpu.shares") || str_eq(s->file, "cpu.weight")))
		(void)fail_hint(e, "an idle group has no share: set cpu.idle to 0 as well");
	if (errnum == ENOENT && str_starts(s->file, "hugetlb."))
		(void)fail_hint(e, "the sizes of this host are in /sys/kernel/mm/hugepages");
	else if (errnum == ENOENT && is_swap(s))
		(void)fail_hint(e, "boot the kernel with swapaccount=1");
	return fail_at(e, "%s", s->at);
}

/* After a write that failed with errnum: makes what it lacked, if that can be, and writes again. */
static int put_again(const struct cgroup_dir *d, const struct cgroup_setting *s, const char *value,
                     int errnum, struct cgroup_undo *undo)
{
	if (errnum == EINVAL && str_eq(s->file, "cpu.rt_runtime_us")) {
		/* Other containers below the same group may take what there was made room for. */
		for (int i = 0; i < RT_TRIES && cgroup_rt_make_room(d, value); i++)
			if (put(d, s, value, undo) == 0)
				return 0;
	}
	if (errnum == ENOENT && d->v2 && !(s->flags & (SETTING_IF_THERE | SETTING_OR_NEXT))) {
		autofree char *controller = file_controller(s);

		/* systemd does not know all controllers, and so hands out only some. */
		if (!str_eq(controller, "cgroup") && cgroup_v2_enable_list(d, controller))
			return put_lines(d, s, value, undo);
	}
	errno = errnum;
	return -1;
}

/* A group that went is an error for any setting, whatever it tolerates. */
static int gone_fail(const struct cgroup_dir *d, const struct cgroup_setting *s, struct err *e)
{
	fail(e, ENOENT, "write \"%.128s\" to \"%s/%s\"", s->value, d->path, s->file);
	if (!d->v2)
		(void)fail_hint(e, GONE_HINT);
	return fail_at(e, "%s", s->at);
}

/* 0 written, 1 the file is not there and need not be. An error with *errnum 0 is final. */
static int setting_write(struct cgroup *cg, const struct cgroup_setting *s,
                         struct cgroup_undo *undo, int *errnum, struct err *e)
{
	struct cgroup_dir *d = s->v2 ? cgroup_dir_v2(cg) : cgroup_dir_of(cg, s->controller);
	autofree char *value = NULL;

	*errnum = 0;
	if (!d || d->v2 != s->v2) {
		*errnum = EACCES;
		fail(e, 0, "no cgroup of the container has the controller \"%s\"", s->controller);
		if (cg->rootless)
			(void)fail_hint(
				e, "run in a cgroup that belongs to you, with its controllers");
		return fail_at(e, "%s", s->at);
	}
	value = value_now(d, s, e);
	if (!value) {
		*errnum = EINVAL;
		return -1;
	}
	if (put_lines(d, s, value, undo) == 0)
		return 0;
	if (put_again(d, s, value, errno, undo) == 0)
		return 0;
	*errnum = errno;
	if ((*errnum == ENOENT || *errnum == ENODEV) && access(d->path, F_OK) < 0) {
		*errnum = 0;
		return gone_fail(d, s, e);
	}
	if ((*errnum == ENOENT || *errnum == EOPNOTSUPP) &&
	    s->flags & (SETTING_IF_THERE | SETTING_OR_NEXT))
		return 1;
	if (*errnum == ENOENT && is_swap(s) && !host_has_swap()) {
		unapplied_note("linux.resources.memory.swap: the kernel does not count swap, and "
		               "this host has none");
		return 0;
	}
	if (s->flags & SETTING_TOLERATED) {
		unapplied_note("linux.resources: write \"%s\" to \"%s\": %s", value, s->file,
		               strerror(*errnum));
		return 0;
	}
	return put_fail(cg, d, s, *errnum, e);
}

/* As setting_write; what the kernel refuses because of the value of the next one waits for that,
 * which may have to wait in turn. */
static int setting_write_paired(struct cgroup *cg, const struct cgroup_setting *s,
                                const struct cgroup_setting *end, struct cgroup_undo *undo,
                                int *errnum, struct err *e)
{
	struct err other = {0};
	int next, rc = setting_write(cg, s, undo, errnum, e);

	if (rc >= 0 || !(s->flags & SETTING_PAIR) || *errnum != EINVAL || s + 1 == end)
		return rc;
	if (setting_write_paired(cg, s + 1, end, undo, &next, &other) < 0)
		return rc;
	*e = (struct err){0};
	return setting_write(cg, s, undo, errnum, e);
}

int cgroup_settings_write(struct cgroup *cg, const struct cgroup_settings *s,
                          struct cgroup_undo *undo, struct err *e)
{
	bool lenient = false; /* the setting before this one did the work */

	for (size_t i = 0; i < s->n; i++) {
		const struct cgroup_setting *one = &s->v[i];
		int errnum, rc = setting_write_paired(cg, one, s->v + s->n, undo, &errnum, e);

		if (rc < 0 && errnum && lenient && !(one->flags & SETTING_OR_NEXT))
			rc = 0;
		lenient = rc == 0 && one->flags & SETTING_OR_NEXT;
		/* no such file, no such function behind it, no such device */
		if (rc < 0 && (errnum == ENOENT || errnum == EOPNOTSUPP || errnum == ENODEV))
			rc = unapplied(e);
		TRY(rc);
	}
	return 0;
}

static int apply_once(const struct cgroup_plan *p, struct cgroup *cg, struct err *e)
{
	TRY(cgroup_settings_write(cg, p->settings, NULL, e));
	if (p->devices && cg->n)
		return cgroup_device_apply(cg, p->devices, false, e);
	return 0;
}

int cgroup_apply(const struct cgroup_plan *p, struct cgroup *cg, struct err *e)
{
	if (p->manager == CGROUP_MANAGER_DISABLED)
		return 0;
	for (int i = 0; apply_once(p, cg, e) < 0; i++)
		if (!cgroup_remake(cg, i, e))
			return -1;
	return 0;
}

/* ---- update */

static int update_settings(struct cgroup *cg, const struct oci_resources *r,
                           struct cgroup_settings *s, struct err *e)
{
	struct cgroup_kinds k = {0};
	char controllers[512];

	for (size_t i = 0; i < cg->n; i++) {
		if (!cg->v[i].v2) {
			k.v1[k.n++] = cg->v[i].controllers;
			continue;
		}
		k.v2 = true;
		if (cg->mode == CGROUP_MODE_HYBRID &&
		    cgroup_dir_read(&cg->v[i], "cgroup.controllers", controllers,
		                    sizeof(controllers)) >= 0)
			k.v2_controllers = controllers;
	}
	if (!cg->n) {
		fail(e, 0, "update a container that has no cgroup of its own");
		return fail_hint(e, "create it with a cgroup manager other than \"disabled\"");
	}
	return cgroup_settings_make(r, &k, s, e);
}

/* Whether the container still is in its group of version 1: a value would have no effect there. */
static int update_member(struct cgroup_dir *d, const char *at, struct err *e)
{
	struct cgroup one = {.n = 1, .v = {*d}};
	autofree pid_t *pids = NULL;
	size_t n;

	TRY(cgroup_pids(&one, &pids, &n, e));
	if (n)
		return 0;
	fail(e, 0, "the container's processes are no more in its cgroup \"%s\"", d->path);
	(void)fail_hint(e, GONE_HINT);
	return fail_at(e, "%s", at);
}

static int update_members(struct cgroup *cg, const struct cgroup_settings *s, bool devices,
                          struct err *e)
{
	struct cgroup_dir *d = devices ? cgroup_dir_of(cg, "devices") : NULL, *last = d;

	if (d && !d->v2)
		TRY(update_member(d, "/linux/resources/devices", e));
	for (size_t i = 0; i < s->n; i++) {
		d = s->v[i].v2 ? NULL : cgroup_dir_of(cg, s->v[i].controller);
		if (d && !d->v2 && d != last)
			TRY(update_member(d, s->v[i].at, e));
		last = d;
	}
	return 0;
}

static int update_rules(struct cgroup *cg, const struct oci_resources *r,
                        struct cgroup_device_rules *rules, struct err *e)
{
	if (!r->n_devices)
		return 0;
	if (cg->rootless) {
		fail(e, EPERM, "change the device rules of a rootless container");
		return fail_at(e, "/linux/resources/devices");
	}
	return cgroup_device_rules_make(r->devices, r->n_devices, rules, e);
}

static int update_write(struct cgroup *cg, const struct oci_resources *r,
                        const struct cgroup_settings *s, const struct cgroup_device_rules *rules,
                        struct cgroup_undo *undo, bool *told, struct err *e)
{
	const struct cgroup_dir *v2 = cgroup_dir_v2(cg);
	autofree char *list = NULL;

	if (v2 && cg->mode == CGROUP_MODE_V2 && cg->manager == CGROUP_MANAGER_CGROUPFS)
		cgroup_v2_enable(v2, s, false);
	list = r->n_devices ? cgroup_device_list(cg) : NULL;
	TRY(cgroup_settings_write(cg, s, undo, e));
	if (cg->manager == CGROUP_MANAGER_SYSTEMD) {
		TRY(cgroup_systemd_update(cg, r, undo, e));
		*told = true;
	}
	undo->devices_list = take_ptr(&list); /* systemd has written rules of its own */
	if (*told)
		TRY(cgroup_settings_write(cg, s, undo, e)); /* it rounds: what differs now */
	return r->n_devices ? cgroup_device_apply(cg, rules, true, e) : 0;
}

int cgroup_update(struct cgroup *cg, const struct oci_resources *r, struct err *e)
{
	struct cgroup_device_rules rules = {0};
	struct cgroup_settings s = {0};
	struct cgroup_undo undo = {0};
	bool told = false;
	int rc = -1;

	/* Whatever can be wrong with the request is found before the first write. */
	if (update_settings(cg, r, &s, e) == 0 && update_rules(cg, r, &rules, e) == 0 &&
	    update_members(cg, &s, r->n_devices, e) == 0)
		rc = update_write(cg, r, &s, &rules, &undo, &told, e);
	if (rc < 0)
		cgroup_undo_run(&undo);
	if (rc < 0 && told) {
		cgroup_systemd_restore(cg, &undo);
		cgroup_undo_run(&undo); /* systemd rounds */
	}
	if (rc < 0 && undo.devices_list)
		cgroup_device_restore(cg, undo.devices_list);
	cgroup_undo_free(&undo);
	cgroup_device_rules_free(&rules);
	cgroup_settings_free(&s);
	return rc;
}
