/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processes of a container that has no cgroup to list them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

/* Init, with own_pid_ns every process of its pid namespace (exec's are nobody's children), and the
 * descendants of all these, by the order of /proc; the caller frees. */
int members_list(pid_t init, bool own_pid_ns, pid_t **pids, size_t *n, struct err *e);
