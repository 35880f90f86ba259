/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program, and all that comes of it, on a kernel without some system calls:
 *
 *	deny ENOSYS|EPERM CALL[,CALL...] PROGRAM [ARGUMENT...]
 *
 * CALL is a name of the table below, "old" for all of them. A wrong use exits with 99.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The numbers are the same on every architecture. */
static const struct {
	const char *name;
	unsigned number;
} calls[] = {
	{"pidfd_send_signal", 424},
	{"open_tree",         428},
	{"move_mount",        429},
	{"fsopen",            430},
	{"fsconfig",          431},
	{"fsmount",           432},
	{"fspick",            433},
	{"pidfd_open",        434},
	{"clone3",            435},
	{"close_range",       436},
	{"openat2",           437},
	{"pidfd_getfd",       438},
	{"faccessat2",        439},
	{"mount_setattr",     442},
	{"statmount",         457},
	{"listmount",         458},
	{"open_tree_attr",    467},
};

static struct sock_filter code[2 * COUNT(calls) + 2];
static unsigned short length;

static void add(unsigned short op, unsigned char jt, unsigned char jf, unsigned k)
{
	code[length++] = (struct sock_filter){op, jt, jf, k};
}

static int deny(const char *name, size_t n, int error)
{
	int found = 0;

	for (size_t i = 0; i < COUNT(calls); i++) {
		if (strncmp(name, "old", n) != 0 &&
		    (strlen(calls[i].name) != n || strncmp(name, calls[i].name, n) != 0))
			continue;
		found = 1;
		add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[i].number);
		add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | (unsigned)error);
	}
	return found;
}

int main(int argc, char **argv)
{
	struct sock_fprog program = {.filter = code};
	int error = argc > 1 && strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS;

	if (argc < 4)
		return 99;
	add(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
	for (const char *s = argv[2]; *s;) {
		size_t n = strcspn(s, ",");

		if (!deny(s, n, error) || length > COUNT(code) - 1) {
			fprintf(stderr, "deny: no call \"%s\"\n", s);
			return 99;
		}
		s += n + (s[n] == ',');
	}
	add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	program.len = length;
	/* no_new_privs would be seen in the container: only without privilege */
	if (geteuid() != 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0) {
		perror("deny: seccomp");
		return 99;
	}
	execv(argv[3], argv + 3);
	perror("deny: exec");
	return 99;
}
