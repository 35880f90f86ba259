/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "tap.h"

/* A directory that looks like procfs as far as this module looks. */
static char top[] = "/tmp/davit-test-lsm-XXXXXX";
static int proc;

static void put(const char *path, const char *text)
{
	autofd fd = openat(proc, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (write(fd, text, strlen(text)) < 0)
		ok(!"write");
}

static void get(const char *path, char *text, size_t size)
{
	autofd fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
}

static void proc_make(void)
{
	ok(mkdtemp(top) != NULL);
	proc = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ok(symlinkat("7/task/7", proc, "thread-self") == 0);
	ok(mkdirat(proc, "7", 0700) == 0 && mkdirat(proc, "7/task", 0700) == 0);
	ok(mkdirat(proc, "7/task/7", 0700) == 0 && mkdirat(proc, "7/task/7/attr", 0700) == 0);
	ok(mkdirat(proc, "7/task/7/attr/apparmor", 0700) == 0);
}

static void proc_drop(void)
{
	static const char *const files[] = {"apparmor/exec", "apparmor/current", "exec",
	                                    "keycreate"};
	char path[64];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "7/task/7/attr/%s", files[i]);
		unlinkat(proc, path, 0);
	}
	unlinkat(proc, "7/task/7/attr/apparmor", AT_REMOVEDIR);
	unlinkat(proc, "7/task/7/attr", AT_REMOVEDIR);
	unlinkat(proc, "7/task/7", AT_REMOVEDIR);
	unlinkat(proc, "7/task", AT_REMOVEDIR);
	unlinkat(proc, "7", AT_REMOVEDIR);
	unlinkat(proc, "thread-self", 0);
	rmdir(top);
	fd_close_at(&proc);
}

static void test_make(void)
{
	struct lsm_plan plan;
	struct err e = {0};
	char big[5000];

	is_int(lsm_make(NULL, NULL, &plan, &e), 0);
	ok(plan.apparmor == NULL && plan.selinux == NULL);
	is_int(lsm_make("", "", &plan, &e), 0);
	ok(plan.apparmor == NULL && plan.selinux == NULL);
	is_int(lsm_make("p", "l", &plan, &e), 0);
	ok((plan.apparmor != NULL) == lsm_has_apparmor());
	ok((plan.selinux != NULL) == lsm_has_selinux());
	is_int(lsm_make("a\nb", NULL, &plan, &e), -1);
	is_str(e.at, "/process/apparmorProfile");
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	memset(&e, 0, sizeof(e));
	is_int(lsm_make(NULL, big, &plan, &e), -1);
	is_str(e.at, "/process/selinuxLabel");
}

static void test_selinux(void)
{
	struct lsm_plan plan = {.selinux = "system_u:system_r:container_t:s0:c1,c2"};
	struct err e = {0};
	char text[128];

	put("7/task/7/attr/exec", "");
	is_int(lsm_exec(&plan, proc, &e), 0);
	get("7/task/7/attr/exec", text, sizeof(text));
	is_str(text, plan.selinux);
	/* a file that does not show what was written */
	put("7/task/7/attr/exec", "system_u:system_r:container_t:s0:c1,c2:and:more");
	is_int(lsm_exec(&plan, proc, &e), -1);
	ok(strstr(e.msg, "`/proc/thread-self/attr/exec`") != NULL);
	is_int(e.errnum, EACCES);
	is_str(e.at, "/process/selinuxLabel");
	is_int(lsm_keycreate(&plan, proc, &e), -1);
	is_int(e.errnum, ENOENT);
	put("7/task/7/attr/keycreate", "");
	is_int(lsm_keycreate(&plan, proc, &e), 0);
	is_int(lsm_keycreate_reset(&plan, proc, &e), 0);
}

static void test_apparmor(void)
{
	struct lsm_plan plan = {.apparmor = "web"};
	struct err e = {0};
	char text[128];

	/* neither file */
	unlinkat(proc, "7/task/7/attr/exec", 0);
	is_int(lsm_exec(&plan, proc, &e), -1);
	is_str(e.at, "/process/apparmorProfile");
	/* the newer file is preferred; the kernel shows a profile without the verb, this file
	 * does not */
	put("7/task/7/attr/apparmor/exec", "");
	memset(&e, 0, sizeof(e));
	is_int(lsm_exec(&plan, proc, &e), -1);
	ok(strstr(e.msg, "`/proc/thread-self/attr/apparmor/exec`") != NULL);
	get("7/task/7/attr/apparmor/exec", text, sizeof(text));
	is_str(text, "exec web");
	/* a stack is not compared */
	plan.apparmor = "a//&b";
	is_int(lsm_exec(&plan, proc, &e), 0);
	/* nothing to leave; a name that only begins alike is a profile like any other */
	put("7/task/7/attr/apparmor/exec", "");
	put("7/task/7/attr/apparmor/current", "unconfined\n");
	plan.apparmor = "unconfined";
	is_int(lsm_exec(&plan, proc, &e), 0);
	get("7/task/7/attr/apparmor/exec", text, sizeof(text));
	is_str(text, "");
	plan.apparmor = "unconfined_foo";
	is_int(lsm_exec(&plan, proc, &e), -1);
	get("7/task/7/attr/apparmor/exec", text, sizeof(text));
	is_str(text, "exec unconfined_foo");
}

/* A link on the way is never followed. */
static void test_links(void)
{
	struct lsm_plan plan = {.selinux = "a:b:c"};
	struct err e = {0};

	put("7/task/7/attr/keycreate", "");
	unlinkat(proc, "7/task/7/attr/exec", 0);
	ok(symlinkat("keycreate", proc, "7/task/7/attr/exec") == 0);
	is_int(lsm_exec(&plan, proc, &e), -1);
	unlinkat(proc, "7/task/7/attr/exec", 0);
	unlinkat(proc, "thread-self", 0);
	ok(symlinkat("../etc", proc, "thread-self") == 0);
	is_int(lsm_exec(&plan, proc, &e), -1);
}

int main(void)
{
	proc_make();
	RUN(test_make);
	RUN(test_selinux);
	RUN(test_apparmor);
	RUN(test_links);
	proc_drop();
	return done();
}
