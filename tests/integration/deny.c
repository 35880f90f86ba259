/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a program, and all that comes of it, on a kernel without some system calls:
 *
 *	deny ERROR CALL[,CALL...] PROGRAM [ARGUMENT...]
 *
 * ERROR is a name of the first table below, CALL one of the second: a call, or a group, "old" for
 * all. NAME/ARGUMENT/BITS refuses the call only where that argument (from 0) has one of the bits:
 * a kernel that has the call but not yet a flag of it. A wrong use exits with 99.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define MOUNT 1
#define PIDFD 2

static const struct {
	const char *name;
	int value;
} errors[] = {
	{"ENOSYS",     ENOSYS    },
        {"EPERM",      EPERM     },
        {"EINVAL",     EINVAL    },
	{"EOPNOTSUPP", EOPNOTSUPP},
        {"E2BIG",      E2BIG     },
        {"EACCES",     EACCES    },
};

/* The numbers are the same on every architecture. */
static const struct {
	const char *name;
	unsigned number;
	int group;
} calls[] = {
	{"pidfd_send_signal", 424, PIDFD},
	{"open_tree",         428, MOUNT},
	{"move_mount",        429, MOUNT},
	{"fsopen",            430, MOUNT},
	{"fsconfig",          431, MOUNT},
	{"fsmount",           432, MOUNT},
	{"fspick",            433, MOUNT},
	{"pidfd_open",        434, PIDFD},
	{"clone3",            435, 0    },
	{"close_range",       436, 0    },
	{"openat2",           437, 0    },
	{"pidfd_getfd",       438, PIDFD},
	{"faccessat2",        439, 0    },
	{"mount_setattr",     442, MOUNT},
	{"statmount",         457, MOUNT},
	{"listmount",         458, MOUNT},
	{"open_tree_attr",    467, MOUNT},
};

static struct sock_filter code[256];
static unsigned short length;

static void add(unsigned short op, unsigned char jt, unsigned char jf, unsigned k)
{
	if (length < COUNT(code))
		code[length++] = (struct sock_filter){op, jt, jf, k};
}

static void load(size_t offset)
{
	add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset);
}

/* rest: "", or "/ARGUMENT/BITS" */
static void refuse(unsigned number, const char *rest, unsigned error)
{
	char *end;
	unsigned long arg, bits;

	if (*rest != '/') {
		add(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
		add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error);
		return;
	}
	arg = strtoul(rest + 1, &end, 0) % 6;
	bits = strtoul(*end ? end + 1 : end, NULL, 0);
	add(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, number);
	load(offsetof(struct seccomp_data, args) + 8 * arg); /* little endian: the lower half */
	add(BPF_JMP | BPF_JSET | BPF_K, 0, 1, (unsigned)bits);
	add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error);
	load(offsetof(struct seccomp_data, nr));
}

static int is_in(size_t i, const char *name)
{
	return strcmp(name, "old") == 0 || strcmp(name, calls[i].name) == 0 ||
	       (strcmp(name, "mount") == 0 && calls[i].group == MOUNT) ||
	       (strcmp(name, "pidfd") == 0 && calls[i].group == PIDFD);
}

static int deny(char *name, unsigned error)
{
	char *slash = strchr(name, '/');
	const char *rest = "";
	int found = 0;

	if (slash) {
		rest = strdup(slash);
		*slash = '\0';
	}
	for (size_t i = 0; i < COUNT(calls); i++)
		if (is_in(i, name)) {
			refuse(calls[i].number, rest, error);
			found = 1;
		}
	return found && length < COUNT(code);
}

int main(int argc, char **argv)
{
	struct sock_fprog program = {.filter = code};
	int error = 0;

	if (argc < 4)
		return 99;
	for (size_t i = 0; i < COUNT(errors); i++)
		if (strcmp(argv[1], errors[i].name) == 0)
			error = errors[i].value;
	if (!error) {
		fprintf(stderr, "deny: no error \"%s\"\n", argv[1]);
		return 99;
	}
	load(offsetof(struct seccomp_data, nr));
	for (char *s = strtok(strdup(argv[2]), ","); s; s = strtok(NULL, ","))
		if (!deny(s, (unsigned)error)) {
			fprintf(stderr, "deny: no call \"%s\"\n", s);
			return 99;
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
	execvp(argv[3], argv + 3);
	perror("deny: exec");
	return 99;
}
