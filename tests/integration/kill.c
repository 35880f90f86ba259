/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracer that makes one system call of a command go wrong.
 *
 *	kill [-c CHILD] [-n N [-e ERRNO]] [-o FILE] [-t SECONDS] COMMAND [ARGUMENT]...
 *
 * It counts the system calls of one process: the command itself, or with -c the CHILDth process
 * that is made below it (1 is the first). At the entry of the Nth it kills that process, or, with
 * -e, lets the call not happen and return -ERRNO. FILE gets a line "call NAME" for each call (its
 * number, if the name is none of those that tests ask for) until then, and "hit" when it has
 * happened. The exit status is the command's; 128 + N when a signal ended it, 124 when it did not
 * end within SECONDS (everything traced is killed then), 125 when tracing fails.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES 64

static pid_t command, target, tracee[TRACEES];
static int n_tracees, n_children, which_child, at, count, error, hit;
static int entered; /* the target is inside a system call */
static int pending; /* its result is to be replaced */
static FILE *out;
static volatile sig_atomic_t late;

static void die(const char *what)
{
	fprintf(stderr, "kill: %s: %s\n", what, strerror(errno));
	exit(125);
}

static void on_alarm(int sig)
{
	(void)sig;
	late = 1;
}

static void timed_out(void)
{
	fprintf(stderr, "kill: the command hangs\n");
	for (int i = 0; i < n_tracees; i++)
		kill(tracee[i], SIGKILL);
	kill(command, SIGKILL);
	exit(124);
}

static int known(pid_t pid)
{
	for (int i = 0; i < n_tracees; i++)
		if (tracee[i] == pid)
			return 1;
	if (n_tracees < TRACEES)
		tracee[n_tracees++] = pid;
	return 0;
}

static void forget(pid_t pid)
{
	for (int i = 0; i < n_tracees; i++)
		if (tracee[i] == pid)
			tracee[i] = tracee[--n_tracees];
}

#ifdef __x86_64__
static void registers(pid_t pid, int enter)
{
	struct user_regs_struct r;

	if (ptrace(PTRACE_GETREGS, pid, 0, &r) < 0)
		return; /* it was killed meanwhile */
	if (enter)
		r.orig_rax = SYS_getpid; /* harmless, and allowed by every filter */
	else
		r.rax = (unsigned long long)-error;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
}
#endif

/* Built in, for test machines have no headers of the C library. */
#define NAME(call)                                                                                 \
	{                                                                                          \
		SYS_##call, #call                                                                  \
	}
static const struct {
	long number;
	const char *name;
} names[] = {
	NAME(brk),        NAME(close),      NAME(exit),     NAME(exit_group),
	NAME(getuid),     NAME(geteuid),    NAME(getgid),   NAME(getegid),
	NAME(getpid),     NAME(getppid),    NAME(gettid),   NAME(umask),
	NAME(rseq),       NAME(execve),     NAME(execveat), NAME(set_tid_address),
	NAME(unlinkat),   NAME(flock),      NAME(keyctl),   NAME(set_robust_list),
	NAME(mount),      NAME(umount2),    NAME(write),    NAME(rt_sigreturn),
	NAME(pivot_root), NAME(move_mount), NAME(clone3),   NAME(openat2),
#ifdef SYS_rmdir
	NAME(rmdir),
#endif
#ifdef SYS_arch_prctl
	NAME(arch_prctl),
#endif
};

static void call_entered(pid_t pid, long nr)
{
	const char *name = NULL;

	count++;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !name; i++)
		name = names[i].number == nr ? names[i].name : NULL;
	if (out && name)
		fprintf(out, "call %s\n", name);
	else if (out)
		fprintf(out, "call %ld\n", nr);
	if (count != at || hit)
		return;
	hit = 1;
	if (out) {
		fprintf(out, "hit\n");
		fflush(out);
	}
	if (!error) {
		kill(pid, SIGKILL);
		return;
	}
#ifdef __x86_64__
	registers(pid, 1);
	pending = 1;
#endif
}

static void call_stop(pid_t pid)
{
	struct __ptrace_syscall_info info = {0};

	if (pid != target)
		return;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		entered = 1;
		call_entered(pid, (long)info.entry.nr);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && entered) {
		entered = 0;
#ifdef __x86_64__
		if (pending)
			registers(pid, 0);
#endif
		pending = 0;
	}
}

/* What the process is to go on with. */
static void stopped(pid_t pid, int status)
{
	int sig = WSTOPSIG(status), event = status >> 16, deliver = 0;

	if (!known(pid)) {
		/* its first stop */
		if (which_child && !target && ++n_children == which_child)
			target = pid;
	} else if (sig == (SIGTRAP | 0x80)) {
		call_stop(pid);
	} else if (!event) {
		deliver = sig;
	}
	/* a target that has been hit needs no more stops, but for the result */
	(void)ptrace(pid == target && (!hit || pending) ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0,
	             deliver);
}

static void trace(void)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (late)
			timed_out();
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			die("wait");
		if (WIFSTOPPED(status)) {
			stopped(pid, status);
			continue;
		}
		forget(pid);
		if (pid != command)
			continue;
		if (out)
			fclose(out);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
}

static void options_read(int argc, char **argv)
{
	int c, seconds = 0;

	while ((c = getopt(argc, argv, "+c:n:e:o:t:")) != -1) {
		if (c == 'c')
			which_child = atoi(optarg);
		else if (c == 'n')
			at = atoi(optarg);
		else if (c == 'e')
			error = atoi(optarg);
		else if (c == 't')
			seconds = atoi(optarg);
		else if (c == 'o')
			out = fopen(optarg, "we");
		if (c == '?' || (c == 'o' && !out))
			die("usage");
	}
	if (optind >= argc)
		die("usage");
#ifndef __x86_64__
	if (error) {
		fprintf(stderr, "kill: errors can be injected on x86-64 only\n");
		exit(125);
	}
#endif
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
	alarm((unsigned)seconds);
}

/* Seized, not attached: a process that is made below gets no SIGSTOP that could outlive us. */
int main(int argc, char **argv)
{
	long events = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	int status, gate[2];

	options_read(argc, argv);
	if (which_child)
		events |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	if (pipe(gate) < 0)
		die("pipe");
	command = fork();
	if (command < 0)
		die("fork");
	if (command == 0) {
		close(gate[1]);
		if (read(gate[0], &status, 1) < 0)
			die("wait");
		close(gate[0]);
		execvp(argv[optind], argv + optind);
		die(argv[optind]);
	}
	if (ptrace(PTRACE_SEIZE, command, 0, events) < 0)
		die("trace");
	known(command);
	close(gate[0]);
	close(gate[1]);
	/* up to the end of execve(2) the calls are ours */
	while (waitpid(command, &status, __WALL) == command && WIFSTOPPED(status) &&
	       status >> 16 != PTRACE_EVENT_EXEC)
		ptrace(PTRACE_CONT, command, 0, 0);
	if (!WIFSTOPPED(status))
		exit(125);
	if (!which_child)
		target = command;
	ptrace(which_child ? PTRACE_CONT : PTRACE_SYSCALL, command, 0, 0);
	trace();
}
