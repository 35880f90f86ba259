/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changing a live container's resources. */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "read.h"
#include "run/container.h"

/* NULL and the error when the text is no resources object. */
static struct oci_resources *resources_parse(const char *text, struct arena *a, struct err *e)
{
	struct oci_resources *r = arena_new(a, struct oci_resources);
	struct oci_error oe;

	if (oci_read(&ocispec_schema, OCI_RESOURCES, text, strlen(text), a, r, &oe) == 0)
		return r;
	fail(e, 0, "resources:%u:%u: %s", oe.line, oe.column, oe.msg);
	if (*oe.pointer)
		fail_at(e, "%s", oe.pointer);
	return NULL;
}

static int update_cgroup(const struct container *k, const char *text, const struct oci_resources *r,
                         struct err *e)
{
	autocgroup cg = CGROUP_INIT;

	if (strcmp(text, "{}") == 0)
		return 0;
	TRY(container_cgroup(k, &cg, e));
	if (cg.n == 0)
		return fail(e, 0, "container \"%s\" has no cgroup of its own", k->id);
	cg.root = k->root;
	return cgroup_update(&cg, r, e);
}

int davit_update(const struct davit_context *c, const char *id, const char *resources,
                 const char *l3_cache_schema, const char *mem_bw_schema, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autofree char *old = NULL;
	struct oci_resources *r;
	struct rdt rdt;
	int rc;

	TRY(container_open(c, id, STATE_LOCK, &k, e));
	if (container_status(&k) == DAVIT_STOPPED)
		return fail(e, 0, "container not running: \"%s\" is stopped", id);
	r = resources_parse(resources, &k.arena, e);
	if (!r)
		return -1;
	rdt = container_rdt(k.rec);
	if (l3_cache_schema || mem_bw_schema) {
		old = rdt_schemata(&rdt);
		TRY(rdt_update(&rdt, l3_cache_schema, mem_bw_schema, e));
	}
	rc = update_cgroup(&k, resources, r, e);
	if (rc < 0 && old)
		rdt_restore(&rdt, old);
	return rc;
}
