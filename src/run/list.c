/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one container is, and what all of them are. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
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

static const size_t text_members[] = {
	offsetof(struct davit_state, id),           offsetof(struct davit_state, bundle),
	offsetof(struct davit_state, rootfs),       offsetof(struct davit_state, owner),
	offsetof(struct davit_state, created),      offsetof(struct davit_state, json),
	offsetof(struct davit_state, json_compact),
};

/* May be NULL. */
static const char **text_member(struct davit_state *s, size_t i)
{
	return (const char **)(void *)((char *)s + text_members[i]);
}

/* What is to be shown of k; the texts stay those of k. */
static struct davit_state state_of(struct container *k, int json)
{
	enum davit_status status = container_full_status(k);
	bool over = status == DAVIT_STOPPED || status == DAVIT_CREATING;
	const char *name = davit_status_names[status];
	struct davit_state s = {
		.id = k->id,
		.bundle = k->rec->bundle,
		.rootfs = k->rec->rootfs ? k->rec->rootfs : "",
		.owner = k->rec->owner ? k->rec->owner : "",
		.created = k->rec->created,
		.pid = over ? 0 : k->init.pid,
		.status = status,
	};
	const struct rec_exit *x;
	char *text;

	if (json == JSON_NONE)
		return s;
	x = status == DAVIT_STOPPED ? exit_of(k, NULL) : NULL;
	state_notes_read(k);
	text = state_full_json(k->rec, s.pid, name, x, json == JSON_PRETTY, &k->arena);
	*(json == JSON_PRETTY ? &s.json : &s.json_compact) = text;
	return s;
}

int davit_state(const struct davit_context *c, const char *id, struct davit_state *out,
                struct err *e)
{
	autocontainer k = CONTAINER_NONE;

	timing_begin(c->timings);
	TRY(container_open(c, id, STATE_LOOK | STATE_HEAD, &k, e));
	timing_part("container");
	*out = state_of(&k, JSON_PRETTY);
	for (size_t i = 0; i < COUNT(text_members); i++) {
		const char **text = text_member(out, i);

		*text = *text ? xstrdup(*text) : NULL;
	}
	timing_part("state");
	return 0;
}

void davit_state_free(struct davit_state *s)
{
	for (size_t i = 0; i < COUNT(text_members); i++)
		free((void *)(uintptr_t)*text_member(s, i));
	*s = (struct davit_state){0};
}

/* ---- all of them, one after the other: the names are all that is kept */

#define NAMES_EACH 128 /* a process costs as much as some ten of them */
#define SHARES_MAX 8

struct helper {
	pid_t pid;  /* 0: none */
	FILE *from; /* what it tells of its share, name by name */
};

struct davit_listing {
	int root;
	unsigned flags;
	struct str texts; /* owns the names */
	char **names;     /* in the state root, sorted */
	size_t n, next;
	size_t shares; /* share i: names i, i + shares, i + 2 * shares ... */
	struct helper helpers[SHARES_MAX];
	/* the one that was looked at last: */
	struct container k;
	char *told; /* instead, by a helper */
};

static void name_add(const char *name, unsigned char type, void *texts)
{
	if (*name != '.' && (type == DT_DIR || type == DT_UNKNOWN))
		str_addn(texts, name, strlen(name) + 1);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_read(struct davit_listing *l, struct err *e)
{
	const struct str *t = &l->texts;

	if (dir_each(l->root, name_add, &l->texts) < 0)
		return fail(e, errno, "read the state root");
	for (size_t i = 0; i < t->len; i++)
		l->n += !t->s[i];
	l->names = xcalloc(l->n, sizeof *l->names);
	for (size_t i = 0, at = 0; i < l->n; i++, at += strlen(t->s + at) + 1)
		l->names[i] = t->s + at;
	qsort(l->names, l->n, sizeof *l->names, name_compare);
	return 0;
}

/* Whether name i is a container. */
static bool name_look(struct davit_listing *l, size_t i, struct davit_state *out)
{
	struct err e = {0};

	*out = (struct davit_state){0};
	container_close(&l->k);
	if (container_open_in(l->root, l->names[i], STATE_LOOK | STATE_HEAD, &l->k, &e) < 0) {
		if (!strstr(e.msg, "does not exist"))
			log_warn("%s, leaving it out", e.msg);
		return false;
	}
	if (!(l->flags & DAVIT_LIST_IDS))
		*out = state_of(&l->k, l->flags & DAVIT_LIST_JSON ? JSON_COMPACT : JSON_NONE);
	return true;
}

/* ---- with help: nearly all of the time goes into the kernel, which looks at several at once */

/* What a helper tells of a name; the texts follow. */
struct told {
	size_t sizes[COUNT(text_members)]; /* with the NUL; 0: NULL */
	struct davit_state state;          /* its pointers mean nothing */
	bool found;
};

static void share_tell(struct davit_listing *l, size_t share, FILE *to)
{
	for (size_t i = share; i < l->n; i += l->shares) {
		struct told t = {0};

		t.found = name_look(l, i, &t.state);
		t.state.id = NULL; /* its turn tells it */
		for (size_t m = 0; m < COUNT(text_members); m++) {
			const char *text = *text_member(&t.state, m);

			t.sizes[m] = text ? strlen(text) + 1 : 0;
		}
		(void)fwrite(&t, sizeof t, 1, to); /* who reads misses what does not come */
		for (size_t m = 0; m < COUNT(text_members); m++)
			if (t.sizes[m])
				(void)fwrite(*text_member(&t.state, m), t.sizes[m], 1, to);
	}
	(void)fclose(to);
}

static void helper_start(struct davit_listing *l, size_t share)
{
	struct helper *h = &l->helpers[share];
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	h->pid = proc_fork(0, -1, NULL);
	if (h->pid == 0) {
		FILE *to = fdopen(ends[1], "w");

		fd_close_at(&ends[0]);
		(void)signal(SIGPIPE, SIG_DFL); /* it ends with who reads */
		if (to)
			share_tell(l, share, to);
		_exit(0);
	}
	fd_close_at(&ends[1]);
	h->from = h->pid > 0 ? fdopen(ends[0], "r") : NULL;
	if (!h->from)
		fd_close_at(&ends[0]);
}

static void helper_end(struct helper *h)
{
	if (h->from)
		(void)fclose(h->from);
	h->from = NULL;
	if (h->pid > 0)
		pid_reap_at(&h->pid);
}

/* What the helper tells of its next name: 1, 0 if that is no container, -1 if it does not come
 * whole. */
static int helper_hear(struct davit_listing *l, struct helper *h, struct davit_state *out)
{
	struct told t;
	size_t size = 0;

	if (!h->from || fread(&t, sizeof t, 1, h->from) != 1)
		return -1;
	for (size_t m = 0; m < COUNT(text_members); m++)
		size += t.sizes[m];
	l->told = xrealloc(l->told, size, 1);
	if (size && fread(l->told, size, 1, h->from) != 1)
		return -1;
	size = 0;
	for (size_t m = 0; m < COUNT(text_members); m++) {
		*text_member(&t.state, m) = t.sizes[m] ? l->told + size : NULL;
		size += t.sizes[m];
	}
	*out = t.state;
	return t.found;
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

int davit_list_open(const struct davit_context *c, unsigned flags, struct davit_listing **out,
                    struct err *e)
{
	struct davit_listing *l = xcalloc(1, sizeof *l);

	*l = (struct davit_listing){.flags = flags, .k = CONTAINER_NONE};
	l->root = state_root_open(c, false, e);
	if (l->root < 0 ? e->errnum != ENOENT : names_read(l, e) < 0) {
		davit_list_close(l);
		return -1;
	}
	l->shares = shares_wanted(l->n);
	for (size_t i = 1; i < l->shares; i++)
		helper_start(l, i);
	*out = l;
	return 0;
}

bool davit_list_next(struct davit_listing *l, struct davit_state *out)
{
	while (l->next < l->n) {
		size_t i = l->next++;
		struct helper *h = &l->helpers[i % l->shares];
		int found = helper_hear(l, h, out);

		if (found < 0) { /* the rest of its share is looked at here */
			helper_end(h);
			found = name_look(l, i, out);
		}
		out->id = l->names[i];
		if (found)
			return true;
	}
	return false;
}

void davit_list_close(struct davit_listing *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < SHARES_MAX; i++)
		helper_end(&l->helpers[i]);
	container_close(&l->k);
	fd_close_at(&l->root);
	str_free(&l->texts);
	free(l->names);
	free(l->told);
	free(l);
}
