/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File descriptors: owners, whole files, passing them over sockets, closing ranges.
 * All descriptors are close-on-exec. */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

void fd_close_at(int *fd); /* closes if >= 0, sets -1; errno is kept */
void dir_close_at(DIR **dir);
#define autofd  __attribute__((cleanup(fd_close_at))) int
#define autodir __attribute__((cleanup(dir_close_at))) DIR

/* Gives a descriptor away: the variable is -1 from there on. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Opens a path of the HOST (never one that a container controls: see path.h). */
int fd_open(int dir, const char *path, int flags, mode_t mode, struct err *e);
/* As fd_open; -1 with errno and no error filled: for files that may be absent. */
int fd_try_open(int dir, const char *path, int flags);

/* Reads all of fd, at most max bytes (more is an error), NUL-terminated; the caller frees. */
char *fd_read_all(int fd, size_t max, size_t *len, struct err *e);
/* The same for a file of the host. */
char *file_read(int dir, const char *path, size_t max, size_t *len, struct err *e);
/* Calls fn with name and type (d_type of readdir(3)) of each entry of a directory but "." and
 * "..". Takes a page of the stack; opendir(3) would keep 32 KiB. 0 or -1 with errno. */
int dir_each(int dir, void (*fn)(const char *name, unsigned char type, void *arg), void *arg);
/* Writes all of it, restarting after EINTR and short writes. 0 or -1 with errno. */
int fd_write_all(int fd, const void *data, size_t len);
/* Opens an existing file below dir for writing and writes text with ONE write(2), as kernel files
 * (proc, sys, cgroup) want it. */
int file_put(int dir, const char *path, const char *text, struct err *e);
/* The same without error text: 0 or -1 with errno. */
int file_try_put(int dir, const char *path, const char *text);

/* One message with data and up to FD_MSG_MAX descriptors over a UNIX socket; -1 with errno.
 * fd_recv sets *n_fds to the number received (all close-on-exec); returns bytes, 0 at end of
 * file. */
#define FD_MSG_MAX 32
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
ssize_t fd_recv(int sock, void *data, size_t size, int *fds, size_t max_fds, size_t *n_fds);

/* Connects a stream socket to a pathname UNIX address of any length; returns the descriptor. */
int unix_connect(const char *path, struct err *e);
/* The same with a limit in milliseconds (unix_connect: ten seconds); sending has it then, too. */
int unix_connect_within(const char *path, int ms, struct err *e);

/* Marks every descriptor >= first close-on-exec, or closes it. */
int fd_cloexec_from(int first, struct err *e);
int fd_close_from(int first, struct err *e);
/* Closes first .. last; nothing if last < first. */
int fd_close_between(int first, int last, struct err *e);
/* The descriptors from 3 on that the caller hands over: those of LISTEN_FDS (sd_listen_fds(3)),
 * whose number goes to *listen, then preserve more (--preserve-fds). Returns how many they are;
 * too many, or one that is not open, is an error. */
int fd_passed(unsigned preserve, unsigned *listen, struct err *e);
/* Opens /dev/null on each of 0, 1, 2 that is closed, so that no later descriptor lands there.
 * shared: programs get 1 too. Else what is written to it fails, as if it had stayed closed. */
int fd_fill_stdio(bool shared, struct err *e);
