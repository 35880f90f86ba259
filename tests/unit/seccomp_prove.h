/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Proof, for every call there can be, that a filter answers what its profile says, and what
 * libseccomp's filter for the same profile answers.
 *
 * A filter sees 16 words of 32 bits and asks each only whether it, or some of its bits, equals or
 * is above a constant. So architecture and number are tried with one value of each class that no
 * constant of any of the programs tells apart, and arguments are not tried at all: whoever wants to
 * know something of one asks a trail, which answers yes and, when all is run again, no, as far as
 * what was answered before leaves both open. So every path through all the judges at once is
 * walked, and what is not walked is not possible. */
#pragma once

#include <stdio.h>

#include "seccomp_judge.h"

#define FACTS_MAX 8192
#define WORD_MAX  1024 /* of one word */
#define X32_FIRST 0x40000000U

/* ---- What is known of the words of a call */

struct fact {
	unsigned word;
	uint32_t mask, k;
	unsigned op;
	bool holds;
	bool open; /* the other answer is to be tried yet */
	bool new;  /* it does not follow from those before */
};

struct trail {
	uint32_t arch, nr;
	struct fact facts[FACTS_MAX];
	size_t n, at;
	bool full;
};

/* Bit by bit from the highest. order: how the masked word compares so far with each k. */
static inline bool bits_solve(const struct fact *const *f, size_t n, const signed char *order,
                              int bit, uint32_t above, uint32_t *value)
{
	signed char next[2][WORD_MAX];
	bool good[2] = {true, true};

	if (bit < 0) {
		for (size_t i = 0; i < n; i++)
			if (fact_value(f[i]->op, order[i]) != f[i]->holds)
				return false;
		*value = above;
		return true;
	}
	for (int b = 0; b < 2; b++)
		for (size_t i = 0; i < n; i++) {
			int have = b && (f[i]->mask >> bit & 1), want = f[i]->k >> bit & 1;

			next[b][i] = (signed char)(order[i] != 0 ? order[i] : have - want);
			if (next[b][i] != 0 && fact_value(f[i]->op, next[b][i]) != f[i]->holds)
				good[b] = false;
		}
	if (good[0] && bits_solve(f, n, next[0], bit - 1, above, value))
		return true;
	return good[1] && (!good[0] || memcmp(next[0], next[1], n) != 0) &&
	       bits_solve(f, n, next[1], bit - 1, above | 1U << bit, value);
}

/* A value of this word of which all that was answered so far, and last, holds. */
static inline bool word_solve(const struct trail *t, unsigned word, const struct fact *last,
                              uint32_t *value)
{
	const struct fact *of_word[WORD_MAX];
	signed char order[WORD_MAX] = {0};
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->facts[i].word == word && t->facts[i].new)
			of_word[n++] = &t->facts[i];
	if (last != NULL)
		of_word[n++] = last;
	return bits_solve(of_word, n, order, 31, 0, value);
}

static inline bool trail_ask(void *trail, unsigned word, uint32_t mask, unsigned op, uint32_t k)
{
	struct trail *t = trail;
	struct fact yes = {word, mask, k, op, true, false, false}, no = yes;
	uint32_t known = word == 0 ? t->nr : t->arch, value;
	size_t of_word = 0;

	if (word < 2)
		return fact_value(op, word_order(known, mask, k));
	for (size_t i = 0; i < t->at; i++) { /* several judges ask the same */
		const struct fact *f = &t->facts[i];

		if (f->word == word && f->mask == mask && f->op == op && f->k == k)
			return f->holds;
		if (f->word == word && f->mask == UINT32_MAX && f->op == BPF_JEQ && f->holds)
			return fact_value(op, word_order(f->k, mask, k));
		of_word += f->word == word && f->new;
	}
	if (t->at < t->n) {
		struct fact *f = &t->facts[t->at++];

		if (f->word != word || f->mask != mask || f->k != k || f->op != op)
			abort(); /* a judge that does not say the same twice */
		return f->holds;
	}
	if (t->n == FACTS_MAX || of_word == WORD_MAX - 1) {
		t->full = true;
		return false;
	}
	no.holds = false;
	bool can = word_solve(t, word, &yes, &value), cannot = word_solve(t, word, &no, &value);

	t->facts[t->n] = can ? yes : no;
	t->facts[t->n].open = t->facts[t->n].new = can &&cannot;
	t->at = ++t->n;
	return can;
}

/* To the last question whose other answer is open; false if there is none. */
static inline bool trail_next(struct trail *t)
{
	while (t->n > 0 && !t->facts[t->n - 1].open)
		t->n--;
	if (t->n == 0)
		return false;
	t->facts[t->n - 1].open = false;
	t->facts[t->n - 1].holds = false;
	t->at = 0;
	return true;
}

/* A call that takes this path. */
static inline struct call trail_call(const struct trail *t, bool big)
{
	struct call c = {.arch = t->arch, .nr = t->nr, .big = big};

	for (unsigned word = 4; word < 16; word++) {
		uint32_t value = 0;

		word_solve(t, word, NULL, &value);
		c.args[(word - 4) / 2] |= (uint64_t)value << ((word % 2 != 0) != big ? 32 : 0);
	}
	return c;
}

/* ---- Judges that ask */

/* One condition, of 64 bits, as the specification has it; narrow: of the lower 32. */
static inline bool cond_ask(struct trail *t, const struct oci_syscall_arg *c, bool big, bool narrow)
{
	unsigned low = 4 + 2 * c->index + big, high = 4 + 2 * c->index + !big;
	uint32_t value = (uint32_t)c->value, upper = (uint32_t)(c->value >> 32);
	uint64_t two = c->value_two & c->value;
	const char *op = c->op + strlen("SCMP_CMP_");
	bool or_equal = op[1] == 'E';

	switch (*op) {
	case 'M':
		return (narrow || trail_ask(t, high, upper, BPF_JEQ, (uint32_t)(two >> 32))) &&
		       trail_ask(t, low, value, BPF_JEQ, (uint32_t)two);
	case 'E':
	case 'N':
		return ((narrow || trail_ask(t, high, UINT32_MAX, BPF_JEQ, upper)) &&
		        trail_ask(t, low, UINT32_MAX, BPF_JEQ, value)) == (*op == 'E');
	case 'G':
		if (!narrow && trail_ask(t, high, UINT32_MAX, BPF_JGT, upper))
			return true;
		return (narrow || trail_ask(t, high, UINT32_MAX, BPF_JEQ, upper)) &&
		       trail_ask(t, low, UINT32_MAX, or_equal ? BPF_JGE : BPF_JGT, value);
	default: /* below is not above or equal, below or equal is not above */
		if (!narrow && trail_ask(t, high, UINT32_MAX, BPF_JGT, upper))
			return false;
		return (!narrow && !trail_ask(t, high, UINT32_MAX, BPF_JEQ, upper)) ||
		       !trail_ask(t, low, UINT32_MAX, or_equal ? BPF_JGT : BPF_JGE, value);
	}
}

/* The request of ioctl(2), of which the kernel looks at 32 bits: so it is below what has more. */
static inline bool request_ask(struct trail *t, const struct oci_syscall_arg *c, bool big)
{
	char first = c->op[strlen("SCMP_CMP_")];

	if (c->value >> 32 != 0 && (first == 'L' || first == 'G'))
		return first == 'L';
	return cond_ask(t, c, big, true);
}

/* Two conditions on one argument: each is a rule of its own. */
static inline bool args_split(const struct oci_syscall *s)
{
	unsigned seen = 0, again = 0;

	for (size_t i = 0; i < s->n_args; i++) {
		again |= seen & 1U << s->args[i].index;
		seen |= 1U << s->args[i].index;
	}
	return again != 0;
}

/* part: of a multiplexed call, of which argument 0 tells the part, or -1. */
static inline bool entry_ask(struct trail *t, const struct oci_syscall *s,
                             const struct seccomp_arch *a, bool is_ioctl, int part)
{
	struct oci_syscall_arg first = {0, (uint64_t)part, 0, (char[]){"SCMP_CMP_EQ"}};
	bool split = args_split(s);

	if (part >= 0 && !cond_ask(t, &first, a->big, !a->wide))
		return false;
	for (size_t i = 0; i < s->n_args; i++) {
		const struct oci_syscall_arg *c = &s->args[i];
		bool request = a->wide && is_ioctl && c->index == 1;
		bool holds =
			(part >= 0 && c->index == 0) ||
			(request ? request_ask(t, c, a->big) : cond_ask(t, c, a->big, !a->wide));

		if (holds == split)
			return split;
	}
	return !split;
}

static inline bool entry_names(const struct oci_syscall *s, const char *name)
{
	for (size_t k = 0; k < s->n_names && name != NULL; k++)
		if (strcmp(s->names[k], name) == 0)
			return true;
	return false;
}

static inline uint32_t entry_action(const struct oci_syscall *s)
{
	return action_of(s->action, s->has_errno_ret, s->errno_ret);
}

static inline const char *table_name(const struct table *t, uint32_t nr)
{
	uint32_t at = nr - t->arch->base;

	if (at < NAMED)
		return t->names[at];
	return at - PRIVATE < COUNT(t->private) ? t->private[at - PRIVATE] : NULL;
}

/* The parts of the multiplexed call of this number, or NULL. */
static inline char *const *table_parts(const struct table *t, uint32_t nr)
{
	if (nr == t->socketcall && nr != UINT32_MAX)
		return t->socket_parts;
	return nr == t->ipc && nr != UINT32_MAX ? t->ipc_parts : NULL;
}

/* The fate of a call that the profile names; false if it does not. */
static inline bool text_find(const struct oci_seccomp *p, const struct table *t,
                             struct trail *trail, uint32_t *action)
{
	const char *name = table_name(t, trail->nr);
	char *const *parts = table_parts(t, trail->nr);
	uint32_t base = default_of(p);
	bool is_ioctl = name != NULL && strcmp(name, "ioctl") == 0;

	for (size_t i = 0; i < p->n_syscalls; i++) {
		*action = entry_action(&p->syscalls[i]);
		if (*action != base && p->syscalls[i].n_args == 0 &&
		    entry_names(&p->syscalls[i], name))
			return true;
	}
	for (size_t i = 0; i < p->n_syscalls; i++) {
		const struct oci_syscall *s = &p->syscalls[i];

		*action = entry_action(s);
		if (*action == base)
			continue;
		if (entry_names(s, name) && entry_ask(trail, s, t->arch, is_ioctl, -1))
			return true;
		for (int part = 1; part < 32 && parts != NULL; part++)
			if (entry_names(s, parts[part]) &&
			    entry_ask(trail, s, t->arch, false, part))
				return true;
	}
	return false;
}

/* Whether the profile names this number, or a part of it, in whatever rule. */
static inline bool text_names(const struct oci_seccomp *p, const struct table *t, uint32_t nr)
{
	const char *name = table_name(t, nr);
	char *const *parts = table_parts(t, nr);
	bool named = false;

	for (size_t i = 0; i < p->n_syscalls && !named; i++) {
		named = entry_names(&p->syscalls[i], name);
		for (int part = 1; part < 32 && parts != NULL; part++)
			named |= entry_names(&p->syscalls[i], parts[part]);
	}
	return named;
}

/* ---- The proof */

struct proof {
	const struct oci_seccomp *p;
	const struct table *tables; /* of the architectures that are covered, the kernel's first */
	size_t n_tables;
	uint32_t past[4]; /* the number after all those the profile names there, or 0 */
	const struct sock_filter *ours;
	size_t n_ours;
	const struct program *library; /* or NULL */
	/* Where the library may answer otherwise; NULL: nowhere but past the profile's calls. */
	bool (*excused)(const struct proof *p, const struct table *t, const struct call *c);
	const char *name;
	unsigned long classes, paths, by_library;
	bool quiet, failed;
	size_t limit; /* of the paths for one number, or 0: the proof is no proof then */
	struct call witness;
};

/* The table a call falls under, or NULL: it is of no architecture that is covered. */
static inline const struct table *proof_table(const struct proof *p, uint32_t arch, uint32_t nr)
{
	const struct table *found = NULL;
	bool is_x32 = arch == SCMP_ARCH_X86_64 && nr >= X32_FIRST;

	for (size_t i = 0; i < p->n_tables; i++) {
		const struct seccomp_arch *a = p->tables[i].arch;

		if (a->audit == arch && (a->token == SCMP_ARCH_X32) == is_x32)
			found = &p->tables[i];
	}
	/* -1 is what a tracer leaves to skip a call, so without x32 it is a number like others */
	if (found == NULL && is_x32 && nr == UINT32_MAX)
		return proof_table(p, arch, X32_FIRST - 1);
	return found;
}

/* Newer than all that the profile names. */
static inline bool proof_newer(const struct proof *p, const struct table *t, uint32_t nr)
{
	uint32_t past = p->past[t - p->tables];

	return past > 0 && nr >= past && !text_names(p->p, t, nr);
}

static inline uint32_t proof_text(const struct proof *p, const struct table *t, struct trail *trail)
{
	uint32_t action;

	if (t == NULL)
		return SECCOMP_RET_KILL_THREAD;
	if (text_find(p->p, t, trail, &action))
		return action;
	action = default_of(p->p);
	if (action == (SECCOMP_RET_ERRNO | EPERM) && proof_newer(p, t, trail->nr))
		return SECCOMP_RET_ERRNO | ENOSYS;
	return action;
}

static inline void proof_fail(struct proof *p, const char *what, const struct trail *t, bool big,
                              uint32_t got, uint32_t want)
{
	struct call c = trail_call(t, big);

	if (!p->failed)
		p->witness = c;
	if (!p->failed && !p->quiet)
		printf("# %s, %s: arch %08x nr %#x args %llx %llx %llx %llx %llx %llx: got %08x, "
		       "want %08x\n",
		       p->name, what, c.arch, c.nr, (unsigned long long)c.args[0],
		       (unsigned long long)c.args[1], (unsigned long long)c.args[2],
		       (unsigned long long)c.args[3], (unsigned long long)c.args[4],
		       (unsigned long long)c.args[5], got, want);
	p->failed = true;
}

/* All the arguments of one number. */
static inline void proof_call(struct proof *p, struct trail *t)
{
	const struct table *table = proof_table(p, t->arch, t->nr);
	bool big = p->tables[0].arch->big;
	uint32_t got, want;

	size_t left = p->limit;

	t->n = t->at = 0;
	p->classes++;
	do {
		got = machine_ask(p->ours, p->n_ours, trail_ask, t);
		want = proof_text(p, table, t);
		if (got != want)
			proof_fail(p, "text", t, big, got, want);
		p->paths++;
		if (p->library == NULL)
			continue;
		uint32_t theirs = machine_ask(p->library->insns, p->library->n, trail_ask, t);
		struct call c = trail_call(t, big);

		bool newer = table != NULL && proof_newer(p, table, t->nr);

		/* of big-endian programs it leaves some of the values it returns in our order */
		if (theirs == want || (big && be32toh(theirs) == want) ||
		    (newer && theirs == default_of(p->p)) ||
		    (newer && big && be32toh(theirs) == default_of(p->p)))
			p->by_library++;
		else if (p->excused == NULL || !p->excused(p, table, &c))
			proof_fail(p, "library", t, big, want, theirs);
	} while (!t->full && --left != 0 && trail_next(t));
	if (t->full)
		proof_fail(p, "too many conditions", t, big, 0, 0);
}

/* ---- Classes of numbers and architectures */

struct values {
	uint32_t *v;
	size_t n, max;
};

static inline void values_add(struct values *s, uint32_t value)
{
	if (s->n == s->max) {
		s->max = s->max * 2 + 4096;
		s->v = xrealloc(s->v, s->max, sizeof(*s->v));
	}
	s->v[s->n++] = value;
}

/* What a program compares this word with, and what comes after it. words: for each instruction,
 * which words the accumulator may hold there; jumps go forward only. */
static inline void values_of(struct values *s, const struct sock_filter *f, size_t n, unsigned word)
{
	autofree uint16_t *words = xcalloc(n + 1, sizeof(*words));

	for (size_t i = 0; i < n; i++) {
		bool jumps = BPF_CLASS(f[i].code) == BPF_JMP;
		size_t left = n - i - 1;

		if (BPF_CLASS(f[i].code) == BPF_RET)
			continue;
		if (BPF_CLASS(f[i].code) == BPF_LD)
			words[i] = (uint16_t)(1U << f[i].k / 4 % 16);
		if (jumps && BPF_OP(f[i].code) == BPF_JA) {
			words[i + 1 + (f[i].k < left ? f[i].k : left)] |= words[i];
			continue;
		}
		words[i + 1 + (jumps && f[i].jt < left ? f[i].jt : 0)] |= words[i];
		words[i + 1 + (jumps && f[i].jf < left ? f[i].jf : 0)] |= words[i];
		if (jumps && words[i] >> word & 1) {
			values_add(s, f[i].k);
			values_add(s, f[i].k + 1);
		}
	}
}

static inline int values_order(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static inline void values_sort(struct values *s)
{
	size_t n = 0;

	qsort(s->v, s->n, sizeof(*s->v), values_order);
	for (size_t i = 0; i < s->n; i++)
		if (i == 0 || s->v[i] != s->v[n - 1])
			s->v[n++] = s->v[i];
	s->n = n;
}

static inline void proof_values(const struct proof *p, struct values *s, unsigned word)
{
	values_add(s, 0);
	values_add(s, UINT32_MAX);
	values_of(s, p->ours, p->n_ours, word);
	if (p->library != NULL)
		values_of(s, p->library->insns, p->library->n, word);
}

/* The numbers that the profile names there, and what comes after them. */
static inline void text_values(struct proof *p, size_t i, struct values *s)
{
	const struct table *t = &p->tables[i];

	p->past[i] = 0;
	for (uint32_t at = 0; at < NAMED + COUNT(t->private); at++) {
		uint32_t nr = t->arch->base + (at < NAMED ? at : PRIVATE + at - NAMED);

		if (!text_names(p->p, t, nr))
			continue;
		values_add(s, nr);
		values_add(s, nr + 1);
		if (at < NAMED)
			p->past[i] = nr + 1;
	}
}

/* A number of each class. */
static inline void proof_numbers(struct proof *p, struct values *s)
{
	proof_values(p, s, 0);
	values_add(s, X32_FIRST - 1);
	values_add(s, X32_FIRST);
	values_add(s, UINT32_MAX - 1);
	for (size_t i = 0; i < p->n_tables; i++)
		text_values(p, i, s);
	values_sort(s);
}

static inline bool proof_holds(struct proof *p)
{
	struct trail *t = xmalloc(sizeof(*t));
	struct values archs = {0}, numbers = {0};

	proof_values(p, &archs, 1);
	for (size_t i = 0; i < p->n_tables; i++)
		values_add(&archs, p->tables[i].arch->audit);
	values_sort(&archs);
	proof_numbers(p, &numbers);
	for (size_t a = 0; a < archs.n; a++)
		for (size_t k = 0; k < numbers.n; k++) {
			t->arch = archs.v[a];
			t->nr = numbers.v[k];
			t->full = false;
			proof_call(p, t);
		}
	free(archs.v);
	free(numbers.v);
	free(t);
	return !p->failed;
}
