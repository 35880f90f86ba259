/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timing.h"
#include "base/unapplied.h"
#include "kernel/cgroup_named.h"
#include "kernel/seccomp.h"
#include "read.h"
#include "run/notify.h"
#include "run/version.h"

const char *map_get(const struct oci_map *m, const char *key)
{
	for (size_t i = 0; m && i < m->n; i++)
		if (strcmp(m->keys[i], key) == 0)
			return m->values[i];
	return NULL;
}

/* ---- config.json */

/* Drops empty and "." components in place; ".." stays, since what it means depends on links. */
static void path_tidy(char *path)
{
	char *out = path;

	for (const char *in = path; *in;) {
		size_t n;

		in += strspn(in, "/");
		n = strcspn(in, "/");
		if (n && !(n == 1 && *in == '.')) {
			*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

const char *path_absolute(const char *path, struct arena *a, struct err *e)
{
	char cwd[PATH_MAX];
	char *text;

	if (*path != '/') {
		if (!getcwd(cwd, sizeof cwd)) {
			fail(e, errno, "find the current directory");
			return NULL;
		}
		text = arena_printf(a, "%s/%s", cwd, path);
	} else {
		text = arena_strdup(a, path);
	}
	path_tidy(text);
	return text;
}

int plan_read_config(const struct davit_create_args *r, struct arena *a, struct oci_config **out,
                     struct err *e)
{
	const char *bundle = r->bundle ? r->bundle : ".";
	const char *name = r->config ? r->config : "config.json";
	const char *path =
		*name == '/' || r->config ? name : arena_printf(a, "%s/%s", bundle, name);
	struct oci_error oe;
	autofd fd = -1;
	autofree char *text = NULL;
	size_t len;

	fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
	if (fd < 0)
		return -1;
	text = fd_read_all(fd, OCI_SIZE_MAX, &len, e);
	if (!text)
		return fail_prefix(e, "read \"%s\"", path);
	*out = arena_new(a, struct oci_config);
	if (oci_read(&ocispec_schema, OCI_CONFIG, text, len, a, *out, &oe) < 0) {
		fail(e, 0, "%s:%u:%u: %s", path, oe.line, oe.column, oe.msg);
		return *oe.pointer ? fail_at(e, "%s", oe.pointer) : -1;
	}
	return 0;
}

/* ---- checks that belong to no module */

static int check_config(const struct oci_config *c, struct err *e)
{
	TRY(version_check(c->oci_version, e));
	if (c->vm) {
		fail(e, 0,
		     "davit runs processes on the host's kernel, it does not start virtual "
		     "machines");
		return fail_at(e, "/vm");
	}
	for (size_t i = 0; i < c->annotations.n; i++)
		if (*c->annotations.keys[i] == '\0') {
			fail(e, 0, "an annotation has an empty name");
			return fail_at(e, "/annotations");
		}
	if (!c->root) {
		fail(e, 0, "the property is missing");
		return fail_at(e, "/root");
	}
	return 0;
}

static int check_namespaces(struct plan *p, struct err *e)
{
	const struct oci_config *c = p->config;
	int own = p->ns.new_flags | p->ns.join_flags;

	if (c->hostname && *c->hostname && !(own & CLONE_NEWUTS)) {
		fail(e, 0, "a host name needs a uts namespace of the container's own");
		return fail_at(e, "/hostname");
	}
	if (c->domainname && *c->domainname && !(own & CLONE_NEWUTS)) {
		fail(e, 0, "a domain name needs a uts namespace of the container's own");
		return fail_at(e, "/domainname");
	}
	if (c->linux && c->linux->sysctl.n)
		TRY(ns_sysctl_check(&c->linux->sysctl, own, c->hostname && *c->hostname, e));
	if (c->linux && c->linux->net_devices.n && !(own & CLONE_NEWNET)) {
		fail(e, 0, "network devices need a network namespace of the container's own");
		return fail_at(e, "/linux/netDevices");
	}
	return 0;
}

/* ---- ids */

bool plan_is_rootless(const struct davit_context *c)
{
	if (c->rootless != DAVIT_AUTO)
		return c->rootless == DAVIT_TRUE;
	if (geteuid() != 0)
		return true;
	return ns_user_is_other(); /* in doubt no failure is tolerated */
}

static struct oci_id_mapping *map_single(uint32_t host, struct arena *a)
{
	struct oci_id_mapping *m = arena_new(a, struct oci_id_mapping);

	*m = (struct oci_id_mapping){.container_id = 0, .host_id = host, .size = 1};
	return m;
}

/* A user without privilege can make no namespace but below a user namespace of their own, so one is
 * added when the configuration has none; maps that are not given map root to the user. */
static int plan_ids(struct plan *p, struct arena *a, struct err *e)
{
	const struct oci_linux *l = p->config->linux;

	if (geteuid() != 0 && !((p->ns.new_flags | p->ns.join_flags) & CLONE_NEWUSER)) {
		log_debug("adding a user namespace: user %u has no privilege", geteuid());
		p->ns.new_flags |= CLONE_NEWUSER;
		p->ns.stage = p->ns.stage || p->ns.join_flags;
	}
	p->own_userns = (p->ns.new_flags | p->ns.join_flags) & CLONE_NEWUSER;
	if (l && l->n_uid_mappings)
		p->maps.uid = (struct idmap){l->uid_mappings, l->n_uid_mappings};
	if (l && l->n_gid_mappings)
		p->maps.gid = (struct idmap){l->gid_mappings, l->n_gid_mappings};
	if (!(p->ns.new_flags & CLONE_NEWUSER)) {
		if ((p->maps.uid.n || p->maps.gid.n) && !p->own_userns) {
			fail(e, 0, "id mappings need a user namespace");
			return fail_at(e, "/linux/%s",
			               p->maps.uid.n ? "uidMappings" : "gidMappings");
		}
		return 0;
	}
	if (!p->maps.uid.n && !p->maps.gid.n && geteuid() != 0) {
		p->maps.uid = (struct idmap){map_single(geteuid(), a), 1};
		p->maps.gid = (struct idmap){map_single(getegid(), a), 1};
	}
	if (!p->maps.uid.n || !p->maps.gid.n) {
		fail(e, 0, "a new user namespace needs id mappings");
		return fail_at(e, "/linux/%s", p->maps.uid.n ? "gidMappings" : "uidMappings");
	}
	TRY(idmap_check(&p->maps.uid, "/linux/uidMappings", e));
	return idmap_check(&p->maps.gid, "/linux/gidMappings", e);
}

/* ---- seccomp */

static void plan_seccomp(struct plan *p)
{
	const struct oci_config *c = p->config;
	const struct oci_process *process = c->process;

	p->seccomp = c->linux ? c->linux->seccomp : NULL;
	p->seccomp_raw = map_get(&c->annotations, "run.oci.seccomp_bpf_data");
	p->has_seccomp = p->seccomp || p->seccomp_raw;
	p->seccomp_late = process && process->no_new_privileges;
	if (p->seccomp && !p->seccomp_raw) {
		p->seccomp_notify = strcmp(p->seccomp->default_action, "SCMP_ACT_NOTIFY") == 0;
		for (size_t i = 0; i < p->seccomp->n_syscalls; i++)
			p->seccomp_notify |=
				strcmp(p->seccomp->syscalls[i].action, "SCMP_ACT_NOTIFY") == 0;
		p->listener_path = p->seccomp->listener_path;
		p->listener_metadata = p->seccomp->listener_metadata;
	}
	if (!p->listener_path || !*p->listener_path)
		p->listener_path = map_get(&c->annotations, "run.oci.seccomp.receiver");
}

/* ---- cgroups */

/* Without a cgroup namespace the container would see, and could change, all groups of the
 * hierarchy, other containers' as well. */
static int plan_named_group(struct plan *p, struct err *e)
{
	if (!map_get(&p->config->annotations, CGROUP_NAMED_ANNOTATION) ||
	    cgroup_named_known(&p->host))
		return 0;
	p->named_group = true;
	if (p->ns.new_flags & CLONE_NEWCGROUP)
		return 0;
	fail(e, 0, "a group of version 1 for systemd needs a new cgroup namespace");
	return fail_at(e, "/annotations/" CGROUP_NAMED_ANNOTATION);
}

static int plan_cgroup(struct plan *p, const struct davit_context *c, struct arena *a,
                       struct err *e)
{
	static const enum cgroup_manager managers[] = {
		[DAVIT_CGROUPFS] = CGROUP_MANAGER_CGROUPFS,
		[DAVIT_SYSTEMD] = CGROUP_MANAGER_SYSTEMD,
		[DAVIT_CGROUP_DISABLED] = CGROUP_MANAGER_DISABLED,
	};
	const struct oci_linux *l = p->config->linux;
	uint32_t uid = 0, gid = 0;

	if (p->config->process && p->config->process->user) {
		uid = p->config->process->user->uid;
		gid = p->config->process->user->gid;
	}
	if (p->maps.uid.n &&
	    (!idmap_to_host(&p->maps.uid, uid, &uid) || !idmap_to_host(&p->maps.gid, gid, &gid)))
		uid = gid = 0;
	p->cgroup_request = (struct cgroup_request){
		.id = p->id,
		.path = l ? l->cgroups_path : NULL,
		.resources = l ? l->resources : NULL,
		.annotations = &p->config->annotations,
		.manager = managers[c->manager],
		.rootless = p->rootless,
		.cgroupns = p->ns.new_flags & CLONE_NEWCGROUP,
		.owner = uid,
		.owner_group = gid,
	};
	for (size_t i = 0; i < p->rootfs.n_mounts; i++)
		if (strncmp(p->rootfs.mounts[i].type, "cgroup", 6) == 0 &&
		    !(p->rootfs.mounts[i].flags & MOUNT_NAMED_GROUP))
			p->cgroup_request.cgroup_rw =
				!(p->rootfs.mounts[i].attr.set & MOUNT_ATTR_RDONLY);
	(void)a;
	TRY(cgroup_host_detect(&p->host, e));
	if (p->rootless) /* its groups are beside the runtime's own */
		TRY(cgroup_host_own(&p->host, e));
	TRY(plan_named_group(p, e));
	return cgroup_plan_make(&p->cgroup_request, &p->host, &p->cgroup, e);
}

/* ---- the record */

static char *owner_name(struct arena *a)
{
	uid_t uid = geteuid();

	/* names of other users would need the host's user database */
	return uid == 0 ? arena_strdup(a, "root") : arena_printf(a, "%u", uid);
}

/* What exec has to know of the process, without what only init used. */
static struct oci_process *record_process(const struct oci_process *from, struct arena *a)
{
	struct oci_process *to;

	if (!from)
		return NULL;
	to = arena_memdup(a, from, sizeof *from);
	to->args = NULL;
	to->n_args = 0;
	to->console_size = NULL;
	to->terminal = false;
	return to;
}

static struct oci_hooks *record_hooks(const struct oci_hooks *from, struct arena *a)
{
	struct oci_hooks *to;

	if (!from || (!from->n_poststart && !from->n_poststop))
		return NULL;
	to = arena_new(a, struct oci_hooks);
	to->poststart = from->poststart;
	to->n_poststart = from->n_poststart;
	to->poststop = from->poststop;
	to->n_poststop = from->n_poststop;
	return to;
}

static struct rec_rdt *record_rdt(const struct rdt *from, struct arena *a)
{
	struct rec_rdt *to = arena_new(a, struct rec_rdt);

	if (!from->root)
		return NULL;
	*to = (struct rec_rdt){.root = from->root,
	                       .group = from->group,
	                       .monitor = from->monitor,
	                       .own = from->own};
	return to;
}

static int plan_record(struct plan *p, struct arena *a, struct err *e)
{
	struct rec_record *r = arena_new(a, struct rec_record);
	const struct oci_config *c = p->config;
	int own = p->ns.new_flags | p->ns.join_flags;
	char boot[37];

	TRY(proc_boot_id(boot, e));
	r->format = 1;
	r->id = (char *)p->id;
	r->oci_version = c->oci_version;
	r->bundle = (char *)p->bundle;
	r->rootfs = (char *)p->rootfs.path;
	r->created = clock_rfc3339(arena_alloc(a, CLOCK_TEXT), CLOCK_TEXT);
	r->owner = owner_name(a);
	r->boot_id = arena_strdup(a, boot);
	r->namespaces = arena_array(a, NS_COUNT + 1, sizeof(char *));
	for (int k = 0; k < NS_COUNT; k++)
		if (own & ns_types[k].flag)
			r->namespaces[r->n_namespaces++] = (char *)ns_types[k].name;
	r->annotations = c->annotations;
	r->process = record_process(c->process, a);
	if (c->linux) {
		r->personality = c->linux->personality;
		r->memory_policy = c->linux->memory_policy;
	}
	r->rdt = record_rdt(&p->rdt.rdt, a);
	r->hooks = record_hooks(c->hooks, a);
	if (p->own_userns) {
		r->uid_mappings = (struct oci_id_mapping *)p->maps.uid.v;
		r->n_uid_mappings = p->maps.uid.n;
		r->gid_mappings = (struct oci_id_mapping *)p->maps.gid.v;
		r->n_gid_mappings = p->maps.gid.n;
	}
	r->seccomp = p->has_seccomp;
	r->seccomp_notify = p->seccomp_notify;
	r->listener_path = (char *)p->listener_path;
	r->listener_metadata = (char *)p->listener_metadata;
	r->no_new_keyring = !p->new_keyring;
	r->named_group = p->named_group;
	p->record = r;
	return 0;
}

/* ---- all of it */

static int plan_rootfs(struct plan *p, struct arena *a, struct err *e)
{
	struct rootfs_request q = {
		.bundle = p->bundle,
		.own_ns = p->ns.new_flags | p->ns.join_flags,
		.new_ns = p->ns.new_flags,
		.no_pivot = p->create->no_pivot,
		.label_option = map_get(&p->config->annotations, "run.oci.mount_context_type"),
		.named_group = map_get(&p->config->annotations, CGROUP_NAMED_ANNOTATION),
		.own_maps = p->maps.uid.n ? &p->maps : NULL,
	};

	TRY(rootfs_plan_make(p->config, &q, a, &p->rootfs, e));
	if (p->rootfs.label && !lsm_has_selinux()) {
		unapplied_note("linux.mountLabel \"%s\": this host has no SELinux",
		               p->rootfs.label);
		p->rootfs.label = NULL;
	}
	return 0;
}

int plan_make(enum op op, const struct davit_context *c, const struct davit_create_args *r,
              struct arena *a, struct plan *out, struct err *e)
{
	static const struct oci_hooks no_hooks;
	struct oci_config *config;
	const struct oci_linux *l;

	*out = (struct plan){.op = op, .id = r->id, .create = r};
	unapplied_begin(c->unsupported_warn);
	TRY(state_id_check(r->id, e));
	out->bundle = path_absolute(r->bundle ? r->bundle : ".", a, e);
	if (!out->bundle)
		return -1;
	TRY(plan_read_config(r, a, &config, e));
	timing_part("config");
	out->config = config;
	out->hooks = config->hooks ? config->hooks : &no_hooks;
	l = config->linux;
	TRY(check_config(config, e));
	out->rootless = plan_is_rootless(c);
	out->umask = c->umask;
	TRY(ns_plan_make(l, &out->ns, e));
	TRY(plan_ids(out, a, e));
	out->notify = notify_socket() && (out->ns.new_flags & CLONE_NEWNS);
	if (out->notify)
		TRY(notify_plan(c, r->id, config, a, e));
	TRY(check_namespaces(out, e));
	TRY(plan_rootfs(out, a, e));
	TRY(plan_cgroup(out, c, a, e));
	TRY(rdt_plan_make(l ? l->intel_rdt : NULL, r->id, a, &out->rdt, e));
	plan_seccomp(out);
	out->new_keyring = !r->no_new_keyring;
	TRY(plan_process(out, config->process, r->preserve_fds, l ? l->personality : NULL,
	                 l ? l->memory_policy : NULL, a, e));
	return plan_record(out, a, e);
}

void plan_free(struct plan *p)
{
	traits_free(&p->process.traits);
	affinity_free(&p->process.affinity);
	if (p->op != OP_EXEC) {
		cgroup_plan_free(&p->cgroup);
		cgroup_host_free(&p->host);
	}
}
