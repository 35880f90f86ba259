/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine that runs filters, and two judges of what a filter should answer: libseccomp's program
 * for the same profile, and the text of the profile read call by call. */
#pragma once

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/names.h"
#include "kernel/seccomp_arch.h"
#include "ocispec.h"

/* ---- The machine */

struct call {
	uint32_t arch, nr; /* audit architecture */
	uint64_t args[6];
	bool big;
};

/* As struct seccomp_data has them; the instruction pointer is not asked for. */
static inline uint32_t call_word(const struct call *c, unsigned word)
{
	if (word < 2)
		return word == 0 ? c->nr : c->arch;
	return (uint32_t)(c->args[(word - 4) / 2] >> ((word % 2 != 0) != c->big ? 32 : 0));
}

/* How a word, of which only mask is left, compares with k. */
static inline int word_order(uint32_t word, uint32_t mask, uint32_t k)
{
	return (word & mask) < k ? -1 : (word & mask) > k;
}

static inline bool fact_value(unsigned op, int order)
{
	return op == BPF_JEQ ? order == 0 : op == BPF_JGT ? order > 0 : order >= 0;
}

/* Runs a filter, whose accumulator holds a word of which only mask is left: ask(of, ...) answers
 * each of its questions. What the kernel's checker would refuse is a failure; so is running off the
 * end. */
static inline uint32_t
machine_ask(const struct sock_filter *f, size_t n,
            bool (*ask)(void *of, unsigned word, uint32_t mask, unsigned op, uint32_t k), void *of)
{
	uint32_t mask = 0;
	unsigned word = UINT32_MAX;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &f[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			word = i->k / 4;
			mask = UINT32_MAX;
			if (i->k % 4 != 0 || word > 15 || word == 2 || word == 3)
				return 0xbad10000 | i->k;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			mask &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
			if (word > 15 || (word < 2 && mask != UINT32_MAX))
				return 0xbad20000 | word;
			pc += ask(of, word, mask, BPF_OP(i->code), i->k) ? i->jt : i->jf;
			continue;
		default:
			return 0xbad00000 | i->code;
		}
	}
	return 0xbad0ffff;
}

static inline bool call_ask(void *call, unsigned word, uint32_t mask, unsigned op, uint32_t k)
{
	return fact_value(op, word_order(call_word(call, word), mask, k));
}

static inline uint32_t machine_run(const struct sock_filter *f, size_t n, const struct call *c)
{
	struct call copy = *c;

	return machine_ask(f, n, call_ask, &copy);
}

/* ---- The first judge: the library's program */

struct program {
	struct sock_filter *insns;
	size_t n;
};

static inline bool judge_rule(scmp_filter_ctx ctx, uint32_t action, const char *name,
                              const struct oci_syscall *s)
{
	struct scmp_arg_cmp cmp[16];
	int nr = seccomp_syscall_resolve_name(name), rc = 0;
	unsigned seen = 0;
	bool split = false;
	int64_t op;

	if (nr == __NR_SCMP_ERROR)
		return true;
	for (size_t i = 0; i < s->n_args; i++) {
		names_find(&names_seccomp_operators, s->args[i].op, &op);
		cmp[i] = (struct scmp_arg_cmp){s->args[i].index, (enum scmp_compare)op,
		                               s->args[i].value, s->args[i].value_two};
		split |= seen >> s->args[i].index & 1;
		seen |= 1U << s->args[i].index;
	}
	for (size_t i = 0; split && i < s->n_args; i++)
		rc |= seccomp_rule_add_array(ctx, action, nr, 1, &cmp[i]);
	if (!split)
		rc = seccomp_rule_add_array(ctx, action, nr, (unsigned)s->n_args, cmp);
	return rc == 0;
}

static inline uint32_t action_of(const char *name, bool has_errno, uint32_t errno_ret)
{
	int64_t v = 0;

	names_find(&names_seccomp_actions, name, &v);
	if (v == SECCOMP_RET_ERRNO || v == SECCOMP_RET_TRACE)
		v |= has_errno ? errno_ret : EPERM;
	return (uint32_t)v;
}

static inline uint32_t default_of(const struct oci_seccomp *p)
{
	return action_of(p->default_action, p->has_default_errno_ret, p->default_errno_ret);
}

/* False if the library refuses the profile (actions that contradict each other). first: the call
 * its filter should begin with, or NULL. */
static inline bool judge_compile(const struct oci_seccomp *p, const uint32_t *archs, size_t n_archs,
                                 bool big, const char *first, struct program *out)
{
	uint32_t base = default_of(p);
	scmp_filter_ctx ctx = seccomp_init(base);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	bool good = true;
	off_t size;

	*out = (struct program){0};
	if (ctx == NULL) /* it has no such default action */
		return close(fd) < 0;
	if (archs[0] != seccomp_arch_native())
		seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	for (size_t i = 0; i < n_archs; i++)
		if (seccomp_arch_exist(ctx, archs[i]) != 0)
			good &= seccomp_arch_add(ctx, archs[i]) == 0;
	for (size_t i = 0; i < p->n_syscalls; i++) {
		const struct oci_syscall *s = &p->syscalls[i];
		uint32_t action = action_of(s->action, s->has_errno_ret, s->errno_ret);

		for (size_t k = 0; k < s->n_names && action != base; k++)
			good &= judge_rule(ctx, action, s->names[k], s);
	}
	if (first != NULL)
		seccomp_syscall_priority(ctx, seccomp_syscall_resolve_name(first), 255);
	good = good && seccomp_export_bpf(ctx, fd) == 0;
	seccomp_release(ctx);
	size = lseek(fd, 0, SEEK_END);
	out->n = (size_t)size / sizeof(struct sock_filter);
	out->insns = xmalloc((size_t)size + 1);
	good = good && pread(fd, out->insns, (size_t)size, 0) == size;
	close(fd);
	for (size_t i = 0; i < out->n && big; i++) {
		out->insns[i].code = be16toh(out->insns[i].code);
		out->insns[i].k = be32toh(out->insns[i].k);
	}
	return good;
}

/* ---- The second judge: the text of the profile */

static inline bool cond_holds(const struct oci_syscall_arg *c, uint64_t arg, bool narrow)
{
	uint64_t value = c->value, two = c->value_two;

	if (narrow) {
		value = (uint32_t)value;
		two = (uint32_t)two;
		arg = (uint32_t)arg;
	}
	switch (c->op[9]) { /* SCMP_CMP_ */
	case 'N':
		return arg != value;
	case 'E':
		return arg == value;
	case 'M':
		return (arg & value) == (two & value);
	case 'L':
		return c->op[10] == 'T' ? arg < value : arg <= value;
	default:
		return c->op[10] == 'T' ? arg > value : arg >= value;
	}
}

static inline bool entry_holds(const struct oci_syscall *s, const struct call *c,
                               const struct seccomp_arch *a, bool muxed, bool is_ioctl)
{
	unsigned seen = 0, hold = 0, n = 0;
	bool split = false;

	for (size_t i = 0; i < s->n_args; i++) {
		unsigned index = s->args[i].index;
		bool request = is_ioctl && index == 1, narrow = !a->wide || request;
		bool holds = cond_holds(&s->args[i], c->args[index], narrow);

		/* its 32 bits are below what has more */
		if (a->wide && request && s->args[i].value >> 32 != 0 &&
		    strchr("LG", s->args[i].op[9]) != NULL)
			holds = s->args[i].op[9] == 'L';
		split |= seen >> index & 1;
		seen |= 1U << index;
		n++;
		hold += (muxed && index == 0) || holds;
	}
	return split ? hold > 0 : hold == n;
}

/* name: what number nr of the call is called there; muxed: by way of socketcall(2) or ipc(2). */
static inline bool judge_find(const struct oci_seccomp *p, const struct call *c,
                              const struct seccomp_arch *a, const char *name, const char *muxed,
                              uint32_t *action)
{
	uint32_t base = default_of(p);
	bool found = false;

	for (size_t i = 0; i < p->n_syscalls; i++) {
		const struct oci_syscall *s = &p->syscalls[i];
		uint32_t it = action_of(s->action, s->has_errno_ret, s->errno_ret);

		for (size_t k = 0; k < s->n_names && it != base; k++) {
			bool direct = name != NULL && strcmp(s->names[k], name) == 0;
			bool part = muxed != NULL && strcmp(s->names[k], muxed) == 0;
			bool is_ioctl = strcmp(s->names[k], "ioctl") == 0;

			if (direct && s->n_args == 0) {
				*action = it;
				return true;
			}
			if (!found && ((direct && entry_holds(s, c, a, false, is_ioctl)) ||
			               (part && entry_holds(s, c, a, true, false)))) {
				*action = it;
				found = true;
			}
		}
	}
	return found;
}

/* Numbers from an architecture's base on that may have a name. */
#define NAMED 1024
/* Where those of arm alone begin. */
#define PRIVATE 0xf0000

/* The names of the numbers of one architecture, as the library sees them. */
struct table {
	const struct seccomp_arch *arch;
	char *names[NAMED], *private[16]; /* arm has numbers far above the common ones */
	char *socket_parts[32], *ipc_parts[32];
	uint32_t socketcall, ipc;
};

static inline bool name_known(const char *name)
{
	return seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR;
}

/* Younger than the library, by the numbers of the kernel's tables. */
static inline char *young_name(uint32_t token, uint32_t nr)
{
	const char *name = NULL;

	static const char *const common[] = {"set_mempolicy_home_node",
	                                     "cachestat",
	                                     "fchmodat2",
	                                     "map_shadow_stack",
	                                     "futex_wake",
	                                     "futex_wait",
	                                     "futex_requeue",
	                                     "statmount",
	                                     "listmount",
	                                     "lsm_get_self_attr",
	                                     "lsm_set_self_attr",
	                                     "lsm_list_modules",
	                                     "mseal",
	                                     "setxattrat",
	                                     "getxattrat",
	                                     "listxattrat",
	                                     "removexattrat",
	                                     "open_tree_attr",
	                                     "file_getattr",
	                                     "file_setattr",
	                                     "listns"};

	if (nr - 450 < COUNT(common))
		name = common[nr - 450];
	else if (token == SCMP_ARCH_X86_64 && (nr == 335 || nr == 336))
		name = nr == 335 ? "uretprobe" : "uprobe";
	else if (token == SCMP_ARCH_RISCV64 && nr == 258)
		name = "riscv_hwprobe";
	return name != NULL && !name_known(name) ? xstrdup(name) : NULL;
}

static inline void table_make(struct table *t, uint32_t token)
{
	int nr;

	memset(t, 0, sizeof(*t));
	t->arch = seccomp_arch_find(token);
	for (uint32_t i = 0; i < NAMED; i++) {
		t->names[i] = seccomp_syscall_resolve_num_arch(token, (int)(t->arch->base + i));
		if (t->names[i] == NULL)
			t->names[i] = young_name(token, i);
	}
	for (uint32_t i = 0; i < COUNT(t->private); i++)
		t->private[i] =
			seccomp_syscall_resolve_num_arch(token, (int)(t->arch->base + PRIVATE + i));
	for (int i = 1; i < 32; i++) {
		t->socket_parts[i] = seccomp_syscall_resolve_num_arch(token, -100 - i);
		t->ipc_parts[i] = seccomp_syscall_resolve_num_arch(token, -200 - i);
	}
	nr = seccomp_syscall_resolve_name_arch(token, "socketcall");
	t->socketcall = nr > 0 ? (uint32_t)nr : UINT32_MAX;
	nr = seccomp_syscall_resolve_name_arch(token, "ipc");
	t->ipc = nr > 0 ? (uint32_t)nr : UINT32_MAX;
}

static inline void table_drop(struct table *t)
{
	for (size_t i = 0; i < NAMED; i++)
		free(t->names[i]);
	for (size_t i = 0; i < COUNT(t->private); i++)
		free(t->private[i]);
	for (int i = 0; i < 32; i++) {
		free(t->socket_parts[i]);
		free(t->ipc_parts[i]);
	}
}

/* The expected action of a call of this architecture, or of one the profile says nothing of. */
static inline uint32_t judge_text(const struct oci_seccomp *p, const struct table *t,
                                  const struct call *c, bool *found)
{
	uint32_t at = c->nr - t->arch->base, action = 0;
	const char *name = at < NAMED ? t->names[at] : NULL, *muxed = NULL;
	uint64_t part = t->arch->wide ? c->args[0] : (uint32_t)c->args[0];

	if (c->nr == t->socketcall && part < 32)
		muxed = t->socket_parts[part];
	else if (c->nr == t->ipc && part < 32)
		muxed = t->ipc_parts[part];
	*found = judge_find(p, c, t->arch, name, muxed, &action);
	return *found ? action : default_of(p);
}
