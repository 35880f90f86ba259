/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Entries of the kernel's log about processes that were killed for want of memory. */
#include "kernel/oom_log.h"

#include <string.h>

#include "base/proc.h"
#include "tap.h"

#define HEAD "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0,"

static char text[2048];

static bool parse(const char *record, struct oom_kill *k)
{
	snprintf(text, sizeof(text), "%s", record);
	return oom_kill_parse(text, strlen(text), k);
}

static void test_real(void)
{
	struct oom_kill k = {0};

	ok(parse("6,1234,5878153028,-;" HEAD
	         "oom_memcg=/system.slice/a.scope,task_memcg=/system.slice/a.scope/x,task=init,"
	         "pid=2096,uid=0\n",
	         &k));
	is_int((long long)k.us, 5878153028);
	is_str(k.group, "/system.slice/a.scope/x");
	is_int(k.pid, 2096);
	/* fields after the flags, fields below, no group that was full */
	ok(parse("6,1,7,-,caller=T12;" HEAD "global_oom,task_memcg=/b,task=x,pid=1,uid=0\n"
	         " SUBSYSTEM=cpu\n DEVICE=+cpu:0\n",
	         &k));
	is_str(k.group, "/b");
	is_int(k.pid, 1);
}

static void test_names(void)
{
	struct oom_kill k = {0};

	/* a unit's name has backslashes, which the log escapes */
	ok(parse("6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p\\x5cx2dq,task=x,pid=1,uid=0\n", &k));
	is_str(k.group, "/p\\x2dq");
	/* a program's name may look like the end */
	ok(parse("6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=,pid=7,uid=0,pid=8,uid=0\n", &k));
	is_int(k.pid, 8);
	/* a group's name that says that the victim was in another one */
	ok(!parse("6,1,7,-;" HEAD
	          "oom_memcg=/x,task_memcg=/victim,task=y,task_memcg=/x,task=z,pid=1,uid=0\n",
	          &k));
	ok(!parse("6,1,7,-;" HEAD "oom_memcg=/x,task_memcg=/v,task=y/w,task=z,pid=1,uid=0\n", &k));
}

static void test_others(void)
{
	static const char *const bad[] = {
		"",
		"\n",
		";",
		"6,1,7,-;\n",
		"6,1,7,-;oom-kill:",
		"6,1,7,-;oom-kill:\n",
		/* written by a program, not by the kernel */
		"14,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=1,uid=0\n",
		"6,1,7,-; " HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=1,uid=0\n",
		"6,1;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=1,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=p,task=x,pid=1,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,pid=1,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=0,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=-1,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=99999999999,uid=0\n",
		"6,1,7,-;" HEAD "oom_memcg=/p,task_memcg=/p,task=x,pid=1\n",
	};
	struct oom_kill k;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		printf("# %s\n", bad[i]);
		ok(!parse(bad[i], &k));
	}
}

static void test_read(void)
{
	struct proc_id init = {.pid = 1, .start = 0};
	struct oom_victims v = {.n = 3, .init = true};

	oom_victims_read("/no/such/group", &init, &v);
	is_int((long long)v.n, 0);
	ok(!v.init);
	oom_victims_read("/", &init, &v); /* would be all */
	is_int((long long)v.n, 0);
}

int main(void)
{
	RUN(test_real);
	RUN(test_names);
	RUN(test_others);
	RUN(test_read);
	return done();
}
