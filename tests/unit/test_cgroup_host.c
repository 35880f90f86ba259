/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which hierarchies a host has, from the texts of the kernel. */
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_host.h"
#include "tap.h"

static void parse(struct cgroup_host *h, const char *mountinfo, const char *own)
{
	memset(h, 0, sizeof(*h));
	h->text[0] = xstrdup(mountinfo);
	h->text[1] = xstrdup(own);
	cgroup_host_parse_mountinfo(h, h->text[0]);
	cgroup_host_parse_own(h, h->text[1]);
}

static void test_hybrid(void)
{
	struct cgroup_host h;

	parse(&h,
	      "31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
	      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	      "33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,"
	      "release_agent=/lib/x,name=systemd\n"
	      "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n",
	      "3:cpuacct,cpu:/a\n1:name=systemd:/b:c\n0::/u\n");
	is_int(h.mode, CGROUP_MODE_HYBRID);
	is_int((long long)h.n, 3);
	is_str(cgroup_host_find(&h, "cpuacct")->mount, "/sys/fs/cgroup/cpu,cpuacct");
	is_str(cgroup_host_find(&h, "cpu")->own, "/a");
	is_str(cgroup_host_find(&h, "name=systemd")->controllers, "name=systemd");
	is_str(cgroup_host_find(&h, "name=systemd")->own, "/b:c");
	is_str(cgroup_host_find(&h, "")->mount, "/sys/fs/cgroup/unified");
	is_str(cgroup_host_find(&h, "")->own, "/u");
	ok(!cgroup_host_find(&h, "memory"));
	ok(!cgroup_host_find(&h, "acct"));
	cgroup_host_free(&h);
}

static void test_v1_and_v2(void)
{
	struct cgroup_host h;

	parse(&h, "1 2 0:3 / /cg/memory rw - cgroup none rw,memory", "");
	is_int(h.mode, CGROUP_MODE_V1);
	ok(!h.v[0].own);
	cgroup_host_free(&h);
	parse(&h, "1 2 0:3 / /elsewhere rw - cgroup2 none rw\n", "0::/../x\n");
	is_int(h.mode, CGROUP_MODE_V2);
	is_str(h.v[0].mount, "/elsewhere");
	ok(!h.v[0].own); /* outside of the namespace */
	cgroup_host_free(&h);
	parse(&h, "", "0::/\n");
	is_int(h.mode, CGROUP_MODE_NONE);
	cgroup_host_free(&h);
}

static void test_mount_twice(void)
{
	struct cgroup_host h;

	parse(&h,
	      "1 2 0:3 / /mnt/m rw - cgroup x rw,memory\n"
	      "2 2 0:3 /box /sys/fs/cgroup/memory rw - cgroup x rw,memory\n"
	      "3 2 0:3 / /tmp/m rw - cgroup x rw,memory\n",
	      "4:memory:/box/a\n");
	is_int((long long)h.n, 1);
	is_str(h.v[0].mount, "/sys/fs/cgroup/memory");
	is_str(h.v[0].root, "/box");
	is_str(h.v[0].own, "/a");
	cgroup_host_free(&h);
}

static void test_odd_lines(void)
{
	struct cgroup_host h;

	parse(&h,
	      "1 2 0:3 / /a\\040b\\134c rw - cgroup x rw,pids\n"
	      " - cgroup\n1 2 - cgroup x y\n- cgroup2\n1 2 3 4 5 - cgroup\n"
	      "5 6 7 / /z rw - cgroup x rw,xattr\n"
	      "5 6 7 / /z rw - cgroupx x rw,xattr\n",
	      "::\n:\nx\n7:pids:/p\n8:pids\n");
	is_int((long long)h.n, 1);
	is_str(h.v[0].mount, "/a b\\c");
	is_str(h.v[0].own, "/p");
	cgroup_host_free(&h);
}

static void test_list(void)
{
	ok(cgroup_list_has("cpu,cpuacct", "cpu"));
	ok(cgroup_list_has("cpu,cpuacct", "cpuacct"));
	ok(!cgroup_list_has("cpu,cpuacct", "acct"));
	ok(!cgroup_list_has("cpuset", "cpu"));
	ok(!cgroup_list_has("", ""));
	ok(!cgroup_list_has("a,,b", ""));
}

static void test_of(void)
{
	const char *text = "4:memory:/m/x\n0::/u/y\n";
	autofree char *memory = cgroup_of(text, "memory");
	autofree char *unified = cgroup_of(text, "");

	is_str(memory, "/m/x");
	is_str(unified, "/u/y");
	ok(!cgroup_of(text, "pids"));
}

int main(void)
{
	RUN(test_hybrid);
	RUN(test_v1_and_v2);
	RUN(test_mount_twice);
	RUN(test_odd_lines);
	RUN(test_list);
	RUN(test_of);
	return done();
}
