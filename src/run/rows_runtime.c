/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/unapplied.h"
#include "kernel/cgroup_named.h"
#include "kernel/dev.h"
#include "kernel/net.h"
#include "run/chan.h"
#include "run/claim.h"
#include "run/hooks.h"
#include "run/notify.h"
#include "run/rows.h"
#include "run/spawn.h"
#include "run/steps.h"

#define EXEC_DEATH_MS 1000

#define CGROUP_REMOVE_MS 5000

/* ---- state */

/* Listens before there is a payload: it may be ready at once. */
static int row_notify(struct ctx *c, struct err *e)
{
	TRY(notify_prepare(c->dir, e));
	if (c->plan->op != OP_RUN)
		return 0;
	c->notify_sock = notify_bind(c->dir, e);
	return c->notify_sock < 0 ? -1 : 0;
}

int row_state_reserve(struct ctx *c, struct err *e)
{
	struct rec_record *rec = c->plan->record;
	autofree char *groups = NULL, *freezer = NULL;

	c->root = state_root_open(c->davit, true, e);
	if (c->root < 0)
		return -1;
	c->dir = state_reserve(c->root, c->plan->id, e);
	if (c->dir < 0)
		return -1;
	/* from here on undo removes the directory */
	TRY(cgroup_prepare(&c->plan->cgroup, &c->cgroup, e));
	c->cgroup.root = c->root;
	TRY(groups_claimed_check(c->root, c->plan->id, &c->cgroup, e));
	groups = cgroup_record(&c->cgroup);
	freezer = cgroup_freezer(&c->cgroup);
	rec->cgroup = arena_strdup(&c->arena, groups);
	rec->freezer = arena_strdup(&c->arena, freezer);
	rec->not_applied = (char **)unapplied_list(&rec->n_not_applied);
	if (c->plan->notify)
		TRY(row_notify(c, e));
	return state_write(c->dir, rec, e);
}

void undo_state_reserve(struct ctx *c)
{
	struct err e = {0};

	if (c->dir >= 0 && state_remove(c->root, c->plan->id, c->dir, &e) < 0)
		log_warn("%s, ignoring", e.msg);
	fd_close_at(&c->dir);
	fd_close_at(&c->root);
	fd_close_at(&c->start_sock);
	seccomp_free(&c->seccomp);
}

int row_state_init(struct ctx *c, struct err *e)
{
	char state;

	if (proc_stat(c->init.pid, &state, &c->init.start) < 0)
		return fail(e, errno, "read the state of init, process %d", c->init.pid);
	return state_set_init(c->dir, &c->init, e);
}

int row_start_listen(struct ctx *c, struct err *e)
{
	c->start_sock = state_start_listen(c->dir, e);
	return c->start_sock < 0 ? -1 : 0;
}

/* ---- what is opened before there is an init */

int row_console_connect(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	const char *path = p->op == OP_EXEC ? p->exec->console_socket : p->create->console_socket;

	c->console_sock = unix_connect(path, e);
	return c->console_sock < 0 ? fail_prefix(e, "console socket") : 0;
}

int row_ns_open(struct ctx *c, struct err *e)
{
	return ns_open(&c->plan->ns, c->ns_fds, e);
}

int row_seccomp_compile(struct ctx *c, struct err *e)
{
	const struct oci_map *annotations = &c->plan->config->annotations;
	const char *strict = map_get(annotations, "run.oci.seccomp_fail_unknown_syscall");
	autofd cache = -1;

	if (c->plan->seccomp_raw) {
		TRY(seccomp_decode(c->plan->seccomp_raw, c->plan->seccomp, &c->seccomp, e));
		TRY(seccomp_save(c->dir, "seccomp", &c->seccomp, e));
	} else {
		cache = seccomp_cache_open(c->root, ".seccomp");
		TRY(seccomp_prepare(c->plan->seccomp,
		                    strict && strcmp(strict, "1") == 0 ? SECCOMP_FAIL_UNKNOWN : 0,
		                    cache, c->dir, "seccomp", &c->seccomp, e));
	}
	if (c->seccomp.notify) {
		c->mail = seccomp_mail_new(e);
		if (!c->mail)
			return -1;
	}
	return 0;
}

/* Sources and devices that need the host's privilege; init inherits the descriptors. */
int row_mount_sources(struct ctx *c, struct err *e)
{
	const struct rootfs_plan *r = &c->plan->rootfs;
	bool shared = r->propagation & MS_SHARED;
	size_t i;

	TRY(dev_nodes_make(r, &c->plan->maps, &c->arena, &c->nodes, e));
	for (i = 0; i < r->n_mounts; i++)
		if (mount_source_wanted(&r->mounts[i], r->userns) ||
		    mount_disk_wanted(&r->mounts[i]))
			break;
	if (i == r->n_mounts)
		return 0;
	c->sources = arena_array(&c->arena, r->n_mounts, sizeof(int));
	for (i = 0; i < r->n_mounts; i++) {
		const struct mount_plan *m = &r->mounts[i];
		int userns = -1;

		c->sources[i] = -1;
		if (mount_disk_wanted(m))
			TRY(mount_disk_open(m, r, &c->sources[i], e));
		if (!mount_source_wanted(m, r->userns))
			continue;
		if (m->flags & MOUNT_IDMAP_OWN) {
			userns = c->plan->maps.uid.n
			                 ? idmap_userns_fd(&c->idmaps, &c->plan->maps, e)
			                 : c->ns_fds[NS_USER];
			if (userns < 0)
				return fail_at(e, "/mounts/%zu", m->index);
		}
		if (mount_source_open(m, shared, &c->idmaps, userns, &c->sources[i], e) < 0)
			return fail_at(e, "/mounts/%zu", m->index);
	}
	return 0;
}

/* ---- cgroups */

int row_cgroup_create(struct ctx *c, struct err *e)
{
	TRY(cgroup_create(&c->plan->cgroup, &c->cgroup, e));
	return cgroup_apply(&c->plan->cgroup, &c->cgroup, e);
}

int row_cgroup_enter(struct ctx *c, struct err *e)
{
	const struct cgroup_plan *p = &c->plan->cgroup;
	bool created = p->manager == CGROUP_MANAGER_CGROUPFS && p->mode == CGROUP_MODE_V2;

	if (created)
		return c->entered ? 0 : cgroup_enter(p, &c->cgroup, c->init.pid, e);
	TRY(cgroup_create(p, &c->cgroup, e));
	if (!cgroup_late(p))
		TRY(cgroup_apply(p, &c->cgroup, e));
	TRY(cgroup_enter(p, &c->cgroup, c->init.pid, e));
	return cgroup_late(p) ? cgroup_apply(p, &c->cgroup, e) : 0;
}

void undo_cgroup(struct ctx *c)
{
	struct err e = {0};

	spawn_undo(c);
	if (c->cgroup.n == 0)
		return;
	(void)cgroup_kill(&c->cgroup, SIGKILL, &e); /* a group that was not made yet has nobody */
	if (cgroup_remove(&c->cgroup, CGROUP_REMOVE_MS, &e) < 0)
		log_warn("%s, ignoring", e.msg);
}

int row_cgroup_named(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	uint32_t uid = 0, gid = 0;

	if (p->maps.uid.n &&
	    (!idmap_to_host(&p->maps.uid, 0, &uid) || !idmap_to_host(&p->maps.gid, 0, &gid)))
		uid = gid = 0; /* nobody is root inside */
	TRY(cgroup_named_make(p->id, uid, gid, e));
	c->named_group = true;
	return cgroup_named_enter(p->id, c->init.pid, e);
}

void undo_cgroup_named(struct ctx *c)
{
	struct err e = {0};

	spawn_undo(c);
	if (c->named_group && cgroup_named_remove(c->plan->id, CGROUP_REMOVE_MS, &e) < 0)
		log_warn("%s, ignoring", e.msg);
}

int row_cgroup_delegate(struct ctx *c, struct err *e)
{
	return cgroup_delegate(&c->plan->cgroup, &c->cgroup, c->init.pid, e);
}

/* ---- what is done to init from outside */

int row_idmap_write(struct ctx *c, struct err *e)
{
	return idmap_write(c->init.pid, &c->plan->maps, e);
}

/* ---- cache and memory bandwidth */

int row_rdt(struct ctx *c, struct err *e)
{
	c->rdt_begun = true;
	TRY(rdt_create(&c->plan->rdt, e));
	return rdt_enter(&c->plan->rdt.rdt, c->init.pid, e);
}

void undo_rdt(struct ctx *c)
{
	struct rdt r = c->plan->rdt.rdt;
	struct err e = {0};

	if (!c->rdt_begun)
		return;
	r.own = !c->plan->rdt.exists; /* as if it had never been attempted */
	if (rdt_remove(&r, &e) < 0)
		log_warn("%s, ignoring", e.msg);
}

int row_oom_score(struct ctx *c, struct err *e)
{
	autofd proc = fd_open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, 0, e);

	if (proc < 0)
		return -1;
	return oom_score_apply(proc, c->init.pid, c->plan->process.process->oom_score_adj,
	                       c->plan->rootless, e);
}

/* A namespace that init joins may not be its own yet. */
static int net_ns_open(struct ctx *c, struct err *e)
{
	char path[40];

	if (c->ns_fds[NS_NET] >= 0)
		return fcntl(c->ns_fds[NS_NET], F_DUPFD_CLOEXEC, 3);
	snprintf(path, sizeof path, "/proc/%d/ns/net", c->init.pid);
	return fd_open(AT_FDCWD, path, O_RDONLY, 0, e);
}

int row_net_move(struct ctx *c, struct err *e)
{
	const struct oci_net_device_map *m = &c->plan->config->linux->net_devices;

	c->net_ns = net_ns_open(c, e); /* keeps the namespace for undo when init is gone */
	if (c->net_ns < 0)
		return fail(e, errno, "open the container's network namespace");
	c->net_moved = arena_array(&c->arena, m->n, sizeof *c->net_moved);
	for (; c->n_net_moved < m->n; c->n_net_moved++) {
		size_t i = c->n_net_moved;

		if (net_device_move(m->keys[i], m->values[i].name, c->net_ns, &c->net_moved[i], e) <
		    0)
			return fail_at(e, "/linux/netDevices/%s", m->keys[i]);
	}
	return 0;
}

/* A namespace that ends takes virtual devices with it, and renames none of the others back. */
void undo_net_move(struct ctx *c)
{
	struct err e = {0};

	while (c->n_net_moved > 0) {
		size_t i = --c->n_net_moved;
		const char *name = c->plan->config->linux->net_devices.keys[i];

		if (net_device_return(name, &c->net_moved[i], c->net_ns, &e) < 0)
			log_warn("take back network device \"%s\": %s, ignoring", name, e.msg);
	}
	fd_close_at(&c->net_ns);
}

/* Raising a hard limit needs the host's privilege, which init in a user namespace lacks. */
int row_limits_raise(struct ctx *c, struct err *e)
{
	return rlimits_apply(c->init.pid, &c->plan->process.rlimits, e);
}

int row_hooks_create_runtime(struct ctx *c, struct err *e)
{
	const struct oci_hooks *h = c->plan->hooks;
	struct hooks_run r = {
		.kind = "prestart",
		.hooks = h->prestart,
		.n = h->n_prestart,
		.annotations = &c->plan->config->annotations,
		.cwd = c->plan->bundle,
		.stop_fd = c->signals,
		.tied = true,
	};

	r.state = state_oci_json(c->plan->record, c->init.pid, "created", &c->arena, &r.state_len);
	TRY(hooks_run(&r, e));
	r.kind = "createRuntime";
	r.hooks = h->create_runtime;
	r.n = h->n_create_runtime;
	return hooks_run(&r, e);
}

#define LISTENER_MS 30000

int row_seccomp_listener(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	autofd listener = -1;
	struct err own = {0};
	const char *state;

	if (!p->listener_path) {
		fail(e, 0, "the profile notifies, but there is no listenerPath");
		return fail_at(e, "/linux/seccomp/listenerPath");
	}
	listener = seccomp_listener_take(c->mail, c->pidfd, LISTENER_MS, &own);
	if (listener < 0) {
		/* init knows better than we why it has gone */
		if (steps_peer_drain(c, e) == 0)
			*e = own;
		return -1;
	}
	state = state_oci_json(p->record, p->op == OP_EXEC ? c->container->init.pid : c->init.pid,
	                       p->op == OP_EXEC ? "running" : "creating", &c->arena, NULL);
	return seccomp_notify_send(p->listener_path, listener, DAVIT_SPEC_VERSION, c->init.pid,
	                           p->listener_metadata, state, e);
}

int row_terminal_take(struct ctx *c, struct err *e)
{
	char name[256];
	size_t n_fds = 0;
	ssize_t n;

	do
		n = fd_recv(c->console_mine, name, sizeof name, &c->master, 1, &n_fds);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || n_fds != 1)
		return fail(e, n < 0 ? errno : 0, "take the terminal from init");
	fd_close_at(&c->console_mine);
	return 0;
}

/* ---- the end of create */

/* A file without a name has no remains when we are killed. */
static int pid_file_link(int dir, const char *name, const char *text, size_t n)
{
	autofd fd = openat(dir, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
	char self[32];

	if (fd < 0 || fd_write_all(fd, text, n) < 0)
		return -1;
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno != EEXIST || unlinkat(dir, name, 0) < 0)
		return -1;
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW);
}

int pid_file_write(const char *path, pid_t pid, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *dir =
		slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
	autofd d = fd_open(AT_FDCWD, dir, O_PATH | O_DIRECTORY, 0, e);
	const char *name = slash ? slash + 1 : path;
	autofd fd = -1;
	char temporary[64], text[16];
	int n = snprintf(text, sizeof text, "%d", pid);

	if (d < 0)
		return fail_prefix(e, "pid file \"%s\"", path);
	if (pid_file_link(d, name, text, (size_t)n) == 0)
		return 0;
	/* not every file system has files without a name */
	snprintf(temporary, sizeof temporary, ".davit-%d.pid", getpid());
	fd = openat(d, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_all(fd, text, (size_t)n) < 0 ||
	    renameat(d, temporary, d, name) < 0) {
		fail(e, errno, "write pid file \"%s\"", path);
		(void)unlinkat(d, temporary, 0); /* as if it had never been */
		return -1;
	}
	return 0;
}

static int pidfd_send(const char *path, int pidfd, struct err *e)
{
	autofd sock = unix_connect(path, e);

	if (sock < 0)
		return fail_prefix(e, "pidfd socket");
	if (fd_send(sock, "pidfd", 5, &pidfd, 1) < 0)
		return fail(e, errno, "send the pidfd to \"%s\"", path);
	return 0;
}

int row_state_created(struct ctx *c, struct err *e)
{
	const struct davit_create_args *r = c->plan->create;
	const char *receiver = map_get(&c->plan->config->annotations, "run.oci.pidfd_receiver");

	TRY(state_notes_write(c->dir, c->plan->record->n_not_applied, e));
	if (r->pidfd_socket)
		TRY(pidfd_send(r->pidfd_socket, c->pidfd, e));
	if (receiver)
		TRY(pidfd_send(receiver, c->pidfd, e));
	if (r->pid_file)
		TRY(pid_file_write(r->pid_file, c->init.pid, e));
	return c->plan->op == OP_CREATE ? state_start_publish(c->dir, e) : 0;
}

int row_exec_started(struct ctx *c, struct err *e)
{
	const struct davit_exec_args *r = c->plan->exec;

	if (r->pidfd_socket)
		TRY(pidfd_send(r->pidfd_socket, c->pidfd, e));
	return r->pid_file ? pid_file_write(r->pid_file, c->init.pid, e) : 0;
}

/* Init's end of the channel closes when the payload's program has taken its place. */
int row_exec_wait(struct ctx *c, struct err *e)
{
	TRY(steps_peer_drain(c, e));
	/* a kill for want of memory, or by the seccomp filter, leaves no word */
	if (!spawn_in_payload(c->init.pid) && proc_wait_gone(c->pidfd, EXEC_DEATH_MS) == 1)
		return spawn_init_died(c, "exec", e);
	return 0;
}
