/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/foreground.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/timing.h"
#include "kernel/term.h"
#include "run/notify.h"

int foreground_begin(struct foreground *fg, struct err *e)
{
	sigset_t all;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &fg->old) < 0)
		return fail(e, errno, "block signals");
	fg->begun = true;
	return 0;
}

void foreground_end(struct foreground *fg)
{
	if (fg->begun)
		sigprocmask(SIG_SETMASK, &fg->old, NULL);
	fg->begun = false;
	fd_close_at(&fg->notify);
}

/* SIGIO tells of a message: no descriptor has to be polled for it. */
int foreground_notify(struct foreground *fg, int sock, struct err *e)
{
	fg->notify = sock;
	if (fcntl(sock, F_SETOWN, getpid()) < 0 || fcntl(sock, F_SETFL, O_NONBLOCK | O_ASYNC) < 0)
		return fail(e, errno, "watch the notification socket");
	return 0;
}

int foreground_pair(int *mine, int *inits, struct err *e)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return fail(e, errno, "make a socket for the terminal");
	*mine = ends[0];
	*inits = ends[1];
	return 0;
}

static bool is_forwarded(int sig)
{
	return sig != SIGCHLD && sig != SIGURG && sig != SIGPIPE;
}

/* 1 when the process has been reaped. */
static int reap(struct foreground *fg, pid_t pid, int *status)
{
	pid_t r;
	int w;

	do
		r = waitpid(pid, &w, WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	if (r < 0)
		return -1;
	*status = WIFSIGNALED(w) ? 128 + WTERMSIG(w) : WEXITSTATUS(w);
	fg->wait_status = w;
	return 1;
}

static void signal_take(struct foreground *fg, int sig, pid_t pid, int pidfd)
{
	if (sig == SIGIO && fg->notify >= 0) {
		struct err own = {0};

		if (notify_step(fg->notify, pid, &own) < 0)
			log_warn("%s, ignoring", own.msg);
	} else if (sig > 0 && is_forwarded(sig)) {
		(void)proc_signal(pidfd, sig); /* ESRCH: SIGCHLD follows */
	}
}

static int wait_signals(struct foreground *fg, pid_t pid, int pidfd, int *status, struct err *e)
{
	sigset_t all;

	sigfillset(&all);
	for (;;) {
		siginfo_t info;
		int r = reap(fg, pid, status);

		if (r != 0)
			return r < 0 ? fail(e, errno, "wait for process %d", pid) : 0;
		signal_take(fg, sigwaitinfo(&all, &info), pid, pidfd);
	}
}

static int payload_wait(struct foreground *fg, pid_t pid, int pidfd, int master, int *status,
                        struct err *e)
{
	struct term_relay relay = TERM_RELAY_NONE;
	autofd signals = -1;
	sigset_t all;
	int r;

	if (fg->notify >= 0)
		signal_take(fg, SIGIO, pid, pidfd); /* for what came before it was watched */
	if (master < 0)
		return wait_signals(fg, pid, pidfd, status, e);
	sigfillset(&all);
	signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		return fail(e, errno, "watch signals");
	TRY(term_relay_begin(&relay, master, signals, e));
	for (;;) {
		int sig = 0;

		r = reap(fg, pid, status);
		if (r != 0)
			break;
		r = term_relay_step(&relay, &sig, e);
		if (r < 0)
			break;
		if (sig != SIGWINCH)
			signal_take(fg, sig, pid, pidfd);
	}
	term_relay_end(&relay);
	if (r < 0 && e->msg[0] == '\0')
		fail(e, errno, "wait for process %d", pid);
	return r < 0 ? -1 : 0;
}

int foreground_wait(struct foreground *fg, pid_t pid, int pidfd, int master, int *status,
                    struct err *e)
{
	int64_t begun = timing_wait_begin();
	int r = payload_wait(fg, pid, pidfd, master, status, e);

	timing_wait_end(begun);
	timing_part("payload");
	return r;
}
