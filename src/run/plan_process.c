/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/notify.h"
#include "run/plan.h"

static bool env_has(const struct oci_process *p, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < p->n_env; i++)
		if (strncmp(p->env[i], name, n) == 0 && p->env[i][n] == '=')
			return true;
	return false;
}

/* The payload's environment: what the configuration says, no variable of our own environment
 * (CVE-2026-57231) but those that belong to passed descriptors. Two more slots are left for
 * HOME and NOTIFY_SOCKET. */
static int plan_env(struct process_plan *pp, unsigned n_listen, bool notify, struct arena *a,
                    struct err *e)
{
	const struct oci_process *p = pp->process;
	size_t n = 0;

	pp->envp = arena_array(a, p->n_env + 6, sizeof(char *));
	for (size_t i = 0; i < p->n_env; i++) {
		if (!strchr(p->env[i], '=')) {
			fail(e, 0, "\"%.64s\" has no value: NAME=VALUE is needed", p->env[i]);
			return fail_at(e, "/process/env/%zu", i);
		}
		if (n_listen &&
		    (str_starts(p->env[i], "LISTEN_FDS=") || str_starts(p->env[i], "LISTEN_PID=")))
			continue;
		if (notify && str_starts(p->env[i], "NOTIFY_SOCKET="))
			continue;
		pp->envp[n++] = p->env[i];
	}
	if (notify)
		pp->envp[n++] = (char *)NOTIFY_ENV;
	if (n_listen) {
		const char *names = getenv("LISTEN_FDNAMES");

		pp->envp[n++] = arena_printf(a, "LISTEN_FDS=%u", n_listen);
		pp->envp[n++] = arena_strdup(a, "LISTEN_PID=1");
		if (names && !env_has(p, "LISTEN_FDNAMES"))
			pp->envp[n++] = arena_printf(a, "LISTEN_FDNAMES=%s", names);
	}
	pp->needs_home = !env_has(p, "HOME");
	return 0;
}

static bool setgroups_denied(const struct plan *p)
{
	return p->no_setgroups ||
	       (p->rootless && (p->ns.new_flags & CLONE_NEWUSER) && p->maps.gid.n == 1 &&
	        p->maps.gid.v[0].size == 1 && geteuid() != 0);
}

int plan_process(struct plan *p, const struct oci_process *process, unsigned preserve_fds,
                 const struct oci_personality *personality, const struct oci_memory_policy *memory,
                 struct arena *a, struct err *e)
{
	struct process_plan *pp = &p->process;
	const struct oci_map *annotations =
		p->config ? &p->config->annotations : &p->record->annotations;
	const char *keep = map_get(annotations, "run.oci.keep_original_groups");
	unsigned n_listen, flags = 0;
	int passed;

	passed = fd_passed(preserve_fds, &n_listen, e);
	TRY(passed);
	pp->keep_fds = (unsigned)passed;
	TRY(traits_make(process ? process->scheduler : NULL, process ? process->io_priority : NULL,
	                personality, memory, &pp->traits, e));
	pp->process = process;
	if (!process)
		return 0;
	if (!process->n_args || !*process->args[0]) {
		fail(e, 0, "the command is missing");
		return fail_at(e, "/process/args");
	}
	if (keep && strcmp(keep, "1") == 0)
		flags |= CREDS_KEEP_GROUPS;
	if (setgroups_denied(p))
		flags |= CREDS_SETGROUPS_DENIED;
	TRY(creds_make(process, flags, &pp->creds, e));
	/* config.md: not changed from the caller's. But 0 is what daemons run with, whose
	 * containers would write files for everybody: then it is 022, as it is until here. */
	if (!pp->creds.has_umask && p->umask) {
		pp->creds.umask = p->umask;
		pp->creds.has_umask = true;
	}
	TRY(rlimits_make(process->rlimits, process->n_rlimits, &pp->rlimits, e));
	TRY(affinity_make(process->exec_cpu_affinity, &pp->affinity, e));
	TRY(lsm_make(process->apparmor_profile, process->selinux_label, &pp->lsm, e));
	pp->terminal = process->terminal;
	return plan_env(pp, n_listen, p->notify, a, e);
}
