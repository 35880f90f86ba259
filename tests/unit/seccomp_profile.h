/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles to try a compiler on: one of the size and shape that engines send, and random ones. */
#pragma once

#include <seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ocispec.h"

#define PROFILE_RULES 64

static inline void profile_free(struct oci_seccomp *p)
{
	for (size_t i = 0; i < p->n_syscalls; i++) {
		for (size_t k = 0; k < p->syscalls[i].n_names; k++)
			free(p->syscalls[i].names[k]);
		free(p->syscalls[i].names);
		free(p->syscalls[i].args);
	}
	free(p->syscalls);
	free(p);
}

static inline struct oci_seccomp *profile_new(const char *action)
{
	struct oci_seccomp *p = xcalloc(1, sizeof(*p));

	p->default_action = (char *)(uintptr_t)action;
	p->syscalls = xcalloc(PROFILE_RULES, sizeof(*p->syscalls));
	return p;
}

static inline struct oci_syscall *profile_rule(struct oci_seccomp *p, const char *action)
{
	struct oci_syscall *s = &p->syscalls[p->n_syscalls++];

	s->action = (char *)(uintptr_t)action;
	s->names = xcalloc(800, sizeof(*s->names));
	s->args = xcalloc(6, sizeof(*s->args));
	return s;
}

static inline void profile_name(struct oci_syscall *s, const char *name)
{
	if (name != NULL && s->n_names < 800)
		s->names[s->n_names++] = xstrdup(name);
}

static inline void profile_arg(struct oci_syscall *s, uint32_t index, const char *op,
                               uint64_t value, uint64_t two)
{
	s->args[s->n_args++] = (struct oci_syscall_arg){index, value, two, (char *)(uintptr_t)op};
}

/* Most calls allowed by one rule, some refused by others, a few by their arguments; names of other
 * architectures among them; default ENOSYS. */
static inline struct oci_seccomp *profile_big(void)
{
	static const char *const others[] = {"_llseek",
	                                     "_newselect",
	                                     "chown32",
	                                     "fadvise64_64",
	                                     "fcntl64",
	                                     "mmap2",
	                                     "ipc",
	                                     "recv",
	                                     "send",
	                                     "sigreturn",
	                                     "clock_gettime64",
	                                     "futex_time64",
	                                     "semtimedop_time64",
	                                     "accept",
	                                     "semop",
	                                     "socketcall_",
	                                     "stime"};
	static const uint64_t personas[] = {0, 8, 131072, 131080, 0xffffffff};
	struct oci_seccomp *p = profile_new("SCMP_ACT_ERRNO");
	struct oci_syscall *allow = profile_rule(p, "SCMP_ACT_ALLOW");
	struct oci_syscall *deny = profile_rule(p, "SCMP_ACT_ERRNO"), *s;

	p->default_errno_ret = 38;
	p->has_default_errno_ret = true;
	deny->errno_ret = 1;
	deny->has_errno_ret = true;
	for (int nr = 0; nr < 440; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);

		if (name != NULL && strcmp(name, "personality") != 0 &&
		    strcmp(name, "clone") != 0 && strcmp(name, "socket") != 0 && nr % 23 != 11)
			profile_name(nr % 11 == 7 ? deny : allow, name);
		free(name);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		profile_name(allow, others[i]);
	for (size_t i = 0; i < COUNT(personas); i++) {
		s = profile_rule(p, "SCMP_ACT_ALLOW");
		profile_name(s, "personality");
		profile_arg(s, 0, "SCMP_CMP_EQ", personas[i], 0);
	}
	s = profile_rule(p, "SCMP_ACT_ALLOW");
	profile_name(s, "clone");
	profile_arg(s, 0, "SCMP_CMP_MASKED_EQ", 0x7e020000, 0);
	s = profile_rule(p, "SCMP_ACT_ALLOW");
	profile_name(s, "socket");
	profile_arg(s, 0, "SCMP_CMP_NE", 40, 0);
	return p;
}

/* plain: what libseccomp 2.5.4 gets right and we do not differ in on purpose. One rule with
 * arguments for a call (or for all the parts of a multiplexed one) at most, one condition for an
 * argument, none for the request of ioctl, and conditions other than equality only by themselves:
 * of "arg 2 != 5 or arg 2 > 5 or arg 1 > 5" the library denies 0, 0, 0; of "arg 0 <= 0x80000000
 * and arg 1 < 40 and arg 2 != 0xffffffff" it does as well. */
static inline struct oci_seccomp *profile_random(unsigned seed, bool plain)
{
	static const char *const actions[] = {
		"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP",
		"SCMP_ACT_LOG",   "SCMP_ACT_TRACE", "SCMP_ACT_KILL"};
	static const char *const ops[] = {"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
	                                  "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_GT",
	                                  "SCMP_CMP_GE"};
	static const char *const calls[] = {
		"read",        "socket",     "connect",  "semop",  "semctl", "clone",   "openat2",
		"getpid",      "socketcall", "ipc",      "send",   "ioctl",  "accept4", "mmap",
		"futex_waitv", "exit_group", "recvmmsg", "msgget", "stat64"};
	static const uint64_t numbers[] = {0,
	                                   1,
	                                   2,
	                                   3,
	                                   5,
	                                   40,
	                                   0x5412,
	                                   0x7fffffff,
	                                   0x80000000,
	                                   0xffffffff,
	                                   0x100000000,
	                                   0x100000001,
	                                   0xffffffff00000000,
	                                   0xffffffffffffffff};
	static const unsigned char groups[COUNT(calls)] = {0, 1, 1, 2, 2, 3, 4, 5, 1, 2,
	                                                   1, 6, 1, 7, 8, 9, 1, 2, 10};
	enum {
		SOCKETCALL = 8,
		IPC = 9
	};
	unsigned fixed = seed, used = 0;
	struct oci_seccomp *p = profile_new(actions[(unsigned)rand_r(&seed) % COUNT(actions)]);
	size_t n = 1 + (unsigned)rand_r(&seed) % 20;

	for (size_t i = 0; i < n; i++) {
		size_t call = (unsigned)rand_r(&seed) % COUNT(calls),
		       n_args = (unsigned)rand_r(&seed) % 4;
		size_t action = (unsigned)rand_r(&seed) % COUNT(actions);
		struct oci_syscall *s =
			profile_rule(p, actions[plain ? (call + fixed) % COUNT(actions) : action]);

		if (plain && (used >> groups[call] & 1 || call == SOCKETCALL || call == IPC))
			n_args = 0;
		if (n_args > 0)
			used |= 1U << groups[call];
		profile_name(s, calls[call]);
		for (size_t k = 0; k < n_args; k++) {
			size_t n_ops = plain && n_args > 1 ? 2 : COUNT(ops);
			uint32_t index = plain ? (uint32_t)k + 2 * (call == 11)
			                       : (uint32_t)rand_r(&seed) % 6;

			uint64_t two = numbers[(unsigned)rand_r(&seed) % COUNT(numbers)];
			uint64_t one = numbers[(unsigned)rand_r(&seed) % COUNT(numbers)];
			const char *op = ops[(unsigned)rand_r(&seed) % n_ops];

			/* one after the other: the order of arguments is the compiler's choice */
			profile_arg(s, index, op, one, two);
		}
	}
	return p;
}

static const char *const wild_ops[] = {"SCMP_CMP_EQ",       "SCMP_CMP_NE", "SCMP_CMP_LT",
                                       "SCMP_CMP_LE",       "SCMP_CMP_GT", "SCMP_CMP_GE",
                                       "SCMP_CMP_MASKED_EQ"};
static const uint64_t wild_numbers[] = {0,
                                        1,
                                        2,
                                        5,
                                        40,
                                        0x5412,
                                        0x7e020000,
                                        0x7fffffff,
                                        0x80000000,
                                        0xfffffffe,
                                        0xffffffff,
                                        0x100000000,
                                        0x100000001,
                                        0x100005412,
                                        0x7fffffffffffffff,
                                        0x8000000000000000,
                                        0xffffffff00000000,
                                        0xfffffffffffffffe,
                                        0xffffffffffffffff};
static const char *const wild_actions[] = {
	"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
	"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
	"SCMP_ACT_TRAP",         "SCMP_ACT_TRACE",       "SCMP_ACT_NOTIFY"};

/* Anything that may be written down: unknown names, names of other architectures, rules that are
 * void or contradict each other. */
static inline struct oci_seccomp *profile_wild(unsigned seed)
{
	static const char *const calls[] = {"read",
	                                    "socket",
	                                    "connect",
	                                    "semop",
	                                    "semctl",
	                                    "clone",
	                                    "openat2",
	                                    "getpid",
	                                    "socketcall",
	                                    "ipc",
	                                    "send",
	                                    "ioctl",
	                                    "accept4",
	                                    "mmap",
	                                    "futex_waitv",
	                                    "exit_group",
	                                    "msgget",
	                                    "stat64",
	                                    "set_tls",
	                                    "cacheflush",
	                                    "mseal",
	                                    "listns",
	                                    "riscv_flush_icache",
	                                    "uprobe",
	                                    "riscv_hwprobe",
	                                    "swapcontext",
	                                    "nothing",
	                                    "rt_sigreturn",
	                                    "_llseek",
	                                    "semtimedop_time64"};
	struct oci_seccomp *p =
		profile_new(wild_actions[(unsigned)rand_r(&seed) % COUNT(wild_actions)]);
	size_t n = (unsigned)rand_r(&seed) % 30, few = 1 + (unsigned)rand_r(&seed) % COUNT(calls);

	if (p->default_action[9] == 'E') {
		p->has_default_errno_ret = rand_r(&seed) % 2;
		p->default_errno_ret = (uint32_t)rand_r(&seed) % 40;
	}
	for (size_t i = 0; i < n; i++) {
		const char *action = wild_actions[(unsigned)rand_r(&seed) % COUNT(wild_actions)];
		size_t n_names = 1 + (unsigned)rand_r(&seed) % 3;
		size_t n_args = (unsigned)rand_r(&seed) % 7;
		struct oci_syscall *s = profile_rule(p, action);

		s->has_errno_ret = action[9] == 'E' && rand_r(&seed) % 2;
		s->errno_ret = (uint32_t)rand_r(&seed) % 3;
		while (n_names-- > 0)
			profile_name(s, calls[(unsigned)rand_r(&seed) % few]);
		for (n_args = n_args > 3 ? 0 : n_args; n_args > 0; n_args--) {
			uint32_t index = (uint32_t)rand_r(&seed) % 6;
			const char *op = wild_ops[(unsigned)rand_r(&seed) % COUNT(wild_ops)];
			uint64_t one = wild_numbers[(unsigned)rand_r(&seed) % COUNT(wild_numbers)];
			uint64_t two = wild_numbers[(unsigned)rand_r(&seed) % COUNT(wild_numbers)];

			profile_arg(s, index, op, one, two);
		}
	}
	return p;
}
