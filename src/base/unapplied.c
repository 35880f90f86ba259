/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/unapplied.h"

#include <stdarg.h>

#include "base/err.h"
#include "base/str.h"

static struct {
	bool go_on;
	void (*redirect)(const char *text, void *arg);
	void *redirect_arg;
	struct strv notes;
} state;

void unapplied_begin(bool go_on)
{
	strv_free(&state.notes);
	state.go_on = go_on;
}

void unapplied_redirect(void (*fn)(const char *text, void *arg), void *arg)
{
	state.redirect = fn;
	state.redirect_arg = arg;
}

void unapplied_note(const char *fmt, ...)
{
	autostr text = {0};
	va_list ap;

	va_start(ap, fmt);
	str_addv(&text, fmt, ap);
	va_end(ap);
	if (state.redirect) {
		state.redirect(text.s ? text.s : "", state.redirect_arg);
		return;
	}
	strv_add(&state.notes, text.s ? text.s : "");
	log_warn("%s, ignoring", text.s ? text.s : "");
}

int unapplied(const struct err *e)
{
	char text[1024];

	if (!state.go_on)
		return -1;
	err_format(e, text, sizeof(text));
	unapplied_note("%s", text);
	return 0;
}

char *const *unapplied_list(size_t *n)
{
	*n = state.notes.n;
	return state.notes.v;
}
