/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One mount entry: destination, type, source and options, a line each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base/err.h"
#include "kernel/mount.h"
#include "kernel/mount_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LINES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oci_id_mapping own = {0, 100000, 65536};
	const struct idmaps maps = {
		{&own, 1},
                {&own, 1}
        };
	struct mount_parse p = {.bundle = "/b", .userns = size & 1, .own_maps = &maps};
	char *text = malloc(size + 1), *lines[LINES_MAX + 1] = {0}, *s = text;
	struct arena a = {0};
	struct mount_plan plan;
	struct err e = {0};
	size_t n = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	while (n < LINES_MAX && s) {
		lines[n++] = s;
		s = strchr(s, '\n');
		if (s)
			*s++ = '\0';
	}
	if (n >= 3) {
		struct oci_mount m = {.destination = lines[0],
		                      .type = lines[1],
		                      .source = lines[2],
		                      .options = lines + 3,
		                      .n_options = n - 3};

		if (mount_plan_parse(&m, 0, &p, &a, &plan, &e) == 0) {
			/* What later code relies on. */
			if (!plan.source || !plan.type || plan.attr.set & plan.attr.clr & 0xf)
				abort();
			for (size_t i = 0; i < plan.n_data; i++)
				if (!plan.data[i] || !*plan.data[i])
					abort();
			if (plan.flags & MOUNT_BIND && !(plan.flags & MOUNT_REMOUNT) &&
			    plan.source[0] != '/')
				abort();
		} else if (!*e.msg) {
			abort();
		}
		(void)mount_dest_contains(lines[0], lines[2]);
	}
	arena_free(&a);
	free(text);
	return 0;
}
