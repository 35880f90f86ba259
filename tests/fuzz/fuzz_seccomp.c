/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes as a profile, in a small code of its own; as a stored program; as base64. What is compiled
 * must be a program the kernel's checker takes: forward jumps inside of it, a return at the end. It
 * must answer what the profile says. */
#include <linux/filter.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/seccomp_prove.h"
#include "base/err.h"
#include "base/mem.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_compile.h"
#include "ocispec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES_MAX 200
#define PROVEN    16 /* rules; of more it takes too long */

static const char *const actions[] = {"SCMP_ACT_ALLOW",  "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
                                      "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_LOG",
                                      "SCMP_ACT_TRAP",   "SCMP_ACT_NOPE"};
static const char *const ops[] = {"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT",        "SCMP_CMP_LE",
                                  "SCMP_CMP_GT", "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ", ""};
static const char *const calls[] = {
	"read",  "socket", "semctl",  "clone",   "getpid", "socketcall", "ipc",         "ioctl",
	"mseal", "stat64", "nothing", "set_tls", "exit",   "send",       "personality", "openat2"};
static const uint32_t natives[] = {SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64, SCMP_ARCH_MIPS64,
                                   SCMP_ARCH_S390X};
static const char *const archs[] = {
	"SCMP_ARCH_X86",  "SCMP_ARCH_X32",    "SCMP_ARCH_ARM",       "SCMP_ARCH_MIPS",
	"SCMP_ARCH_S390", "SCMP_ARCH_X86_64", "SCMP_ARCH_MIPS64N32", "?"};

struct input {
	const uint8_t *p;
	size_t left;
};

static unsigned next(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

/* A pointer where the config has one that is not const. */
static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void program_check(const struct seccomp_program *p)
{
	if (p->n == 0 || p->n > BPF_MAXINSNS)
		abort();
	for (size_t i = 0; i < p->n; i++) {
		const struct sock_filter *f = &p->insns[i];
		bool jump = BPF_CLASS(f->code) == BPF_JMP;

		if (jump && BPF_OP(f->code) == BPF_JA && f->k >= p->n - i - 1)
			abort();
		if (jump && BPF_OP(f->code) != BPF_JA &&
		    (f->jt >= p->n - i - 1 || f->jf >= p->n - i - 1))
			abort();
		if (BPF_CLASS(f->code) == BPF_LD &&
		    (f->code != 0x20 || f->k >= 64 || f->k % 4 != 0))
			abort();
	}
	if (p->insns[p->n - 1].code != (BPF_RET | BPF_K))
		abort();
}

static const struct table *table_of(const struct seccomp_arch *a)
{
	static struct table tables[16];
	size_t i = 0;

	while (tables[i].arch != NULL && tables[i].arch != a)
		i++;
	if (tables[i].arch == NULL)
		table_make(&tables[i], a->token);
	return &tables[i];
}

static void program_prove(const struct oci_seccomp *p, const struct seccomp_program *out,
                          uint32_t native)
{
	struct table tables[4] = {*table_of(seccomp_arch_find(native))};
	struct proof proof = {.p = p,
	                      .tables = tables,
	                      .n_tables = 1,
	                      .ours = out->insns,
	                      .n_ours = out->n,
	                      .name = "fuzz",
	                      .limit = 500};
	int64_t token;

	for (size_t i = 0; i < p->n_architectures; i++) {
		names_find(&names_seccomp_archs, p->architectures[i], &token);
		const struct seccomp_arch *a = seccomp_arch_find((uint32_t)token);
		bool covered = !seccomp_arch_runs_on(a, native);

		for (size_t k = 0; k < proof.n_tables; k++)
			covered |= tables[k].arch == a;
		if (!covered)
			tables[proof.n_tables++] = *table_of(a);
	}
	if (proof_holds(&proof))
		return;
	fflush(stdout);
	abort();
}

static void fuzz_profile(struct input in)
{
	static struct oci_syscall rules[RULES_MAX];
	static struct oci_syscall_arg args[RULES_MAX][8];
	static char *names[RULES_MAX][2];
	char *listed[2] = {word(archs[next(&in) & 7]), word(archs[next(&in) & 7])};
	struct oci_seccomp p = {.default_action = word(actions[next(&in) & 7]),
	                        .architectures = listed,
	                        .n_architectures = next(&in) % 3,
	                        .syscalls = rules};
	uint32_t native = natives[next(&in) & 3];
	struct seccomp_program out;
	struct err e = {0};

	while (in.left > 0 && p.n_syscalls < RULES_MAX) {
		size_t i = p.n_syscalls++;
		unsigned head = next(&in);

		names[i][0] = word(calls[next(&in) & 15]);
		names[i][1] = word(calls[next(&in) & 15]);
		rules[i] = (struct oci_syscall){.names = names[i],
		                                .n_names = 1 + (head >> 6 & 1),
		                                .action = word(actions[head & 7]),
		                                .args = args[i],
		                                .n_args = head >> 3 & 7,
		                                .errno_ret = head,
		                                .has_errno_ret = head >> 7};
		for (size_t k = 0; k < rules[i].n_args; k++) {
			unsigned shape = next(&in), value = next(&in);

			args[i][k] = (struct oci_syscall_arg){.index = shape >> 3 & 7,
			                                      .op = word(ops[shape & 7]),
			                                      .value = (uint64_t)value
			                                               << (shape >> 6) * 13,
			                                      .value_two = value * 0x100000001ULL};
		}
	}
	if (seccomp_compile(&p, native, 0, &out, &e) < 0) {
		if (e.msg[0] == '\0' || out.insns != NULL)
			abort();
		return;
	}
	program_check(&out);
	if (p.n_syscalls <= PROVEN)
		program_prove(&p, &out, native);
	seccomp_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_program out;
	struct err e = {0};
	autofree char *text = xmalloc(size + 1);

	fuzz_profile((struct input){data, size});
	if (seccomp_from_bytes(data, size, &out, &e) == 0)
		seccomp_free(&out);
	memcpy(text, data, size);
	text[size] = '\0';
	if (seccomp_decode(text, NULL, &out, &e) == 0)
		seccomp_free(&out);
	return 0;
}
