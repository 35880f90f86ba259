/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mountinfo and /proc/PID/cgroup; the two texts are divided by a NUL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cgroup_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cgroup_host h = {0};
	size_t first;

	h.text[0] = calloc(1, size + 2);
	h.text[1] = calloc(1, size + 2);
	memcpy(h.text[0], data, size);
	first = strlen(h.text[0]) + 1;
	if (first < size)
		memcpy(h.text[1], data + first, size - first);
	free(cgroup_of(h.text[1], "memory"));
	cgroup_host_parse_mountinfo(&h, h.text[0]);
	cgroup_host_parse_own(&h, h.text[1]);
	for (size_t i = 0; i < h.n; i++) {
		const struct cgroup_hier *v = &h.v[i];

		if (v->mount[0] != '/' || v->root[0] != '/' || (v->own && v->own[0] != '/') ||
		    v->v2 != !v->controllers[0])
			abort();
	}
	cgroup_host_free(&h);
	return 0;
}
