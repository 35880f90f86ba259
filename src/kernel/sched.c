/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/sched.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/str.h"
#include "base/sys.h"
#include "ocispec.h"

#define NO_POLICY (-1)

/* ---- Lists of bits */

static void bitlist_set(struct bitlist *l, size_t from, size_t to)
{
	const size_t bits = 8 * sizeof(unsigned long);

	if (to >= l->n_bits) {
		size_t n = (to + bits) / bits;

		l->words = xrealloc(l->words, n, sizeof(unsigned long));
		memset(l->words + l->n_bits / bits, 0,
		       (n - l->n_bits / bits) * sizeof(unsigned long));
		l->n_bits = n * bits;
	}
	for (size_t i = from; i <= to; i++)
		l->words[i / bits] |= 1UL << i % bits;
}

static int bitlist_number(const char **p, size_t *value)
{
	size_t n = 0;

	if (**p < '0' || **p > '9')
		return -1;
	while (**p >= '0' && **p <= '9') {
		n = n * 10 + (size_t)(*(*p)++ - '0');
		if (n >= BITLIST_MAX)
			return -1;
	}
	*value = n;
	return 0;
}

/* One item, "N" or "N-M", with the comma or the end after it. */
static int bitlist_item(const char **p, struct bitlist *out)
{
	size_t from, to;

	*p += strspn(*p, " ");
	if (bitlist_number(p, &from) < 0)
		return -1;
	to = from;
	if (**p == '-') {
		(*p)++;
		if (bitlist_number(p, &to) < 0 || to < from)
			return -1;
	}
	*p += strspn(*p, " ");
	if (**p != ',' && **p != '\0')
		return -1;
	bitlist_set(out, from, to);
	if (**p == ',' && *++*p == '\0')
		return -1;
	return 0;
}

int bitlist_parse(const char *text, struct bitlist *out, struct err *e)
{
	const char *p = text;

	*out = (struct bitlist){0};
	if (text == NULL || *text == '\0')
		return 0;
	while (*p != '\0') {
		if (bitlist_item(&p, out) == 0)
			continue;
		bitlist_free(out);
		return fail(e, 0, "\"%.64s\" is not a list of numbers below %d like \"0-3,7\"",
		            text, BITLIST_MAX);
	}
	return 0;
}

bool bitlist_has(const struct bitlist *l, size_t bit)
{
	const size_t bits = 8 * sizeof(unsigned long);

	return bit < l->n_bits && (l->words[bit / bits] >> bit % bits & 1);
}

void bitlist_free(struct bitlist *l)
{
	free(l->words);
	*l = (struct bitlist){0};
}

/* ---- Scheduler */

static int names_flags(const struct names *table, char *const *words, size_t n, const char *what,
                       const char *at, uint64_t *flags, struct err *e)
{
	int64_t bit;

	*flags = 0;
	for (size_t i = 0; i < n; i++) {
		if (!names_find(table, words[i], &bit)) {
			fail(e, 0, "unknown %s flag \"%.64s\"", what, words[i]);
			return fail_at(e, "%s/%zu", at, i);
		}
		*flags |= (uint64_t)bit;
	}
	return 0;
}

/* What sched_setattr(2) would answer with a bare EINVAL, said with the cause. */
static int sched_check(const struct oci_scheduler *s, struct err *e)
{
	bool deadline = str_eq(s->policy, "SCHED_DEADLINE");
	bool realtime = str_eq(s->policy, "SCHED_FIFO") || str_eq(s->policy, "SCHED_RR");

	if (s->nice < -20 || s->nice > 19) {
		fail(e, 0, "nice value %d is not in -20 ... 19", s->nice);
		return fail_at(e, "/process/scheduler/nice");
	}
	if (realtime ? s->priority < 1 || s->priority > 99 : s->priority != 0) {
		fail(e, 0, "%s wants a priority of %s, not %d", s->policy,
		     realtime ? "1 ... 99" : "0", s->priority);
		return fail_at(e, "/process/scheduler/priority");
	}
	if (!deadline && (s->runtime != 0 || s->deadline != 0 || s->period != 0)) {
		fail(e, 0, "runtime, deadline and period are for SCHED_DEADLINE only");
		return fail_at(e, "/process/scheduler");
	}
	if (deadline && (s->runtime == 0 || s->runtime > s->deadline ||
	                 (s->period != 0 && s->deadline > s->period))) {
		fail(e, 0, "SCHED_DEADLINE wants 0 < runtime <= deadline (<= period)");
		return fail_at(e, "/process/scheduler");
	}
	return 0;
}

static int sched_make(const struct oci_scheduler *s, struct sched_plan *plan, struct err *e)
{
	int64_t policy;

	if (s == NULL)
		return 0;
	if (!names_find(&names_schedulers, s->policy, &policy)) {
		fail(e, 0, "unknown scheduling policy \"%.64s\"", s->policy);
		return fail_at(e, "/process/scheduler/policy");
	}
	TRY(names_flags(&names_sched_flags, s->flags, s->n_flags, "scheduling",
	                "/process/scheduler/flags", &plan->flags, e));
	TRY(sched_check(s, e));
	plan->policy = (uint32_t)policy;
	plan->nice = s->nice;
	plan->priority = (uint32_t)s->priority;
	plan->runtime = s->runtime;
	plan->deadline = s->deadline;
	plan->period = s->period;
	plan->wanted = true;
	return 0;
}

/* sched_setattr(2) looks at the nice value for SCHED_OTHER and SCHED_BATCH alone; the others have
 * one as well, and show it when the policy is changed back or not inherited. */
static int sched_nice(const struct sched_plan *plan, struct err *e)
{
	if (plan->policy == SCHED_OTHER || plan->policy == SCHED_BATCH)
		return 0;
	errno = 0;
	if (getpriority(PRIO_PROCESS, 0) == plan->nice && errno == 0)
		return 0;
	if (setpriority(PRIO_PROCESS, 0, plan->nice) == 0)
		return 0;
	fail(e, errno, "set nice value %d", plan->nice);
	return fail_at(e, "/process/scheduler/nice");
}

static int sched_apply(const struct sched_plan *plan, struct err *e)
{
	const char *name = names_of(&names_schedulers, plan->policy);
	struct sys_sched_attr attr = {
		.size = sizeof(attr),
		.policy = plan->policy,
		.flags = plan->flags,
		.nice = plan->nice,
		.priority = plan->priority,
		.runtime = plan->runtime,
		.deadline = plan->deadline,
		.period = plan->period,
	};

	TRY(sched_nice(plan, e));
	/* a kernel before 5.3 knows only the fields before the clamps */
	if (!(plan->flags & 0x60))
		attr.size = offsetof(struct sys_sched_attr, util_min);
	if (sys_sched_setattr(0, &attr) == 0)
		return 0;
	fail(e, errno, "set scheduling policy %s", name ? name : "?");
	if (e->errnum == EPERM && plan->policy != 6)
		fail_hint(e, "it needs CAP_SYS_NICE or RLIMIT_RTPRIO, and on cgroup v1 "
		             "cpu.rt_runtime_us");
	else if (e->errnum == EPERM)
		fail_hint(e, "SCHED_DEADLINE needs CAP_SYS_NICE and all CPUs of the root domain");
	else if (e->errnum == EBUSY)
		fail_hint(e,
		          "lower runtime or raise period: the CPUs are given to other deadlines");
	return fail_at(e, "/process/scheduler");
}

/* ---- The other traits */

static int ioprio_make(const struct oci_io_priority *io, int *value, struct err *e)
{
	int64_t class;

	if (io == NULL)
		return 0;
	if (!names_find(&names_ioprio, io->class, &class)) {
		fail(e, 0, "unknown I/O priority class \"%.64s\"", io->class);
		return fail_at(e, "/process/ioPriority/class");
	}
	if (io->priority < 0 || io->priority > 7) {
		fail(e, 0, "I/O priority %d is not in 0 ... 7", io->priority);
		return fail_at(e, "/process/ioPriority/priority");
	}
	*value = SYS_IOPRIO_VALUE((int)class, io->priority);
	return 0;
}

static int persona_make(const struct oci_personality *p, int64_t *value, struct err *e)
{
	if (p == NULL)
		return 0;
	if (p->domain == NULL || !names_find(&names_personalities, p->domain, value)) {
		fail(e, 0, "unknown personality domain \"%.64s\"", p->domain ? p->domain : "");
		return fail_at(e, "/linux/personality/domain");
	}
	if (p->n_flags > 0) {
		fail(e, 0, "personality flag \"%.64s\": the specification defines no flags",
		     p->flags[0]);
		return fail_at(e, "/linux/personality/flags/0");
	}
	return 0;
}

static int mempolicy_make(const struct oci_memory_policy *m, struct traits_plan *plan,
                          struct err *e)
{
	uint64_t flags;
	int64_t mode;

	if (m == NULL)
		return 0;
	if (m->mode == NULL || !names_find(&names_mempolicy, m->mode, &mode)) {
		fail(e, 0, "unknown memory policy mode \"%.64s\"", m->mode ? m->mode : "");
		return fail_at(e, "/linux/memoryPolicy/mode");
	}
	TRY(names_flags(&names_mempolicy_flags, m->flags, m->n_flags, "memory policy",
	                "/linux/memoryPolicy/flags", &flags, e));
	if (bitlist_parse(m->nodes, &plan->mem_nodes, e) < 0)
		return fail_at(e, "/linux/memoryPolicy/nodes");
	bool none = str_eq(m->mode, "MPOL_DEFAULT") || str_eq(m->mode, "MPOL_LOCAL");

	if (none && plan->mem_nodes.n_bits > 0) {
		fail(e, 0, "%s takes no nodes", m->mode);
		return fail_at(e, "/linux/memoryPolicy/nodes");
	}
	/* MPOL_PREFERRED without nodes is MPOL_LOCAL */
	if (!none && plan->mem_nodes.n_bits == 0 && !str_eq(m->mode, "MPOL_PREFERRED")) {
		fail(e, 0, "%s needs at least one node", m->mode);
		return fail_at(e, "/linux/memoryPolicy/nodes");
	}
	plan->mempolicy = (int)mode | (int)flags;
	return 0;
}

int traits_make(const struct oci_scheduler *scheduler, const struct oci_io_priority *io,
                const struct oci_personality *personality, const struct oci_memory_policy *memory,
                struct traits_plan *plan, struct err *e)
{
	*plan = (struct traits_plan){
		.ioprio = NO_POLICY, .persona = NO_POLICY, .mempolicy = NO_POLICY};
	TRY(sched_make(scheduler, &plan->sched, e));
	TRY(ioprio_make(io, &plan->ioprio, e));
	TRY(persona_make(personality, &plan->persona, e));
	return mempolicy_make(memory, plan, e);
}

void traits_free(struct traits_plan *plan)
{
	bitlist_free(&plan->mem_nodes);
}

static int mempolicy_apply(const struct traits_plan *plan, struct err *e)
{
	const struct bitlist *nodes = &plan->mem_nodes;

	/* the kernel reads maxnode - 1 bits */
	if (sys_set_mempolicy(plan->mempolicy, nodes->words,
	                      nodes->n_bits ? nodes->n_bits + 1 : 0) == 0)
		return 0;
	fail(e, errno, "set memory policy %s",
	     names_of(&names_mempolicy, plan->mempolicy & 0xff) ?: "?");
	if (e->errnum == EINVAL)
		fail_hint(e, "the nodes must have memory and be allowed by cpuset.mems");
	else if (e->errnum == ENOSYS)
		fail_hint(e, "the kernel is built without CONFIG_NUMA");
	return fail_at(e, "/linux/memoryPolicy");
}

int traits_apply(const struct traits_plan *plan, struct err *e)
{
	if (plan->persona != NO_POLICY && personality((unsigned long)plan->persona) < 0) {
		fail(e, errno, "set personality %#llx", (unsigned long long)plan->persona);
		return fail_at(e, "/linux/personality");
	}
	if (plan->ioprio != NO_POLICY &&
	    sys_ioprio_set(SYS_IOPRIO_WHO_PROCESS, 0, plan->ioprio) < 0) {
		fail(e, errno, "set I/O priority %#x", (unsigned)plan->ioprio);
		if (e->errnum == EPERM)
			fail_hint(
				e,
				"IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE on the host");
		return fail_at(e, "/process/ioPriority");
	}
	if (plan->sched.wanted)
		TRY(sched_apply(&plan->sched, e));
	if (plan->mempolicy != NO_POLICY)
		TRY(mempolicy_apply(plan, e));
	return 0;
}

/* ---- CPU affinity */

int affinity_make(const struct oci_exec_cpu_affinity *a, struct affinity_plan *plan, struct err *e)
{
	*plan = (struct affinity_plan){0};
	if (a == NULL)
		return 0;
	if (bitlist_parse(a->initial, &plan->initial, e) < 0)
		return fail_at(e, "/process/execCPUAffinity/initial");
	if (bitlist_parse(a->final, &plan->final, e) < 0) {
		affinity_free(plan);
		return fail_at(e, "/process/execCPUAffinity/final");
	}
	return 0;
}

void affinity_free(struct affinity_plan *plan)
{
	bitlist_free(&plan->initial);
	bitlist_free(&plan->final);
}

int affinity_apply(pid_t pid, const struct bitlist *cpus, const char *what, struct err *e)
{
	if (cpus->n_bits == 0)
		return 0;
	if (sched_setaffinity(pid, cpus->n_bits / 8, (const cpu_set_t *)cpus->words) == 0)
		return 0;
	fail(e, errno, "set %s CPU affinity", what);
	if (e->errnum == EINVAL)
		fail_hint(e, "name at least one CPU that is online and allowed by the cgroup");
	return fail_at(e, "/process/execCPUAffinity/%s", what);
}

void sched_reset(pid_t pid)
{
	const struct sys_sched_attr other = {.size = sizeof other, .policy = SCHED_OTHER};
	autodir *threads = NULL;
	struct dirent *t;
	char path[40];

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	threads = opendir(path);
	while (threads && (t = readdir(threads)))
		if (t->d_name[0] != '.')
			(void)sys_sched_setattr((pid_t)strtol(t->d_name, NULL, 10), &other);
}
