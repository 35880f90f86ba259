/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SIGTERM, SIGINT and SIGHUP while a container is being made: whoever waits looks at a descriptor,
 * gives up, and all is undone; then the signal does what it would have done at first. */
#pragma once

#include <signal.h>
#include <stdbool.h>

struct err;

struct interrupt {
	sigset_t old;
	int fd; /* readable when one of them has come; -1: none is waited for */
	bool begun;
};
#define INTERRUPT_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Holds back those of the signals that the caller does not ignore. */
int interrupt_begin(struct interrupt *i, struct err *e);
/* Whether one has come. */
bool interrupt_came(int fd);
/* Lets them come. */
void interrupt_end(struct interrupt *i);
