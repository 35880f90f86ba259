/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cgroupsPath for both managers, and the state record. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "kernel/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever goes in, what comes out stays below the hierarchy. */
static void check_confined(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || strstr(path, "//") || strstr(path, "/../") ||
	    (len >= 3 && !strcmp(path + len - 3, "/..")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1), *path, *record;
	struct cgroup_unit unit;
	struct cgroup cg;
	struct err e;

	memcpy(text, data, size);
	path = cgroup_path_resolve(text, "/davit", "id", &e);
	if (path)
		check_confined(path);
	free(path);
	if (cgroup_unit_parse(text, "id", false, &unit, &e) == 0) {
		check_confined(unit.path);
		cgroup_unit_free(&unit);
	}
	if (cgroup_parse(text, &cg, &e) == 0) {
		for (size_t i = 0; i < cg.n; i++)
			check_confined(cg.v[i].path);
		record = cgroup_record(&cg);
		free(record);
		cgroup_close(&cg);
	}
	free(text);
	return 0;
}
