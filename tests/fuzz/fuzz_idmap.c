/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The value of the mount option idmap=. What is accepted must pass the check of ranges, but for
 * overlaps, and translate back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "base/err.h"
#include "kernel/idmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ranges_verify(const struct idmap *map)
{
	struct err e = {0};
	uint32_t id;

	if (!map->n || map->n > IDMAP_RANGES_MAX)
		abort();
	for (size_t i = 0; i < map->n; i++) {
		const struct idmap one = {&map->v[i], 1};

		if (idmap_check(&one, NULL, &e) < 0)
			abort();
		if (!idmap_to_host(&one, map->v[i].container_id, &id) || id != map->v[i].host_id)
			abort();
		if (!idmap_to_inside(&one, map->v[i].host_id, &id) || id != map->v[i].container_id)
			abort();
	}
	(void)idmap_check(map, "/x", &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oci_id_mapping own[] = {
		{0,           1000,   1    },
                {1,           100000, 65535},
                {4000000000U, 7,      20   }
        };
	const struct idmaps container = {
		{own, 3},
                {own, 2}
        };
	char *text = malloc(size + 1);
	struct arena a = {0};
	struct idmaps out;
	struct err e = {0};

	memcpy(text, data, size);
	text[size] = '\0';
	if (idmap_parse(text, size & 1 ? &container : NULL, &a, &out, &e) == 0) {
		ranges_verify(&out.uid);
		ranges_verify(&out.gid);
	} else if (!*e.msg) {
		abort();
	}
	arena_free(&a);
	free(text);
	return 0;
}
