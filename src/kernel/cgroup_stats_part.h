/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pieces that the statistics share. Private to cgroup_stats*.c. */
#pragma once

#include "kernel/cgroup_dir.h"
#include "kernel/cgroup_stats.h"

/* Memory that the statistics own. */
struct cgroup_text {
	struct cgroup_text *next;
	char text[];
};

/* The whole of a file, kept in s; NULL if it is not there. */
char *stats_text(struct cgroup_stats *s, const struct cgroup_dir *d, const char *file);
/* The first line of a file, kept in s; "" if it is not there. */
char *stats_line(struct cgroup_stats *s, const struct cgroup_dir *d, const char *file);

/* Pure parsers; each takes the text of a kernel file. */
void cgroup_parse_psi(const char *text, struct cgroup_psi *psi);
/* Cuts text up; the pairs point into it. The caller frees *pairs. */
void cgroup_parse_pairs(char *text, struct cgroup_pair **pairs, size_t *n);
/* Version 1: lines "8:0 Read 123"; "Total 123" is left out. Version 2: io.stat. The strings of v1
 * point into text, which is cut up. */
void cgroup_parse_blkio(char *text, struct cgroup_blkio_list *l);
void cgroup_parse_io_stat(const char *text, struct cgroup_blkio_list *bytes,
                          struct cgroup_blkio_list *ops);
