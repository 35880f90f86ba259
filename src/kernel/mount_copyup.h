/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tmpcopyup: a tmpfs that starts with the content of the directory it covers. */
#pragma once

struct err;

/* Copies what is in the directory from (opened for reading) into the directory to:
 * directories, files, links, fifos and devices with their modes, owners and extended
 * attributes; sockets are left out. Nothing is followed or opened that could block. dest is
 * for messages. The directory to itself gets the owner of from, but for what keep says; its mode
 * is the caller's. */
enum {
	COPYUP_KEEP_UID = 1,
	COPYUP_KEEP_GID = 2
};
int copyup_tree(int from, int to, unsigned keep, const char *dest, struct err *e);
