/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rtnetlink(7): requests with attributes, answers checked for their lengths. Used by net.c only. */
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct err;

/* A request: the header, a fixed part, attributes. The largest of ours has about 150 bytes. */
struct netlink_request {
	union {
		struct nlmsghdr header;
		char data[512];
	};
};

/* Opens a socket of the current network namespace. */
int netlink_open(struct err *e);

/* Starts a request with its fixed part (struct ifinfomsg ...), adds an attribute. Too much aborts:
 * lengths are checked where the values come from. */
void netlink_start(struct netlink_request *q, unsigned type, unsigned flags, const void *fixed,
                   size_t len);
void netlink_add(struct netlink_request *q, unsigned attribute, const void *value, size_t len);

/* Sends q and calls each (if not NULL) with every message of the answer, which holds at least a
 * header and `fixed` bytes. 0, or -1 with errno (the kernel's answer; EINTR: the dump was disturbed
 * by a change, ask again). */
int netlink_talk(int sock, struct netlink_request *q, size_t fixed,
                 void (*each)(const struct nlmsghdr *h, void *arg), void *arg);

/* The value of an attribute of h, whose fixed part has `fixed` bytes, or NULL if there is none of
 * at least min bytes. */
const void *netlink_find(const struct nlmsghdr *h, size_t fixed, unsigned attribute, size_t min,
                         size_t *len);
