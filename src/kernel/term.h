/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container's terminal: a pair from its own devpts, the hand-over of the master, and the relay
 * for a container in the foreground. pty(7), TIOCGPTPEER (ioctl_tty(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct err;

/* Runs in: init or exec's process, inside the container. Needs: root, an O_PATH descriptor of its
 * root, with a devpts on dev/pts or an old dev/ptmx node; what is there is checked to be what it
 * should (CVE-2025-52565). Leaves: *master, and the other side as return value, opened by
 * TIOCGPTPEER; it belongs to uid. rows and columns 0: the size is left alone. */
int term_open(int root, unsigned rows, unsigned columns, unsigned uid, int *master, struct err *e);

/* Sends the master, with the terminal's name as data, over a connected UNIX socket: exactly one
 * descriptor, fewer than 4096 bytes (what engines expect). */
int term_send(int sock, int master, struct err *e);

/* Makes pty the controlling terminal of the calling session leader and its stdin, stdout, stderr;
 * closes pty unless it is one of these. */
int term_adopt(int pty, struct err *e);

/* The relay between the caller's terminal and a master: term_relay.c. */
struct relay_buffer {
	size_t start, len;
	char data[4096];
};

struct term_relay {
	int master, signals;  /* signalfd, non-blocking: SIGWINCH copies the window size */
	int in, out;          /* own open files of the caller's stdin and stdout where possible */
	struct termios saved; /* restored at the end if raw */
	bool raw;
	bool in_ended;
	bool in_line; /* the last character from stdin was not a newline */
	bool hung;    /* at the moment nobody has the other side of master open */
	struct relay_buffer to_master, to_out;
};
#define TERM_RELAY_NONE                                                                            \
	{                                                                                          \
		.master = -1, .signals = -1, .in = -1, .out = -1                                   \
	}

/* Makes the caller's terminal raw, if stdin is one and we are its foreground, and gives the
 * container's the same size. All signals should be blocked and come through signals: then nothing
 * but SIGKILL keeps the caller's terminal from being restored. */
int term_relay_begin(struct term_relay *r, int master, int signals, struct err *e);
/* Waits for something to do and does it; bounded buffers both ways, no busy loop when one side is
 * stalled or closed. *sig: a signal taken from signals, else 0. The end of stdin becomes the
 * terminal's end-of-file character. */
int term_relay_step(struct term_relay *r, int *sig, struct err *e);
/* Writes what is left of the payload's output (for at most 2 s if nobody reads it), restores the
 * caller's terminal. Does nothing if the relay has not begun. */
void term_relay_end(struct term_relay *r);
