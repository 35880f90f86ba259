/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exit record: how a container's init ended and what its groups had used by then. It is made
 * by whoever notices the end first (run, events, kill, state, delete), while the groups still
 * exist, and kept as exit.json in the state directory. */
#pragma once

#include "kernel/cgroup.h"
#include "run/state.h"

/* What the groups, or the kernel's log when they are gone, and the wait status (NULL: unknown)
 * tell; in arena. NULL if that is nothing. */
struct rec_exit *exit_gather(struct cgroup *cg, const struct proc_id *init, const int *wait_status,
                             struct arena *a);

/* Writes exit.json, unless there is one. A record is a convenience: no failure, a debug line. */
void exit_keep(int dir, const struct rec_exit *x);

/* The record of a container whose init has ended: the one on disk, or else a new one, which is
 * kept. NULL if nothing is known, or it has not ended. before, or NULL: what exit_gather() told
 * right before the end, should the groups be gone by now. */
struct rec_exit *exit_of(struct container *k, const struct rec_exit *before);

/* How the process ended, from a pidfd that was opened before it was reaped (Linux 6.15), or from
 * /proc while it has not been reaped; false if neither can tell. */
bool exit_wait_status(int pidfd, const struct proc_id *id, int *wait_status);

/* --exit-record: opens the file before anything is done, so that a bad name does no harm, and
 * fills it at the end. A record that is not known leaves "{}". */
int exit_file_open(const char *path, struct err *e);
int exit_file_write(int fd, const struct rec_exit *x, struct err *e);
