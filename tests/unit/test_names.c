/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/names.h"

#include <ctype.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"

static const struct {
	const char *title;
	const struct names *table;
	size_t n;
} tables[] = {
	{"signals",           &names_signals,           34},
	{"rlimits",           &names_rlimits,           16},
	{"capabilities",      &names_capabilities,      41},
	{"namespaces",        &names_namespaces,        8 },
	{"seccomp actions",   &names_seccomp_actions,   9 },
	{"seccomp operators", &names_seccomp_operators, 7 },
	{"seccomp archs",     &names_seccomp_archs,     23},
	{"seccomp flags",     &names_seccomp_flags,     4 },
	{"schedulers",        &names_schedulers,        7 },
	{"sched flags",       &names_sched_flags,       7 },
	{"ioprio",            &names_ioprio,            3 },
	{"mempolicy",         &names_mempolicy,         7 },
	{"mempolicy flags",   &names_mempolicy_flags,   3 },
	{"personalities",     &names_personalities,     2 },
};

/* Sorted, complete, each word is found and has its value. */
static void test_tables(void)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		const struct names *t = tables[i].table;

		printf("# %s\n", tables[i].title);
		is_int((long long)t->n, (long long)tables[i].n);
		for (size_t k = 0; k < t->n; k++) {
			int64_t value = -99;

			if (k > 0)
				ok(strcmp(t->v[k - 1].name, t->v[k].name) < 0);
			ok(names_find(t, t->v[k].name, &value) && value == t->v[k].value);
			ok(names_of(t, value) != NULL);
		}
	}
}

static void test_missing(void)
{
	int64_t value = 5;

	ok(!names_find(&names_capabilities, "CAP_NOPE", &value));
	ok(!names_find(&names_capabilities, "", &value));
	ok(!names_find(&names_capabilities, "cap_chown", &value));
	ok(!names_find(&names_capabilities, "ZZZ", &value));
	is_int(value, 5);
	ok(names_of(&names_capabilities, 99) == NULL);
}

#define CAP(name)                                                                                  \
	{                                                                                          \
#name, name                                                                        \
	}

/* The kernel's header is the oracle of the numbers, which the table spells out. */
static void test_capabilities(void)
{
	static const struct name caps[] = {
		CAP(CAP_CHOWN),
		CAP(CAP_DAC_OVERRIDE),
		CAP(CAP_DAC_READ_SEARCH),
		CAP(CAP_FOWNER),
		CAP(CAP_FSETID),
		CAP(CAP_KILL),
		CAP(CAP_SETGID),
		CAP(CAP_SETUID),
		CAP(CAP_SETPCAP),
		CAP(CAP_LINUX_IMMUTABLE),
		CAP(CAP_NET_BIND_SERVICE),
		CAP(CAP_NET_BROADCAST),
		CAP(CAP_NET_ADMIN),
		CAP(CAP_NET_RAW),
		CAP(CAP_IPC_LOCK),
		CAP(CAP_IPC_OWNER),
		CAP(CAP_SYS_MODULE),
		CAP(CAP_SYS_RAWIO),
		CAP(CAP_SYS_CHROOT),
		CAP(CAP_SYS_PTRACE),
		CAP(CAP_SYS_PACCT),
		CAP(CAP_SYS_ADMIN),
		CAP(CAP_SYS_BOOT),
		CAP(CAP_SYS_NICE),
		CAP(CAP_SYS_RESOURCE),
		CAP(CAP_SYS_TIME),
		CAP(CAP_SYS_TTY_CONFIG),
		CAP(CAP_MKNOD),
		CAP(CAP_LEASE),
		CAP(CAP_AUDIT_WRITE),
		CAP(CAP_AUDIT_CONTROL),
		CAP(CAP_SETFCAP),
		CAP(CAP_MAC_OVERRIDE),
		CAP(CAP_MAC_ADMIN),
		CAP(CAP_SYSLOG),
		CAP(CAP_WAKE_ALARM),
		CAP(CAP_BLOCK_SUSPEND),
		CAP(CAP_AUDIT_READ),
		CAP(CAP_PERFMON),
		CAP(CAP_BPF),
		CAP(CAP_CHECKPOINT_RESTORE),
	};

	is_int((long long)(sizeof(caps) / sizeof(*caps)), CAP_LAST_CAP + 1);
	for (size_t i = 0; i < sizeof(caps) / sizeof(*caps); i++) {
		is_str(names_of(&names_capabilities, caps[i].value), caps[i].name);
		is_int(caps[i].value, (long long)i);
	}
}

/* libseccomp is the oracle; it may be too old for some. */
static void test_archs(void)
{
	int known = 0;

	for (size_t i = 0; i < names_seccomp_archs.n; i++) {
		char lower[32];
		size_t n = 0;
		uint32_t token;

		for (const char *s = names_seccomp_archs.v[i].name + strlen("SCMP_ARCH_"); *s; s++)
			lower[n++] = (char)tolower(*s);
		lower[n] = '\0';
		token = seccomp_arch_resolve_name(lower);
		if (!token)
			continue;
		known++;
		is_int((long long)names_seccomp_archs.v[i].value, token);
	}
	ok(known >= 19);
}

static void test_operators(void)
{
	int64_t value;

	ok(names_find(&names_seccomp_operators, "SCMP_CMP_NE", &value) && value == SCMP_CMP_NE);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_LT", &value) && value == SCMP_CMP_LT);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_LE", &value) && value == SCMP_CMP_LE);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_EQ", &value) && value == SCMP_CMP_EQ);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_GE", &value) && value == SCMP_CMP_GE);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_GT", &value) && value == SCMP_CMP_GT);
	ok(names_find(&names_seccomp_operators, "SCMP_CMP_MASKED_EQ", &value) &&
	   value == SCMP_CMP_MASKED_EQ);
}

static void test_signal_names(void)
{
	/* the C library is the oracle for the numbers */
	for (int sig = 1; sig < 32; sig++) {
		char name[32];

		snprintf(name, sizeof(name), "SIG%s", sigabbrev_np(sig));
		is_int(signal_parse(name), sig);
		is_int(signal_parse(name + 3), sig);
		ok(names_of(&names_signals, sig) != NULL);
	}
}

static void test_signal_parse(void)
{
	static const char *const bad[] = {"",        "SIG",        "65",      "-1",        "9x",
	                                  "SIGNOPE", "RTMIN+31",   "RTMIN-1", "RTMAX+1",   "RTMIN+",
	                                  "RTMINx",  "SIGSIGTERM", " 9",      "4294967305"};

	is_int(signal_parse("9"), 9);
	is_int(signal_parse("64"), 64);
	is_int(signal_parse("0"), 0);
	is_int(signal_parse("sigterm"), SIGTERM);
	is_int(signal_parse("Kill"), SIGKILL);
	is_int(signal_parse("SIGCLD"), SIGCHLD);
	is_int(signal_parse("SIGRTMIN"), SIGRTMIN);
	is_int(signal_parse("SIGRTMIN+3"), 37);
	is_int(signal_parse("rtmin+30"), 64);
	is_int(signal_parse("RTMAX"), 64);
	is_int(signal_parse("RTMAX-30"), 34);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (!is_int(signal_parse(bad[i]), -1))
			printf("# signal \"%s\"\n", bad[i]);
}

int main(void)
{
	RUN(test_tables);
	RUN(test_missing);
	RUN(test_capabilities);
	RUN(test_archs);
	RUN(test_operators);
	RUN(test_signal_names);
	RUN(test_signal_parse);
	return done();
}
