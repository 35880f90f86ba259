/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests that change the process they run in. */
#pragma once

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn in a child; what it returns is its exit status. */
static inline int in_child(int (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
