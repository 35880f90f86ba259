/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network devices (netdevice(7), rtnetlink(7)). */
#pragma once

#include <stdbool.h>

struct err;

/* Brings up lo of the current network namespace. */
int net_loopback_up(struct err *e);

/* Moves device name of the runtime's network namespace into the one of ns, a descriptor; there it
 * is called new_name (NULL or "": the same; "%d" becomes the first free number), keeps its
 * permanent global addresses, and is up (config-linux.md, "Network Devices"). A name that is taken
 * is EEXIST. After a failure the device is back where it was, if possible. Runs in the runtime;
 * does not change its namespace for longer than the call. */
struct net_moved {     /* what net_device_return() needs */
	char name[16]; /* what the device is called there; IFNAMSIZ */
	bool up;       /* what it was here */
};
int net_device_move(const char *name, const char *new_name, int ns, struct net_moved *moved,
                    struct err *e);

/* Takes a moved device back, under its former name: for a container that could not be made. */
int net_device_return(const char *name, const struct net_moved *moved, int ns, struct err *e);
