/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of groups and units, and the state record. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "kernel/cgroup.h"
#include "tap.h"

static struct err e;

static void clean_is(const char *in, const char *want)
{
	autofree char *got = cgroup_path_clean(in, &e);

	is_str(got, want);
}

static void test_clean(void)
{
	clean_is("/a/b", "/a/b");
	clean_is("a//b/", "/a/b");
	clean_is("", "/");
	clean_is("/", "/");
	clean_is("/a..b/...", "/a..b/...");
	clean_is("/../x", NULL);
	clean_is("a/../b", NULL);
	clean_is("a/./b", NULL);
	clean_is("..", NULL);
	clean_is("a\nb", NULL);
}

static void test_clean_long(void)
{
	char name[300], want[300];

	memset(name, 'x', sizeof(name));
	name[255] = '\0';
	want[0] = '/';
	memcpy(want + 1, name, 256);
	clean_is(name, want);
	name[255] = 'x';
	name[256] = '\0';
	clean_is(name, NULL);
}

static void resolve_is(const char *path, const char *want)
{
	autofree char *got = cgroup_path_resolve(path, "/davit", "web", &e);

	is_str(got, want);
}

static void test_resolve(void)
{
	resolve_is(NULL, "/davit/web");
	resolve_is("", "/davit/web");
	resolve_is("x/y", "/davit/x/y");
	resolve_is("/x/y", "/x/y");
	resolve_is("/", NULL);
	resolve_is("//", NULL);
	resolve_is("../x", NULL);
	resolve_is("/../../../../canary", NULL);
}

static void slice_is(const char *in, const char *want)
{
	autofree char *got = cgroup_slice_path(in, &e);

	is_str(got, want);
}

static void test_slice(void)
{
	slice_is("system.slice", "/system.slice");
	slice_is("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice");
	slice_is("-.slice", "");
	slice_is("-a.slice", NULL);
	slice_is("a--b.slice", NULL);
	slice_is("a-.slice", NULL);
	slice_is(".slice", NULL);
	slice_is("a", NULL);
	slice_is("a/b.slice", NULL);
	slice_is("a b.slice", NULL);
}

static void unit_is(const char *path, bool rootless, const char *slice, const char *name,
                    const char *group)
{
	struct cgroup_unit u;
	int rc = cgroup_unit_parse(path, "web", rootless, &u, &e);

	is_int(rc, name ? 0 : -1);
	if (rc == 0) {
		is_str(u.slice, slice);
		is_str(u.name, name);
		is_str(u.path, group);
		cgroup_unit_free(&u);
	}
}

static void test_unit(void)
{
	unit_is(NULL, false, "system.slice", "davit-web.scope", "/system.slice/davit-web.scope");
	unit_is("", true, "user.slice", "davit-web.scope", "/user.slice/davit-web.scope");
	unit_is("m-n.slice:libpod:1", false, "m-n.slice", "libpod-1.scope",
	        "/m.slice/m-n.slice/libpod-1.scope");
	unit_is(":p:n", false, "system.slice", "p-n.scope", "/system.slice/p-n.scope");
	unit_is("-:p:n", false, "-.slice", "p-n.scope", "/p-n.scope");
	unit_is("::n", false, "system.slice", "n.scope", "/system.slice/n.scope");
	unit_is("a.slice:p:a-b.slice", false, "a.slice", "a-b.slice", "/a.slice/a-b.slice");
	unit_is(":p:a+b", false, "system.slice", "p-a\\x2bb.scope",
	        "/system.slice/p-a\\x2bb.scope");
	unit_is("/a/b", false, NULL, NULL, NULL);
	unit_is("a:b", false, NULL, NULL, NULL);
	unit_is("a.slice:b:c:d", false, NULL, NULL, NULL);
	unit_is("a/b.slice:p:n", false, NULL, NULL, NULL);
	unit_is("a.slice:p:../n", false, NULL, NULL, NULL);
	unit_is("a.slice:p:", false, NULL, NULL, NULL);
}

static void test_record(void)
{
	struct cgroup cg = {.mode = CGROUP_MODE_HYBRID, .manager = CGROUP_MANAGER_SYSTEMD, .n = 2};
	struct cgroup back;
	autofree char *record = NULL;
	autofree char *again = NULL;

	cg.unit = xstrdup("a b%-\"\\.scope");
	cg.v[0] = (struct cgroup_dir){.controllers = xstrdup("cpu,name=x y"),
	                              .path = xstrdup("/no such/-/x"),
	                              .fd = -1,
	                              .made = 2,
	                              .mount_len = 8};
	cg.v[1] = (struct cgroup_dir){.controllers = xstrdup(""),
	                              .path = xstrdup("/none/\xc3\xa4"),
	                              .fd = -1,
	                              .mount_len = 5,
	                              .v2 = true};
	record = cgroup_record(&cg);
	ok(!strpbrk(record, "\"\\\n"));
	is_int(cgroup_parse(record, &back, &e), 0);
	is_str(back.unit, cg.unit);
	is_str(back.leaf, NULL);
	is_int((long long)back.n, 2);
	is_str(back.v[0].path, "/no such/-/x");
	is_str(back.v[0].controllers, "cpu,name=x y");
	is_int(back.v[0].made, 2);
	ok(back.v[1].v2);
	is_str(back.v[1].controllers, "");
	is_str(cgroup_display(&back), "/\xc3\xa4");
	again = cgroup_record(&back);
	is_str(again, record);
	cgroup_close(&back);
	cgroup_close(&cg);
}

static void record_refused(const char *record)
{
	struct cgroup cg;

	if (!ok(cgroup_parse(record, &cg, &e) < 0))
		printf("#   %s\n", record);
}

static void test_record_bad(void)
{
	record_refused("2 3 cgroupfs 0 - -");
	record_refused("1 9 cgroupfs 0 - -");
	record_refused("1 3 nonsense 0 - -");
	record_refused("1 3 cgroupfs 0 -");
	record_refused("1 3 cgroupfs 0 - a/b");
	record_refused("1 3 cgroupfs 0 - - cpu 1 1");
	record_refused("1 3 cgroupfs 0 - - cpu 1 1 99 /a/b");
	record_refused("1 3 cgroupfs 0 - - cpu 1 1 2 /a/../b");
	record_refused("1 3 cgroupfs 0 - - cpu 1 1 2 /a/");
	/* A real directory that is no cgroup file system. */
	record_refused("1 3 cgroupfs 0 - - cpu 1 1 4 /tmp/x");
	record_refused("1 3 cgroupfs 0 - - - 2 1 5 /proc/x");
}

static void test_record_empty(void)
{
	struct cgroup cg;

	is_int(cgroup_parse("", &cg, &e), 0);
	is_int((long long)cg.n, 0);
	is_int(cgroup_frozen(&cg), 0);
	is_str(cgroup_display(&cg), "");
	cgroup_close(&cg);
}

int main(void)
{
	RUN(test_clean);
	RUN(test_clean_long);
	RUN(test_resolve);
	RUN(test_slice);
	RUN(test_unit);
	RUN(test_record);
	RUN(test_record_bad);
	RUN(test_record_empty);
	return done();
}
