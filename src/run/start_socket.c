/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket in the state directory on which init of a created container waits for `start`. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "run/state.h"

/* Addresses hold 108 bytes; the directory's descriptor makes every path short. */
static socklen_t start_address(int dir, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/start", dir);
	return sizeof *sa;
}

int state_start_connect(int dir)
{
	struct sockaddr_un sa;
	socklen_t len = start_address(dir, &sa);
	autofd sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0 || connect(sock, (struct sockaddr *)&sa, len) < 0)
		return -1;
	return take_fd(&sock);
}

int state_start_listen(int dir, struct err *e)
{
	struct sockaddr_un sa;
	socklen_t len = start_address(dir, &sa);
	autofd sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (sock < 0 || bind(sock, (struct sockaddr *)&sa, len) < 0 || listen(sock, 8) < 0)
		return fail(e, errno, "make the start socket");
	return take_fd(&sock);
}

int state_start_publish(int dir, struct err *e)
{
	if (fchmodat(dir, "start", START_PUBLISHED, 0) < 0)
		return fail(e, errno, "publish the start socket");
	return 0;
}

void state_start_remove(int dir)
{
	(void)unlinkat(dir, "start", 0); /* a socket that nobody listens on says the same */
}
