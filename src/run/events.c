/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics and out-of-memory events. */
#include <errno.h>
#include <poll.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "run/container.h"
#include "run/exit.h"
#include "run/stats_json.h"

#define RECHECK_MS 250 /* where a process cannot be polled */

struct watch {
	struct container k;
	struct cgroup cg;
	struct cgroup_oom oom; /* fd -1: not watched */
	bool polls_init;
	FILE *out;
};

static int line_write(const struct watch *w, const char *text, size_t len, struct err *e)
{
	if (fwrite(text, 1, len, w->out) != len || fflush(w->out) != 0)
		return fail(e, errno, "write to standard output");
	return 0;
}

static int stats_write(struct watch *w, struct err *e)
{
	struct cgroup_stats s = {0};
	autostr text = {0};

	TRY(cgroup_stats_read(&w->cg, &s, e));
	stats_json(w->k.id, &s, &text);
	cgroup_stats_free(&s);
	return line_write(w, text.s, text.len, e);
}

static int oom_write(const struct watch *w, int n, struct err *e)
{
	autostr text = {0};

	for (int i = 0; i < n; i++)
		str_addf(&text, "{\"type\":\"oom\",\"id\":\"%s\"}\n", w->k.id);
	return n > 0 ? line_write(w, text.s, text.len, e) : 0;
}

static int watch_open(const struct davit_context *c, const char *id, FILE *out, struct watch *w,
                      struct err *e)
{
	*w = (struct watch){
		.k = CONTAINER_NONE,
		.cg = CGROUP_INIT,
		.oom = {.fd = -1, .control = -1},
		.polls_init = true,
		.out = out
        };
	TRY(container_open(c, id, 0, &w->k, e));
	if (container_status(&w->k) == DAVIT_STOPPED)
		return fail(e, 0, "container not running: \"%s\" is stopped", id);
	TRY(container_cgroup(&w->k, &w->cg, e));
	if (w->cg.n == 0)
		return fail(e, 0, "container \"%s\" has no cgroup of its own to tell its usage",
		            id);
	return 0;
}

static void watch_close(struct watch *w)
{
	if (w->oom.fd >= 0)
		cgroup_oom_close(&w->oom);
	cgroup_close(&w->cg);
	container_close(&w->k);
}

int davit_stats(const struct davit_context *c, const char *id, FILE *out, struct err *e)
{
	struct watch w;
	int r = watch_open(c, id, out, &w, e);

	if (r == 0)
		r = stats_write(&w, e);
	watch_close(&w);
	return r;
}

/* Until the deadline, the container's end or news of an OOM kill: 1 when it has ended. */
static int watch_wait(struct watch *w, int64_t deadline, struct err *e)
{
	struct pollfd fds[2] = {
		{.fd = w->polls_init ? w->k.pidfd : -1, .events = POLLIN},
		{.fd = w->oom.fd,                       .events = POLLIN}
        };
	int64_t left = deadline - clock_ms();
	int timeout, n = 0;
	bool ended;

	timeout = left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
	if (!w->polls_init && timeout > RECHECK_MS)
		timeout = RECHECK_MS;
	if (poll(fds, COUNT(fds), timeout) < 0 && errno != EINTR)
		return fail(e, errno, "wait for events");
	ended = proc_wait_gone(w->k.pidfd, 0) != 0;
	/* a /proc directory in a pidfd's place is always ready */
	if (!ended && fds[0].revents)
		w->polls_init = false;
	/* at the end too: the kill may be its cause */
	if (w->oom.fd >= 0 && (fds[1].revents || ended))
		n = cgroup_oom_read(&w->cg, &w->oom);
	if (n < 0) /* the group is gone, or empty */
		cgroup_oom_close(&w->oom);
	TRY(oom_write(w, n, e));
	return ended;
}

/* Keeps the exit record, since nobody else may have been watching. An OOM kill that ended the
 * container may have taken its groups along: then the record still knows. */
static int watch_end(struct watch *w, struct err *e)
{
	const struct rec_exit *x = exit_of(&w->k, NULL);

	if (!x || !x->has_oom_kills || !w->oom.v2 || x->oom_kills <= w->oom.seen)
		return 0;
	return oom_write(w, (int)(x->oom_kills - w->oom.seen), e);
}

static int watch_run(struct watch *w, int64_t interval_ms, struct err *e)
{
	int64_t deadline = clock_ms();
	struct err no_oom;
	int r;

	if (cgroup_oom_open(&w->cg, &w->oom, &no_oom) < 0) {
		log_warn("%s, going on without", no_oom.msg);
		w->oom.fd = -1;
	}
	for (;;) {
		if (clock_ms() >= deadline) {
			TRY(stats_write(w, e));
			deadline += interval_ms;
			if (deadline < clock_ms()) /* stopped for a while: no burst */
				deadline = clock_ms() + interval_ms;
		}
		r = watch_wait(w, deadline, e);
		if (r != 0)
			return r < 0 ? -1 : watch_end(w, e);
	}
}

int davit_events(const struct davit_context *c, const char *id, int64_t interval_ms, FILE *out,
                 struct err *e)
{
	struct watch w;
	int r = watch_open(c, id, out, &w, e);

	if (r == 0)
		r = watch_run(&w, interval_ms, e);
	watch_close(&w);
	return r;
}
