/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resource limits and the OOM score. Both are applied to init from outside, by the runtime, which
 * keeps the host's privilege. prlimit(2), proc_pid_oom_score_adj(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct oci_rlimit;

#define RLIMITS_MAX 16

struct rlimits_plan {
	struct {
		int resource;
		uint64_t soft, hard;
	} v[RLIMITS_MAX];
	size_t n;
};

/* Pure. Unknown types, duplicates and soft > hard are errors at /process/rlimits/N. */
int rlimits_make(const struct oci_rlimit *rlimits, size_t n, struct rlimits_plan *plan,
                 struct err *e);

/* Applies all to process pid (0: the caller). Apply late: RLIMIT_AS and RLIMIT_NPROC also bind
 * init's own set-up. */
int rlimits_apply(pid_t pid, const struct rlimits_plan *plan, struct err *e);

/* Writes value (-1000 ... 1000) to oom_score_adj of process pid as seen in procfs root proc.
 * Lowering it needs CAP_SYS_RESOURCE on the host: without it a value that is there already is
 * success, and with rootless another one is a warning, else an error. */
int oom_score_apply(int proc, pid_t pid, int value, bool rootless, struct err *e);
