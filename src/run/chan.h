/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one message type between the runtime and the container's init, over a SOCK_SEQPACKET pair.
 *
 *   CHAN_PASS  the sender has passed step number `step`; pid and one descriptor (a pidfd) may come
 *              with it (the stage process reports init so)
 *   CHAN_FAIL  the sender failed: err says all
 *   CHAN_LOG   a log line of a process that has no log: level in step, text in err.msg
 *
 *   CHAN_NOTE  what could not be applied (base/unapplied.h): text in err.msg
 *
 * End of file means that the peer is gone. */
#pragma once

#include <sys/types.h>

#include "base/err.h"

enum chan_kind {
	CHAN_PASS,
	CHAN_FAIL,
	CHAN_LOG,
	CHAN_NOTE
};

struct chan_msg {
	enum chan_kind kind;
	int step;
	pid_t pid;
	struct err err; /* sent with all but CHAN_PASS */
};

/* Makes a pair of connected ends. */
int chan_pair(int ends[2], struct err *e);
/* Sends; fd -1: none. 0 or -1 with errno (EPIPE when the peer is gone). */
int chan_send(int sock, const struct chan_msg *m, int fd);
/* Receives: 1, 0 at end of file, -1 with errno. *fd: a received descriptor or -1. */
int chan_recv(int sock, struct chan_msg *m, int *fd);
/* Sends a failure; an error of its own is ignored: the peer then sees the end of file. */
void chan_send_fail(int sock, const struct err *e);
