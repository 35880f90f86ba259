/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Realtime budgets, in a tree of plain directories that stand for groups. */
#include "kernel/cgroup_realtime.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup_dir.h"
#include "tap.h"

static char top[] = "/tmp/davit-rt-XXXXXX";

static void put(const char *group, const char *file, const char *text)
{
	autofree char *path = xasprintf("%s%s/%s", top, group, file);
	FILE *f = fopen(path, "w");

	ok(f && fputs(text, f) >= 0);
	if (f)
		(void)fclose(f);
}

static void group(const char *name, const char *runtime, const char *period)
{
	autofree char *path = xasprintf("%s%s", top, name);

	(void)mkdir(path, 0700);
	put(name, "cpu.rt_runtime_us", runtime);
	put(name, "cpu.rt_period_us", period);
}

static void is_runtime(const char *name, uint64_t want)
{
	struct cgroup_dir d = {.path = xasprintf("%s%s", top, name), .fd = -1};
	uint64_t got = 0;

	is_int(cgroup_dir_u64(&d, "cpu.rt_runtime_us", &got), 0);
	is_int((long long)got, (long long)want);
	free(d.path);
}

static bool room(const char *name, unsigned short made, const char *runtime, struct err *e)
{
	struct cgroup_dir d = {.path = xasprintf("%s%s", top, name),
	                       .fd = -1,
	                       .made = made,
	                       .mount_len = (unsigned short)strlen(top)};
	bool rc = cgroup_rt_make_room(&d, runtime);

	memset(e, 0, sizeof(*e));
	fail(e, 22, "before");
	is_int(cgroup_rt_explain(&d, runtime, e), -1);
	free(d.path);
	return rc;
}

/* The parent of all of davit's containers gets the sum, and what others have there counts. */
static void test_default_parent(void)
{
	struct err e;

	group("", "950000", "1000000");
	group("/davit", "0", "1000000");
	group("/davit/a", "0", "1000000");
	ok(room("/davit/a", 2, "10000", &e));
	is_runtime("/davit", 10000);
	put("/davit/a", "cpu.rt_runtime_us", "10000");
	group("/davit/b", "0", "500000");
	ok(room("/davit/b", 1, "20000", &e)); /* of half the period: twice as much */
	is_runtime("/davit", 50000);
	is_str(e.msg, "before"); /* nothing lacks */
}

/* What others made is left alone, and named. */
static void test_others(void)
{
	struct err e;

	group("", "950000", "1000000");
	group("/pod", "30000", "1000000");
	group("/pod/a", "20000", "1000000");
	group("/pod/b", "0", "1000000");
	ok(room("/pod/b", 1, "10000", &e));
	ok(!room("/pod/b", 1, "11000", &e));
	ok(strstr(e.msg, "\"/pod\" has 30000 us") != NULL);
	ok(strstr(e.hint, "cpu.rt_runtime_us") != NULL);
	is_runtime("/pod", 30000);
	group("/pod/b/c", "0", "1000000");
	put("/pod/b", "cpu.rt_runtime_us", "0");
	ok(!room("/pod/b/c", 2, "11000", &e)); /* davit's own, but the one above lacks */
	ok(strstr(e.msg, "\"/pod\" has 30000 us") != NULL);
	is_runtime("/pod/b", 0);
	ok(room("/pod/b/c", 2, "9000", &e));
	is_runtime("/pod/b", 9000);
}

static void test_root(void)
{
	struct err e;

	group("", "950000", "1000000");
	group("/one", "0", "1000000");
	ok(!room("/one", 1, "960000", &e));
	ok(strstr(e.msg, "\"/\" has 950000 us") != NULL);
	ok(!room("/one", 1, "-1", &e)); /* no limit is the whole CPU */
	put("", "cpu.rt_runtime_us", "-1");
	ok(room("/one", 1, "900000", &e));
	ok(!room("/none", 1, "1", &e)); /* no such files: it cannot be told */
	is_str(e.msg, "before");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

int main(void)
{
	if (!mkdtemp(top))
		return 1;
	RUN(test_default_parent);
	RUN(test_others);
	RUN(test_root);
	(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return done();
}
