/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/netlink.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"

int netlink_open(struct err *e)
{
	struct timeval limit = {.tv_sec = 5}; /* the kernel answers at once */
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (sock < 0)
		return fail(e, errno, "open a netlink socket");
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)); /* cannot fail */
	return sock;
}

void netlink_start(struct netlink_request *q, unsigned type, unsigned flags, const void *fixed,
                   size_t len)
{
	memset(q, 0, sizeof(*q));
	if (NLMSG_LENGTH(len) > sizeof(q->data))
		abort();
	q->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	q->header.nlmsg_type = (uint16_t)type;
	q->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(NLMSG_DATA(&q->header), fixed, len);
}

void netlink_add(struct netlink_request *q, unsigned attribute, const void *value, size_t len)
{
	size_t at = NLMSG_ALIGN(q->header.nlmsg_len);
	struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(len), .rta_type = (uint16_t)attribute};

	/* 16 bits of length: a silent cut would inject attributes (CVE-2021-43784) */
	if (len > sizeof(q->data) || at + RTA_SPACE(len) > sizeof(q->data))
		abort();
	memcpy(q->data + at, &a, sizeof(a));
	if (len)
		memcpy(q->data + at + RTA_LENGTH(0), value, len);
	q->header.nlmsg_len = (uint32_t)(at + RTA_LENGTH(len));
}

static int netlink_fail(int errnum)
{
	errno = errnum;
	return -1;
}

/* One message of the answer: 1 go on, 0 the answer is complete, -1 with errno. */
static int netlink_take(const struct nlmsghdr *h, size_t fixed,
                        void (*each)(const struct nlmsghdr *h, void *arg), void *arg)
{
	struct nlmsgerr answer;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		return netlink_fail(EINTR);
	if (h->nlmsg_type == NLMSG_DONE)
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR) {
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(answer)))
			return netlink_fail(EPROTO);
		memcpy(&answer, NLMSG_DATA(h), sizeof(answer));
		return answer.error ? netlink_fail(-answer.error) : 0;
	}
	if (h->nlmsg_len < NLMSG_LENGTH(fixed))
		return netlink_fail(EPROTO);
	if (each)
		each(h, arg);
	return 1;
}

/* One datagram from the kernel, which may hold several messages. */
static int netlink_read(int sock, void *buf, size_t size, size_t *len)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return errno == EAGAIN ? netlink_fail(ETIMEDOUT) : -1;
	if (msg.msg_flags & MSG_TRUNC)
		return netlink_fail(EMSGSIZE);
	*len = (size_t)n;
	return 0;
}

int netlink_talk(int sock, struct netlink_request *q, size_t fixed,
                 void (*each)(const struct nlmsghdr *h, void *arg), void *arg)
{
	static uint32_t sequence;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	union {
		struct nlmsghdr header;
		char data[32768];
	} buf;
	size_t len;

	q->header.nlmsg_seq = ++sequence;
	if ((q->header.nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP) /* two bits; one is NLM_F_REPLACE */
		q->header.nlmsg_flags |= NLM_F_ACK;
	if (sendto(sock, q->data, q->header.nlmsg_len, 0, (struct sockaddr *)&kernel,
	           sizeof(kernel)) < 0)
		return -1;
	for (;;) {
		if (netlink_read(sock, buf.data, sizeof(buf.data), &len) < 0)
			return -1;
		for (const struct nlmsghdr *h = &buf.header; NLMSG_OK(h, len);
		     h = NLMSG_NEXT(h, len)) {
			int more;

			if (h->nlmsg_seq != sequence) /* left over from a disturbed dump */
				continue;
			more = netlink_take(h, fixed, each, arg);
			if (more <= 0)
				return more;
		}
	}
}

const void *netlink_find(const struct nlmsghdr *h, size_t fixed, unsigned attribute, size_t min,
                         size_t *len)
{
	const char *data = (const char *)h;
	size_t at = NLMSG_ALIGN(NLMSG_LENGTH(fixed));
	struct rtattr a;

	while (at + sizeof(a) <= h->nlmsg_len) {
		memcpy(&a, data + at, sizeof(a));
		if (a.rta_len < sizeof(a) || a.rta_len > h->nlmsg_len - at)
			return NULL;
		if ((a.rta_type & NLA_TYPE_MASK) == attribute) {
			*len = a.rta_len - RTA_LENGTH(0);
			return *len >= min ? data + at + RTA_LENGTH(0) : NULL;
		}
		at += RTA_ALIGN(a.rta_len);
	}
	return NULL;
}
