/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Protection of davit's own binary (CVE-2019-5736): a process that enters a container must not
 * show the container a writable file behind /proc/PID/exe. */
#pragma once

#include <stdbool.h>

struct err;

/* Makes sure that this process runs from a file nobody can write through /proc/PID/exe: returns 0
 * at once when it does, else executes the program again from a read-only detached clone of its
 * mount (open_tree(2), Linux 5.2; mount_setattr(2), 5.12) or from a sealed copy in memory
 * (memfd_create(2)). Call it first thing, while there is one thread and no state. */
int exe_protect(char *const *argv, struct err *e);

/* Set by the program's entry point, which has looked before main. */
extern bool exe_is_read_only __attribute__((visibility("hidden")));
