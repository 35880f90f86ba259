/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statistics and out-of-memory events. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/err.h"
#include "base/proc.h"
#include "davit.h"
#include "run/container.h"
#include "run/events_json.h"

static int line_print(const char *text, FILE *out, struct err *e)
{
	if (fputs(text, out) < 0 || fflush(out) != 0)
		return fail(e, errno, "write an event");
	return 0;
}

static int stats_print(struct cgroup *cg, const char *id, FILE *out, struct err *e)
{
	struct cgroup_stats s;
	autostr text = {0};

	TRY(cgroup_stats_read(cg, &s, e));
	events_stats_json(&text, id, &s);
	cgroup_stats_free(&s);
	return line_print(text.s, out, e);
}

static int live_open(const struct davit_context *c, const char *id, struct container *k,
                     struct cgroup *cg, struct err *e)
{
	TRY(container_open(c, id, 0, k, e));
	if (container_status(k) == DAVIT_STOPPED)
		return fail(e, 0, "container not running: \"%s\" is stopped", id);
	return container_cgroup(k, cg, e);
}

int davit_stats(const struct davit_context *c, const char *id, FILE *out, struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup cg = CGROUP_INIT;

	TRY(live_open(c, id, &k, &cg, e));
	return stats_print(&cg, id, out, e);
}

/* 1: the container goes on, 0: it has ended. */
static int oom_print(struct cgroup *cg, const char *id, struct cgroup_oom *oom, FILE *out,
                     struct err *e)
{
	autostr text = {0};
	int n = cgroup_oom_read(cg, oom);

	if (n < 0)
		return 0;
	for (; n > 0; n--)
		str_addf(&text, "{\"type\":\"oom\",\"id\":\"%s\"}\n", id);
	if (text.len)
		TRY(line_print(text.s, out, e));
	return 1;
}

static int watch(struct cgroup *cg, const struct container *k, struct cgroup_oom *oom,
                 int64_t interval_ms, FILE *out, struct err *e)
{
	struct pollfd p[2] = {
		{.fd = oom->fd,  .events = POLLIN},
                {.fd = k->pidfd, .events = POLLIN}
        };
	int64_t next = clock_ms() + interval_ms;

	for (;;) {
		int64_t left = next - clock_ms();
		int more = 1;

		if (poll(p, 2,
		         left < 0       ? 0
		         : left > 60000 ? 60000
		                        : (int)left) < 0 &&
		    errno != EINTR)
			return fail(e, errno, "wait for events");
		if (p[0].revents || p[1].revents)
			TRY(more = oom_print(cg, k->id, oom, out, e));
		if (!more || p[1].revents)
			return 0;
		if (clock_ms() < next)
			continue;
		next += interval_ms;
		if (stats_print(cg, k->id, out, e) < 0)
			return e->errnum == ENOENT ? 0 : -1;
	}
}

int davit_events(const struct davit_context *c, const char *id, int64_t interval_ms, FILE *out,
                 struct err *e)
{
	autocontainer k = CONTAINER_NONE;
	autocgroup cg = CGROUP_INIT;
	struct cgroup_oom oom;
	int rc;

	TRY(live_open(c, id, &k, &cg, e));
	if (cgroup_oom_open(&cg, &oom, e) < 0) /* without: statistics only */
		log_debug("%s", e->msg);
	rc = watch(&cg, &k, &oom, interval_ms, out, e);
	cgroup_oom_close(&oom);
	return rc;
}
