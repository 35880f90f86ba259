/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "child.h"
#include "kernel/sched.h"
#include "ocispec.h"
#include "tap.h"

#define S(literal) ((char[]){literal}) /* the config holds no const strings */

static void test_rlimits(void)
{
	struct oci_rlimit r[] = {
		{S("RLIMIT_NOFILE"), 100,        50        },
                {S("RLIMIT_CORE"),   UINT64_MAX, UINT64_MAX}
        };
	struct rlimits_plan plan;
	struct err e = {0};

	is_int(rlimits_make(r, 2, &plan, &e), 0);
	is_int((long)plan.n, 2);
	ok(plan.v[0].resource == RLIMIT_NOFILE && plan.v[0].soft == 50 && plan.v[0].hard == 100);
	ok(plan.v[1].hard == RLIM64_INFINITY);
	r[1].type = S("RLIMIT_NOFILE");
	is_int(rlimits_make(r, 2, &plan, &e), -1);
	is_str(e.at, "/process/rlimits/1");
	r[1].type = S("RLIMIT_NOPE");
	memset(&e, 0, sizeof(e));
	is_int(rlimits_make(r, 2, &plan, &e), -1);
	is_str(e.at, "/process/rlimits/1/type");
	r[0].soft = 101;
	memset(&e, 0, sizeof(e));
	is_int(rlimits_make(r, 1, &plan, &e), -1);
	is_str(e.at, "/process/rlimits/0/soft");
	is_int(rlimits_make(NULL, 0, &plan, &e), 0);
}

static int rlimit_lower(void)
{
	struct rlimits_plan plan = {.n = 1, .v = {{RLIMIT_NOFILE, 20, 30}}};
	struct rlimit now;
	struct err e = {0};

	if (rlimits_apply(0, &plan, &e) < 0 || getrlimit(RLIMIT_NOFILE, &now) < 0)
		return 1;
	if (now.rlim_cur != 20 || now.rlim_max != 30)
		return 2;
	plan.v[0].resource = RLIM_NLIMITS;
	return rlimits_apply(0, &plan, &e) != -1 || strcmp(e.at, "/process/rlimits/0") != 0;
}

static void test_rlimits_apply(void)
{
	is_int(in_child(rlimit_lower), 0);
}

static int oom_raise(void)
{
	autofd proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err e = {0};

	if (oom_score_apply(proc, getpid(), 900, false, &e) < 0)
		return 1;
	if (oom_score_apply(proc, getpid(), 900, false, &e) < 0)
		return 2;
	if (oom_score_apply(proc, getpid(), 1001, true, &e) == 0 ||
	    strcmp(e.at, "/process/oomScoreAdj") != 0)
		return 3;
	return 0;
}

static void test_oom_score(void)
{
	is_int(in_child(oom_raise), 0);
}

static void test_bitlist(void)
{
	static const char *const bad[] = {",",       "0,",   "1-",
	                                  "-1",      "3-1",  "a",
	                                  "0-3x",    "0,,1", "99999999999999999999",
	                                  "0-65536", "1 2",  "\n",
	                                  "0-1-2",   "+1",   "0x1"};
	struct bitlist l;
	struct err e = {0};

	is_int(bitlist_parse("0-3,7", &l, &e), 0);
	ok(bitlist_has(&l, 0) && bitlist_has(&l, 3) && !bitlist_has(&l, 4) && bitlist_has(&l, 7));
	ok(!bitlist_has(&l, 8) && !bitlist_has(&l, 100000));
	bitlist_free(&l);
	is_int(bitlist_parse(" 2 , 1024-2047", &l, &e), 0);
	ok(bitlist_has(&l, 2) && !bitlist_has(&l, 1023) && bitlist_has(&l, 1024) &&
	   bitlist_has(&l, 2047));
	is_int((long)l.n_bits, 2048);
	bitlist_free(&l);
	is_int(bitlist_parse("65535", &l, &e), 0);
	ok(bitlist_has(&l, 65535));
	bitlist_free(&l);
	is_int(bitlist_parse("", &l, &e), 0);
	is_int((long)l.n_bits, 0);
	is_int(bitlist_parse(NULL, &l, &e), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (!is_int(bitlist_parse(bad[i], &l, &e), -1))
			printf("# \"%s\"\n", bad[i]);
}

static int sched_try(struct oci_scheduler *s, struct traits_plan *plan, const char *at)
{
	struct err e = {0};
	int rc = traits_make(s, NULL, NULL, NULL, plan, &e);

	if (at != NULL)
		is_str(e.at, at);
	traits_free(plan);
	return rc;
}

static void test_scheduler(void)
{
	char *flags[] = {S("SCHED_FLAG_RESET_ON_FORK"), S("SCHED_FLAG_KEEP_POLICY")},
	     *bad[] = {S("SCHED_FLAG_NOPE")};
	struct oci_scheduler fifo = {
		.policy = S("SCHED_FIFO"), .priority = 10, .flags = flags, .n_flags = 2};
	struct oci_scheduler dl = {
		.policy = S("SCHED_DEADLINE"), .runtime = 10, .deadline = 20, .period = 30};
	struct oci_scheduler other = {.policy = S("SCHED_OTHER"), .nice = 19};
	struct traits_plan plan;

	is_int(sched_try(&fifo, &plan, ""), 0);
	ok(plan.sched.wanted && plan.sched.policy == SCHED_FIFO && plan.sched.priority == 10);
	ok(plan.sched.flags == 9 && plan.ioprio == -1 && plan.persona == -1 &&
	   plan.mempolicy == -1);
	is_int(sched_try(&dl, &plan, ""), 0);
	ok(plan.sched.runtime == 10 && plan.sched.deadline == 20 && plan.sched.period == 30);
	is_int(sched_try(&other, &plan, ""), 0);
	is_int(sched_try(NULL, &plan, ""), 0);
	ok(!plan.sched.wanted);

	fifo.flags = bad;
	fifo.n_flags = 1;
	is_int(sched_try(&fifo, &plan, "/process/scheduler/flags/0"), -1);
	fifo.n_flags = 0;
	fifo.priority = 0;
	is_int(sched_try(&fifo, &plan, "/process/scheduler/priority"), -1);
	other.priority = 1;
	is_int(sched_try(&other, &plan, "/process/scheduler/priority"), -1);
	other.priority = 0;
	other.nice = 20;
	is_int(sched_try(&other, &plan, "/process/scheduler/nice"), -1);
	other.nice = 0;
	other.runtime = 5;
	is_int(sched_try(&other, &plan, "/process/scheduler"), -1);
	dl.runtime = 21;
	is_int(sched_try(&dl, &plan, "/process/scheduler"), -1);
	dl.policy = S("SCHED_NOPE");
	is_int(sched_try(&dl, &plan, "/process/scheduler/policy"), -1);
}

static void test_other_traits(void)
{
	char *flags[] = {S("MPOL_F_STATIC_NODES")}, *none[] = {S("ADDR_NO_RANDOMIZE")};
	struct oci_io_priority io = {.class = S("IOPRIO_CLASS_BE"), .priority = 4};
	struct oci_personality p = {.domain = S("LINUX32")};
	struct oci_memory_policy m = {
		.mode = S("MPOL_INTERLEAVE"), .nodes = S("2-3"), .flags = flags, .n_flags = 1};
	struct traits_plan plan;
	struct err e = {0};

	is_int(traits_make(NULL, &io, &p, &m, &plan, &e), 0);
	is_int(plan.ioprio, 2 << 13 | 4);
	is_int(plan.persona, 8);
	is_int(plan.mempolicy, 3 | 1 << 15);
	ok(bitlist_has(&plan.mem_nodes, 2) && bitlist_has(&plan.mem_nodes, 3));
	traits_free(&plan);

	p.flags = none;
	p.n_flags = 1;
	is_int(traits_make(NULL, NULL, &p, NULL, &plan, &e), -1);
	is_str(e.at, "/linux/personality/flags/0");
	io.priority = 8;
	memset(&e, 0, sizeof(e));
	is_int(traits_make(NULL, &io, NULL, NULL, &plan, &e), -1);
	is_str(e.at, "/process/ioPriority/priority");
	m.mode = S("MPOL_LOCAL");
	memset(&e, 0, sizeof(e));
	is_int(traits_make(NULL, NULL, NULL, &m, &plan, &e), -1);
	is_str(e.at, "/linux/memoryPolicy/nodes");
	traits_free(&plan);
	m.mode = S("MPOL_BIND");
	m.nodes = NULL;
	memset(&e, 0, sizeof(e));
	is_int(traits_make(NULL, NULL, NULL, &m, &plan, &e), -1);
	is_str(e.at, "/linux/memoryPolicy/nodes");
	m.mode = S("MPOL_PREFERRED");
	is_int(traits_make(NULL, NULL, NULL, &m, &plan, &e), 0);
	traits_free(&plan);
}

static int traits_self(void)
{
	struct oci_scheduler s = {.policy = S("SCHED_BATCH"), .nice = 3};
	struct oci_io_priority io = {.class = S("IOPRIO_CLASS_IDLE"), .priority = 0};
	struct oci_personality p = {.domain = S("LINUX")};
	struct traits_plan plan;
	struct affinity_plan a;
	struct oci_exec_cpu_affinity cpus = {.initial = S("0-1023"), .final = S("60000")};
	struct err e = {0};

	if (traits_make(&s, &io, &p, NULL, &plan, &e) < 0 || traits_apply(&plan, &e) < 0)
		return 1;
	if (sched_getscheduler(0) != SCHED_BATCH || getpriority(PRIO_PROCESS, 0) != 3)
		return 2;
	if (affinity_make(&cpus, &a, &e) < 0 || affinity_apply(0, &a.initial, "initial", &e) < 0)
		return 3;
	if (affinity_apply(0, &a.final, "final", &e) != -1 || e.errnum != EINVAL)
		return 4;
	affinity_free(&a);
	return strcmp(e.at, "/process/execCPUAffinity/final") != 0;
}

static void test_traits_apply(void)
{
	is_int(in_child(traits_self), 0);
}

int main(void)
{
	RUN(test_rlimits);
	RUN(test_rlimits_apply);
	RUN(test_oom_score);
	RUN(test_bitlist);
	RUN(test_scheduler);
	RUN(test_other_traits);
	RUN(test_traits_apply);
	return done();
}
