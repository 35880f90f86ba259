/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_stats.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_stats_part.h"

#define HUGE_DIR "/sys/kernel/mm/hugepages"

char *stats_text(struct cgroup_stats *s, const struct cgroup_dir *d, const char *file)
{
	autofree char *text = cgroup_dir_slurp(d, file);
	struct cgroup_text *t;

	if (!text)
		return NULL;
	t = xmalloc(sizeof(*t) + strlen(text) + 1);
	memcpy(t->text, text, strlen(text) + 1);
	t->next = s->texts;
	s->texts = t;
	return t->text;
}

char *stats_line(struct cgroup_stats *s, const struct cgroup_dir *d, const char *file)
{
	static char empty[1];
	char *text = stats_text(s, d, file);

	if (!text)
		return empty;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void psi_read(struct cgroup *cg, struct cgroup_stats *s, const char *file,
                     struct cgroup_psi *psi)
{
	struct cgroup_dir *d = cgroup_dir_v2(cg);
	char *text = d ? stats_text(s, d, file) : NULL;

	if (text)
		cgroup_parse_psi(text, psi);
}

/* A number, 0 if the file is not there; the kernel's "no limit" of version 1 becomes UINT64_MAX. */
static uint64_t number(const struct cgroup_dir *d, const char *file)
{
	uint64_t value;

	return cgroup_dir_u64(d, file, &value) < 0 ? 0 : value;
}

/* ---- cpu */

static void percpu_list(const char *text, uint64_t **v, size_t *n)
{
	size_t cap = 0;

	*n = 0;
	for (char *end; *text; text = end) {
		uint64_t value = strtoull(text, &end, 10);

		if (end == text)
			break;
		if (*n == cap) {
			cap = cap ? cap * 2 : 16;
			*v = xrealloc(*v, cap, sizeof(**v));
		}
		(*v)[(*n)++] = value;
	}
}

/* cpuacct.usage_all: "cpu user system", then a line for each processor. */
static void percpu_all(const char *text, struct cgroup_cpu_stat *c)
{
	const char *p = strchr(text, '\n');
	size_t n = 0;

	c->percpu_user = xcalloc(c->n_percpu + 1, sizeof(uint64_t));
	c->percpu_kernel = xcalloc(c->n_percpu + 1, sizeof(uint64_t));
	for (; p && n < c->n_percpu; p = strchr(p + 1, '\n')) {
		char *user, *kernel, *end;

		(void)strtoul(p + 1, &user, 10);
		c->percpu_user[n] = strtoull(user, &kernel, 10);
		c->percpu_kernel[n] = strtoull(kernel, &end, 10);
		if (user == p + 1 || kernel == user || end == kernel)
			break;
		n++;
	}
}

static void cpuacct_v1(const struct cgroup_dir *d, struct cgroup_stats *s)
{
	struct cgroup_cpu_stat *c = &s->cpu;
	uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	char *text = stats_text(s, d, "cpuacct.stat");

	c->has = true;
	c->total = number(d, "cpuacct.usage");
	if (text && cgroup_text_u64(text, "user", &c->user))
		c->user *= tick;
	if (text && cgroup_text_u64(text, "system", &c->kernel))
		c->kernel *= tick;
	text = stats_text(s, d, "cpuacct.usage_percpu");
	if (text)
		percpu_list(text, &c->percpu, &c->n_percpu);
	text = stats_text(s, d, "cpuacct.usage_all");
	if (text)
		percpu_all(text, c);
}

/* cpu.stat: microseconds in version 2, nanoseconds in version 1. */
static void cpu_stat(const char *text, bool v2, struct cgroup_cpu_stat *c)
{
	uint64_t v;

	c->has = true;
	(void)cgroup_text_u64(text, "nr_periods", &c->periods);
	(void)cgroup_text_u64(text, "nr_throttled", &c->throttled_periods);
	(void)cgroup_text_u64(text, "nr_bursts", &c->burst_periods);
	(void)cgroup_text_u64(text, "throttled_time", &c->throttled_time);
	(void)cgroup_text_u64(text, "burst_time", &c->burst_time);
	if (!v2)
		return;
	if (cgroup_text_u64(text, "usage_usec", &v))
		c->total = v * 1000;
	if (cgroup_text_u64(text, "user_usec", &v))
		c->user = v * 1000;
	if (cgroup_text_u64(text, "system_usec", &v))
		c->kernel = v * 1000;
	if (cgroup_text_u64(text, "throttled_usec", &v))
		c->throttled_time = v * 1000;
	if (cgroup_text_u64(text, "burst_usec", &v))
		c->burst_time = v * 1000;
}

static void cpu_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "cpuacct");
	char *text;

	if (d && !d->v2)
		cpuacct_v1(d, s);
	d = cgroup_dir_of(cg, "cpu");
	text = d ? stats_text(s, d, "cpu.stat") : NULL;
	if (text)
		cpu_stat(text, d->v2, &s->cpu);
	psi_read(cg, s, "cpu.pressure", &s->cpu.psi);
}

static void cpuset_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "cpuset");
	struct cgroup_cpuset_stat *c = &s->cpuset;
	uint64_t relax;
	bool v2 = d && d->v2;

	c->cpus = c->mems = c->effective_cpus = c->effective_mems = (char *)"";
	if (!d)
		return;
	c->cpus = stats_line(s, d, "cpuset.cpus");
	c->mems = stats_line(s, d, "cpuset.mems");
	c->effective_cpus =
		stats_line(s, d, v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");
	c->effective_mems =
		stats_line(s, d, v2 ? "cpuset.mems.effective" : "cpuset.effective_mems");
	c->has = c->effective_cpus[0] != '\0';
	if (v2)
		return;
	c->cpu_exclusive = number(d, "cpuset.cpu_exclusive");
	c->mem_hardwall = number(d, "cpuset.mem_hardwall");
	c->mem_exclusive = number(d, "cpuset.mem_exclusive");
	c->memory_migrate = number(d, "cpuset.memory_migrate");
	c->memory_spread_page = number(d, "cpuset.memory_spread_page");
	c->memory_spread_slab = number(d, "cpuset.memory_spread_slab");
	c->memory_pressure = number(d, "cpuset.memory_pressure");
	c->sched_load_balance = number(d, "cpuset.sched_load_balance");
	relax = number(d, "cpuset.sched_relax_domain_level");
	c->sched_relax_domain_level = relax == UINT64_MAX ? -1 : (int64_t)relax;
}

/* ---- memory */

/* Version 1: what = "memory", "memory.memsw", "memory.kmem" ... */
static void mem_v1(const struct cgroup_dir *d, const char *what, struct cgroup_mem *m)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "%s.usage_in_bytes", what);
	m->has = cgroup_dir_u64(d, file, &m->usage) == 0;
	if (!m->has)
		return;
	(void)snprintf(file, sizeof(file), "%s.max_usage_in_bytes", what);
	m->has_max = cgroup_dir_u64(d, file, &m->max) == 0;
	(void)snprintf(file, sizeof(file), "%s.failcnt", what);
	m->has_failcnt = cgroup_dir_u64(d, file, &m->failcnt) == 0;
	(void)snprintf(file, sizeof(file), "%s.limit_in_bytes", what);
	m->limit = number(d, file);
	if (m->limit >= UINT64_MAX / 2 - (1u << 20)) /* a page less than the greatest */
		m->limit = UINT64_MAX;
}

static void mem_v2(const struct cgroup_dir *d, struct cgroup_stats *s)
{
	struct cgroup_memory_stat *m = &s->memory;
	char *events = stats_text(s, d, "memory.events");

	m->usage.has = cgroup_dir_u64(d, "memory.current", &m->usage.usage) == 0;
	m->usage.limit = number(d, "memory.max");
	m->usage.has_max = cgroup_dir_u64(d, "memory.peak", &m->usage.max) == 0;
	if (events) {
		m->usage.has_failcnt = cgroup_text_u64(events, "max", &m->usage.failcnt);
		(void)cgroup_text_u64(events, "oom_kill", &m->oom_kill);
	}
	m->swap.has = cgroup_dir_u64(d, "memory.swap.current", &m->swap.usage) == 0;
	if (!m->swap.has)
		return;
	/* As version 1 counts: memory and swap together. */
	m->swap.limit = number(d, "memory.swap.max");
	m->swap.usage += m->usage.usage;
	if (m->swap.limit != UINT64_MAX)
		m->swap.limit =
			m->usage.limit == UINT64_MAX ? UINT64_MAX : m->swap.limit + m->usage.limit;
}

static void memory_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "memory");
	struct cgroup_memory_stat *m = &s->memory;
	char *text = d ? stats_text(s, d, "memory.stat") : NULL;

	psi_read(cg, s, "memory.pressure", &m->psi);
	if (!text)
		return;
	m->has = true;
	(void)cgroup_text_u64(text, d->v2 ? "file" : "cache", &m->cache);
	cgroup_parse_pairs(text, &m->raw, &m->n_raw);
	if (d->v2) {
		mem_v2(d, s);
		m->use_hierarchy = true;
		return;
	}
	mem_v1(d, "memory", &m->usage);
	mem_v1(d, "memory.memsw", &m->swap);
	mem_v1(d, "memory.kmem", &m->kernel);
	mem_v1(d, "memory.kmem.tcp", &m->kernel_tcp);
	m->use_hierarchy = number(d, "memory.use_hierarchy") != 0;
	text = stats_text(s, d, "memory.oom_control");
	if (text)
		(void)cgroup_text_u64(text, "oom_kill", &m->oom_kill);
}

/* ---- pids, huge pages */

static void pids_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "pids");

	if (!d || cgroup_dir_u64(d, "pids.current", &s->pids_current) < 0)
		return;
	s->has_pids = true;
	s->pids_limit = number(d, "pids.max");
	s->has_pids_peak = cgroup_dir_u64(d, "pids.peak", &s->pids_peak) == 0;
}

/* "hugepages-2048kB" -> "2MB", as the kernel names the files of the controller. */
static bool huge_size(const char *name, char *size, size_t len)
{
	static const char *const units[] = {"KB", "MB", "GB"};
	unsigned long long kb = str_starts(name, "hugepages-") ? strtoull(name + 10, NULL, 10) : 0;
	size_t unit = 0;

	if (!kb)
		return false;
	for (; unit < 2 && kb % 1024 == 0; unit++)
		kb /= 1024;
	(void)snprintf(size, len, "%llu%s", kb, units[unit]);
	return true;
}

static bool huge_one(const struct cgroup_dir *d, struct cgroup_hugetlb *h, const char *rsvd)
{
	char file[64];
	autofree char *events = NULL;

	(void)snprintf(file, sizeof(file), "hugetlb.%s%s.%s", h->size, rsvd,
	               d->v2 ? "current" : "usage_in_bytes");
	if (cgroup_dir_u64(d, file, &h->usage) < 0)
		return false;
	if (!d->v2) {
		(void)snprintf(file, sizeof(file), "hugetlb.%s%s.max_usage_in_bytes", h->size,
		               rsvd);
		h->max = number(d, file);
		(void)snprintf(file, sizeof(file), "hugetlb.%s%s.failcnt", h->size, rsvd);
		h->failcnt = number(d, file);
		return true;
	}
	(void)snprintf(file, sizeof(file), "hugetlb.%s.events", h->size);
	events = cgroup_dir_slurp(d, file);
	if (events)
		(void)cgroup_text_u64(events, "max", &h->failcnt);
	return true;
}

static void hugetlb_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "hugetlb");
	autodir *dir = d ? opendir(HUGE_DIR) : NULL;

	if (!dir)
		return;
	for (struct dirent *de; (de = readdir(dir));) {
		struct cgroup_hugetlb h = {0};

		if (!huge_size(de->d_name, h.size, sizeof(h.size)))
			continue;
		if (!huge_one(d, &h, ".rsvd") && !huge_one(d, &h, ""))
			continue;
		s->hugetlb = xrealloc(s->hugetlb, s->n_hugetlb + 1, sizeof(*s->hugetlb));
		s->hugetlb[s->n_hugetlb++] = h;
	}
}

/* ---- block io */

static void blkio_v1(struct cgroup_stats *s, const struct cgroup_dir *d, const char *name,
                     struct cgroup_blkio_list *l)
{
	static const char *const policies[] = {"blkio.bfq.", "blkio.", "blkio.throttle."};

	for (size_t i = 0; i < COUNT(policies) && !l->n; i++) {
		autofree char *file = xasprintf("%s%s_recursive", policies[i], name);
		char *text = stats_text(s, d, file);

		if (text)
			cgroup_parse_blkio(text, l);
	}
}

static void blkio_read(struct cgroup *cg, struct cgroup_stats *s)
{
	struct cgroup_dir *d = cgroup_dir_of(cg, "blkio");
	struct cgroup_blkio_stat *b = &s->blkio;
	char *text;

	psi_read(cg, s, "io.pressure", &b->psi);
	if (!d)
		return;
	if (d->v2) {
		text = stats_text(s, d, "io.stat");
		b->has = text != NULL;
		if (text)
			cgroup_parse_io_stat(text, &b->service_bytes, &b->serviced);
		return;
	}
	b->has = true;
	blkio_v1(s, d, "io_service_bytes", &b->service_bytes);
	blkio_v1(s, d, "io_serviced", &b->serviced);
	blkio_v1(s, d, "io_queued", &b->queued);
	blkio_v1(s, d, "io_service_time", &b->service_time);
	blkio_v1(s, d, "io_wait_time", &b->wait_time);
	blkio_v1(s, d, "io_merged", &b->merged);
	blkio_v1(s, d, "time", &b->time);
	blkio_v1(s, d, "sectors", &b->sectors);
}

int cgroup_stats_read(struct cgroup *cg, struct cgroup_stats *s, struct err *e)
{
	struct cgroup_dir *d = cgroup_dir_main(cg);

	memset(s, 0, sizeof(*s));
	if (!d)
		return fail(e, 0, "statistics of a container that has no cgroup of its own");
	if (access(d->path, F_OK) < 0)
		return fail(e, errno, "read cgroup \"%s\"", d->path);
	cpu_read(cg, s);
	cpuset_read(cg, s);
	memory_read(cg, s);
	pids_read(cg, s);
	hugetlb_read(cg, s);
	blkio_read(cg, s);
	return 0;
}

void cgroup_stats_free(struct cgroup_stats *s)
{
	struct cgroup_blkio_stat *b = &s->blkio;

	while (s->texts) {
		struct cgroup_text *next = s->texts->next;

		free(s->texts);
		s->texts = next;
	}
	free(s->cpu.percpu);
	free(s->cpu.percpu_user);
	free(s->cpu.percpu_kernel);
	free(s->memory.raw);
	free(s->hugetlb);
	free(b->service_bytes.v);
	free(b->serviced.v);
	free(b->queued.v);
	free(b->service_time.v);
	free(b->wait_time.v);
	free(b->merged.v);
	free(b->time.v);
	free(b->sectors.v);
	memset(s, 0, sizeof(*s));
}
