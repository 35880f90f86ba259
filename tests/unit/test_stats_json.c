/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line of `events --stats`, where no host has everything. */
#include "run/stats_json.h"

#include "tap.h"

static bool has(const struct str *o, const char *text)
{
	if (o->s && strstr(o->s, text))
		return true;
	printf("# no %s in %s\n", text, o->s ? o->s : "(null)");
	return false;
}

static void test_empty(void)
{
	struct cgroup_stats s = {0};
	autostr o = {0};

	stats_json("web", &s, &o);
	is_str(o.s,
	       "{\"type\":\"stats\",\"id\":\"web\",\"data\":{"
	       "\"cpu\":{\"usage\":{\"total\":0,\"kernel\":0,\"user\":0},"
	       "\"throttling\":{\"periods\":0,\"throttledPeriods\":0,\"throttledTime\":0}},"
	       "\"cpuset\":{\"cpu_exclusive\":0,\"mem_hardwall\":0,\"mem_exclusive\":0,"
	       "\"memory_migrate\":0,\"memory_spread_page\":0,\"memory_spread_slab\":0,"
	       "\"memory_pressure\":0,\"sched_load_balance\":0,\"sched_relax_domain_level\":0},"
	       "\"memory\":{\"cache\":0,\"usage\":{\"limit\":0,\"usage\":0,\"failcnt\":0},"
	       "\"swap\":{\"limit\":0,\"usage\":0,\"failcnt\":0},"
	       "\"kernel\":{\"limit\":0,\"usage\":0,\"failcnt\":0},"
	       "\"kernelTCP\":{\"limit\":0,\"usage\":0,\"failcnt\":0}},"
	       "\"pids\":{},\"blkio\":{},\"hugetlb\":{},\"intel_rdt\":{},"
	       "\"network_interfaces\":[]}}\n");
}

static void test_full(void)
{
	uint64_t percpu[] = {1, UINT64_MAX};
	struct cgroup_pair raw[] = {
		{"cache", 1},
                {"rss",   2}
        };
	struct cgroup_blkio_entry io[] = {
		{8, 0,  "Read", 4096},
                {8, 16, "",     1   }
        };
	struct cgroup_hugetlb huge = {"2MB", 1, 2, 3};
	struct cgroup_stats s = {
		.cpu = {.percpu = percpu,               .n_percpu = 2},
		.cpuset = {.cpus = (char[]){"0-2,7"},
                        .mems = (char[]){""},
                        .effective_mems = (char[]){"1"},
                        .sched_relax_domain_level = -1},
		.memory = {.has = true,
                        .usage = {.limit = UINT64_MAX, .max = 7, .has_max = true},
                        .oom_kill = 3,
                        .raw = raw,
                        .n_raw = 2},
		.has_pids = true,
		.pids_current = 4,
		.pids_limit = UINT64_MAX,
		.has_pids_peak = true,
		.pids_peak = 9,
		.blkio = {.queued = {io, 2}},
		.hugetlb = &huge,
		.n_hugetlb = 1,
	};
	autostr o = {0};

	s.cpu.psi = (struct cgroup_psi){
		.has = true, .some = {5, 1234, 10000, 77}
        };
	stats_json("a", &s, &o);
	ok(has(&o, "\"percpu\":[1,18446744073709551615],"));
	ok(has(&o, "\"cpus\":[0,1,2,7],\"cpu_exclusive\""));
	ok(has(&o, "\"mems\":[1],"));
	ok(has(&o, "\"sched_relax_domain_level\":-1}"));
	ok(has(&o, "\"raw\":{\"cache\":1,\"rss\":2},\"peak\":7,\"oomKills\":3}"));
	ok(has(&o,
	       "\"usage\":{\"limit\":18446744073709551615,\"usage\":0,\"max\":7,\"failcnt\":0}"));
	ok(has(&o, "\"pids\":{\"current\":4,\"peak\":9}"));
	ok(has(&o, "\"ioQueueRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":4096},"
	           "{\"major\":8,\"minor\":16,\"value\":1}]"));
	ok(has(&o, "\"hugetlb\":{\"2MB\":{\"usage\":1,\"max\":2,\"failcnt\":3}}"));
	ok(has(&o,
	       "\"psi\":{\"some\":{\"avg10\":0.05,\"avg60\":12.34,\"avg300\":100.00,\"total\":77},"
	       "\"full\":{\"avg10\":0.00,"));
}

static void test_bad_list(void)
{
	static const char *const texts[] = {"x", "3-", "5-1", "0-99999999", "1,,2"};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct cgroup_stats s = {0};
		autostr o = {0};

		s.cpuset.cpus = (char *)texts[i];
		stats_json("a", &s, &o);
		ok(o.len < 2000);
		ok(has(&o, "\"cpus\":["));
	}
}

int main(void)
{
	RUN(test_empty);
	RUN(test_full);
	RUN(test_bad_list);
	return done();
}
