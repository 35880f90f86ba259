/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the process is run: scheduler, I/O priority, CPU affinity, memory policy, personality.
 * The _make functions are pure, so that a bad config.json fails before any process exists.
 * sched_setattr(2), ioprio_set(2), sched_setaffinity(2), set_mempolicy(2), personality(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct oci_exec_cpu_affinity;
struct oci_io_priority;
struct oci_memory_policy;
struct oci_personality;
struct oci_scheduler;

/* A set of CPUs or memory nodes, as large as the highest number needs. */
#define BITLIST_MAX 65536
struct bitlist {
	unsigned long *words; /* from malloc: bitlist_free */
	size_t n_bits;        /* a multiple of the bits of a word; 0: empty */
};

/* Parses "0-3,7" (cpuset(7) "List format"; spaces around items are let pass). -1 with e filled. */
int bitlist_parse(const char *text, struct bitlist *out, struct err *e);
bool bitlist_has(const struct bitlist *l, size_t bit);
void bitlist_free(struct bitlist *l);

struct sched_plan { /* fields as in struct sched_attr */
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	bool wanted;
};

struct traits_plan {
	struct sched_plan sched;
	int ioprio;      /* -1: leave */
	int64_t persona; /* -1: leave */
	int mempolicy;   /* mode | flags; -1: leave */
	struct bitlist mem_nodes;
};

/* Each source may be NULL. Errors point into /process or /linux. */
int traits_make(const struct oci_scheduler *scheduler, const struct oci_io_priority *io,
                const struct oci_personality *personality, const struct oci_memory_policy *memory,
                struct traits_plan *plan, struct err *e);
void traits_free(struct traits_plan *plan);

/* Applies all of it to the calling process. Runs in: init and exec's process, before creds_apply
 * (real-time policies need CAP_SYS_NICE). */
int traits_apply(const struct traits_plan *plan, struct err *e);

/* The two CPU lists for exec; empty sets where nothing was asked. */
struct affinity_plan {
	struct bitlist initial, final;
};
int affinity_make(const struct oci_exec_cpu_affinity *a, struct affinity_plan *plan, struct err *e);
void affinity_free(struct affinity_plan *plan);

/* Binds pid (0: the caller) to the CPUs; an empty set is nothing to do. what ("initial", "final")
 * goes into the error. */
int affinity_apply(pid_t pid, const struct bitlist *cpus, const char *what, struct err *e);

/* Takes every thread of another process back to SCHED_OTHER, for its end; errors do not matter. */
void sched_reset(pid_t pid);
