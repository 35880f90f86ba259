/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order of everything: one table per operation, one runner for both processes. The runtime
 * and init walk the same table, each runs its own rows, and waits only where a row's `after`
 * names a row of the other. A row that has passed, done or skipped, is announced if someone
 * waits for it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "run/ctx.h"

struct err;

struct step {
	const char *name; /* in errors, --plan and --timings */
	enum who who;
	const char *after; /* a row of the other process that must have passed; NULL: none */
	bool (*wanted)(const struct plan *p); /* NULL: always */
	int (*run)(struct ctx *c, struct err *e);
	void (*undo)(struct ctx *c); /* RUNTIME rows: on failure, from the last to the first */
};

/* Both end with a row without a name; at most 64 rows. */
extern const struct step create_steps[];
extern const struct step exec_steps[];

/* Walks the rows of c->self. On failure sets e->step (unless the peer sent it), and in the runtime
 * undoes what was done. init: returns only on failure. */
int steps_walk(struct ctx *c, struct err *e);

/* Sends a note of init (base/unapplied.h) to the runtime; arg is the ctx. */
void steps_note(const char *text, void *arg);

/* Takes messages until init's end of the channel closes: 0, or -1 when init failed. */
int steps_peer_drain(struct ctx *c, struct err *e);

/* True if the process' terminal is relayed to the caller's. */
bool steps_in_foreground(const struct plan *p);

/* Prints the rows for plan: name, who, after, skipped or not. */
void steps_print(const struct step *table, const struct plan *p, FILE *out);

/* Sends a log line of init over the channel; arg is the ctx. */
void steps_log(int level, const char *text, void *arg);
