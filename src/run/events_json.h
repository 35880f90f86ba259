/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line that `events --stats` prints. */
#pragma once

#include "base/str.h"
#include "kernel/cgroup_stats.h"

/* Appends {"type":"stats","id":ID,"data":{...}} and a newline. id needs no escapes:
 * state_id_check. */
void events_stats_json(struct str *out, const char *id, const struct cgroup_stats *s);
