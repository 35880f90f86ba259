/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "kernel/dev.h"
#include "kernel/keyring.h"
#include "kernel/net.h"
#include "kernel/procfs.h"
#include "kernel/term.h"
#include "run/hooks.h"
#include "run/rows.h"
#include "run/spawn.h"
#include "run/steps.h"

int row_barrier(struct ctx *c, struct err *e)
{
	(void)c;
	(void)e;
	return 0;
}

/* ---- namespaces and ids */

int row_time_open(struct ctx *c, struct err *e)
{
	c->time_fd = ns_time_open(e);
	return c->time_fd < 0 ? -1 : 0;
}

int row_ns_join(struct ctx *c, struct err *e)
{
	const struct ns_plan *ns = &c->plan->ns;

	if (c->plan->op != OP_EXEC)
		return ns_join(ns, c->ns_fds, e);
	/* a process of the container must not look into ours: CVE-2016-9962 */
	TRY(creds_hide(e));
	TRY(ns_join_process(c->container->pidfd, c->container->init.pid, ns->join_flags, e));
	/* no directory of the host may be open in a process that the container can look at */
	fd_close_at(&c->container->root);
	fd_close_at(&c->container->dir);
	fd_close_at(&c->container->pidfd);
	fd_close_at(&c->exec_cgroup);
	cgroup_close(&c->cgroup);
	return 0;
}

int row_userns_new(struct ctx *c, struct err *e)
{
	return c->in_stage ? ns_unshare(CLONE_NEWUSER, e) : 0; /* else clone has made it */
}

/* Twice in the table: after a new user namespace has its maps, and after a joined one. */
int row_idmap_adopt(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	bool known = p->ns.new_flags & CLONE_NEWUSER;

	if (c->adopted || (!known && c->ns_fds[NS_USER] < 0 && p->op != OP_EXEC))
		return 0;
	TRY(idmap_adopt(known ? &p->maps : NULL, p->process.creds.keep_groups, e));
	c->adopted = true;
	return 0;
}

int row_keyring(struct ctx *c, struct err *e)
{
	const struct lsm_plan *lsm = &c->plan->process.lsm;
	autofd proc = -1;

	if (!lsm->selinux)
		return keyring_join(c->plan->id, e);
	proc = procfs_open(PROCFS_PID, e);
	if (proc < 0)
		return -1;
	TRY(lsm_keycreate(lsm, proc, e));
	TRY(keyring_join(c->plan->id, e));
	return lsm_keycreate_reset(lsm, proc, e);
}

int row_net_up(struct ctx *c, struct err *e)
{
	(void)c;
	return net_loopback_up(e);
}

int row_ns_late(struct ctx *c, struct err *e)
{
	return ns_unshare(ns_late_flags(&c->plan->ns), e);
}

int row_cgroup_ns(struct ctx *c, struct err *e)
{
	(void)c;
	return ns_unshare(CLONE_NEWCGROUP, e);
}

/* ---- the root file system */

static const char *group_path(const struct ctx *c, const struct cgroup_hier *h)
{
	for (size_t i = 0; i < c->cgroup.n; i++)
		if (strcmp(c->cgroup.v[i].controllers, h->controllers) == 0)
			return c->cgroup.v[i].path;
	return NULL;
}

/* "cpu,cpuacct" in a directory of that name gets the links cpu and cpuacct. */
static const char *const *group_links(struct ctx *c, const char *controllers, const char *name)
{
	size_t n = 0, max = 2;
	const char **links;
	char *word, *rest;

	if (!strchr(controllers, ','))
		return NULL;
	for (const char *s = controllers; *s; s++)
		max += *s == ',';
	links = arena_array(&c->arena, max, sizeof *links);
	rest = arena_strdup(&c->arena, controllers);
	while ((word = strsep(&rest, ",")))
		if (*word && strcmp(word, name) != 0)
			links[n++] = word;
	return links;
}

static void cgroup_mount_fill(struct ctx *c, const struct cgroup_hier *h, struct cgroup_mount *out)
{
	const char *slash = strrchr(h->mount, '/');

	out->name = h->v2 ? "unified" : slash ? slash + 1 : h->mount;
	out->host_path = group_path(c, h);
	out->mount = h->mount;
	if (h->v2)
		return;
	out->links = group_links(c, h->controllers, out->name);
	out->options = strncmp(h->controllers, "name=", 5) == 0
	                       ? arena_printf(&c->arena, "none,%s", h->controllers)
	                       : h->controllers;
}

/* The container's own cgroup mount shows what the host has. */
static void cgroup_mounts_fill(struct ctx *c)
{
	const struct cgroup_host *h = &c->plan->host;
	struct cgroup_mount *v = arena_array(&c->arena, h->n + 1, sizeof *v);

	c->rootfs_plan = c->plan->rootfs;
	for (size_t i = 0; i < h->n; i++)
		cgroup_mount_fill(c, &h->v[i], &v[i]);
	c->rootfs_plan.cgroups = v;
	c->rootfs_plan.n_cgroups = h->n;
	c->rootfs_plan.cgroup_mode = h->mode == CGROUP_MODE_NONE ? ROOTFS_CGROUP_NONE
	                             : h->mode == CGROUP_MODE_V2 ? ROOTFS_CGROUP_V2
	                                                         : ROOTFS_CGROUP_V1;
}

/* A user may not make groups in most version 1 hierarchies: there init stays in ours, which it
 * sees instead. The runtime, not we, knows which were left out, but only those do not exist. */
static void cgroup_mounts_settle(struct ctx *c)
{
	const struct cgroup_host *h = &c->plan->host;
	struct cgroup_mount *v = arena_array(&c->arena, h->n + 1, sizeof *v);

	for (size_t i = 0; i < h->n; i++) {
		const char *own = h->v[i].own;

		v[i] = c->rootfs_plan.cgroups[i];
		if (!v[i].host_path || access(v[i].host_path, F_OK) < 0)
			v[i].host_path = arena_printf(&c->arena, "%s%s", h->v[i].mount,
			                              own && own[1] ? own : "");
	}
	c->rootfs_plan.cgroups = v;
}

int row_rootfs_prepare(struct ctx *c, struct err *e)
{
	cgroup_mounts_fill(c);
	c->rootfs.sources = c->sources;
	c->rootfs.nodes = c->nodes;
	return rootfs_prepare(&c->rootfs_plan, &c->rootfs, e);
}

int row_mounts(struct ctx *c, struct err *e)
{
	return rootfs_mounts(&c->rootfs_plan, &c->rootfs, 0, rootfs_mounts_free(&c->rootfs_plan),
	                     e);
}

int row_mounts_cgroup(struct ctx *c, struct err *e)
{
	if (c->plan->cgroup.request->rootless && c->rootfs_plan.cgroup_mode == ROOTFS_CGROUP_V1)
		cgroup_mounts_settle(c);
	return rootfs_mounts(&c->rootfs_plan, &c->rootfs, rootfs_mounts_free(&c->rootfs_plan),
	                     c->rootfs_plan.n_mounts, e);
}

int row_devices(struct ctx *c, struct err *e)
{
	return dev_setup(&c->rootfs_plan, &c->rootfs, e);
}

int row_hooks_create_container(struct ctx *c, struct err *e)
{
	struct hooks_run r = {
		.kind = "createContainer",
		.hooks = c->plan->hooks->create_container,
		.n = c->plan->hooks->n_create_container,
		.annotations = &c->plan->config->annotations,
		.cwd = c->plan->bundle,
		.tied = true,
	};

	/* here and in startContainer: "the pid as seen by the container" (runtime.md, state) */
	r.state = state_oci_json(c->plan->record, getpid(), "created", &c->arena, &r.state_len);
	return hooks_run(&r, e);
}

int row_pivot(struct ctx *c, struct err *e)
{
	for (int k = 0; k < NS_COUNT; k++)
		fd_close_at(&c->ns_fds[k]);
	TRY(rootfs_pivot(&c->rootfs_plan, &c->rootfs, e));
	c->self = INIT_ROOT;
	return 0;
}

int row_sysctl(struct ctx *c, struct err *e)
{
	autofd proc = procfs_open(PROCFS_FULL, e);

	return proc < 0 ? -1 : ns_sysctl_apply(&c->plan->config->linux->sysctl, proc, e);
}

int row_rootfs_seal(struct ctx *c, struct err *e)
{
	return rootfs_seal(&c->rootfs_plan, &c->rootfs, e);
}

int row_hostname(struct ctx *c, struct err *e)
{
	return ns_hostname(c->plan->config->hostname, c->plan->config->domainname, e);
}

/* ---- the terminal, for exec's process as well */

int row_terminal(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	const struct oci_console_size *size = p->process.process->console_size;
	autofd root = fd_open(AT_FDCWD, "/", O_PATH | O_DIRECTORY, 0, e);
	autofd master = -1;
	autofd pty = -1;
	struct winsize ws;

	if (root < 0)
		return -1;
	pty = term_open(root, size ? (unsigned)size->height : 0, size ? (unsigned)size->width : 0,
	                p->process.creds.uid, &master, e);
	if (pty < 0)
		return -1;
	/* a program may ask for the size at once: before the runtime relays, stdin is still the
	 * caller's */
	if (!size && steps_in_foreground(p) && ioctl(0, TIOCGWINSZ, &ws) == 0 && ws.ws_row)
		(void)ioctl(pty, TIOCSWINSZ, &ws); /* the relay will do it again */
	if (p->op != OP_EXEC)
		TRY(dev_console(&c->rootfs, pty, e));
	TRY(term_send(c->console_sock, master, e));
	fd_close_at(&c->console_sock);
	return term_adopt(take_fd(&pty), e);
}
