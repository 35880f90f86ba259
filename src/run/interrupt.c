/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"

int interrupt_begin(struct interrupt *i, struct err *e)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	sigset_t set;

	sigemptyset(&set);
	for (size_t k = 0; k < COUNT(signals); k++) {
		struct sigaction now;

		if (sigaction(signals[k], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(&set, signals[k]);
	}
	if (sigprocmask(SIG_BLOCK, &set, &i->old) < 0)
		return fail(e, errno, "block signals");
	i->begun = true;
	/* never read: what is pending comes when it is no longer blocked */
	i->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return i->fd < 0 ? fail(e, errno, "watch signals") : 0;
}

bool interrupt_came(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&p, 1, 0) == 1;
}

void interrupt_end(struct interrupt *i)
{
	fd_close_at(&i->fd);
	if (i->begun)
		sigprocmask(SIG_SETMASK, &i->old, NULL);
	i->begun = false;
}
