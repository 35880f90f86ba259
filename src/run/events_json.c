/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics as the JSON text that engines read from `events`. */
#include "run/events_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Appends "KEY":, with a comma in front unless it opens an object. */
static void key(struct str *out, const char *name)
{
	char last = out->len ? out->s[out->len - 1] : '{';

	str_addf(out, "%s\"%s\":", last == '{' || last == '[' ? "" : ",", name);
}

static void number(struct str *out, const char *name, uint64_t value)
{
	key(out, name);
	str_addf(out, "%" PRIu64, value);
}

static void open_object(struct str *out, const char *name)
{
	key(out, name);
	str_addc(out, '{');
}

static void numbers(struct str *out, const char *name, const uint64_t *v, size_t n)
{
	if (!n || !v)
		return;
	key(out, name);
	for (size_t i = 0; i < n; i++)
		str_addf(out, "%c%" PRIu64, i ? ',' : '[', v[i]);
	str_addc(out, ']');
}

static void psi_line(struct str *out, const char *name, const struct cgroup_psi_line *l)
{
	open_object(out, name);
	str_addf(out,
	         "\"avg10\":%u.%02u,\"avg60\":%u.%02u,\"avg300\":%u.%02u,\"total\":%" PRIu64 "}",
	         l->avg10 / 100, l->avg10 % 100, l->avg60 / 100, l->avg60 % 100, l->avg300 / 100,
	         l->avg300 % 100, l->total_us);
}

static void psi(struct str *out, const struct cgroup_psi *p)
{
	if (!p->has)
		return;
	open_object(out, "psi");
	psi_line(out, "some", &p->some);
	psi_line(out, "full", &p->full);
	str_addc(out, '}');
}

static void cpu(struct str *out, const struct cgroup_cpu_stat *c)
{
	open_object(out, "cpu");
	open_object(out, "usage");
	number(out, "total", c->total);
	numbers(out, "percpu", c->percpu, c->n_percpu);
	numbers(out, "percpu_kernel", c->percpu_kernel, c->n_percpu);
	numbers(out, "percpu_user", c->percpu_user, c->n_percpu);
	number(out, "kernel", c->kernel);
	number(out, "user", c->user);
	str_addc(out, '}');
	open_object(out, "throttling");
	number(out, "periods", c->periods);
	number(out, "throttledPeriods", c->throttled_periods);
	number(out, "throttledTime", c->throttled_time);
	number(out, "burstPeriods", c->burst_periods);
	number(out, "burstTime", c->burst_time);
	str_addc(out, '}');
	psi(out, &c->psi);
	str_addc(out, '}');
}

/* "0-2,5" -> [0,1,2,5] */
static void list(struct str *out, const char *name, const char *text)
{
	key(out, name);
	str_addc(out, '[');
	for (const char *p = text; *p;) {
		char *end;
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (end == p)
			break;
		if (*end == '-')
			to = strtoul(end + 1, &end, 10);
		for (; from <= to && to < 65536; from++)
			str_addf(out, "%s%lu", out->s[out->len - 1] == '[' ? "" : ",", from);
		p = end + (*end == ',');
	}
	str_addc(out, ']');
}

static void cpuset(struct str *out, const struct cgroup_cpuset_stat *c)
{
	open_object(out, "cpuset");
	if (c->has) {
		list(out, "cpus", c->cpus[0] ? c->cpus : c->effective_cpus);
		number(out, "cpu_exclusive", c->cpu_exclusive);
		list(out, "mems", c->mems[0] ? c->mems : c->effective_mems);
		number(out, "mem_hardwall", c->mem_hardwall);
		number(out, "mem_exclusive", c->mem_exclusive);
		number(out, "memory_migrate", c->memory_migrate);
		number(out, "memory_spread_page", c->memory_spread_page);
		number(out, "memory_spread_slab", c->memory_spread_slab);
		number(out, "memory_pressure", c->memory_pressure);
		number(out, "sched_load_balance", c->sched_load_balance);
		key(out, "sched_relax_domain_level");
		str_addf(out, "%" PRId64, c->sched_relax_domain_level);
	}
	str_addc(out, '}');
}

static void mem(struct str *out, const char *name, const struct cgroup_mem *m)
{
	open_object(out, name);
	number(out, "limit", m->limit);
	if (m->has)
		number(out, "usage", m->usage);
	if (m->has_max)
		number(out, "max", m->max);
	number(out, "failcnt", m->failcnt);
	str_addc(out, '}');
}

static void memory(struct str *out, const struct cgroup_memory_stat *m)
{
	open_object(out, "memory");
	number(out, "cache", m->cache);
	mem(out, "usage", &m->usage);
	mem(out, "swap", &m->swap);
	mem(out, "kernel", &m->kernel);
	mem(out, "kernelTCP", &m->kernel_tcp);
	number(out, "oomKills", m->oom_kill);
	open_object(out, "raw");
	for (size_t i = 0; i < m->n_raw; i++)
		number(out, m->raw[i].key, m->raw[i].value);
	str_addc(out, '}');
	psi(out, &m->psi);
	str_addc(out, '}');
}

static void blkio_list(struct str *out, const char *name, const struct cgroup_blkio_list *l)
{
	if (!l->n)
		return;
	key(out, name);
	str_addc(out, '[');
	for (size_t i = 0; i < l->n; i++) {
		const struct cgroup_blkio_entry *b = &l->v[i];

		str_addf(out, "%s{\"major\":%" PRIu64 ",\"minor\":%" PRIu64, i ? "," : "", b->major,
		         b->minor);
		if (b->op[0])
			str_addf(out, ",\"op\":\"%s\"", b->op);
		number(out, "value", b->value);
		str_addc(out, '}');
	}
	str_addc(out, ']');
}

static void blkio(struct str *out, const struct cgroup_blkio_stat *b)
{
	open_object(out, "blkio");
	blkio_list(out, "ioServiceBytesRecursive", &b->service_bytes);
	blkio_list(out, "ioServicedRecursive", &b->serviced);
	blkio_list(out, "ioQueueRecursive", &b->queued);
	blkio_list(out, "ioServiceTimeRecursive", &b->service_time);
	blkio_list(out, "ioWaitTimeRecursive", &b->wait_time);
	blkio_list(out, "ioMergedRecursive", &b->merged);
	blkio_list(out, "ioTimeRecursive", &b->time);
	blkio_list(out, "sectorsRecursive", &b->sectors);
	psi(out, &b->psi);
	str_addc(out, '}');
}

static void rest(struct str *out, const struct cgroup_stats *s)
{
	open_object(out, "pids");
	if (s->has_pids) {
		number(out, "current", s->pids_current);
		number(out, "limit", s->pids_limit == UINT64_MAX ? 0 : s->pids_limit);
	}
	if (s->has_pids_peak)
		number(out, "peak", s->pids_peak);
	str_addc(out, '}');
	blkio(out, &s->blkio);
	open_object(out, "hugetlb");
	for (size_t i = 0; i < s->n_hugetlb; i++) {
		open_object(out, s->hugetlb[i].size);
		number(out, "usage", s->hugetlb[i].usage);
		number(out, "max", s->hugetlb[i].max);
		number(out, "failcnt", s->hugetlb[i].failcnt);
		str_addc(out, '}');
	}
	str_add(out, "},\"intel_rdt\":{},\"network_interfaces\":null");
}

void events_stats_json(struct str *out, const char *id, const struct cgroup_stats *s)
{
	str_addf(out, "{\"type\":\"stats\",\"id\":\"%s\",\"data\":{", id);
	cpu(out, &s->cpu);
	cpuset(out, &s->cpuset);
	memory(out, &s->memory);
	rest(out, s);
	str_add(out, "}}\n");
}
