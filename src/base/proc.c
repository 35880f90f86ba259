/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/sys.h"
#include "base/timing.h"

int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int proc_stat_parse(const char *text, size_t len, char *state, uint64_t *start)
{
	const char *end = text + len, *at = memrchr(text, ')', len);
	char number[24];
	size_t n = 0;

	/* the name may hold anything, also ")", but nothing after the last one is a name */
	if (!at || end - at < 4 || at[1] != ' ' || at[3] != ' ')
		return -1;
	*state = at[2];
	at += 3;
	for (int field = 4; field <= 22; field++) { /* at is the blank before the field */
		at = memchr(at, ' ', (size_t)(end - at));
		if (!at)
			return -1;
		at++;
	}
	while (at + n < end && n < sizeof(number) - 1 && at[n] >= '0' && at[n] <= '9')
		n++;
	memcpy(number, at, n);
	number[n] = '\0';
	return str_to_u64(number, start);
}

static int proc_stat_at(int dir, const char *path, char *state, uint64_t *start)
{
	autofd fd = fd_try_open(dir, path, O_RDONLY);
	char text[1024];
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text)); /* ESRCH: ended meanwhile */
	if (n < 0)
		return -1;
	if (proc_stat_parse(text, (size_t)n, state, start) < 0) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int proc_stat(pid_t pid, char *state, uint64_t *start)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (proc_stat_at(AT_FDCWD, path, state, start) == 0)
		return 0;
	if (errno == ENOENT)
		errno = ESRCH;
	return -1;
}

int proc_boot_id(char id[37], struct err *e)
{
	static char known[37]; /* it does not change, and list asks for each container */

	if (!known[0]) {
		autofd fd = fd_open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0, e);

		if (fd < 0)
			return -1;
		if (read(fd, id, 36) != 36)
			return fail(e, EIO, "read \"/proc/sys/kernel/random/boot_id\"");
		memcpy(known, id, 36);
	}
	memcpy(id, known, 37);
	return 0;
}

/* Without pidfd_open(2) (5.3): the directory in /proc stands for the process as well. */
static int pidfd_open_fallback(pid_t pid)
{
	char path[24];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	fd = fd_try_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT)
		errno = ESRCH;
	return fd;
}

int proc_open(const struct proc_id *id)
{
	autofd fd = -1;
	uint64_t start;
	char state;

	if (id->pid <= 0) {
		errno = ESRCH;
		return -1;
	}
	fd = sys_pidfd_open(id->pid, 0);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = pidfd_open_fallback(id->pid);
	if (fd < 0 && errno == EINVAL) /* a thread has that number now */
		errno = ESRCH;
	if (fd < 0 || proc_stat(id->pid, &state, &start) < 0)
		return -1;
	/* the descriptor came first, so if the times agree it is of this process */
	if (start != id->start || state == 'Z' || state == 'X') {
		errno = ESRCH;
		return -1;
	}
	return take_fd(&fd);
}

int proc_is_alive(const struct proc_id *id)
{
	uint64_t start;
	char state;

	if (id->pid <= 0)
		return 0;
	if (proc_stat(id->pid, &state, &start) < 0)
		return errno == ESRCH ? 0 : -1;
	return start == id->start && state != 'Z' && state != 'X';
}

/* What fork(2) of the C library adds is for programs with threads. */
pid_t proc_fork(unsigned long flags, int cgroup, int *pidfd)
{
	const int end = flags & CLONE_PARENT ? 0 : SIGCHLD;
	const unsigned long all = flags | (pidfd ? CLONE_PIDFD : 0);
	const struct clone_args args = {
		.flags = all | (cgroup >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uintptr_t)pidfd,
		.exit_signal = (unsigned)end,
		.cgroup = cgroup >= 0 ? (unsigned)cgroup : 0,
	};
	pid_t pid = sys_clone3(&args);

	if (pid >= 0 || (errno != ENOSYS && errno != EPERM) || cgroup >= 0)
		return pid;
	return (pid_t)syscall(SYS_clone, all | (unsigned)end, NULL, pidfd, NULL, 0);
}

/* The text that begins with the number of a pidfd's process: proc_pid_fdinfo(5). -1 is a process
 * that has been reaped. */
static int pidfd_number(int pidfd, char *text, size_t size)
{
	char path[40], info[512] = "", *line;
	autofd fd = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = fd_try_open(AT_FDCWD, path, O_RDONLY);
	if (fd < 0 || read(fd, info, sizeof(info) - 1) < 0)
		return -1;
	line = strstr(info, "\nPid:\t");
	snprintf(text, size, "%s", line ? line + 6 : "");
	return 0;
}

/* The number is read through the descriptor, so the process was there an instant ago; the rest of
 * the window cannot be closed without pidfd_send_signal(2) (5.1). */
static int proc_signal_fallback(int fd, int sig)
{
	autofd stat = fd_try_open(fd, "stat", O_RDONLY);
	char text[24] = "";
	uint64_t pid;

	if (stat < 0 && errno != ENOTDIR)
		return -1;
	if (stat < 0 ? pidfd_number(fd, text, sizeof(text)) < 0
	             : read(stat, text, sizeof(text) - 1) < 0)
		return -1;
	text[strspn(text, "0123456789")] = '\0';
	if (str_to_u64(text, &pid) < 0 || pid == 0) {
		errno = ESRCH;
		return -1;
	}
	return kill((pid_t)pid, sig);
}

int proc_signal(int pidfd, int sig)
{
	if (sys_pidfd_send_signal(pidfd, sig) == 0)
		return 0;
	/* a filter refuses with EPERM too; where the refusal is real, kill(2) repeats it */
	return errno == ENOSYS || errno == EPERM ? proc_signal_fallback(pidfd, sig) : -1;
}

/* Polls a descriptor of /proc/PID, which cannot tell by itself. */
static int proc_wait_fallback(int fd, int64_t deadline)
{
	for (;;) {
		struct timespec pause = {.tv_nsec = 5000000};
		uint64_t start;
		char state;

		if (proc_stat_at(fd, "stat", &state, &start) < 0)
			return errno == ESRCH || errno == ENOENT ? 1 : -1;
		if (state == 'Z' || state == 'X')
			return 1;
		if (deadline >= 0 && clock_ms() >= deadline)
			return 0;
		nanosleep(&pause, NULL);
	}
}

static int proc_wait_gone_untimed(int pidfd, int timeout_ms)
{
	int64_t deadline = timeout_ms < 0 ? -1 : clock_ms() + timeout_ms;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	struct stat st;

	for (;;) {
		int n = poll(&p, 1, timeout_ms);

		if (n > 0 && (p.revents & POLLNVAL)) {
			errno = EBADF;
			return -1;
		}
		/* a directory is always ready */
		if (n > 0 && fstatat(pidfd, "stat", &st, 0) == 0)
			return proc_wait_fallback(pidfd, deadline);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -1;
		if (deadline >= 0)
			timeout_ms = deadline > clock_ms() ? (int)(deadline - clock_ms()) : 0;
	}
}

int proc_wait_gone(int pidfd, int timeout_ms)
{
	int64_t begun = timing_wait_begin();
	int r = proc_wait_gone_untimed(pidfd, timeout_ms);

	timing_wait_end(begun);
	return r;
}

void pid_reap_at(pid_t *pid)
{
	int saved = errno;

	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
	errno = saved;
}
