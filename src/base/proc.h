/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes: identity, signals by pidfd, waiting with a deadline, running helper programs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

/* A process for good: a pid alone is used again, so its start time (clock ticks since boot, field
 * 22 of /proc/PID/stat) goes with it; records on disk carry the boot id as well. */
struct proc_id {
	pid_t pid; /* 0: none */
	uint64_t start;
};

/* State letter and start time of pid from /proc/PID/stat; -1 with errno if there is none. */
int proc_stat(pid_t pid, char *state, uint64_t *start);
/* The same from the text of such a file; -1 if it is not one. */
int proc_stat_parse(const char *text, size_t len, char *state, uint64_t *start);
/* The 36 characters of the boot id. */
int proc_boot_id(char id[37], struct err *e);

/* A pidfd for the process if it still is the same one and is not a zombie; -1 with errno ESRCH when
 * it is gone. Where pidfd_open(2) is missing or forbidden it is a descriptor of /proc/PID, which
 * the two functions below take as well. */
int proc_open(const struct proc_id *id);
/* Whether that process exists and is no zombie, for who only wants to know: 1, 0, or -1 with errno
 * when it cannot be told. */
int proc_is_alive(const struct proc_id *id);
int proc_signal(int pidfd, int sig); /* 0 or -1 with errno */
/* Waits until the process has ended: 1, 0 after timeout_ms (-1: no limit), -1 with errno. */
int proc_wait_gone(int pidfd, int timeout_ms);

/* As fork(2), with flags of clone(2): the child goes on with a copy of the stack. pidfd, unless it
 * is NULL, gets one of the child. cgroup: the directory of the group that the child begins in, or
 * -1. That alone takes clone3(2); all else comes without where a kernel or a filter lacks it. */
pid_t proc_fork(unsigned long flags, int cgroup, int *pidfd);

void pid_reap_at(pid_t *pid); /* kills with SIGKILL and reaps; sets 0 */
#define autopid __attribute__((cleanup(pid_reap_at))) pid_t

/* A program to run and wait for. */
struct proc_run {
	const char *path;
	char *const *argv; /* NULL-terminated */
	char *const *envp; /* NULL: empty environment */
	const char *input; /* written to its stdin (SIGPIPE-safe); NULL: /dev/null */
	size_t input_len;
	int out_fd, err_fd; /* where its stdout and stderr go; -1: kept */
	const char *cwd;    /* NULL: kept */
	int timeout_ms;     /* 0: none; then its whole process group is killed */
	int stop_fd;        /* > 0: when it becomes readable, the same; errnum EINTR */
	bool tied;          /* it is killed when the caller ends */
	char *tail; /* if not NULL: the end of its stderr (when err_fd is -1), NUL-terminated */
	size_t tail_size; /* > 1 */
};
/* Returns the wait status in *status; -1 when it could not be started or timed out (errnum
 * ETIMEDOUT). Signal mask, dispositions and descriptors above 2 are reset for it. */
int proc_run(const struct proc_run *r, int *status, struct err *e);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t clock_ms(void);
