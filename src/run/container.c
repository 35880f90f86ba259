/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/timing.h"
#include "kernel/cgroup_named.h"
#include "kernel/sched.h"
#include "run/chan.h"
#include "run/exit.h"
#include "run/hooks.h"
#include "run/members.h"
#include "run/notify.h"
#include "run/spawn.h"
#include "run/steps.h"

/* delete ends within 5 s, whatever does not: what the end of init leaves is for its groups. */
#define KILL_WAIT_MS   4000
#define KILL_SLOW_MS   200
#define REMOVE_WAIT_MS 4500
#define REMOVE_LEAST   500
#define START_DEATH_MS 1000
#define KILL_RECORD_MS 50

/* ---- shared parts */

int container_cgroup(const struct container *k, struct cgroup *cg, struct err *e)
{
	const char *text = k->rec && k->rec->cgroup ? k->rec->cgroup : "";

	TRY(cgroup_parse(text, cg, e));
	cgroup_drop_missing(cg);
	return 0;
}

struct rdt container_rdt(const struct rec_record *rec)
{
	const struct rec_rdt *r = rec ? rec->rdt : NULL;

	return r ? (struct rdt){.root = r->root,
	                        .group = r->group ? r->group : "",
	                        .monitor = r->monitor,
	                        .own = r->own}
	         : (struct rdt){0};
}

enum davit_status container_full_status(const struct container *k)
{
	enum davit_status s = container_status(k);

	if ((s == DAVIT_RUNNING || s == DAVIT_CREATED) && k->rec && k->rec->freezer &&
	    cgroup_freezer_frozen(k->rec->freezer))
		return DAVIT_PAUSED;
	return s;
}

static bool has_own_pid_ns(const struct rec_record *rec)
{
	for (size_t i = 0; i < rec->n_namespaces; i++)
		if (strcmp(rec->namespaces[i], "pid") == 0)
			return true;
	return false;
}

/* Even a killed process takes some time of a processor to end: its own policy, such as
 * SCHED_DEADLINE with a tiny runtime, may not give it that. */
static void kill_hurry(const struct container *k, struct cgroup *cg)
{
	autofree pid_t *pids = NULL;
	struct err ignored = {0};
	size_t n;

	if (k->pidfd >= 0 && proc_wait_gone(k->pidfd, 0) == 0)
		sched_reset(k->init.pid);
	if (cgroup_pids(cg, &pids, &n, &ignored) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		sched_reset(pids[i]);
}

int container_kill(const struct container *k, struct err *e)
{
	autocgroup cg = CGROUP_INIT;
	int gone;

	TRY(container_cgroup(k, &cg, e));
	if (k->pidfd >= 0 && proc_signal(k->pidfd, SIGKILL) < 0 && errno != ESRCH)
		return fail(e, errno, "kill init of \"%s\"", k->id);
	if (cg.n)
		TRY(cgroup_kill(&cg, SIGKILL, e));
	gone = k->pidfd < 0 ? 1 : proc_wait_gone(k->pidfd, KILL_SLOW_MS);
	/* with init its pid namespace has ended */
	if (gone == 0 || (cg.n && k->rec && !has_own_pid_ns(k->rec)))
		kill_hurry(k, &cg);
	if (gone == 0)
		gone = proc_wait_gone(k->pidfd, KILL_WAIT_MS - KILL_SLOW_MS);
	if (gone == 0)
		return fail(e, 0, "init of \"%s\", process %d, does not end within %d ms", k->id,
		            k->init.pid, KILL_WAIT_MS);
	return gone < 0 ? fail(e, errno, "wait for init of \"%s\"", k->id) : 0;
}

/* Whoever made the bundle may have removed it by now. */
static const char *hooks_cwd(const struct rec_record *rec)
{
	return access(rec->bundle, X_OK) == 0 ? rec->bundle : "/";
}

int container_poststart(const struct rec_record *rec, pid_t pid, struct arena *a, struct err *e)
{
	struct hooks_run r = {.kind = "poststart", .annotations = &rec->annotations};

	if (!rec->hooks || !rec->hooks->n_poststart)
		return 0;
	r.cwd = hooks_cwd(rec);
	r.hooks = rec->hooks->poststart;
	r.n = rec->hooks->n_poststart;
	r.state = state_oci_json(rec, pid, "running", a, &r.state_len);
	TRY(hooks_run(&r, e));
	timing_part("hooks-poststart");
	return 0;
}

void container_poststop(const struct rec_record *rec, struct arena *a)
{
	struct hooks_run r = {.kind = "poststop", .annotations = &rec->annotations};

	if (!rec->hooks || !rec->hooks->n_poststop)
		return;
	r.cwd = hooks_cwd(rec);
	r.hooks = rec->hooks->poststop;
	r.n = rec->hooks->n_poststop;
	r.state = state_oci_json(rec, 0, "stopped", a, &r.state_len);
	hooks_run_all(&r);
	timing_part("hooks-poststop");
}

int container_destroy(struct container *k, struct err *e)
{
	autocgroup cg = CGROUP_INIT;
	int64_t start = clock_ms();
	struct rdt rdt;
	int left;

	TRY(container_kill(k, e));
	timing_part("kill");
	TRY(container_cgroup(k, &cg, e));
	left = REMOVE_WAIT_MS - (int)(clock_ms() - start);
	if (cg.n)
		TRY(cgroup_remove(&cg, left > REMOVE_LEAST ? left : REMOVE_LEAST, e));
	if (k->rec && k->rec->named_group)
		TRY(cgroup_named_remove(k->id, REMOVE_LEAST, e));
	rdt = container_rdt(k->rec);
	TRY(rdt_remove(&rdt, e));
	timing_part("cgroup-remove");
	if (k->rec)
		container_poststop(k->rec, &k->arena);
	TRY(state_remove(k->root, k->id, k->dir, e));
	timing_part("state-remove");
	return 0;
}

/* ---- start */

/* Init died without a word, and is somebody else's child. */
static int start_died(struct container *k, struct err *e)
{
	autocgroup cg = CGROUP_INIT;
	const struct rec_exit *x;
	int status = SIGKILL, *known = NULL;

	if (proc_wait_gone(k->pidfd, START_DEATH_MS) != 1)
		return 0; /* it lives: it was execve(2) after all */
	TRY(container_cgroup(k, &cg, e));
	if (exit_wait_status(k->pidfd, &k->init, &status)) /* else the likeliest */
		known = &status;
	x = exit_gather(&cg, &k->init, known, &k->arena);
	if (x)
		exit_keep(k->dir, x);
	snprintf(e->step, sizeof e->step, "exec");
	return spawn_died(&cg, &k->init, status, "exec", e);
}

/* Lets init go on; its end of the connection closes when the payload has taken over. */
static int start_release(struct container *k, struct err *e)
{
	struct ctx c = CTX_INIT;
	autofd sock = state_start_connect(k->dir);
	int r;

	if (sock < 0)
		return fail(e, errno, "reach init of \"%s\"", k->id);
	(void)fcntl(sock, F_SETFL, 0); /* blocking from here on */
	if (send(sock, "g", 1, MSG_NOSIGNAL) != 1)
		return fail(e, errno, "tell init of \"%s\" to start", k->id);
	c.chan = sock;
	r = steps_peer_drain(&c, e);
	if (r == 0 && !spawn_in_payload(k->init.pid))
		r = start_died(k, e);
	if (r == 0)
		state_start_remove(k->dir);
	return r;
}

int davit_start(const struct davit_context *c, const char *id, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	enum davit_status s;
	struct err undo = {0};
	autofd notify = -1; /* without its directory the container was created without */
	bool hooks;

	timing_begin(c->timings);
	TRY(container_open(c, id, STATE_LOCK, &k, e));
	s = container_full_status(&k);
	timing_part("container");
	if (s != DAVIT_CREATED)
		return fail(e, 0, "cannot start container \"%s\": it is %s, not created", id,
		            davit_status_names[s]);
	/* told to start, init would end: it must stay as it is */
	if (!k.rec->process) {
		fail(e, 0, "container \"%s\" has no process to start", id);
		return fail_at(e, "/process");
	}
	notify = notify_socket() ? notify_bind(k.dir, &undo) : -1;
	if (start_release(&k, e) < 0) {
		hooks = strcmp(e->step, "hooks-start-container") == 0;
		(void)proc_wait_gone(k.pidfd, KILL_WAIT_MS); /* state says so if it lives on */
		if (hooks && container_destroy(&k, &undo) < 0)
			log_warn("%s, ignoring", undo.msg);
		return -1;
	}
	timing_part("release");
	if (container_poststart(k.rec, k.init.pid, &k.arena, e) == 0)
		return notify < 0 ? 0 : notify_wait(notify, k.init.pid, k.pidfd, e);
	if (container_destroy(&k, &undo) < 0)
		log_warn("%s, ignoring", undo.msg);
	return -1;
}

/* ---- kill and delete */

static int kill_stopped(const struct container *k, unsigned flags, struct err *e)
{
	return flags & DAVIT_KILL_ALL
	               ? 0
	               : fail(e, 0, "container not running: \"%s\" is stopped", k->id);
}

/* systemd removes a scope with its last process, and the numbers with it: look before the end, and
 * wait a little for it. The other managers' groups stay until delete, where there is time enough.
 */
static const struct rec_exit *kill_look(struct container *k, struct cgroup *cg, int sig)
{
	return sig == SIGKILL && cg->n && cg->manager == CGROUP_MANAGER_SYSTEMD
	               ? exit_gather(cg, &k->init, NULL, &k->arena)
	               : NULL;
}

static void kill_record(struct container *k, const struct rec_exit *before)
{
	if (before && proc_wait_gone(k->pidfd, KILL_RECORD_MS) == 1)
		(void)exit_of(k, before);
}

static int kill_opened(struct container *k, int sig, unsigned flags, struct err *e)
{
	autocgroup cg = CGROUP_INIT;
	const struct rec_exit *before;

	if (container_status(k) == DAVIT_CREATING)
		return fail(e, 0,
		            "cannot kill container \"%s\": it is creating, not created or running",
		            k->id);
	TRY(container_cgroup(k, &cg, e));
	before = kill_look(k, &cg, sig);
	if ((flags & DAVIT_KILL_ALL) && cg.n) {
		/* init first, should it have left the group; another signal would reach it twice */
		if (sig == SIGKILL && k->pidfd >= 0 && proc_signal(k->pidfd, sig) < 0 &&
		    errno != ESRCH)
			return fail(e, errno, "send signal %d to container \"%s\"", sig, k->id);
		TRY(cgroup_kill(&cg, sig, e));
		kill_record(k, before);
		return 0;
	}
	if (k->pidfd < 0 || proc_signal(k->pidfd, sig) < 0) {
		if (k->pidfd >= 0 && errno != ESRCH)
			return fail(e, errno, "send signal %d to container \"%s\"", sig, k->id);
		return kill_stopped(k, flags, e);
	}
	if (sig != SIGKILL || !cg.n)
		return 0;
	/* without a pid namespace of its own init's end does not end the others */
	if (!has_own_pid_ns(k->rec))
		TRY(cgroup_kill(&cg, SIGKILL, e));
	else if (cg.mode != CGROUP_MODE_V2 && cgroup_frozen(&cg) == 1)
		TRY(cgroup_thaw(&cg, e));
	cgroup_thaw_killed(&cg);
	kill_record(k, before);
	return 0;
}

int davit_kill(const struct davit_context *c, const char *id, int sig, unsigned flags,
               struct err *e)
{
	autocontainer k = CONTAINER_NONE;

	timing_begin(c->timings);
	TRY(container_open(c, id, 0, &k, e));
	timing_part("container");
	TRY(kill_opened(&k, sig, flags, e));
	timing_part("signal");
	return 0;
}

/* Without a record init still tells what is the container's. */
static int delete_broken(struct container *k, struct err *e)
{
	autocgroup cg = CGROUP_INIT;

	log_debug("removing what is left of \"%s\"", k->id);
	if (k->pidfd >= 0) {
		TRY(cgroup_find(k->init.pid, k->id, &cg, e));
		TRY(container_kill(k, e));
		TRY(cgroup_remove(&cg, REMOVE_WAIT_MS, e));
	}
	return state_remove(k->root, k->id, k->dir, e);
}

/* For --exit-record, and for the log: the groups are about to go. */
static int delete_record(const char *path, struct container *k, struct err *e)
{
	autofd file = -1;
	const struct rec_exit *x;

	if (!path && log_level() < LOG_LEVEL_DEBUG)
		return 0;
	if (path)
		TRY(file = exit_file_open(path, e));
	TRY(container_kill(k, e));
	x = exit_of(k, NULL);
	TRY(path ? exit_file_write(file, x, e) : 0);
	timing_part("exit-record");
	return 0;
}

int davit_delete(const struct davit_context *c, const char *id, unsigned flags, struct err *e)
{
	bool force = flags & DAVIT_DELETE_FORCE;
	autocontainer k = CONTAINER_NONE;
	enum davit_status s;

	timing_begin(c->timings);
	if (container_open(c, id, STATE_LOCK | STATE_UNMADE | (force ? STATE_BROKEN : 0), &k, e) <
	    0)
		return force && strstr(e->msg, "does not exist") ? 0 : -1;
	if (!k.rec)
		return delete_broken(&k, e);
	s = container_full_status(&k);
	timing_part("container");
	if ((s == DAVIT_RUNNING || s == DAVIT_PAUSED) && !force) {
		fail(e, 0, "cannot delete container \"%s\": it is %s, not stopped", id,
		     davit_status_names[s]);
		return fail_hint(e, "davit delete --force kills it first");
	}
	TRY(delete_record(c->exit_record, &k, e));
	return container_destroy(&k, e);
}

/* ---- ps */

int davit_ps(const struct davit_context *c, const char *id, pid_t **pids, size_t *n, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup cg = CGROUP_INIT;

	*pids = NULL;
	*n = 0;
	TRY(container_open(c, id, 0, &k, e));
	TRY(container_cgroup(&k, &cg, e));
	if (cg.n)
		return cgroup_pids(&cg, pids, n, e);
	if (k.pidfd < 0)
		return 0;
	return members_list(k.init.pid, has_own_pid_ns(k.rec), pids, n, e);
}

/* ---- pause and resume */

static int freeze(const struct davit_context *c, const char *id, bool pause, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup cg = CGROUP_INIT;
	enum davit_status s;

	TRY(container_open(c, id, STATE_LOCK, &k, e));
	TRY(container_cgroup(&k, &cg, e));
	s = container_full_status(&k);
	if (pause ? s != DAVIT_RUNNING && s != DAVIT_CREATED : s != DAVIT_PAUSED) {
		if (s == DAVIT_STOPPED)
			return fail(e, 0, "container not running: \"%s\" is stopped", id);
		return fail(e, 0, "cannot %s container \"%s\": it is %s",
		            pause ? "pause" : "resume", id, davit_status_names[s]);
	}
	if (cg.n == 0)
		return fail(e, 0, "cannot pause container \"%s\": it has no cgroup of its own", id);
	return pause ? cgroup_freeze(&cg, e) : cgroup_thaw(&cg, e);
}

int davit_pause(const struct davit_context *c, const char *id, struct err *e)
{
	return freeze(c, id, true, e);
}

int davit_resume(const struct davit_context *c, const char *id, struct err *e)
{
	return freeze(c, id, false, e);
}
