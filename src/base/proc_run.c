/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/sys.h"

/* A run while it goes on. */
struct run {
	const struct proc_run *r;
	int64_t deadline; /* -1: none */
	int in[2];        /* pipe to its stdin; in[1] is ours */
	int tail[2];      /* pipe from its stderr; tail[0] is ours */
	pid_t caller;
	size_t written;
	size_t tail_len;
	/* set by the child, which shares the memory until it executes the program */
	volatile int errnum;
	const char *volatile doing;
};

static noreturn void run_child_fail(struct run *run, const char *doing)
{
	run->errnum = errno;
	run->doing = doing;
	_exit(127);
}

/* Moves fd to number; a descriptor that is there already loses its close-on-exec flag. */
static int run_child_fd(int fd, int number)
{
	return fd == number ? fcntl(fd, F_SETFD, 0) : dup2(fd, number);
}

/* The caller's 0 to 2 are open (fd_fill_stdio), so the descriptors to be moved are above, or are
 * 1 or 2 themselves: swapped targets are caught by moving copies. */
static int run_child_stdio(struct run *run)
{
	const struct proc_run *r = run->r;
	int in = run->in[0] >= 0 ? run->in[0] : fd_try_open(AT_FDCWD, "/dev/null", O_RDONLY);
	int out = r->out_fd, err = r->err_fd >= 0 ? r->err_fd : run->tail[1];

	if (in < 0)
		return -1;
	if (err == STDOUT_FILENO && out >= 0) {
		err = fcntl(err, F_DUPFD_CLOEXEC, 3);
		if (err < 0)
			return -1;
	}
	if (out == STDIN_FILENO || err == STDIN_FILENO) {
		errno = EINVAL;
		return -1;
	}
	if (run_child_fd(in, STDIN_FILENO) < 0 ||
	    (out >= 0 && run_child_fd(out, STDOUT_FILENO) < 0))
		return -1;
	return err >= 0 ? run_child_fd(err, STDERR_FILENO) : 0;
}

/* Runs after vfork(2): the parent stands still, the memory is its own. */
static noreturn void run_child(struct run *run)
{
	static char *const no_env[] = {NULL};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	struct err ignored;
	sigset_t none;

	if (run->r->tied) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != run->caller)
			_exit(127); /* it has ended before */
	}
	if (setpgid(0, 0) < 0)
		run_child_fail(run, "make a process group for");
	/* every signal is blocked until here; exec keeps ignored ones ignored */
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		(void)sigaction(sig, &dfl, NULL); /* the C library keeps two for itself */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (run_child_stdio(run) < 0)
		run_child_fail(run, "set up the descriptors of");
	if (fd_cloexec_from(3, &ignored) < 0)
		run_child_fail(run, "close the descriptors of");
	if (run->r->cwd && chdir(run->r->cwd) < 0)
		run_child_fail(run, "enter the working directory of");
	execve(run->r->path, run->r->argv, run->r->envp ? run->r->envp : no_env);
	run_child_fail(run, "run");
}

static int run_pipe(int ends[2], struct err *e)
{
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(e, errno, "make a pipe");
	return 0;
}

/* Programs expect a blocking stdin and stderr; the flag is of the pipe's end. */
static int run_blocking(int fd, struct err *e)
{
	return fcntl(fd, F_SETFL, 0) < 0 ? fail(e, errno, "set up a pipe") : 0;
}

static int run_prepare(struct run *run, struct err *e)
{
	if (run->r->input) {
		TRY(run_pipe(run->in, e));
		TRY(run_blocking(run->in[0], e));
	}
	if (run->r->tail && run->r->err_fd < 0) {
		TRY(run_pipe(run->tail, e));
		TRY(run_blocking(run->tail[1], e));
	}
	return 0;
}

/* vfork(2): no copy of the page tables, and an error of execve(2) needs no pipe. */
static pid_t run_spawn(struct run *run, struct err *e)
{
	sigset_t all, old;
	pid_t pid;
	int errnum;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old); /* no handler may run in the child */
	pid = vfork();
	if (pid == 0)
		run_child(run);
	errnum = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return fail(e, errnum, "make a process for \"%s\"", run->r->path);
	if (!run->errnum)
		return pid;
	pid_reap_at(&pid);
	return fail(e, run->errnum, "%s \"%s\"", run->doing, run->r->path);
}

static void run_write(struct run *run)
{
	ssize_t n = 0;

	while (run->written < run->r->input_len) {
		n = write(run->in[1], run->r->input + run->written,
		          run->r->input_len - run->written);
		if (n < 0)
			break;
		run->written += (size_t)n;
	}
	/* all is written, or it does not want to read (EPIPE) */
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		fd_close_at(&run->in[1]);
}

/* Keeps the last tail_size - 1 characters of what comes; false at the end or when nothing is
 * there. */
static bool run_read(struct run *run)
{
	char *tail = run->r->tail;
	size_t max = run->r->tail_size - 1, keep;
	char text[4096];
	ssize_t n = read(run->tail[0], text, sizeof(text));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		fd_close_at(&run->tail[0]);
		return false;
	}
	if ((size_t)n >= max) {
		memcpy(tail, text + n - max, max);
		run->tail_len = max;
	} else {
		keep = run->tail_len < max - (size_t)n ? run->tail_len : max - (size_t)n;
		memmove(tail, tail + run->tail_len - keep, keep);
		memcpy(tail + keep, text, (size_t)n);
		run->tail_len = keep + (size_t)n;
	}
	tail[run->tail_len] = '\0';
	return true;
}

/* 1 when the process has ended (it is reaped), 0 if not, -1 with an error. */
static int run_reap(const struct run *run, pid_t *pid, int *status, struct err *e)
{
	pid_t got = waitpid(*pid, status, WNOHANG);

	if (got == *pid) {
		*pid = 0;
		return 1;
	}
	if (got < 0 && errno != EINTR)
		return fail(e, errno, "wait for \"%s\"", run->r->path);
	return 0;
}

/* Milliseconds until the deadline for poll(2); with no pidfd, short naps. */
static int run_poll_time(const struct run *run, int pidfd)
{
	int64_t left = run->deadline < 0 ? -1 : run->deadline - clock_ms();

	if (run->deadline >= 0 && left < 0)
		left = 0;
	if (pidfd < 0 && (left < 0 || left > 5))
		left = 5;
	return (int)left;
}

/* Feeds and drains the process until it has ended. Its children may hold the pipes for ever: what
 * it wrote itself is in the pipe when it ends, so nothing is waited for after that. */
static int run_wait(struct run *run, pid_t *pid, int *status, struct err *e)
{
	autofd pidfd = sys_pidfd_open(*pid, 0);
	int stop = run->r->stop_fd > 0 ? run->r->stop_fd : -1;

	for (;;) {
		struct pollfd p[] = {
			{.fd = pidfd,        .events = POLLIN },
			{.fd = run->in[1],   .events = POLLOUT},
			{.fd = run->tail[0], .events = POLLIN },
			{.fd = stop,         .events = POLLIN }
                };
		int ended;

		if (poll(p, COUNT(p), run_poll_time(run, pidfd)) < 0 && errno != EINTR)
			return fail(e, errno, "wait for \"%s\"", run->r->path);
		if (p[1].revents)
			run_write(run);
		if (p[2].revents)
			(void)run_read(run);
		ended = p[0].revents || pidfd < 0 ? run_reap(run, pid, status, e) : 0;
		if (ended < 0)
			return -1;
		if (ended) {
			for (int i = 0; i < 64 && run->tail[0] >= 0 && run_read(run); i++)
				;
			return 0;
		}
		if (p[3].revents)
			return fail(e, EINTR, "run \"%s\"", run->r->path);
		if (run->deadline >= 0 && clock_ms() >= run->deadline)
			return fail(e, ETIMEDOUT, "run \"%s\" for at most %d ms", run->r->path,
			            run->r->timeout_ms);
	}
}

static int run_all(struct run *run, int *status, struct err *e)
{
	pid_t pid;
	int result;

	TRY(run_prepare(run, e));
	if (run->r->input)
		run_write(run); /* what fits; it then finds its input without waiting */
	pid = run_spawn(run, e);
	if (pid < 0)
		return -1;
	fd_close_at(&run->in[0]);
	fd_close_at(&run->tail[1]);
	result = run_wait(run, &pid, status, e);
	if (pid > 0) {
		kill(-pid, SIGKILL);
		pid_reap_at(&pid);
	}
	return result;
}

int proc_run(const struct proc_run *r, int *status, struct err *e)
{
	struct run run = {
		.r = r,
		.caller = r->tied ? getpid() : 0,
		.deadline = r->timeout_ms > 0 ? clock_ms() + r->timeout_ms : -1,
		.in = {-1, -1},
		.tail = {-1, -1}
        };
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	int result;

	if (r->tail && r->tail_size > 0)
		r->tail[0] = '\0';
	if (r->input)
		sigaction(SIGPIPE, &ignore, &old);
	result = run_all(&run, status, e);
	if (r->input)
		sigaction(SIGPIPE, &old, NULL);
	for (int i = 0; i < 2; i++) {
		fd_close_at(&run.in[i]);
		fd_close_at(&run.tail[i]);
	}
	return result;
}
