/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the configuration asks for and this host cannot do. It is an error where the container would
 * have more than it should, unless the caller wants to go on (--on-unsupported=warn), and a note
 * otherwise: a warning, and a line of what `state` shows as notApplied. Never silence. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Forgets earlier notes. go_on: unapplied() lets things pass. */
void unapplied_begin(bool go_on);

/* Notes what makes nobody less confined. */
void unapplied_note(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));

/* e tells what cannot be applied: -1, or 0 when going on; it has become a note then. */
int unapplied(const struct err *e) __attribute__((cold));

/* A process that keeps no state (the container's init) gives its notes to fn instead. */
void unapplied_redirect(void (*fn)(const char *text, void *arg), void *arg);

/* The notes so far; they stay ours. */
char *const *unapplied_list(size_t *n);
