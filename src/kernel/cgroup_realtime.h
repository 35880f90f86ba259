/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Realtime budgets of version 1, cpu.rt_runtime_us in each cpu.rt_period_us: those of the groups
 * below a group together must not be more than its own. A new group has none. Private to the cgroup
 * modules. */
#pragma once

#include <stdbool.h>

struct cgroup_dir;
struct err;

/* Gives the groups above d that are davit's what they lack, so that runtime fits in d. True if it
 * does now, as far as can be told; groups of others keep what they have. */
bool cgroup_rt_make_room(const struct cgroup_dir *d, const char *runtime);

/* Replaces the error by one that names the group above that lacks budget, and the cure, if that is
 * the cause. Always returns -1. */
int cgroup_rt_explain(const struct cgroup_dir *d, const char *runtime, struct err *e);
