/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/term.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static bool is_ptmx(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(5, 2);
}

/* Unix98 pty slaves have the majors 136 to 143; only a devpts of the kernel counts. */
static bool is_pty(int fd, unsigned number)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(136 + number / 256, number % 256) &&
	       path_is_fs(fd, DEVPTS_SUPER_MAGIC);
}

/* Looks first: opening a device has effects. O_NONBLOCK in case it was swapped meanwhile. */
static int master_open(int root, const char *name)
{
	autofd node = path_try_open(root, name, O_PATH);
	autofd master = -1;

	if (node < 0)
		return -1;
	if (!is_ptmx(node)) {
		errno = ENODEV;
		return -1;
	}
	master = path_try_open(root, name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (master < 0)
		return -1;
	if (!is_ptmx(master)) {
		errno = ENODEV;
		return -1;
	}
	return fcntl(master, F_SETFL, 0) < 0 ? -1 : take_fd(&master);
}

/* Without TIOCGPTPEER (4.13). */
static int peer_open_fallback(int root, unsigned number)
{
	char name[32];

	snprintf(name, sizeof(name), "dev/pts/%u", number);
	return path_try_open(root, name, O_RDWR | O_NOCTTY);
}

static int peer_open(int root, int master, unsigned number, struct err *e)
{
	autofd pty = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (pty < 0 && (errno == ENOTTY || errno == EINVAL))
		pty = peer_open_fallback(root, number);
	if (pty < 0)
		return fail(e, errno, "open terminal \"/dev/pts/%u\"", number);
	if (!is_pty(pty, number))
		return fail(e, ENODEV, "verify terminal \"/dev/pts/%u\"", number);
	return take_fd(&pty);
}

static int master_setup(int master, unsigned rows, unsigned columns, struct err *e)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	int zero = 0;

	if (ioctl(master, TIOCSPTLCK, &zero) < 0)
		return fail(e, errno, "unlock the terminal");
	if (rows == 0 && columns == 0)
		return 0;
	if (rows > 0xffff || columns > 0xffff || ioctl(master, TIOCSWINSZ, &size) < 0)
		return fail(e, rows > 0xffff || columns > 0xffff ? ERANGE : errno,
		            "set the terminal's size to %u x %u", columns, rows);
	return 0;
}

/* The group stays: the mount's gid= option chose it. */
static int pty_give(int pty, unsigned uid, struct err *e)
{
	struct stat st;

	if (fstat(pty, &st) < 0)
		return fail(e, errno, "look at the terminal");
	if (st.st_uid != uid && fchown(pty, uid, (gid_t)-1) < 0)
		return fail(e, errno, "give the terminal to user %u", uid);
	return 0;
}

int term_open(int root, unsigned rows, unsigned columns, unsigned uid, int *master, struct err *e)
{
	/* a host's instance may forbid its own ptmx (mode 000) and offer the old node instead */
	autofd fd = master_open(root, "dev/pts/ptmx");
	autofd pty = -1;
	unsigned number;

	if (fd < 0)
		fd = master_open(root, "dev/ptmx");
	if (fd < 0) {
		fail(e, errno, "open \"/dev/ptmx\" of the container");
		return fail_hint(e, "a terminal needs a mount of type devpts on /dev/pts");
	}
	if (ioctl(fd, TIOCGPTN, &number) < 0)
		return fail(e, errno, "ask for the terminal's number");
	TRY(master_setup(fd, rows, columns, e));
	pty = peer_open(root, fd, number, e);
	if (pty < 0)
		return -1;
	TRY(pty_give(pty, uid, e));
	*master = take_fd(&fd);
	return take_fd(&pty);
}

int term_send(int sock, int master, struct err *e)
{
	unsigned number;
	char name[32];

	if (ioctl(master, TIOCGPTN, &number) < 0)
		return fail(e, errno, "ask for the terminal's number");
	snprintf(name, sizeof(name), "/dev/pts/%u", number);
	if (fd_send(sock, name, strlen(name), &master, 1) < 0)
		return fail(e, errno == EAGAIN ? ETIMEDOUT : errno,
		            "send the terminal over the console socket");
	return 0;
}

int term_adopt(int pty, struct err *e)
{
	if (ioctl(pty, TIOCSCTTY, 0) < 0)
		return fail(e, errno, "make the terminal the controlling one");
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(pty, fd) < 0)
			return fail(e, errno, "make the terminal descriptor %d", fd);
	if (pty > 2)
		close(pty);
	return 0;
}
