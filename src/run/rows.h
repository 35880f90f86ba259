/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each row of the step tables does: thin calls of kernel/. The order is in steps.c alone. */
#pragma once

struct ctx;
struct err;
struct plan;

/* rows_runtime.c */
int row_state_reserve(struct ctx *c, struct err *e);
void undo_state_reserve(struct ctx *c);
int row_console_connect(struct ctx *c, struct err *e);
int row_ns_open(struct ctx *c, struct err *e);
int row_seccomp_compile(struct ctx *c, struct err *e);
int row_cgroup_create(struct ctx *c, struct err *e);
void undo_cgroup(struct ctx *c);
int row_mount_sources(struct ctx *c, struct err *e);
int row_start_listen(struct ctx *c, struct err *e);
int row_idmap_write(struct ctx *c, struct err *e);
int row_state_init(struct ctx *c, struct err *e);
int row_oom_score(struct ctx *c, struct err *e);
int row_cgroup_named(struct ctx *c, struct err *e);
void undo_cgroup_named(struct ctx *c);
int row_cgroup_enter(struct ctx *c, struct err *e);
int row_cgroup_delegate(struct ctx *c, struct err *e);
int row_rdt(struct ctx *c, struct err *e);
void undo_rdt(struct ctx *c);
int row_net_move(struct ctx *c, struct err *e);
void undo_net_move(struct ctx *c);
int row_hooks_create_runtime(struct ctx *c, struct err *e);
int row_limits_raise(struct ctx *c, struct err *e);
int row_seccomp_listener(struct ctx *c, struct err *e);
int row_terminal_take(struct ctx *c, struct err *e);
int row_state_created(struct ctx *c, struct err *e);
int row_exec_wait(struct ctx *c, struct err *e);

/* rows_exec.c: of exec, in the runtime */
int row_exec_prepare(struct ctx *c, struct err *e);
int row_exec_cgroup(struct ctx *c, struct err *e);
int row_exec_affinity_final(struct ctx *c, struct err *e);
int row_exec_started(struct ctx *c, struct err *e);

/* rows_init.c */
int row_time_open(struct ctx *c, struct err *e);
int row_ns_join(struct ctx *c, struct err *e);
int row_userns_new(struct ctx *c, struct err *e);
int row_idmap_adopt(struct ctx *c, struct err *e);
int row_barrier(struct ctx *c,
                struct err *e); /* does nothing: it is there to wait or be waited for */
int row_keyring(struct ctx *c, struct err *e);
int row_net_up(struct ctx *c, struct err *e);
int row_ns_late(struct ctx *c, struct err *e);
int row_cgroup_ns(struct ctx *c, struct err *e);
int row_rootfs_prepare(struct ctx *c, struct err *e);
int row_mounts(struct ctx *c, struct err *e);
int row_mounts_cgroup(struct ctx *c, struct err *e);
int row_devices(struct ctx *c, struct err *e);
int row_hooks_create_container(struct ctx *c, struct err *e);
int row_pivot(struct ctx *c, struct err *e);
int row_sysctl(struct ctx *c, struct err *e);
int row_rootfs_seal(struct ctx *c, struct err *e);
int row_hostname(struct ctx *c, struct err *e);
int row_terminal(struct ctx *c, struct err *e);

/* rows_process.c: what init and exec's process share */
int row_traits(struct ctx *c, struct err *e);
int row_lsm(struct ctx *c, struct err *e);
int row_cwd(struct ctx *c, struct err *e);
int row_limits(struct ctx *c, struct err *e);
int row_seccomp_early(struct ctx *c, struct err *e);
int row_identity(struct ctx *c, struct err *e);
int row_exec_resolve(struct ctx *c, struct err *e);
int row_fds_seal(struct ctx *c, struct err *e);
int row_wait_start(struct ctx *c, struct err *e);
int row_seccomp_late(struct ctx *c, struct err *e);
int row_hooks_start_container(struct ctx *c, struct err *e);
int row_exec(struct ctx *c, struct err *e);
