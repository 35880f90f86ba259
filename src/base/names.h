/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every list of kernel words, one sorted table each; `davit features` prints the same tables. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name {
	const char *name;
	int64_t value;
};

struct names {
	const struct name *v; /* sorted by name */
	size_t n;
};

extern const struct names names_signals;      /* "SIGTERM" ... value */
extern const struct names names_rlimits;      /* "RLIMIT_NOFILE" */
extern const struct names names_capabilities; /* "CAP_CHOWN" */
extern const struct names names_namespaces; /* spec words: "pid", "network", ... value CLONE_NEW* */
extern const struct names names_seccomp_actions;   /* "SCMP_ACT_ERRNO": SECCOMP_RET_* base */
extern const struct names names_seccomp_operators; /* "SCMP_CMP_EQ" */
extern const struct names names_seccomp_archs;   /* "SCMP_ARCH_X86_64": AUDIT_ARCH_* (x32 apart) */
extern const struct names names_seccomp_flags;   /* "SECCOMP_FILTER_FLAG_LOG" */
extern const struct names names_schedulers;      /* "SCHED_OTHER" */
extern const struct names names_sched_flags;     /* "SCHED_FLAG_RESET_ON_FORK" */
extern const struct names names_ioprio;          /* "IOPRIO_CLASS_RT" */
extern const struct names names_mempolicy;       /* "MPOL_BIND" */
extern const struct names names_mempolicy_flags; /* "MPOL_F_STATIC_NODES" */
extern const struct names names_personalities;   /* "LINUX", "LINUX32" */

/* Looks name up; false if it is not there. */
bool names_find(const struct names *t, const char *name, int64_t *value);
/* The first name that has this value, or NULL. */
const char *names_of(const struct names *t, int64_t value);

/* A signal from a number, "TERM" or "SIGTERM" (any case), also RTMIN+n; -1 if it is none. */
int signal_parse(const char *text);
