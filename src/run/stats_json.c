/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names, order and units are those readers of runc know, ioQueueRecursive among them. The text is
 * written by hand: averages of stall information are fractions, which no .def describes. */
#include "run/stats_json.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

/* Comma and key; what follows an opening brace or bracket has no comma. */
static void key(struct str *o, const char *name)
{
	char last = o->len ? o->s[o->len - 1] : '{';

	if (last != '{' && last != '[')
		str_addc(o, ',');
	if (name)
		str_addf(o, "\"%s\":", name);
}

static void begin(struct str *o, const char *name)
{
	key(o, name);
	str_addc(o, '{');
}

static void end(struct str *o)
{
	str_addc(o, '}');
}

static void number(struct str *o, const char *name, uint64_t value)
{
	key(o, name);
	str_addf(o, "%" PRIu64, value);
}

/* ---- parts that several objects have */

static void psi_line(struct str *o, const char *name, const struct cgroup_psi_line *p)
{
	const struct {
		const char *name;
		uint32_t value;
	} averages[] = {
		{"avg10",  p->avg10 },
                {"avg60",  p->avg60 },
                {"avg300", p->avg300}
        };

	begin(o, name);
	for (size_t i = 0; i < COUNT(averages); i++) {
		key(o, averages[i].name);
		str_addf(o, "%u.%02u", averages[i].value / 100, averages[i].value % 100);
	}
	number(o, "total", p->total_us);
	end(o);
}

static void psi(struct str *o, const struct cgroup_psi *p)
{
	if (!p->has)
		return;
	begin(o, "psi");
	psi_line(o, "some", &p->some);
	psi_line(o, "full", &p->full);
	end(o);
}

static void numbers(struct str *o, const char *name, const uint64_t *v, size_t n)
{
	if (!v || !n)
		return;
	key(o, name);
	str_addc(o, '[');
	for (size_t i = 0; i < n; i++)
		number(o, NULL, v[i]);
	str_addc(o, ']');
}

/* "0-2,7" -> [0,1,2,7]; a list that is not one of the kernel's ends where it is wrong. */
static void list(struct str *o, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	key(o, name);
	str_addc(o, '[');
	while (*text >= '0' && *text <= '9') {
		char *rest;
		unsigned long first = strtoul(text, &rest, 10);
		unsigned long last = *rest == '-' ? strtoul(rest + 1, &rest, 10) : first;

		for (; first <= last && last < UINT16_MAX; first++)
			number(o, NULL, first);
		text = *rest == ',' ? rest + 1 : rest;
	}
	str_addc(o, ']');
}

/* ---- data */

static void cpu(struct str *o, const struct cgroup_cpu_stat *c)
{
	begin(o, "cpu");
	begin(o, "usage");
	number(o, "total", c->total);
	numbers(o, "percpu", c->percpu, c->n_percpu);
	numbers(o, "percpu_kernel", c->percpu_kernel, c->n_percpu);
	numbers(o, "percpu_user", c->percpu_user, c->n_percpu);
	number(o, "kernel", c->kernel);
	number(o, "user", c->user);
	end(o);
	begin(o, "throttling");
	number(o, "periods", c->periods);
	number(o, "throttledPeriods", c->throttled_periods);
	number(o, "throttledTime", c->throttled_time);
	if (c->burst_periods) {
		number(o, "bursts", c->burst_periods);
		number(o, "burstTime", c->burst_time);
	}
	end(o);
	psi(o, &c->psi);
	end(o);
}

static void cpuset(struct str *o, const struct cgroup_cpuset_stat *c)
{
	begin(o, "cpuset");
	list(o, "cpus", c->cpus && *c->cpus ? c->cpus : c->effective_cpus);
	number(o, "cpu_exclusive", c->cpu_exclusive);
	list(o, "mems", c->mems && *c->mems ? c->mems : c->effective_mems);
	number(o, "mem_hardwall", c->mem_hardwall);
	number(o, "mem_exclusive", c->mem_exclusive);
	number(o, "memory_migrate", c->memory_migrate);
	number(o, "memory_spread_page", c->memory_spread_page);
	number(o, "memory_spread_slab", c->memory_spread_slab);
	number(o, "memory_pressure", c->memory_pressure);
	number(o, "sched_load_balance", c->sched_load_balance);
	key(o, "sched_relax_domain_level");
	str_addf(o, "%" PRId64, c->sched_relax_domain_level);
	end(o);
}

static void memory_entry(struct str *o, const char *name, const struct cgroup_mem *m)
{
	begin(o, name);
	number(o, "limit", m->limit);
	number(o, "usage", m->usage);
	if (m->has_max)
		number(o, "max", m->max);
	number(o, "failcnt", m->failcnt);
	end(o);
}

static void memory(struct str *o, const struct cgroup_memory_stat *m)
{
	begin(o, "memory");
	number(o, "cache", m->cache);
	memory_entry(o, "usage", &m->usage);
	memory_entry(o, "swap", &m->swap);
	memory_entry(o, "kernel", &m->kernel);
	memory_entry(o, "kernelTCP", &m->kernel_tcp);
	if (m->n_raw) {
		begin(o, "raw");
		for (size_t i = 0; i < m->n_raw; i++)
			number(o, m->raw[i].key, m->raw[i].value);
		end(o);
	}
	psi(o, &m->psi);
	if (m->usage.has_max)
		number(o, "peak", m->usage.max);
	if (m->has)
		number(o, "oomKills", m->oom_kill);
	end(o);
}

static void pids(struct str *o, const struct cgroup_stats *s)
{
	begin(o, "pids");
	if (s->has_pids)
		number(o, "current", s->pids_current);
	if (s->has_pids && s->pids_limit != UINT64_MAX) /* absent: none */
		number(o, "limit", s->pids_limit);
	if (s->has_pids_peak)
		number(o, "peak", s->pids_peak);
	end(o);
}

static void blkio_list(struct str *o, const char *name, const struct cgroup_blkio_list *l)
{
	if (!l->n)
		return;
	key(o, name);
	str_addc(o, '[');
	for (size_t i = 0; i < l->n; i++) {
		const struct cgroup_blkio_entry *b = &l->v[i];

		begin(o, NULL);
		number(o, "major", b->major);
		number(o, "minor", b->minor);
		if (b->op && *b->op) {
			key(o, "op");
			str_addf(o, "\"%s\"", b->op);
		}
		number(o, "value", b->value);
		end(o);
	}
	str_addc(o, ']');
}

static void blkio(struct str *o, const struct cgroup_blkio_stat *b)
{
	begin(o, "blkio");
	blkio_list(o, "ioServiceBytesRecursive", &b->service_bytes);
	blkio_list(o, "ioServicedRecursive", &b->serviced);
	blkio_list(o, "ioQueueRecursive", &b->queued);
	blkio_list(o, "ioServiceTimeRecursive", &b->service_time);
	blkio_list(o, "ioWaitTimeRecursive", &b->wait_time);
	blkio_list(o, "ioMergedRecursive", &b->merged);
	blkio_list(o, "ioTimeRecursive", &b->time);
	blkio_list(o, "sectorsRecursive", &b->sectors);
	psi(o, &b->psi);
	end(o);
}

static void hugetlb(struct str *o, const struct cgroup_stats *s)
{
	begin(o, "hugetlb");
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		begin(o, s->hugetlb[i].size);
		number(o, "usage", s->hugetlb[i].usage);
		number(o, "max", s->hugetlb[i].max);
		number(o, "failcnt", s->hugetlb[i].failcnt);
		end(o);
	}
	end(o);
}

void stats_json(const char *id, const struct cgroup_stats *s, struct str *o)
{
	str_addf(o, "{\"type\":\"stats\",\"id\":\"%s\"", id);
	begin(o, "data");
	cpu(o, &s->cpu);
	cpuset(o, &s->cpuset);
	memory(o, &s->memory);
	pids(o, s);
	blkio(o, &s->blkio);
	hugetlb(o, s);
	/* keys that readers may expect; davit counts neither */
	str_add(o, ",\"intel_rdt\":{},\"network_interfaces\":[]}}\n");
}
