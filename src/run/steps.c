/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* THE tables. A changed order needs a test, and a reason in the commit. */
#include "run/steps.h"

#include <sched.h>

#include "run/rows.h"
#include "run/spawn.h"

static bool is_create(const struct plan *p)
{
	return p->op == OP_CREATE;
}

static bool is_run(const struct plan *p)
{
	return p->op == OP_RUN;
}

static bool has_console_socket(const struct plan *p)
{
	const char *path = p->op == OP_EXEC ? p->exec->console_socket : p->create->console_socket;

	return p->process.terminal && path;
}

static bool has_terminal(const struct plan *p)
{
	return p->process.terminal;
}

bool steps_in_foreground(const struct plan *p)
{
	return p->process.terminal && !has_console_socket(p);
}

static bool joins(const struct plan *p)
{
	return p->ns.join_flags != 0;
}

static bool has_time_offsets(const struct plan *p)
{
	return p->ns.offsets != NULL;
}

static bool new_userns(const struct plan *p)
{
	return p->ns.new_flags & CLONE_NEWUSER;
}

static bool late_ns(const struct plan *p)
{
	return ns_late_flags(&p->ns);
}

static bool own_userns(const struct plan *p)
{
	return p->own_userns;
}

static bool is_staged(const struct plan *p)
{
	return p->ns.stage;
}

static bool has_seccomp(const struct plan *p)
{
	return p->has_seccomp;
}

static bool seccomp_early(const struct plan *p)
{
	return p->has_seccomp && !p->seccomp_late;
}

static bool seccomp_late(const struct plan *p)
{
	return p->has_seccomp && p->seccomp_late && !p->seccomp_notify;
}

static bool notify_early(const struct plan *p)
{
	return p->seccomp_notify && !p->seccomp_late;
}

static bool notify_late(const struct plan *p)
{
	return p->seccomp_notify && p->seccomp_late;
}

static bool cgroup_first(const struct plan *p)
{
	return p->cgroup.manager == CGROUP_MANAGER_CGROUPFS && p->cgroup.mode == CGROUP_MODE_V2;
}

static bool cgroup_delegates(const struct plan *p)
{
	return cgroup_delegate_wanted(&p->cgroup);
}

static bool named_group(const struct plan *p)
{
	return p->named_group;
}

static bool has_process(const struct plan *p)
{
	return p->process.process != NULL;
}

static bool has_oom_score(const struct plan *p)
{
	return p->process.process && p->process.process->has_oom_score_adj;
}

static bool new_net(const struct plan *p)
{
	return p->ns.new_flags & CLONE_NEWNET;
}

static bool moves_net(const struct plan *p)
{
	return p->config->linux && p->config->linux->net_devices.n;
}

static bool has_rdt(const struct plan *p)
{
	return p->rdt.rdt.root != NULL;
}

static bool new_cgroup_ns(const struct plan *p)
{
	return p->ns.new_flags & CLONE_NEWCGROUP;
}

static bool new_keyring(const struct plan *p)
{
	return p->new_keyring;
}

static bool hooks_runtime(const struct plan *p)
{
	return p->hooks->n_prestart || p->hooks->n_create_runtime;
}

static bool hooks_create_container(const struct plan *p)
{
	return p->hooks->n_create_container;
}

static bool hooks_start_container(const struct plan *p)
{
	return p->hooks->n_start_container;
}

static bool has_sysctl(const struct plan *p)
{
	return p->config->linux && p->config->linux->sysctl.n;
}

static bool has_hostname(const struct plan *p)
{
	return p->config->hostname || p->config->domainname;
}

static bool has_lsm(const struct plan *p)
{
	return p->process.lsm.apparmor || p->process.lsm.selinux;
}

static bool has_limits(const struct plan *p)
{
	return p->process.rlimits.n;
}

static bool raises_limits(const struct plan *p)
{
	return p->process.rlimits.n && p->own_userns;
}

static bool has_final_affinity(const struct plan *p)
{
	return p->process.affinity.final.n_bits;
}

/* one row, one line */
/* clang-format off */
const struct step create_steps[] = {
	{"state-reserve",          RUNTIME,   NULL,                   NULL,                   row_state_reserve,          undo_state_reserve},
	{"console-connect",        RUNTIME,   NULL,                   has_console_socket,     row_console_connect,        NULL},
	{"ns-open",                RUNTIME,   NULL,                   joins,                  row_ns_open,                NULL},
	{"seccomp-compile",        RUNTIME,   NULL,                   has_seccomp,            row_seccomp_compile,        NULL},
	{"mount-sources",          RUNTIME,   NULL,                   NULL,                   row_mount_sources,          NULL},
	{"start-listen",           RUNTIME,   NULL,                   is_create,              row_start_listen,           NULL},
	{"cgroup-create",          RUNTIME,   NULL,                   cgroup_first,           row_cgroup_create,          undo_cgroup},
	{"spawn",                  RUNTIME,   NULL,                   NULL,                   spawn_init,                 spawn_undo},
	{"time-open",              INIT_HOST, NULL,                   has_time_offsets,       row_time_open,              NULL},
	{"ns-join",                INIT_HOST, NULL,                   joins,                  row_ns_join,                NULL},
	{"userns-new",             INIT_HOST, NULL,                   new_userns,             row_userns_new,             NULL},
	{"idmap-write",            RUNTIME,   "userns-new",           new_userns,             row_idmap_write,            NULL},
	{"idmap-adopt",            INIT_HOST, "idmap-write",          new_userns,             row_idmap_adopt,            NULL},
	{"ns-late",                INIT_HOST, NULL,                   late_ns,                row_ns_late,                NULL},
	{"idmap-joined",           INIT_HOST, NULL,                   own_userns,             row_idmap_adopt,            NULL},
	{"ns-new",                 INIT_HOST, NULL,                   is_staged,              spawn_from_stage,           NULL},
	{"ns-known",               RUNTIME,   "ns-new",               is_staged,              row_barrier,                NULL},
	{"state-init",             RUNTIME,   NULL,                   NULL,                   row_state_init,             NULL},
	{"rdt",                    RUNTIME,   NULL,                   has_rdt,                row_rdt,                    undo_rdt},
	{"oom-score",              RUNTIME,   NULL,                   has_oom_score,          row_oom_score,              NULL},
	{"net-move",               RUNTIME,   NULL,                   moves_net,              row_net_move,               undo_net_move},
	{"cgroup-named",           RUNTIME,   NULL,                   named_group,            row_cgroup_named,           undo_cgroup_named},
	{"cgroup-enter",           RUNTIME,   NULL,                   NULL,                   row_cgroup_enter,           undo_cgroup},
	{"keyring",                INIT_HOST, NULL,                   new_keyring,            row_keyring,                NULL},
	{"net-up",                 INIT_HOST, NULL,                   new_net,                row_net_up,                 NULL},
	{"rootfs-prepare",         INIT_HOST, NULL,                   NULL,                   row_rootfs_prepare,         NULL},
	{"mounts",                 INIT_HOST, NULL,                   NULL,                   row_mounts,                 NULL},
	{"cgroup-entered",         INIT_HOST, "cgroup-enter",         NULL,                   row_barrier,                NULL},
	{"cgroup-ns",              INIT_HOST, NULL,                   new_cgroup_ns,          row_cgroup_ns,              NULL},
	{"cgroup-delegate",        RUNTIME,   "cgroup-ns",            cgroup_delegates,       row_cgroup_delegate,        NULL},
	{"cgroup-delegated",       INIT_HOST, "cgroup-delegate",      cgroup_delegates,       row_barrier,                NULL},
	{"mounts-cgroup",          INIT_HOST, NULL,                   NULL,                   row_mounts_cgroup,          NULL},
	{"devices",                INIT_HOST, NULL,                   NULL,                   row_devices,                NULL},
	{"hooks-create-runtime",   RUNTIME,   "devices",              hooks_runtime,          row_hooks_create_runtime,   NULL},
	{"hooks-wait",             INIT_HOST, "hooks-create-runtime", hooks_runtime,          row_barrier,                NULL},
	{"hooks-create-container", INIT_HOST, NULL,                   hooks_create_container, row_hooks_create_container, NULL},
	{"pivot",                  INIT_HOST, NULL,                   NULL,                   row_pivot,                  NULL},
	{"sysctl",                 INIT_ROOT, NULL,                   has_sysctl,             row_sysctl,                 NULL},
	{"rootfs-seal",            INIT_ROOT, NULL,                   NULL,                   row_rootfs_seal,            NULL},
	{"hostname",               INIT_ROOT, NULL,                   has_hostname,           row_hostname,               NULL},
	{"terminal",               INIT_ROOT, NULL,                   has_terminal,           row_terminal,               NULL},
	{"terminal-take",          RUNTIME,   "terminal",             steps_in_foreground,    row_terminal_take,          NULL},
	{"traits",                 INIT_ROOT, NULL,                   NULL,                   row_traits,                 NULL},
	{"lsm-exec",               INIT_ROOT, NULL,                   has_lsm,                row_lsm,                    NULL},
	{"cwd",                    INIT_ROOT, NULL,                   has_process,            row_cwd,                    NULL},
	{"limits-raise",           RUNTIME,   "lsm-exec",             raises_limits,          row_limits_raise,           NULL},
	{"limits-raised",          INIT_ROOT, "limits-raise",         raises_limits,          row_barrier,                NULL},
	{"limits",                 INIT_ROOT, NULL,                   has_limits,             row_limits,                 NULL},
	{"seccomp-listener-early", RUNTIME,   "lsm-exec",             notify_early,           row_seccomp_listener,       NULL},
	{"seccomp-early",          INIT_ROOT, NULL,                   seccomp_early,          row_seccomp_early,          NULL},
	{"identity",               INIT_ROOT, NULL,                   has_process,            row_identity,               NULL},
	{"exec-resolve",           INIT_ROOT, NULL,                   has_process,            row_exec_resolve,           NULL},
	{"fds-seal",               INIT_ROOT, NULL,                   NULL,                   row_fds_seal,               NULL},
	{"seccomp-listener",       RUNTIME,   "fds-seal",             notify_late,            row_seccomp_listener,       NULL},
	{"seccomp-notify",         INIT_ROOT, NULL,                   notify_late,            row_seccomp_early,          NULL},
	{"init-ready",             RUNTIME,   "fds-seal",             is_create,              row_barrier,                NULL},
	{"state-created",          RUNTIME,   NULL,                   NULL,                   row_state_created,          NULL},
	{"wait-start",             INIT_ROOT, NULL,                   is_create,              row_wait_start,             NULL},
	{"seccomp-late",           INIT_ROOT, NULL,                   seccomp_late,           row_seccomp_late,           NULL},
	{"hooks-start-container",  INIT_ROOT, NULL,                   hooks_start_container,  row_hooks_start_container,  NULL},
	{"exec",                   INIT_ROOT, NULL,                   NULL,                   row_exec,                   NULL},
	{"exec-wait",              RUNTIME,   NULL,                   is_run,                 row_exec_wait,              NULL},
	{NULL,                     RUNTIME,   NULL,                   NULL,                   NULL,                       NULL},
};

const struct step exec_steps[] = {
	{"exec-prepare",           RUNTIME,   NULL,             NULL,                row_exec_prepare,        NULL},
	{"console-connect",        RUNTIME,   NULL,             has_console_socket,  row_console_connect,     NULL},
	{"spawn",                  RUNTIME,   NULL,             NULL,                spawn_init,              spawn_undo},
	{"oom-score",              RUNTIME,   NULL,             has_oom_score,       row_oom_score,           NULL},
	{"cgroup-enter",           RUNTIME,   NULL,             NULL,                row_exec_cgroup,         NULL},
	{"cgroup-entered",         INIT_HOST, "cgroup-enter",   NULL,                row_barrier,             NULL},
	{"ns-join",                INIT_HOST, NULL,             joins,               row_ns_join,             NULL},
	{"idmap-joined",           INIT_HOST, NULL,             own_userns,          row_idmap_adopt,         NULL},
	{"ns-new",                 INIT_HOST, NULL,             is_staged,           spawn_from_stage,        NULL},
	{"ns-known",               RUNTIME,   "ns-new",         is_staged,           row_barrier,             NULL},
	{"keyring",                INIT_ROOT, NULL,             new_keyring,         row_keyring,             NULL},
	{"terminal",               INIT_ROOT, NULL,             has_terminal,        row_terminal,            NULL},
	{"terminal-take",          RUNTIME,   "terminal",       steps_in_foreground, row_terminal_take,       NULL},
	{"traits",                 INIT_ROOT, NULL,             NULL,                row_traits,              NULL},
	{"lsm-exec",               INIT_ROOT, NULL,             has_lsm,             row_lsm,                 NULL},
	{"cwd",                    INIT_ROOT, NULL,             NULL,                row_cwd,                 NULL},
	{"limits-raise",           RUNTIME,   "lsm-exec",       raises_limits,       row_limits_raise,        NULL},
	{"limits-raised",          INIT_ROOT, "limits-raise",   raises_limits,       row_barrier,             NULL},
	{"limits",                 INIT_ROOT, NULL,             has_limits,          row_limits,              NULL},
	{"seccomp-listener-early", RUNTIME,   "lsm-exec",       notify_early,        row_seccomp_listener,    NULL},
	{"seccomp-early",          INIT_ROOT, NULL,             seccomp_early,       row_seccomp_early,       NULL},
	{"identity",               INIT_ROOT, NULL,             NULL,                row_identity,            NULL},
	{"exec-resolve",           INIT_ROOT, NULL,             NULL,                row_exec_resolve,        NULL},
	{"fds-seal",               INIT_ROOT, NULL,             NULL,                row_fds_seal,            NULL},
	{"affinity-final",         RUNTIME,   "fds-seal",       has_final_affinity,  row_exec_affinity_final, NULL},
	{"affinity-set",           INIT_ROOT, "affinity-final", has_final_affinity,  row_barrier,             NULL},
	{"seccomp-listener",       RUNTIME,   "fds-seal",       notify_late,         row_seccomp_listener,    NULL},
	{"seccomp-notify",         INIT_ROOT, NULL,             notify_late,         row_seccomp_early,       NULL},
	{"seccomp-late",           INIT_ROOT, NULL,             seccomp_late,        row_seccomp_late,        NULL},
	{"exec",                   INIT_ROOT, NULL,             NULL,                row_exec,                NULL},
	{"exec-wait",              RUNTIME,   NULL,             NULL,                row_exec_wait,           NULL},
	{"exec-started",           RUNTIME,   NULL,             NULL,                row_exec_started,        NULL},
	{NULL,                     RUNTIME,   NULL,             NULL,                NULL,                    NULL},
};
/* clang-format on */
