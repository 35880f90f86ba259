/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the life cycle that create, run, start and delete share. */
#pragma once

#include "run/ctx.h"
#include "run/state.h"

struct err;

/* Kills what is left, removes the cgroups, runs the poststop hooks, removes the state. */
int container_destroy(struct container *k, struct err *e);

/* Runs the poststart hooks of a container whose payload runs. */
int container_poststart(const struct rec_record *rec, pid_t pid, struct arena *a, struct err *e);
void container_poststop(const struct rec_record *rec, struct arena *a);

/* Its groups of resctrl; root is NULL without any. */
struct rdt container_rdt(const struct rec_record *rec);

/* The container's groups from its record. */
int container_cgroup(const struct container *k, struct cgroup *cg, struct err *e);

/* SIGKILL to init and to every process of the groups (thawing them), then waits for init's end. */
int container_kill(const struct container *k, struct err *e);

/* As container_status(), and paused when the groups are frozen. */
enum davit_status container_full_status(const struct container *k);

/* Releases what a walked ctx holds. */
void ctx_close(struct ctx *c);
