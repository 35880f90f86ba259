/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SELinux and AppArmor labels of the process, written to /proc/thread-self/attr through a procfs
 * handle of our own (a descriptor of a procfs root that the container never saw), then read back.
 * A label on a host without that LSM is ignored with a debug line; a label that cannot be applied
 * on a host that has it is an error. proc_pid_attr(5). */
#pragma once

#include <stdbool.h>

struct err;

struct lsm_plan {
	const char *apparmor; /* profile to change to at execve(2), or NULL */
	const char *selinux;  /* label to change to at execve(2), or NULL */
};

/* Which of the two labels (each may be NULL or "") are to be applied. Looks at the host's /sys, and
 * only for labels that are there: call it in the runtime, before any namespace is entered. */
int lsm_make(const char *apparmor_profile, const char *selinux_label, struct lsm_plan *plan,
             struct err *e);

bool lsm_has_selinux(void);
bool lsm_has_apparmor(void);

/* Labels for the next execve(2) of the calling thread. proc: root of our procfs, in whose pid
 * namespace the caller has a number. Runs in: init and exec's process, before creds_apply. */
int lsm_exec(const struct lsm_plan *plan, int proc, struct err *e);

/* SELinux label for keyrings made from now on, if the plan has one; reset after the join. */
int lsm_keycreate(const struct lsm_plan *plan, int proc, struct err *e);
int lsm_keycreate_reset(const struct lsm_plan *plan, int proc, struct err *e);
