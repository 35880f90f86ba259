/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error that every fallible function fills, and the log.
 *
 * An error is a plain struct on the caller's stack: nothing to free, and it crosses a socket as
 * it is, so that a failure in the container's init prints like one in the runtime. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct err {
	int errnum;     /* 0 when no system call is the cause */
	char step[32];  /* set by the step runner or the command, never by a module */
	char at[128];   /* JSON pointer into config.json, or "" */
	char msg[480];  /* one line, without the text of errnum */
	char hint[192]; /* one sentence with a thing to do, or "" */
};

/* Sets msg (and errnum, 0 if no system call failed), clears at and hint; always returns -1. */
int fail(struct err *e, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));

/* Sets the JSON pointer if none is set yet; always returns -1. */
int fail_at(struct err *e, const char *pointer_fmt, ...)
	__attribute__((format(printf, 2, 3), cold));

/* Sets the hint if none is set yet; always returns -1. A hint must not contain the words engines
 * classify errors by ("permission denied", "no such file or directory", "not found" ...). */
int fail_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Puts text before msg: "prefix: msg"; always returns -1. */
int fail_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* Writes "step: msg: strerror (config.json AT); hint: HINT" into text, one line, control
 * characters replaced; returns the length, always less than size. */
size_t err_format(const struct err *e, char *text, size_t size);

/* The only macro that hides a return. */
#define TRY(expr)                                                                                  \
	do {                                                                                       \
		if ((expr) < 0)                                                                    \
			return -1;                                                                 \
	} while (0)

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO, /* what was asked for: --timings */
	LOG_LEVEL_DEBUG
};

/* Where log lines go. Errors go to stderr as well; all others only if there is no log, because
 * stderr may be the container's. */
struct log_config {
	const char *target;   /* NULL, a path, "file:PATH", "journald:ID" or "syslog:ID" */
	bool json;            /* one object a line with level, msg, time (RFC 3339) */
	enum log_level level; /* lines above it are dropped */
};

/* Opens the log; an existing file is appended to. */
int log_open(const struct log_config *config, struct err *e);

/* The current level: code may skip costly work for debug lines. */
enum log_level log_level(void);

/* A process that must not hold the log's descriptor (the container's init) sends its lines
 * elsewhere: fn is called in place of writing, and the log's descriptor is closed. */
void log_redirect(void (*fn)(enum log_level level, const char *text, void *arg), void *arg);

/* Writes one finished line (no newline) at level; on stderr it is "davit: text" or "davit: warning:
 * text". Lines that log_redirect() carried to another process are written with it. */
void log_line(enum log_level level, const char *text);

/* Writes "PREFIX: " and err_format() of e at level error (prefix: NULL or "create web"); a JSON
 * line has the extra keys step, path (the JSON pointer), hint, errno. Always returns -1. */
int log_error(const struct err *e, const char *prefix) __attribute__((cold));

void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2), cold));
