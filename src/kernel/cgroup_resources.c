/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_resources.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/unapplied.h"
#include "kernel/cgroup_setting.h"
#include "ocispec.h"

#define ROOT SETTINGS_ROOT

static bool words_have(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; *p;) {
		size_t m = strcspn(p, " \n");

		if (m == n && !strncmp(p, word, n))
			return true;
		p += m + (p[m] != '\0');
	}
	return false;
}

enum where cgroup_where(const struct cgroup_kinds *k, const char *v1, const char *v2)
{
	for (size_t i = 0; v1 && i < k->n; i++)
		if (cgroup_list_has(k->v1[i], v1))
			return IN_V1;
	if (v2 && k->v2 && (!k->v2_controllers || words_have(k->v2_controllers, v2)))
		return IN_V2;
	return NOWHERE;
}

int setting_absent(const char *controller, const char *at, struct err *e)
{
	fail(e, 0, "this host has no cgroup controller \"%s\"", controller);
	(void)fail_at(e, "%s", at);
	return unapplied(e);
}

int setting_unknown(const char *what, const char *at, struct err *e)
{
	fail(e, 0, "%s cannot be set with cgroup version 2", what);
	(void)fail_at(e, "%s", at);
	return unapplied(e);
}

static struct cgroup_setting *setting_add(struct cgroup_settings *s, const char *controller,
                                          bool v2, unsigned flags, const char *at, const char *file)
{
	struct cgroup_setting *new;

	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->v = xrealloc(s->v, s->cap, sizeof(*s->v));
	}
	new = &s->v[s->n++];
	*new = (struct cgroup_setting){.controller = controller, .v2 = v2, .flags = flags};
	new->at = xstrdup(at);
	new->file = xstrdup(file);
	return new;
}

void setting_number(struct cgroup_settings *s, const char *controller, bool v2, unsigned flags,
                    const char *at, const char *file, uint64_t value)
{
	struct cgroup_setting *new = setting_add(s, controller, v2, flags, at, file);

	new->value = v2 &&value == UINT64_MAX ? xstrdup("max") : xasprintf("%" PRIu64, value);
}

/* -1 is "no limit" in both versions. */
static void setting_limit(struct cgroup_settings *s, const char *controller, bool v2,
                          unsigned flags, const char *at, const char *file, int64_t value)
{
	struct cgroup_setting *new = setting_add(s, controller, v2, flags, at, file);

	new->value = value < 0 ? xstrdup(v2 ? "max" : "-1") : xasprintf("%" PRId64, value);
}

void setting_text(struct cgroup_settings *s, const char *controller, bool v2, unsigned flags,
                  const char *at, const char *file, const char *value)
{
	setting_add(s, controller, v2, flags, at, file)->value = xstrdup(value);
}

/* ---- memory */

static int memory_range(int64_t value, const char *name, struct err *e)
{
	if (value >= -1)
		return 0;
	fail(e, 0, "memory %s %" PRId64 " is neither a size nor -1", name, value);
	return fail_at(e, ROOT "/memory/%s", name);
}

static int memory_check(const struct oci_resources_memory *m, struct err *e)
{
	TRY(memory_range(m->limit, "limit", e));
	TRY(memory_range(m->reservation, "reservation", e));
	TRY(memory_range(m->swap, "swap", e));
	TRY(memory_range(m->kernel, "kernel", e));
	TRY(memory_range(m->kernel_tcp, "kernelTCP", e));
	if (m->has_swappiness && m->swappiness > 100) {
		fail(e, 0, "memory swappiness %" PRIu64 " is over 100", m->swappiness);
		return fail_at(e, ROOT "/memory/swappiness");
	}
	if (m->swap > 0 && m->limit > 0 && m->swap < m->limit) {
		fail(e, 0,
		     "memory swap %" PRId64
		     " counts memory too: it is less than the limit %" PRId64,
		     m->swap, m->limit);
		return fail_at(e, ROOT "/memory/swap");
	}
	if (m->swap > 0 && m->limit < 0) {
		fail(e, 0, "memory swap has a limit, memory has none");
		return fail_at(e, ROOT "/memory/swap");
	}
	return 0;
}

/* Kernel memory counts within the limit too; that of sockets is counted apart. */
static void memory_v1_kernel(const struct oci_resources_memory *m, struct cgroup_settings *s)
{
	unsigned lost = m->limit > 0 ? SETTING_TOLERATED : 0;

	if (m->kernel)
		setting_limit(s, "memory", false,
		              SETTING_BYTES |
		                      (m->kernel < 0 ? SETTING_IF_THERE : SETTING_VERIFY | lost),
		              ROOT "/memory/kernel", "memory.kmem.limit_in_bytes", m->kernel);
	if (m->kernel_tcp)
		setting_limit(
			s, "memory", false,
			SETTING_BYTES | (m->kernel_tcp < 0 ? SETTING_IF_THERE : SETTING_VERIFY),
			ROOT "/memory/kernelTCP", "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp);
}

static int memory_v1(const struct oci_resources_memory *m, struct cgroup_settings *s)
{
	unsigned check = m->check_before_update && m->limit > 0 ? SETTING_CHECK_USAGE : 0;
	int64_t swap = m->swap;

	if (m->limit)
		setting_limit(s, "memory", false, SETTING_BYTES | SETTING_PAIR | check,
		              ROOT "/memory/limit", "memory.limit_in_bytes", m->limit);
	if (m->limit < 0 && !swap)
		swap = -1; /* a smaller limit of both would keep memory limited */
	if (swap)
		setting_limit(s, "memory", false, SETTING_BYTES | (swap < 0 ? SETTING_IF_THERE : 0),
		              ROOT "/memory/swap", "memory.memsw.limit_in_bytes", swap);
	else if (m->limit)
		s->v[s->n - 1].flags &= ~(unsigned)SETTING_PAIR;
	if (m->reservation)
		setting_limit(s, "memory", false, SETTING_BYTES, ROOT "/memory/reservation",
		              "memory.soft_limit_in_bytes", m->reservation);
	memory_v1_kernel(m, s);
	if (m->has_swappiness)
		setting_number(s, "memory", false, SETTING_TOLERATED, ROOT "/memory/swappiness",
		               "memory.swappiness", m->swappiness);
	if (m->has_use_hierarchy)
		setting_number(s, "memory", false, SETTING_TOLERATED, ROOT "/memory/useHierarchy",
		               "memory.use_hierarchy", m->use_hierarchy);
	if (m->has_disable_oom_killer)
		setting_number(s, "memory", false, m->disable_oom_killer ? 0 : SETTING_IF_THERE,
		               ROOT "/memory/disableOOMKiller", "memory.oom_control",
		               m->disable_oom_killer);
	return 0;
}

static int memory_v2_rest(const struct oci_resources_memory *m, struct err *e)
{
	if ((m->kernel > 0 || m->kernel_tcp > 0) && m->limit <= 0)
		TRY(setting_unknown(
			"a limit of kernel memory alone",
			m->kernel > 0 ? ROOT "/memory/kernel" : ROOT "/memory/kernelTCP", e));
	else if (m->kernel > 0 || m->kernel_tcp > 0)
		unapplied_note("linux.resources.memory.%s: cgroup version 2 counts kernel memory "
		               "within the limit",
		               m->kernel > 0 ? "kernel" : "kernelTCP");
	if (m->has_swappiness)
		unapplied_note(
			"linux.resources.memory.swappiness: cgroup version 2 has no such setting");
	if (m->disable_oom_killer)
		unapplied_note("linux.resources.memory.disableOOMKiller: cgroup version 2 cannot "
		               "disable it");
	if (m->has_use_hierarchy && !m->use_hierarchy)
		unapplied_note("linux.resources.memory.useHierarchy: cgroup version 2 is always "
		               "hierarchical");
	return 0;
}

static int memory_v2(const struct oci_resources_memory *m, struct cgroup_settings *s, struct err *e)
{
	unsigned check = m->check_before_update && m->limit > 0 ? SETTING_CHECK_USAGE : 0;

	if (m->limit)
		setting_limit(s, "memory", true, SETTING_BYTES | check, ROOT "/memory/limit",
		              "memory.max", m->limit);
	if (m->swap > 0 && m->limit > 0)
		setting_limit(s, "memory", true, SETTING_BYTES, ROOT "/memory/swap",
		              "memory.swap.max", m->swap - m->limit);
	else if (m->swap > 0)
		setting_limit(s, "memory", true, SETTING_BYTES | SETTING_MINUS_LIMIT,
		              ROOT "/memory/swap", "memory.swap.max", m->swap);
	else if (m->swap < 0 || m->limit < 0)
		setting_limit(s, "memory", true, SETTING_IF_THERE, ROOT "/memory/swap",
		              "memory.swap.max", -1);
	if (m->reservation)
		setting_limit(s, "memory", true, SETTING_BYTES, ROOT "/memory/reservation",
		              "memory.low", m->reservation);
	return memory_v2_rest(m, e);
}

static int memory_make(const struct oci_resources_memory *m, const struct cgroup_kinds *k,
                       struct cgroup_settings *s, struct err *e)
{
	if (!m)
		return 0;
	TRY(memory_check(m, e));
	switch (cgroup_where(k, "memory", "memory")) {
	case IN_V1:
		return memory_v1(m, s);
	case IN_V2:
		return memory_v2(m, s, e);
	default:
		break;
	}
	if (m->limit > 0 || m->reservation > 0 || m->swap > 0 || m->kernel > 0 || m->kernel_tcp > 0)
		return setting_absent("memory", ROOT "/memory", e);
	if (m->has_swappiness || m->disable_oom_killer || m->use_hierarchy)
		unapplied_note(
			"linux.resources.memory: this host has no cgroup controller \"memory\"");
	return 0;
}

/* ---- cpu and cpuset */

static int cpu_check(const struct oci_resources_cpu *c, struct err *e)
{
	if (c->quota > 0 && c->burst > (uint64_t)c->quota) {
		fail(e, 0, "cpu burst %" PRIu64 " is over the quota %" PRId64, c->burst, c->quota);
		return fail_at(e, ROOT "/cpu/burst");
	}
	if (c->realtime_period && c->realtime_runtime > (int64_t)c->realtime_period) {
		fail(e, 0, "cpu realtime runtime %" PRId64 " is over the period %" PRIu64,
		     c->realtime_runtime, c->realtime_period);
		return fail_at(e, ROOT "/cpu/realtimeRuntime");
	}
	if (c->idle < 0 || c->idle > 1) {
		fail(e, 0, "cpu idle is %" PRId64 ", not 0 or 1", c->idle);
		return fail_at(e, ROOT "/cpu/idle");
	}
	return 0;
}

static void cpu_v1(const struct oci_resources_cpu *c, struct cgroup_settings *s)
{
	if (c->has_idle && !c->idle)
		setting_number(s, "cpu", false, SETTING_IF_THERE, ROOT "/cpu/idle", "cpu.idle", 0);
	if (c->shares)
		setting_number(s, "cpu", false, 0, ROOT "/cpu/shares", "cpu.shares", c->shares);
	if (c->period)
		setting_number(s, "cpu", false, c->quota ? SETTING_PAIR : 0, ROOT "/cpu/period",
		               "cpu.cfs_period_us", c->period);
	if (c->quota)
		setting_limit(s, "cpu", false, c->has_burst ? SETTING_PAIR : 0, ROOT "/cpu/quota",
		              "cpu.cfs_quota_us", c->quota);
	if (c->has_burst)
		setting_number(s, "cpu", false, c->burst ? 0 : SETTING_IF_THERE, ROOT "/cpu/burst",
		               "cpu.cfs_burst_us", c->burst);
	if (c->realtime_period)
		setting_number(s, "cpu", false, SETTING_PAIR * (c->realtime_runtime != 0),
		               ROOT "/cpu/realtimePeriod", "cpu.rt_period_us", c->realtime_period);
	if (c->has_realtime_runtime)
		setting_limit(s, "cpu", false, c->realtime_runtime ? 0 : SETTING_IF_THERE,
		              ROOT "/cpu/realtimeRuntime", "cpu.rt_runtime_us",
		              c->realtime_runtime);
	if (c->idle)
		setting_number(s, "cpu", false, SETTING_TOLERATED, ROOT "/cpu/idle", "cpu.idle", 1);
}

static int cpu_v2(const struct oci_resources_cpu *c, struct cgroup_settings *s, struct err *e)
{
	unsigned pair = c->has_burst ? SETTING_PAIR : 0;

	if (c->realtime_runtime || c->realtime_period)
		TRY(setting_unknown("a realtime budget",
		                    c->realtime_runtime ? ROOT "/cpu/realtimeRuntime"
		                                        : ROOT "/cpu/realtimePeriod",
		                    e));
	if (c->has_idle && !c->idle)
		setting_number(s, "cpu", true, SETTING_IF_THERE, ROOT "/cpu/idle", "cpu.idle", 0);
	if (c->shares)
		setting_number(s, "cpu", true, 0, ROOT "/cpu/shares", "cpu.weight",
		               cgroup_cpu_weight(c->shares));
	if (c->quota > 0)
		setting_number(s, "cpu", true, pair, ROOT "/cpu/quota", "cpu.max",
		               (uint64_t)c->quota);
	else if (c->quota < 0)
		setting_text(s, "cpu", true, pair, ROOT "/cpu/quota", "cpu.max", "max");
	else if (c->period)
		setting_number(s, "cpu", true, pair | SETTING_KEEP_QUOTA, ROOT "/cpu/period",
		               "cpu.max", c->period);
	if (c->quota && c->period) {
		char **value = &s->v[s->n - 1].value;
		char *both = xasprintf("%s %" PRIu64, *value, c->period);

		free(*value);
		*value = both;
	}
	if (c->has_burst)
		setting_number(s, "cpu", true, c->burst ? 0 : SETTING_IF_THERE, ROOT "/cpu/burst",
		               "cpu.max.burst", c->burst);
	if (c->idle)
		setting_number(s, "cpu", true, SETTING_TOLERATED, ROOT "/cpu/idle", "cpu.idle", 1);
	return 0;
}

static int cpuset_make(const struct oci_resources_cpu *c, const struct cgroup_kinds *k,
                       struct cgroup_settings *s, struct err *e)
{
	enum where w = cgroup_where(k, "cpuset", "cpuset");
	bool cpus = c->cpus && c->cpus[0], mems = c->mems && c->mems[0];

	if (!cpus && !mems)
		return 0;
	if (!w)
		return setting_absent("cpuset", cpus ? ROOT "/cpu/cpus" : ROOT "/cpu/mems", e);
	if (cpus)
		setting_text(s, "cpuset", w == IN_V2, 0, ROOT "/cpu/cpus", "cpuset.cpus", c->cpus);
	if (mems)
		setting_text(s, "cpuset", w == IN_V2, 0, ROOT "/cpu/mems", "cpuset.mems", c->mems);
	return 0;
}

static int cpu_make(const struct oci_resources_cpu *c, const struct cgroup_kinds *k,
                    struct cgroup_settings *s, struct err *e)
{
	if (!c)
		return 0;
	TRY(cpu_check(c, e));
	TRY(cpuset_make(c, k, s, e));
	switch (cgroup_where(k, "cpu", "cpu")) {
	case IN_V1:
		cpu_v1(c, s);
		return 0;
	case IN_V2:
		return cpu_v2(c, s, e);
	default:
		break;
	}
	if (c->shares || c->quota > 0 || c->realtime_runtime || c->idle)
		return setting_absent("cpu", ROOT "/cpu", e);
	if (c->period || c->burst || c->realtime_period)
		unapplied_note("linux.resources.cpu: this host has no cgroup controller \"cpu\"");
	return 0;
}

/* ---- the small ones */

static int pids_make(const struct oci_resources_pids *p, const struct cgroup_kinds *k,
                     struct cgroup_settings *s, struct err *e)
{
	enum where w = cgroup_where(k, "pids", "pids");

	if (!p || !p->has_limit)
		return 0;
	if (!w)
		return p->limit < 0 ? 0 : setting_absent("pids", ROOT "/pids/limit", e);
	if (p->limit < 0)
		setting_text(s, "pids", w == IN_V2, 0, ROOT "/pids/limit", "pids.max", "max");
	else
		setting_number(s, "pids", w == IN_V2, 0, ROOT "/pids/limit", "pids.max",
		               (uint64_t)p->limit);
	return 0;
}

static bool page_size_valid(const char *size)
{
	size_t digits = strspn(size, "0123456789");

	return digits > 0 && digits < 16 &&
	       (str_eq(size + digits, "KB") || str_eq(size + digits, "MB") ||
	        str_eq(size + digits, "GB"));
}

static int hugepage_make(const struct oci_resources *r, const struct cgroup_kinds *k,
                         struct cgroup_settings *s, struct err *e)
{
	enum where w = cgroup_where(k, "hugetlb", "hugetlb");

	for (size_t i = 0; i < r->n_hugepage_limits; i++) {
		const struct oci_hugepage_limit *h = &r->hugepage_limits[i];
		autofree char *at = xasprintf(ROOT "/hugepageLimits/%zu", i);
		autofree char *plain = NULL;
		autofree char *rsvd = NULL;

		if (!w)
			return setting_absent("hugetlb", at, e);
		if (!page_size_valid(h->page_size)) {
			fail(e, 0, "huge page size \"%s\" is not a number and KB, MB or GB",
			     h->page_size);
			return fail_at(e, "%s/pageSize", at);
		}
		plain = xasprintf("hugetlb.%s.%s", h->page_size,
		                  w == IN_V2 ? "max" : "limit_in_bytes");
		rsvd = xasprintf("hugetlb.%s.rsvd.%s", h->page_size,
		                 w == IN_V2 ? "max" : "limit_in_bytes");
		setting_number(s, "hugetlb", w == IN_V2, SETTING_BYTES, at, plain, h->limit);
		setting_number(s, "hugetlb", w == IN_V2, SETTING_BYTES | SETTING_IF_THERE, at, rsvd,
		               h->limit);
	}
	return 0;
}

/* A name that goes into a line of a kernel file. */
static int word_check(const char *word, const char *what, const char *at, struct err *e)
{
	bool bad = !word[0] || strlen(word) > NAME_MAX;

	for (const char *p = word; *p; p++)
		bad |= isspace((unsigned char)*p) || iscntrl((unsigned char)*p);
	if (!bad)
		return 0;
	fail(e, 0, "\"%s\" is no name of %s", word, what);
	return fail_at(e, "%s", at);
}

static int network_make(const struct oci_resources_network *n, const struct cgroup_kinds *k,
                        struct cgroup_settings *s, struct err *e)
{
	if (!n)
		return 0;
	if (n->has_class_id && cgroup_where(k, "net_cls", NULL)) /* 0 takes one away */
		setting_number(s, "net_cls", false, 0, ROOT "/network/classID", "net_cls.classid",
		               n->class_id);
	else if (n->has_class_id && n->class_id)
		TRY(k->n ? setting_absent("net_cls", ROOT "/network/classID", e)
		         : setting_unknown("a network class", ROOT "/network/classID", e));
	for (size_t i = 0; i < n->n_priorities; i++) {
		autofree char *at = xasprintf(ROOT "/network/priorities/%zu", i);
		autofree char *line = NULL;

		if (!cgroup_where(k, "net_prio", NULL))
			return k->n ? setting_absent("net_prio", at, e)
			            : setting_unknown("a network priority", at, e);
		TRY(word_check(n->priorities[i].name, "a network interface", at, e));
		line = xasprintf("%s %" PRIu32, n->priorities[i].name, n->priorities[i].priority);
		setting_text(s, "net_prio", false, SETTING_KEYED, at, "net_prio.ifpriomap", line);
	}
	return 0;
}

static int rdma_make(const struct oci_resources_rdma_map *m, const struct cgroup_kinds *k,
                     struct cgroup_settings *s, struct err *e)
{
	enum where w = cgroup_where(k, "rdma", "rdma");

	for (size_t i = 0; i < m->n; i++) {
		const struct oci_resources_rdma *r = &m->values[i];
		autofree char *at = xasprintf(ROOT "/rdma/%s", m->keys[i]);
		autostr line = {0};

		if (!w)
			return setting_absent("rdma", at, e);
		TRY(word_check(m->keys[i], "an rdma device", at, e));
		if (!r->has_hca_handles && !r->has_hca_objects) {
			fail(e, 0, "rdma device \"%s\" has neither hcaHandles nor hcaObjects",
			     m->keys[i]);
			return fail_at(e, "%s", at);
		}
		str_add(&line, m->keys[i]);
		if (r->has_hca_handles)
			str_addf(&line, " hca_handle=%" PRIu32, r->hca_handles);
		if (r->has_hca_objects)
			str_addf(&line, " hca_object=%" PRIu32, r->hca_objects);
		setting_text(s, "rdma", w == IN_V2, SETTING_KEYED, at, "rdma.max", line.s);
	}
	return 0;
}

/* ---- unified */

/* Files of the core that take or stop processes are not for a configuration to write. */
static bool unified_core_allowed(const char *key)
{
	return str_eq(key, "cgroup.max.depth") || str_eq(key, "cgroup.max.descendants") ||
	       str_eq(key, "cgroup.pressure");
}

static int unified_make(const struct oci_map *m, const struct cgroup_kinds *k,
                        struct cgroup_settings *s, struct err *e)
{
	static const char *const keyed[] = {"io.max",     "io.weight", "io.bfq.weight",
	                                    "io.latency", "rdma.max",  "misc.max"};

	for (size_t i = 0; i < m->n; i++) {
		const char *key = m->keys[i];
		autofree char *at = xasprintf(ROOT "/unified/%s", key);
		unsigned flags = SETTING_UNIFIED;

		if (strchr(key, '/') || key[0] == '.' || !strchr(key, '.') || strstr(key, "..") ||
		    strlen(key) > NAME_MAX) {
			fail(e, EINVAL, "unified: \"%s\" is no name of a cgroup file", key);
			return fail_at(e, "%s", at);
		}
		if (str_starts(key, "cgroup.") && !unified_core_allowed(key)) {
			fail(e, EPERM, "unified: \"%s\" is not a resource", key);
			return fail_at(e, "%s", at);
		}
		if (!k->v2) {
			fail(e, 0, "unified: this host has no unified cgroup hierarchy");
			return fail_at(e, "%s", at);
		}
		for (size_t j = 0; j < COUNT(keyed); j++)
			flags |= str_eq(key, keyed[j]) ? SETTING_KEYED : 0;
		setting_text(s, "", true, flags, at, key, m->values[i]);
	}
	return 0;
}

int cgroup_settings_make(const struct oci_resources *r, const struct cgroup_kinds *k,
                         struct cgroup_settings *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (!r)
		return 0;
	if (memory_make(r->memory, k, s, e) < 0 || cpu_make(r->cpu, k, s, e) < 0 ||
	    pids_make(r->pids, k, s, e) < 0 || cgroup_io_settings(r->block_io, k, s, e) < 0 ||
	    hugepage_make(r, k, s, e) < 0 || network_make(r->network, k, s, e) < 0 ||
	    rdma_make(&r->rdma, k, s, e) < 0 || unified_make(&r->unified, k, s, e) < 0) {
		cgroup_settings_free(s);
		return -1;
	}
	return 0;
}

void cgroup_settings_free(struct cgroup_settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].file);
		free(s->v[i].value);
		free(s->v[i].at);
	}
	free(s->v);
	memset(s, 0, sizeof(*s));
}
