/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes classic BPF back to front: what an instruction jumps to is there before it, so offsets
 * are known at once, and a target beyond the 255 instructions a conditional jump reaches gets a
 * return of its own or an unconditional jump in between. bpf(4) of the BSDs, seccomp(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

#define BPF_ACTIONS_MAX 64

/* Where control goes: an action, or an instruction given by its distance from the end. */
struct bpf_to {
	bool is_action;
	uint32_t value;
};

struct bpf {
	struct sock_filter *end; /* one past the last slot; instruction n lies at end[-n] */
	size_t n, max;
	bool full; /* more than max were asked for: the program is not usable */
	struct {
		uint32_t action;
		size_t at; /* the nearest return of it */
	} returns[BPF_ACTIONS_MAX];
	size_t n_returns;
};

static inline struct bpf_to bpf_action(uint32_t action)
{
	return (struct bpf_to){true, action};
}

/* The program grows downwards from slots[max]. */
void bpf_begin(struct bpf *b, struct sock_filter *slots, size_t max);

/* Loads the 32 bit word of struct seccomp_data at offset. Falls through to the last instruction. */
struct bpf_to bpf_load(struct bpf *b, uint32_t offset);
struct bpf_to bpf_and(struct bpf *b, uint32_t mask);
/* op: BPF_JEQ, BPF_JGT or BPF_JGE on the accumulator and k. Returns the new instruction. */
struct bpf_to bpf_jump(struct bpf *b, unsigned op, uint32_t k, struct bpf_to yes, struct bpf_to no);
