/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/timing.h"
#include "run/container.h"
#include "run/foreground.h"
#include "run/spawn.h"
#include "run/steps.h"

static int terminal_check(const struct plan *p, struct err *e)
{
	const struct davit_exec_args *r = p->exec;

	if (p->process.terminal && r->detach && !r->console_socket)
		return fail(e, 0, "a detached process with a terminal needs --console-socket");
	if (r->console_socket && !p->process.terminal)
		return fail(e, 0, "--console-socket is given, but the process has no terminal");
	return 0;
}

static int exec_plan(struct ctx *ctx, struct plan *p, int *status, struct err *e)
{
	const struct davit_exec_args *r = p->exec;
	struct foreground fg = FOREGROUND_NONE;
	int result;

	TRY(terminal_check(p, e));
	if (p->process.terminal && !r->console_socket)
		TRY(foreground_pair(&ctx->console_mine, &ctx->console_sock, e));
	if (!r->detach)
		TRY(foreground_begin(&fg, e));
	ctx->plan = p;
	ctx->table = exec_steps;
	ctx->self = RUNTIME;
	result = steps_walk(ctx, e);
	*status = 0;
	if (result == 0 && !r->detach)
		result = foreground_wait(&fg, ctx->init.pid, ctx->pidfd, ctx->master, status, e);
	foreground_end(&fg);
	return result;
}

int davit_exec(const struct davit_context *c, const struct davit_exec_args *a, int *status,
               struct err *e)
{
	struct ctx ctx = CTX_INIT;
	autocontainer k = CONTAINER_NONE;
	struct plan plan = {.op = OP_EXEC};
	int r;

	timing_begin(c->timings);
	TRY(container_open(c, a->id, 0, &k, e));
	timing_part("container");
	ctx.davit = c;
	ctx.container = &k;
	r = plan_exec(c, a, &k, container_full_status(&k), &ctx.arena, &plan, e);
	timing_part("plan");
	if (r == 0)
		r = exec_plan(&ctx, &plan, status, e);
	/* what failed then is a consequence: engines have to be told the cause */
	if (r < 0 && k.pidfd >= 0 && !strstr(e->msg, "not running") &&
	    proc_wait_gone(k.pidfd, 0) == 1)
		fail_prefix(e, "container not running: \"%s\" has ended", a->id);
	plan_free(&plan);
	ctx_close(&ctx);
	return r;
}
