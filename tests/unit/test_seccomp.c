/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our compiler makes of a profile, run by a small interpreter, against two judges:
 * libseccomp's own program for the same profile, and an evaluator that reads the profile call by
 * call. */
#include "kernel/seccomp_compile.h"

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/names.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_arch.h"
#include "ocispec.h"
#include "seccomp_profile.h"
#include "tap.h"

#define KILL    SECCOMP_RET_KILL_THREAD
#define ERR(n)  (SECCOMP_RET_ERRNO | (n))
#define X32_BIT 0x40000000U

/* ---- The machine */

struct call {
	uint32_t arch, nr; /* audit architecture */
	uint64_t args[6];
	bool big;
};

static uint32_t call_word(const struct call *c, uint32_t offset)
{
	uint32_t index = (offset - 16) / 8;
	bool high = (offset % 8 != 0) != c->big;

	if (offset == 0)
		return c->nr;
	if (offset == 4)
		return c->arch;
	if (offset < 16 || offset >= 64 || offset % 4 != 0)
		return 0xdeadbeef;
	return (uint32_t)(c->args[index] >> (high ? 32 : 0));
}

/* What the kernel's checker would refuse is a failure; so is running off the end. */
static uint32_t machine_run(const struct sock_filter *f, size_t n, const struct call *c)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &f[pc];
		bool yes;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = call_word(c, i->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			yes = a > i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		default:
			return 0xbad00000 | i->code;
		}
		pc += yes ? i->jt : i->jf;
	}
	return 0xbad0ffff;
}

/* The library loses rules it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp";
}

/* ---- The first judge: the library's program */

struct program {
	struct sock_filter *insns;
	size_t n;
};

static bool judge_rule(scmp_filter_ctx ctx, uint32_t action, const char *name,
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

static uint32_t action_of(const char *name, bool has_errno, uint32_t errno_ret)
{
	int64_t v = 0;

	names_find(&names_seccomp_actions, name, &v);
	if (v == SECCOMP_RET_ERRNO || v == SECCOMP_RET_TRACE)
		v |= has_errno ? errno_ret : EPERM;
	return (uint32_t)v;
}

/* False if the library refuses the profile (actions that contradict each other). */
static bool judge_compile(const struct oci_seccomp *p, const uint32_t *archs, size_t n_archs,
                          bool big, struct program *out)
{
	uint32_t base =
		action_of(p->default_action, p->has_default_errno_ret, p->default_errno_ret);
	scmp_filter_ctx ctx = seccomp_init(base);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	bool good = true;
	off_t size;

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

static bool cond_holds(const struct oci_syscall_arg *c, uint64_t arg, bool narrow)
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

static bool entry_holds(const struct oci_syscall *s, const struct call *c,
                        const struct seccomp_arch *a, bool muxed, bool is_ioctl)
{
	unsigned seen = 0, hold = 0, n = 0;
	bool split = false;

	for (size_t i = 0; i < s->n_args; i++) {
		unsigned index = s->args[i].index;
		bool narrow = !a->wide || (is_ioctl && index == 1);

		split |= seen >> index & 1;
		seen |= 1U << index;
		n++;
		hold += (muxed && index == 0) || cond_holds(&s->args[i], c->args[index], narrow);
	}
	return split ? hold > 0 : hold == n;
}

/* name: what number nr of the call is called there; muxed: by way of socketcall(2) or ipc(2). */
static bool judge_find(const struct oci_seccomp *p, const struct call *c,
                       const struct seccomp_arch *a, const char *name, const char *muxed,
                       uint32_t *action)
{
	uint32_t base =
		action_of(p->default_action, p->has_default_errno_ret, p->default_errno_ret);
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

/* The names of the numbers of one architecture, as the library sees them. */
struct table {
	const struct seccomp_arch *arch;
	char *names[700];
	char *socket_parts[32], *ipc_parts[32];
	uint32_t socketcall, ipc;
};

static void table_make(struct table *t, uint32_t token)
{
	int nr;

	memset(t, 0, sizeof(*t));
	t->arch = seccomp_arch_find(token);
	for (uint32_t i = 0; i < 700; i++)
		t->names[i] = seccomp_syscall_resolve_num_arch(token, (int)(t->arch->base + i));
	for (int i = 1; i < 32; i++) {
		t->socket_parts[i] = seccomp_syscall_resolve_num_arch(token, -100 - i);
		t->ipc_parts[i] = seccomp_syscall_resolve_num_arch(token, -200 - i);
	}
	nr = seccomp_syscall_resolve_name_arch(token, "socketcall");
	t->socketcall = nr > 0 ? (uint32_t)nr : UINT32_MAX;
	nr = seccomp_syscall_resolve_name_arch(token, "ipc");
	t->ipc = nr > 0 ? (uint32_t)nr : UINT32_MAX;
}

static void table_drop(struct table *t)
{
	for (int i = 0; i < 700; i++)
		free(t->names[i]);
	for (int i = 0; i < 32; i++) {
		free(t->socket_parts[i]);
		free(t->ipc_parts[i]);
	}
}

/* The expected action of a call of this architecture, or of one the profile says nothing of. */
static uint32_t judge_text(const struct oci_seccomp *p, const struct table *t, const struct call *c,
                           bool *found)
{
	uint32_t at = c->nr - t->arch->base, action = 0;
	const char *name = at < 700 ? t->names[at] : NULL, *muxed = NULL;
	uint64_t part = t->arch->wide ? c->args[0] : (uint32_t)c->args[0];

	if (c->nr == t->socketcall && part < 32)
		muxed = t->socket_parts[part];
	else if (c->nr == t->ipc && part < 32)
		muxed = t->ipc_parts[part];
	*found = judge_find(p, c, t->arch, name, muxed, &action);
	return *found ? action
	              : action_of(p->default_action, p->has_default_errno_ret,
	                          p->default_errno_ret);
}

/* ---- Comparing */

static unsigned long compared, by_library;

static const uint64_t values[] = {
	0,
	1,
	2,
	3,
	5,
	8,
	16,
	17,
	20,
	21,
	24,
	40,
	0x5412,
	131072,
	131080,
	0x7e020000,
	0x10000000,
	0x7fffffff,
	0x80000000,
	0xffffffff,
	0x100000000,
	0x100000001,
	0x100005412,
	0xffffffff00000000,
	0xffffffffffffffff,
};

/* Arguments: each value in each place, then mixed ones. */
static void call_fill(struct call *c, size_t round, unsigned *seed)
{
	for (int i = 0; i < 6; i++)
		c->args[i] = round < COUNT(values) ? values[round]
		                                   : values[(size_t)rand_r(seed) % COUNT(values)];
}

static bool differs(const char *what, const struct oci_seccomp *p, const struct table *t,
                    const struct call *c, uint32_t got, uint32_t want)
{
	static const struct oci_seccomp *told;

	if (got == want)
		return false;
	if (told != p)
		printf("# %s: arch %08x nr %#x (%s) args %llx %llx %llx: got %08x, want %08x; "
		       "default %s, %zu\n",
		       what, c->arch, c->nr,
		       c->nr - t->arch->base < 700 ? t->names[c->nr - t->arch->base] : "-",
		       (unsigned long long)c->args[0], (unsigned long long)c->args[1],
		       (unsigned long long)c->args[2], got, want, p->default_action, p->n_syscalls);
	told = p;
	return true;
}

struct setting {
	const uint32_t *archs; /* the first is the kernel's */
	size_t n_archs;
	size_t rounds;
	bool ask_library;
};

/* One number of one architecture with several arguments. */
static bool number_agrees(const struct oci_seccomp *p, const struct seccomp_program *ours,
                          const struct program *library, const struct table *t, uint32_t nr,
                          size_t rounds)
{
	struct call c = {.arch = t->arch->audit, .nr = nr, .big = t->arch->big};
	uint32_t base =
		action_of(p->default_action, p->has_default_errno_ret, p->default_errno_ret);
	unsigned seed = nr;
	bool good = true, found;

	for (size_t r = 0; r < rounds; r++) {
		call_fill(&c, r, &seed);
		uint32_t got = machine_run(ours->insns, ours->n, &c);
		uint32_t want = judge_text(p, t, &c, &found);

		/* the tail of calls newer than the profile */
		if (!found && base == ERR(EPERM) && got == ERR(ENOSYS))
			got = base;
		good &= !differs("text", p, t, &c, got, want);
		compared++;
		if (library == NULL)
			continue;
		want = machine_run(library->insns, library->n, &c);
		/* of big-endian programs it leaves some of the values it returns in our order */
		if (t->arch->big && got != want)
			want = be32toh(want);
		good &= !differs("library", p, t, &c, got, want);
		by_library++;
	}
	return good;
}

static bool profile_agrees(const struct oci_seccomp *p, const struct setting *s,
                           struct table *tables)
{
	struct seccomp_program ours;
	struct program library = {0};
	struct err e = {0};
	bool good = true, judged;

	if (seccomp_compile(p, s->archs[0], 0, &ours, &e) < 0) {
		printf("# %s %s\n", e.msg, e.at);
		return false;
	}
	judged = s->ask_library &&
	         judge_compile(p, s->archs, s->n_archs, tables[0].arch->big, &library);
	for (size_t i = 0; i < s->n_archs; i++) {
		uint32_t base = tables[i].arch->base;

		for (uint32_t nr = 0; nr < 600; nr++)
			good &= number_agrees(p, &ours, judged ? &library : NULL, &tables[i],
			                      base + nr, s->rounds);
		good &= number_agrees(p, &ours, judged ? &library : NULL, &tables[i], base + 9999,
		                      3);
	}
	free(library.insns);
	seccomp_free(&ours);
	return good;
}

static const uint32_t x86_64[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32};
static const uint32_t x86_64_only[] = {SCMP_ARCH_X86_64};
static const uint32_t x86[] = {SCMP_ARCH_X86};
static const uint32_t aarch64[] = {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM};
static const uint32_t arm[] = {SCMP_ARCH_ARM};
static const uint32_t mips[] = {SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64N32};
static const uint32_t mipsel[] = {SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64N32};
static const uint32_t ppc[] = {SCMP_ARCH_PPC64, SCMP_ARCH_PPC};
static const uint32_t ppcle[] = {SCMP_ARCH_PPC64LE};
static const uint32_t s390x[] = {SCMP_ARCH_S390X, SCMP_ARCH_S390};
static const uint32_t parisc[] = {SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC};
static const uint32_t riscv[] = {SCMP_ARCH_RISCV64};
#define FAMILY(v)                                                                                  \
	{                                                                                          \
		v, COUNT(v)                                                                        \
	}
static const struct {
	const uint32_t *archs;
	size_t n;
} families[] = {
	FAMILY(x86_64), FAMILY(x86_64_only), FAMILY(x86),    FAMILY(aarch64),
	FAMILY(arm),    FAMILY(mips),        FAMILY(mipsel), FAMILY(ppc),
	FAMILY(ppcle),  FAMILY(s390x),       FAMILY(parisc), FAMILY(riscv),
};

static bool family_agrees(size_t f, struct oci_seccomp *p, size_t rounds, bool ask_library)
{
	struct setting s = {families[f].archs, families[f].n, rounds, ask_library};
	struct table tables[3];
	char *names[3];
	bool good;

	for (size_t i = 0; i < s.n_archs; i++) {
		table_make(&tables[i], s.archs[i]);
		names[i] = (char *)(uintptr_t)names_of(&names_seccomp_archs, s.archs[i]);
	}
	p->architectures = names;
	p->n_architectures = s.n_archs;
	good = profile_agrees(p, &s, tables);
	for (size_t i = 0; i < s.n_archs; i++)
		table_drop(&tables[i]);
	if (!good)
		printf("# with %s\n", names[0]);
	return good;
}

/* ---- Tests */

static void test_big_profile(void)
{
	struct oci_seccomp *p = profile_big();

	for (size_t f = 0; f < COUNT(families); f++)
		ok(family_agrees(f, p, COUNT(values) + 5, true));
	p->default_errno_ret = EPERM;
	ok(family_agrees(0, p, 10, true));
	printf("# %lu calls, %lu judged by libseccomp\n", compared, by_library);
	ok(by_library > compared / 2);
	profile_free(p);
}

static void test_random_profiles(void)
{
	unsigned long before = by_library;

	for (unsigned seed = 1; seed <= 240; seed++) {
		size_t family = seed / 2 % COUNT(families);
		/* its big-endian programs mix up byte orders when there are several actions */
		bool plain = seed % 2 && !seccomp_arch_find(families[family].archs[0])->big;
		struct oci_seccomp *p = profile_random(seed, plain);

		if (!ok(family_agrees(family, p, 12, plain)))
			printf("# seed %u\n", seed);
		profile_free(p);
	}
	ok(by_library > before);
}

static uint32_t decide(const struct oci_seccomp *p, uint32_t audit, uint32_t nr, uint64_t a0,
                       uint64_t a1)
{
	struct call c = {
		.arch = audit, .nr = nr, .args = {a0, a1}
        };
	struct seccomp_program ours;
	struct err e = {0};
	uint32_t got;

	if (seccomp_compile(p, SCMP_ARCH_X86_64, 0, &ours, &e) < 0)
		return 0xeeeeeeee;
	got = machine_run(ours.insns, ours.n, &c);
	seccomp_free(&ours);
	return got;
}

#define S(literal) ((char[]){literal})

static void test_foreign(void)
{
	char *names[] = {S("read"), S("openat2")}, *x32[] = {S("SCMP_ARCH_X32")},
	     *arm_only[] = {S("SCMP_ARCH_ARM")};
	struct oci_syscall s = {.names = names, .n_names = 2, .action = S("SCMP_ACT_ALLOW")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ERRNO"), .syscalls = &s, .n_syscalls = 1};

	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, SCMP_ARCH_X86_64, 1, 0, 0), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86, 3, 0, 0), KILL);
	is_int(decide(&p, SCMP_ARCH_AARCH64, 63, 0, 0), KILL);
	is_int(decide(&p, 0, 0, 0, 0), KILL);
	is_int(decide(&p, SCMP_ARCH_X86_64, X32_BIT, 0, 0), KILL);
	is_int(decide(&p, SCMP_ARCH_X86_64, X32_BIT | 437, 0, 0), KILL);
	is_int(decide(&p, SCMP_ARCH_X86_64, 0x80000000, 0, 0), KILL);
	is_int(decide(&p, SCMP_ARCH_X86_64, UINT32_MAX, 0, 0), ERR(ENOSYS));
	p.architectures = x32;
	p.n_architectures = 1;
	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, SCMP_ARCH_X86_64, X32_BIT, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, SCMP_ARCH_X86_64, X32_BIT | 1, 0, 0), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86, 3, 0, 0), KILL);
	p.architectures = arm_only; /* cannot run here: as if it were not listed */
	is_int(decide(&p, SCMP_ARCH_ARM, 3, 0, 0), KILL);
}

static void test_newer_calls(void)
{
	char *names[] = {S("read"), S("close_range")};
	struct oci_syscall s = {.names = names, .n_names = 2, .action = S("SCMP_ACT_ALLOW")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ERRNO"), .syscalls = &s, .n_syscalls = 1};

	is_int(decide(&p, SCMP_ARCH_X86_64, 436, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, SCMP_ARCH_X86_64, 435, 0, 0), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 437, 0, 0), ERR(ENOSYS));
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), ERR(ENOSYS));
	p.has_default_errno_ret = true;
	p.default_errno_ret = EACCES; /* chosen: kept */
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), ERR(EACCES));
	p.default_errno_ret = EPERM;
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), ERR(ENOSYS));
	/* a rule that says what the default says still tells how new the profile is */
	s.action = S("SCMP_ACT_ERRNO");
	is_int(decide(&p, SCMP_ARCH_X86_64, 436, 0, 0), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 437, 0, 0), ERR(ENOSYS));
	s.action = S("SCMP_ACT_ALLOW");
	p.has_default_errno_ret = false;
	p.default_action = S("SCMP_ACT_KILL");
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), KILL);
	p.default_action = S("SCMP_ACT_ALLOW");
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), SECCOMP_RET_ALLOW);
	/* no profile, no newest call */
	p.default_action = S("SCMP_ACT_ERRNO");
	p.n_syscalls = 0;
	is_int(decide(&p, SCMP_ARCH_X86_64, 9999, 0, 0), ERR(EPERM));
}

static void test_young_names(void)
{
	char *names[] = {S("mseal"), S("uretprobe")},
	     *x32[] = {S("SCMP_ARCH_X86"), S("SCMP_ARCH_X32")};
	struct oci_syscall s = {.names = names, .n_names = 2, .action = S("SCMP_ACT_TRAP")};
	struct oci_seccomp p = {.default_action = S("SCMP_ACT_ALLOW"),
	                        .architectures = x32,
	                        .n_architectures = 2,
	                        .syscalls = &s,
	                        .n_syscalls = 1};

	is_int(decide(&p, SCMP_ARCH_X86_64, 462, 0, 0), SECCOMP_RET_TRAP);
	is_int(decide(&p, SCMP_ARCH_X86, 462, 0, 0), SECCOMP_RET_TRAP);
	is_int(decide(&p, SCMP_ARCH_X86_64, X32_BIT | 462, 0, 0), SECCOMP_RET_TRAP);
	is_int(decide(&p, SCMP_ARCH_X86_64, 335, 0, 0), SECCOMP_RET_TRAP);
	is_int(decide(&p, SCMP_ARCH_X86, 335, 0, 0), SECCOMP_RET_ALLOW);
}

static void test_ioctl(void)
{
	char *names[] = {S("ioctl")};
	struct oci_syscall_arg arg = {
		.index = 1, .value = 0x5412, .op = S("SCMP_CMP_EQ")}; /* TIOCSTI */
	struct oci_syscall s = {.names = names,
	                        .n_names = 1,
	                        .action = S("SCMP_ACT_ERRNO"),
	                        .args = &arg,
	                        .n_args = 1};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ALLOW"), .syscalls = &s, .n_syscalls = 1};

	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0x5412), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0x100005412), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0x5413), SECCOMP_RET_ALLOW);
	/* other calls have all 64 bits compared */
	names[0] = S("fcntl");
	is_int(decide(&p, SCMP_ARCH_X86_64, 72, 0, 0x5412), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 72, 0, 0x100005412), SECCOMP_RET_ALLOW);
}

static void test_order(void)
{
	char *names[] = {S("getpid")};
	struct oci_syscall_arg one = {.index = 0, .value = 5, .op = S("SCMP_CMP_EQ")},
			       two = {.index = 0, .value = 3, .op = S("SCMP_CMP_GT")};
	char *kill = S("SCMP_ACT_KILL_PROCESS");
	struct oci_syscall s[] = {
		{.names = names,
	         .n_names = 1,
	         .action = S("SCMP_ACT_LOG"),
	         .args = &one,
	         .n_args = 1},
		{.names = names,
	         .n_names = 1,
	         .action = S("SCMP_ACT_TRAP"),
	         .args = &two,
	         .n_args = 1},
		{.names = names, .n_names = 1,  .action = kill                 },
	};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ALLOW"), .syscalls = s, .n_syscalls = 2};

	is_int(decide(&p, SCMP_ARCH_X86_64, 39, 5, 0), SECCOMP_RET_LOG);
	is_int(decide(&p, SCMP_ARCH_X86_64, 39, 6, 0), SECCOMP_RET_TRAP);
	is_int(decide(&p, SCMP_ARCH_X86_64, 39, 3, 0), SECCOMP_RET_ALLOW);
	p.n_syscalls = 3; /* without arguments: covers it wholly */
	is_int(decide(&p, SCMP_ARCH_X86_64, 39, 5, 0), SECCOMP_RET_KILL_PROCESS);
}

static void refused(struct oci_seccomp *p, unsigned options, const char *at)
{
	struct seccomp_program out;
	struct err e = {0};

	if (!is_int(seccomp_compile(p, SCMP_ARCH_X86_64, options, &out, &e), -1))
		seccomp_free(&out);
	is_str(e.at, at);
	ok(out.insns == NULL);
}

static void test_refused(void)
{
	char *names[] = {S("read"), S("no_such_call")}, *archs[] = {S("SCMP_ARCH_NOPE")},
	     *flags[] = {S("FLAG")};
	struct oci_syscall_arg arg = {.index = 6, .op = S("SCMP_CMP_EQ")};
	struct oci_syscall s = {.names = names, .n_names = 2, .action = S("SCMP_ACT_ALLOW")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ERRNO"), .syscalls = &s, .n_syscalls = 1};

	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 0, 0), SECCOMP_RET_ALLOW);
	refused(&p, SECCOMP_FAIL_UNKNOWN, "/linux/seccomp/syscalls/0/names/1");
	s.args = &arg;
	s.n_args = 1;
	refused(&p, 0, "/linux/seccomp/syscalls/0/args/0");
	arg = (struct oci_syscall_arg){.index = 5, .op = S("SCMP_CMP_NOPE")};
	refused(&p, 0, "/linux/seccomp/syscalls/0/args/0");
	s.n_args = 0;
	s.has_errno_ret = true;
	refused(&p, 0, "/linux/seccomp/syscalls/0/action");
	s.has_errno_ret = false;
	s.action = S("ALLOW");
	refused(&p, 0, "/linux/seccomp/syscalls/0/action");
	s.action = S("SCMP_ACT_ALLOW");
	p.has_default_errno_ret = true;
	p.default_errno_ret = 65536;
	refused(&p, 0, "/linux/seccomp/defaultAction");
	p.has_default_errno_ret = false;
	p.listener_metadata = S("x");
	refused(&p, 0, "/linux/seccomp/listenerMetadata");
	p.listener_metadata = NULL;
	p.architectures = archs;
	p.n_architectures = 1;
	refused(&p, 0, "/linux/seccomp/architectures/0");
	p.n_architectures = 0;
	p.flags = flags;
	p.n_flags = 1;
	refused(&p, 0, "/linux/seccomp/flags/0");
}

static void test_too_long(void)
{
	static struct oci_syscall_arg args[3000];
	char *names[] = {S("read")}, *equal = S("SCMP_CMP_EQ");
	struct oci_syscall s = {.names = names,
	                        .n_names = 1,
	                        .action = S("SCMP_ACT_ALLOW"),
	                        .args = args,
	                        .n_args = 500};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ERRNO"), .syscalls = &s, .n_syscalls = 1};

	for (size_t i = 0; i < COUNT(args); i++)
		args[i] = (struct oci_syscall_arg){.value = i * 3, .op = equal};
	/* jumps over more than 255 instructions */
	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 499 * 3, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 1, 0), ERR(EPERM));
	is_int(decide(&p, SCMP_ARCH_X86_64, 1, 0, 0), ERR(ENOSYS));
	s.n_args = COUNT(args);
	refused(&p, 0, "");
}

static void test_fast_and_short(void)
{
	struct oci_seccomp *p = profile_big();
	struct seccomp_program out;
	struct timespec from, to;
	struct err e = {0};
	long best = 1000000000;

	for (int i = 0; i < 10; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		is_int(seccomp_compile(p, SCMP_ARCH_X86_64, 0, &out, &e), 0);
		clock_gettime(CLOCK_MONOTONIC, &to);
		long ns = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;

		if (ns < best)
			best = ns;
		seccomp_free(&out);
	}
	is_int(seccomp_compile(p, SCMP_ARCH_X86_64, 0, &out, &e), 0);
	printf("# %zu instructions in %ld us\n", out.n, best / 1000);
	ok(out.n < 600); /* libseccomp: more than 1000 */
	seccomp_free(&out);
	profile_free(p);
}

int main(void)
{
	RUN(test_foreign);
	RUN(test_newer_calls);
	RUN(test_young_names);
	RUN(test_ioctl);
	RUN(test_order);
	RUN(test_refused);
	RUN(test_too_long);
	RUN(test_big_profile);
	RUN(test_random_profiles);
	RUN(test_fast_and_short);
	return done();
}
