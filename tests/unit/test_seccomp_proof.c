/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Our filters are proven equal to the text of the profile and to libseccomp's filter, for every
 * architecture, number and argument. "test_seccomp_proof FIRST LAST" tries more random profiles,
 * with a limit of paths; for one in some thousands (6926) libseccomp 2.5.4 does not come to an end.
 *
 * The library's answer may be another one only
 * - where seccomp_compile.h says so: requests of ioctl(2) beyond 32 bits, calls newer than the
 *   profile, the order of rules;
 * - where it contradicts itself: asked for each rule of the call alone it says what we say. (2.5.4
 *   forgets to load the number when a filter begins with a call that has none, and mixes up what
 *   it has loaded when several rules share conditions.) */
#include <fcntl.h>
#include <unistd.h>

#include "arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_compile.h"
#include "read.h"
#include "seccomp_profile.h"
#include "seccomp_prove.h"
#include "tap.h"

/* The library loses rules it refuses. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libseccomp";
}

#define WORD(text) ((char *)(uintptr_t)(text))

static const struct {
	const uint32_t archs[3]; /* the kernel's first */
	size_t n;
} families[] = {
	{{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32},              3},
	{{SCMP_ARCH_X86_64},					    1},
	{{SCMP_ARCH_X86_64, SCMP_ARCH_X32},                             2},
	{{SCMP_ARCH_X86},					       1},
	{{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM},                            2},
	{{SCMP_ARCH_ARM},					       1},
	{{SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64N32},       3},
	{{SCMP_ARCH_MIPS},					      1},
	{{SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64N32}, 3},
	{{SCMP_ARCH_MIPSEL},					    1},
	{{SCMP_ARCH_PPC64, SCMP_ARCH_PPC},                              2},
	{{SCMP_ARCH_PPC},					       1},
	{{SCMP_ARCH_PPC64LE},					   1},
	{{SCMP_ARCH_S390X, SCMP_ARCH_S390},                             2},
	{{SCMP_ARCH_S390},					      1},
	{{SCMP_ARCH_PARISC64, SCMP_ARCH_PARISC},                        2},
	{{SCMP_ARCH_PARISC},					    1},
	{{SCMP_ARCH_RISCV64},					   1},
	{{258 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE},                  1}, /* loongarch64 */
};

/* ---- What is excused */

/* The library's answer when it knows of one rule only, or of one condition of it (which >= 0), and
 * begins with a call that has a number everywhere. */
static bool alone_holds(const struct proof *p, const struct table *t, const struct call *c,
                        const struct oci_syscall *s, const char *name, int which)
{
	char *first[] = {WORD("getppid")}, *names[] = {WORD(name)};
	struct oci_syscall rules[] = {*s, *s};
	struct oci_seccomp less = *p->p;
	struct program library = {0};
	bool holds = false;
	uint32_t got;

	rules[0].names = names;
	rules[1].names = first;
	rules[0].n_names = rules[1].n_names = 1;
	rules[1].n_args = 0;
	if (which >= 0) {
		rules[0].args += which;
		rules[0].n_args = 1;
	}
	less.syscalls = rules;
	less.n_syscalls = COUNT(rules);
	if (judge_compile(&less, &t->arch->token, 1, t->arch->big, first[0], &library)) {
		got = machine_run(library.insns, library.n, c);
		holds = got == entry_action(s) || (c->big && be32toh(got) == entry_action(s));
	}
	free(library.insns);
	return holds;
}

static bool rule_holds(const struct proof *p, const struct table *t, const struct call *c,
                       const struct oci_syscall *s, const char *name)
{
	if (!args_split(s))
		return alone_holds(p, t, c, s, name, -1);
	for (size_t k = 0; k < s->n_args; k++)
		if (alone_holds(p, t, c, s, name, (int)k))
			return true;
	return false;
}

/* Whether the request, or what it is to be equal to, has bits beyond the 32 that count. */
static bool ioctl_differs(const struct oci_seccomp *p, const struct call *c)
{
	uint64_t bits = c->args[1];

	for (size_t i = 0; i < p->n_syscalls; i++)
		for (size_t k = 0; k < p->syscalls[i].n_args; k++) {
			const struct oci_syscall_arg *arg = &p->syscalls[i].args[k];

			if (entry_names(&p->syscalls[i], "ioctl") && arg->index == 1 &&
			    strpbrk(arg->op + strlen("SCMP_CMP_"), "LG") == NULL)
				bits |= arg->value | arg->value_two;
		}
	return bits >> 32 != 0;
}

static bool excused(const struct proof *p, const struct table *t, const struct call *c)
{
	const char *name = t != NULL ? table_name(t, c->nr) : NULL;
	char *const *parts = t != NULL ? table_parts(t, c->nr) : NULL;
	uint32_t ours = machine_run(p->ours, p->n_ours, c);
	bool any = false, same = false;

	if (name == NULL || (strcmp(name, "ioctl") == 0 && ioctl_differs(p->p, c)))
		return name != NULL;
	if (!name_known(name))
		return true;
	for (size_t i = 0; i < p->p->n_syscalls; i++) {
		const struct oci_syscall *s = &p->p->syscalls[i];

		for (int part = 0; part < 32 && entry_action(s) != default_of(p->p); part++) {
			const char *it = part == 0 ? name : parts != NULL ? parts[part] : NULL;

			if (!entry_names(s, it) || !rule_holds(p, t, c, s, it))
				continue;
			any = true;
			same |= entry_action(s) == ours;
		}
	}
	return same || (!any && ours == default_of(p->p));
}

/* ---- Proving */

static struct {
	unsigned long programs, judged, classes, paths, by_library, excused;
} total;

struct wish {
	const char *name;
	bool no_library, must_judge, excuse;
};

static size_t path_limit; /* 0: none */

static bool compiled_proven(struct oci_seccomp *p, const struct table *tables,
                            const uint32_t *archs, size_t n, const struct wish *wish)
{
	struct seccomp_program ours;
	struct program library = {0};
	struct err e = {0};
	bool judged = !wish->no_library &&
	              judge_compile(p, archs, n, tables[0].arch->big, NULL, &library);

	if (seccomp_compile(p, archs[0], 0, &ours, &e) < 0) {
		printf("# %s: %s %s\n", wish->name, e.msg, e.at);
		free(library.insns);
		return false;
	}
	struct proof proof = {.p = p,
	                      .tables = tables,
	                      .n_tables = n,
	                      .ours = ours.insns,
	                      .n_ours = ours.n,
	                      .library = judged ? &library : NULL,
	                      .excused = wish->excuse ? excused : NULL,
	                      .name = wish->name,
	                      .limit = path_limit};
	bool good = proof_holds(&proof);

	total.programs++;
	total.judged += judged;
	total.classes += proof.classes;
	total.paths += proof.paths;
	total.by_library += proof.by_library;
	if (judged)
		total.excused += proof.paths - proof.by_library;
	if (wish->must_judge && !judged)
		printf("# %s: the library has no filter for it\n", wish->name);
	seccomp_free(&ours);
	free(library.insns);
	return good && (judged || !wish->must_judge);
}

static struct table made[COUNT(families)][3];

static bool family_known(size_t f)
{
	return seccomp_syscall_resolve_name_arch(families[f].archs[0], "read") >= 0;
}

static bool family_proven(size_t f, struct oci_seccomp *p, struct wish wish)
{
	char *names[3];

	for (size_t i = 0; i < families[f].n; i++) {
		names[i] = WORD(names_of(&names_seccomp_archs, families[f].archs[i]));
		if (made[f][i].arch == NULL)
			table_make(&made[f][i], families[f].archs[i]);
	}
	p->architectures = names;
	p->n_architectures = families[f].n;
	if (!family_known(f)) {
		wish.no_library = true;
		wish.must_judge = false;
	}
	return compiled_proven(p, made[f], families[f].archs, families[f].n, &wish) ||
	       !printf("# kernel of %s\n", names[0]);
}

static void all_proven(struct oci_seccomp *p, struct wish wish)
{
	for (size_t f = 0; f < COUNT(families); f++)
		ok(family_proven(f, p, wish));
}

/* ---- Profiles */

/* What the tests measure with is what Docker sends. */
static void test_docker(void)
{
	static char text[1 << 17];
	struct arena arena = {0};
	struct oci_config config;
	struct oci_error error;
	autofd fd = open("tests/bench/config.json", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, text, sizeof(text));

	if (!ok(len > 0) || !is_int(oci_read(&ocispec_schema, OCI_CONFIG, text, (size_t)len, &arena,
	                                     &config, &error),
	                            0))
		return;
	struct oci_seccomp *p = config.linux->seccomp;

	ok(p->n_syscalls > 15);
	all_proven(p, (struct wish){.name = "Docker's", .must_judge = true});
	p->has_default_errno_ret = false; /* so newer calls get another errno than the default */
	all_proven(p, (struct wish){.name = "Docker's, EPERM", .must_judge = true});
	arena_free(&arena);
}

static void test_big(void)
{
	struct oci_seccomp *p = profile_big();

	all_proven(p, (struct wish){.name = "big", .must_judge = true});
	profile_free(p);
}

/* The library knows it, and by a number that is not that of another one too: to 2.5.4
 * switch_endian and sys_debug_setcontext are the same, but on ppc. */
static bool name_clear(const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	autofree char *back = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);

	return nr != __NR_SCMP_ERROR && back != NULL && strcmp(back, name) == 0;
}

/* Each name of each architecture, with an errno of its own. */
static void names_proven(bool young)
{
	for (size_t f = 0; f < COUNT(families); f++) {
		struct oci_seccomp *p = profile_new("SCMP_ACT_ALLOW");
		char **names = xcalloc(families[f].n * (NAMED + 80), sizeof(*names));
		size_t n = 0;

		for (size_t i = 0; i < families[f].n; i++) {
			struct table *t = &made[f][i];

			for (size_t nr = 0; nr < NAMED; nr++)
				if (t->names[nr] != NULL)
					names[n++] = t->names[nr];
			for (size_t nr = 0; nr < COUNT(t->private); nr++)
				if (t->private[nr] != NULL)
					names[n++] = t->private[nr];
			for (size_t part = 1; part < 32; part++) {
				if (t->socket_parts[part] != NULL)
					names[n++] = t->socket_parts[part];
				if (t->ipc_parts[part] != NULL)
					names[n++] = t->ipc_parts[part];
			}
		}
		free(p->syscalls);
		p->syscalls = xcalloc(n, sizeof(*p->syscalls));
		for (size_t i = 0; i < n; i++) {
			bool again = false;

			for (size_t k = 0; k < i; k++)
				again |= strcmp(names[k], names[i]) == 0;
			if (!young)
				again |= !name_clear(names[i]);
			if (!again)
				p->syscalls[p->n_syscalls++] =
					(struct oci_syscall){.names = &names[i],
				                             .n_names = 1,
				                             .action = WORD("SCMP_ACT_ERRNO"),
				                             .has_errno_ret = true,
				                             .errno_ret = 100 + (uint32_t)i};
		}
		ok(family_proven(
			f, p,
			(struct wish){.name = "names", .no_library = young, .must_judge = !young}));
		free(p->syscalls);
		free(p);
		free(names);
	}
}

static void test_names(void)
{
	names_proven(false);
}

/* With those the library does not know. */
static void test_young_names(void)
{
	names_proven(true);
}

/* One condition: each operator with each number, for each argument. */
static void test_operators(void)
{
	struct oci_seccomp *p = profile_new("SCMP_ACT_ALLOW");
	struct oci_syscall *s = profile_rule(p, "SCMP_ACT_TRAP");
	unsigned turn = 0;

	profile_name(s, "mmap");
	for (size_t op = 0; op < COUNT(wild_ops); op++)
		for (size_t one = 0; one < COUNT(wild_numbers); one++) {
			size_t two = turn++ % COUNT(wild_numbers);

			s->n_args = 0;
			profile_arg(s, turn % 6, wild_ops[op], wild_numbers[one],
			            wild_numbers[two]);
			for (size_t f = turn % 5; f < COUNT(families); f += 5)
				ok(family_proven(
					f, p,
					(struct wish){.name = wild_ops[op], .must_judge = true}));
		}
	for (size_t one = 0; one < COUNT(wild_numbers); one++)
		for (size_t two = 0; two < COUNT(wild_numbers); two++) {
			s->n_args = 0;
			profile_arg(s, 1, "SCMP_CMP_MASKED_EQ", wild_numbers[one],
			            wild_numbers[two]);
			for (size_t f = two % 2 ? 0 : 13; f < COUNT(families); f += 99)
				ok(family_proven(
					f, p, (struct wish){.name = "mask", .must_judge = true}));
		}
	profile_free(p);
}

/* Two conditions: on one argument, on two, in two rules of one or of two actions. */
static void test_pairs(void)
{
	unsigned turn = 0;

	for (size_t op = 0; op < COUNT(wild_ops) * COUNT(wild_ops); op++)
		for (int shape = 0; shape < 4; shape++) {
			struct oci_seccomp *p = profile_new("SCMP_ACT_ERRNO");
			struct oci_syscall *s = profile_rule(p, "SCMP_ACT_ALLOW");
			size_t f = turn++ % COUNT(families);

			profile_name(s, turn % 3 ? "mmap" : "semop");
			profile_arg(s, 1, wild_ops[op / COUNT(wild_ops)],
			            wild_numbers[turn % COUNT(wild_numbers)],
			            wild_numbers[turn * 5 % COUNT(wild_numbers)]);
			if (shape >= 2) {
				s = profile_rule(p,
				                 shape == 2 ? "SCMP_ACT_ALLOW" : "SCMP_ACT_TRAP");
				profile_name(s, turn % 3 ? "mmap" : "semop");
			}
			profile_arg(s, shape == 0 ? 1 : 2, wild_ops[op % COUNT(wild_ops)],
			            wild_numbers[turn * 7 % COUNT(wild_numbers)],
			            wild_numbers[turn * 11 % COUNT(wild_numbers)]);
			ok(family_proven(f, p, (struct wish){.name = "pair", .excuse = true}));
			profile_free(p);
		}
}

/* Each action as the default and in a rule, with and without an errno; what is equal is void. */
static void test_actions(void)
{
	static const uint32_t errnos[] = {0, 1, 38, 4094};

	for (size_t i = 0; i < COUNT(wild_actions) * COUNT(wild_actions) * 3; i++) {
		struct oci_seccomp *p = profile_new(wild_actions[i % COUNT(wild_actions)]);
		const char *action = wild_actions[i / COUNT(wild_actions) % COUNT(wild_actions)];
		struct oci_syscall *s = profile_rule(p, action);

		profile_name(s, "openat2");
		p->has_default_errno_ret = p->default_action[9] == 'E' && i % 2;
		p->has_default_errno_ret |= strcmp(p->default_action, "SCMP_ACT_TRACE") == 0;
		p->default_errno_ret = errnos[i % COUNT(errnos)];
		s->has_errno_ret = s->action[9] == 'E' || strcmp(action, "SCMP_ACT_TRACE") == 0;
		s->errno_ret = errnos[i / COUNT(wild_actions) % COUNT(errnos)];
		ok(family_proven(
			i % COUNT(families), p,
			(struct wish){.name = action, .must_judge = p->default_action[9] != 'N'}));
		profile_free(p);
	}
}

/* What is newer than a profile that names little, or only says what the default says. */
static void test_newer(void)
{
	static const char *const names[] = {"read",       "set_tls", "io_setup",
	                                    "socketcall", "nothing", "write"};

	for (size_t i = 0; i < 4 * COUNT(names); i++) {
		struct oci_seccomp *p = profile_new("SCMP_ACT_ERRNO");

		profile_name(profile_rule(p, i % 2 ? "SCMP_ACT_ERRNO" : "SCMP_ACT_LOG"),
		             names[i / 4]);
		if (i / 2 % 2)
			profile_name(profile_rule(p, "SCMP_ACT_TRAP"), names[(i / 4 + 1) % 6]);
		all_proven(p,
		           (struct wish){.name = names[i / 4], .must_judge = true, .excuse = true});
		profile_free(p);
	}
}

/* Longer than a jump reaches, and with more actions than the compiler keeps in mind. */
static void test_long(void)
{
	struct oci_seccomp *p = profile_new("SCMP_ACT_ERRNO");
	struct oci_syscall many[340];
	char *names[] = {WORD("mmap")};
	struct oci_syscall_arg args[COUNT(many)];

	for (size_t i = 0; i < COUNT(many); i++) {
		args[i] = (struct oci_syscall_arg){1, i * 3, 0, WORD("SCMP_CMP_EQ")};
		many[i] = (struct oci_syscall){.names = names,
		                               .n_names = 1,
		                               .action = WORD("SCMP_ACT_ERRNO"),
		                               .has_errno_ret = true,
		                               .errno_ret = (uint32_t)(2 + i % 90),
		                               .args = &args[i],
		                               .n_args = 1};
	}
	free(p->syscalls);
	p->syscalls = many;
	for (p->n_syscalls = 100; p->n_syscalls <= COUNT(many); p->n_syscalls += 120)
		for (size_t f = 0; f < COUNT(families); f += 9)
			ok(family_proven(f, p, (struct wish){.name = "long", .excuse = true}));
	free(p);
}

static unsigned first_seed = 1, last_seed = 120;

static void test_random(void)
{
	for (unsigned seed = first_seed; seed <= last_seed; seed++) {
		struct oci_seccomp *p = profile_wild(seed);
		struct wish wish = {.name = "random", .excuse = true};

		if (!ok(family_proven(seed % COUNT(families), p, wish)))
			printf("# seed %u\n", seed);
		profile_free(p);
	}
}

/* Changes one instruction. */
static void mutate(struct sock_filter *f, unsigned *seed)
{
	static const uint16_t codes[] = {BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JGT | BPF_K,
	                                 BPF_JMP | BPF_JGE | BPF_K};
	unsigned how = (unsigned)rand_r(seed) % 3;
	uint8_t jt = f->jt;

	if (BPF_CLASS(f->code) == BPF_LD && f->k >= 16)
		f->k = 16 + 4 * ((unsigned)rand_r(seed) % 12);
	else if (BPF_CLASS(f->code) == BPF_ALU || BPF_CLASS(f->code) == BPF_RET)
		f->k ^= 1U << (unsigned)rand_r(seed) % 32;
	else if (BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA && how == 0)
		f->k ^= 1U << (unsigned)rand_r(seed) % 32;
	else if (BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA && how == 1)
		f->code = codes[(unsigned)rand_r(seed) % 3];
	else if (BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA) {
		f->jt = f->jf;
		f->jf = jt;
	}
}

/* Something a program compares with, or a little more or less, or what others have it compare. */
static uint32_t value_pick(const struct program *p, unsigned *seed)
{
	uint32_t k = p->insns[(unsigned)rand_r(seed) % p->n].k;

	return rand_r(seed) % 3
	               ? k + (uint32_t)rand_r(seed) % 3 - 1
	               : (uint32_t)wild_numbers[(unsigned)rand_r(seed) % COUNT(wild_numbers)];
}

static bool calls_differ(const struct program *a, const struct program *b, unsigned *seed)
{
	bool differ = false;

	for (int i = 0; i < 400; i++) {
		struct call c = {.arch = SCMP_ARCH_X86_64, .nr = value_pick(a, seed)};

		for (int k = 0; k < 6; k++)
			c.args[k] = (uint64_t)value_pick(a, seed) << 32 | value_pick(a, seed);
		differ |= machine_run(a->insns, a->n, &c) != machine_run(b->insns, b->n, &c);
	}
	return differ;
}

/* Does the proof see what it should? Of a program and a changed one it finds a call that the two
 * answer differently, or no call of many shows a difference. */
static void test_prover(void)
{
	unsigned found = 0, equal = 0, seed = 1;

	table_make(&made[1][0], SCMP_ARCH_X86_64);
	for (unsigned i = 0; i < 600; i++) {
		struct oci_seccomp *p = profile_wild(i);
		struct seccomp_program ours;
		struct err e = {0};

		if (!is_int(seccomp_compile(p, SCMP_ARCH_X86_64, 0, &ours, &e), 0))
			return;
		struct program from = {ours.insns, ours.n},
			       to = {xmalloc(ours.n * sizeof(*ours.insns)), ours.n};
		struct proof proof = {.p = p,
		                      .tables = made[1],
		                      .n_tables = 1,
		                      .ours = ours.insns,
		                      .n_ours = ours.n,
		                      .library = &to,
		                      .quiet = true};

		memcpy(to.insns, from.insns, from.n * sizeof(*to.insns));
		mutate(&to.insns[(unsigned)rand_r(&seed) % to.n], &seed);
		if (proof_holds(&proof)) {
			equal++;
			ok(!calls_differ(&from, &to, &seed));
		} else {
			found++;
			ok(machine_run(from.insns, from.n, &proof.witness) !=
			   machine_run(to.insns, to.n, &proof.witness));
		}
		free(to.insns);
		seccomp_free(&ours);
		profile_free(p);
	}
	printf("# %u changes found, %u without effect\n", found, equal);
	ok(found > 300);
}

/* The library was asked, and seldom excused. */
static void test_judged(void)
{
	printf("# %lu programs, %lu of them also by libseccomp; %lu classes of numbers, %lu paths; "
	       "%lu answers of libseccomp the same, %lu excused\n",
	       total.programs, total.judged, total.classes, total.paths, total.by_library,
	       total.excused);
	ok(path_limit > 0 || total.judged > total.programs * 3 / 4);
	ok(path_limit > 0 || total.excused < total.by_library / 50);
}

int main(int argc, char **argv)
{
	if (argc == 3) {
		first_seed = (unsigned)strtoul(argv[1], NULL, 10);
		last_seed = (unsigned)strtoul(argv[2], NULL, 10);
		path_limit = 500;
	} else {
		RUN(test_prover);
		RUN(test_docker);
		RUN(test_big);
		RUN(test_names);
		RUN(test_young_names);
		RUN(test_operators);
		RUN(test_pairs);
		RUN(test_actions);
		RUN(test_newer);
		RUN(test_long);
	}
	RUN(test_random);
	RUN(test_judged);
	for (size_t f = 0; f < COUNT(families); f++)
		for (size_t i = 0; i < families[f].n; i++)
			if (made[f][i].arch != NULL)
				table_drop(&made[f][i]);
	return done();
}
