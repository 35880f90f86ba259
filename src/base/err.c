/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

enum log_kind {
	LOG_KIND_NONE,
	LOG_KIND_TEXT,
	LOG_KIND_JSON,
	LOG_KIND_JOURNALD,
	LOG_KIND_SYSLOG
};

/* With the clock of timing.c the only state of the process that is not passed around. */
static struct {
	enum log_level level;
	enum log_kind kind;
	int fd;
	char id[64]; /* for journald and syslog */
	void (*redirect)(enum log_level level, const char *text, void *arg);
	void *redirect_arg;
} state = {.fd = -1};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priorities[] = {3, 4, 6, 7}; /* syslog(3) */

/* As vsnprintf, and an end that did not fit is shown as "...". */
__attribute__((format(printf, 3, 0))) static void text_format(char *text, size_t size,
                                                              const char *fmt, va_list ap)
{
	int n = vsnprintf(text, size, fmt, ap);

	if (n < 0)
		text[0] = '\0';
	else if ((size_t)n >= size)
		memcpy(text + size - 4, "...", 4);
}

int fail(struct err *e, int errnum, const char *fmt, ...)
{
	va_list ap;

	e->errnum = errnum;
	e->at[0] = e->hint[0] = '\0';
	va_start(ap, fmt);
	text_format(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	return -1;
}

int fail_at(struct err *e, const char *pointer_fmt, ...)
{
	va_list ap;

	if (e->at[0])
		return -1;
	va_start(ap, pointer_fmt);
	text_format(e->at, sizeof(e->at), pointer_fmt, ap);
	va_end(ap);
	return -1;
}

int fail_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e->hint[0])
		return -1;
	va_start(ap, fmt);
	text_format(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
	return -1;
}

int fail_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->msg)];
	size_t len;
	va_list ap;

	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	text_format(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	len = strlen(e->msg);
	if ((size_t)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", old) >=
	    sizeof(e->msg) - len)
		memcpy(e->msg + sizeof(e->msg) - 4, "...", 4);
	return -1;
}

/* Names that a container chose end up in messages: no newline, no terminal control sequence. */
static void text_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

/* Engines compare with what Go programs print, in lower case: "no such process". */
static const char *errno_text(int errnum, char *text, size_t size)
{
	snprintf(text, size, "%s", strerror(errnum));
	if (islower((unsigned char)text[1]))
		text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

size_t err_format(const struct err *e, char *text, size_t size)
{
	char cause[96] = "";
	int n;

	if (e->errnum)
		errno_text(e->errnum, cause, sizeof cause);
	n = snprintf(text, size, "%s%s%s%s%s%s%s%s%s%s", e->step, e->step[0] ? ": " : "", e->msg,
	             e->errnum ? ": " : "", cause, e->at[0] ? " (config.json " : "", e->at,
	             e->at[0] ? ")" : "", e->hint[0] ? "; hint: " : "", e->hint);

	text_clean(text);
	if (n < 0)
		return 0;
	return (size_t)n < size ? (size_t)n : size - 1;
}

/* The length of the valid UTF-8 sequence at s, 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* Adds text in quotes as a JSON string, which is right for the text form of the log too. */
static void log_quote(struct str *line, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	str_addc(line, '"');
	while (*s) {
		size_t n = utf8_len(s);

		if (!n)
			str_add(line, "\\ufffd");
		else if (*s == '"' || *s == '\\')
			str_addf(line, "\\%c", *s);
		else if (*s == '\n' || *s == '\t')
			str_add(line, *s == '\n' ? "\\n" : "\\t");
		else if (*s < 0x20 || *s == 0x7f)
			str_addf(line, "\\u%04x", *s);
		else
			str_addn(line, (const char *)s, n);
		s += n ? n : 1;
	}
	str_addc(line, '"');
}

/* RFC 3339 in UTC. By hand: gmtime(3) reads the time zone file, which by now may be one of the
 * container. The calendar starts in March, so that a leap day is the last of its year. */
static void log_time(struct str *line)
{
	struct timespec now = {0};
	long long days, era, doe, yoe, doy, mp;
	int second;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	days = now.tv_sec / 86400 + 719468;
	second = (int)(now.tv_sec % 86400);
	era = days / 146097;
	doe = days - era * 146097;
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	str_addf(line, "%04lld-%02lld-%02lldT%02d:%02d:%02d.%09ldZ", yoe + era * 400 + (mp >= 10),
	         mp < 10 ? mp + 3 : mp - 9, doy - (153 * mp + 2) / 5 + 1, second / 3600,
	         second / 60 % 60, second % 60, now.tv_nsec);
}

static void log_extra(struct str *line, const char *key, const char *text)
{
	if (!text[0])
		return;
	str_addf(line, ",\"%s\":", key);
	log_quote(line, text);
}

static void log_add_json(struct str *line, enum log_level level, const char *text,
                         const struct err *e)
{
	str_addf(line, "{\"level\":\"%s\",\"msg\":", level_names[level]);
	log_quote(line, text);
	str_add(line, ",\"time\":\"");
	log_time(line);
	str_addc(line, '"');
	if (e) {
		log_extra(line, "step", e->step);
		log_extra(line, "path", e->at);
		log_extra(line, "hint", e->hint);
		if (e->errnum)
			str_addf(line, ",\"errno\":%d", e->errnum);
	}
	str_add(line, "}\n");
}

/* Writes one line to the log; a log that fails or is full must not stop a container. */
static void log_write(enum log_level level, const char *text, const struct err *e)
{
	autostr line = {0};

	switch (state.kind) {
	case LOG_KIND_NONE:
		return;
	case LOG_KIND_JSON:
		log_add_json(&line, level, text, e);
		break;
	case LOG_KIND_TEXT:
		str_add(&line, "time=\"");
		log_time(&line);
		str_addf(&line, "\" level=%s msg=", level_names[level]);
		log_quote(&line, text);
		str_addc(&line, '\n');
		break;
	case LOG_KIND_JOURNALD:
		str_addf(&line, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n", text,
		         level_priorities[level], state.id);
		break;
	case LOG_KIND_SYSLOG: /* facility LOG_USER; without a time the daemon sets it */
		str_addf(&line, "<%d>%s[%d]: %s", 8 | level_priorities[level], state.id,
		         (int)getpid(), text);
		break;
	}
	if (state.kind == LOG_KIND_JSON || state.kind == LOG_KIND_TEXT) {
		if (write(state.fd, line.s, line.len) < 0)
			return;
	} else {
		(void)send(state.fd, line.s, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void log_stderr(enum log_level level, const char *text)
{
	char line[1280];
	int n = snprintf(line, sizeof(line), "davit: %s%s%s\n",
	                 level == LOG_LEVEL_ERROR ? "" : level_names[level],
	                 level == LOG_LEVEL_ERROR ? "" : ": ", text);

	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nobody left to tell */
}

static void log_emit(enum log_level level, const char *text, const struct err *e)
{
	char clean[1200];

	if (level > state.level)
		return;
	if (state.redirect) {
		state.redirect(level, text, state.redirect_arg);
		return;
	}
	snprintf(clean, sizeof(clean), "%s", text);
	text_clean(clean);
	log_write(level, clean, e);
	if (level == LOG_LEVEL_ERROR || state.kind == LOG_KIND_NONE)
		log_stderr(level, clean);
}

static int log_open_socket(const char *path, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(e, errno, "make a socket for the log");
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		fail(e, errno, "connect to the log socket \"%s\"", path);
		close(fd);
		return -1;
	}
	return fd;
}

/* O_NONBLOCK: a FIFO that nobody reads must not hang us. */
static int log_open_file(const char *path, struct err *e)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);

	return fd < 0 ? fail(e, errno, "open log file \"%s\"", path) : fd;
}

int log_open(const struct log_config *config, struct err *e)
{
	const char *target = config->target, *id = NULL;
	enum log_kind kind = config->json ? LOG_KIND_JSON : LOG_KIND_TEXT;
	int fd;

	state.level = config->level;
	if (!target)
		return 0;
	if (str_starts(target, "journald:")) {
		kind = LOG_KIND_JOURNALD;
		id = target + strlen("journald:");
		fd = log_open_socket("/run/systemd/journal/socket", e);
	} else if (str_starts(target, "syslog:")) {
		kind = LOG_KIND_SYSLOG;
		id = target + strlen("syslog:");
		fd = log_open_socket("/dev/log", e);
	} else {
		fd = log_open_file(str_starts(target, "file:") ? target + 5 : target, e);
	}
	if (fd < 0)
		return -1;
	if (state.fd >= 0)
		close(state.fd);
	state.fd = fd;
	state.kind = kind;
	snprintf(state.id, sizeof(state.id), "%s", id && *id ? id : "davit");
	text_clean(state.id);
	return 0;
}

enum log_level log_level(void)
{
	return state.level;
}

void log_redirect(void (*fn)(enum log_level level, const char *text, void *arg), void *arg)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
	state.kind = LOG_KIND_NONE;
	state.redirect = fn;
	state.redirect_arg = arg;
}

void log_line(enum log_level level, const char *text)
{
	log_emit(level, text, NULL);
}

int log_error(const struct err *e, const char *prefix)
{
	char text[1200];
	size_t n = 0;

	if (prefix && *prefix)
		n = (size_t)snprintf(text, 256, "%s: ", prefix);
	if (n > 255)
		n = 255;
	err_format(e, text + n, sizeof(text) - n);
	log_emit(LOG_LEVEL_ERROR, text, e);
	return -1;
}

void log_warn(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (state.level < LOG_LEVEL_WARNING)
		return;
	va_start(ap, fmt);
	text_format(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_emit(LOG_LEVEL_WARNING, text, NULL);
}

void log_debug(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (state.level < LOG_LEVEL_DEBUG)
		return;
	va_start(ap, fmt);
	text_format(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_emit(LOG_LEVEL_DEBUG, text, NULL);
}
