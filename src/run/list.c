/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one container is, and what all of them are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/timing.h"
#include "run/container.h"
#include "run/exit.h"

enum {
	JSON_NONE,
	JSON_COMPACT,
	JSON_PRETTY
};

static void state_fill(struct container *k, int json, struct davit_state *out)
{
	enum davit_status s = container_full_status(k);
	pid_t pid = s == DAVIT_STOPPED || s == DAVIT_CREATING ? 0 : k->init.pid;
	const char *name = davit_status_names[s];
	const struct rec_exit *x;
	char *text;

	*out = (struct davit_state){
		.id = xstrdup(k->rec->id),
		.bundle = xstrdup(k->rec->bundle),
		.rootfs = xstrdup(k->rec->rootfs ? k->rec->rootfs : ""),
		.owner = xstrdup(k->rec->owner ? k->rec->owner : ""),
		.created = xstrdup(k->rec->created),
		.pid = pid,
		.status = s,
	};
	if (json == JSON_NONE)
		return;
	x = s == DAVIT_STOPPED ? exit_of(k, NULL) : NULL;
	state_notes_read(k);
	text = xstrdup(state_full_json(k->rec, pid, name, x, json == JSON_PRETTY, &k->arena));
	*(json == JSON_PRETTY ? &out->json : &out->json_compact) = text;
}

int davit_state(const struct davit_context *c, const char *id, struct davit_state *out,
                struct err *e)
{
	autocontainer k = CONTAINER_NONE;

	timing_begin(c->timings);
	TRY(container_open(c, id, STATE_LOOK | STATE_HEAD, &k, e));
	timing_part("container");
	state_fill(&k, JSON_PRETTY, out);
	timing_part("state");
	return 0;
}

void davit_state_free(struct davit_state *s)
{
	free(s->id);
	free(s->bundle);
	free(s->rootfs);
	free(s->owner);
	free(s->created);
	free(s->json);
	free(s->json_compact);
	*s = (struct davit_state){0};
}

/* ---- all of them */

struct listing {
	int root;
	int json;
	char **names;              /* in the state root */
	struct davit_state *found; /* as many; without an id where there is no container */
	size_t n;
	size_t shares; /* share i: names i, i + shares, i + 2 * shares ... */
};

static void names_read(DIR *d, struct listing *l)
{
	struct dirent *f;
	size_t cap = 0;

	while ((f = readdir(d))) {
		if (*f->d_name == '.' || (f->d_type != DT_DIR && f->d_type != DT_UNKNOWN))
			continue;
		if (l->n == cap) {
			cap = cap ? cap * 2 : 16;
			l->names = xrealloc(l->names, cap, sizeof *l->names);
		}
		l->names[l->n++] = xstrdup(f->d_name);
	}
}

static void share_look(struct listing *l, size_t share)
{
	for (size_t i = share; i < l->n; i += l->shares) {
		autocontainer k = CONTAINER_NONE;
		struct err e = {0};

		if (container_open_in(l->root, l->names[i], STATE_LOOK | STATE_HEAD, &k, &e) == 0)
			state_fill(&k, l->json, &l->found[i]);
		else if (!strstr(e.msg, "does not exist"))
			log_warn("%s, leaving it out", e.msg);
	}
}

/* ---- with help: nearly all of the time goes into the kernel, which looks at several at once */

#define NAMES_EACH 128 /* a process costs as much as some ten of them */
#define SHARES_MAX 8
#define SHARE_MAX  (256u << 20)

struct helper {
	pid_t pid; /* 0: none */
	int from;  /* what it has found comes from here */
};

static const size_t text_members[] = {
	offsetof(struct davit_state, id),      offsetof(struct davit_state, bundle),
	offsetof(struct davit_state, rootfs),  offsetof(struct davit_state, owner),
	offsetof(struct davit_state, created), offsetof(struct davit_state, json_compact),
};

static char **text_member(struct davit_state *s, size_t i)
{
	return (char **)(void *)((char *)s + text_members[i]);
}

/* Each as it is, its texts behind it; an end shows that nothing is missing. */
static void share_write(struct listing *l, size_t share, int fd)
{
	autostr out = {0};

	for (size_t i = share; i < l->n; i += l->shares) {
		struct davit_state *s = &l->found[i];

		str_addn(&out, (const char *)s, sizeof *s);
		for (size_t t = 0; t < COUNT(text_members); t++)
			if (*text_member(s, t))
				str_addn(&out, *text_member(s, t), strlen(*text_member(s, t)) + 1);
	}
	str_addc(&out, '.');
	(void)fd_write_all(fd, out.s, out.len); /* who reads misses the end */
}

static void share_take(struct listing *l, size_t share, const char *at)
{
	for (size_t i = share; i < l->n; i += l->shares) {
		struct davit_state *s = &l->found[i];

		memcpy(s, at, sizeof *s);
		at += sizeof *s;
		for (size_t t = 0; t < COUNT(text_members); t++) {
			char **text = text_member(s, t);

			if (!*text)
				continue;
			*text = xstrdup(at);
			at += strlen(at) + 1;
		}
	}
}

static void helper_start(struct listing *l, size_t share, struct helper *h)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	h->pid = proc_fork(0, -1, NULL);
	if (h->pid == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		share_look(l, share);
		share_write(l, share, ends[1]);
		_exit(0);
	}
	fd_close_at(&ends[1]);
	if (h->pid > 0)
		h->from = ends[0];
	else
		fd_close_at(&ends[0]);
}

/* A share that did not come whole is looked at here. */
static void helper_end(struct listing *l, size_t share, struct helper *h)
{
	struct err ignored;
	size_t len = 0;
	autofree char *text = h->from < 0 ? NULL : fd_read_all(h->from, SHARE_MAX, &len, &ignored);

	fd_close_at(&h->from);
	pid_reap_at(&h->pid);
	if (text && len > 0 && text[len - 1] == '.')
		share_take(l, share, text);
	else
		share_look(l, share);
}

static size_t shares_wanted(size_t names)
{
	size_t n = names / NAMES_EACH + 1, cpus = SHARES_MAX;
	cpu_set_t set;

	if (n > 1 && sched_getaffinity(0, sizeof set, &set) == 0) /* fails above 1,024 */
		cpus = (size_t)CPU_COUNT(&set);
	n = n < cpus ? n : cpus;
	return n < SHARES_MAX ? n : SHARES_MAX;
}

static void listing_look(struct listing *l)
{
	struct helper helpers[SHARES_MAX];

	l->shares = shares_wanted(l->n);
	for (size_t i = 0; i < SHARES_MAX; i++)
		helpers[i] = (struct helper){.from = -1};
	for (size_t i = 1; i < l->shares; i++)
		helper_start(l, i, &helpers[i]);
	share_look(l, 0);
	for (size_t i = 1; i < l->shares; i++)
		helper_end(l, i, &helpers[i]);
}

static int state_compare(const void *a, const void *b)
{
	const struct davit_state *x = a, *y = b;

	return strcmp(x->id, y->id);
}

int davit_list(const struct davit_context *c, unsigned flags, struct davit_state **out, size_t *n,
               struct err *e)
{
	struct listing l = {.json = flags & DAVIT_LIST_JSON ? JSON_COMPACT : JSON_NONE};
	autodir *d = NULL;

	*out = NULL;
	*n = 0;
	l.root = state_root_open(c, false, e);
	if (l.root < 0)
		return e->errnum == ENOENT ? 0 : -1;
	d = fdopendir(l.root);
	if (!d) {
		fd_close_at(&l.root);
		return fail(e, errno, "read the state root");
	}
	names_read(d, &l);
	l.found = xcalloc(l.n + 1, sizeof *l.found);
	listing_look(&l);
	for (size_t i = 0; i < l.n; i++)
		if (l.found[i].id)
			l.found[(*n)++] = l.found[i];
	qsort(l.found, *n, sizeof *l.found, state_compare);
	*out = l.found;
	for (size_t i = 0; i < l.n; i++)
		free(l.names[i]);
	free(l.names);
	return 0;
}
