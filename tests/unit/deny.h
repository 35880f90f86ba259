/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes system calls fail as on an old kernel (ENOSYS) or in a sandbox (EPERM), and checks to run
 * in such a process. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* From now on, and for good, system call nr fails with errnum in this process. */
static inline bool deny_syscall(int nr, int errnum)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)errnum),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(*code), .filter = code};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

/* Runs check in a child where system call nr (none if -1) fails; true if the child says so. */
static inline bool deny_run(int nr, int errnum, bool (*check)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (nr >= 0 && !deny_syscall(nr, errnum))
			_exit(2);
		_exit(check() ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}
