/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container's terminal: a pair from its own devpts, the hand-over of the master, and the relay
 * for a container in the foreground. pty(7), TIOCGPTPEER (ioctl_tty(2)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct err;

/* Runs in: init or exec's process, inside the container. Needs: a devpts at /dev/pts or /dev/ptmx
 * below root (O_PATH descriptor of the container's root); both are checked to be what they should
 * (CVE-2025-52565). Leaves: *master, and the other side as return value, opened by TIOCGPTPEER. rows
 * and columns 0: the size is left alone. uid: owner of the terminal (fchown of our own pty only). */
int term_open(int root, unsigned rows, unsigned columns, unsigned uid, int *master, struct err *e);

/* Sends the master, with the terminal's name as data, over a connected UNIX socket: exactly one
 * descriptor, fewer than 4096 bytes (what engines expect). */
int term_send(int sock, int master, struct err *e);

/* Makes pty the controlling terminal of the calling session leader and its stdin, stdout, stderr;
 * closes pty unless it is one of these. */
int term_adopt(int pty, struct err *e);

/* The relay between the caller's terminal and a master. */
struct term_relay {
	int master, signals; /* signalfd: SIGWINCH copies the window size */
	struct termios saved;
	bool raw; /* the caller's stdin is in raw mode: saved is restored at the end */
	bool in_open, out_open;
	char to[8192], from[8192];
	size_t to_len, from_len;
};
#define TERM_RELAY_NONE                                                                            \
	{                                                                                          \
		.master = -1, .signals = -1                                                        \
	}

/* Puts the caller's stdin into raw mode if it is a terminal, copies its size to master. */
int term_relay_begin(struct term_relay *r, int master, int signals, struct err *e);
/* Waits for something to do and does it; bounded buffers both ways, no busy loop when one side is
 * stalled or closed. *sig: a signal taken from signals, else 0. */
int term_relay_step(struct term_relay *r, int *sig, struct err *e);
/* Writes what is left of the payload's output, restores the caller's terminal. */
void term_relay_end(struct term_relay *r);
