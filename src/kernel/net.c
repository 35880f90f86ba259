/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "kernel/netlink.h"

enum {
	NET_TEMPLATE_MAX = 1024, /* numbers tried for "eth%d" */
	NET_DUMP_TRIES = 16,
	/* what a new address may ask for; the other flags are the kernel's */
	NET_ADDRESS_FLAGS = IFA_F_NODAD | IFA_F_OPTIMISTIC | IFA_F_HOMEADDRESS |
	                    IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN
};

#ifndef IFA_PROTO
#define IFA_PROTO 11
#endif

int net_loopback_up(struct err *e)
{
	/* any family will do, and this one is always there */
	autofd sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (sock < 0)
		return fail(e, errno, "open a socket for network device \"lo\"");
	if (ioctl(sock, SIOCSIFFLAGS, &lo) < 0)
		return fail(e, errno, "bring up network device \"lo\"");
	return 0;
}

/* A device on its way. */
struct device {
	const char *name; /* where it comes from */
	int index;
	bool up;
	struct netlink_request *addresses; /* RTM_NEWADDR, ready but for the index */
	size_t n_addresses;
};

struct link {
	int index;
	unsigned flags;
};

static void link_take(const struct nlmsghdr *h, void *arg)
{
	struct ifinfomsg m;
	struct link *l = arg;

	memcpy(&m, NLMSG_DATA(h), sizeof(m));
	if (h->nlmsg_type != RTM_NEWLINK)
		return;
	l->index = m.ifi_index;
	l->flags = m.ifi_flags;
}

/* -1 with errno ENODEV if there is no such device. */
static int link_find(int sock, const char *name, struct link *l)
{
	struct ifinfomsg m = {.ifi_family = AF_UNSPEC};
	uint32_t skip_stats = RTEXT_FILTER_SKIP_STATS;
	struct netlink_request q;

	*l = (struct link){0};
	netlink_start(&q, RTM_GETLINK, 0, &m, sizeof(m));
	netlink_add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	netlink_add(&q, IFLA_EXT_MASK, &skip_stats, sizeof(skip_stats));
	if (netlink_talk(sock, &q, sizeof(m), link_take, l) < 0)
		return -1;
	if (l->index == 0) {
		errno = ENODEV;
		return -1;
	}
	return 0;
}

static void address_copy(struct netlink_request *q, const struct nlmsghdr *h, unsigned attribute)
{
	size_t len;
	const void *value = netlink_find(h, sizeof(struct ifaddrmsg), attribute, 1, &len);

	if (value && len <= 64) /* the longest is a label or an IPv6 address */
		netlink_add(q, attribute, value, len);
}

/* A label is the device's name and ":text"; the kernel makes the plain one itself. */
static bool address_keeps_label(const struct nlmsghdr *h, const char *name)
{
	size_t len, n = strlen(name);
	const char *label = netlink_find(h, sizeof(struct ifaddrmsg), IFA_LABEL, n + 2, &len);

	return label && strncmp(label, name, n) == 0 && label[n] == ':';
}

/* Keeps the permanent addresses of global scope. */
static void address_take(const struct nlmsghdr *h, void *arg)
{
	static const unsigned copied[] = {IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST, IFA_RT_PRIORITY,
	                                  IFA_PROTO};
	struct device *d = arg;
	struct netlink_request *q;
	const void *attribute;
	struct ifaddrmsg m;
	uint32_t flags;
	size_t len;

	memcpy(&m, NLMSG_DATA(h), sizeof(m));
	if (h->nlmsg_type != RTM_NEWADDR || (int)m.ifa_index != d->index)
		return;
	flags = m.ifa_flags;
	attribute = netlink_find(h, sizeof(m), IFA_FLAGS, sizeof(flags), &len);
	if (attribute)
		memcpy(&flags, attribute, sizeof(flags));
	if (!(flags & IFA_F_PERMANENT) || m.ifa_scope != RT_SCOPE_UNIVERSE)
		return;
	flags &= NET_ADDRESS_FLAGS;
	m.ifa_flags = (uint8_t)flags;
	d->addresses = xrealloc(d->addresses, d->n_addresses + 1, sizeof(*d->addresses));
	q = &d->addresses[d->n_addresses++];
	netlink_start(q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	netlink_add(q, IFA_FLAGS, &flags, sizeof(flags));
	for (size_t i = 0; i < COUNT(copied); i++)
		address_copy(q, h, copied[i]);
	if (address_keeps_label(h, d->name))
		address_copy(q, h, IFA_LABEL);
}

static int addresses_read(int sock, struct device *d, struct err *e)
{
	struct ifaddrmsg m = {.ifa_family = AF_UNSPEC};
	struct netlink_request q;

	for (int tries = 0; tries < NET_DUMP_TRIES; tries++) {
		d->n_addresses = 0;
		netlink_start(&q, RTM_GETADDR, NLM_F_DUMP, &m, sizeof(m));
		if (netlink_talk(sock, &q, sizeof(m), address_take, d) == 0)
			return 0;
		if (errno != EINTR)
			break;
	}
	return fail(e, errno, "read the addresses of network device \"%s\"", d->name);
}

/* The request with the index of the device it is for, and no label of a former name. */
static int address_add(int sock, const struct netlink_request *from, int index, bool renamed)
{
	struct netlink_request q = *from;
	struct ifaddrmsg *m = NLMSG_DATA(&q.header);
	size_t len;
	const char *label = netlink_find(&q.header, sizeof(*m), IFA_LABEL, 1, &len);

	m->ifa_index = (uint32_t)index;
	if (label && renamed) /* it was added last */
		q.header.nlmsg_len = (uint32_t)(label - q.data - RTA_LENGTH(0));
	return netlink_talk(sock, &q, sizeof(*m), NULL, NULL);
}

static int device_up(int sock, int index, const char *name, struct err *e)
{
	struct ifinfomsg m = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct netlink_request q;

	netlink_start(&q, RTM_NEWLINK, 0, &m, sizeof(m));
	if (netlink_talk(sock, &q, sizeof(m), NULL, NULL) < 0)
		return fail(e, errno, "bring up network device \"%s\"", name);
	return 0;
}

/* Moves d, now at index of from's namespace, to ns, in which to is a socket: there it is called
 * name, has its addresses and is up. *moved: it is there, whatever failed after that. */
static int device_place(const struct device *d, int index, int from, int to, int ns,
                        const char *name, bool up, int *moved, struct err *e)
{
	struct ifinfomsg m = {.ifi_index = index};
	uint32_t ns_fd = (uint32_t)ns;
	struct netlink_request q;
	struct link l;

	netlink_start(&q, RTM_NEWLINK, 0, &m, sizeof(m));
	netlink_add(&q, IFLA_NET_NS_FD, &ns_fd, sizeof(ns_fd));
	netlink_add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	if (netlink_talk(from, &q, sizeof(m), NULL, NULL) < 0) {
		fail(e, errno, "move network device \"%s\" to \"%s\"", d->name, name);
		return errno == EINVAL ? fail_hint(e, "lo and some virtual devices are bound to "
		                                      "their network namespace")
		                       : -1;
	}
	if (link_find(to, name, &l) < 0)
		return fail(e, errno, "find the moved network device \"%s\"", name);
	*moved = l.index;
	for (size_t i = 0; i < d->n_addresses; i++)
		if (address_add(to, &d->addresses[i], l.index, strcmp(name, d->name) != 0) < 0)
			return fail(e, errno, "add address %zu of network device \"%s\"", i, name);
	return up ? device_up(to, l.index, name, e) : 0;
}

/* netdevice names: dev_valid_name() of the kernel. */
static int name_check(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || strpbrk(name, "/: \t\n\v\f\r") ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return fail(e, EINVAL, "network device name \"%s\"", name);
	return 0;
}

/* 1 if no device has the name, 0 if one has, -1 with an error. */
static int name_is_free(int sock, const char *name, struct err *e)
{
	struct link l;

	if (link_find(sock, name, &l) == 0)
		return 0;
	if (errno == ENODEV)
		return 1;
	return fail(e, errno, "look for network device \"%s\" in the container", name);
}

/* Makes a name out of one that may hold "%d", for the first number that is free. */
static int name_choose(int sock, const char *wanted, char name[IFNAMSIZ], struct err *e)
{
	const char *number = strstr(wanted, "%d");
	int n_free;

	TRY(name_check(wanted, e));
	if (!number) {
		if (strchr(wanted, '%'))
			return fail(e, EINVAL, "network device name \"%s\"", wanted);
		snprintf(name, IFNAMSIZ, "%s", wanted);
		n_free = name_is_free(sock, name, e);
		return n_free == 0 ? fail(e, EEXIST, "network device \"%s\" in the container", name)
		                   : n_free;
	}
	if (strchr(number + 1, '%'))
		return fail(e, EINVAL, "network device name \"%s\"", wanted);
	for (int i = 0; i < NET_TEMPLATE_MAX; i++) {
		if (snprintf(name, IFNAMSIZ, "%.*s%d%s", (int)(number - wanted), wanted, i,
		             number + 2) >= IFNAMSIZ)
			break;
		n_free = name_is_free(sock, name, e);
		if (n_free != 0)
			return n_free;
	}
	return fail(e, EEXIST, "network devices \"%s\" in the container", wanted);
}

/* A socket of another namespace: it stays in the one where it was made. */
static int netlink_open_in(int ns, int here, struct err *e)
{
	int sock;

	if (setns(ns, CLONE_NEWNET) < 0)
		return fail(e, errno, "enter the container's network namespace");
	sock = netlink_open(e);
	if (setns(here, CLONE_NEWNET) < 0) {
		fd_close_at(&sock);
		return fail(e, errno, "return to the runtime's network namespace");
	}
	return sock;
}

static int device_read(int sock, const char *name, struct device *d, struct err *e)
{
	struct link l;

	TRY(name_check(name, e));
	if (link_find(sock, name, &l) < 0)
		return fail(e, errno, "find network device \"%s\"", name);
	*d = (struct device){.name = name, .index = l.index, .up = l.flags & IFF_UP};
	return addresses_read(sock, d, e);
}

static int device_move(const struct device *d, const char *wanted, int from, int to, int ns,
                       int here, struct net_moved *moved, struct err *e)
{
	char *name = moved->name;
	int index = 0, ignored;
	struct err back;

	TRY(name_choose(to, wanted, name, e));
	moved->up = d->up;
	if (device_place(d, d->index, from, to, ns, name, true, &index, e) == 0)
		return 0;
	if (index > 0 &&
	    device_place(d, index, to, from, here, d->name, d->up, &ignored, &back) < 0)
		log_warn("%s: %s, ignoring", back.msg, strerror(back.errnum));
	return -1;
}

int net_device_move(const char *name, const char *new_name, int ns, struct net_moved *moved,
                    struct err *e)
{
	autofd here = fd_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0, e);
	autofd from = here < 0 ? -1 : netlink_open(e);
	autofd to = from < 0 ? -1 : netlink_open_in(ns, here, e);
	struct device d = {0};
	int result;

	if (to < 0)
		return -1;
	result = device_read(from, name, &d, e);
	if (result == 0)
		result = device_move(&d, new_name && *new_name ? new_name : name, from, to, ns,
		                     here, moved, e);
	free(d.addresses);
	return result;
}

int net_device_return(const char *name, const struct net_moved *moved, int ns, struct err *e)
{
	autofd here = fd_open(AT_FDCWD, "/proc/self/ns/net", O_RDONLY, 0, e);
	autofd to = here < 0 ? -1 : netlink_open(e);
	autofd from = to < 0 ? -1 : netlink_open_in(ns, here, e);
	struct device d = {0};
	int result, ignored;

	if (from < 0)
		return -1;
	result = device_read(from, moved->name, &d, e);
	if (result == 0)
		result = device_place(&d, d.index, from, to, here, name, moved->up, &ignored, e);
	free(d.addresses);
	return result;
}
