/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making the container's init (or exec's process), and what its end means to the runtime.
 *
 * Usually one clone3(2) puts init straight into its new namespaces and, on version 2, its cgroup.
 * Where the kernel demands a process in between (joining a pid or user namespace, joining
 * anything below a new user namespace, time offsets) the first process is a stage: it walks
 * init's rows up to ns-new, there clones init with CLONE_PARENT, so that init is the runtime's own
 * child, tells its pid and ends. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct cgroup;
struct ctx;
struct err;
struct proc_id;

/* Row spawn. In the child it never returns. */
int spawn_init(struct ctx *c, struct err *e);
void spawn_undo(struct ctx *c);

/* Row ns-new, in a stage: returns in init; the stage itself ends there. */
int spawn_from_stage(struct ctx *c, struct err *e);

/* The runtime learns of init; takes pidfd. */
void spawn_adopt(struct ctx *c, pid_t pid, int pidfd);

/* The runtime waits for the stage to end, which it does at once: after that its word of init has
 * been received, or it was killed before (then spawn_init_died tells). */
void spawn_stage_end(struct ctx *c);

/* The payload of a run ended with status: logs an error if the kernel killed it for want of memory,
 * since it could not say so itself. */
void spawn_tell_killed(struct cgroup *cg, const struct proc_id *init, int status);

/* Init ended without a word before it passed the row called before: reaps it and says how; -1. */
int spawn_init_died(struct ctx *c, const char *before, struct err *e);
/* The same for a wait status that is known already; -1. */
int spawn_died(struct cgroup *cg, const struct proc_id *init, int status, const char *before,
               struct err *e);

/* After the end of file on the channel: false if the process has never executed a program, so that
 * it was its death, not execve(2), that closed the channel. True if that cannot be told. */
bool spawn_in_payload(pid_t pid);
