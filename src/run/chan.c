/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/chan.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"

int chan_pair(int ends[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return fail(e, errno, "make the channel to init");
	return 0;
}

int chan_send(int sock, const struct chan_msg *m, int fd)
{
	size_t len = m->kind == CHAN_PASS ? offsetof(struct chan_msg, err) : sizeof *m;

	return fd_send(sock, m, len, &fd, fd >= 0 ? 1 : 0);
}

int chan_recv(int sock, struct chan_msg *m, int *fd)
{
	size_t n_fds = 0;
	ssize_t n;

	*fd = -1;
	n = fd_recv(sock, m, sizeof *m, fd, 1, &n_fds);
	if (n < 0)
		return -1;
	if (n == 0)
		return 0;
	if ((size_t)n != (m->kind == CHAN_PASS ? offsetof(struct chan_msg, err) : sizeof *m)) {
		fd_close_at(fd);
		errno = EBADMSG;
		return -1;
	}
	return 1;
}

void chan_send_fail(int sock, const struct err *e)
{
	struct chan_msg m = {.kind = CHAN_FAIL, .err = *e};

	(void)chan_send(sock, &m, -1); /* the end of file says it too */
}
