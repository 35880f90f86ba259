/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* create and run: make the plan, walk the table; run then waits and cleans up. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/timing.h"
#include "run/container.h"
#include "run/exit.h"
#include "run/foreground.h"
#include "run/hooks.h"
#include "run/interrupt.h"
#include "run/notify.h"
#include "run/spawn.h"
#include "run/steps.h"

void ctx_close(struct ctx *c)
{
	int *fds[] = {&c->chan,         &c->chan_init,  &c->root,        &c->dir,
	              &c->pidfd,        &c->start_sock, &c->notify_sock, &c->console_sock,
	              &c->console_mine, &c->master,     &c->exec_cgroup, &c->net_ns,
	              &c->exit_record};

	for (size_t i = 0; i < COUNT(fds); i++)
		fd_close_at(fds[i]);
	for (int k = 0; k < NS_COUNT; k++)
		fd_close_at(&c->ns_fds[k]);
	for (size_t i = 0; c->sources && i < c->plan->rootfs.n_mounts; i++)
		fd_close_at(&c->sources[i]);
	for (size_t i = 0; c->nodes && i < c->plan->rootfs.n_devices; i++)
		fd_close_at(&c->nodes[i]);
	idmap_cache_close(&c->idmaps);
	cgroup_close(&c->cgroup);
	seccomp_free(&c->seccomp);
	arena_free(&c->arena);
}

/* A detached terminal has to go somewhere, an attached one must not. */
static int terminal_check(const struct plan *p, bool detached, struct err *e)
{
	const char *socket_ = p->create->console_socket;

	if (p->process.terminal && detached && !socket_) {
		fail(e, 0, "a detached container with a terminal needs --console-socket");
		return fail_at(e, "/process/terminal");
	}
	if (socket_ && !p->process.terminal) {
		fail(e, 0, "--console-socket is given, but the container has no terminal");
		return fail_at(e, "/process/terminal");
	}
	if (socket_ && !detached)
		return fail(e, 0, "--console-socket is for detached containers");
	return 0;
}

static bool failed_in_hook(const struct err *e)
{
	return strncmp(e->step, "hooks-", 6) == 0;
}

/* Walks the table; a hook that fails ends the life cycle with the poststop hooks (runtime.md). */
static int create_walk(struct ctx *c, const struct plan *p, struct err *e)
{
	c->plan = p;
	c->table = create_steps;
	c->self = RUNTIME;
	if (steps_walk(c, e) == 0)
		return 0;
	if (failed_in_hook(e))
		container_poststop(p->record, &c->arena);
	return -1;
}

/* After the payload: nothing stays, unless --keep. */
static int run_cleanup(struct ctx *c, const struct plan *p, struct err *e)
{
	struct err ignored;

	if (p->create->keep)
		return 0;
	if (c->cgroup.n) {
		/* its pid namespace has ended them all, if it had one */
		if (!(p->ns.new_flags & CLONE_NEWPID))
			(void)cgroup_kill(&c->cgroup, SIGKILL, &ignored); /* remove tells */
		TRY(cgroup_remove(&c->cgroup, 5000, e));
	}
	TRY(rdt_remove(&p->rdt.rdt, e));
	timing_part("cgroup-remove");
	container_poststop(p->record, &c->arena);
	TRY(state_remove(c->root, p->id, c->dir, e));
	timing_part("state-remove");
	return 0;
}

/* The groups and the state are about to go: an exit record is made only for those who ask. */
static int run_record(struct ctx *c, const struct plan *p, struct err *e)
{
	const struct rec_exit *x;

	if (!p->create->keep && c->exit_record < 0 && log_level() < LOG_LEVEL_DEBUG)
		return 0;
	x = exit_gather(&c->cgroup, &c->init, &c->status, &c->arena);
	exit_keep(c->dir, x);
	if (c->exit_record >= 0)
		TRY(exit_file_write(c->exit_record, x, e));
	timing_part("exit-record");
	return 0;
}

static int run_failed(struct ctx *c, const struct plan *p)
{
	struct err ignored;

	spawn_undo(c);
	if (run_cleanup(c, p, &ignored) < 0)
		log_warn("%s, ignoring", ignored.msg);
	return -1;
}

static int run_walked(struct ctx *c, const struct plan *p, struct foreground *fg, int *status,
                      struct err *e)
{
	if (container_poststart(p->record, c->init.pid, &c->arena, e) < 0)
		return run_failed(c, p);
	if (p->create->detach) {
		*status = 0;
		return p->notify ? notify_wait(c->notify_sock, c->init.pid, c->pidfd, e) : 0;
	}
	if (p->notify)
		TRY(foreground_notify(fg, take_fd(&c->notify_sock), e));
	/* others may need the lock while the payload runs */
	(void)flock(c->dir, LOCK_UN); /* cannot fail */
	if (foreground_wait(fg, c->init.pid, c->pidfd, c->master, status, e) < 0)
		return run_failed(c, p);
	c->exited = true;
	c->status = fg->wait_status;
	spawn_tell_killed(&c->cgroup, &c->init, c->status);
	TRY(run_record(c, p, e));
	return run_cleanup(c, p, e);
}

/* Walks the table, with an ear for signals. One that comes while this waits ends the process by its
 * default action, when all is undone and it is let come again: the error is told before. */
static int walk_interrupted(struct ctx *c, const struct plan *p, struct err *e)
{
	struct interrupt i = INTERRUPT_NONE;
	int r = interrupt_begin(&i, e);

	c->signals = i.fd;
	if (r == 0)
		r = create_walk(c, p, e);
	if (r < 0 && interrupt_came(i.fd))
		log_error(e, p->op == OP_RUN ? "run" : "create");
	c->signals = -1;
	interrupt_end(&i);
	return r;
}

static int run_plan(struct ctx *ctx, struct plan *p, int *status, struct err *e)
{
	const struct davit_create_args *a = p->create;
	struct foreground fg = FOREGROUND_NONE;
	int r;

	TRY(terminal_check(p, a->detach, e));
	if (p->process.terminal && !a->console_socket)
		TRY(foreground_pair(&ctx->console_mine, &ctx->console_sock, e));
	if (!p->process.process) {
		fail(e, 0, "the container has no process to run");
		return fail_at(e, "/process");
	}
	if (ctx->davit->exit_record) {
		if (a->detach)
			return fail(e, 0, "--exit-record needs a runtime that waits: not --detach");
		TRY(ctx->exit_record = exit_file_open(ctx->davit->exit_record, e));
	}
	if (!a->detach)
		TRY(foreground_begin(&fg, e));
	r = walk_interrupted(ctx, p, e);
	if (r == 0)
		r = run_walked(ctx, p, &fg, status, e);
	foreground_end(&fg);
	return r;
}

static int create_plan(struct ctx *ctx, struct plan *p, struct err *e)
{
	TRY(terminal_check(p, true, e));
	return walk_interrupted(ctx, p, e);
}

/* status is NULL for create, which is done when init waits for start. */
static int plan_and_walk(const struct davit_context *c, const struct davit_create_args *a,
                         int *status, struct err *e)
{
	struct ctx ctx = CTX_INIT;
	struct plan plan;
	int r;

	timing_begin(c->timings);
	ctx.davit = c;
	r = plan_make(status ? OP_RUN : OP_CREATE, c, a, &ctx.arena, &plan, e);
	timing_part("plan");
	if (r == 0 && a->plan_only)
		steps_print(create_steps, &plan, a->plan_only);
	else if (r == 0)
		r = status ? run_plan(&ctx, &plan, status, e) : create_plan(&ctx, &plan, e);
	plan_free(&plan);
	ctx_close(&ctx);
	return r;
}

int davit_create(const struct davit_context *c, const struct davit_create_args *a, struct err *e)
{
	return plan_and_walk(c, a, NULL, e);
}

int davit_run(const struct davit_context *c, const struct davit_create_args *a, int *status,
              struct err *e)
{
	assert(status);
	return plan_and_walk(c, a, status, e);
}
