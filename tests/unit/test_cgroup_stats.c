/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The formats of the kernel's statistics files. */
#include <stdlib.h>

#include "base/mem.h"
#include "kernel/cgroup_stats_part.h"
#include "tap.h"

static void test_psi(void)
{
	struct cgroup_psi p;

	cgroup_parse_psi("some avg10=1.23 avg60=0.05 avg300=100.00 total=12345\n"
	                 "full avg10=0.00 avg60=0.00 avg300=0.10 total=7\n",
	                 &p);
	ok(p.has);
	is_int(p.some.avg10, 123);
	is_int(p.some.avg60, 5);
	is_int(p.some.avg300, 10000);
	is_int((long long)p.some.total_us, 12345);
	is_int(p.full.avg300, 10);
	is_int((long long)p.full.total_us, 7);
	cgroup_parse_psi("", &p);
	ok(!p.has);
}

static void test_pairs(void)
{
	char text[] = "cache 12\nrss 34\nbroken\nbig 99999999999999999999\nlast 5";
	struct cgroup_pair *v;
	size_t n;

	cgroup_parse_pairs(text, &v, &n);
	is_int((long long)n, 3);
	is_str(v[1].key, "rss");
	is_int((long long)v[1].value, 34);
	is_str(v[2].key, "last");
	free(v);
}

static void test_blkio(void)
{
	char text[] = "8:0 Read 100\n8:0 Total 100\n253:16 7\nTotal 107\n:1 x\n";
	struct cgroup_blkio_list l = {0};

	cgroup_parse_blkio(text, &l);
	is_int((long long)l.n, 3);
	is_str(l.v[0].op, "Read");
	is_int((long long)l.v[0].value, 100);
	is_int((long long)l.v[2].major, 253);
	is_int((long long)l.v[2].minor, 16);
	is_str(l.v[2].op, "");
	free(l.v);
}

static void test_io_stat(void)
{
	struct cgroup_blkio_list bytes = {0}, ops = {0};

	cgroup_parse_io_stat("8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"
	                     "8:0 \n9:0 cost.vrate=100.00 rbytes=5\n",
	                     &bytes, &ops);
	is_int((long long)bytes.n, 4);
	is_int((long long)ops.n, 3);
	is_str(bytes.v[1].op, "Write");
	is_int((long long)bytes.v[1].value, 20);
	is_int((long long)ops.v[0].minor, 16);
	is_int((long long)bytes.v[3].major, 9);
	free(bytes.v);
	free(ops.v);
}

static void test_text(void)
{
	uint64_t v = 0;

	ok(cgroup_text_u64("oom 1\noom_kill 5\n", "oom_kill", &v));
	is_int((long long)v, 5);
	ok(!cgroup_text_u64("oom_kill 5\n", "oom", &v));
	ok(!cgroup_text_u64("", "oom", &v));
	ok(!cgroup_text_u64("oom 99999999999999999999", "oom", &v));
}

int main(void)
{
	RUN(test_psi);
	RUN(test_pairs);
	RUN(test_blkio);
	RUN(test_io_stat);
	RUN(test_text);
	return done();
}
