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

static void resources_give(const char *json, bool v2, const char *want)
{
	struct arena a = {0};
	struct oci_error oe;
	struct oci_resources r;
	struct str s = {0};
	autofree char *got = NULL;

	if (!ok(oci_read(&ocispec_schema, OCI_RESOURCES, json, strlen(json), &a, &r, &oe) == 0))
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
	               "t|CPUWeight|100|t|CPUQuotaPeriodUSec|10000|t|CPUQuotaPerSecUSec|500000|");
	resources_give("{\"cpu\":{\"shares\":1024,\"quota\":-1}}", false,
	               "t|CPUShares|1024|t|CPUQuotaPerSecUSec|18446744073709551615|");
	resources_give("{\"cpu\":{\"quota\":12345}}", true, "t|CPUQuotaPerSecUSec|130000|");
	resources_give("{\"cpu\":{\"cpus\":\"0-3,16\"}}", true, "ay|AllowedCPUs|15 0 1|");
	resources_give("{\"pids\":{\"limit\":0},\"blockIO\":{\"weight\":10}}", true,
	               "t|IOWeight|1|t|TasksMax|1|");
	resources_give("{\"pids\":{\"limit\":-1}}", true, "t|TasksMax|18446744073709551615|");
	resources_give("{\"unified\":{\"memory.high\":\"7\",\"memory.max\":\"max\",\"x.y\":\"1\"}}",
	               true, "t|MemoryHigh|7|t|MemoryMax|18446744073709551615|");
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
	RUN(test_mask);
	RUN(test_devices);
	RUN(test_annotations);
	RUN(test_annotations_refused);
	return done();
}
