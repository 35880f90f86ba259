/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every property of linux.resources, as the files and values of each version. */
#include "arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_resources.h"
#include "ocispec.h"
#include "read.h"
#include "tap.h"

static const struct cgroup_kinds v1 = {
	.n = 7,
	.v1 = {"cpu,cpuacct", "cpuset", "memory", "blkio", "pids", "hugetlb", "net_cls,net_prio"}
};
static const struct cgroup_kinds v2 = {.v2 = true};
static const struct cgroup_kinds hybrid = {
	.n = 2, .v1 = {"cpu", "memory"},
             .v2 = true, .v2_controllers = "hugetlb rdma"
};

static struct err e;

/* The settings as "file=value" words. The caller frees; NULL for an error. */
static char *convert(const char *json, const struct cgroup_kinds *k)
{
	struct arena a = {0};
	struct oci_error oe;
	struct oci_resources r;
	struct cgroup_settings s;
	autostr out = {0};

	memset(&e, 0, sizeof(e));
	if (oci_read(&ocispec_schema, OCI_RESOURCES, json, strlen(json), &a, &r, &oe) < 0)
		return xasprintf("%s: %s", oe.pointer, oe.msg);
	if (cgroup_settings_make(&r, k, &s, &e) < 0) {
		arena_free(&a);
		return NULL;
	}
	for (size_t i = 0; i < s.n; i++)
		str_addf(&out, "%s%s=%s", i ? "; " : "", s.v[i].file, s.v[i].value);
	cgroup_settings_free(&s);
	arena_free(&a);
	return str_steal(&out);
}

static void gives(const char *json, const struct cgroup_kinds *k, const char *want)
{
	autofree char *got = convert(json, k);

	if (!is_str(got, want))
		printf("#   %s\n#   %s\n", json, e.msg);
}

static void refused(const char *json, const struct cgroup_kinds *k, const char *at)
{
	autofree char *got = convert(json, k);

	ok(!got);
	is_str(e.at, at);
	ok(e.msg[0]);
}

static void test_memory_v1(void)
{
	gives("{\"memory\":{\"limit\":100,\"reservation\":50,\"swap\":200}}", &v1,
	      "memory.limit_in_bytes=100; memory.memsw.limit_in_bytes=200; "
	      "memory.soft_limit_in_bytes=50");
	gives("{\"memory\":{\"limit\":-1}}", &v1,
	      "memory.limit_in_bytes=-1; memory.memsw.limit_in_bytes=-1");
	gives("{\"memory\":{\"kernel\":5,\"kernelTCP\":6,\"swappiness\":7,\"useHierarchy\":true,"
	      "\"disableOOMKiller\":true}}",
	      &v1,
	      "memory.kmem.limit_in_bytes=5; memory.kmem.tcp.limit_in_bytes=6; "
	      "memory.swappiness=7; "
	      "memory.use_hierarchy=1; memory.oom_control=1");
	gives("{\"memory\":{}}", &v1, "");
	gives("{\"memory\":{\"limit\":0}}", &v1, "");
}

static void test_memory_v2(void)
{
	gives("{\"memory\":{\"limit\":100,\"reservation\":50,\"swap\":100}}", &v2,
	      "memory.max=100; memory.swap.max=0; memory.low=50");
	gives("{\"memory\":{\"limit\":100,\"swap\":-1}}", &v2,
	      "memory.max=100; memory.swap.max=max");
	gives("{\"memory\":{\"limit\":-1}}", &v2, "memory.max=max; memory.swap.max=max");
	gives("{\"memory\":{\"swap\":70}}", &v2, "memory.swap.max=70"); /* minus the limit then */
	gives("{\"memory\":{\"limit\":9,\"useHierarchy\":true}}", &v2, "memory.max=9");
}

static void test_memory_refused(void)
{
	refused("{\"memory\":{\"limit\":-2}}", &v2, "/linux/resources/memory/limit");
	refused("{\"memory\":{\"limit\":9,\"swap\":8}}", &v2, "/linux/resources/memory/swap");
	refused("{\"memory\":{\"limit\":-1,\"swap\":8}}", &v1, "/linux/resources/memory/swap");
	refused("{\"memory\":{\"swappiness\":101}}", &v1, "/linux/resources/memory/swappiness");
	refused("{\"memory\":{\"kernel\":100}}", &v2, "/linux/resources/memory/kernel");
	refused("{\"memory\":{\"limit\":100}}", &(struct cgroup_kinds){.n = 1, .v1 = {"cpu"}},
	        "/linux/resources/memory");
}

static void test_cpu_v1(void)
{
	gives("{\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000,\"burst\":1000,"
	      "\"idle\":0,\"cpus\":\"0-1\",\"mems\":\"0\"}}",
	      &v1,
	      "cpuset.cpus=0-1; cpuset.mems=0; cpu.idle=0; cpu.shares=1024; "
	      "cpu.cfs_period_us=100000; cpu.cfs_quota_us=50000; cpu.cfs_burst_us=1000");
	gives("{\"cpu\":{\"realtimeRuntime\":950,\"realtimePeriod\":1000,\"quota\":-1}}", &v1,
	      "cpu.cfs_quota_us=-1; cpu.rt_period_us=1000; cpu.rt_runtime_us=950");
	gives("{\"cpu\":{\"idle\":1}}", &v1, "cpu.idle=1");
	gives("{\"cpu\":{\"shares\":0,\"quota\":0,\"period\":0}}", &v1, "");
}

static void test_cpu_v2(void)
{
	gives("{\"cpu\":{\"shares\":1024,\"quota\":50000,\"period\":100000}}", &v2,
	      "cpu.weight=100; cpu.max=50000 100000");
	gives("{\"cpu\":{\"quota\":50000,\"burst\":7}}", &v2, "cpu.max=50000; cpu.max.burst=7");
	gives("{\"cpu\":{\"quota\":-1,\"period\":1000}}", &v2, "cpu.max=max 1000");
	gives("{\"cpu\":{\"period\":1000}}", &v2, "cpu.max=1000"); /* the quota is put in front */
	gives("{\"cpu\":{\"idle\":1,\"shares\":2}}", &v2, "cpu.weight=1; cpu.idle=1");
	gives("{\"cpu\":{\"realtimeRuntime\":0}}", &v2, "");
	refused("{\"cpu\":{\"realtimeRuntime\":9}}", &v2, "/linux/resources/cpu/realtimeRuntime");
	refused("{\"cpu\":{\"quota\":5,\"burst\":6}}", &v2, "/linux/resources/cpu/burst");
	refused("{\"cpu\":{\"idle\":2}}", &v2, "/linux/resources/cpu/idle");
}

static void test_small(void)
{
	gives("{\"pids\":{\"limit\":0}}", &v1, "pids.max=0");
	gives("{\"pids\":{\"limit\":-1}}", &v2, "pids.max=max");
	gives("{\"pids\":{\"limit\":9}}", &v2, "pids.max=9");
	gives("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4}]}", &v1,
	      "hugetlb.2MB.limit_in_bytes=4; hugetlb.2MB.rsvd.limit_in_bytes=4");
	gives("{\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":4}]}", &hybrid,
	      "hugetlb.2MB.max=4; hugetlb.2MB.rsvd.max=4");
	gives("{\"network\":{\"classID\":5,\"priorities\":[{\"name\":\"lo\",\"priority\":3}]}}",
	      &v1, "net_cls.classid=5; net_prio.ifpriomap=lo 3");
	gives("{\"rdma\":{\"mlx4_0\":{\"hcaHandles\":2,\"hcaObjects\":3}}}", &v2,
	      "rdma.max=mlx4_0 hca_handle=2 hca_object=3");
	refused("{\"network\":{\"classID\":5}}", &v2, "/linux/resources/network/classID");
	refused("{\"network\":{\"priorities\":[{\"name\":\"a b\",\"priority\":3}]}}", &v1,
	        "/linux/resources/network/priorities/0");
	refused("{\"rdma\":{\"x\":{}}}", &v2, "/linux/resources/rdma/x");
	refused("{\"pids\":{\"limit\":9}}", &hybrid, "/linux/resources/pids/limit");
}

static void test_block_io(void)
{
	static const char all[] =
		"{\"blockIO\":{\"weight\":100,\"weightDevice\":[{\"major\":8,\"minor\":1,"
		"\"weight\":500}],\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":5}],"
		"\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":0}]}}";

	gives(all, &v1,
	      "blkio.weight=100; blkio.bfq.weight=100; blkio.weight_device=8:1 500; "
	      "blkio.bfq.weight_device=8:1 500; blkio.throttle.read_bps_device=8:0 5; "
	      "blkio.throttle.write_iops_device=8:0 0");
	gives(all, &v2,
	      "io.bfq.weight=100; io.weight=910; io.bfq.weight=8:1 500; io.weight=8:1 4950; "
	      "io.max=8:0 rbps=5; io.max=8:0 wiops=max");
	refused("{\"blockIO\":{\"leafWeight\":10}}", &v2, "/linux/resources/blockIO/leafWeight");
	refused("{\"blockIO\":{\"weight\":5}}", &v1, "/linux/resources/blockIO/weight");
	refused("{\"blockIO\":{\"weight\":5000}}", &v2, "/linux/resources/blockIO/weight");
}

static void test_unified(void)
{
	gives("{\"unified\":{\"memory.high\":\"5\",\"io.max\":\"a\\nb\"}}", &v2,
	      "memory.high=5; io.max=a\nb");
	refused("{\"unified\":{\"../x\":\"1\"}}", &v2, "/linux/resources/unified/../x");
	refused("{\"unified\":{\"a/b.c\":\"1\"}}", &v2, "/linux/resources/unified/a/b.c");
	refused("{\"unified\":{\"..\":\"1\"}}", &v2, "/linux/resources/unified/..");
	refused("{\"unified\":{\"x\":\"1\"}}", &v2, "/linux/resources/unified/x");
	refused("{\"unified\":{\"cgroup.procs\":\"1\"}}", &v2,
	        "/linux/resources/unified/cgroup.procs");
	refused("{\"unified\":{\"memory.high\":\"1\"}}", &v1,
	        "/linux/resources/unified/memory.high");
}

static void test_page_size(void)
{
	static const char *const bad[] = {"../", "2M", "MB", "2mb", "2MB/../x"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct oci_hugepage_limit h = {.page_size = (char *)bad[i], .limit = 1};
		struct oci_resources r = {.hugepage_limits = &h, .n_hugepage_limits = 1};
		struct cgroup_settings s;

		memset(&e, 0, sizeof(e));
		ok(cgroup_settings_make(&r, &v1, &s, &e) < 0);
		is_str(e.at, "/linux/resources/hugepageLimits/0/pageSize");
	}
}

static void test_weights(void)
{
	/* computed with 40 digits from the formula */
	static const struct {
		uint64_t shares, weight;
	} want[] = {
		{0,      0    },
                {1,      1    },
                {2,      1    },
                {3,      2    },
		{10,     4    },
                {512,    59   },
                {1023,   100  },
                {1024,   100  },
		{1025,   101  },
                {2048,   174  },
                {26809,  1421 },
                {116225, 4938 },
		{200416, 7914 },
                {262143, 10000},
                {262144, 10000},
                {999999, 10000}
        };

	for (size_t i = 0; i < COUNT(want); i++)
		is_int((long long)cgroup_cpu_weight(want[i].shares), (long long)want[i].weight);
	for (uint64_t s = 3; s <= 262144; s += 7)
		if (cgroup_cpu_weight(s) < cgroup_cpu_weight(s - 1))
			ok(!"the curve never falls");
	is_int((long long)cgroup_io_weight(10), 1);
	is_int((long long)cgroup_io_weight(1000), 10000);
}

int main(void)
{
	RUN(test_memory_v1);
	RUN(test_memory_v2);
	RUN(test_memory_refused);
	RUN(test_cpu_v1);
	RUN(test_cpu_v2);
	RUN(test_small);
	RUN(test_block_io);
	RUN(test_unified);
	RUN(test_page_size);
	RUN(test_weights);
	return done();
}
