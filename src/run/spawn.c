/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/sys.h"
#include "base/timing.h"
#include "base/unapplied.h"
#include "kernel/cgroup_stats.h"
#include "run/chan.h"
#include "run/steps.h"

/* KiB: what a memory cgroup takes until a small static program runs; tests/bench measures it. */
#define MEMORY_NEEDED 256

#define FORK_NO_EXEC 0x40 /* PF_FORKNOEXEC in field 9 of proc(5)'s stat */

/* Namespaces that clone makes; the cgroup namespace must come after entering the group. */
#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS)

/* Not by sigaction(3), which keeps the C library's own two signals (32, 33) to itself. The kernel's
 * struct sigaction begins with the handler on every architecture; all zero is SIG_DFL. */
static int signal_default(int sig)
{
	static const unsigned long standard[8] = {0};

	if (sig == SIGKILL || sig == SIGSTOP) /* cannot be ignored in the first place */
		return 0;
	return (int)syscall(SYS_rt_sigaction, sig, standard, NULL, sizeof(uint64_t));
}

/* Signals the caller ignored or blocked would stay so in the payload. */
static int signals_reset(struct err *e)
{
	unsigned long long ignored = ~0ULL; /* perhaps all, where the kernel does not tell */
	char text[4096];
	const char *line;
	sigset_t none;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	fd_close_at(&fd);
	if (n > 0) {
		text[n] = '\0';
		line = strstr(text, "\nSigIgn:");
		if (line)
			ignored = strtoull(line + 8, NULL, 16);
	}
	for (int s = 1; s <= 64; s++)
		if ((ignored & 1ULL << (s - 1)) && signal_default(s) < 0)
			return fail(e, errno, "reset signal %d", s);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return fail(e, errno, "unblock signals");
	return 0;
}

static void init_log(enum log_level level, const char *text, void *arg)
{
	steps_log((int)level, text, arg);
}

static _Noreturn void init_main(struct ctx *c)
{
	struct err e = {0};

	fd_close_at(&c->chan);
	c->chan = take_fd(&c->chan_init);
	fd_close_at(&c->root);
	fd_close_at(&c->dir); /* the lock is the runtime's */
	fd_close_at(&c->signals);
	c->self = INIT_HOST;
	c->passed = 0;
	c->in_stage = c->plan->ns.stage;
	timing_fork();
	log_redirect(init_log, c);
	unapplied_redirect(steps_note, c);
	if (signals_reset(&e) == 0) {
		if (setsid() < 0)
			fail(&e, errno, "make a session");
		else
			steps_walk(c, &e);
	}
	chan_send_fail(c->chan, &e);
	_exit(1);
}

static int spawn_failed(int flags, struct err *e)
{
	int errnum = errno;
	char text[64];

	fail(e, errnum, "make the container's init (new namespaces: %s)",
	     ns_flags_text(flags, text, sizeof text));
	if (errnum == ENOSPC)
		fail_hint(e, "raise the limits in /proc/sys/user/max_*_namespaces");
	else if (errnum == EAGAIN)
		fail_hint(e,
		          "a limit of processes is reached: pids.max of a cgroup, or RLIMIT_NPROC");
	else if (errnum == EPERM && (flags & CLONE_NEWUSER))
		fail_hint(e, "see whether the host lets users make user namespaces: sysctls "
		             "kernel.unprivileged_userns_clone, user.max_user_namespaces, "
		             "kernel.apparmor_restrict_unprivileged_userns");
	else if (errnum == EPERM && geteuid() != 0)
		fail_hint(e, "users without privilege need a user namespace in /linux/namespaces");
	return -1;
}

int spawn_init(struct ctx *c, struct err *e)
{
	const struct ns_plan *ns = &c->plan->ns;
	int flags = ns->stage ? 0 : ns->new_flags & CLONE_NAMESPACES & ~ns_late_flags(ns);
	int ends[2], cgroup, pidfd = -1;
	bool entered;
	pid_t pid;

	TRY(chan_pair(ends, e));
	c->chan = ends[0];
	c->chan_init = ends[1];
	cgroup = c->plan->op == OP_EXEC ? c->exec_cgroup : cgroup_leaf_fd(&c->cgroup);
	pid = proc_fork((unsigned long)flags, cgroup, &pidfd);
	entered = pid >= 0 && cgroup >= 0;
	if (pid < 0 && cgroup >= 0)
		pid = proc_fork((unsigned long)flags, -1, &pidfd);
	if (pid < 0)
		return spawn_failed(flags, e);
	if (pid == 0) {
		struct err error = {0};

		if (cgroup >= 0 && !entered && c->plan->op != OP_EXEC &&
		    cgroup_enter(&c->plan->cgroup, &c->cgroup, getpid(), &error) < 0) {
			chan_send_fail(c->chan_init, &error);
			_exit(1);
		}
		init_main(c);
	}
	if (entered && c->plan->op != OP_EXEC)
		cgroup_entered(&c->cgroup);
	c->entered = entered;
	fd_close_at(&c->chan_init);
	if (ns->stage) {
		c->stage = pid;
		fd_close_at(&pidfd);
		c->init.pid = pid; /* until it tells of init */
	} else {
		c->init.pid = pid;
		c->pidfd = pidfd;
	}
	return 0;
}

int spawn_from_stage(struct ctx *c, struct err *e)
{
	int flags = c->plan->ns.new_flags & CLONE_NAMESPACES & ~CLONE_NEWUSER;
	struct chan_msg m = {.kind = CHAN_PASS};
	int pidfd = -1;
	pid_t pid;

	if (!c->in_stage)
		return 0;
	if (c->plan->ns.new_flags & CLONE_NEWTIME) {
		TRY(ns_unshare(CLONE_NEWTIME, e));
		if (c->plan->ns.offsets)
			TRY(ns_time_offsets(c->time_fd, c->plan->ns.offsets, e));
		fd_close_at(&c->time_fd);
	}
	pid = proc_fork((unsigned long)flags | CLONE_PARENT, -1, &pidfd);
	if (pid < 0)
		return spawn_failed(flags, e);
	if (pid == 0) {
		c->in_stage = false;
		return setsid() < 0 ? fail(e, errno, "make a session") : 0;
	}
	for (m.step = 0; strcmp(c->table[m.step].name, "ns-new") != 0; m.step++)
		;
	m.pid = pid;
	if (chan_send(c->chan, &m, pidfd) < 0)
		kill(pid, SIGKILL);
	_exit(0);
}

void spawn_adopt(struct ctx *c, pid_t pid, int pidfd)
{
	c->init.pid = pid;
	fd_close_at(&c->pidfd);
	c->pidfd = pidfd;
	if (c->stage > 0)
		while (waitpid(c->stage, NULL, 0) < 0 && errno == EINTR)
			;
	c->stage = 0;
	c->stage_ended = false;
	c->exited = false;
}

void spawn_stage_end(struct ctx *c)
{
	while (waitpid(c->stage, &c->status, 0) < 0 && errno == EINTR)
		;
	c->stage = 0;
	c->stage_ended = true;
	c->exited = true; /* for now it stands for init */
}

bool spawn_in_payload(pid_t pid)
{
	char path[32], text[512];
	const char *rest;
	ssize_t n;
	autofd fd = -1;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = fd_try_open(AT_FDCWD, path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (n <= 0)
		return true;
	text[n] = '\0';
	rest = strrchr(text, ')');
	for (int blanks = 0; rest && blanks < 7; blanks++)
		rest = strchr(rest + 1, ' ');
	return !rest || !(strtoul(rest + 1, NULL, 10) & FORK_NO_EXEC);
}

/* Whether the kernel has killed a process of the container for want of memory; *peak: its most. */
static bool out_of_memory(struct cgroup *cg, const struct proc_id *init, uint64_t *peak)
{
	struct cgroup_exit x = {0};

	cgroup_exit_read(cg, init, &x);
	*peak = x.memory_peak;
	return x.has_oom_kills && x.oom_kills > 0;
}

/* " at N KiB", where that is known: a scope's peak goes with it. */
static const char *peak_text(uint64_t peak, char text[40])
{
	text[0] = '\0';
	if (peak)
		snprintf(text, 40, " at %" PRIu64 " KiB", peak >> 10);
	return text;
}

/* What else is known of a death before the payload. */
static int died_hint(struct cgroup *cg, const struct proc_id *init, int status, struct err *e)
{
	uint64_t peak;
	char text[40];

	if (out_of_memory(cg, init, &peak))
		return fail_hint(e,
		                 "raise /linux/resources/memory/limit: the container ran out of "
		                 "memory%s, set-up and a small program need %d KiB",
		                 peak_text(peak, text), MEMORY_NEEDED);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return fail_hint(e, "the seccomp profile forbids a system call that the set-up "
		                    "needs");
	return -1;
}

int spawn_died(struct cgroup *cg, const struct proc_id *init, int status, const char *before,
               struct err *e)
{
	if (WIFSIGNALED(status))
		fail(e, 0, "init was killed by signal %d before step %s", WTERMSIG(status), before);
	else
		fail(e, 0, "init ended with status %d before step %s", WEXITSTATUS(status), before);
	return died_hint(cg, init, status, e);
}

void spawn_tell_killed(struct cgroup *cg, const struct proc_id *init, int status)
{
	struct err e = {0};
	uint64_t peak;
	char text[40];

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || !out_of_memory(cg, init, &peak))
		return;
	fail(&e, 0, "the container's process was killed: out of memory%s", peak_text(peak, text));
	if (peak && peak >> 10 < MEMORY_NEEDED)
		fail_hint(&e,
		          "raise /linux/resources/memory/limit: set-up and a small program need "
		          "%d KiB",
		          MEMORY_NEEDED);
	else
		fail_hint(&e, "raise /linux/resources/memory/limit");
	log_error(&e, "run");
}

int spawn_init_died(struct ctx *c, const char *before, struct err *e)
{
	int status = 0;

	if (c->exited) {
		status = c->status;
	} else {
		kill(c->init.pid, SIGKILL); /* it is ending: this changes its status no more */
		while (waitpid(c->init.pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	c->status = status;
	c->exited = true;
	return spawn_died(&c->cgroup, &c->init, status, before, e);
}

void spawn_undo(struct ctx *c)
{
	/* init is alive or a zombie of ours: its pid is still its own */
	if (c->init.pid > 0 && !c->exited) {
		kill(c->init.pid, SIGKILL);
		while (waitpid(c->init.pid, &c->status, 0) < 0 && errno == EINTR)
			;
		c->exited = true;
	}
	if (c->stage > 0 && c->stage != c->init.pid) {
		kill(c->stage, SIGKILL);
		while (waitpid(c->stage, NULL, 0) < 0 && errno == EINTR)
			;
	}
	c->stage = 0;
	fd_close_at(&c->chan);
	fd_close_at(&c->chan_init);
	fd_close_at(&c->pidfd);
}
