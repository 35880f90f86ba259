/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What our compiler makes of a profile, run by a small interpreter, against two judges:
 * libseccomp's own program for the same profile, and an evaluator that reads the profile call by
 * call. */
#include "kernel/seccomp_compile.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/names.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_arch.h"
#include "ocispec.h"
#include "seccomp_judge.h"
#include "seccomp_profile.h"
#include "tap.h"

#define KILL    SECCOMP_RET_KILL_THREAD
#define ERR(n)  (SECCOMP_RET_ERRNO | (n))
#define X32_BIT 0x40000000U

/* The library loses rules it refuses. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp";
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
		       c->nr - t->arch->base < NAMED ? t->names[c->nr - t->arch->base] : "-",
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
	uint32_t base = default_of(p);
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
	         judge_compile(p, s->archs, s->n_archs, tables[0].arch->big, NULL, &library);
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

static uint32_t decide_on(uint32_t native, const struct oci_seccomp *p, uint32_t audit, uint32_t nr,
                          uint64_t a0, uint64_t a1)
{
	struct call c = {
		.arch = audit, .nr = nr, .args = {a0, a1}
        };
	struct seccomp_program ours;
	struct err e = {0};
	uint32_t got;

	if (seccomp_compile(p, native, 0, &ours, &e) < 0)
		return 0xeeeeeeee;
	got = machine_run(ours.insns, ours.n, &c);
	seccomp_free(&ours);
	return got;
}

static uint32_t decide(const struct oci_seccomp *p, uint32_t audit, uint32_t nr, uint64_t a0,
                       uint64_t a1)
{
	return decide_on(SCMP_ARCH_X86_64, p, audit, nr, a0, a1);
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
	/* number 0 alone, even if void, is a newest call */
	names[0] = S("read");
	s.n_names = 1;
	p.default_action = S("SCMP_ACT_ERRNO");
	s.action = S("SCMP_ACT_ERRNO");
	is_int(decide(&p, SCMP_ARCH_X86_64, 1, 0, 0), ERR(ENOSYS));
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
	names[0] = S("riscv_hwprobe");
	is_int(decide(&p, SCMP_ARCH_X86_64, 258, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide_on(SCMP_ARCH_RISCV64, &p, SCMP_ARCH_RISCV64, 258, 0, 0), SECCOMP_RET_TRAP);
}

/* arm has numbers far above the common ones, which are not newer than those. */
static void test_private_calls(void)
{
	char *names[] = {S("set_tls"), S("read")};
	struct oci_syscall s = {.names = names, .n_names = 1, .action = S("SCMP_ACT_ALLOW")};
	struct oci_seccomp p = {
		.default_action = S("SCMP_ACT_ERRNO"), .syscalls = &s, .n_syscalls = 1};
	const uint32_t native = SCMP_ARCH_ARM;

	is_int(decide_on(native, &p, native, 0xf0005, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide_on(native, &p, native, 4, 0, 0), ERR(EPERM));
	s.n_names = 2;
	is_int(decide_on(native, &p, native, 4, 0, 0), ERR(ENOSYS));
	is_int(decide_on(native, &p, native, 0xf0006, 0, 0), ERR(ENOSYS));
	s.action = S("SCMP_ACT_ERRNO"); /* void, but named */
	is_int(decide_on(native, &p, native, 0xf0005, 0, 0), ERR(EPERM));
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
	/* 32 bits are below what has more */
	arg.value = 0x100000001;
	arg.op = S("SCMP_CMP_LT");
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0x5412), ERR(EPERM));
	arg.op = S("SCMP_CMP_LE");
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0xffffffff), ERR(EPERM));
	arg.op = S("SCMP_CMP_GT");
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0x5412), SECCOMP_RET_ALLOW);
	arg.op = S("SCMP_CMP_GE");
	is_int(decide(&p, SCMP_ARCH_X86_64, 16, 0, 0xffffffff), SECCOMP_RET_ALLOW);
	arg.value = 0x5412;
	arg.op = S("SCMP_CMP_EQ");
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
	p.default_errno_ret = 4096; /* the kernel would make 4095 of it */
	refused(&p, 0, "/linux/seccomp/defaultAction");
	p.default_action = S("SCMP_ACT_TRACE");
	is_int(decide(&p, SCMP_ARCH_X86_64, 1, 0, 0), SECCOMP_RET_TRACE | 4096);
	p.default_errno_ret = 65536;
	refused(&p, 0, "/linux/seccomp/defaultAction");
	p.default_action = S("SCMP_ACT_ERRNO");
	p.default_errno_ret = 4095;
	is_int(decide(&p, SCMP_ARCH_X86_64, 1, 0, 0), ERR(4095));
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

static void test_flags(void)
{
	char *flags[] = {S("SECCOMP_FILTER_FLAG_LOG"), S("SECCOMP_FILTER_FLAG_TSYNC"),
	                 S("SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
	                 S("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")};
	static const unsigned bits[] = {SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_TSYNC,
	                                SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	                                SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};

	for (unsigned set = 0; set < 1U << COUNT(flags); set++) {
		char *some[COUNT(flags)];
		struct oci_seccomp p = {.default_action = S("SCMP_ACT_ALLOW"), .flags = some};
		struct seccomp_program out;
		unsigned want = 0, got;
		struct err e = {0};

		for (unsigned i = 0; i < COUNT(flags); i++)
			if (set >> i & 1) {
				some[p.n_flags++] = flags[i];
				want |= bits[i];
			}
		is_int(seccomp_flags(&p, &got, &e), 0);
		is_int(got, want);
		is_int(seccomp_compile(&p, SCMP_ARCH_X86_64, 0, &out, &e), 0);
		is_int(out.flags, want);
		seccomp_free(&out);
	}
}

/* Kernels whose calls nobody here knows, and programs of others on this one. */
static void test_unknown_archs(void)
{
	static const uint32_t tokens[] = {AUDIT_ARCH_M68K, AUDIT_ARCH_SH, AUDIT_ARCH_SHEL,
	                                  AUDIT_ARCH_ALPHA, 0};
	char *archs[] = {S("SCMP_ARCH_M68K"), S("SCMP_ARCH_SH"), S("SCMP_ARCH_SHEB"),
	                 S("SCMP_ARCH_S390X"), S("SCMP_ARCH_LOONGARCH64")};
	struct oci_seccomp p = {.default_action = S("SCMP_ACT_ALLOW")};
	struct seccomp_program out;
	struct err e = {0};

	for (size_t i = 0; i < COUNT(tokens); i++) {
		is_int(seccomp_compile(&p, tokens[i], 0, &out, &e), -1);
		ok(strstr(e.msg, "not supported on this architecture") != NULL);
	}
	p.architectures = archs;
	p.n_architectures = COUNT(archs);
	is_int(decide(&p, SCMP_ARCH_X86_64, 0, 0, 0), SECCOMP_RET_ALLOW);
	is_int(decide(&p, AUDIT_ARCH_M68K, 0, 0, 0), KILL);
	is_int(decide(&p, AUDIT_ARCH_S390X, 0, 0, 0), KILL);
	is_int(decide(&p, AUDIT_ARCH_LOONGARCH64, 0, 0, 0), KILL);
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
	RUN(test_private_calls);
	RUN(test_ioctl);
	RUN(test_order);
	RUN(test_refused);
	RUN(test_flags);
	RUN(test_unknown_archs);
	RUN(test_too_long);
	RUN(test_big_profile);
	RUN(test_random_profiles);
	RUN(test_fast_and_short);
	return done();
}
