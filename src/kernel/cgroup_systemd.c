/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/cgroup_systemd.h"

#include <errno.h>

#include "base/err.h"
#include "kernel/cgroup_make.h"

int cgroup_systemd_start(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	(void)p;
	(void)cg;
	(void)pid;
	return fail(e, ENOTSUP, "this build of davit has no systemd support");
}

int cgroup_systemd_update(struct cgroup *cg, const struct oci_resources *r, struct err *e)
{
	(void)cg;
	(void)r;
	return fail(e, ENOTSUP, "this build of davit has no systemd support");
}

int cgroup_systemd_stop(struct cgroup *cg, int timeout_ms, struct err *e)
{
	(void)cg;
	(void)timeout_ms;
	return fail(e, ENOTSUP, "this build of davit has no systemd support");
}

bool cgroup_systemd_built(void)
{
	return false;
}

int cgroup_scope_find(const struct cgroup_plan *p, struct cgroup *cg, pid_t pid, struct err *e)
{
	(void)p;
	(void)cg;
	(void)pid;
	return fail(e, ENOTSUP, "this build of davit has no systemd support");
}
