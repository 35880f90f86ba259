/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a container's groups can tell: usage for `events --stats`, OOM notifications, and the record
 * that is kept when the container ends. Units: bytes, nanoseconds, counts. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/cgroup.h"

struct proc_id;

/* Pressure stall information: one line of a *.pressure file. Averages are in hundredths of percent.
 */
struct cgroup_psi_line {
	uint32_t avg10, avg60, avg300;
	uint64_t total_us;
};

struct cgroup_psi {
	bool has;
	struct cgroup_psi_line some, full;
};

/* A number of a key ("memory.stat" and such). */
struct cgroup_pair {
	const char *key;
	uint64_t value;
};

struct cgroup_mem {
	bool has;
	uint64_t limit; /* UINT64_MAX: none */
	uint64_t usage, max, failcnt;
	bool has_max, has_failcnt; /* max: the peak; memory.peak is there since Linux 5.19 */
};

struct cgroup_blkio_entry {
	uint64_t major, minor;
	const char *op; /* "Read", "Write", "Sync", "Async", "Discard", "Total", or "" */
	uint64_t value;
};

struct cgroup_blkio_list {
	struct cgroup_blkio_entry *v;
	size_t n;
};

struct cgroup_hugetlb {
	char size[24]; /* "2MB" */
	uint64_t usage, max, failcnt;
};

struct cgroup_cpu_stat {
	bool has;
	uint64_t total, user, kernel;                   /* ns */
	uint64_t *percpu, *percpu_user, *percpu_kernel; /* version 1, n_percpu each; else NULL */
	size_t n_percpu;
	uint64_t periods, throttled_periods, throttled_time; /* ns */
	uint64_t burst_periods, burst_time;                  /* ns */
	struct cgroup_psi psi;
};

struct cgroup_cpuset_stat {
	bool has;
	char *cpus, *mems, *effective_cpus, *effective_mems; /* list form "0-3,7"; "" if empty */
	uint64_t cpu_exclusive, mem_hardwall, mem_exclusive, memory_migrate;
	uint64_t memory_spread_page, memory_spread_slab, memory_pressure;
	uint64_t sched_load_balance;
	int64_t sched_relax_domain_level;
};

struct cgroup_memory_stat {
	bool has;
	uint64_t cache;
	struct cgroup_mem usage, swap, kernel, kernel_tcp; /* swap: memory+swap in runc's sense */
	bool use_hierarchy;
	uint64_t oom_kill; /* processes killed for want of memory */
	struct cgroup_pair *raw;
	size_t n_raw;
	struct cgroup_psi psi;
};

struct cgroup_blkio_stat {
	bool has;
	struct cgroup_blkio_list service_bytes, serviced, queued, service_time, wait_time, merged,
		time, sectors;
	struct cgroup_psi psi;
};

struct cgroup_stats {
	struct cgroup_cpu_stat cpu;
	struct cgroup_cpuset_stat cpuset;
	struct cgroup_memory_stat memory;
	bool has_pids;
	uint64_t pids_current, pids_limit; /* limit UINT64_MAX: none; 0 as in the kernel's file */
	uint64_t pids_peak;
	bool has_pids_peak;
	struct cgroup_blkio_stat blkio;
	struct cgroup_hugetlb *hugetlb;
	size_t n_hugetlb;
	struct cgroup_text *texts; /* owns what was read */
};

/* Reads everything that is there; a missing file leaves its part empty. */
int cgroup_stats_read(struct cgroup *cg, struct cgroup_stats *s, struct err *e);
void cgroup_stats_free(struct cgroup_stats *s);

/* A watch for OOM kills. */
struct cgroup_oom {
	int fd;      /* to poll for POLLIN: inotify (version 2) or eventfd (version 1) */
	int control; /* kept open while it lasts */
	bool v2;
	uint64_t seen; /* oom_kill count at the last look */
};

/* -1 with an error when the host cannot tell (no memory controller). */
int cgroup_oom_open(struct cgroup *cg, struct cgroup_oom *o, struct err *e);
/* After fd was readable: the number of new OOM events (0 for a false alarm), or -1 with errno
 * ENODEV when the group is gone. */
int cgroup_oom_read(struct cgroup *cg, struct cgroup_oom *o);
void cgroup_oom_close(struct cgroup_oom *o);

/* What is kept when the container ends; each has_ tells whether the host knew. */
struct cgroup_exit {
	bool has_oom_kills, has_memory_peak, has_cpu, has_pids_peak;
	uint64_t oom_kills, memory_peak, cpu_ns, pids_peak;
	bool init_oom_killed; /* known only from the kernel's log */
};

/* Few small reads; never fails. For a group that has vanished the kernel's log is read, which tells
 * of OOM kills. */
void cgroup_exit_read(struct cgroup *cg, const struct proc_id *init, struct cgroup_exit *x);
