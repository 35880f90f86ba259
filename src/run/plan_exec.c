/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/creds.h"
#include "read.h"
#include "run/plan.h"

static int process_read(const char *path, struct arena *a, struct oci_process **out, struct err *e)
{
	struct oci_error oe;
	autofd fd = fd_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY, 0, e);
	autofree char *text = NULL;
	size_t len;

	if (fd < 0)
		return -1;
	text = fd_read_all(fd, OCI_SIZE_MAX, &len, e);
	if (!text)
		return -1;
	*out = arena_new(a, struct oci_process);
	if (oci_read(&ocispec_schema, OCI_PROCESS, text, len, a, *out, &oe) == 0)
		return 0;
	fail(e, 0, "%s:%u:%u: %s", path, oe.line, oe.column, oe.msg);
	return *oe.pointer ? fail_at(e, "%s", oe.pointer) : -1;
}

/* ---- the container's own process, changed by options */

static int id_parse(const char *text, const char *what, uint32_t *id, struct err *e)
{
	uint64_t value;

	if (str_to_u64(text, &value) < 0 || value > UINT32_MAX - 1 || (*text == '0' && text[1]))
		return fail(e, 0, "%s \"%.32s\" is not a number from 0 to 4294967294", what, text);
	*id = (uint32_t)value;
	return 0;
}

/* "UID" or "UID:GID"; numbers only, since names are the container's affair. */
static int user_parse(const char *text, struct oci_user *user, struct arena *a, struct err *e)
{
	char *copy = arena_strdup(a, text);
	char *gid = strchr(copy, ':');

	if (gid)
		*gid++ = '\0';
	TRY(id_parse(copy, "user id", &user->uid, e));
	return gid ? id_parse(gid, "group id", &user->gid, e) : 0;
}

static int user_change(const struct davit_exec_args *r, struct oci_process *p, struct arena *a,
                       struct err *e)
{
	struct oci_user *user =
		p->user ? arena_memdup(a, p->user, sizeof *user) : arena_new(a, struct oci_user);
	uint32_t *gids;

	p->user = user;
	if (r->user)
		TRY(user_parse(r->user, user, a, e));
	if (!r->n_additional_gids)
		return 0;
	gids = arena_array(a, user->n_additional_gids + r->n_additional_gids, sizeof *gids);
	if (user->n_additional_gids)
		memcpy(gids, user->additional_gids, user->n_additional_gids * sizeof *gids);
	for (size_t i = 0; i < r->n_additional_gids; i++)
		TRY(id_parse(r->additional_gids[i], "group id", &gids[user->n_additional_gids + i],
		             e));
	user->additional_gids = gids;
	user->n_additional_gids += r->n_additional_gids;
	return 0;
}

static void list_add(char ***list, size_t *n, const char *const *more, size_t n_more,
                     struct arena *a)
{
	char **v = arena_array(a, *n + n_more + 1, sizeof *v);

	if (*n)
		memcpy(v, *list, *n * sizeof *v);
	for (size_t i = 0; i < n_more; i++)
		v[*n + i] = arena_strdup(a, more[i]);
	*list = v;
	*n += n_more;
}

/* Inheritable and ambient are left alone: CVE-2022-29162. */
static int caps_change(const struct davit_exec_args *r, struct oci_process *p, struct arena *a,
                       struct err *e)
{
	struct oci_capabilities *c;
	int cap;

	if (!r->n_caps)
		return 0;
	for (size_t i = 0; i < r->n_caps; i++)
		if (!cap_find(r->caps[i], &cap))
			return fail(e, 0, "--cap: unknown capability \"%.64s\"", r->caps[i]);
	c = p->capabilities ? arena_memdup(a, p->capabilities, sizeof *c)
	                    : arena_new(a, struct oci_capabilities);
	list_add(&c->bounding, &c->n_bounding, r->caps, r->n_caps, a);
	list_add(&c->effective, &c->n_effective, r->caps, r->n_caps, a);
	list_add(&c->permitted, &c->n_permitted, r->caps, r->n_caps, a);
	p->capabilities = c;
	return 0;
}

/* A variable that is set again replaces the old one. */
static void env_change(const struct davit_exec_args *r, struct oci_process *p, struct arena *a)
{
	char **v = arena_array(a, p->n_env + r->n_env + 1, sizeof *v);
	size_t n = 0;

	for (size_t i = 0; i < p->n_env; i++) {
		size_t len = strcspn(p->env[i], "=") + 1;
		bool replaced = false;

		for (size_t j = 0; j < r->n_env && !replaced; j++)
			replaced = strncmp(p->env[i], r->env[j], len) == 0;
		if (!replaced)
			v[n++] = p->env[i];
	}
	for (size_t j = 0; j < r->n_env; j++)
		v[n++] = arena_strdup(a, r->env[j]);
	p->env = v;
	p->n_env = n;
}

static int process_make(const struct davit_exec_args *r, const struct rec_record *rec,
                        struct arena *a, struct oci_process **out, struct err *e)
{
	struct oci_process *p = rec->process ? arena_memdup(a, rec->process, sizeof *p)
	                                     : arena_new(a, struct oci_process);

	if (!p->cwd)
		p->cwd = arena_strdup(a, "/");
	p->args = NULL;
	p->n_args = 0;
	for (size_t i = 0; r->argv && r->argv[i]; i++)
		p->n_args++;
	p->args = (char **)r->argv;
	p->terminal = r->tty == DAVIT_TRUE;
	if (r->cwd) {
		if (*r->cwd != '/')
			return fail(e, 0, "working directory \"%s\" is not absolute", r->cwd);
		p->cwd = (char *)r->cwd;
	}
	TRY(user_change(r, p, a, e));
	TRY(caps_change(r, p, a, e));
	env_change(r, p, a);
	if (r->no_new_privs != DAVIT_AUTO)
		p->no_new_privileges = r->no_new_privs == DAVIT_TRUE;
	if (r->apparmor)
		p->apparmor_profile = (char *)r->apparmor;
	if (r->process_label)
		p->selinux_label = (char *)r->process_label;
	*out = p;
	return 0;
}

/* ---- what is joined */

/* Whether the container's user namespace was made without the right to set groups, as those of
 * ordinary users are (user_namespaces(7)). */
static bool setgroups_denied(pid_t init)
{
	autofd fd = -1;
	char path[48], text[8] = "";

	(void)snprintf(path, sizeof path, "/proc/%d/setgroups", init);
	fd = fd_try_open(AT_FDCWD, path, O_RDONLY);
	return fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strncmp(text, "deny", 4) == 0;
}

static void namespaces_find(const struct rec_record *rec, struct ns_plan *ns)
{
	for (size_t i = 0; i < rec->n_namespaces; i++)
		for (int k = 0; k < NS_COUNT; k++)
			if (strcmp(rec->namespaces[i], ns_types[k].name) == 0)
				ns->join_flags |= ns_types[k].flag;
}

static int status_check(const struct davit_exec_args *r, const struct container *k,
                        enum davit_status s, struct err *e)
{
	if (s == DAVIT_STOPPED || s == DAVIT_CREATING)
		return fail(e, 0, "container not running: \"%s\" is %s", k->id,
		            davit_status_names[s]);
	if (s == DAVIT_PAUSED && !r->ignore_paused) {
		fail(e, 0, "container \"%s\" is paused", k->id);
		return fail_hint(e, "resume it, or use --ignore-paused");
	}
	return 0;
}

int plan_exec(const struct davit_context *c, const struct davit_exec_args *r,
              const struct container *k, enum davit_status status, struct arena *a,
              struct plan *out, struct err *e)
{
	static const struct oci_hooks no_hooks;
	struct rec_record *rec = k->rec;
	struct oci_process *process = NULL;

	*out = (struct plan){
		.op = OP_EXEC, .id = r->id, .exec = r, .hooks = &no_hooks, .record = rec};
	TRY(status_check(r, k, status, e));
	out->bundle = rec->bundle;
	out->rootless = plan_is_rootless(c);
	out->umask = c->umask;
	namespaces_find(rec, &out->ns);
	out->own_userns = out->ns.join_flags & CLONE_NEWUSER;
	out->no_setgroups = out->own_userns && setgroups_denied(k->init.pid);
	/* the process must be wholly inside before the container sees it (CVE-2016-9962): a
	 * stage joins everything while it is still in the runtime's pid namespace */
	out->ns.stage = out->ns.join_flags & CLONE_NEWPID;
	if (r->process)
		TRY(process_read(r->process, a, &process, e));
	else
		TRY(process_make(r, rec, a, &process, e));
	out->has_seccomp = rec->seccomp;
	out->seccomp_late = process->no_new_privileges;
	out->seccomp_notify = rec->seccomp_notify;
	out->listener_path = rec->listener_path;
	out->listener_metadata = rec->listener_metadata;
	out->new_keyring = !rec->no_new_keyring;
	return plan_process(out, process, r->preserve_fds, rec->personality, rec->memory_policy, a,
	                    e);
}
