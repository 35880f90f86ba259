/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"
#include "deny.h"
#include "tap.h"

static struct err err;

static int parse(const char *text, char *state, uint64_t *start)
{
	return proc_stat_parse(text, strlen(text), state, start);
}

static void test_stat_parse(void)
{
	uint64_t start = 0;
	char state = 0;

	is_int(parse("7 (a b) R) S 1 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 4711 23\n",
	             &state, &start),
	       0);
	is_int(state, 'S');
	is_int((long long)start, 4711);
	is_int(parse("7 (x) Z 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22", &state, &start),
	       0);
	is_int((long long)start, 22);
	is_int(parse("7 (x) Z 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21", &state, &start),
	       -1);
	is_int(parse("7 (x) Z 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x", &state, &start),
	       -1);
	is_int(parse("7 (x)", &state, &start), -1);
	is_int(parse("", &state, &start), -1);
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

/* Identity, signal and wait; also what runs where pidfds are missing. */
static bool check_identity(void)
{
	autopid pid = sleeper();
	struct proc_id id = {.pid = pid};
	char state;
	bool good = proc_stat(pid, &state, &id.start) == 0 && id.start > 0;
	autofd fd = proc_open(&id);

	good &= fd >= 0 && proc_wait_gone(fd, 20) == 0 && proc_signal(fd, 0) == 0;
	id.start++;
	good &= proc_open(&id) == -1 && errno == ESRCH;
	id.start--;
	good &= proc_signal(fd, SIGTERM) == 0 && proc_wait_gone(fd, 2000) == 1;
	/* a zombie now */
	good &= proc_open(&id) == -1 && errno == ESRCH;
	pid_reap_at(&pid);
	good &= proc_signal(fd, SIGTERM) == -1 && errno == ESRCH;
	good &= proc_wait_gone(fd, 1000) == 1;
	id.pid = 0;
	return good && proc_open(&id) == -1 && errno == ESRCH;
}

static void test_identity(void)
{
	ok(deny_run(-1, 0, check_identity));
}

static void test_identity_without_pidfd(void)
{
	ok(deny_run(__NR_pidfd_open, ENOSYS, check_identity));
	ok(deny_run(__NR_pidfd_open, EPERM, check_identity));
}

static bool check_identity_bare(void)
{
	return deny_syscall(__NR_pidfd_open, ENOSYS) && check_identity();
}

static void test_identity_without_any(void)
{
	ok(deny_run(__NR_pidfd_send_signal, ENOSYS, check_identity_bare));
}

static bool check_fork(void)
{
	int pidfd = -1, status = 0, memory = 1;
	pid_t pid = proc_fork(0, -1, &pidfd);
	autofd owned = -1;
	bool good;

	if (pid == 0) {
		memory++; /* a copy */
		_exit(memory == 2 ? 7 : 0);
	}
	owned = pidfd;
	good = owned >= 0 && proc_wait_gone(owned, 2000) == 1;
	good &= waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 && memory == 1;
	pid = proc_fork(CLONE_FILES, -1, NULL);
	if (pid == 0)
		_exit(close(owned));
	good &= waitpid(pid, &status, 0) == pid && status == 0;
	return good && fcntl(owned, F_GETFD) == -1; /* the descriptors were the same ones */
}

static void test_fork(void)
{
	ok(deny_run(-1, 0, check_fork));
	ok(deny_run(__NR_clone3, ENOSYS, check_fork));
	ok(deny_run(__NR_clone3, EPERM, check_fork));
}

/* clone(2) cannot do that: no child in another group. */
static bool check_fork_cgroup(void)
{
	pid_t pid = proc_fork(0, 0, NULL);

	if (pid == 0)
		_exit(0);
	return pid == -1 && errno == ENOSYS;
}

static void test_fork_cgroup(void)
{
	ok(deny_run(__NR_clone3, ENOSYS, check_fork_cgroup));
}

static void test_boot_id(void)
{
	char id[37];

	is_int(proc_boot_id(id, &err), 0);
	is_int((long long)strlen(id), 36);
	is_int(id[8], '-');
}

/* Runs a shell script; its wait status, or -1. */
static int shell(struct proc_run *r, const char *script)
{
	const char *argv[] = {"sh", "-c", script, NULL};
	int status = -1;

	r->path = "/bin/sh";
	r->argv = (char *const *)(uintptr_t)argv;
	if (!r->out_fd)
		r->out_fd = -1;
	if (!r->err_fd)
		r->err_fd = -1;
	return proc_run(r, &status, &err) < 0 ? -1 : status;
}

static void test_run_status(void)
{
	struct proc_run r = {0};

	is_int(WEXITSTATUS(shell(&r, "exit 7")), 7);
	is_int(WTERMSIG(shell(&r, "kill -9 $$")), 9);
	is_int(shell(&r,
	             "test -z \"$HOME$USER\" && test \"$(readlink /proc/self/fd/0)\" = /dev/null"),
	       0);
	r.cwd = "/proc";
	is_int(shell(&r, "test \"$(pwd)\" = /proc"), 0);
}

static void test_run_clean(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	autofd leak = fcntl(0, F_DUPFD, 100);
	struct proc_run r = {0};
	sigset_t all, mask;

	ok(leak >= 100);
	sigaction(SIGUSR1, &ignore, &old);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &mask);
	/* 32 and 33 are the C library's: posix_spawn(3), and so make, hands them down ignored */
	is_int(shell(&r, "grep -Eq 'SigIgn:.0{7}[01][08]0{7}' /proc/self/status"), 0);
	is_int(shell(&r, "grep -q 'SigBlk:.*0000000000000000' /proc/self/status"), 0);
	is_int(shell(&r, "test ! -e /proc/$$/fd/100"), 0);
	is_int(shell(&r, "test $(cut -d' ' -f5 /proc/$$/stat) = $$"), 0);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGUSR1, &old, NULL);
}

static void test_run_input(void)
{
	size_t size = 300000;
	autofree char *text = xmalloc(size);
	struct proc_run r = {.input = text, .input_len = size};

	memset(text, 'x', size);
	is_int(shell(&r, "test $(wc -c) = 300000"), 0);
	r.input_len = 5;
	is_int(shell(&r, "test $(cat) = xxxxx"), 0);
	/* nobody reads it: EPIPE, not a signal, not a hang */
	r.input_len = size;
	r.timeout_ms = 5000;
	is_int(shell(&r, "exit 0"), 0);
	is_int(shell(&r, "exec <&-; sleep 0.05"), 0);
}

static void test_run_tail(void)
{
	char tail[16];
	struct proc_run r = {.tail = tail, .tail_size = sizeof(tail), .timeout_ms = 5000};
	int64_t start = clock_ms();
	pid_t pid;

	is_int(shell(&r, "echo short >&2"), 0);
	is_str(tail, "short\n");
	is_int(shell(&r, "printf 0123456789 >&2; sleep 0.05; printf abcdefghij >&2"), 0);
	is_str(tail, "56789abcdefghij");
	is_int(shell(&r, "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done"), 0);
	is_str(tail, "2998\nline 2999\n");
	/* a grandchild keeps the pipe open */
	is_int(shell(&r, "sleep 30 & echo $! >&2; exit 0"), 0);
	ok(clock_ms() - start < 20000);
	pid = (pid_t)strtol(tail, NULL, 10);
	ok(pid > 0 && kill(pid, SIGKILL) == 0);
}

static void test_run_timeout(void)
{
	struct proc_run r = {.timeout_ms = 100};
	char pid[32] = "";
	autofd out = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	r.out_fd = out;
	/* on a busy machine the shell may need longer to come as far as its child */
	for (; pread(out, pid, sizeof(pid) - 1, 0) <= 0 && r.timeout_ms < 10000;
	     r.timeout_ms *= 2) {
		int64_t start = clock_ms();
		char msg[64];

		snprintf(msg, sizeof(msg), "run \"/bin/sh\" for at most %d ms", r.timeout_ms);
		is_int(shell(&r, "sleep 30 & echo $!; wait"), -1);
		is_int(err.errnum, ETIMEDOUT);
		is_str(err.msg, msg);
		ok(clock_ms() - start < r.timeout_ms + 10000);
	}
	ok(*pid);
	/* the whole group is gone; the orphan may be a zombie until somebody reaps it */
	ok(pread(out, pid, sizeof(pid) - 1, 0) > 0);
	for (int i = 0; i < 100; i++) {
		uint64_t ignored;
		char state;

		if (proc_stat((pid_t)strtol(pid, NULL, 10), &state, &ignored) < 0 || state == 'Z')
			return;
		usleep(10000);
	}
	ok(!"the grandchild was killed");
}

static void test_run_stopped(void)
{
	int ends[2];
	struct proc_run r = {.timeout_ms = 20000, .tied = true};

	ok(pipe(ends) == 0);
	r.stop_fd = ends[0];
	is_int(shell(&r, "exit 3"), 3 << 8);
	ok(write(ends[1], "x", 1) == 1);
	is_int(shell(&r, "sleep 30"), -1);
	is_int(err.errnum, EINTR);
	close(ends[0]);
	close(ends[1]);
}

static void test_run_outputs(void)
{
	autofd a = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct proc_run r = {.out_fd = a, .err_fd = a};
	char text[16] = "";

	is_int(shell(&r, "echo out; echo err >&2"), 0);
	ok(pread(a, text, sizeof(text) - 1, 0) == 8);
	is_str(text, "out\nerr\n");
}

static void test_run_failures(void)
{
	char name[] = "x";
	char *argv[] = {name, NULL};
	struct proc_run r = {.path = "/nonexistent/x", .argv = argv, .out_fd = -1, .err_fd = -1};
	int status;

	is_int(proc_run(&r, &status, &err), -1);
	is_int(err.errnum, ENOENT);
	is_str(err.msg, "run \"/nonexistent/x\"");
	r.path = "/bin/true";
	r.cwd = "/nonexistent";
	is_int(proc_run(&r, &status, &err), -1);
	is_str(err.msg, "enter the working directory of \"/bin/true\"");
	is_int(waitpid(-1, &status, WNOHANG), -1); /* nothing is left */
	is_int(errno, ECHILD);
}

static bool check_run(void)
{
	char tail[16];
	struct proc_run r = {.tail = tail, .tail_size = sizeof(tail), .timeout_ms = 5000};

	return shell(&r, "echo bad >&2; exit 3") == 3 << 8 && strcmp(tail, "bad\n") == 0;
}

static void test_run_without_pidfd(void)
{
	ok(deny_run(__NR_pidfd_open, ENOSYS, check_run));
	ok(deny_run(__NR_close_range, ENOSYS, check_run));
}

int main(void)
{
	RUN(test_stat_parse);
	RUN(test_identity);
	RUN(test_identity_without_pidfd);
	RUN(test_identity_without_any);
	RUN(test_fork);
	RUN(test_fork_cgroup);
	RUN(test_boot_id);
	RUN(test_run_status);
	RUN(test_run_clean);
	RUN(test_run_input);
	RUN(test_run_tail);
	RUN(test_run_timeout);
	RUN(test_run_stopped);
	RUN(test_run_outputs);
	RUN(test_run_failures);
	RUN(test_run_without_pidfd);
	return done();
}
