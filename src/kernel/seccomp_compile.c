/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/seccomp_compile.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/str.h"
#include "base/sys.h"
#include "kernel/seccomp.h"
#include "kernel/seccomp_arch.h"
#include "kernel/seccomp_bpf.h"
#include "ocispec.h"

#define ARGS_MAX      6
#define ARCHS_MAX     4
#define X32_BIT       UINT32_C(0x40000000)
#define PRIVATE_CALLS UINT32_C(0x10000)
#define BAD_ARCH      SECCOMP_RET_KILL_THREAD /* as libseccomp */
#define ERRNO_MAX     4095                    /* its MAX_ERRNO */
#define SLOTS         1024
#define REPLY(nr)     (SECCOMP_RET_ERRNO | (nr))

struct cond {
	unsigned index;
	int op; /* SCMP_CMP_* */
	uint64_t value, mask;
};

struct rule {
	uint32_t action;
	unsigned n_conds; /* 0: always */
	const struct cond *conds;
};

/* Rules first ... first + n - 1 belong to entry i of the profile; none if it is void. */
struct entry {
	size_t first, n;
};

/* Rule number rule, or VOID, applies to call nr; part: only with that first argument, or -1. */
#define VOID UINT32_MAX
struct hit {
	uint32_t nr;
	uint32_t rule;
	int32_t part;
};

struct compiler {
	const struct oci_seccomp *profile;
	uint32_t default_action;
	unsigned options;
	bool notify;
	struct entry *entries;
	struct rule *rules;
	size_t n_rules;
	struct cond *conds;
	size_t n_conds;
	const struct seccomp_arch *archs[ARCHS_MAX]; /* the native one first */
	size_t n_archs;
	struct hit *hits;
	size_t n_hits, max_hits;
	struct bpf bpf;
};

/* ---- Reading the profile */

static int action_parse(const char *name, bool has_errno, uint32_t errno_ret, uint32_t *action,
                        struct err *e)
{
	int64_t base;

	if (name == NULL || !names_find(&names_seccomp_actions, name, &base))
		return fail(e, 0, "unknown seccomp action \"%.64s\"", name != NULL ? name : "");
	bool takes = (uint32_t)base == SECCOMP_RET_ERRNO || (uint32_t)base == SECCOMP_RET_TRACE;

	if (has_errno && !takes)
		return fail(e, 0, "seccomp action %s takes no errno", name);
	/* the kernel returns no errno above ERRNO_MAX, but a tracer gets what it is given */
	if (has_errno &&
	    errno_ret > ((uint32_t)base == SECCOMP_RET_ERRNO ? ERRNO_MAX : SECCOMP_RET_DATA))
		return fail(e, 0, "errno %u is out of range", errno_ret);
	*action = (uint32_t)base | (takes ? (has_errno ? errno_ret : EPERM) : 0);
	return 0;
}

static int cond_parse(const struct oci_syscall_arg *arg, struct cond *c, struct err *e)
{
	int64_t op;

	if (arg->index >= ARGS_MAX)
		return fail(e, 0, "a system call has no argument %u", arg->index);
	if (arg->op == NULL || !names_find(&names_seccomp_operators, arg->op, &op))
		return fail(e, 0, "unknown comparison \"%.64s\"", arg->op != NULL ? arg->op : "");
	*c = (struct cond){arg->index, (int)op, arg->value, UINT64_MAX};
	if (op == SCMP_CMP_MASKED_EQ) {
		c->mask = arg->value;
		c->value = arg->value_two & arg->value;
	}
	return 0;
}

/* One rule, or as many as there are conditions when two are about the same argument. */
static void rules_add(struct compiler *c, uint32_t action, const struct cond *conds, unsigned n)
{
	unsigned seen = 0;
	bool split = false;

	for (unsigned i = 0; i < n; i++) {
		split |= seen >> conds[i].index & 1;
		seen |= 1U << conds[i].index;
	}
	for (unsigned i = 0; split && i < n; i++)
		c->rules[c->n_rules++] = (struct rule){action, 1, &conds[i]};
	if (!split)
		c->rules[c->n_rules++] = (struct rule){action, n, conds};
}

static int entry_parse(struct compiler *c, size_t i, struct err *e)
{
	const struct oci_syscall *s = &c->profile->syscalls[i];
	struct cond *conds = c->conds + c->n_conds;
	uint32_t action;

	if (action_parse(s->action, s->has_errno_ret, s->errno_ret, &action, e) < 0)
		return fail_at(e, "/linux/seccomp/syscalls/%zu/action", i);
	for (size_t k = 0; k < s->n_args; k++)
		if (cond_parse(&s->args[k], &c->conds[c->n_conds++], e) < 0)
			return fail_at(e, "/linux/seccomp/syscalls/%zu/args/%zu", i, k);
	c->entries[i].first = c->n_rules;
	if (action != c->default_action)
		rules_add(c, action, conds, (unsigned)s->n_args);
	c->entries[i].n = c->n_rules - c->entries[i].first;
	c->notify |= action == SECCOMP_RET_USER_NOTIF;
	return 0;
}

static int archs_parse(struct compiler *c, uint32_t native, struct err *e)
{
	int64_t token;

	c->archs[0] = seccomp_arch_find(native);
	c->n_archs = 1;
	if (c->archs[0] == NULL)
		return fail(e, 0, "seccomp is not supported on this architecture (%#x)", native);
	for (size_t i = 0; i < c->profile->n_architectures; i++) {
		const char *name = c->profile->architectures[i];
		const struct seccomp_arch *a;
		size_t k = 0;

		if (!names_find(&names_seccomp_archs, name, &token)) {
			fail(e, 0, "unknown architecture \"%.64s\"", name);
			return fail_at(e, "/linux/seccomp/architectures/%zu", i);
		}
		a = seccomp_arch_find((uint32_t)token);
		while (k < c->n_archs && c->archs[k] != a)
			k++;
		/* programs of others never get to run, so there is nothing to decide for them */
		if (a != NULL && k == c->n_archs && k < ARCHS_MAX &&
		    seccomp_arch_runs_on(a, native))
			c->archs[c->n_archs++] = a;
	}
	return 0;
}

static int profile_parse(struct compiler *c, uint32_t native, struct err *e)
{
	const struct oci_seccomp *p = c->profile;
	size_t n_args = 0, n_rules = p->n_syscalls;

	if (action_parse(p->default_action, p->has_default_errno_ret, p->default_errno_ret,
	                 &c->default_action, e) < 0)
		return fail_at(e, "/linux/seccomp/defaultAction");
	if (p->listener_metadata != NULL && *p->listener_metadata != '\0' &&
	    (p->listener_path == NULL || *p->listener_path == '\0')) {
		fail(e, 0, "listenerMetadata without listenerPath");
		return fail_at(e, "/linux/seccomp/listenerMetadata");
	}
	c->notify = c->default_action == SECCOMP_RET_USER_NOTIF;
	TRY(archs_parse(c, native, e));
	for (size_t i = 0; i < p->n_syscalls; i++)
		n_args += p->syscalls[i].n_args;
	c->entries = xcalloc(p->n_syscalls + 1, sizeof(*c->entries));
	c->rules = xcalloc(n_rules + n_args + 1, sizeof(*c->rules));
	c->conds = xcalloc(n_args + 1, sizeof(*c->conds));
	for (size_t i = 0; i < p->n_syscalls; i++)
		TRY(entry_parse(c, i, e));
	return 0;
}

/* ---- Names to numbers, for one architecture */

static void hit_add(struct compiler *c, uint32_t nr, uint32_t rule, int32_t part)
{
	if (c->n_hits == c->max_hits) {
		c->max_hits = c->max_hits * 2 + 512;
		c->hits = xrealloc(c->hits, c->max_hits, sizeof(*c->hits));
	}
	c->hits[c->n_hits++] = (struct hit){nr, rule, part};
}

static int name_unknown(const struct compiler *c, size_t i, size_t k, struct err *e)
{
	const char *name = c->profile->syscalls[i].names[k];

	if (!(c->options & SECCOMP_FAIL_UNKNOWN)) {
		log_debug("unknown system call \"%.64s\" in the seccomp profile, ignoring", name);
		return 0;
	}
	fail(e, 0, "unknown system call \"%.64s\"", name);
	return fail_at(e, "/linux/seccomp/syscalls/%zu/names/%zu", i, k);
}

/* *past: the number after the highest one named, or 0. */
static int entry_resolve(struct compiler *c, const struct seccomp_arch *a, size_t i, uint32_t *past,
                         struct err *e)
{
	const struct oci_syscall *s = &c->profile->syscalls[i];
	const struct entry *entry = &c->entries[i];

	for (size_t k = 0; k < s->n_names; k++) {
		struct seccomp_call call = seccomp_call_find(a, s->names[k]);

		if (!call.known && a == c->archs[0])
			TRY(name_unknown(c, i, k, e));
		/* arm has calls of its own far above the common ones: named, they are not newer */
		if (call.has_nr && call.nr - a->base >= PRIVATE_CALLS)
			hit_add(c, call.nr, VOID, -1);
		else if (call.has_nr && call.nr >= *past)
			*past = call.nr + 1;
		if (call.has_mux && call.mux_nr >= *past)
			*past = call.mux_nr + 1;
		for (size_t r = entry->first; r < entry->first + entry->n; r++) {
			if (call.has_nr)
				hit_add(c, call.nr, (uint32_t)r, -1);
			if (call.has_mux)
				hit_add(c, call.mux_nr, (uint32_t)r, (int32_t)call.mux_part);
		}
	}
	return 0;
}

static size_t hit_slot(const struct hit *h, uint32_t base)
{
	return h->nr - base < SLOTS ? h->nr - base : SLOTS - 1;
}

static int hit_compare(const void *left, const void *right)
{
	const struct hit *a = left, *b = right;

	if (a->nr != b->nr)
		return a->nr < b->nr ? -1 : 1;
	return a->rule < b->rule ? -1 : a->rule > b->rule;
}

/* By number; of one number in the order of the profile, in which they were added. Counting is much
 * faster than qsort(3); the last slot has what is beyond, a handful on arm. */
static void hits_sort(struct compiler *c, uint32_t base)
{
	uint32_t starts[SLOTS + 1] = {0};
	struct hit *sorted = xmalloc((c->n_hits + 1) * sizeof(*sorted));
	size_t last;

	for (size_t i = 0; i < c->n_hits; i++)
		starts[hit_slot(&c->hits[i], base) + 1]++;
	for (size_t slot = 0; slot < SLOTS; slot++)
		starts[slot + 1] += starts[slot];
	last = starts[SLOTS - 1];
	for (size_t i = 0; i < c->n_hits; i++)
		sorted[starts[hit_slot(&c->hits[i], base)]++] = c->hits[i];
	qsort(sorted + last, c->n_hits - last, sizeof(*sorted), hit_compare);
	free(c->hits);
	c->hits = sorted;
	c->max_hits = c->n_hits + 1;
}

/* ---- Conditions */

struct word {
	uint32_t offset, value, mask;
};

/* The low (0) or high (1) half of an argument. */
static struct word cond_word(const struct seccomp_arch *a, const struct cond *c, int high)
{
	uint32_t offset = (uint32_t)offsetof(struct seccomp_data, args) + 8 * c->index;

	offset += a->big != (high != 0) ? 4 : 0;
	return (struct word){offset, (uint32_t)(c->value >> 32 * high),
	                     (uint32_t)(c->mask >> 32 * high)};
}

static struct bpf_to word_equal(struct bpf *b, struct word w, struct bpf_to yes, struct bpf_to no)
{
	struct bpf_to at;

	if (w.mask == 0)
		return yes; /* the value has no other bits */
	at = bpf_jump(b, BPF_JEQ, w.value, yes, no);
	if (w.mask != UINT32_MAX)
		bpf_and(b, w.mask);
	at = bpf_load(b, w.offset);
	return at;
}

/* argument > value, or with BPF_JGE argument >= value */
static struct bpf_to word_above(struct bpf *b, unsigned op, struct word low,
                                const struct word *high, struct bpf_to yes, struct bpf_to no)
{
	struct bpf_to at;

	bpf_jump(b, op, low.value, yes, no);
	at = bpf_load(b, low.offset);
	if (high == NULL)
		return at;
	at = bpf_jump(b, BPF_JEQ, high->value, at, no);
	bpf_jump(b, BPF_JGT, high->value, yes, at);
	return bpf_load(b, high->offset);
}

/* narrow: the kernel looks at 32 bits of it, which are below any value that has more. */
static struct bpf_to cond_emit(struct bpf *b, const struct seccomp_arch *a, const struct cond *c,
                               bool narrow, struct bpf_to yes, struct bpf_to no)
{
	struct word low = cond_word(a, c, 0), high = cond_word(a, c, 1);
	const struct word *upper = narrow || !a->wide ? NULL : &high;

	if (narrow && a->wide && high.value != 0) {
		if (c->op == SCMP_CMP_LT || c->op == SCMP_CMP_LE)
			return yes;
		if (c->op == SCMP_CMP_GT || c->op == SCMP_CMP_GE)
			return no;
	}
	switch (c->op) {
	case SCMP_CMP_EQ:
	case SCMP_CMP_MASKED_EQ:
		yes = word_equal(b, low, yes, no);
		return upper != NULL ? word_equal(b, high, yes, no) : yes;
	case SCMP_CMP_NE:
		no = word_equal(b, low, no, yes);
		return upper != NULL ? word_equal(b, high, no, yes) : no;
	case SCMP_CMP_GT:
		return word_above(b, BPF_JGT, low, upper, yes, no);
	case SCMP_CMP_GE:
		return word_above(b, BPF_JGE, low, upper, yes, no);
	case SCMP_CMP_LT:
		return word_above(b, BPF_JGE, low, upper, no, yes);
	default: /* SCMP_CMP_LE */
		return word_above(b, BPF_JGT, low, upper, no, yes);
	}
}

static struct bpf_to rule_emit(struct compiler *c, const struct seccomp_arch *a,
                               const struct hit *h, bool is_ioctl, struct bpf_to no)
{
	const struct rule *r = &c->rules[h->rule];
	struct bpf_to yes = bpf_action(r->action);

	for (unsigned i = r->n_conds; i-- > 0;) {
		/* of a multiplexed call argument 0 tells the part */
		if (h->part >= 0 && r->conds[i].index == 0)
			continue;
		yes = cond_emit(&c->bpf, a, &r->conds[i], is_ioctl && r->conds[i].index == 1, yes,
		                no);
	}
	if (h->part >= 0) {
		struct cond part = {0, SCMP_CMP_EQ, (uint64_t)h->part, UINT64_MAX};

		yes = cond_emit(&c->bpf, a, &part, false, yes, no);
	}
	return yes;
}

/* What becomes of a call that has n rules: an action, or code that looks at the arguments. */
static struct bpf_to call_emit(struct compiler *c, const struct seccomp_arch *a,
                               const struct hit *hits, size_t n, bool is_ioctl)
{
	struct bpf_to to = bpf_action(c->default_action);

	for (size_t i = 0; i < n; i++)
		if (hits[i].rule != VOID && c->rules[hits[i].rule].n_conds == 0 && hits[i].part < 0)
			return bpf_action(c->rules[hits[i].rule].action);
	for (size_t i = n; i-- > 0;)
		if (hits[i].rule != VOID)
			to = rule_emit(c, a, &hits[i], is_ioctl, to);
	return to;
}

/* ---- Numbers to code: runs of numbers with the same fate, found by halving */

struct run {
	uint32_t start;
	struct bpf_to to;
};

struct runs {
	struct run *v;
	size_t n;
};

static bool to_equal(struct bpf_to a, struct bpf_to b)
{
	return a.is_action == b.is_action && a.value == b.value;
}

/* From start on the fate is to; starts come in rising order, the last one of a start counts. */
static void runs_add(struct runs *r, uint32_t start, struct bpf_to to)
{
	if (r->n > 0 && r->v[r->n - 1].start == start)
		r->n--;
	if (r->n > 0 && to_equal(r->v[r->n - 1].to, to))
		return;
	r->v[r->n++] = (struct run){start, to};
}

static struct bpf_to runs_emit(struct bpf *b, const struct run *v, size_t n)
{
	struct bpf_to above, below;

	if (n == 1)
		return v->to;
	above = runs_emit(b, v + n / 2, n - n / 2);
	below = runs_emit(b, v, n / 2);
	return bpf_jump(b, BPF_JGE, v[n / 2].start, above, below);
}

/* The fate of a number past all that the profile names: see seccomp_compile.h. */
static struct bpf_to tail_action(const struct compiler *c)
{
	if (c->default_action == REPLY(EPERM))
		return bpf_action(REPLY(ENOSYS));
	return bpf_action(c->default_action);
}

/* Adds the runs of one architecture; its numbers begin at its base. */
static int arch_runs(struct compiler *c, const struct seccomp_arch *a, struct runs *runs,
                     struct err *e)
{
	struct bpf_to fallback = bpf_action(c->default_action);
	struct seccomp_call ioctl_call = seccomp_call_find(a, "ioctl");
	struct bpf_to tail;
	uint32_t past = 0;
	size_t n;

	c->n_hits = 0;
	for (size_t i = 0; i < c->profile->n_syscalls; i++)
		TRY(entry_resolve(c, a, i, &past, e));
	tail = past > 0 ? tail_action(c) : fallback;
	hits_sort(c, a->base);
	runs->v = xrealloc(runs->v, runs->n + 2 * c->n_hits + 8, sizeof(*runs->v));
	runs_add(runs, a->token == SCMP_ARCH_X32 ? X32_BIT : 0, fallback);
	for (size_t i = 0; i < c->n_hits; i += n) {
		const struct hit *h = &c->hits[i];
		bool is_ioctl = ioctl_call.has_nr && h->nr == ioctl_call.nr;

		for (n = 1; i + n < c->n_hits && h[n].nr == h->nr;)
			n++;
		if (h->nr >= past && runs->v[runs->n - 1].start < past)
			runs_add(runs, past, tail);
		runs_add(runs, h->nr, call_emit(c, a, h, n, is_ioctl));
		runs_add(runs, h->nr + 1, h->nr + 1 < past ? fallback : tail);
	}
	if (past > 0 && (c->n_hits == 0 || c->hits[c->n_hits - 1].nr + 1 < past))
		runs_add(runs, past, tail);
	return 0;
}

/* The code for one value of the audit architecture. x86_64 and x32 share theirs. */
static int arch_emit(struct compiler *c, const struct seccomp_arch *a, struct bpf_to *at,
                     struct err *e)
{
	struct runs runs = {0};
	autofree struct run *owner = NULL;
	int rc = arch_runs(c, a, &runs, e);

	if (rc == 0 && a->token == SCMP_ARCH_X86_64) {
		const struct seccomp_arch *x32 = NULL;
		struct bpf_to last = runs.v[runs.n - 1].to;

		for (size_t i = 0; i < c->n_archs; i++)
			if (c->archs[i]->token == SCMP_ARCH_X32)
				x32 = c->archs[i];
		if (x32 != NULL)
			rc = arch_runs(c, x32, &runs, e);
		else
			runs_add(&runs, X32_BIT, bpf_action(BAD_ARCH));
		/* -1 is no x32 call but what a tracer leaves to skip one */
		if (rc == 0 && x32 == NULL)
			runs_add(&runs, UINT32_MAX, last);
	}
	owner = runs.v;
	TRY(rc);
	*at = runs_emit(&c->bpf, runs.v, runs.n);
	if (!at->is_action)
		*at = bpf_load(&c->bpf, offsetof(struct seccomp_data, nr));
	return 0;
}

/* ---- The whole program */

static int program_emit(struct compiler *c, struct err *e)
{
	struct bpf_to at[ARCHS_MAX] = {0}, next = bpf_action(BAD_ARCH);
	const struct seccomp_arch *shared =
		c->archs[0]->token == SCMP_ARCH_X86_64 ? c->archs[0] : NULL;

	for (size_t i = c->n_archs; i-- > 0;)
		if (shared == NULL || c->archs[i] == shared || c->archs[i]->audit != shared->audit)
			TRY(arch_emit(c, c->archs[i], &at[i], e));
	for (size_t i = c->n_archs; i-- > 0;)
		if (shared == NULL || c->archs[i] == shared || c->archs[i]->audit != shared->audit)
			next = bpf_jump(&c->bpf, BPF_JEQ, c->archs[i]->audit, at[i], next);
	bpf_load(&c->bpf, offsetof(struct seccomp_data, arch));
	if (c->bpf.full)
		return fail(e, 0, "the seccomp profile needs more than %d instructions",
		            BPF_MAXINSNS);
	return 0;
}

int seccomp_flags(const struct oci_seccomp *profile, unsigned *flags, struct err *e)
{
	int64_t bit;

	*flags = 0;
	for (size_t i = 0; i < profile->n_flags; i++) {
		if (!names_find(&names_seccomp_flags, profile->flags[i], &bit)) {
			fail(e, 0, "unknown seccomp flag \"%.64s\"", profile->flags[i]);
			return fail_at(e, "/linux/seccomp/flags/%zu", i);
		}
		*flags |= (unsigned)bit;
	}
	return 0;
}

int seccomp_compile(const struct oci_seccomp *profile, uint32_t native, unsigned options,
                    struct seccomp_program *out, struct err *e)
{
	struct compiler c = {.profile = profile, .options = options};
	struct sock_filter *slots = xmalloc(BPF_MAXINSNS * sizeof(*slots));
	int rc;

	*out = (struct seccomp_program){0};
	bpf_begin(&c.bpf, slots, BPF_MAXINSNS);
	rc = seccomp_flags(profile, &out->flags, e);
	if (rc == 0)
		rc = profile_parse(&c, native, e);
	if (rc == 0)
		rc = program_emit(&c, e);
	if (rc == 0) {
		out->n = c.bpf.n;
		out->notify = c.notify;
		memmove(slots, slots + BPF_MAXINSNS - c.bpf.n, c.bpf.n * sizeof(*slots));
		out->insns = take_ptr(&slots);
	}
	free(slots);
	free(c.entries);
	free(c.rules);
	free(c.conds);
	free(c.hits);
	return rc;
}
