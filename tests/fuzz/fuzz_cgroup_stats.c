/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's statistics files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cgroup_stats_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	struct cgroup_blkio_list a = {0}, b = {0}, c = {0};
	struct cgroup_pair *pairs;
	struct cgroup_psi psi;
	uint64_t value;
	size_t n;

	memcpy(text, data, size);
	cgroup_parse_psi(text, &psi);
	cgroup_parse_io_stat(text, &a, &b);
	(void)cgroup_text_u64(text, "oom_kill", &value);
	cgroup_parse_blkio(text, &c);
	memcpy(text, data, size);
	cgroup_parse_pairs(text, &pairs, &n);
	free(pairs);
	free(a.v);
	free(b.v);
	free(c.v);
	free(text);
	return 0;
}
