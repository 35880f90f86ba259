/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/timing.h"
#include "base/unapplied.h"
#include "run/chan.h"
#include "run/spawn.h"
#include "run/steps.h"

static bool step_wanted(const struct step *s, const struct plan *p)
{
	return !s->wanted || s->wanted(p);
}

static bool step_is_mine(const struct step *s, const struct ctx *c)
{
	return (s->who == RUNTIME) == (c->self == RUNTIME);
}

static int step_index(const struct step *table, const char *name)
{
	for (int i = 0; table[i].name; i++)
		if (strcmp(table[i].name, name) == 0)
			return i;
	return -1;
}

static void row_passed(struct ctx *c, const struct chan_msg *m, int *fd)
{
	if (m->pid == 0 && c->stage > 0 && strcmp(c->table[m->step].name, "ns-new") == 0) {
		spawn_stage_end(c); /* init was faster than the stage, which tells who init is */
		return;
	}
	if (m->pid > 0)
		spawn_adopt(c, m->pid, take_fd(fd));
	c->passed |= UINT64_C(1) << m->step;
}

static const char *who_name(enum who who)
{
	return who == RUNTIME ? "runtime" : "init";
}

static const char *peer_name(const struct ctx *c)
{
	return c->self == RUNTIME ? "init" : "the runtime";
}

/* Waits for a message: 1, 0 the peer is gone, -1. */
static int peer_take(struct ctx *c, struct chan_msg *m, int *fd, struct err *e)
{
	struct pollfd p[] = {
		{.fd = c->chan,    .events = POLLIN},
                {.fd = c->signals, .events = POLLIN}
        };
	int r;

	/* what an ended stage has sent is there; init keeps the channel open */
	if (c->stage_ended && poll(p, 1, 0) == 0)
		return spawn_init_died(c, "ns-new", e);
	if (c->signals >= 0) {
		while (poll(p, COUNT(p), -1) < 0 && errno == EINTR)
			;
		if (p[1].revents && !p[0].revents)
			return fail(e, 0, "a signal told davit to end");
	}
	/* a peer that went without having read all makes one ECONNRESET; what it sent comes then */
	do
		r = chan_recv(c->chan, m, fd);
	while (r < 0 && (errno == EINTR || errno == ECONNRESET));
	return r < 0 ? fail(e, errno, "receive from %s", peer_name(c)) : r;
}

/* Takes one message of the peer: 1 row passed or log line, 0 the peer is gone, -1 it failed. */
static int peer_message(struct ctx *c, struct err *e)
{
	int64_t begun = timing_wait_begin();
	struct chan_msg m;
	autofd fd = -1;
	int r = peer_take(c, &m, &fd, e);

	timing_wait_end(begun);
	if (r <= 0)
		return r;
	switch (m.kind) {
	case CHAN_PASS:
		row_passed(c, &m, &fd);
		return 1;
	case CHAN_LOG:
		log_line((enum log_level)m.step, m.err.msg);
		return 1;
	case CHAN_NOTE:
		unapplied_note("%s", m.err.msg);
		return 1;
	case CHAN_FAIL:
		break;
	}
	*e = m.err;
	c->peer_failed = true;
	return -1;
}

int steps_peer_drain(struct ctx *c, struct err *e)
{
	int r;

	do
		r = peer_message(c, e);
	while (r > 0);
	return r;
}

static int step_wait(struct ctx *c, const struct step *s, struct err *e)
{
	int i = step_index(c->table, s->after);

	if (i < 0)
		return fail(e, 0, "step \"%s\" waits for \"%s\", which is not there", s->name,
		            s->after);
	while (!(c->passed & UINT64_C(1) << i)) {
		int r = peer_message(c, e);

		if (r < 0)
			return -1;
		if (r == 0)
			return c->self == RUNTIME ? spawn_init_died(c, s->after, e)
			                          : fail(e, 0, "the runtime is gone");
	}
	return 0;
}

/* The peer is gone: init said why before it went. */
static int announce_failed(struct ctx *c, const char *row, struct err *e)
{
	struct err peer = {0};

	if (errno != EPIPE && errno != ECONNRESET)
		return fail(e, errno, "send to %s", peer_name(c));
	if (c->self != RUNTIME)
		return fail(e, 0, "the runtime is gone");
	if (steps_peer_drain(c, &peer) < 0) {
		*e = peer;
		return -1;
	}
	return spawn_init_died(c, row, e);
}

static int step_announce(struct ctx *c, int i, struct err *e)
{
	const struct step *s = &c->table[i];
	struct chan_msg m = {.kind = CHAN_PASS, .step = i};
	bool awaited = false;

	for (const struct step *t = c->table; t->name && !awaited; t++)
		awaited = t->after && !step_is_mine(t, c) && strcmp(t->after, s->name) == 0 &&
		          step_wanted(t, c->plan);
	if (!awaited || c->chan < 0)
		return 0;
	return chan_send(c->chan, &m, -1) < 0 ? announce_failed(c, s->name, e) : 0;
}

static int step_run(struct ctx *c, int i, struct err *e)
{
	const struct step *s = &c->table[i];

	if (!step_wanted(s, c->plan))
		return step_announce(c, i, e);
	if (s->after)
		TRY(step_wait(c, s, e));
	TRY(s->run(c, e));
	/* a line is a system call, which a filter may forbid */
	if (!c->filtered)
		log_debug("%s: step %s done", who_name(c->self), s->name);
	if (c->timings)
		timing_take(&c->timings[i]); /* before the peer hears of it: it may log at once */
	return step_announce(c, i, e);
}

static int walk(struct ctx *c, struct err *e)
{
	for (int i = 0; c->table[i].name; i++) {
		if (!step_is_mine(&c->table[i], c))
			continue;
		if (step_run(c, i, e) == 0)
			continue;
		if (!c->peer_failed)
			snprintf(e->step, sizeof e->step, "%s", c->table[i].name);
		for (; c->self == RUNTIME && i >= 0; i--)
			if (c->table[i].who == RUNTIME && c->table[i].undo)
				c->table[i].undo(c);
		return -1;
	}
	return 0;
}

/* In the order of the table, and after the work: what init did is known by then. */
static void timings_show(struct ctx *c, size_t n)
{
	for (size_t i = 0; c->timings && i < n; i++)
		if (c->timings[i].done)
			timing_show(c->table[i].name, who_name(c->table[i].who), &c->timings[i]);
	timing_unshare(&c->timings, n);
}

int steps_walk(struct ctx *c, struct err *e)
{
	size_t n = 0;
	int r;

	if (c->self != RUNTIME)
		return walk(c, e);
	while (c->table[n].name)
		n++;
	TRY(timing_share(&c->timings, n, e));
	r = walk(c, e);
	timings_show(c, n);
	return r;
}

void steps_print(const struct step *table, const struct plan *p, FILE *out)
{
	static const char *const who[] = {"runtime", "init-host", "init-root"};

	for (const struct step *s = table; s->name; s++)
		fprintf(out, "%-24s%-11s%-24s%s\n", s->name, who[s->who], s->after ? s->after : "-",
		        step_wanted(s, p) ? "run" : "skipped");
}

void steps_note(const char *text, void *arg)
{
	struct ctx *c = arg;
	struct chan_msg m = {.kind = CHAN_NOTE};

	snprintf(m.err.msg, sizeof m.err.msg, "%s", text);
	(void)chan_send(c->chan, &m, -1);
}

void steps_log(int level, const char *text, void *arg)
{
	struct ctx *c = arg;
	struct chan_msg m = {.kind = CHAN_LOG, .step = level};

	snprintf(m.err.msg, sizeof m.err.msg, "%s", text);
	(void)chan_send(c->chan, &m, -1); /* a runtime that is gone reads no log */
}
