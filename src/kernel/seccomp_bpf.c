/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/seccomp_bpf.h"

#include <linux/filter.h>
#include <linux/seccomp.h>

#define REACH 255

void bpf_begin(struct bpf *b, struct sock_filter *slots, size_t max)
{
	b->end = slots + max;
	b->n = b->n_returns = 0;
	b->max = max;
	b->full = false;
}

static struct bpf_to bpf_put(struct bpf *b, unsigned code, uint32_t k, size_t jt, size_t jf)
{
	if (b->n == b->max) {
		b->full = true;
		return (struct bpf_to){false, (uint32_t)b->n};
	}
	b->n++;
	b->end[-(ptrdiff_t)b->n] =
		(struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
	return (struct bpf_to){false, (uint32_t)b->n};
}

static size_t bpf_return(struct bpf *b, uint32_t action)
{
	size_t i = 0;

	bpf_put(b, BPF_RET | BPF_K, action, 0, 0);
	while (i < b->n_returns && b->returns[i].action != action)
		i++;
	if (i == BPF_ACTIONS_MAX)
		return b->n; /* no room to remember it: the next one makes another return */
	if (i == b->n_returns)
		b->n_returns++;
	b->returns[i].action = action;
	b->returns[i].at = b->n;
	return b->n;
}

/* An instruction for target that the next but spare one can reach. */
static size_t bpf_near(struct bpf *b, struct bpf_to target, size_t spare)
{
	if (!target.is_action) {
		if (b->n - target.value + spare <= REACH)
			return target.value;
		bpf_put(b, BPF_JMP | BPF_JA, (uint32_t)(b->n - target.value), 0, 0);
		return b->n;
	}
	for (size_t i = 0; i < b->n_returns; i++)
		if (b->returns[i].action == target.value &&
		    b->n - b->returns[i].at + spare <= REACH)
			return b->returns[i].at;
	return bpf_return(b, target.value);
}

struct bpf_to bpf_load(struct bpf *b, uint32_t offset)
{
	return bpf_put(b, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

struct bpf_to bpf_and(struct bpf *b, uint32_t mask)
{
	return bpf_put(b, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
}

struct bpf_to bpf_jump(struct bpf *b, unsigned op, uint32_t k, struct bpf_to yes, struct bpf_to no)
{
	/* Making "yes" reachable may take an instruction, and so may "no" after it. */
	size_t t = bpf_near(b, yes, 1);
	size_t f = bpf_near(b, no, 0);

	return bpf_put(b, BPF_JMP | op | BPF_K, k, b->n - t, b->n - f);
}
