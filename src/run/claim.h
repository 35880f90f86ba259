/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups that another container of the same state root has. A stopped one's are empty, so they look
 * free; but its delete kills and removes what is in them. */
#pragma once

struct cgroup;
struct err;

/* An error that names the container whose record has a group of cg, or one above it. Looks only for
 * groups that are there already. */
int groups_claimed_check(int root, const char *id, const struct cgroup *cg, struct err *e);
