/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics as the JSON line that runc's `events` prints, with a few keys more: memory.peak,
 * memory.oomKills, pids.peak, cpu.throttling.bursts and burstTime. */
#pragma once

#include "base/str.h"
#include "kernel/cgroup_stats.h"

/* Appends {"type":"stats","id":ID,"data":{...}} and a newline. The id holds nothing that JSON would
 * have to escape (state_id_check). */
void stats_json(const char *id, const struct cgroup_stats *s, struct str *out);
