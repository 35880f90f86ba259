/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/names.h"

#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/sys.h"

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif
#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (EM_LOONGARCH | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

/* Exports TABLE_rows as names_TABLE. Rows are sorted by strcmp; a unit test proves it. */
#define NAMES(table) const struct names names_##table = {table##_rows, COUNT(table##_rows)}

/* clang-format off */
#define SAME(constant) {#constant, constant}
/* clang-format on */

static const struct name signals_rows[] = {
	SAME(SIGABRT),   SAME(SIGALRM),  SAME(SIGBUS),  SAME(SIGCHLD), SAME(SIGCLD),
	SAME(SIGCONT),   SAME(SIGFPE),   SAME(SIGHUP),  SAME(SIGILL),  SAME(SIGINT),
	SAME(SIGIO),     SAME(SIGIOT),   SAME(SIGKILL), SAME(SIGPIPE), SAME(SIGPOLL),
	SAME(SIGPROF),   SAME(SIGPWR),   SAME(SIGQUIT), SAME(SIGSEGV),
#ifdef SIGSTKFLT
	SAME(SIGSTKFLT),
#endif
	SAME(SIGSTOP),   SAME(SIGSYS),   SAME(SIGTERM), SAME(SIGTRAP), SAME(SIGTSTP),
	SAME(SIGTTIN),   SAME(SIGTTOU),  SAME(SIGURG),  SAME(SIGUSR1), SAME(SIGUSR2),
	SAME(SIGVTALRM), SAME(SIGWINCH), SAME(SIGXCPU), SAME(SIGXFSZ),
};
NAMES(signals);

static const struct name rlimits_rows[] = {
	SAME(RLIMIT_AS),     SAME(RLIMIT_CORE),   SAME(RLIMIT_CPU),        SAME(RLIMIT_DATA),
	SAME(RLIMIT_FSIZE),  SAME(RLIMIT_LOCKS),  SAME(RLIMIT_MEMLOCK),    SAME(RLIMIT_MSGQUEUE),
	SAME(RLIMIT_NICE),   SAME(RLIMIT_NOFILE), SAME(RLIMIT_NPROC),      SAME(RLIMIT_RSS),
	SAME(RLIMIT_RTPRIO), SAME(RLIMIT_RTTIME), SAME(RLIMIT_SIGPENDING), SAME(RLIMIT_STACK),
};
NAMES(rlimits);

/* capabilities(7); the numbers are ABI, spelled out so that no header's age matters */
static const struct name capabilities_rows[] = {
	{"CAP_AUDIT_CONTROL",      30},
        {"CAP_AUDIT_READ",         37},
        {"CAP_AUDIT_WRITE",        29},
	{"CAP_BLOCK_SUSPEND",      36},
        {"CAP_BPF",                39},
        {"CAP_CHECKPOINT_RESTORE", 40},
	{"CAP_CHOWN",              0 },
        {"CAP_DAC_OVERRIDE",       1 },
        {"CAP_DAC_READ_SEARCH",    2 },
	{"CAP_FOWNER",             3 },
        {"CAP_FSETID",             4 },
        {"CAP_IPC_LOCK",           14},
	{"CAP_IPC_OWNER",          15},
        {"CAP_KILL",               5 },
        {"CAP_LEASE",              28},
	{"CAP_LINUX_IMMUTABLE",    9 },
        {"CAP_MAC_ADMIN",          33},
        {"CAP_MAC_OVERRIDE",       32},
	{"CAP_MKNOD",              27},
        {"CAP_NET_ADMIN",          12},
        {"CAP_NET_BIND_SERVICE",   10},
	{"CAP_NET_BROADCAST",      11},
        {"CAP_NET_RAW",            13},
        {"CAP_PERFMON",            38},
	{"CAP_SETFCAP",            31},
        {"CAP_SETGID",             6 },
        {"CAP_SETPCAP",            8 },
	{"CAP_SETUID",             7 },
        {"CAP_SYSLOG",             34},
        {"CAP_SYS_ADMIN",          21},
	{"CAP_SYS_BOOT",           22},
        {"CAP_SYS_CHROOT",         18},
        {"CAP_SYS_MODULE",         16},
	{"CAP_SYS_NICE",           23},
        {"CAP_SYS_PACCT",          20},
        {"CAP_SYS_PTRACE",         19},
	{"CAP_SYS_RAWIO",          17},
        {"CAP_SYS_RESOURCE",       24},
        {"CAP_SYS_TIME",           25},
	{"CAP_SYS_TTY_CONFIG",     26},
        {"CAP_WAKE_ALARM",         35},
};
NAMES(capabilities);

static const struct name namespaces_rows[] = {
	{"cgroup",  CLONE_NEWCGROUP},
        {"ipc",     CLONE_NEWIPC   },
        {"mount",   CLONE_NEWNS    },
	{"network", CLONE_NEWNET   },
        {"pid",     CLONE_NEWPID   },
        {"time",    CLONE_NEWTIME  },
	{"user",    CLONE_NEWUSER  },
        {"uts",     CLONE_NEWUTS   },
};
NAMES(namespaces);

static const struct name seccomp_actions_rows[] = {
	{"SCMP_ACT_ALLOW",        SECCOMP_RET_ALLOW       },
	{"SCMP_ACT_ERRNO",        SECCOMP_RET_ERRNO       },
	{"SCMP_ACT_KILL",         SECCOMP_RET_KILL_THREAD },
	{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
	{"SCMP_ACT_KILL_THREAD",  SECCOMP_RET_KILL_THREAD },
	{"SCMP_ACT_LOG",          SECCOMP_RET_LOG         },
	{"SCMP_ACT_NOTIFY",       SECCOMP_RET_USER_NOTIF  },
	{"SCMP_ACT_TRACE",        SECCOMP_RET_TRACE       },
	{"SCMP_ACT_TRAP",         SECCOMP_RET_TRAP        },
};
NAMES(seccomp_actions);

/* the values of libseccomp's enum scmp_compare */
static const struct name seccomp_operators_rows[] = {
	{"SCMP_CMP_EQ",        4},
        {"SCMP_CMP_GE",        5},
        {"SCMP_CMP_GT",        6},
        {"SCMP_CMP_LE",        3},
	{"SCMP_CMP_LT",        2},
        {"SCMP_CMP_MASKED_EQ", 7},
        {"SCMP_CMP_NE",        1},
};
NAMES(seccomp_operators);

/* x32 shares AUDIT_ARCH_X86_64; like libseccomp it is told apart by the missing 64 bit flag */
static const struct name seccomp_archs_rows[] = {
	{"SCMP_ARCH_AARCH64",     AUDIT_ARCH_AARCH64         },
	{"SCMP_ARCH_ARM",         AUDIT_ARCH_ARM             },
	{"SCMP_ARCH_LOONGARCH64", AUDIT_ARCH_LOONGARCH64     },
	{"SCMP_ARCH_M68K",        AUDIT_ARCH_M68K            },
	{"SCMP_ARCH_MIPS",        AUDIT_ARCH_MIPS            },
	{"SCMP_ARCH_MIPS64",      AUDIT_ARCH_MIPS64          },
	{"SCMP_ARCH_MIPS64N32",   AUDIT_ARCH_MIPS64N32       },
	{"SCMP_ARCH_MIPSEL",      AUDIT_ARCH_MIPSEL          },
	{"SCMP_ARCH_MIPSEL64",    AUDIT_ARCH_MIPSEL64        },
	{"SCMP_ARCH_MIPSEL64N32", AUDIT_ARCH_MIPSEL64N32     },
	{"SCMP_ARCH_PARISC",      AUDIT_ARCH_PARISC          },
	{"SCMP_ARCH_PARISC64",    AUDIT_ARCH_PARISC64        },
	{"SCMP_ARCH_PPC",         AUDIT_ARCH_PPC             },
	{"SCMP_ARCH_PPC64",       AUDIT_ARCH_PPC64           },
	{"SCMP_ARCH_PPC64LE",     AUDIT_ARCH_PPC64LE         },
	{"SCMP_ARCH_RISCV64",     AUDIT_ARCH_RISCV64         },
	{"SCMP_ARCH_S390",        AUDIT_ARCH_S390            },
	{"SCMP_ARCH_S390X",       AUDIT_ARCH_S390X           },
	{"SCMP_ARCH_SH",          AUDIT_ARCH_SHEL            },
	{"SCMP_ARCH_SHEB",        AUDIT_ARCH_SH              },
	{"SCMP_ARCH_X32",         EM_X86_64 | __AUDIT_ARCH_LE},
	{"SCMP_ARCH_X86",         AUDIT_ARCH_I386            },
	{"SCMP_ARCH_X86_64",      AUDIT_ARCH_X86_64          },
};
NAMES(seccomp_archs);

static const struct name seccomp_flags_rows[] = {
	SAME(SECCOMP_FILTER_FLAG_LOG),
	SAME(SECCOMP_FILTER_FLAG_SPEC_ALLOW),
	SAME(SECCOMP_FILTER_FLAG_TSYNC),
	SAME(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
};
NAMES(seccomp_flags);

/* sched(7); SCHED_ISO is reserved and never made it into a kernel */
static const struct name schedulers_rows[] = {
	{"SCHED_BATCH",    3},
        {"SCHED_DEADLINE", 6},
        {"SCHED_FIFO",     1},
        {"SCHED_IDLE",     5},
	{"SCHED_ISO",      4},
        {"SCHED_OTHER",    0},
        {"SCHED_RR",       2},
};
NAMES(schedulers);

static const struct name sched_flags_rows[] = {
	{"SCHED_FLAG_DL_OVERRUN",     0x04},
        {"SCHED_FLAG_KEEP_PARAMS",    0x10},
	{"SCHED_FLAG_KEEP_POLICY",    0x08},
        {"SCHED_FLAG_RECLAIM",        0x02},
	{"SCHED_FLAG_RESET_ON_FORK",  0x01},
        {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
};
NAMES(sched_flags);

static const struct name ioprio_rows[] = {
	{"IOPRIO_CLASS_BE",   2},
	{"IOPRIO_CLASS_IDLE", 3},
	{"IOPRIO_CLASS_RT",   1},
};
NAMES(ioprio);

static const struct name mempolicy_rows[] = {
	{"MPOL_BIND",                2},
	{"MPOL_DEFAULT",             0},
	{"MPOL_INTERLEAVE",          3},
	{"MPOL_LOCAL",               4},
	{"MPOL_PREFERRED",           1},
	{"MPOL_PREFERRED_MANY",      5},
	{"MPOL_WEIGHTED_INTERLEAVE", 6},
};
NAMES(mempolicy);

static const struct name mempolicy_flags_rows[] = {
	{"MPOL_F_NUMA_BALANCING", 1 << 13},
	{"MPOL_F_RELATIVE_NODES", 1 << 14},
	{"MPOL_F_STATIC_NODES",   1 << 15},
};
NAMES(mempolicy_flags);

static const struct name personalities_rows[] = {
	{"LINUX",   0x0000},
	{"LINUX32", 0x0008},
};
NAMES(personalities);

bool names_find(const struct names *t, const char *name, int64_t *value)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(name, t->v[mid].name);

		if (order == 0) {
			*value = t->v[mid].value;
			return true;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

const char *names_of(const struct names *t, int64_t value)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].value == value)
			return t->v[i].name;
	return NULL;
}

/* "RTMIN", "RTMIN+n", "RTMAX", "RTMAX-n" as in kill(1) and systemd; the C library's range. */
static int signal_parse_rt(const char *text)
{
	bool from_min = strncasecmp(text, "RTMIN", 5) == 0;
	uint64_t n = 0;

	if (!from_min && strncasecmp(text, "RTMAX", 5) != 0)
		return -1;
	text += 5;
	if (*text && (*text != (from_min ? '+' : '-') || str_to_u64(text + 1, &n) < 0))
		return -1;
	if (n > (uint64_t)(SIGRTMAX - SIGRTMIN))
		return -1;
	return from_min ? SIGRTMIN + (int)n : SIGRTMAX - (int)n;
}

int signal_parse(const char *text)
{
	uint64_t number;

	if (str_to_u64(text, &number) == 0)
		return number <= (uint64_t)SIGRTMAX ? (int)number : -1;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < names_signals.n; i++)
		if (strcasecmp(names_signals.v[i].name + 3, text) == 0)
			return (int)names_signals.v[i].value;
	return signal_parse_rt(text);
}
