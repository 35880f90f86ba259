/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Staying with a process until it ends: its signals, its terminal, its exit status. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct err;

struct foreground {
	bool begun;
	sigset_t old;    /* the caller's signal mask */
	int notify;      /* the container's notification socket, or -1 */
	int wait_status; /* of waitpid(2), after foreground_wait() */
};
#define FOREGROUND_NONE                                                                            \
	{                                                                                          \
		.notify = -1                                                                       \
	}

/* Blocks the signals that are to be forwarded; before the process is made, so that none is lost. */
int foreground_begin(struct foreground *fg, struct err *e);
void foreground_end(struct foreground *fg);

/* Watches for notifications while it waits; takes sock, which foreground_end() closes. */
int foreground_notify(struct foreground *fg, int sock, struct err *e);

/* Sockets over which init hands its terminal to the runtime. */
int foreground_pair(int *mine, int *inits, struct err *e);

/* Forwards signals (not SIGCHLD and SIGURG) to the process and, if master >= 0, relays between the
 * caller's stdin and stdout and the terminal, whose size follows the caller's. Reaps the process.
 * *status: 0 to 255 as exited, 128 + n for signal n. */
int foreground_wait(struct foreground *fg, pid_t pid, int pidfd, int master, int *status,
                    struct err *e);
