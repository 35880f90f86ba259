/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's log of processes that it killed for want of memory. It outlives the groups: systemd
 * removes a scope, and the counters in it, with its last process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_id;

/* One entry. */
struct oom_kill {
	uint64_t us;       /* since boot, without the time asleep */
	const char *group; /* of the victim: path below the mount of its memory controller */
	pid_t pid;         /* of the victim, in the first pid namespace */
};

/* Reads a record of /dev/kmsg, of n bytes; text is changed, and k points into it. False if it is
 * no such entry, was not written by the kernel, or if a name in it makes it ambiguous: groups and
 * programs are named by users. */
bool oom_kill_parse(char *text, size_t n, struct oom_kill *k);

struct oom_victims {
	uint64_t n; /* at least so many: the kernel does not log all when there are many */
	bool init;  /* init was one */
};

/* The victims in group, and below, since init was started. Nothing is found where the log cannot
 * be read; to read it takes CAP_SYSLOG unless kernel.dmesg_restrict is 0. */
void oom_victims_read(const char *group, const struct proc_id *init, struct oom_victims *v);
