/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device rules: the BPF program and the writes of version 1 must say what the rules say. */
#include <linux/bpf.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_device.h"
#include "ocispec.h"
#include "tap.h"

static struct err e;

/* Just the instructions that the programs use. -1: it ran away. */
static int interpret(const struct bpf_insn *p, size_t n, const uint32_t ctx[3])
{
	uint64_t r[11] = {0};

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &p[pc];
		uint64_t *d = &r[i->dst_reg];

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			*d = ctx[i->off / 4];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_X:
			*d = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			*d = (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			*d &= (uint64_t)(int64_t)i->imm;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			*d >>= i->imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			pc += (uint32_t)*d != (uint32_t)i->imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			pc += (uint32_t)*d == (uint32_t)i->imm ? (size_t)i->off : 0;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -1;
		}
	}
	return -1;
}

static bool program_says(const struct bpf_insn *p, size_t n, char type, uint32_t major,
                         uint32_t minor, unsigned access)
{
	uint32_t kernel = (access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
	                  (access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
	                  (access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);
	uint32_t ctx[3] = {kernel << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
	                   major, minor};

	return p ? interpret(p, n, ctx) == 1 : true;
}

/* Version 1 as in the kernel: a default and exceptions with exact numbers. */
struct v1 {
	bool allow;
	struct cgroup_device_rule ex[256];
	size_t n;
};

static void v1_write(struct v1 *k, const struct cgroup_device_write *w)
{
	struct cgroup_device_rule r = {.major = -1, .minor = -1};
	char access[8] = "", major[16], minor[16];
	size_t i;

	if (str_eq(w->text, "a")) {
		k->allow = w->allow;
		k->n = 0;
		return;
	}
	is_int(sscanf(w->text, "%c %15[^:]:%15s %7s", &r.type, major, minor, access), 4);
	r.major = str_eq(major, "*") ? -1 : strtoll(major, NULL, 10);
	r.minor = str_eq(minor, "*") ? -1 : strtoll(minor, NULL, 10);
	for (i = 0; access[i]; i++)
		r.access |= 1u << (strchr("rwm", access[i]) - "rwm");
	for (i = 0; i < k->n; i++)
		if (k->ex[i].type == r.type && k->ex[i].major == r.major &&
		    k->ex[i].minor == r.minor)
			break;
	if (w->allow == k->allow) { /* takes from an exception with the same numbers */
		if (i < k->n)
			k->ex[i].access &= ~r.access;
		return;
	}
	if (i == k->n)
		k->ex[k->n++] = (struct cgroup_device_rule){false, r.type, r.major, r.minor, 0};
	k->ex[i].access |= r.access;
}

static bool v1_says(const struct v1 *k, char type, int64_t major, int64_t minor, unsigned access)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct cgroup_device_rule *x = &k->ex[i];

		if (x->type != type || (x->major >= 0 && x->major != major) ||
		    (x->minor >= 0 && x->minor != minor))
			continue;
		/* allowed: one exception has all of it; denied: one has any of it */
		if (!k->allow && !(access & ~x->access))
			return true;
		if (k->allow && (access & x->access))
			return false;
	}
	return k->allow;
}

static unsigned seed = 1;

static unsigned dice(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static void rule_random(struct oci_device_cgroup *d, char *type, char *access)
{
	static const char *const accesses[] = {"r", "w", "m", "rw", "rwm", "rm", "wm", "rwm"};

	memset(d, 0, sizeof(*d));
	type[0] = "abc"[dice(3)];
	type[1] = '\0';
	(void)snprintf(access, 4, "%s", accesses[dice(8)]);
	d->allow = dice(2);
	d->type = type;
	d->access = access;
	d->has_major = dice(3) != 0;
	d->major = dice(3) ? (int64_t)dice(3) : 4294967295;
	d->has_minor = dice(3) != 0;
	d->minor = dice(3);
}

/* Asks about all that the rules can tell apart. */
static bool same_everywhere(const struct cgroup_device_rules *r, const struct bpf_insn *p, size_t n,
                            const struct v1 *k)
{
	static const int64_t majors[] = {0, 1, 2, 5, 136, 4294967295};

	for (unsigned access = 1; access <= DEVICE_ALL; access++)
		for (size_t i = 0; i < COUNT(majors) * 4; i++) {
			int64_t major = majors[i / 4], minor = (int64_t)i % 4;

			for (const char *t = "bc"; *t; t++) {
				bool want = cgroup_device_decide(r, *t, major, minor, access);

				if (p && program_says(p, n, *t, (uint32_t)major, (uint32_t)minor,
				                      access) != want)
					return false;
				/* Version 1 looks for one exception that has all of the access:
				 * it can only say no more often. */
				if (k && v1_says(k, *t, major, minor, access) && !want)
					return false;
				if (k && !(access & (access - 1)) &&
				    v1_says(k, *t, major, minor, access) != want)
					return false;
			}
		}
	return true;
}

static void test_random(void)
{
	int expressible = 0;

	for (int round = 0; round < 3000; round++) {
		struct oci_device_cgroup d[6];
		char types[6][2], accesses[6][4];
		struct cgroup_device_rules r;
		autofree struct bpf_insn *p = NULL;
		autofree struct cgroup_device_write *w = NULL;
		struct v1 k = {.allow = dice(2)};
		size_t n = dice(7), len, n_w;

		for (size_t i = 0; i < n; i++)
			rule_random(&d[i], types[i], accesses[i]);
		if (!ok(cgroup_device_rules_make(d, n, &r, &e) == 0))
			return;
		p = cgroup_device_program(&r, &len);
		ok(p || cgroup_device_all_allowed(&r));
		if (!ok(same_everywhere(&r, p, len, NULL)))
			return;
		if (cgroup_device_v1_writes(&r, &w, &n_w, &e) == 0) {
			expressible++;
			for (size_t i = 0; i < n_w; i++)
				v1_write(&k, &w[i]);
			if (!ok(same_everywhere(&r, NULL, 0, &k)))
				return;
		}
		cgroup_device_rules_free(&r);
	}
	ok(expressible > 300);
}

static void test_defaults(void)
{
	struct cgroup_device_rules r;

	is_int(cgroup_device_rules_make(NULL, 0, &r, &e), 0);
	ok(cgroup_device_decide(&r, 'c', 1, 3, DEVICE_ALL));
	ok(cgroup_device_decide(&r, 'c', 136, 77, DEVICE_READ | DEVICE_WRITE));
	ok(cgroup_device_decide(&r, 'b', 8, 0, DEVICE_MKNOD));
	ok(!cgroup_device_decide(&r, 'b', 8, 0, DEVICE_READ));
	ok(!cgroup_device_decide(&r, 'c', 10, 200, DEVICE_READ));
	ok(!cgroup_device_decide(&r, 'c', 5, 1, DEVICE_WRITE));
	cgroup_device_rules_free(&r);
}

static void test_all_allowed(void)
{
	struct oci_device_cgroup d = {.allow = true};
	struct cgroup_device_rules r;
	size_t n;

	is_int(cgroup_device_rules_make(&d, 1, &r, &e), 0);
	ok(cgroup_device_all_allowed(&r));
	ok(!cgroup_device_program(&r, &n));
	cgroup_device_rules_free(&r);
}

static void test_refused(void)
{
	/* version 14 moves these about each time */
	/* clang-format off */
	static const struct oci_device_cgroup bad[] = {
		{.type = (char *)"x"},
		{.type = (char *)"cc"},
		{.access = (char *)"rx"},
		{.has_major = true, .major = -5},
		{.has_minor = true, .minor = 4294967296},
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct cgroup_device_rules r;

		e.at[0] = '\0';
		ok(cgroup_device_rules_make(&bad[i], 1, &r, &e) < 0);
		is_str(e.at, "/linux/resources/devices/0");
	}
}

/* What version 1 has no way to say must not be left out. */
static void test_v1_part(void)
{
	struct oci_device_cgroup d[2] = {
		{.allow = true,     .type = (char *)"c", .has_major = true, .major = 10},
		{ .allow = false,
	         .type = (char *)"c",
	         .has_major = true,
	         .major = 10,
	         .has_minor = true,
	         .minor = 200},
	};
	struct cgroup_device_rules r;
	struct cgroup_device_write *w;
	size_t n;

	is_int(cgroup_device_rules_make(d, 2, &r, &e), 0);
	e.at[0] = '\0';
	ok(cgroup_device_v1_writes(&r, &w, &n, &e) < 0);
	is_str(e.at, "/linux/resources/devices/1");
	cgroup_device_rules_free(&r);
}

int main(void)
{
	RUN(test_random);
	RUN(test_defaults);
	RUN(test_all_allowed);
	RUN(test_refused);
	RUN(test_v1_part);
	return done();
}
