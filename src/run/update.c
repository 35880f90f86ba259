/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a live container's resources. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "read.h"
#include "run/container.h"

int davit_update(const struct davit_context *c, const char *id, const char *resources,
                 const char *l3_cache_schema, const char *mem_bw_schema, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup cg = CGROUP_INIT;
	struct oci_resources *r;
	struct oci_error oe;

	TRY(container_open(c, id, STATE_LOCK, &k, e));
	if (container_status(&k) == DAVIT_STOPPED)
		return fail(e, 0, "container not running: \"%s\" is stopped", id);
	if (l3_cache_schema || mem_bw_schema) {
		struct rdt rdt = container_rdt(k.rec);

		TRY(rdt_update(&rdt, l3_cache_schema, mem_bw_schema, e));
	}
	r = arena_new(&k.arena, struct oci_resources);
	if (oci_read(&ocispec_schema, OCI_RESOURCES, resources, strlen(resources), &k.arena, r,
	             &oe) < 0) {
		fail(e, 0, "resources:%u:%u: %s", oe.line, oe.column, oe.msg);
		return *oe.pointer ? fail_at(e, "%s", oe.pointer) : -1;
	}
	TRY(container_cgroup(&k, &cg, e));
	if (cg.n == 0)
		return fail(e, 0, "container \"%s\" has no cgroup of its own", id);
	return cgroup_update(&cg, r, e);
}
