/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd is told: properties from resources, device rules and annotations. */
#include "arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "kernel/cgroup_systemd_property.h"
#include "ocispec.h"
#include "read.h"
#include "tap.h"

static struct err e;

/* NULs become '|', so that the text can be compared. */
static char *shown(struct str *s)
{
	for (size_t i = 0; i < s->len; i++)
		if (!s->s[i])
			s->s[i] = '|';
	return str_steal(s);
}

static bool resources_read(const char *json, struct arena *a, struct oci_resources *r)
{
	struct oci_error oe;

	return ok(oci_read(&ocispec_schema, OCI_RESOURCES, json, strlen(json), a, r, &oe) == 0);
}

static void resources_give(const char *json, bool v2, const char *want)
{
	struct arena a = {0};
	struct oci_resources r;
	struct str s = {0};
	autofree char *got = NULL;

	if (!resources_read(json, &a, &r))
		return;
	systemd_resources_add(&s, &r, v2, r.cpu ? r.cpu->quota : 0, r.cpu ? r.cpu->period : 0);
	got = shown(&s);
	is_str(got, want);
	arena_free(&a);
}

static void test_resources(void)
{
	resources_give("{\"memory\":{\"limit\":100,\"reservation\":50,\"swap\":150}}", true,
	               "t|MemoryMax|100|t|MemoryLow|50|t|MemorySwapMax|50|");
	resources_give("{\"memory\":{\"limit\":100,\"swap\":150}}", false, "t|MemoryLimit|100|");
	resources_give("{\"cpu\":{\"shares\":1024,\"quota\":5000,\"period\":10000}}", true,
	               "t|CPUWeight|100|?t|CPUQuotaPeriodUSec|10000|t|CPUQuotaPerSecUSec|500000|");
	resources_give("{\"cpu\":{\"shares\":1024,\"quota\":-1}}", false,
	               "t|CPUShares|1024|t|CPUQuotaPerSecUSec|18446744073709551615|");
	resources_give("{\"cpu\":{\"quota\":12345}}", true, "t|CPUQuotaPerSecUSec|130000|");
	resources_give("{\"cpu\":{\"cpus\":\"0-3,16\"}}", true, "?ay|AllowedCPUs|15 0 1|");
	resources_give("{\"pids\":{\"limit\":0}}", true, "t|TasksMax|1|");
	resources_give("{\"cpu\":{\"idle\":1}}", true, "?t|CPUWeight|0|");
	resources_give("{\"pids\":{\"limit\":-1}}", true, "t|TasksMax|18446744073709551615|");
	resources_give("{\"unified\":{\"memory.high\":\"7\",\"memory.max\":\"max\",\"x.y\":\"1\"}}",
	               true, "t|MemoryHigh|7|t|MemoryMax|18446744073709551615|");
}

static void file_gives(const char *file, const char *value, const char *want)
{
	struct str s = {0};
	autofree char *got = NULL;

	systemd_file_add(&s, file, value);
	got = shown(&s);
	is_str(got, want);
}

static void test_files(void)
{
	file_gives("cpu.max", "5000 10000",
	           "?t|CPUQuotaPeriodUSec|10000|t|CPUQuotaPerSecUSec|500000|");
	file_gives("cpu.max", "max 20000",
	           "?t|CPUQuotaPeriodUSec|20000|t|CPUQuotaPerSecUSec|18446744073709551615|");
	file_gives("cpu.max", "50000", "t|CPUQuotaPerSecUSec|500000|");
	file_gives("cpu.idle", "1", "?t|CPUWeight|0|");
	file_gives("cpu.idle", "0", "");
	file_gives("cpu.weight.nice", "5", "t|CPUWeight|33|");
	file_gives("cpu.weight.nice", "-20", "t|CPUWeight|8674|");
	file_gives("cpu.weight.nice", "19", "t|CPUWeight|1|");
	file_gives("cpu.weight.nice", "20", "");
	file_gives("cpuset.cpus", "0,2", "?ay|AllowedCPUs|5|");
	file_gives("io.weight", "default 70", "t|IOWeight|70|");
	file_gives("io.weight", "999:9 70", "");
	file_gives("io.bfq.weight", "default 200", "t|IOWeight|1200|");
	file_gives("io.bfq.weight", "200", "t|IOWeight|1200|");
	file_gives("blkio.bfq.weight", "120", "t|BlockIOWeight|320|");
	file_gives("blkio.bfq.weight", "999", "t|BlockIOWeight|1000|");
	file_gives("pids.max", "0", "t|TasksMax|1|");
	file_gives("memory.limit_in_bytes", "7", "t|MemoryLimit|7|");
	file_gives("io.max", "999:1 rbps=5 wiops=max\n999:2 rbps=max",
	           "?a(st)|IOReadBandwidthMax|/dev/block/999:1 5\n"
	           "/dev/block/999:2 18446744073709551615|"
	           "?a(st)|IOWriteIOPSMax|/dev/block/999:1 18446744073709551615|");
	file_gives("blkio.throttle.read_bps_device", "999:1 5", "");
	file_gives("memory.swap.max", "0", "t|MemorySwapMax|0|");
}

static void io_gives(const char *json, bool v2, bool bfq, const char *want)
{
	struct arena a = {0};
	struct oci_resources r;
	struct str s = {0};
	autofree char *got = NULL;

	if (!resources_read(json, &a, &r))
		return;
	systemd_io_add(&s, r.block_io, v2, bfq);
	got = shown(&s);
	is_str(got, want);
	arena_free(&a);
}

static void weights_give(const char *text, bool bfq, const char *want)
{
	struct str s = {0};
	autofree char *got = NULL;

	systemd_io_weights_add(&s, text, bfq);
	got = shown(&s);
	is_str(got, want);
}

static void test_io_weights(void)
{
	weights_give("default 100\n", false, "?a(st)|IODeviceWeight||");
	weights_give("default 100\n999:1 200\n999:2 default\n999:3 7", false,
	             "?a(st)|IODeviceWeight||?a(st)|IODeviceWeight|/dev/block/999:1 200\n"
	             "/dev/block/999:3 7|");
	weights_give("default 100\n999:1 200\n", true,
	             "?a(st)|IODeviceWeight||?a(st)|IODeviceWeight|/dev/block/999:1 1200|");
}

/* A device that is not there keeps its numbers; a real one is shown by the tests in machines. */
static void test_io(void)
{
	static const char all[] =
		"{\"blockIO\":{\"weight\":200,\"weightDevice\":[{\"major\":999,\"minor\":1,"
		"\"weight\":10},{\"major\":999,\"minor\":2,\"leafWeight\":10}],"
		"\"throttleReadBpsDevice\":[{\"major\":999,\"minor\":1,\"rate\":5},"
		"{\"major\":999,\"minor\":2,\"rate\":0}],"
		"\"throttleWriteIOPSDevice\":[{\"major\":999,\"minor\":1,\"rate\":6}]}}";

	io_gives(all, true, false,
	         "t|IOWeight|1920|?a(st)|IODeviceWeight|/dev/block/999:1 1|"
	         "?a(st)|IOReadBandwidthMax|/dev/block/999:1 5\n"
	         "/dev/block/999:2 18446744073709551615|"
	         "?a(st)|IOWriteIOPSMax|/dev/block/999:1 6|");
	io_gives(all, false, false,
	         "t|BlockIOWeight|200|?a(st)|BlockIODeviceWeight|/dev/block/999:1 10|");
	io_gives("{\"blockIO\":{\"weight\":181}}", false, true, "t|BlockIOWeight|991|");
	io_gives(all, false, true,
	         "t|BlockIOWeight|1000|?a(st)|BlockIODeviceWeight|/dev/block/999:1 10|");
	io_gives("{\"blockIO\":{\"weight\":200}}", true, true, "t|IOWeight|1200|");
	is_int(systemd_io_weight(1000, true), 10000);
	is_int(systemd_io_weight(10, true), 10);
	is_int(systemd_blkio_weight(100, true), 100);
	is_int(systemd_blkio_weight(1000, false), 1000);
}

static void test_mask(void)
{
	static const char *const bad[] = {"a", "1-", "3-1", "-1", "9999", "1 2", "1,-"};

	for (size_t i = 0; i < COUNT(bad); i++) {
		autostr s = {0};

		ok(!systemd_mask(bad[i], &s));
	}
}

static void test_devices(void)
{
	static const char classes[] = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n"
				      "  8 sd\n";
	struct cgroup_device_rule v[] = {
		{false, 'a', -1,  -1,  DEVICE_ALL                },
		{true,  'c', 136, -1,  DEVICE_READ | DEVICE_WRITE},
		{true,  'b', 8,   -1,  DEVICE_READ               },
		{true,  'b', 136, -1,  DEVICE_READ               }, /* has no driver */
		{true,  'c', 10,  229, DEVICE_ALL                },
		{true,  'c', -1,  -1,  DEVICE_MKNOD              },
	};
	struct cgroup_device_rules r = {v, COUNT(v)};
	struct str s = {0};
	autofree char *got = NULL;
	autofree char *all = NULL;

	systemd_devices_add(&s, &r, classes);
	got = shown(&s);
	is_str(got, "s|DevicePolicy|strict|a(ss)|DeviceAllow||a(ss)|DeviceAllow|"
	            "char-pts rw\nblock-sd r\n/dev/char/10:229 rwm\nchar-* m|");
	v[0].allow = true;
	r.n = 1;
	systemd_devices_add(&s, &r, classes);
	all = shown(&s);
	is_str(all, "s|DevicePolicy|auto|a(ss)|DeviceAllow||");
}

/* NULL: refused */
static void annotation_gives(const char *key, const char *value, const char *want)
{
	char *keys[] = {(char *)key}, *values[] = {(char *)value};
	struct oci_map m = {keys, values, 1};
	struct str s = {0};
	autofree char *got = NULL;
	int rc = systemd_annotations_add(&s, &m, &e);

	got = shown(&s);
	is_str(rc == 0 ? got : NULL, want);
}

#define P "org.systemd.property."

static void test_annotations(void)
{
	annotation_gives("other", "x", "");
	annotation_gives(P "TimeoutStopUSec", "uint64 5000000", "t|TimeoutStopUSec|5000000|");
	annotation_gives(P "TimeoutStopSec", "1.5", "t|TimeoutStopUSec|1500000|");
	annotation_gives(P "TimeoutStopSec", "30", "t|TimeoutStopUSec|30000000|");
	annotation_gives(P "CollectMode", "'inactive-or-failed'",
	                 "s|CollectMode|inactive-or-failed|");
	annotation_gives(P "DefaultDependencies", "true", "b|DefaultDependencies|true|");
	annotation_gives(P "After", "['a.service', \"b.service\"]",
	                 "as|After|a.service\nb.service|");
	annotation_gives(P "After", "[]", "as|After||");
}

static void test_annotations_refused(void)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{P "ExecStartPre",        "'/bin/x'"            },
		{P "ExecStop",            "[]"                  },
		{P "RootDirectory",       "'/'"                 },
		{P "ConditionPathExists", "'/'"                 },
		{P "OnFailure",           "['x.service']"       },
		{P "Slice",               "'x.slice'"           },
		{P "",                    "1"                   },
		{P "TimeoutStopUSec",     "-1"                  },
		{P "TimeoutStopUSec",     "5 "                  },
		{P "TimeoutStopUSec",     "99999999999999999999"},
		{P "TimeoutStopSec",      "99999999999999999"   },
		{P "CollectMode",         "x"                   },
		{P "CollectMode",         "'x' 'y'"             },
		{P "CollectMode",         "'a\nb'"              },
		{P "DefaultDependencies", "1"                   },
		{P "After",               "['a' 'b']"           },
		{P "After",               "['a',]"              },
		{P "After",               "['a'"                },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		annotation_gives(bad[i].key, bad[i].value, NULL);
		ok(strstr(e.msg, bad[i].key) != NULL);
	}
}

int main(void)
{
	RUN(test_resources);
	RUN(test_files);
	RUN(test_io);
	RUN(test_io_weights);
	RUN(test_mask);
	RUN(test_devices);
	RUN(test_annotations);
	RUN(test_annotations_refused);
	return done();
}
