/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stand-ins until the real ones are here; weak, so that these win. */
#include "base/err.h"
#include "kernel/net.h"
#include "kernel/term.h"
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
__attribute__((weak)) int term_open(int root, unsigned rows, unsigned columns, unsigned uid,
                                    int *master, struct err *e)
{
	(void)root;
	(void)rows;
	(void)columns;
	(void)uid;
	(void)master;
	return fail(e, 0, "no term");
}
__attribute__((weak)) int term_send(int sock, int master, struct err *e)
{
	(void)sock;
	(void)master;
	return fail(e, 0, "no term");
}
__attribute__((weak)) int term_adopt(int pty, struct err *e)
{
	(void)pty;
	return fail(e, 0, "no term");
}
__attribute__((weak)) int term_relay_begin(struct term_relay *r, int master, int signals,
                                           struct err *e)
{
	(void)r;
	(void)master;
	(void)signals;
	return fail(e, 0, "no term");
}
__attribute__((weak)) int term_relay_step(struct term_relay *r, int *sig, struct err *e)
{
	(void)r;
	(void)sig;
	return fail(e, 0, "no term");
}
__attribute__((weak)) void term_relay_end(struct term_relay *r)
{
	(void)r;
}
__attribute__((weak)) int net_loopback_up(struct err *e)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		return fail(e, 1, "lo");
	close(s);
	return 0;
}
__attribute__((weak)) int net_device_move(const char *name, const char *new_name, int ns,
                                          struct err *e)
{
	(void)name;
	(void)new_name;
	(void)ns;
	return fail(e, 0, "no net");
}
#include "kernel/cgroup_stats.h"
__attribute__((weak)) void cgroup_exit_read(struct cgroup *cg, struct cgroup_exit *x)
{
	(void)cg;
	(void)x;
}
