/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "base/err.h"
#include "base/fd.h"
#include "kernel/cgroup_named.h"
#include "run/container.h"
#include "run/rows.h"

int row_exec_prepare(struct ctx *c, struct err *e)
{
	const struct plan *p = c->plan;
	const char *where = p->exec->n_cgroup ? p->exec->cgroup[0] : NULL;
	struct err own = {0};

	TRY(container_cgroup(c->container, &c->cgroup, e));
	if (p->has_seccomp)
		TRY(seccomp_restore(c->container->dir, "seccomp", &c->seccomp, e));
	if (c->seccomp.notify) {
		c->mail = seccomp_mail_new(e);
		if (!c->mail)
			return -1;
	}
	/* inherited by the process: it holds before the process enters the group */
	TRY(affinity_apply(0, &p->process.affinity.initial, "initial", e));
	if (c->cgroup.n == 0 || p->exec->n_cgroup > 1)
		return 0;
	c->exec_cgroup = cgroup_exec_fd(&c->cgroup, where, &own);
	if (c->exec_cgroup < 0 && own.msg[0]) {
		*e = own;
		return -1;
	}
	return 0;
}

static int exec_named_group(const struct container *k, pid_t pid, struct err *e)
{
	if (!k->rec || !map_get(&k->rec->annotations, CGROUP_NAMED_ANNOTATION) ||
	    !cgroup_named_holds(k->id, k->init.pid))
		return 0;
	return cgroup_named_enter(k->id, pid, e);
}

int row_exec_cgroup(struct ctx *c, struct err *e)
{
	const struct davit_exec_args *r = c->plan->exec;
	pid_t init = c->container->init.pid;
	struct rdt rdt = container_rdt(c->container->rec);

	TRY(rdt_enter(&rdt, c->init.pid, e));
	TRY(exec_named_group(c->container, c->init.pid, e));
	if (c->cgroup.n == 0)
		return 0;
	if (r->n_cgroup <= 1 && c->entered && c->cgroup.mode == CGROUP_MODE_V2)
		return 0;
	if (r->n_cgroup == 0)
		return cgroup_exec_enter(&c->cgroup, NULL, init, c->init.pid, e);
	for (size_t i = 0; i < r->n_cgroup; i++)
		TRY(cgroup_exec_enter(&c->cgroup, r->cgroup[i], init, c->init.pid, e));
	return 0;
}

int row_exec_affinity_final(struct ctx *c, struct err *e)
{
	return affinity_apply(c->init.pid, &c->plan->process.affinity.final, "final", e);
}
