/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Architectures and the numbers of their system calls. Numbers come from libseccomp's tables; what
 * is younger than the library, and the two calls that multiplex others, from our own. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seccomp_arch {
	uint32_t token; /* SCMP_ARCH_*: AUDIT_ARCH_*, but for x32 */
	uint32_t audit; /* what the kernel puts into struct seccomp_data */
	uint32_t base;  /* where the common numbers start */
	uint32_t host;  /* another kernel that runs its programs, or 0 */
	int8_t mux;     /* column of the table of directly wired parts, -1: has no socketcall */
	bool wide;      /* arguments have 64 bits */
	bool big;       /* big endian */
};

/* The token of the architecture this was built for. */
uint32_t seccomp_native_arch(void);
/* NULL if there is none of this token. */
const struct seccomp_arch *seccomp_arch_find(uint32_t token);
/* True if programs of a can run on a kernel for host. */
bool seccomp_arch_runs_on(const struct seccomp_arch *a, uint32_t host);

/* What a name means: a number, or a part of a multiplexed call, or both. */
struct seccomp_call {
	bool known; /* to anyone, on any architecture */
	bool has_nr, has_mux;
	uint32_t nr;       /* its own number */
	uint32_t mux_nr;   /* socketcall or ipc ... */
	uint32_t mux_part; /* ... with this first argument */
};

struct seccomp_call seccomp_call_find(const struct seccomp_arch *a, const char *name);
